"""The sandbox's monorepo with its real tools (npm, Vite, TypeScript, Composer, pip): equal digests, only what changed, honest failures."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from catalog.models import Service
from operations.build import Built, build, cache

from .conftest import MONOREPO

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]

NPM = {"frontend", "games"}
PYTHON = {"api", "api_stg"}
PHP = {"votes", "support", "newsletter", "hooks", "forum", "crm", "consent", "analytics", "admin_stg"}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The monorepo at another place, under version control of its own."""
    target = tmp_path / "another place/monorepo"
    shutil.copytree(
        MONOREPO, target, symlinks=True, ignore=shutil.ignore_patterns("node_modules", "vendor", "dist", "__pycache__", ".venv")
    )
    return target


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """A cache that has the packages, so that nothing is fetched again, but no artefact: every build really runs."""
    folder = tmp_path / "cache"
    folder.mkdir()
    for kind in ("npm", "wheels"):
        (cache.default() / kind).mkdir(parents=True, exist_ok=True)
        (folder / kind).symlink_to(cache.default() / kind)
    return folder


def test_all_22_services_have_an_artefact(dist: tuple[Path, Built], services: dict[str, Service]) -> None:
    assert {key: outcome.error for key, outcome in dist[1].outcomes.items() if outcome.error} == {}
    assert len(services) == len(dist[1].outcomes) == 22
    assert (dist[0] / "games/tree/game/main.js").is_file()
    assert (dist[0] / "crm/tree/vendor/bin/drush").stat().st_mode & 0o777 == 0o755
    assert (dist[0] / "n8n/tree/workflows/build-notification.json").is_file()
    assert not (dist[0] / "api/tree/tests").exists()


def test_a_build_elsewhere_gives_equal_releases_and_then_only_what_changed(
    dist: tuple[Path, Built], services: dict[str, Service], copy: Path, fresh: Path, tmp_path: Path
) -> None:
    out = tmp_path / "dist"

    def states() -> dict[str, str]:
        return {key: outcome.state for key, outcome in build(services, copy, out, cache_folder=fresh).outcomes.items()}

    def changed() -> set[str]:
        return {key for key, state in states().items() if state != "unchanged"}

    assert set(states().values()) == {"built", "cached"}, "the two APIs have one source: made once"
    for key in services:
        here, there = (json.loads((place / key / "manifest.json").read_bytes()) for place in (dist[0], out))
        assert (key, here["release"], here["files"]) == (key, there["release"], there["files"])
        assert (dist[0] / key / "SBOM.json").read_bytes() == (out / key / "SBOM.json").read_bytes()
    assert changed() == set()

    def touch(path: str) -> None:
        place = copy / path
        place.write_text(place.read_text().replace("Menschlichkeit", "menschlichkeit", 1) + "\n")

    touch("services/votes/index.php")
    assert changed() == {"votes"}
    touch("frontend/index.html")
    assert changed() == {"frontend"}
    touch("shared/php/mail.php")
    assert changed() == PHP | {"games"}
    touch("api.menschlichkeit-oesterreich.at/app/__init__.py")
    assert changed() == PYTHON
    touch("api.menschlichkeit-oesterreich.at/tests/test_api.py")
    assert changed() == set(), "tests are not shipped"


def test_a_broken_source_fails_alone_with_the_tools_own_words(
    services: dict[str, Service], copy: Path, fresh: Path, tmp_path: Path
) -> None:
    some = {key: services[key] for key in ("main", "games", "api", "crm")}
    (copy / "web/src/quiz.ts").write_text("export const points: number = 'many';\n")
    (copy / "api.menschlichkeit-oesterreich.at/requirements.txt").write_text("fastapi==0.165.0\n")
    (copy / "crm.menschlichkeit-oesterreich.at/composer.lock").unlink()
    outcomes = build(some, copy, tmp_path / "dist", cache_folder=fresh).outcomes
    assert {key: outcome.state for key, outcome in outcomes.items()} == {
        "main": "built",
        "games": "failed",
        "api": "failed",
        "crm": "failed",
    }
    assert re.search(r"games: build:games ended with exit code \d+; whole log: ", outcomes["games"].error or "")
    assert "src/quiz.ts" in (outcomes["games"].error or "")
    assert "requirements.txt does not pin " in (outcomes["api"].error or "")
    assert "starlette==" in (outcomes["api"].error or "")
    assert "has a composer.json without composer.lock" in (outcomes["crm"].error or "")


def test_an_output_that_names_the_folder_it_was_built_in_is_refused(
    services: dict[str, Service], copy: Path, fresh: Path, tmp_path: Path
) -> None:
    with (copy / "web/copy.mjs").open("a") as script:
        script.write("import { writeFileSync } from 'node:fs';\nwriteFileSync('dist/where.txt', process.cwd());\n")
    outcome = build({"games": services["games"]}, copy, tmp_path / "dist", cache_folder=fresh).outcomes["games"]
    assert "where.txt holds the path of the folder it was built in" in (outcome.error or "")


def libraries(document: Path) -> set[tuple[str, str]]:
    """(name, version) of the packages that a bill of materials names."""
    components = json.loads(document.read_bytes()).get("components", [])
    found = [("/".join(filter(None, (c.get("group"), c["name"]))), c["version"]) for c in components if c["type"] == "library"]
    assert len(found) == len(set(found))
    return set(found)


def npm_ls(monorepo: Path, workspace: str) -> set[tuple[str, str]]:
    """What npm itself finds in the lock file for a workspace and the root."""
    words = ["npm", "ls", "--all", "--json", "--package-lock-only", "--workspace", workspace, "--include-workspace-root"]
    done = subprocess.run(words, cwd=monorepo, capture_output=True, text=True, check=False)
    found: set[tuple[str, str]] = set()

    def walk(node: dict[str, object]) -> None:
        for name, below in (node.get("dependencies") or {}).items():  # type: ignore[attr-defined]
            if not str(below.get("resolved", "")).startswith("file:") and "version" in below:
                found.add((name, below["version"]))
            walk(below)

    walk(json.loads(done.stdout))
    return found


@pytest.mark.parametrize(("key", "workspace"), [("frontend", "frontend"), ("games", "web")])
def test_the_npm_services_bills_name_what_npm_finds_in_the_lock_file(
    dist: tuple[Path, Built], copy: Path, key: str, workspace: str
) -> None:
    found = npm_ls(copy, workspace)
    assert len(found) > 10
    assert libraries(dist[0] / key / "SBOM.json") == found


def test_the_apis_bill_names_each_requirement_with_its_wheels_digest(dist: tuple[Path, Built]) -> None:
    lines = (MONOREPO / "api.menschlichkeit-oesterreich.at/requirements.txt").read_text().splitlines()
    wanted = {tuple(line.split("==")) for line in lines if "==" in line}
    assert libraries(dist[0] / "api/SBOM.json") == wanted
    components = json.loads((dist[0] / "api/SBOM.json").read_bytes())["components"]
    shipped = {
        f["sha256"] for f in json.loads((dist[0] / "api/manifest.json").read_bytes())["files"] if f["path"].startswith("wheels/")
    }
    assert {c["hashes"][0]["content"] for c in components} < shipped, "and pip's own wheel"


def test_the_crms_bill_names_what_composer_locked(dist: tuple[Path, Built]) -> None:
    lock = json.loads((MONOREPO / "crm.menschlichkeit-oesterreich.at/composer.lock").read_bytes())
    assert libraries(dist[0] / "crm/SBOM.json") == {(p["name"], p["version"]) for p in lock["packages"]} != set()


def test_every_bill_follows_the_official_schema_and_the_whole_names_all(
    dist: tuple[Path, Built], services: dict[str, Service]
) -> None:
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    for place in [dist[0] / "SBOM.json", *(dist[0] / key / "SBOM.json" for key in services)]:
        assert validator.validate_str(place.read_text()) is None
    whole = json.loads((dist[0] / "SBOM.json").read_bytes())
    assert {c["name"] for c in whole["components"] if c["type"] == "application"} == set(services)
    assert libraries(dist[0] / "SBOM.json") == set().union(*(libraries(dist[0] / key / "SBOM.json") for key in services))
    assert json.loads((dist[0] / "votes/SBOM.json").read_bytes())["components"][0]["hashes"]


def test_a_lock_file_without_packages_is_an_error(services: dict[str, Service], copy: Path, fresh: Path, tmp_path: Path) -> None:
    crm = copy / "crm.menschlichkeit-oesterreich.at"
    (crm / "composer.json").write_text('{"name": "a/b", "repositories": [{"packagist.org": false}]}')
    shutil.rmtree(crm / "packages")
    subprocess.run(["composer", "update", "-q", "--no-interaction"], cwd=crm, check=True)
    shutil.rmtree(crm / "vendor")
    plain = services["crm"].model_copy(update={"steps": services["votes"].steps.model_copy(update={"migrate": None})})
    outcome = build({"crm": plain}, copy, tmp_path / "dist", cache_folder=fresh).outcomes["crm"]
    assert "composer.lock names no package" in (outcome.error or "")


def test_a_damaged_cache_is_noticed_and_made_anew(services: dict[str, Service], copy: Path, fresh: Path, tmp_path: Path) -> None:
    some = {"crm": services["crm"]}
    first = build(some, copy, tmp_path / "dist", cache_folder=fresh).outcomes["crm"]
    [kept] = (fresh / "artefacts").iterdir()
    (kept / "tree/index.php").write_text("<?php // altered in the cache\n")
    shutil.rmtree(tmp_path / "dist")
    second = build(some, copy, tmp_path / "dist", cache_folder=fresh).outcomes["crm"]
    assert first.manifest
    assert second.manifest
    assert second.manifest.release == first.manifest.release
    assert "altered" not in (tmp_path / "dist/crm/tree/index.php").read_text()
