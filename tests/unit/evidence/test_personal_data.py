"""The scan of the logs: finds everything that the specification lists, is seldom wrong, and never repeats what it found."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from evidence import personal_kinds as k
from evidence.personal_data import ScanError, load_allowed, scan
from tests.unit.evidence.corpus import lines

FOUND = {
    "Mail an max.mustermann@example.at verschickt": k.EMAIL,
    "to=<anna+news@sub.example.co.at>, relay=x": k.EMAIL,
    "GET /confirm?mail=max%40example.at HTTP/1.1": k.EMAIL,
    '{"mail":"max\\u0040example.at"}': k.EMAIL,
    "müller@österreich.at": k.EMAIL,
    "Tel. +43 660 1234567": k.PHONE,
    "tel:+436601234567": k.PHONE,
    "phone=06601234567": k.PHONE,
    "Rückruf (0664) 123 45 67": k.PHONE,
    "Fax 01/5331234": k.PHONE,
    "0043 1 5331234": k.PHONE,
    "phone=%2B43%20660%201234567": k.PHONE,
    "IBAN AT61 1904 3002 3457 3201": k.IBAN,
    "iban=AT611904300234573201&x=1": k.IBAN,
    "iban=DE89+3704+0044+0532+0130+00&x=%20": k.IBAN,
    "de89370400440532013000": k.IBAN,
    "GB29 NWBK 6016 1331 9268 19 for rent": k.IBAN,
    "SVNR 1237 010180": k.SVNR,
    "svnr=1237010180": k.SVNR,
    "Karte 4111 1111 1111 1111": k.CARD,
    "card=378282246310005": k.CARD,
    "5555-5555-5555-4444": k.CARD,
    'client: 193.171.1.7, server: x, request: "GET / HTTP/1.1"': k.IP,
    "http://193.171.1.7/x": k.IP,
    "from 2a02:8388:1601::1 port 22": k.IP,
    "[2001:db8:85a3::8a2e:370:7334]:443": k.IP,
    "peer ::ffff:193.171.1.7": k.IP,
}

CLEAN = [
    '127.0.0.1 - - [23/Nov/2026:21:16:50 +0000] "GET / HTTP/1.1" 200 2',
    "::1 - - [23/Nov/2026:21:16:50 +0000]",
    "Mozilla/5.0 Chrome/120.0.0.0 Safari/537.36",
    "logo@2x.png sprite@3x.webp",
    "lodash@4.17.21 @types/node@20.1.0",
    "2026-11-23T21:04:27+01:00 took 12:01:33",
    "2026/11/23 21:04:27 [error] 1234#1234: *57 open()",
    "ts=1763931867 exp=1763935467",
    "1763931867 worker[12]: done",
    '"iat": 1763931867, "exp": 1763935467',
    "AT61 1904 3002 3457 3202",  # wrong check digits
    "1238 010180",  # wrong check digit
    "1237 320180",  # no 32nd of a month
    "4111 1111 1111 1112",  # no Luhn
    "300.1.1.1 and 1.2.3",
    "App\\Cafe::Bad std::vector a::b",
    "aa:bb:cc:dd:ee:ff",
    "trace 4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
    "01/23/2026 01-23-2026",
    "zero padded 0000012345 000123456789",
]


@pytest.mark.parametrize(("line", "kind"), FOUND.items())
def test_each_kind_is_found(line: str, kind: str) -> None:
    assert kind in k.kinds(line, k.Allowed()), line


@pytest.mark.parametrize("line", CLEAN)
def test_what_only_looks_like_it_is_not(line: str) -> None:
    assert k.kinds(line, k.Allowed(clock=1763940000)) == set(), line


def measure(seed: int, number: int) -> tuple[list[str], list[str], int]:
    """Missed lines, harmless lines that were taken for personal data, and how many were harmless."""
    missed, wrong, harmless = [], [], 0
    allowed = k.Allowed(clock=datetime(2026, 11, 30, tzinfo=UTC).timestamp())
    for line, kind in lines(seed, number, 0.02):
        found = k.kinds(line, allowed)
        if kind is None:
            harmless += 1
            if found:
                wrong.append(line)
        elif kind not in found:
            missed.append(f"{kind}: {line}")
    return missed, wrong, harmless


def test_recall_is_complete_and_false_positives_are_rare() -> None:
    missed, wrong, harmless = measure(seed=7, number=20_000)
    assert missed == []
    assert len(wrong) < harmless / 10_000, wrong[:5]


@pytest.mark.slow
def test_a_large_corpus() -> None:
    """A million lines (a minute) with ``MO_CORPUS_LINES=1000000``."""
    missed, wrong, harmless = measure(seed=2026, number=int(os.environ.get("MO_CORPUS_LINES", "100000")))
    assert missed == []
    assert len(wrong) < harmless / 10_000, wrong[:5]


def test_compressed_logs_are_scanned_by_content_not_by_name(tmp_path: Path) -> None:
    text = b"nothing here\nmail to max@example.at\n"
    (tmp_path / "access.log").write_bytes(text)
    (tmp_path / "access.log.2.gz").write_bytes(gzip.compress(text))
    (tmp_path / "rotated").write_bytes(gzip.compress(text))
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "old.log.xz").write_bytes(lzma.compress(text))
    (tmp_path / "deep" / "older.log.bz2").write_bytes(bz2.compress(text))
    found = scan(tmp_path)
    assert (found.files, found.lines, found.findings) == (5, 10, 5)
    assert "deep/old.log.xz:2 e-mail" in found.places
    assert "max" not in " ".join(found.places)


@pytest.mark.parametrize("cut", [1, 10, 50])
def test_a_compressed_log_that_is_cut_short_is_no_clean_log(tmp_path: Path, cut: int) -> None:
    whole = gzip.compress(os.urandom(2000))
    (tmp_path / "a.gz").write_bytes(whole[:-cut])
    with pytest.raises(ScanError, match="cannot be read whole"):
        scan(tmp_path)


@pytest.mark.parametrize("name", ["a.log.zst", "a.zip"])
def test_a_log_that_cannot_be_unpacked_is_a_failure(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(ScanError, match="unpack"):
        scan(tmp_path)


def test_a_log_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evidence.personal_data.MAX_BYTES", 1 << 20)
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(b"harmless\n" * (1 << 18)))
    with pytest.raises(ScanError, match="unpacks to more"):
        scan(tmp_path)


def test_nothing_hides_at_the_seam_of_a_long_line_or_between_null_bytes(tmp_path: Path) -> None:
    for place in (65_520, 65_530, 65_536, 131_070):
        (tmp_path / "long.log").write_bytes(b"x" * (place - 1) + b" max.mustermann@example.at " + b"y" * 10)
        assert scan(tmp_path).by_kind[k.EMAIL] >= 1, place
    (tmp_path / "long.log").write_bytes("max@example.at".encode("utf-16-le"))
    assert scan(tmp_path).by_kind[k.EMAIL] == 1


def test_the_allow_list_lets_roles_and_networks_through(tmp_path: Path) -> None:
    path = tmp_path / "allowed.txt"
    assert load_allowed(path).address(__import__("ipaddress").ip_address("127.0.0.1"))
    path.write_text("# who may stand in logs\n*@menschlichkeit-oesterreich.at\n10.0.0.0/8  # our own network\ninfo@example.at\n")
    allowed = load_allowed(path)
    assert k.kinds("from support@menschlichkeit-oesterreich.at to info@example.at via 10.1.2.3", allowed) == set()
    assert k.kinds("from max@example.at via 11.1.2.3", allowed) == {k.EMAIL, k.IP}


@pytest.mark.parametrize("entry", ["*", "*@", "*example*", "0.0.0.0/0", "::/0", "a"])
def test_an_allow_list_that_allows_too_much_is_refused(tmp_path: Path, entry: str) -> None:
    path = tmp_path / "allowed.txt"
    path.write_text(entry + "\n")
    with pytest.raises(ScanError, match="line 1"):
        load_allowed(path)
