"""How the command line ends where the operator stops it."""

from __future__ import annotations

import sys

import pytest
import typer

from operations import app as line


def _ended(command: object, monkeypatch: pytest.MonkeyPatch) -> object:
    other = typer.Typer()
    other.command()(command)  # type: ignore[type-var]
    monkeypatch.setattr(line, "app", other)
    monkeypatch.setattr(line, "register", lambda: None)
    monkeypatch.setattr(sys, "argv", ["mo"])
    with pytest.raises(SystemExit) as ended:
        line.main()
    return ended.value.code


def test_ctrl_c_ends_with_130_and_says_what_becomes_of_the_rest(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped() -> None:
        raise KeyboardInterrupt

    assert _ended(stopped, monkeypatch) == 130
    assert capsys.readouterr().err == "mo: stopped. `bin/mo status` says whether a run was interrupted, and how it goes on.\n"


def test_ctrl_c_at_a_question_is_a_stop_by_the_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked() -> None:
        raise typer.Abort

    assert _ended(asked, monkeypatch) == 3


def test_other_ends_keep_their_code(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def failed() -> None:
        raise typer.Exit(7)

    assert _ended(failed, monkeypatch) == 7
    assert capsys.readouterr().err == ""
