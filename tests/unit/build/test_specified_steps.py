"""The specification's build steps run where the monorepo has them, and one that does not run is said; tools are small stand-ins."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from catalog import reader
from catalog.manifest import Manifest

from .monorepo import Monorepo, service

TOOLS = {
    "node": "echo v22.1.0",
    "npm": """case $1 in
--version) echo 10.0.0 ;;
ci) mkdir -p node_modules ;;
run) echo "made by $3 in $(basename "$PWD")" > api/built.txt ;;
esac""",
    "npx": """[ "$1" = --version ] && echo 10.0.0 && exit
echo "$*" > generated.txt""",
}
API = service("api", "python", build={"scripts": ["build:api"]})
GAMES = service("web", "npm")
PRISMA = {"prisma": "7.0.0"}


@pytest.fixture
def tools(monorepo: Monorepo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Monorepo:
    """A monorepo of an API and the games, with tools that only leave a trace."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name, text in TOOLS.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    wheels = monorepo.folder / "wheels"
    wheels.mkdir()
    (wheels / "pip-26.3-py3-none-any.whl").write_text("wheel")
    monkeypatch.setattr("operations.build.strategies.python._wheels", lambda _: wheels)
    monorepo.write("api/main.py", "x = 1\n")
    monorepo.write("api/requirements.txt", "x==1.0\n")
    monorepo.write("web/package.json", "{}")
    monorepo.write("web/index.html")
    packages(monorepo)
    return monorepo


def packages(monorepo: Monorepo, *locked: str, scripts: tuple[str, ...] = (), **root: object) -> None:
    """The monorepo's package.json and lock file."""
    monorepo.write("package.json", json.dumps({"scripts": dict.fromkeys(scripts, "true"), **root}))
    names = ("vite", *locked)
    brought = {f"node_modules/{name}": {"version": "1.0.0"} for name in names}
    lock = {"": {}, "web": {"dependencies": dict.fromkeys(names, "1.0.0")}, **brought}
    monorepo.write("package-lock.json", json.dumps({"lockfileVersion": 3, "packages": lock}))


def made(monorepo: Monorepo, key: str) -> Manifest:
    outcome = monorepo.build(**{key: API if key == "api" else GAMES}).outcomes[key]
    assert outcome.error is None
    assert outcome.manifest is not None
    return outcome.manifest


def test_the_api_s_own_build_runs_where_the_monorepo_has_it(tools: Monorepo) -> None:
    before = made(tools, "api")
    assert before.notes == ("build:api did not run: the monorepo's package.json has no such script",)
    packages(tools, scripts=("build:api",))
    after = made(tools, "api")
    assert after.notes == ()
    assert (tools.out / "api/tree/built.txt").read_text() == "made by build:api in workspace\n"
    assert {file.path for file in after.files} - {".htaccess"} == {
        "main.py",
        "requirements.txt",
        "built.txt",
        "wheels/pip-26.3-py3-none-any.whl",
    }
    assert after.tools["node"] == "22.1.0"
    assert not (tools.source / "api/built.txt").exists(), "no build writes into the checkout"


def test_a_prisma_client_is_generated_where_the_lock_file_brings_prisma(tools: Monorepo) -> None:
    tools.write("web/prisma/schema.prisma", "model X {}")
    packages(tools, "prisma", devDependencies=PRISMA)
    assert made(tools, "games").notes == ()
    assert (tools.out / "games/tree/generated.txt").read_text() == "--no-install prisma generate\n"


@pytest.mark.parametrize("place", ["package.json", "web/package.json"])
def test_a_declared_prisma_that_is_not_installed_fails_the_build(tools: Monorepo, place: str) -> None:
    tools.write("web/prisma/schema.prisma", "model X {}")
    tools.write(place, json.dumps({"dependencies": PRISMA}))
    error = tools.error(games=GAMES)
    assert "declares prisma" in error
    assert "npm install" in error


def test_a_schema_without_prisma_is_said_each_time_from_the_cache_too(tools: Monorepo, tmp_path: Path) -> None:
    tools.write("web/prisma/schema.prisma", "model X {}")
    said = ("prisma generate did not run: web/prisma/schema.prisma is there, but no package.json declares prisma",)
    assert made(tools, "games").notes == said
    assert made(tools, "games").notes == said
    tools.out = tmp_path / "elsewhere"
    assert tools.build(games=GAMES).outcomes["games"].state == "cached"
    assert made(tools, "games").notes == said
    assert json.loads((tools.out / "games/manifest.json").read_bytes())["notes"] == list(said)


def test_of_n8n_the_workflows_are_served_and_nothing_else_that_lies_beside_them(monorepo: Monorepo) -> None:
    n8n = reader.read().services["n8n"]
    for name in (
        "workflows/a.json",
        "workflows/deep/b.json",
        "index.html",
        "docker-compose.yml",
        ".env",
        "credentials/x.json",
        "workflows.md",
    ):
        monorepo.write(f"automation/n8n/{name}")
    monorepo.write("shared/web/site.css")
    assert monorepo.states(n8n=n8n) == {"n8n": "built"}
    tree = monorepo.out / "n8n/tree"
    found = {path.relative_to(tree).as_posix() for path in tree.rglob("*") if path.is_file()}
    assert found == {".htaccess", "workflows/a.json", "workflows/deep/b.json", "index.html", "assets/site.css"}
    assert n8n.steps.restart is not None
    assert "--project-name" in n8n.steps.restart.command, "the compose file is not where it is restarted from"


def test_what_is_to_be_packed_and_is_not_there_is_named(monorepo: Monorepo) -> None:
    monorepo.write("a/index.html")
    error = monorepo.error(a=service("a", build={"only": ["index.html", "workflows"]}))
    assert "holds no workflows, which its build packs" in error
