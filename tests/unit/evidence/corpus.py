"""A made corpus of log lines: harmless ones as servers and applications write them, and lines that hold personal data of a known kind."""

# ruff: noqa: E501 (log lines are as long as they are)

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from evidence import personal_kinds as kinds

_WORDS = [
    "user",
    "order",
    "page",
    "cache",
    "session",
    "queue",
    "template",
    "module",
    "index",
    "deploy",
    "release",
    "worker",
    "article",
    "member",
    "vote",
    "forum",
    "ticket",
]
_AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.1 Mobile/15E148 Safari/604.1",
    "curl/8.5.0",
    "Prometheus/2.48.1",
)


class Corpus:
    """Lines from a seed: the same ones for the same seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.time = datetime(2026, 11, 1, tzinfo=UTC)

    def harmless(self) -> str:
        """A line without personal data."""
        self.time += timedelta(seconds=self.random.randint(0, 3), microseconds=self.random.randint(0, 999_999))
        return self.random.choice(_HARMLESS)(self)

    def personal(self) -> tuple[str, str]:
        """A line with one piece of personal data, and its kind."""
        kind, make = self.random.choice(_PERSONAL)
        line = self.random.choice(_PLACES).format(
            value=make(self), word=self.word(), time=self.time.isoformat(timespec="milliseconds")
        )
        return line, kind

    def word(self) -> str:
        return self.random.choice(_WORDS)

    def number(self, low: int, high: int) -> int:
        return self.random.randint(low, high)

    def hex(self, length: int) -> str:
        return "".join(self.random.choice("0123456789abcdef") for _ in range(length))

    def digits(self, length: int) -> str:
        return "".join(self.random.choice("0123456789") for _ in range(length))


def _access(c: Corpus) -> str:
    return (
        f'127.0.0.1 - - [{c.time:%d/%b/%Y:%H:%M:%S} +0000] "GET /{c.word()}/{c.number(1, 99999)}?v={c.hex(8)} HTTP/1.1" {c.random.choice([200, 301, 404])} '
        f'{c.number(0, 99999)} "-" "{c.random.choice(_AGENTS)}" 0.{c.number(0, 999):03d}'
    )


_HARMLESS: tuple[Callable[[Corpus], str], ...] = (
    _access,
    _access,
    lambda c: f"{c.time:%Y/%m/%d %H:%M:%S} [error] {c.number(1, 99999)}#{c.number(1, 99999)}: *{c.number(1, 10**7)} open() \"/www/htdocs/w01234567/{c.word()}.php\" failed (2: No such file)",
    lambda c: f"[{c.time:%d-%b-%Y %H:%M:%S} UTC] PHP Warning:  Undefined variable $x in /www/htdocs/w01234567/{c.word()}.php on line {c.number(1, 4000)}",
    lambda c: f'{{"level":"info","ts":{int(c.time.timestamp())}.{c.number(0, 999999):06d},"caller":"{c.word()}/{c.word()}.go:{c.number(1, 900)}","msg":"done","trace":"{c.hex(32)}","ms":{c.number(1, 5000)}}}',
    lambda c: f"{int(c.time.timestamp())} {c.word()}[{c.number(1, 99999)}]: job {c.hex(8)}-{c.hex(4)}-4{c.hex(3)}-a{c.hex(3)}-{c.hex(12)} finished in {c.number(1, 10**6)} us",
    lambda c: f"{c.time.isoformat(timespec='milliseconds')} INFO release r{c.hex(16)} sha256:{c.hex(64)} {c.number(1, 10**9)} bytes",
    lambda c: f"{c.time:%b %d %H:%M:%S} host sshd[{c.number(1, 99999)}]: Connection closed by 127.0.0.1 port {c.number(1024, 65535)} [preauth]",
    lambda c: f"npm info lodash@4.17.{c.number(1, 30)} nodes={c.number(1, 20)} img/logo@2x.png App\\Models\\Cafe::find() id={c.number(1, 10**6)}",
    lambda c: f"{c.time:%Y-%m-%d %H:%M:%S,%f} DEBUG {c.word()} version 1.{c.number(0, 20)}.{c.number(0, 9)} took {c.number(0, 99)}.{c.number(0, 999):03d}s ({c.number(0, 10**5)} rows) offset +01:00",
    lambda c: f"[{c.time:%Y-%m-%dT%H:%M:%S}Z] worker {c.number(0, 9)}: mac aa:bb:cc:{c.hex(2)}:{c.hex(2)}:{c.hex(2)} state=ok std::vector<int> {c.word()}::{c.word()}",
    lambda c: f"mysql> Query OK, {c.number(0, 9999)} rows affected (0.0{c.number(0, 9)} sec) LIMIT {c.number(0, 10**5)}, 50 -- {c.hex(40)}",
)  # fmt: skip


def _letters(c: Corpus, length: int) -> str:
    return "".join(c.random.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(length))


def _email(c: Corpus) -> str:
    local = c.random.choice(
        [
            _letters(c, 5),
            f"{_letters(c, 4)}.{_letters(c, 6)}",
            f"{_letters(c, 3)}+{_letters(c, 3)}",
            f"{_letters(c, 2)}_{c.number(1, 99)}",
        ]
    )
    host = c.random.choice(["gmail.com", "gmx.at", "example.co.at", "uni-graz.at", "österreich.at", f"{_letters(c, 8)}.org"])
    return f"{local}@{host}" if c.random.random() < 0.8 else f"{local}%40{host}".replace("+", "%2B")


def _phone(c: Corpus) -> str:
    rest = c.digits(7)
    mobile = c.random.choice(["650", "660", "664", "676", "677", "680", "681", "699"])
    return c.random.choice(
        [
            f"+43{mobile}{rest}", f"+43 {mobile} {rest}", f"+43 ({mobile}) {rest[:3]} {rest[3:]}", f"0043{mobile}{rest}", f"0{mobile}{rest}",
            f"0{mobile}/{rest}", f"0{mobile} {rest[:3]} {rest[3:5]} {rest[5:]}", f"+49 30 {c.digits(8)}", f"+1-202-555-{c.digits(4)}",
            f"01/{c.number(2, 9)}{c.digits(6)}", f"0316 {c.number(2, 9)}{c.digits(5)}", f"(0662) {c.number(2, 9)}{c.digits(5)}",
        ]
    )  # fmt: skip


def iban(c: Corpus, country: str, bban: str) -> str:
    moved = bban + country + "00"
    check = 98 - int("".join(str(int(sign, 36)) for sign in moved)) % 97
    return f"{country}{check:02d}{bban}"


def _iban(c: Corpus) -> str:
    country, length = c.random.choice([("AT", 16), ("DE", 18), ("CH", 17), ("FR", 23), ("NL", 14), ("GB", 18)])
    bban = c.digits(length)
    if country in ("NL", "GB"):
        bban = "ABNA" + bban[4:]
    text = iban(c, country, bban)
    form = c.random.random()
    if form < 0.4:
        return text
    if form < 0.8:
        return " ".join(text[i : i + 4] for i in range(0, len(text), 4))
    return text.lower()


def svnr(c: Corpus) -> str:
    while True:
        digits = f"{c.number(100, 999)}0{c.number(1, 31):02d}{c.number(1, 12):02d}{c.number(0, 99):02d}"
        check = sum(int(d) * w for d, w in zip(digits, (3, 7, 9, 0, 5, 8, 4, 2, 1, 6), strict=True)) % 11
        if check < 10:
            return digits[:3] + str(check) + digits[4:]


def _svnr(c: Corpus) -> str:
    digits = svnr(c)
    return c.random.choice([digits, f"{digits[:4]} {digits[4:]}", f"{digits[:4]}-{digits[4:]}"])


def _card(c: Corpus) -> str:
    prefix, length = c.random.choice(
        [("4", 16), ("51", 16), ("55", 16), ("2223", 16), ("34", 15), ("37", 15), ("6011", 16), ("36", 14), ("3530", 16)]
    )
    body = prefix + c.digits(length - len(prefix) - 1)
    digits = next(body + str(d) for d in range(10) if kinds.luhn_is_valid(body + str(d)))
    if length == 16 and c.random.random() < 0.5:
        return c.random.choice([" ", "-"]).join(digits[i : i + 4] for i in range(0, 16, 4))
    return digits


def _ipv4(c: Corpus) -> str:
    return f"{c.random.choice([8, 62, 77, 81, 91, 178, 193, 212])}.{c.number(0, 255)}.{c.number(0, 255)}.{c.number(1, 254)}"


def _ipv6(c: Corpus) -> str:
    return c.random.choice(
        [
            f"2a02:{c.number(100, 999)}:{c.hex(3)}1::{c.number(1, 99)}",
            f"2001:db8:{c.hex(3)}1:{c.hex(3)}2:{c.hex(3)}3:{c.hex(3)}4:{c.hex(3)}5:{c.hex(3)}6",
            f"fe80::{c.hex(3)}1:{c.hex(3)}2",
        ]
    )


_PERSONAL: tuple[tuple[str, Callable[[Corpus], str]], ...] = (
    (kinds.EMAIL, _email), (kinds.PHONE, _phone), (kinds.IBAN, _iban), (kinds.SVNR, _svnr), (kinds.CARD, _card), (kinds.IP, _ipv4), (kinds.IP, _ipv6),
)  # fmt: skip
_PLACES = (
    "{time} INFO {word} saved for {value}",
    '{time} WARN rejected "{value}" in {word}',
    '{{"msg":"{word}","value":"{value}"}}',
    "GET /{word}?q={value}&page=2 HTTP/1.1",
    "{word}: contact={value}; next",
    "{value} asked for {word}",
    "{word} ({value})",
    "{word}\t{value}",
    "Sent to {value}.",
    "{word},{value},2026",
)


def lines(seed: int, number: int, personal_share: float) -> Iterator[tuple[str, str | None]]:
    """``number`` lines with the kind of personal data in each, ``None`` for harmless ones."""
    corpus = Corpus(seed)
    for _ in range(number):
        if corpus.random.random() < personal_share:
            line, kind = corpus.personal()
            yield line, kind
        else:
            yield corpus.harmless(), None
