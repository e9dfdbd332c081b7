"""Help, documentation and completion of the command line tell the same, for every command there is."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from catalog import reader
from operations import completion, exit_codes, help, reference
from operations.app import app, register

PROJECT = Path(__file__).resolve().parents[3]
register()


def _commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, (*path, name))
        else:
            yield (*path, name), command


COMMANDS = dict(_commands(typer.main.get_command(app)))


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_each_command_explains_itself_with_h_and_gives_an_example_of_its_own(path: tuple[str, ...]) -> None:
    done = CliRunner().invoke(app, [*path, "-h"])
    assert done.exit_code == 0, done.output
    examples = COMMANDS[path].examples
    assert examples
    for example in examples:
        assert f"bin/mo {' '.join(path)}" in example
        assert f"   {example}\n" in done.output


def test_services_named_without_only_are_told_of_it() -> None:
    done = CliRunner().invoke(app, ["deploy", "votes"])
    assert done.exit_code == 2
    assert "Name services with --only" in done.output + done.stderr
    assert "--only" not in CliRunner().invoke(app, ["history", "votes"]).stderr


def test_help_tells_every_exit_code() -> None:
    text = CliRunner().invoke(app, ["-h"]).output
    for code, meaning in exit_codes.MEANING.items():
        assert f"{code:>3}  {meaning.replace('`', '')}" in text


def test_docs_commands_md_is_what_the_commands_say() -> None:
    assert (PROJECT / "docs/commands.md").read_text() == reference.text(), "run: make docs"


def test_examples_are_taken_out_of_a_docstring_and_the_rest_stays() -> None:
    doc = "Does it.\n\nExamples: `bin/mo a --b 'c; d'`;\n`bin/mo a`. Exit code 1 where not.\n\nMore."
    assert help.split(doc) == ("Does it.\n\nExit code 1 where not.\n\nMore.", ["bin/mo a --b 'c; d'", "bin/mo a"])


def _completed(*words: str) -> list[str]:
    """What bash offers for the last of ``words``, by the script that a person sources."""
    script = (
        completion.SCRIPTS["bash"]
        + 'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _mo_complete "$1"; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", script, "bash", *words], cwd=PROJECT, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_bash_completes_commands_services_and_stacks() -> None:
    assert _completed("bin/mo", "roll") == ["rollback"]
    assert _completed("bin/mo", "logs", "ap") == ["api_stg", "api"]
    assert _completed("bin/mo", "deploy", "--only", "admin_stg", "--only", "vo") == ["votes"]
    assert _completed("bin/mo", "status", "--stack", "s") == ["sandbox", "staging"]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_zsh_completes_services() -> None:
    script = completion.SCRIPTS["zsh"] + '_arguments() { print -r -- "$@" }; words=(bin/mo logs vo); CURRENT=3; _mo_complete'
    done = subprocess.run(["zsh", "-f", "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert "votes" in done.stdout


def test_all_services_of_the_catalogue_are_completed_without_its_models() -> None:
    assert completion.services() == list(reader.read().services)


def test_a_broken_catalogue_completes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("operations.project.ROOT", tmp_path)
    (tmp_path / "catalog").mkdir()
    assert (completion.services(), completion.stacks()) == ([], [])
    for text in ("services: [", "- 1", "x: 1", "\0"):
        (tmp_path / "catalog/services.yaml").write_text(text)
        assert completion.services() == []
