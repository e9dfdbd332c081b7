"""The stack's settings: everything that only its owner has, at once, whether or not its state can be reached."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from catalog import reader, secret_names, settings_file
from catalog.provenance import OWN_KEY
from catalog.settings import ProvenanceSettings
from catalog.settings_file import SECRET_KEYS, SECRET_MAPS, Loaded, SettingsError
from components import backend
from operations import left_out
from operations import settings as decrypted
from operations.doctor.finding import Finding
from operations.problem import Problem
from operations.project import StackFile

PLACEHOLDER = "(encrypted)"


def look(root: Path, stack: str, file: StackFile) -> tuple[list[Finding], Loaded | None]:
    """The findings, and the settings where they are complete."""
    findings = [*_state(root, stack, file), *_in_clear(stack, file)]
    try:
        loaded = decrypted.load(root, stack)
    except SettingsError as error:
        return [*findings, *_told(stack, error)], None
    except Problem as problem:
        # Without the state or its passphrase the file still tells what is not in it.
        if not any(finding.good is False for finding in findings):
            findings.append(Finding("state", False, str(problem)))
        try:
            settings_file.load(_raw(file.settings), root, stack)
        except SettingsError as error:
            findings += _told(stack, error)
        return findings, None
    findings.append(Finding("settings", True, f"complete for {stack}"))
    findings += _values(stack, loaded)
    if stack != "sandbox" and not loaded.settings.github.reviewers:
        findings.append(
            Finding(
                "reviewers",
                None,
                "mo:github.reviewers names nobody: whoever may start the workflow deploys without a second pair of eyes",
            )
        )
    findings += _signing(root, stack, loaded.settings.provenance)
    findings += [Finding(name, None, said) for name, said in left_out.of(loaded.settings, stack).items()]
    return findings, loaded


def _values(stack: str, loaded: Loaded) -> Iterator[Finding]:
    """What the catalogue's services read and only the owner can give."""
    catalog = reader.read()
    services = catalog.of_stack(stack, loaded.settings.services)
    lacking = secret_names.missing(catalog, services, loaded.secrets.application, loaded.settings.values)
    for name, keys in lacking.items():
        way = secret_names.way_to_set(stack, name, catalog.secrets[name])
        yield Finding("secrets", False, f"{name}, which {', '.join(keys)} read, is not set: {way}")


def _signing(root: Path, stack: str, provenance: ProvenanceSettings) -> Iterator[Finding]:
    """Whether what this machine builds may be deployed."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        own = (root / OWN_KEY).read_text("ascii").strip()
        if provenance.signers and own not in provenance.signers:
            key = f"'mo:provenance.signers[{len(provenance.signers)}]' {own}"
            way = f"have the workflow deploy build, or: bin/pulumi config set --stack {stack} --path {key}"
            text = "mo:provenance.signers does not name this machine's key, so what it builds is not deployed"
            yield Finding("signers", None, f"{text}: {way}")


def _state(root: Path, stack: str, file: StackFile) -> list[Finding]:
    """Backend and passphrase, as far as they can be judged without asking the engine."""
    if stack == "sandbox" and "PULUMI_BACKEND_URL" not in os.environ:
        return []  # bin/pulumi takes both from the sandbox
    address = backend.address(os.environ, root)
    findings = []
    if not address:
        findings.append(Finding("backend", False, "none was chosen; bin/pulumi login ADDRESS (docs/state.md says which)"))
    elif backend.kind(os.environ, root) == "file" and file.settings.get("allowFileBackend") is not True:
        findings.append(
            Finding("backend", False, f"{address} lies on this machine alone, which {stack} refuses; choose one by docs/state.md")
        )
    else:
        findings.append(Finding("backend", True, address))
    # Pulumi Cloud encrypts by itself, unless the file says otherwise.
    if ("encryptionsalt" in file.whole or not address.startswith("https://")) and "secretsprovider" not in file.whole:
        known = "PULUMI_CONFIG_PASSPHRASE" in os.environ or "PULUMI_CONFIG_PASSPHRASE_FILE" in os.environ
        way = "export PULUMI_CONFIG_PASSPHRASE_FILE=… (mode 600; it is in the password manager)"
        findings.append(Finding("passphrase", known, "set" if known else f"is not set; {way}"))
    return findings


def _in_clear(stack: str, file: StackFile) -> list[Finding]:
    """Secrets that were set without ``--secret``."""
    clear = {key: f"mo:{key}" for key in SECRET_KEYS if isinstance(file.settings.get(key), str)}
    for several in SECRET_MAPS:
        found = file.settings.get(several)
        if isinstance(found, Mapping):
            within = [f"{several}.{name}" for name, value in found.items() if not isinstance(value, Mapping)]
            clear |= {key: f"--path 'mo:{key}'" for key in within}
    return [
        Finding(
            key,
            False,
            f"stands in clear in {file.path.name}; set a new one: bin/pulumi config set --stack {stack} --secret {setting} "
            "(the old one may be in git's history)",
        )
        for key, setting in clear.items()
    ]


def _told(stack: str, error: SettingsError) -> list[Finding]:
    """Each missing setting with its command; whatever else is wrong as it was said."""
    others = [text for text in error.problems if not text.startswith((f"The stack {stack} lacks ", "  "))]
    return [
        *(Finding("settings", False, text) for text in others),
        *(Finding("settings", False, f"mo:{key} is missing: {command}") for key, command in error.missing.items()),
    ]


def _raw(settings: Mapping[str, Any]) -> dict[str, str]:
    """The file's settings as a program gets them, with a placeholder for what is encrypted."""
    return {
        key: value if isinstance(value, str) else json.dumps(_plain(value)) for key, value in settings.items() if value is not None
    } | {key: PLACEHOLDER for key, value in settings.items() if isinstance(value, Mapping) and set(value) == {"secure"}}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return PLACEHOLDER if set(value) == {"secure"} else {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value
