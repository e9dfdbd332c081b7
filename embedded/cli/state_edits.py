"""``stack export`` and ``import``, ``stack change-secrets-provider``, and the edits of ``pulumi state`` that this engine has."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from embedded.cli.context import Context, note, say
from embedded.cli.stack_views import blind, decrypter
from embedded.cli.text import pretty
from embedded.model import Snapshot
from embedded.settings import StackSettings, has_secure, revealed
from embedded.state import files
from embedded.state.backend import StackName
from embedded.state.checkpoint import Checkpoint, check_version, decode_deployment, version_of
from embedded.state.encryption import Crypter
from embedded.state.errors import NotSupportedError, StateError
from embedded.state.session import locked_by
from embedded.values import SIGNATURE_KEY

ROOT = "pulumi:pulumi:Stack"


def export(context: Context) -> None:
    """The stack's state as JSON; a file with secrets in clear has the mode 600."""
    stack = context.stack()
    if context.arguments.text("version"):
        raise StateError(f"the current backend ({os.uname().nodename}) does not provide the ability to export previous deployments")
    checkpoint = context.backend.current(stack)
    deployment = checkpoint.deployment
    if deployment is not None and context.arguments.on("show-secrets"):
        deployment = _plain(deployment, decrypter(context, checkpoint))
    text = pretty({**version_of(deployment), "deployment": deployment or {}}, 4)
    path = context.arguments.text("file")
    if path:
        shown = context.arguments.on("show-secrets")
        place = Path(os.path.realpath(path))
        if shown and (place.is_file() or not place.exists()):
            files.replace(place, (text + "\n").encode(), mode=0o600)
        else:
            place.write_text(text + "\n", encoding="utf-8")
    else:
        say(text)


def _plain(value: Any, decrypt: Callable[[str], str]) -> Any:
    """Undecoded state with ``plaintext`` in place of ``ciphertext``."""
    if isinstance(value, dict):
        if isinstance(value.get("ciphertext"), str) and len(value) == 2:
            return {SIGNATURE_KEY: value.get(SIGNATURE_KEY), "plaintext": decrypt(value["ciphertext"])}
        return {key: _plain(item, decrypt) for key, item in value.items()}
    return [_plain(item, decrypt) for item in value] if isinstance(value, list) else value


def import_(context: Context) -> None:
    """Replaces the stack's state by an exported one; plain secrets in it are encrypted."""
    stack = context.stack()
    path = context.arguments.text("file")
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8") if path else sys.stdin.read())
    except OSError as problem:
        raise StateError(f"could not open file: {problem.strerror}") from None
    except (ValueError, RecursionError):
        raise StateError("could not read the deployment: it is not whole JSON, as `pulumi stack export` writes it") from None
    if not isinstance(document, dict) or not isinstance(document.get("deployment"), dict):
        raise StateError(
            "could not read the deployment: expected an object with 'version' and 'deployment', as `pulumi stack export` writes it"
        )
    if document.get("version") not in (3, 4):
        raise StateError(
            f"the deployment has the version {document.get('version')}; this engine knows 3 and 4 (the Pulumi CLI does the others)"
        )
    try:
        check_version(document)
    except StateError as problem:
        raise StateError(f"the deployment {problem}") from None
    deployment = document["deployment"]
    settings = context.settings(stack) if context.found_project else StackSettings(Path("Pulumi.yaml"))
    _check_import(context, stack, deployment)
    imported = Checkpoint(stack.qualified, deployment)
    own = locked_by(context.unlock, imported)
    snapshot = decode_deployment(deployment, own.decrypt if own else blind)
    salt = context.salt(stack, settings)
    crypter = context.unlock(salt) if salt else own
    with context.backend.lock(stack):
        context.backend.recover(stack)
        current = context.backend.current(stack)
        for operation in snapshot.pending:
            note(f"warning: removing pending operation '{operation.type}' on '{operation.resource.urn}' from snapshot")
        snapshot = Snapshot(snapshot.resources)
        checkpoint = imported.updated(snapshot, crypter.encrypt if crypter else None, crypter.encryption_salt if crypter else None)
        context.backend.save(stack, Checkpoint(current.stack, checkpoint.deployment, current.extra))
    say("Import complete.")


def _check_import(context: Context, stack: StackName, deployment: dict[str, Any]) -> None:
    foreign = [
        r
        for r in deployment.get("resources") or []
        if isinstance(r, dict) and not str(r.get("urn", "")).startswith(f"urn:pulumi:{stack.name}::")
    ]
    for resource in foreign:
        note(f"warning: resource '{resource.get('urn')}' does not appear to belong to this stack")
    if foreign and not context.arguments.on("force"):
        raise StateError("importing this file could be dangerous; rerun with --force to proceed anyway")


def change_secrets_provider(context: Context) -> None:
    """Encrypts settings and state anew, with a passphrase read from the terminal or standard input."""
    stack = context.stack()
    if context.arguments.positional[:1] != ["passphrase"]:
        raise NotSupportedError(f"the secrets provider {next(iter(context.arguments.positional), '')!r}")
    settings = context.settings(stack)
    old = context.crypter(stack, settings)
    if context.interactive:
        import getpass

        first, second = (
            getpass.getpass("Enter your new passphrase to protect config/secrets: "),
            getpass.getpass("Re-enter your new passphrase: "),
        )
    else:
        first, second = sys.stdin.readline().rstrip("\n"), sys.stdin.readline().rstrip("\n")
    if first != second:
        raise StateError("passphrases do not match")
    new = Crypter.create(first)
    say("Migrating old configuration and state to new secrets provider")
    for key, value in list(settings.config.items()):
        if has_secure(value):
            settings.set(key, revealed(value, old, lambda text: {"secure": new.encrypt(text)}))
    settings.salt = new.encryption_salt
    with context.backend.lock(stack):
        context.backend.recover(stack)
        checkpoint = context.backend.current(stack)
        snapshot = checkpoint.snapshot(decrypter(context, checkpoint))
        context.backend.save(stack, checkpoint.updated(snapshot, new.encrypt, new.encryption_salt))
    settings.save()


def _edit(context: Context, change: Callable[[dict[str, Any]], None]) -> None:
    stack = context.stack()
    with context.backend.lock(stack):
        context.backend.recover(stack)
        checkpoint = context.backend.current(stack)
        change(checkpoint.deployment or {})
        context.backend.save(stack, checkpoint)


def _named(context: Context, deployment: dict[str, Any]) -> list[dict[str, Any]]:
    resources: list[dict[str, Any]] = deployment.get("resources") or []
    if context.arguments.on("all"):
        return resources
    chosen = []
    for urn in context.arguments.positional:
        found = [r for r in resources if r["urn"] == urn]
        if not found:
            raise StateError(f'No such resource "{urn}" exists in the current state')
        chosen += found
    return chosen


def unprotect(context: Context) -> None:
    """Takes the protection off resources."""

    touched: list[dict[str, Any]] = []

    def change(deployment: dict[str, Any]) -> None:
        for resource in _named(context, deployment):
            touched.append(resource)
            resource.pop("protect", None)

    _edit(context, change)
    say("All resources unprotected" if context.arguments.on("all") else f"{len(touched)} resources unprotected")


def protect(context: Context) -> None:
    """Protects resources."""

    touched: list[dict[str, Any]] = []

    def change(deployment: dict[str, Any]) -> None:
        for resource in _named(context, deployment):
            touched.append(resource)
            resource["protect"] = True

    _edit(context, change)
    say("All resources protected" if context.arguments.on("all") else f"{len(touched)} resources protected")


def _depending(deployment: dict[str, Any], gone: set[str]) -> list[dict[str, Any]]:
    """The resources that need one of ``gone``, or one that does: as parent, dependency, provider, or what they are deleted with."""
    within, found = set(gone), []
    for resource in deployment.get("resources") or []:
        needed = {resource.get("parent"), resource.get("deletedWith"), *resource.get("dependencies", [])}
        needed |= {urn for urns in (resource.get("propertyDependencies") or {}).values() for urn in urns or ()}
        needed.add(str(resource.get("provider", "")).rpartition("::")[0])
        if resource["urn"] not in within and needed & within:
            within.add(resource["urn"])
            found.append(resource)
    return found


def state_delete(context: Context) -> None:
    """Forgets a resource without deleting what it stands for."""

    def change(deployment: dict[str, Any]) -> None:
        chosen = _named(context, deployment)
        gone = {r["urn"] for r in chosen}
        dependents = _depending(deployment, gone)
        doomed = [*chosen, *dependents] if context.arguments.on("target-dependents") else chosen
        for resource in doomed:
            if resource.get("protect") and not context.arguments.on("force"):
                raise StateError(
                    f"{resource['urn']} can't be safely deleted because it is protected. "
                    "Re-run this command with --force to force deletion"
                )
        if dependents and doomed is chosen:
            name = {r["urn"]: json.dumps(r["urn"].rpartition("::")[2]) for r in dependents}
            listed = "".join(f" * {name[r['urn']]:<15} ({r['urn']})\n" for r in dependents)
            raise StateError(
                f"{chosen[0]['urn']} can't be safely deleted because the following resources depend on it:\n{listed}\n"
                "Delete those resources first or pass --target-dependents."
            )
        gone = {r["urn"] for r in doomed}
        deployment["resources"] = [r for r in deployment.get("resources") or [] if r["urn"] not in gone]

    _edit(context, change)
    say("Resource deleted")
