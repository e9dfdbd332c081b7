"""Recognises personal data in a line of text: each kind by its form and, where it has one, its checksum."""

from __future__ import annotations

import ipaddress
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import unquote

EMAIL, PHONE, IBAN, SVNR, IP, CARD = "e-mail", "phone", "IBAN", "social-insurance number", "IP address", "card number"

_EMAIL = re.compile(r"[\w.+'-]{1,64}@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}([^\W\d_]{2,24})(?![\w@])")
_FILE_ENDINGS = frozenset(
    ("png", "jpg", "jpeg", "gif", "svg", "webp", "avif", "ico", "css", "js", "mjs", "map", "json", "html", "php", "service")
)
# No pattern begins with a look-behind: the search would be several times slower. What stands before a match is looked at afterwards.
_IPV4 = re.compile(r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}(?!\.?\w)")
_IPV6 = re.compile(r"[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:])")
_PLUS = re.compile(r"(?:\+|00)[1-9](?:[ ()./-]{0,3}\d){7,14}(?![\w])")
_NATIONAL = re.compile(
    r"\(?0(?:"
    r"6[5-9]\d\)?[ /-]?\d(?:[ -]?\d){5,9}"  # mobile: 0660 1234567, 06601234567
    r"|(?:1|[2-7]\d{2,3})\)?(?:[ ]|[ ]?[/-][ ]?)\d(?:[ -]?\d){4,9}"  # landline, separated: 01 2345678, 0316/123456
    r")(?![\w]|[.:/-]\d)"
)
_US_DATE = re.compile(r"\(?0\d[-/ ]\d\d[-/ ]\d{4}$")
_IBAN = re.compile(r"([A-Za-z]{2})(\d{2})(?=[ +-]?[A-Za-z0-9])")
_DIGITS = re.compile(r"\d(?:[ ()./+-]{0,3}\d){5}")
"""In every phone number, IBAN, insurance number and card number: six digits that nothing but separators parts."""
_SVNR = re.compile(r"([1-9]\d{3})([ /-]?)(\d{6})(?!\w|\.\d|-\w)")
_TIME_NAME = re.compile(
    r"(?:ts|time|stamp|epoch|exp|expires|iat|nbf|date|_at|since|until|start|end)[\"']?\s*[=:(]\s*[\"']?$", re.IGNORECASE
)
_DAY = 86_400
_CARD = re.compile(
    r"(?:\d{4}([ -])\d{4}\1\d{4}\1\d{4}(?:\1\d{1,3})?"  # groups of four
    r"|\d{4}([ -])\d{6}\2\d{4,5}"  # American Express, Diners
    r"|\d{13,19})(?!\w|[.]\d|-\w)"
)
_CARD_FORMS = (
    (re.compile(r"4"), {13, 16}),
    (re.compile(r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720"), {16}),
    (re.compile(r"3[47]"), {15}),
    (re.compile(r"6011|65|64[4-9]"), {16}),
    (re.compile(r"35(?:2[89]|[3-8])"), {16}),
    (re.compile(r"3(?:0[0-5]|[68])"), {14}),
    (re.compile(r"50|5[6-8]|6[37]"), {16, 18, 19}),
)
_IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28, "CH": 21, "CR": 22,
    "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22,
    "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30,
    "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31,
    "MU": 30, "NL": 18, "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SE": 24,
    "SI": 19, "SK": 24, "SM": 27, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
}  # fmt: skip
_SVNR_WEIGHTS = (3, 7, 9, 0, 5, 8, 4, 2, 1, 6)


@dataclass(frozen=True)
class Allowed:
    """What may stand in logs: networks, and whole values (an e-mail address may begin with ``*@``)."""

    networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = field(
        default_factory=lambda: (
            ipaddress.ip_network("127.0.0.0/8"),
            ipaddress.ip_network("0.0.0.0/32"),
            ipaddress.ip_network("::1/128"),
        )
    )
    values: frozenset[str] = frozenset()
    clock: float | None = None
    """When the log was written, in seconds since 1970; ``None`` for now."""

    def address(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
        """Whether an IP address may stand in logs."""
        return any(address in network for network in self.networks if network.version == address.version)

    def value(self, text: str) -> bool:
        """Whether an e-mail address or a number may stand in logs."""
        lower = text.lower()
        return lower in self.values or ("@" in lower and "*@" + lower.rpartition("@")[2] in self.values)


def kinds(line: str, allowed: Allowed) -> set[str]:
    """The kinds of personal data in a line; also where it is percent-encoded or escaped as in JSON."""
    found = set(_kinds(line, allowed))
    if "%" in line:
        found.update(_kinds(unquote(line.replace("+", " ")), allowed))
        found.update(_kinds(unquote(line), allowed))
    if "\\u00" in line:
        found.update(_kinds(line.replace("\\u0040", "@").replace("\\u002b", "+").replace("\\u002B", "+"), allowed))
    return found


def _kinds(line: str, allowed: Allowed) -> Iterator[str]:
    digits = _DIGITS.search(line) is not None
    for kind, applies, find in _DETECTORS:
        if applies(line, digits) and any(not allowed.value(value) for value in find(line, allowed)):
            yield kind


def _sign(line: str, match: re.Match[str]) -> str:
    """The character before a match; empty at the line's start."""
    return line[match.start() - 1] if match.start() else ""


def _is_part(before: str, signs: str) -> bool:
    """Whether what stands before a match makes it part of something longer."""
    return bool(before) and (before[-1].isalnum() or before[-1] == "_" or before[-1] in signs)


def _is_in_date(line: str, start: int) -> bool:
    """Whether a digit and a separator of dates and times stand before ``start``."""
    return start > 1 and line[start - 1] in ":/-." and line[start - 2].isdigit()


def _emails(line: str, allowed: Allowed) -> Iterator[str]:
    for match in _EMAIL.finditer(line):
        if match.group(1).lower() not in _FILE_ENDINGS:
            yield match.group(0).lstrip(".+'-")


def _addresses(line: str, allowed: Allowed) -> Iterator[str]:
    for match in _IPV4.finditer(line):
        before = line[max(match.start() - 2, 0) : match.start()]
        # "Chrome/120.0.0.0" is a version, "://192.0.2.1" an address.
        if _is_part(before, ".") or (before[-1:] == "/" and before[:1].isalpha()):
            continue
        if _is_address(match.group(0), allowed):
            yield match.group(0)
    for match in _IPV6.finditer(line):
        if _is_part(_sign(line, match), ":."):
            continue
        if ("::" in match.group(0) or match.group(0).count(":") == 7) and _is_address(match.group(0), allowed):
            yield match.group(0)


@lru_cache(maxsize=4096)
def _is_address(text: str, allowed: Allowed) -> bool:
    """Whether ``text`` is an IP address of somebody, and not one that is allowed. Of IPv6, only what is given to hosts counts: ``add::c``
    in a log is a name."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        first = int(address) >> 112
        if not (0x2000 <= first <= 0x3FFF or 0xFC00 <= first <= 0xFDFF or 0xFE80 <= first <= 0xFEBF):
            return False
    return not allowed.address(address)


def _phones(line: str, allowed: Allowed) -> Iterator[str]:
    for match in _PLUS.finditer(line):
        if not _is_part(_sign(line, match), "+") and not _is_in_date(line, match.start()):
            yield match.group(0)
    for match in _NATIONAL.finditer(line):
        free = not _is_part(_sign(line, match), ".+") and not _is_in_date(line, match.start())
        if free and not _US_DATE.match(match.group(0)):
            yield match.group(0)


def _ibans(line: str, allowed: Allowed) -> Iterator[str]:
    for match in _IBAN.finditer(line):
        length = _IBAN_LENGTHS.get(match.group(1).upper())
        if length is None or _is_part(_sign(line, match).replace("_", "="), ""):
            continue
        text = _unspaced(line[match.start() : match.start() + 2 * length], length)
        if text is not None and iban_is_valid(text):
            yield text


def _unspaced(text: str, length: int) -> str | None:
    """The first ``length`` signs of ``text``, written as one or in groups of four, in upper case; ``None`` where it goes on, or is broken
    otherwise (as the parts of a UUID are)."""
    solid = text[:length]
    if solid.isascii() and solid.isalnum():
        return None if text[length : length + 1].isalnum() else solid.upper()
    size = length + (length - 1) // 4
    grouped = text[:size]
    separators = set(grouped[4::5])
    signs = "".join(sign for index, sign in enumerate(grouped) if index % 5 != 4)
    ends = not text[size : size + 1].isalnum()
    return (
        signs.upper()
        if ends and len(separators) == 1 and separators <= set(" -+") and signs.isascii() and signs.isalnum()
        else None
    )


def iban_is_valid(text: str) -> bool:
    """Whether an IBAN's check digits are right (ISO 7064, MOD 97-10)."""
    moved = text[4:] + text[:4]
    return int("".join(str(int(sign, 36)) for sign in moved)) % 97 == 1


def _insurance_numbers(line: str, allowed: Allowed) -> Iterator[str]:
    for match in _SVNR.finditer(line):
        digits = match.group(1) + match.group(3)
        if not svnr_is_valid(digits) or _is_part(_sign(line, match), ".") or _is_in_date(line, match.start()):
            continue
        if match.group(2) or not _is_time(int(digits), line[: match.start()], allowed.clock):
            yield digits


def _is_time(seconds: int, before: str, clock: float | None) -> bool:
    """Whether ten digits are seconds since 1970: by the name before them, or at a line's beginning, where they are of the year in which the
    log was written."""
    if _TIME_NAME.search(before):
        return 1_000_000_000 <= seconds <= 2_100_000_000
    written = time.time() if clock is None else clock
    return not before.strip("[({\"' ") and written - 400 * _DAY <= seconds <= written + _DAY


def svnr_is_valid(digits: str) -> bool:
    """Whether ten digits are an Austrian social-insurance number: check digit (the fourth), and a date of birth (months 13 to 15 are given
    out when a day's numbers are used up)."""
    total = sum(int(digit) * weight for digit, weight in zip(digits, _SVNR_WEIGHTS, strict=True))
    return total % 11 == int(digits[3]) and 1 <= int(digits[4:6]) <= 31 and 1 <= int(digits[6:8]) <= 15


def _cards(line: str, allowed: Allowed) -> Iterator[str]:
    for match in _CARD.finditer(line):
        digits = re.sub(r"\D", "", match.group(0))
        if _is_part(_sign(line, match), "."):
            continue
        if any(form.match(digits) and len(digits) in lengths for form, lengths in _CARD_FORMS) and luhn_is_valid(digits):
            yield digits


def luhn_is_valid(digits: str) -> bool:
    """Whether a number's last digit is its Luhn check digit."""
    total = 0
    for index, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if index % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def _has_digits(line: str, digits: bool) -> bool:
    return digits


_DETECTORS: tuple[tuple[str, Callable[[str, bool], bool], Callable[[str, Allowed], Iterator[str]]], ...] = (
    (EMAIL, lambda line, digits: "@" in line, _emails),
    (IP, lambda line, digits: line.count(".") >= 3 or line.count(":") >= 2, _addresses),
    (PHONE, _has_digits, _phones),
    (IBAN, _has_digits, _ibans),
    (SVNR, _has_digits, _insurance_numbers),
    (CARD, _has_digits, _cards),
)
