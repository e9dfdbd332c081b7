"""What stands in for the actions of other authors. None is kinder than the real one: it fails where that would, and knows no input more."""

from __future__ import annotations

import base64
import io
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.rehearsal.machine import ActionError
from tests.rehearsal.runner import Action, ActionCall
from tests.rehearsal.workflow import Repository

Keep = Callable[[str, str, str], None]
"""Told of each upload: name, branch, the ZIP file in base64. What GitHub's REST API then lists."""


def standing_in(cached: Path, keep: Keep) -> Mapping[str, Action]:
    """Action → stand-in. ``cached``: the ``.venv`` that a cache would bring, so that no run installs the same packages again."""

    def checkout(call: ActionCall) -> str:
        return _checkout(call, cached)

    def upload(call: ActionCall) -> str:
        return _upload(call, keep)

    return {
        "actions/checkout": checkout,
        "actions/setup-python": _version("python-version", "python3"),
        "actions/setup-node": _version("node-version", "node"),
        "actions/upload-artifact": upload,
        "actions/download-artifact": _download,
        "actions/attest-build-provenance": _attest,
        "pulumi/actions": _pulumi,
        "aquasecurity/setup-trivy": lambda call: f"Trivy {call.taken('version')['version']} would be here",
    }


def _git(*words: str, cwd: Path | None = None) -> str:
    done = subprocess.run(["git", *words], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ActionError(f"git {words[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


def _checkout(call: ActionCall, cached: Path) -> str:
    given, run = call.taken("repository", "ref", "path", "fetch-depth", "persist-credentials", "token"), call.run
    if call.permissions.get("contents") not in ("read", "write"):
        raise ActionError("the token may not read contents")
    if given.get("persist-credentials") != "false":
        raise ActionError("credentials would stay in the checkout")
    name = given.get("repository") or run.stand.repository.name
    own = name == run.stand.repository.name
    found: Repository | None = run.stand.repository if own else run.stand.others.get(name)
    if found is None:
        raise ActionError(f"{name}: repository not found")
    if found.private and not own and given.get("token", run.stand.token) == run.stand.token:
        raise ActionError(f"{name}: repository not found")  # the token of a job is of its own repository alone
    place = call.machine.workspace / given.get("path", ".")
    wanted = given.get("ref") or (run.event.sha if own else "") or "HEAD"
    place.mkdir(parents=True, exist_ok=True)
    _git("init", "-q", cwd=place)
    _git("remote", "add", "origin", f"file://{found.git}", cwd=place)
    depth = given.get("fetch-depth", "1")
    limit = [] if depth == "0" else [f"--depth={depth}"]
    _git("fetch", "-q", *limit, "origin", wanted, cwd=place)
    _git("checkout", "-q", "--detach", "FETCH_HEAD", cwd=place)
    if (place / "bin/setup").is_file():
        (place / ".venv").symlink_to(cached)
    return f"{name} at {_git('rev-parse', 'HEAD', cwd=place)} in {place.name}"


def _version(key: str, program: str) -> Action:
    def there(call: ActionCall) -> str:
        wanted = call.taken(key)[key]
        if not re.fullmatch(r"\d+(\.\d+)*", wanted):
            raise ActionError(f"{wanted!r} is no version")
        return f"{program}: {wanted} is asked for, this machine's is taken"

    return there


def _pulumi(call: ActionCall) -> str:
    if not re.fullmatch(r"\d+\.\d+\.\d+", call.taken("pulumi-version")["pulumi-version"]):
        raise ActionError("no version of Pulumi")
    return "the Pulumi CLI would be here; the embedded engine is taken where this machine has none"


def _attest(call: ActionCall) -> str:
    pattern = call.taken("subject-path")["subject-path"]
    if {call.permissions.get("id-token"), call.permissions.get("attestations")} != {"write"}:
        raise ActionError("the token may not attest")
    if call.run.stand.repository.private:
        raise ActionError("Feature not available for the private repository: artifact attestations need GitHub Enterprise Cloud")
    if not list(call.machine.workspace.glob(pattern)):
        raise ActionError(f"no subject found at {pattern}")
    return "attested"


def _upload(call: ActionCall, keep: Keep) -> str:
    given = call.taken("name", "path", "if-no-files-found", "retention-days")
    name, path = given["name"], Path(given["path"])
    path = path if path.is_absolute() else call.machine.workspace / path
    if name in call.run.artifacts:
        raise ActionError(f"an artifact of the name {name} exists already in this run (409)")
    if not re.fullmatch(r"""[^":<>|*?\r\n\\/]+""", name):
        raise ActionError(f"{name!r} is no name of an artifact")
    # Hidden files are left out; links are followed, and modes are lost.
    files = [path] if path.is_file() else sorted(entry for entry in path.rglob("*") if entry.is_file()) if path.is_dir() else []
    top = path.parent if path.is_file() else path
    files = [file for file in files if not any(part.startswith(".") for part in file.relative_to(top).parts)]
    if not files:
        if given.get("if-no-files-found") == "error":
            raise ActionError(f"no files were found with the path {path}")
        return f"no files were found with the path {path}; no artifact is uploaded"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in files:
            archive.writestr(str(file.relative_to(top)), file.read_bytes())
    place = call.run.stand.folder / f"artifact-{call.run.id}-{name}.zip"
    place.write_bytes(packed.getvalue())
    call.run.artifacts[name] = place
    if place.stat().st_size < 32 << 20:
        keep(name, call.run.event.ref.removeprefix("refs/heads/"), base64.b64encode(packed.getvalue()).decode())
    return f"{name}: {len(files)} files"


def _download(call: ActionCall) -> str:
    given = call.taken("name", "path")
    place = call.run.artifacts.get(given["name"])
    if place is None:
        raise ActionError(f"artifact not found: {given['name']}")
    folder = Path(given.get("path", "."))
    folder = folder if folder.is_absolute() else call.machine.workspace / folder
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(place) as archive:
        archive.extractall(folder)
    return f"{given['name']} is in {folder}"


def cleaned(folder: Path) -> None:
    """Removes what a rehearsal left in ``folder``."""
    shutil.rmtree(folder, ignore_errors=True)
