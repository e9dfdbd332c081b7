"""Changed host programs, virtual environments and secrets files are noticed: before a program is started, and by the step ``integrity``."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from components.remote.client import programs

from .conftest import Service
from .test_facts import listing

pytestmark = pytest.mark.sandbox


def look(service: Service) -> dict[str, Any]:
    asked = [{"service": service.key, "target": service.target}]
    return service.remote.run("integrity", services=asked)


@pytest.fixture
def tool(service: Service) -> Path:
    """The folder of the host programs, once they are there."""
    service.remote.run("env", service="votes", variables={"A": "b"})
    return service.remote.root / ".deploy/.tool" / programs.digest()


def test_what_was_brought_differs_in_nothing_and_nothing_is_written(service: Service, tool: Path) -> None:
    service.deploy({"index.html": "one"})
    before = listing(service.remote)
    told = look(service)
    assert told["tool"] == {"folder": str(tool), "differs": []}
    assert told["services"]["votes"] == {"secrets": "same", "venv": None}
    assert listing(service.remote) == before


def test_before_anything_was_brought_there_is_nothing_to_compare(service: Service) -> None:
    told = look(service)
    assert (told["tool"], told["services"]["votes"]) == (None, {"secrets": None, "venv": None})


def test_a_changed_host_program_is_named_and_never_started(service: Service, tool: Path) -> None:
    release = service.stage({"index.html": "one"})
    for name, text in (("switch", "touch /tmp/started; exit 0\n"), ("common", None), ("planted", "x\n")):
        kept = (tool / name).read_bytes() if (tool / name).exists() else None
        if text is None:
            (tool / name).unlink()
        else:
            (tool / name).write_text(text)
        assert look(service)["tool"]["differs"] == [name]
        if name != "planted":
            sentence = service.remote.refused("switch", **service.request(release))
            assert f"the host programs in {tool} were changed on the host" in sentence
            staged = {"service": "votes", "release": release, "target": service.target, "strategy": "symlink", "hard_links": True}
            assert "were changed on the host" in service.remote.refused("stage", **staged, dependencies=None, keep=5)
        if kept is None:
            (tool / name).unlink()
        else:
            (tool / name).write_bytes(kept)
            service.remote.own(tool)
    assert service.live is None
    (tool / "switch").write_text("exit 1\n")
    shutil.rmtree(tool)
    assert service.switch(release)["live"] == release, "removed, they are brought anew"


def test_a_secrets_file_that_somebody_edited_is_noticed_until_it_is_written_again(service: Service, tool: Path) -> None:
    written = service.base / "secrets.env"
    for change in ("A='c'\n", "", None):
        if change is None:
            written.unlink()
        else:
            written.write_text(change)
            service.remote.own(written)
        assert look(service)["services"]["votes"]["secrets"] == "changed"
        assert service.remote.run("env", service="votes", variables={"A": "b"})["changed"] is True
        assert look(service)["services"]["votes"]["secrets"] == "same"
    (service.base / "secrets.sum").unlink()
    assert look(service)["services"]["votes"]["secrets"] is None, "written by an earlier version"
    service.remote.run("env", service="votes", variables={"A": "b"})
    assert look(service)["services"]["votes"]["secrets"] == "same"


def test_a_changed_virtual_environment_is_named_file_by_file(service: Service, tool: Path) -> None:
    release = service.remote.artefact("votes", {"requirements.txt": "", "index.html": "one", "a.py": ""})
    service.remote.run(
        "stage", service="votes", release=release, target=service.target, strategy="symlink", hard_links=True, dependencies="venv", keep=5
    )  # fmt: skip
    service.switch(release)
    venv = (service.path / ".venv").resolve()
    told = look(service)["services"]["votes"]["venv"]
    assert told == {"digest": venv.name, "known": True, "differs": [], "count": 0}
    packages = next(venv.glob("lib/python3*/site-packages"))
    module = packages / "pip/__init__.py"
    module.write_text(module.read_text() + "# changed\n")
    (packages / "sitecustomize.py").write_text("import os\n")
    (packages / "pip/__main__.py").unlink()
    # What Python itself compiles is none of it.
    (packages / "pip/__pycache__/__pip-runner__.cpython-399.pyc").write_text("x")
    (venv / "bin/python").unlink()
    (venv / "bin/python").symlink_to("/bin/sh")
    told = look(service)["services"]["votes"]["venv"]
    inside = packages.relative_to(venv)
    assert told["differs"] == [
        f"added {inside}/sitecustomize.py", "changed bin/python", f"changed {inside}/pip/__init__.py", f"missing {inside}/pip/__main__.py",
    ]  # fmt: skip
    assert told["count"] == 4
    Path(f"{venv}.sums").unlink()
    assert look(service)["services"]["votes"]["venv"]["known"] is False
