"""Finds the command, reads its options, runs it; turns refusals into ``error: …`` and an exit code."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from embedded.cli.flags import GLOBAL, Flag, UsageError, flags, parse
from embedded.state.errors import NotSupportedError, StateError

_RUN: Final = (
    "client:text", "config,c:list", "config-path", "debug,d", "diff", "event-log:text", "exclude:list",
    "exclude-dependents", "exec-kind:text", "exec-agent:text", "expect-no-changes", "json,j", "message,m:text", "parallel,p:int",
    "show-config", "show-full-output", "show-reads", "show-replacement-steps", "show-sames", "show-secrets", "suppress-outputs",
    "suppress-permalink:text", "suppress-progress", "suppress-stream-logs", "target,t:list", "target-dependents", "remote!",
    "attach-debugger:text!", "copilot!", "neo!", "strict!", "output:text!", "override-env-var:list!",
)  # fmt: skip
_UPDATE: Final = (*_RUN, "yes,y", "skip-preview,f", "continue-on-error")
_PROGRAM: Final = (
    "policy-pack:list", "policy-pack-config:list", "refresh,r:text", "replace:list", "target-replace:list", "secrets-provider:text",
    "show-policy-remediations", "import-file:text!", "save-plan:text!", "plan:text!",
)  # fmt: skip


class Command(NamedTuple):
    """Where a command's function is, and which options it takes."""

    place: str
    flags: dict[str, Flag]


def _command(place: str, *options: str) -> Command:
    return Command(place, flags(*options))


_HISTORY: Final = ("json,j", "full-dates", "page:int", "page-size:int", "show-secrets")

COMMANDS: Final = {
    "up": _command("operations:up", *_UPDATE, *_PROGRAM),
    "preview": _command("operations:preview", *_RUN, *_PROGRAM),
    "destroy": _command(
        "operations:destroy", *_UPDATE, "exclude-protected", "preview-only", "refresh,r:text", "remove", "run-program"
    ),
    "refresh": _command(
        "operations:refresh",
        *_UPDATE,
        "clear-pending-creates",
        "import-pending-creates:list",
        "preview-only",
        "run-program",
        "skip-pending-creates",
    ),
    "cancel": _command("stacks:cancel", "yes,y"),
    "whoami": _command("about:whoami", "json,j", "verbose,v"),
    "version": _command("about:version"),
    "about": _command("about:about", "json,j", "transitive,t"),
    "plugin ls": _command("about:plugin_ls", "json,j", "project,p"),
    "policy analyze": _command(
        "operations:policy_analyze", "policy-pack:list", "policy-pack-config:list", "json,j", "diff", "event-log:text"
    ),
    "login": _command(
        "about:login", "local,l", "cloud-url,c:text", "default-org:text!", "oidc-token:text!", "insecure!", "interactive!"
    ),
    "logout": _command("about:logout", "local,l", "all", "cloud-url,c:text"),
    "stack": _command("stack_views:show", "show-urns,u", "show-ids,i", "show-name", "show-secrets"),
    "stack init": _command(
        "stacks:init", "no-select", "secrets-provider:text", "copy-config-from:text", "teams:list!", "remote-config!"
    ),
    "stack select": _command("stacks:select", "create,c", "secrets-provider:text"),
    "stack unselect": _command("stacks:unselect"),
    "stack ls": _command("stacks:ls", "all,a", "json,j", "project,p:text", "organization,o:text!", "tag,t:text!"),
    "stack rm": _command("stacks:rm", "yes,y", "force,f", "preserve-config", "remove-backups"),
    "stack rename": _command("stacks:rename"),
    "stack output": _command("stack_views:output", "json,j", "shell", "show-secrets"),
    "stack export": _command("state_edits:export", "file:text", "show-secrets", "version:text"),
    "stack import": _command("state_edits:import_", "file:text", "force,f"),
    "stack history": _command("stack_views:history", *_HISTORY),
    "stack graph": _command("stack_views:graph", "ignore-parent-edges", "ignore-dependency-edges", "short-node-name"),
    "stack tag set": _command("stacks:tag_set"),
    "stack tag get": _command("stacks:tag_get"),
    "stack tag ls": _command("stacks:tag_ls", "json,j"),
    "stack tag rm": _command("stacks:tag_rm"),
    "stack change-secrets-provider": _command("state_edits:change_secrets_provider"),
    "state unprotect": _command("state_edits:unprotect", "all", "yes,y"),
    "state protect": _command("state_edits:protect", "all", "yes,y"),
    "state delete": _command("state_edits:state_delete", "force", "target-dependents", "yes,y"),
    "config": _command("configuration:show", "json,j", "show-secrets", "open!"),
    "config get": _command("configuration:get", "json,j", "path", "open!"),
    "config set": _command("configuration:set_", "path", "plaintext", "secret", "type:text", "raw"),
    "config set-all": _command("configuration:set_all", "path", "plaintext:list", "secret:list", "json:text"),
    "config rm": _command("configuration:rm", "path"),
    "config rm-all": _command("configuration:rm_all", "path"),
    "config cp": _command("configuration:cp", "path", "dest,d:text"),
    "config refresh": _command("configuration:refresh", "force,f"),
    "config env ls": _command("configuration:env_ls", "json,j"),
}
ALIASES: Final = {
    "update": "up", "pre": "preview", "dn": "destroy", "down": "destroy", "history": "stack history", "stack list": "stack ls",
    "plugin list": "plugin ls", "stack remove": "stack rm", "config delete": "config rm", "config remove": "config rm",
    "config list": "config", "config ls": "config", "apply": "up", "deploy": "up",
}  # fmt: skip
# What the Pulumi CLI has beside: refused by name instead of "unknown command".
_ONLY_CLI: Final = frozenset(
    [
        "ai",
        "api",
        "console",
        "convert",
        "convert-trace",
        "copilot",
        "cloud",
        "deployment",
        "do",
        "env",
        "esc",
        "gen-completion",
        "gen-markdown",
        "help",
        "import",
        "install",
        "insights",
        "logs",
        "login-token",
        "neo",
        "new",
        "org",
        "package",
        "policy",
        "plugin",
        "project",
        "query",
        "schema",
        "service",
        "state",
        "template",
        "watch",
        "replay-events",
        "trace",
    ]
)


def _find(words: list[str]) -> tuple[str, list[str]]:
    """The command that ``words`` name and the words without its name. Options may stand before and between."""
    name, taken = "", []
    skip = False
    for position, word in enumerate(words):
        if skip:
            skip = False
            continue
        if word == "--":
            break
        if word.startswith("-"):
            flag = (
                GLOBAL.get(word[2:]) if word.startswith("--") else next((f for f in GLOBAL.values() if f.short == word[1:]), None)
            )
            if name == "config env" or (name and name in COMMANDS):
                # Behind a command's name a word may be the value of one of its own options.
                flag = COMMANDS[name].flags.get(word[2:], flag) if name in COMMANDS else flag
            skip = flag is not None and flag.kind != "bool" and "=" not in word
            continue
        longer = f"{name} {word}".strip()
        if any(each == longer or each.startswith(longer + " ") for each in (*COMMANDS, *ALIASES)):
            name = ALIASES.get(longer, longer)
            taken.append(position)
            continue
        break
    return name, [word for position, word in enumerate(words) if position not in taken]


def run(words: list[str], environment: Mapping[str, str]) -> int:
    """Carries out a command line and gives its exit code. Raises ``StateError`` for refusals."""
    name, rest = _find(words)
    if name not in COMMANDS:
        return _not_a_command(name, rest)
    place, options = COMMANDS[name]
    arguments = parse(rest, GLOBAL | options, environment)
    if arguments.on("help"):
        print(
            f"pulumi {name} (embedded engine)\n\nOptions:\n"
            + "\n".join(sorted(f"  --{n}" for n, f in options.items() if not f.refused))
        )
        return 0
    if name in ("stack", "config") and arguments.positional:
        raise NotSupportedError(f"the command `pulumi {name} {arguments.positional[0]}`")
    if directory := arguments.text("cwd"):
        os.chdir(directory)
    from embedded.cli.context import Context

    module, function = place.split(":")
    command: Callable[[Context], int | None] = getattr(importlib.import_module(f"embedded.cli.{module}"), function)
    return command(Context(arguments, environment)) or 0


def _not_a_command(name: str, rest: list[str]) -> int:
    plain = [word for word in rest if not word.startswith("-")]
    words = [*name.split(), *plain[:1]]
    if not words or words == ["help"]:
        print("The embedded Pulumi engine (see embedded/README.md). Commands:\n" + "\n".join(f"  {each}" for each in COMMANDS))
        return 0
    if name or words[0] in _ONLY_CLI:
        raise NotSupportedError(f"the command `pulumi {' '.join(words)}`")
    raise UsageError(f'unknown command "{words[0]}" for "pulumi"\nRun \'pulumi --help\' for usage.')


def main() -> int:
    """The process's entry point."""
    from embedded.model import EngineError

    try:
        code = run(sys.argv[1:], os.environ)
        sys.stdout.flush()
        return code
    except (StateError, EngineError) as problem:
        print(f"error: {problem}", file=sys.stderr)
        return getattr(problem, "exit_code", 1)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
    except OSError as problem:
        named = f"{problem.filename}: " if problem.filename else ""
        print(f"error: {named}{problem.strerror or problem}", file=sys.stderr)
        return 1
