"""What the rehearsal of the workflows needs around it: production's host, the repositories, an operator's machine, a GitHub.

Production is small: three services, the gates that need no tool of npm or pip, one flow. What makes it small is committed to its
repository, as an organisation of that size would have it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sandbox import lifecycle
from sandbox.layout import Layout
from sandbox.settings import OWNER, REPOSITORY, overlay
from tests.e2e.deployment import _overlay as brought
from tests.rehearsal import actions, gh
from tests.rehearsal.runner import Run
from tests.rehearsal.workflow import Event, JobResult, Repository, Stand
from tests.sandbox_fixture import CLONE, Sandbox, free_base

SERVICES = ("main", "status", "consent")
GATES = ["sbom", "attestation", "personal-data", "consent", "privacy-policy"]
MONOREPO = f"{OWNER}/monorepo"
PASSPHRASE = "passphrase-canary-6b21"
_AUTHOR = {
    f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in (("NAME", "Ada"), ("EMAIL", "ada@example.org"))
}


@dataclass
class Scene:
    """``host``: production's; ``laptop``: an operator's folder with monorepo and mo-deploy side by side; ``git``: the bare repositories."""

    folder: Path
    host: Sandbox
    stand: Stand
    environment: Mapping[str, str]
    production_secrets: dict[str, str]

    @property
    def laptop(self) -> Path:
        """An operator's machine, with its own sandbox."""
        return self.folder / "laptop"

    @property
    def operator(self) -> dict[str, str]:
        """The operator's environment on the laptop, as the runbook has it."""
        own = {
            "HOME": str(self.laptop),
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(self.laptop / "passphrase"),
            "PULUMI_STACK": "production",
        }
        return {**self.environment, **own, "MO_SANDBOX_DIR": str(self.laptop / "sandbox"), **_AUTHOR}

    def at_the_laptop(self, command: str, expect: int = 0) -> str:
        """Runs a command line in the operator's clone of mo-deploy; what it says."""
        done = subprocess.run(
            ["ssh-agent", "bash", "-c", f"ssh-add -q '{self.host.layout.key}' && {command}"],
            cwd=self.laptop / "mo-deploy",
            env=self.operator,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == expect, f"{command} ended with {done.returncode}\n{done.stdout[-6000:]}"
        return done.stdout

    @property
    def backend(self) -> str:
        """Where production's state is."""
        return f"file://{self.folder}/state"

    def git(self, repository: str, *words: str) -> str:
        """A git command in a person's clone (``work/<repository>``)."""
        return _run(["git", *words], self.folder / "work" / repository, {**os.environ, **_AUTHOR}).strip()

    def push(self, repository: str, changes: Mapping[str, str], message: str = "Change", branch: str = "main") -> str:
        """Commits files and pushes them; the commit."""
        for name, text in changes.items():
            (self.folder / "work" / repository / name).write_text(text)
        self.git(repository, "add", "-A")
        self.git(repository, "commit", "-q", "-m", message)
        self.git(repository, "push", "-q", "origin", f"HEAD:{branch}")
        return self.git(repository, "rev-parse", "HEAD")

    def starts(self, workflow: str, event: Event) -> Mapping[str, JobResult]:
        """Runs a workflow as it stands on the branch of the event."""
        sha = event.sha or _run(["git", "rev-parse", event.ref], self.stand.repository.git, os.environ).strip()
        text = _run(["git", "show", f"{sha}:.github/workflows/{workflow}.yml"], self.stand.repository.git, os.environ)
        file = self.folder / f"{workflow}.yml"
        file.write_text(text)
        full = Event(event.name, event.payload, event.inputs, event.ref, sha)
        keep = lambda name, branch, packed: self.host.github.control(artifact={"name": name, "branch": branch, "packed": packed})  # noqa: E731
        return Run(file, full, self.stand, actions.standing_in(CLONE / ".venv", keep)).run()

    def by_hand(self, workflow: str, **inputs: Any) -> Mapping[str, JobResult]:
        """Runs a workflow by hand on the default branch."""
        return self.starts(workflow, Event("workflow_dispatch", inputs=inputs))

    def live(self) -> dict[str, str]:
        """Service → the release that production's host serves."""
        root = self.host.root
        return {path.parent.parent.name: os.readlink(link).rsplit("/", 1)[-1] for path, link in self._links(root)}

    def _links(self, root: Path) -> Iterator[tuple[Path, Path]]:
        catalogue = yaml.safe_load((self.folder / "work/mo-deploy/catalog/services.yaml").read_text())["services"]
        for name in SERVICES:
            yield root / ".deploy" / name / "releases" / "x", root / catalogue[name]["path"]


def _run(command: list[str], folder: Path, environment: Mapping[str, str], given: str | None = None) -> str:
    done = subprocess.run(command, cwd=folder, env=dict(environment), input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@contextmanager
def prepared() -> Iterator[Scene]:
    """Everything in place and nothing deployed yet; all of it goes at the end."""
    with ExitStack() as stack:
        base, own = stack.enter_context(free_base()), stack.enter_context(free_base())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mo-rehearsal-", dir="/var/tmp")))
        os.chmod(folder, 0o755)
        _repositories(folder)
        layout = Layout(folder / "production", folder / "work/mo-deploy", base)
        stack.callback(lifecycle.down, layout)
        host = Sandbox(lifecycle.up(layout, link=False))
        machine = {
            "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache")),
            "MO_SANDBOX_PORT": str(own),
        }
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("PULUMI_", "MO_", "GIT_"))},
            **machine,
        }
        signing = Ed25519PrivateKey.generate()
        secrets = _production(folder, host, environment, signing)
        stand = Stand(
            Repository(f"{OWNER}/{REPOSITORY}", folder / "git/mo-deploy.git"),
            {MONOREPO: Repository(MONOREPO, folder / "git/monorepo.git")},
            folder,
            lambda name: _secrets(name, host, secrets),
            lambda name: {"PULUMI_BACKEND_URL": f"file://{folder}/state"} if name else {"MONOREPO": MONOREPO},
            {**machine, "MO_SANDBOX_DIR": "{machine}/sandbox"},
        )
        stand.ends.append(_end_sandbox)
        token = host.site.passwords["github-token"]
        port = layout.port("github")
        stand.machine = {**stand.machine, **stack.enter_context(gh.listening(folder, port, stand.token, token, stand.permissions))}
        scene = Scene(folder, host, stand, environment, secrets)
        _laptop(scene, signing)
        stack.callback(lifecycle.down, Layout(scene.laptop / "sandbox", scene.laptop / "mo-deploy", own))
        yield scene


def _end_sandbox(machine: Path) -> None:
    if (machine / "sandbox").is_dir():
        lifecycle.down(Layout(machine / "sandbox", machine / "workspace/mo-deploy"))


def _secrets(environment: str, host: Sandbox, own: Mapping[str, str]) -> dict[str, str]:
    """What jobs of an environment see: what the stack wrote into GitHub, and what its owner did."""
    if not environment:
        return {"MONOREPO_TOKEN": "monorepo-token-canary-92d0"}
    written = host.github.secrets().get(environment.removesuffix("-drift"), {}) if environment == "production" else {}
    return {**written, **own}


def _repositories(folder: Path) -> None:
    """``git/<name>.git`` and a person's clone in ``work/<name>`` of both."""
    (folder / "git").mkdir()
    (folder / "work").mkdir()
    work = folder / "work/mo-deploy"
    subprocess.run(["git", "clone", "-q", str(CLONE), str(work)], check=True)
    brought(work)
    _small(work)
    monorepo = folder / "work/monorepo"
    for part in ("website", "services/status", "services/consent", "shared"):
        shutil.copytree(CLONE / "sandbox/monorepo" / part, monorepo / part, symlinks=True)
    (monorepo / "TODO.md").write_text("- [ ] Deployment production\n- [ ] Deployment staging\n")
    _run(["git", "init", "-q", "-b", "main"], monorepo, os.environ)
    for name in ("mo-deploy", "monorepo"):
        bare = folder / f"git/{name}.git"
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(bare)], check=True)
        _run(["git", "config", "uploadpack.allowAnySHA1InWant", "true"], bare, os.environ)
        clone = folder / "work" / name
        subprocess.run(["git", "-C", str(clone), "remote", "remove", "origin"], check=False, capture_output=True)
        _run(["git", "remote", "add", "origin", f"file://{bare}"], clone, os.environ)
        _run(["git", "checkout", "-q", "-B", "main"], clone, os.environ)
        _run(["git", "add", "-A"], clone, os.environ)
        _run(["git", "commit", "-q", "-m", "A small production"], clone, {**os.environ, **_AUTHOR})
        _run(["git", "push", "-q", "origin", "main"], clone, os.environ)


def _small(clone: Path) -> None:
    """The catalogue, the gates and the pack of an organisation with three services."""
    catalogue = clone / "catalog/services.yaml"
    document = yaml.safe_load(catalogue.read_text())
    document["services"] = {name: document["services"][name] for name in SERVICES}
    catalogue.write_text(json.dumps(document, indent=1))
    _replace(
        clone / "policy/rules/gates.py",
        '"default": {"production": _EVERY, "staging": _EVERY}',
        f'"default": {{"production": {GATES}}}',
    )
    _replace(
        clone / "policy/rules/platform.py",
        '"default": {"production": _PRODUCTION, "staging": ["api_stg", "admin_stg"]}',
        f'"default": {{"production": {list(SERVICES)}}}',
    )
    stack = clone / "Pulumi.sandbox.yaml"
    document = yaml.safe_load(stack.read_text())
    document["config"]["mo:gates"]["required"] = ["personal-data", "privacy-policy"]
    stack.write_text(yaml.safe_dump(document, sort_keys=False))


def _replace(file: Path, former: str, text: str) -> None:
    whole = file.read_text()
    assert whole.count(former) == 1, former
    file.write_text(whole.replace(former, text))


def _production(folder: Path, host: Sandbox, environment: Mapping[str, str], signing: Ed25519PrivateKey) -> dict[str, str]:
    """Sets production's stack up, as its first operator does, and commits it; the secrets that only the owner has."""
    work, values = folder / "work/mo-deploy", overlay(host.site)
    values["host"].pop("keyFile")
    shutil.copyfile(host.layout.ca, work / "production-ca.pem")
    values["edge"]["caFile"] = "production-ca.pem"
    public = signing.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw).hex()
    config = {
        "domain": "mo.localhost",
        "host": values["host"],
        "edge": values["edge"],
        "servers": {
            "external-mariadb": values["servers"]["external-mariadb"],
            "external-postgresql": {**values["servers"]["external-postgresql"], "caFile": "production-ca.pem"},
        },
        "mail": values["mail"],
        "github": {**values["github"], "environment": "production", "reviewers": [1], "writeDelayMs": 1},
        "gates": {"required": GATES, "repository": MONOREPO},
        "provenance": {"signers": [public]},
        "window": {"outside": "warn"},
        "allowFileBackend": True,
        "validation": {"parts": ["end-to-end"], "flows": ["consent"]},
        "todo": {"item": "Deployment {stack}"},
    }
    (work / "Pulumi.production.yaml").write_text(yaml.safe_dump({"config": {f"mo:{key}": value for key, value in config.items()}}))
    (folder / "state").mkdir(mode=0o700)
    (work / ".venv").symlink_to(CLONE / ".venv")
    own = {**environment, "PULUMI_BACKEND_URL": f"file://{folder}/state", "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE}
    secrets_workflow = _run([".venv/bin/python", "-m", "operations.workflow_secrets"], work, own)  # what ``make docs`` does
    (work / ".github/workflows/secrets.yml").write_text(secrets_workflow)
    _run(["bin/pulumi", "stack", "init", "production"], work, own)
    for key in ("githubToken", "smtpUser", "smtpPassword", "externalMariadbAdminPassword"):
        _run(["bin/pulumi", "config", "set", "--stack", "production", "--secret", f"mo:{key}"], work, own, values["secrets"][key])
    _run(["git", "add", "-A"], work, os.environ)
    _run(["git", "commit", "-q", "-m", "The stack production"], work, {**os.environ, **_AUTHOR})
    _run(["git", "push", "-q", "origin", "main"], work, os.environ)
    pem = signing.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    return {
        "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
        "MO_GITHUB_TOKEN": values["secrets"]["githubToken"],
        "MO_SIGNING_KEY": pem,
        "SSH_PRIVATE_KEY": host.layout.key.read_text(),
    }


def _laptop(scene: Scene, signing: Ed25519PrivateKey) -> None:
    """Monorepo and mo-deploy side by side, as the runbook begins, with the key that signs."""
    scene.laptop.mkdir()
    for name in ("monorepo", "mo-deploy"):
        subprocess.run(["git", "clone", "-q", f"file://{scene.folder}/git/{name}.git", str(scene.laptop / name)], check=True)
    (scene.laptop / "mo-deploy/.venv").symlink_to(CLONE / ".venv")
    (scene.laptop / "passphrase").write_text(PASSPHRASE + "\n")
    key = scene.laptop / "mo-deploy/.mo/signing.pem"
    key.parent.mkdir()
    key.touch(0o600)
    key.write_bytes(
        signing.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
