"""The funnel that every text goes through before it leaves the client."""

from __future__ import annotations

import base64
import html
import json
import shlex
import urllib.parse
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.remote.client.masking import STARS, Mask, is_public
from tests.e2e.canaries import forms

SECRET = "Kanari\"en\\vogel $HOME 'q' %41+/=&<ä>"
FORMS: dict[str, Callable[[str], str]] = {
    "plain": lambda value: value,
    "JSON": lambda value: json.dumps(value)[1:-1],
    "JSON of UTF-8": lambda value: json.dumps(value, ensure_ascii=False)[1:-1],
    "JSON in JSON": lambda value: json.dumps(json.dumps(value)[1:-1])[1:-1],
    "Python": lambda value: repr(value)[1:-1],
    "URL": lambda value: urllib.parse.quote(value, safe=""),
    "URL in small letters": lambda value: urllib.parse.quote(value, safe="").replace("%2B", "%2b").replace("%3C", "%3c"),
    "path of a URL": lambda value: urllib.parse.quote(value, safe="/!$&'()*+,;=:@"),
    "form": urllib.parse.quote_plus,
    "shell, as Python quotes": lambda value: shlex.quote(f"'{value}'")[6:-6],
    "shell, as this project quotes": lambda value: value.replace("'", "'\\''"),
    "shell, each sign": lambda value: "".join(c if c.isalnum() else "\\" + c for c in value),
    "shell, double quotes": lambda value: "".join("\\" + c if c in '"$`\\' else c for c in value),
    "SQL": lambda value: value.replace("'", "''"),
    "CSV": lambda value: value.replace('"', '""'),
    "HTML": html.escape,
    "hexadecimal": lambda value: value.encode().hex(),
    "HEXADECIMAL": lambda value: value.encode().hex().upper(),
    "base64": lambda value: base64.b64encode(value.encode() + b"!").decode(),
    "base64 after x": lambda value: base64.b64encode(b"x" + value.encode() + b"!").decode(),
    "base64 after xy": lambda value: base64.b64encode(b"xy" + value.encode() + b"!").decode(),
    "base64 after user:": lambda value: base64.b64encode(b"user:" + value.encode() + b"!").decode(),
    "base64 for URLs": lambda value: base64.urlsafe_b64encode(b"x" + value.encode()).decode(),
}


def leaks(text: str, secret: str) -> list[bytes]:
    return [form for form in forms(secret) if len(form) >= 8 and form in text.encode("utf-8", "surrogatepass")]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("secret", [SECRET, "abcdefgh", "0123456789abcdef0123456789abcdef", "päßword-äöü"])
def test_a_secret_is_starred_in_each_form(form: str, secret: str) -> None:
    mask = Mask()
    mask.know(secret)
    before, after = ("", "") if form.startswith("base64") else ("it says <", "> and ends")
    masked = mask.text(before + FORMS[form](secret) + after)
    assert STARS in masked
    assert leaks(masked, secret) == []
    if form.startswith("base64"):
        # Only the signs at the two ends, which hold bits of the neighbours, may stay.
        assert len(masked.replace(STARS, "")) <= 12
    else:
        assert masked == f"{before}{STARS}{after}"


@given(
    st.text(min_size=6, max_size=40).filter(lambda value: len(value.splitlines()) == 1 and not {*"\0\x01\x02"} & {*value}),
    st.text(max_size=30), st.sampled_from(sorted(FORMS)),
)  # fmt: skip
def test_whatever_the_secret_and_its_neighbours_are_none_of_it_is_shown(secret: str, around: str, form: str) -> None:
    mask = Mask()
    mask.know(secret)
    try:
        shown = FORMS[form](secret)
    except UnicodeEncodeError:  # a lone surrogate has no such form
        return
    masked = mask.text(f"{around} {shown} {around}")
    assert shown not in masked or len(shown) < 6
    assert mask.text(masked) == masked or STARS in masked


def test_nothing_else_is_changed() -> None:
    mask = Mask()
    mask.know(SECRET)
    for text in (
        "",
        "votes: migration 0001 failed; log: /x/y.log on the host",
        "100 % of a\\b, it''s & so on + more",
        "\ud800 \udcff",
    ):
        assert mask.text(text) == text
    assert Mask().text(SECRET) == SECRET


def test_what_secrets_env_holds_is_a_secret_but_for_addresses_and_account_names() -> None:
    mask = Mask()
    for line in (
        "DB_PASS='it'\\''s-a-secret'",
        "SMTP_HOST='smtp.example.org'",
        "DB_NAME='mo_votes_long'",
        "API_KEY=unquoted-key",
        "SHORT='12345'",
    ):
        mask.know_line(line)
    said = "it's-a-secret smtp.example.org mo_votes_long unquoted-key 12345"
    assert mask.text(said) == f"{STARS} smtp.example.org mo_votes_long {STARS} 12345"
    assert is_public("CIVIMAIL_BOUNCE")
    assert not is_public("SMTP_PASS")


def test_a_key_of_several_lines_is_starred_line_by_line_and_its_frame_stays() -> None:
    mask = Mask()
    mask.know("-----BEGIN KEY-----\nQUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=\nshort\n-----END KEY-----\n")
    assert (
        mask.text("read QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo= short -----BEGIN KEY-----")
        == f"read {STARS} short -----BEGIN KEY-----"
    )


def test_what_a_tool_said_is_cut_only_after_it_is_masked() -> None:
    mask = Mask()
    mask.know("s" * 40)
    words = "x" * 180 + "s" * 40 + "y" * 100
    shown = mask.text(f"php ended with code 1: \x01{words}\x02; log: /x on the host")
    assert shown == "php ended with code 1: " + "x" * 180 + STARS + "y" * 16 + "…; log: /x on the host"
    assert mask.text("\x01never closed") == "never closed"


def test_a_result_is_masked_wherever_a_text_stands() -> None:
    mask = Mask()
    mask.know("secret-value")
    result = {"notes": ["say secret-value"], "services": {"a": {"secret-value": 1, "n": None, "ok": True}}, "ms": 12}
    assert mask.value(result) == {"notes": [f"say {STARS}"], "services": {"a": {STARS: 1, "n": None, "ok": True}}, "ms": 12}


def test_overlapping_secrets_leave_nothing_between_them() -> None:
    mask = Mask()
    mask.know("abcdefghij")
    mask.know("ghijklmnop")
    assert mask.text("<abcdefghijklmnop>") == f"<{STARS}>"
    mask.know("abcdefghijklmnop")
    assert mask.text("<abcdefghijklmnop>") == f"<{STARS}>"
