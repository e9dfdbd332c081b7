"""No broken file passes a gate, and none makes a reader crash: reports cut at every per cent, and bytes changed by Hypothesis."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evidence.formats import READERS, reader
from evidence.gates import GATES
from evidence.model import Reading, ReportError
from tests.unit.evidence.folder import CASES, evidence_of, put, the_report

CUT = [
    ("trivy", "trivy"), ("trivy-sarif", "trivy"), ("gitleaks-sarif", "gitleaks"), ("pytest", "unit-tests"), ("cobertura", "coverage"),
    ("lighthouse", "lighthouse-seo"), ("axe", "wcag"), ("eslint", "eslint"), ("lcov", "coverage"), ("playwright-json", "e2e-tests"),
]  # fmt: skip


@pytest.mark.parametrize(("case", "gate"), CUT)
def test_a_report_cut_at_any_per_cent_of_its_length_never_passes(tmp_path: Path, case: str, gate: str) -> None:
    report = the_report(case, "pass")
    whole = report.read_bytes().rstrip()
    for per_cent in range(1, 100):
        cut = whole[: len(whole) * per_cent // 100]
        if case == "lcov" and cut.endswith(b"end_of_record\n"):
            continue  # a whole tracefile of fewer files; its note's SHA-256 is what tells
        target = put(tmp_path / "r", report.name, cut)
        (found,) = evidence_of(tmp_path / "r", gate)
        assert found.problem in ("unreadable", "empty", "wrong-tool"), f"{per_cent} %: {found}"
        assert found.detail
        target.unlink()


def test_a_file_cut_after_its_note_was_written_is_noticed_even_where_it_is_whole_in_itself(tmp_path: Path) -> None:
    report = the_report("lcov", "pass").read_bytes()
    target = put(tmp_path / "r", "lcov.info", report)
    target.write_bytes(report[: report.index(b"end_of_record\n") + len(b"end_of_record\n")])
    assert evidence_of(tmp_path / "r", "coverage")[0].problem == "altered"


def _read(gate: str, name: str, content: bytes) -> Reading | None:
    """What a reader says; ``None`` where it refuses. Anything else than ``ReportError`` is a crash."""
    try:
        return reader(gate, name)(name, io.BytesIO(content))
    except ReportError as error:
        refusal = error.sentence
    assert 0 < len(refusal) < 400
    return None


PAIRS = sorted({(gates[0], the_report(case, kind)) for case, gates in CASES.items() for kind in ("pass", "fail")}, key=str)


@pytest.mark.parametrize(
    ("gate", "report"), PAIRS, ids=lambda value: "-".join(value.parts[-3:-1]) if isinstance(value, Path) else value
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_changed_bytes_never_crash_a_reader(gate: str, report: Path, data: st.DataObject) -> None:
    content = bytearray(report.read_bytes()[:20_000])
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, max(len(content) - 1, 0)))
        change = data.draw(st.sampled_from(["cut", "insert", "flip", "number"]))
        if change == "cut":
            del content[place : place + data.draw(st.integers(1, 50))]
        elif change == "insert":
            content[place:place] = data.draw(st.binary(min_size=1, max_size=8))
        elif change == "flip" and content:
            content[place % len(content)] = data.draw(st.integers(0, 255))
        else:
            content[place:place] = data.draw(
                st.sampled_from([b"-1", b"1e400", b"NaN", b"null", b'"x"', b"[]", b"{}", b"99999999999999999999"])
            )
    _read(gate, report.name, bytes(content))


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**12) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
JSON_GATES = sorted(gate for gate, readers in READERS.items() for ending in readers if ending == ".json")


@pytest.mark.parametrize("gate", sorted(set(JSON_GATES)))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_json_report_with_one_value_replaced_never_crashes_and_never_becomes_good(gate: str, data: st.DataObject) -> None:
    """Replacing a value of a failing report may break it; it must not raise anything but ``ReportError``."""
    report = next(
        (the_report(case, "fail") for case, gates in CASES.items() if gate in gates and the_report(case, "fail").suffix == ".json"),
        None,
    )
    if report is None:
        report = the_report("phpstan", "fail")
    value = json.loads(report.read_bytes())
    holders: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        for key in list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ():
            holders.append((node, key))
            walk(node[key])

    walk(value)
    if holders:
        holder, key = data.draw(st.sampled_from(holders))
        holder[key] = data.draw(json_values)
    _read(gate, report.name, json.dumps(value).encode())


@settings(max_examples=200, deadline=None)
@given(gate=st.sampled_from(sorted(GATES)), content=st.binary(max_size=200), data=st.data())
def test_arbitrary_bytes_are_no_report(gate: str, content: bytes, data: st.DataObject) -> None:
    ending = data.draw(st.sampled_from(sorted(READERS[gate])))
    reading = _read(gate, f"report{ending}", content)
    if reading is not None:
        assert content.strip() == b"[]", content


@settings(max_examples=100, deadline=None)
@given(content=json_values.map(json.dumps).map(str.encode), gate=st.sampled_from(sorted(set(JSON_GATES))))
def test_arbitrary_json_is_no_report(gate: str, content: bytes) -> None:
    reading = _read(gate, "report.json", content)
    if reading is not None:
        assert content.strip() == b"[]", content


def test_a_large_report_is_read_in_little_memory(tmp_path: Path) -> None:
    """Bounded memory: 40,000 findings (11 MB), and the reader needs less than 4 MiB."""
    import tracemalloc

    finding = b'{"VulnerabilityID":"CVE-1","PkgName":"x","Severity":"LOW","Description":"' + b"d" * 200 + b'"}'
    path = tmp_path / "trivy.json"
    with path.open("wb") as file:
        file.write(b'{"SchemaVersion":2,"ArtifactType":"filesystem","Results":[{"Target":"a","Vulnerabilities":[')
        for _ in range(100):
            file.write((finding + b",") * 400)
        file.write(finding + b"]}]}")
    tracemalloc.start()
    with path.open("rb") as stream:
        reading = reader("trivy", path.name)(path.name, stream)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert reading.figures["severe"].value == 0
    assert peak < 4 << 20, f"{peak} bytes for a report of {path.stat().st_size}"
