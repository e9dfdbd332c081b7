"""This machine: its programs, the SSH key, the monorepo, and files that only their owner may read."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from catalog import secret_names
from catalog.settings import HostSettings, StackSettings
from catalog.settings_file import Loaded
from operations.doctor.finding import Finding

PROGRAMS = ("ssh", "rsync", "git")
NOT_SECRET = (".pub",)


def programs() -> list[Finding]:
    """The programs that every command needs here, and the engine."""
    found = [(name, shutil.which(name)) for name in PROGRAMS]
    findings = [
        Finding(name, place is not None, place or "is not on this machine; install it: apt-get install " + _package(name))
        for name, place in found
    ]
    forced = os.environ.get("PULUMI_ENGINE")
    cli = shutil.which("pulumi") if forced != "embedded" else None
    return [*findings, Finding("engine", None, f"Pulumi CLI {cli}" if cli else "the embedded engine (file:// backends only)")]


def _package(name: str) -> str:
    return "openssh-client" if name == "ssh" else name


def monorepo(root: Path, stack: str, settings: Mapping[str, Any]) -> Finding:
    """Where the services' sources lie; building and gates need them, a deploy does not."""
    source = (root / str(settings.get("source") or StackSettings.model_fields["source"].default)).resolve()
    if source.is_dir():
        return Finding("monorepo", True, str(source))
    way = f"clone it there, or: bin/pulumi config set --stack {stack} mo:source FOLDER"
    return Finding("monorepo", None, f"{source} is missing; build and gates need it: {way}")


NEEDED = {
    "trivy": (("trivy", "go"), "install Trivy (https://trivy.dev), or Go to build it with"),
    "phpstan": (("phpstan",), "composer require --dev phpstan/phpstan in the monorepo"),
}
"""A gate → the programs of which ``bin/mo gates --run`` takes one from this machine, and how it comes here."""
PHPSTAN = "vendor/bin/phpstan"


def gates(root: Path, settings: Mapping[str, Any]) -> list[Finding]:
    """What the required gates' tools lack here. The workflow brings its own, so that it is no fault of a deploy from there."""
    required = (settings.get("gates") or {}).get("required") or ()
    source = root / str(settings.get("source") or StackSettings.model_fields["source"].default)
    lacking = []
    for gate, (programs, way) in NEEDED.items():
        there = any(map(shutil.which, programs)) or (
            gate == "phpstan" and any((*source.glob(PHPSTAN), *source.glob(f"*/{PHPSTAN}")))
        )
        if gate in required and not there:
            lacking.append(f"{gate}: {way}")
    for gate, secret in secret_names.BY_GATE.items():
        if gate in required and not os.environ.get(secret.name):
            lacking.append(f"{gate}: export {secret.name}=… (of the service's account page)")
    told = [f"gate {text}; without it `bin/mo gates --run` leaves it red on this machine" for text in lacking]
    return [Finding("gates", None, text) for text in told]


def permissions(root: Path, settings: Mapping[str, Any], fix: bool) -> list[Finding]:
    """Whether others may read what holds secrets here; with ``fix``, they may not any more."""
    findings = []
    for path, mode in sorted(_private(root, settings)):
        shown = path.relative_to(root) if path.is_relative_to(root) else path
        try:
            if not stat.S_IMODE(path.stat().st_mode) & 0o077:
                continue
            if fix:
                path.chmod(mode)
                findings.append(Finding("permissions", True, f"{shown} was readable by others; it is {mode:o} now"))
            else:
                way = "bin/mo doctor --fix"
                findings.append(
                    Finding("permissions", False, f"{shown} holds secrets and others may read it: {way} (chmod {mode:o})")
                )
        except FileNotFoundError:
            continue
        except OSError as error:
            findings.append(Finding("permissions", False, f"{shown} cannot be made {mode:o}: {error.strerror}; ask its owner"))
    return findings or [Finding("permissions", True, "nobody else may read the files here that hold secrets")]


def _private(root: Path, settings: Mapping[str, Any]) -> Iterator[tuple[Path, int]]:
    """The files and folders that must be their owner's alone, each with its mode."""
    own = root / ".mo"
    if own.is_dir():
        yield own, 0o700
        for entry in own.iterdir():
            if entry.is_file() and entry.suffix not in NOT_SECRET:
                yield entry, 0o600
            elif (entry / "connection.json").is_file():
                yield entry, 0o700
                yield from ((inner, 0o600) for inner in entry.iterdir() if inner.is_file())
    host = settings.get("host")
    named = [settings.get("settingsFile"), host.get("keyFile") if isinstance(host, Mapping) else None]
    named.append(os.environ.get("PULUMI_CONFIG_PASSPHRASE_FILE"))
    for name in named:
        if isinstance(name, str) and name:
            path = (root / Path(name).expanduser()).resolve()
            if path.is_file():
                yield path, 0o600


def ssh_key(root: Path, stack: str, loaded: Loaded) -> Finding:
    """The private key that a login uses: there, whole, and without a passphrase that nobody could type in CI."""
    host = loaded.settings.host
    way = _key_way(stack)
    if loaded.secrets.ssh_private_key is not None:
        path, shown = root / ".mo" / stack / "ssh-key", "mo:sshPrivateKey"
    elif host.key_file is not None:
        path = root / Path(host.key_file).expanduser()
        shown = str(path)
    else:
        return _agent(way)
    if not path.is_file():
        return Finding("SSH key", False, f"{shown} is not there; {way}")
    done = subprocess.run(
        ["ssh-keygen", "-y", "-P", "", "-f", str(path)], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        why = "others may read it (chmod 600)" if "too open" in done.stderr else "it is no private key without a passphrase"
        return Finding("SSH key", False, f"{shown} cannot be used: {why}; {way}")
    return Finding("SSH key", True, f"{shown}, {' '.join(fingerprints([done.stdout.strip()]))}")


def named_key(stack: str, settings: Mapping[str, Any]) -> list[Finding]:
    """Whether the stack's file, not decrypted, names a key or an agent has one; what ``ssh_key`` says where the settings are complete."""
    host = settings.get("host")
    named = settings.get("sshPrivateKey") or (isinstance(host, Mapping) and host.get("keyFile"))
    return [] if named else [_agent(_key_way(stack))]


def _key_way(stack: str) -> str:
    return f"set mo:host keyFile, or: bin/pulumi config set --stack {stack} --secret mo:sshPrivateKey < KEY"


def _agent(way: str) -> Finding:
    if "SSH_AUTH_SOCK" not in os.environ:
        return Finding("SSH key", False, f"there is none: neither mo:sshPrivateKey, nor mo:host keyFile, nor an SSH agent; {way}")
    done = subprocess.run(["ssh-add", "-l"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return Finding("SSH key", False, f"the SSH agent holds none (ssh-add KEY); or {way}")
    return Finding("SSH key", True, f"{len(done.stdout.splitlines())} in the SSH agent")


def pinned(host: HostSettings) -> Finding:
    """The host keys that a login accepts."""
    found = fingerprints(host.host_keys)
    if len(found) == len(host.host_keys):
        return Finding("host key", True, f"pinned: {', '.join(found)}")
    way = f"set them to what `ssh-keyscan -p {host.port} {host.address}` shows, once the hoster has confirmed it"
    return Finding("host key", False, f"mo:host hostKeys holds what is no public key like 'ssh-ed25519 AAAA…'; {way}")


def fingerprints(keys: list[str] | tuple[str, ...]) -> list[str]:
    """SHA-256 fingerprint and kind of each public key; those that are none are left out."""
    found = []
    for key in keys:
        done = subprocess.run(["ssh-keygen", "-lf", "-"], input=key + "\n", capture_output=True, text=True, check=False)
        words = done.stdout.split()
        if done.returncode == 0 and len(words) > 2:
            found.append(f"{words[1]} {words[-1]}")
    return found
