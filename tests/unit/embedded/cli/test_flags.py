"""Options are read as the CLI reads them, and refused in its words."""

from __future__ import annotations

import pytest

from embedded.cli.flags import UsageError, flags, parse
from embedded.state.errors import NotSupportedError

TABLE = flags("yes,y", "message,m:text", "target,t:list", "parallel,p:int", "refresh,r:text", "plan:text!", "neo!")


def test_options_stand_anywhere_in_every_form() -> None:
    found = parse(["a", "-y", "--message=one two", "-t", "x", "--target", "y", "b", "-p4", "--", "--yes=no"], TABLE, {})
    assert found.positional == ["a", "b", "--yes=no"]
    assert found.on("yes")
    assert found.text("message") == "one two"
    assert found.many("target") == ["x", "y"]
    assert found.text("parallel") == "4"


def test_refresh_needs_no_value_and_switches_may_be_off() -> None:
    found = parse(["--refresh", "--yes=false"], TABLE, {})
    assert found.text("refresh") == "true"
    assert not found.on("yes")
    assert found.given == {"refresh": "set", "yes": "false"}


def test_variables_set_options_and_options_win() -> None:
    environment = {"PULUMI_OPTION_TARGET": "a,b", "PULUMI_OPTION_MESSAGE": "from variable"}
    assert parse([], TABLE, environment).many("target") == ["a", "b"]
    found = parse(["-t", "c", "-m", "from option"], TABLE, environment)
    assert found.many("target") == ["c"]
    assert found.text("message") == "from option"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--frobnicate"], "unknown flag: --frobnicate"),
        (["-x"], "unknown shorthand flag"),
        (["--message"], "flag needs an argument"),
        (["--parallel", "many"], "invalid argument"),
        (["--yes=perhaps"], "invalid argument"),
    ],
)
def test_bad_options_are_refused(words: list[str], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        parse(words, TABLE, {})


@pytest.mark.parametrize("words", [["--plan", "file"], ["--neo"]])
def test_what_only_the_cli_does_is_refused_by_name(words: list[str]) -> None:
    with pytest.raises(NotSupportedError, match=f"{words[0]} is not supported"):
        parse(words, TABLE, {})
