"""``bin/mo``: the operator's command line. Exit codes: 0 done; 1 failed; 2 wrong usage; 3 stopped by the operator at a question;
7 drift found; 130 stopped with Ctrl-C."""

from __future__ import annotations

import sys

import typer

from operations.problem import Problem

INTERRUPTED = 130
STOPPED = "mo: stopped; what had begun is finished or put back by the next run.\n"

app = typer.Typer(
    name="mo",
    help="Deploys the web services of menschlichkeit-oesterreich.at. Start with `bin/mo doctor`, then `bin/mo deploy`.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


def register() -> None:
    """Adds the commands; those that import much do it only when they run."""
    from operations.commands import (
        build,
        demo,
        deploy,
        doctor,
        drift,
        export,
        gates,
        history,
        logs,
        report,
        rollback,
        snapshots,
        status,
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
        report.report,
        export.export,
        logs.logs,
        demo.demo,
    )
    for function in commands:
        app.command()(function)
    app.add_typer(snapshots.app)


def main() -> None:
    """Runs the command line; a ``Problem`` is shown as it is, on stderr."""
    try:
        register()
        app(prog_name="bin/mo")
    except Problem as problem:
        sys.stderr.write(f"mo: {problem}\n")
        raise SystemExit(problem.code) from None
    except KeyboardInterrupt:
        sys.stderr.write(STOPPED)
        raise SystemExit(INTERRUPTED) from None
    except SystemExit as ended:
        # Typer has turned Ctrl-C into 130 without a word, and Ctrl-C at a question (or no answer to it) into "Aborted." and 1.
        if ended.code == INTERRUPTED:
            sys.stderr.write(STOPPED)
        if isinstance(ended.__context__, typer.Abort):
            raise SystemExit(3) from None
        raise
