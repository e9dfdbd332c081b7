"""``pulumi stack`` and its subcommands, ``cancel``, and the edits of ``pulumi state`` that this project needs."""

from __future__ import annotations

import json
import shlex
import socket
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from embedded.cli.configuration import copy_config, shown, stored
from embedded.cli.context import Context, note, say
from embedded.cli.text import ago, instant, milliseconds, pretty, table
from embedded.model import ResourceState
from embedded.settings import StackSettings, has_secure, revealed
from embedded.state.backend import StackName
from embedded.state.checkpoint import Checkpoint, decode_deployment, encode_value
from embedded.state.encryption import Crypter
from embedded.state.errors import NotSupportedError, StackNotFoundError, StateError
from embedded.state.session import locked_by
from embedded.values import SIGNATURE_KEY, PropertyMap, PropertyValue, Secret

ROOT = "pulumi:pulumi:Stack"


def init(context: Context) -> None:
    """Makes a stack, its settings with a salt, and selects it."""
    provider = context.arguments.text("secrets-provider")
    if provider not in (None, "", "default", "passphrase"):
        raise NotSupportedError(f"the secrets provider {str(provider).split(':', maxsplit=1)[0]!r}")
    given = context.arguments.positional or [context.arguments.text("stack") or ""]
    if not given[0]:
        if not context.interactive:
            raise StateError("missing stack name")
        given = [input("Please enter your desired stack name: ")]
    _create(context, context.parse(given[0]))
    if source := context.arguments.text("copy-config-from"):
        old = context.stack(source)
        settings = StackSettings.load(context.project.settings_path(old.name))
        copy_config(context, old, settings, context.parse(given[0]), [])


def _create(context: Context, stack: StackName) -> None:
    backend = context.backend
    if backend.exists(stack):
        raise StateError(f"stack '{stack.qualified}' already exists")
    settings = None
    if context.found_project:
        settings = StackSettings.load(context.settings_path(stack))
        salt = context.crypter(stack, settings).encryption_salt
    else:
        salt = Crypter.create(context.passphrase).encryption_salt
    backend.create(stack, salt)
    if settings:
        settings.save()
    if not context.arguments.on("no-select"):
        context.select(stack)
    note(f"Created stack '{stack}'")


def select(context: Context) -> None:
    """Selects a stack, or makes it with ``--create``."""
    given = [*context.arguments.positional, context.arguments.text("stack") or ""]
    if not given[0]:
        raise StateError("no stack selected; please use `pulumi stack select` to choose one")
    stack = context.parse(given[0])
    if not context.backend.exists(stack):
        if not context.arguments.on("create"):
            raise StackNotFoundError(given[0])
        _create(context, stack)
    context.select(stack)


def unselect(context: Context) -> None:
    """Selects no stack."""
    if context.current() is not None:
        context.select(None)
        note("Stack was unselected")


def _last_update(checkpoint: Checkpoint) -> datetime | None:
    text = (checkpoint.deployment or {}).get("manifest", {}).get("time", "")
    try:
        return instant(text)
    except (ValueError, AttributeError):
        return None


def ls(context: Context) -> None:
    """The stacks of the project, or all."""
    project = context.arguments.text("project") or (context.found_project.name if context.found_project else None)
    everywhere = context.arguments.on("all") or project is None
    current = context.current()
    rows, listing = [], []
    for stack in context.backend.stacks(None if everywhere else project):
        checkpoint = context.backend.current(stack)
        updated = _last_update(checkpoint)
        here = context.found_project is not None and stack.project == context.found_project.name
        name = stack.name if here or not everywhere else stack.qualified
        entry: dict[str, Any] = {"name": name, "current": stack == current}
        if updated:
            entry["lastUpdate"] = milliseconds(updated)
        listing.append(entry | {"resourceCount": len(checkpoint.resources)})
        rows.append([name + ("*" if stack == current else ""), ago(updated) if updated else "n/a", str(len(checkpoint.resources))])
    say(pretty(listing) if context.arguments.on("json") else table(["NAME", "LAST UPDATE", "RESOURCE COUNT"], rows))


def _confirm(context: Context, warning: str, word: str, what: str) -> None:
    if context.arguments.on("yes") or context.truthy("PULUMI_SKIP_CONFIRMATIONS"):
        return
    if not context.interactive:
        raise StateError(f"{what} must be confirmed: pass --yes in non-interactive mode")
    say(warning)
    if input(f"Please confirm that this is what you'd like to do by typing `{word}`: ").strip() != word:
        raise StateError("confirmation declined")


def rm(context: Context) -> None:
    """Removes a stack that has no resources (or with ``--force`` any), and its settings file."""
    stack = context.stack(*context.arguments.positional[:1])
    remaining = [r for r in context.backend.current(stack).resources if r.get("type") != ROOT]
    if remaining and not context.arguments.on("force"):
        raise StateError(
            f"'{stack}' still has resources; removal rejected. Possible actions:\n"
            f"- Make sure that '{stack}' is the stack that you want to destroy\n"
            "- Run `pulumi destroy` to delete the resources, then run `pulumi stack rm`\n"
            "- Run `pulumi stack rm --force` to override this error"
        )
    _confirm(context, f"This will permanently remove the '{stack}' stack!", stack.name, "the removal")
    remove(context, stack, keep_settings=context.arguments.on("preserve-config"))
    say(f"Stack '{stack}' has been removed!")


def remove(context: Context, stack: StackName, *, keep_settings: bool) -> None:
    """Removes the stack, and its settings file unless they are kept; no stack is selected afterwards."""
    context.backend.remove(stack)
    if context.found_project and not keep_settings:
        context.settings_path(stack).unlink(missing_ok=True)
    context.select(None)


def rename(context: Context) -> None:
    """Renames the selected stack, its settings file, and selects it."""
    if len(context.arguments.positional) != 1:
        raise StateError(f"accepts 1 arg(s), received {len(context.arguments.positional)}")
    old = context.stack()
    new = context.parse(context.arguments.positional[0])
    source = context.settings_path(old)
    context.backend.rename(old, new)
    if source.exists() and not context.arguments.text("config-file"):
        source.rename(context.project.settings_path(new.name))
    context.select(new)
    say(f"Renamed {old} to {new}")


def cancel(context: Context) -> None:
    """Clears the locks of a stack, whoever holds them, and saves what a killed run of this engine had done."""
    from embedded.state import locks

    stack = context.stack(*context.arguments.positional[:1])
    _confirm(context, f"This will irreversibly cancel the currently running update for '{stack}'!", stack.name, "the cancellation")
    directory = context.backend.lock_directory(stack)
    alive = [path for path in locks.holders(directory) if locks.is_alive(path)]
    locks.clear(directory)
    if not alive and (warning := context.backend.recover(stack)):
        note(f"warning: {warning}")
    say(f"The currently running update for '{stack}' has been canceled!")


# -- outputs


def _masked(value: PropertyValue) -> PropertyValue:
    """``value`` with every secret as ``[secret]``."""
    if isinstance(value, Secret):
        return "[secret]"
    if isinstance(value, dict):
        return {key: _masked(item) for key, item in value.items()}
    return [_masked(item) for item in value] if isinstance(value, list) else value


def _revealed(value: PropertyValue) -> PropertyValue:
    if isinstance(value, Secret):
        return _revealed(value.value)
    if isinstance(value, dict):
        return {key: _revealed(item) for key, item in value.items()}
    return [_revealed(item) for item in value] if isinstance(value, list) else value


def _outputs(context: Context, stack: StackName) -> dict[str, Any]:
    checkpoint = context.backend.current(stack)
    reveal = context.arguments.on("show-secrets")
    roots = [r for r in checkpoint.resources if r.get("type") == ROOT and not r.get("delete")]
    if not roots:
        return {}
    decrypt = _decrypter(context, checkpoint) if reveal else _blind
    outputs: PropertyMap = decode_deployment({"resources": roots[-1:]}, decrypt).resources[0].outputs or {}
    encoded: dict[str, Any] = encode_value(_revealed(outputs) if reveal else _masked(outputs), None)
    return encoded


def _blind(_: str) -> str:
    return "null"


def _decrypter(context: Context, checkpoint: Checkpoint) -> Callable[[str], str]:
    crypter = locked_by(context.unlock, checkpoint)
    return crypter.decrypt if crypter else _blind


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _output_table(outputs: dict[str, Any]) -> str:
    if not outputs:
        return "Current stack outputs (0):\n    No output values currently in this stack"
    rows = [[key, _text(value)] for key, value in sorted(outputs.items())]
    return f"Current stack outputs ({len(rows)}):\n" + table(["OUTPUT", "VALUE"], rows, "    ")


def output(context: Context) -> None:
    """The stack's outputs, or one."""
    stack = context.stack()
    outputs = _outputs(context, stack)
    names = context.arguments.positional
    if context.arguments.on("json") and context.arguments.on("shell"):
        raise StateError("only one of --json and --shell may be set")
    if names:
        if names[0] not in outputs:
            raise StateError(f"current stack does not have output property '{names[0]}'")
        value = outputs[names[0]]
        text = pretty(value) if context.arguments.on("json") else _text(value)
        say(f"{names[0]}={_shell(text)}" if context.arguments.on("shell") else text)
    elif context.arguments.on("json"):
        say(pretty(outputs))
    elif context.arguments.on("shell"):
        for key, value in outputs.items():
            say(f"{key}={_shell(_text(value))}")
    else:
        say(_output_table(outputs))


def _shell(text: str) -> str:
    """A word for a shell: backslashes where they do, quotes where there is white space."""
    import re

    if not text or re.search(r"\s", text) or "'" in text:
        return shlex.quote(text)
    return re.sub(r"([^\w@%+=:,./}\]-])", r"\\\1", text)


def show(context: Context) -> None:
    """The stack's resources as a tree, and its outputs."""
    stack = context.stack()
    if context.arguments.on("show-name"):
        say(stack.name)
        return
    checkpoint = context.backend.current(stack)
    say(f"Current stack is {stack}:\n    Managed by {socket.gethostname()}")
    updated = _last_update(checkpoint)
    if updated and checkpoint.deployment:
        manifest = checkpoint.deployment["manifest"]
        seconds, _, fraction = manifest["time"].rstrip("Z").replace("T", " ").partition(".")
        say(f"    Last updated: {ago(updated)} ({seconds}{'.' if fraction else ''}{fraction.rstrip('0')} +0000 UTC)")
        say(f"    Pulumi version used: {manifest.get('version', '')}")
    say(f"Current stack resources ({len(checkpoint.resources)}):")
    if checkpoint.resources:
        say(_tree(context, decode_deployment({"resources": checkpoint.resources}, _blind).resources))
    else:
        say("    No resources currently in this stack")
    say("")
    say(_output_table(_outputs(context, stack)))
    if stack == context.current():
        say("\nUse `pulumi stack select` to change stack; `pulumi stack ls` lists known ones")


def _tree(context: Context, resources: list[ResourceState]) -> str:
    known = {r.urn for r in resources}
    children: dict[str, list[ResourceState]] = {}
    for resource in resources:
        children.setdefault(resource.parent if resource.parent in known else "", []).append(resource)
    root = next((r for r in children.get("", []) if r.type == ROOT), None)
    others = [r for r in children.get("", []) if r is not root]
    rows: list[tuple[str, str, list[str]]] = []

    def details(resource: ResourceState, margin: str) -> list[str]:
        lines = [f"{margin}URN: {resource.urn}"] if context.arguments.on("show-urns") else []
        return lines + ([f"{margin}ID: {resource.id}"] if context.arguments.on("show-ids") and resource.id else [])

    def add(resource: ResourceState, mark: str, margin: str) -> None:
        below = children.get(resource.urn, []) + (others if resource is root else [])
        below = [r for r in below if not r.type.startswith("pulumi:providers:")] + [
            r for r in below if r.type.startswith("pulumi:providers:")
        ]
        rows.append(
            (
                mark + resource.type,
                resource.urn.split("::")[-1],
                details(resource, margin + ("│  " if below else "   ") + ("   " if mark else "")),
            )
        )
        for child in below:
            last = child is below[-1]
            add(child, margin + ("└─ " if last else "├─ "), margin + ("   " if last else "│  "))

    for top in [root] if root else others:
        add(top, "", "")
    width = max(len(row[0]) for row in [("TYPE", "", []), *rows])
    lines = [f"    {'TYPE'.ljust(width)}  NAME"]
    for kind, name, extra in rows:
        lines += [f"    {kind.ljust(width)}  {name}", *(f"    {line}" for line in extra)]
    return "\n".join(lines)


# -- whole states


def export(context: Context) -> None:
    """The stack's state as JSON."""
    stack = context.stack()
    if context.arguments.text("version"):
        raise StateError(
            f"the current backend ({socket.gethostname()}) does not provide the ability to export previous deployments"
        )
    checkpoint = context.backend.current(stack)
    deployment = checkpoint.deployment
    if deployment is not None and context.arguments.on("show-secrets"):
        deployment = _plain(deployment, _decrypter(context, checkpoint))
    text = pretty({"version": 3, "deployment": deployment or {}}, 4)
    path = context.arguments.text("file")
    if path:
        Path(path).write_text(text + "\n", encoding="utf-8")
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
    if document.get("version") != 3:
        raise StateError(
            f"the deployment has the version {document.get('version')}; this engine knows version 3 (the Pulumi CLI does the others)"
        )
    deployment = document["deployment"]
    settings = context.settings(stack) if context.found_project else StackSettings(Path("Pulumi.yaml"))
    _check_import(context, stack, deployment)
    imported = Checkpoint(stack.qualified, deployment)
    own = locked_by(context.unlock, imported)
    snapshot = decode_deployment(deployment, own.decrypt if own else _blind)
    salt = context.salt(stack, settings)
    crypter = context.unlock(salt) if salt else own
    with context.backend.lock(stack):
        context.backend.recover(stack)
        current = context.backend.current(stack)
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


def history(context: Context) -> None:
    """The operations on the stack, newest first."""
    stack = context.stack()
    arguments = context.arguments
    entries = list(context.backend.history(stack))
    size = int(arguments.text("page-size") or 10)
    page = int(arguments.text("page") or 1)
    if size < 1 or page < 1:
        raise StateError("--page and --page-size must be greater than 0")
    entries = entries[(page - 1) * size : page * size]
    crypter = None
    if arguments.on("show-secrets") and any(has_secure(v) for e in entries for v in stored(e).values()):
        crypter = context.crypter(stack, context.settings(stack)) if context.found_project else None
    if arguments.on("json"):
        say(pretty([_history_entry(entry, crypter) for entry in entries]))
    elif not entries:
        say("Stack has never been updated")
    else:
        for entry in entries:
            say(_history_text(entry, arguments.on("full-dates")))


def _moment(seconds: Any) -> datetime:
    return datetime.fromtimestamp(int(seconds or 0), UTC)


def _history_entry(entry: dict[str, Any], crypter: Crypter | None) -> dict[str, Any]:
    config = {key: shown(_unobject(value), crypter) for key, value in sorted(stored(entry).items())}
    view = {
        "version": entry.get("version", 0),
        "kind": entry.get("kind"),
        "startTime": milliseconds(_moment(entry.get("startTime"))),
    }
    view |= {
        "message": entry.get("message", ""),
        "environment": entry.get("environment", {}),
        "config": config,
        "result": entry.get("result"),
    }
    view["endTime"] = milliseconds(_moment(entry.get("endTime")))
    return view | ({"resourceChanges": entry["resourceChanges"]} if "resourceChanges" in entry else {})


def _unobject(value: Any) -> Any:
    return json.loads(value["object"]) if isinstance(value, dict) and isinstance(value.get("object"), str) else value


def _history_text(entry: dict[str, Any], full: bool) -> str:
    changes = entry.get("resourceChanges") or {}
    start, end = _moment(entry.get("startTime")), _moment(entry.get("endTime"))
    when = start.strftime("%Y-%m-%dT%H:%M:%SZ") if full else ago(start)
    took = int((end - start).total_seconds())
    replaced = changes.get("replace", 0)
    lines = [f"Version: {entry.get('version', 0)}", f"UpdateKind: {entry.get('kind')}", f"Status: {entry.get('result')}"]
    lines.append(f"Message: {entry.get('message', '')}".rstrip())
    counts = (
        f"+{changes.get('create', 0)}-{changes.get('delete', 0)}~{changes.get('update', 0) + replaced} {changes.get('same', 0)}"
    )
    lines.append(f"{counts} Updated {when} took {took}s")
    lines += [f"    {key}: {value}" for key, value in sorted((entry.get("environment") or {}).items())]
    return "\n".join(lines) + "\n"


def graph(context: Context) -> None:
    """The dependencies of the stack as a DOT file."""
    if len(context.arguments.positional) != 1:
        raise StateError(f"accepts 1 arg(s), received {len(context.arguments.positional)}")
    path = context.arguments.positional[0]
    resources = sorted(context.backend.current(context.stack()).resources, key=lambda r: str(r["urn"]))
    numbers = {resource["urn"]: number for number, resource in enumerate(resources)}
    short = context.arguments.on("short-node-name")
    lines = ["strict digraph {"]
    lines += [f'    Resource{number} [label="{urn.split("::")[-1] if short else urn}"];' for urn, number in numbers.items()]
    for resource in resources:
        number = numbers[resource["urn"]]
        if not context.arguments.on("ignore-dependency-edges"):
            lines += [
                f'    Resource{number} -> Resource{numbers[d]} [color = "#246C60"];'
                for d in resource.get("dependencies", [])
                if d in numbers
            ]
        if not context.arguments.on("ignore-parent-edges") and resource.get("parent") in numbers:
            lines.append(f'    Resource{number} -> Resource{numbers[resource["parent"]]} [color = "#AA6639"];')
    Path(path).write_text("\n".join([*lines, "}"]) + "\n", encoding="utf-8")
    note(f"Wrote stack dependency graph to `{path}`")


# -- tags


def tag_set(context: Context) -> None:
    """Sets a tag."""
    stack = context.stack()
    if len(context.arguments.positional) != 2:
        raise StateError(f"accepts 2 arg(s), received {len(context.arguments.positional)}")
    name, value = context.arguments.positional
    context.backend.set_tags(stack, context.backend.tags(stack) | {name: value})


def tag_get(context: Context) -> None:
    """Prints a tag."""
    stack = context.stack()
    tags = context.backend.tags(stack)
    name = next(iter(context.arguments.positional), "")
    if name not in tags:
        raise StateError(f"stack tag '{name}' not found for stack '{stack}'")
    say(tags[name])


def tag_ls(context: Context) -> None:
    """Prints the tags."""
    tags = context.backend.tags(context.stack())
    say(
        pretty(dict(sorted(tags.items())))
        if context.arguments.on("json")
        else table(["NAME", "VALUE"], [list(t) for t in sorted(tags.items())])
    )


def tag_rm(context: Context) -> None:
    """Removes a tag."""
    stack = context.stack()
    tags = context.backend.tags(stack)
    for name in context.arguments.positional:
        tags.pop(name, None)
    context.backend.set_tags(stack, tags)


# -- edits


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
        snapshot = checkpoint.snapshot(_decrypter(context, checkpoint))
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
    say(f"{len(touched)} resources unprotected")


def protect(context: Context) -> None:
    """Protects resources."""

    touched: list[dict[str, Any]] = []

    def change(deployment: dict[str, Any]) -> None:
        for resource in _named(context, deployment):
            touched.append(resource)
            resource["protect"] = True

    _edit(context, change)
    say(f"{len(touched)} resources protected")


def state_delete(context: Context) -> None:
    """Forgets a resource without deleting what it stands for."""

    def change(deployment: dict[str, Any]) -> None:
        gone = {r["urn"] for r in _named(context, deployment)}
        for resource in deployment.get("resources") or []:
            if resource["urn"] in gone:
                if resource.get("protect") and not context.arguments.on("force"):
                    raise StateError(
                        "This resource can't be safely deleted because it is protected. Re-run this command with --force to force deletion"
                    )
            elif gone & {resource.get("parent"), *resource.get("dependencies", [])}:
                raise StateError(f"This resource can't be safely deleted because other resources depend on it: {resource['urn']}")
        deployment["resources"] = [r for r in deployment.get("resources") or [] if r["urn"] not in gone]

    _edit(context, change)
    say("Resource deleted")
