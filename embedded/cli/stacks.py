"""``pulumi stack`` (init, select, ls, rm, rename, tag) and ``cancel``."""

from __future__ import annotations

from typing import Any

from embedded.cli.configuration import copy_config
from embedded.cli.context import Context, note, say
from embedded.cli.stack_views import last_update
from embedded.cli.text import ago, ask, milliseconds, pretty, table
from embedded.settings import StackSettings
from embedded.state.backend import StackName
from embedded.state.encryption import Crypter
from embedded.state.errors import NotSupportedError, StackNotFoundError, StateError

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


def ls(context: Context) -> None:
    """The stacks of the project, or all."""
    project = context.arguments.text("project") or (context.found_project.name if context.found_project else None)
    everywhere = context.arguments.on("all") or project is None
    current = context.current()
    rows, listing = [], []
    for stack in context.backend.stacks(None if everywhere else project):
        checkpoint = context.backend.current(stack)
        updated = last_update(checkpoint)
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
    if ask(f"Please confirm that this is what you'd like to do by typing `{word}`: ").strip() != word:
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
