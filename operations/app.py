"""``bin/mo``: the operator's command line. Its exit codes: ``operations/exit_codes.py``."""

from __future__ import annotations

import sys

import typer
from typer._completion_classes import completion_init

from operations import help as pages
from operations.completion import VARIABLE
from operations.exit_codes import INTERRUPTED, STOPPED
from operations.problem import Problem

SAID_WHEN_STOPPED = "mo: stopped. `bin/mo status` says whether a run was interrupted, and how it goes on.\n"

app = typer.Typer(
    name="mo",
    help="Deploys the web services of menschlichkeit-oesterreich.at. Start with `bin/mo doctor`, then `bin/mo deploy`.",
    cls=pages.Group,
    no_args_is_help=True,
    add_completion=False,  # Typer's own scripts name the program by its path; `bin/mo completion` prints ones that work
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


def register() -> None:
    """Adds the commands, once; those that import much do it only when they run."""
    if app.registered_commands:
        return
    from operations.commands import (
        build,
        completion,
        demo,
        deploy,
        doctor,
        drift,
        export,
        gates,
        history,
        logs,
        maintenance,
        migrate,
        remove,
        report,
        rollback,
        rotate,
        snapshots,
        status,
        unlock,
        validate,
    )

    commands = (
        doctor.doctor,
        build.build,
        gates.gates,
        deploy.deploy,
        status.status,
        drift.drift,
        history.history,
        rollback.rollback,
        unlock.unlock,
        validate.validate,
        rotate.rotate,
        migrate.migrate,
        remove.remove,
        report.report,
        export.export,
        logs.logs,
        demo.demo,
        completion.completion,
    )
    for function in commands:
        app.command()(function)
    app.add_typer(snapshots.app)
    app.add_typer(maintenance.app)
    pages.arrange(app)


def main() -> None:
    """Runs the command line; a ``Problem`` is shown as it is, on stderr."""
    try:
        register()
        completion_init()
        app(prog_name="bin/mo", complete_var=VARIABLE)
    except Problem as problem:
        sys.stderr.write(f"mo: {problem}\n")
        raise SystemExit(problem.code) from None
    except KeyboardInterrupt:
        sys.stderr.write(SAID_WHEN_STOPPED)
        raise SystemExit(INTERRUPTED) from None
    except SystemExit as ended:
        # Typer has turned Ctrl-C into 130 without a word, and Ctrl-C at a question (or no answer to it) into "Aborted." and 1.
        if ended.code == INTERRUPTED:
            sys.stderr.write(SAID_WHEN_STOPPED)
        if isinstance(ended.__context__, typer.Abort):
            raise SystemExit(STOPPED) from None
        raise
