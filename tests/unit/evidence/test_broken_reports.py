"""No broken file passes a gate, and none makes a reader crash: reports cut at every per cent, and bytes changed by Hypothesis."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from evidence.formats import READERS, reader
from evidence.gates import GATES
from evidence.model import Reading, ReportError
from tests.unit.evidence.folder import CASES, REPORTS, evidence_of, put, the_report, verdicts_of


@pytest.mark.parametrize(("case", "gate"), [(case, gates[0]) for case, gates in CASES.items()])
def test_a_report_cut_at_any_per_cent_of_its_length_never_passes(tmp_path: Path, case: str, gate: str) -> None:
    report = the_report(case, "pass")
    whole = report.read_bytes().rstrip()
    for per_cent in range(1, 100):
        cut = whole[: len(whole) * per_cent // 100]
        if case == "lcov" and cut.endswith(b"end_of_record\n"):
            continue  # a whole tracefile of fewer files; its note's SHA-256 is what tells
        target = put(tmp_path / "r", report.relative_to(REPORTS / case / "pass").as_posix(), cut)
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


@pytest.mark.parametrize(("case", "gate"), [(case, gates[0]) for case, gates in CASES.items()])
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_a_report_that_was_changed_after_its_tool_had_run_never_passes(
    tmp_path: Path, case: str, gate: str, data: st.DataObject
) -> None:
    """Not even where it is whole in itself, as a figure that somebody wrote into it is."""
    target = put(tmp_path / "r", the_report(case, "pass"))
    whole = target.read_bytes()
    place = data.draw(st.integers(0, len(whole)))
    changed = whole[:place] + data.draw(st.binary(max_size=8)) + whole[place + data.draw(st.integers(0, 8)) :]
    assume(changed != whole)
    target.write_bytes(changed)
    (verdict,) = verdicts_of(tmp_path / "r", gate).values()
    assert verdict.verdict == "fail"
    assert verdict.reason


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 10**12) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
JSON_GATES = sorted(gate for gate, readers in READERS.items() for ending in readers if ending == ".json")


@pytest.mark.parametrize("gate", sorted(set(JSON_GATES)))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_json_report_with_one_value_replaced_never_crashes_a_reader(gate: str, data: st.DataObject) -> None:
    """Any value of a failing report by any other: that may break it, and must not raise anything but ``ReportError``."""
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


def _lists_nothing(content: bytes) -> bool:
    """Whether it is a list of no alerts, or of pages without one: what GitHub responds with where all is well."""
    found = json.loads(content)
    return isinstance(found, list) and all(page == [] for page in found)


@settings(max_examples=200, deadline=None)
@given(gate=st.sampled_from(sorted(GATES)), content=st.binary(max_size=200), data=st.data())
def test_arbitrary_bytes_are_no_report(gate: str, content: bytes, data: st.DataObject) -> None:
    ending = data.draw(st.sampled_from(sorted(READERS[gate])))
    reading = _read(gate, f"report{ending}", content)
    if reading is not None:
        assert _lists_nothing(content), content


@settings(max_examples=100, deadline=None)
@given(content=json_values.map(json.dumps).map(str.encode), gate=st.sampled_from(sorted(set(JSON_GATES))))
def test_arbitrary_json_is_no_report(gate: str, content: bytes) -> None:
    reading = _read(gate, "report.json", content)
    if reading is not None:
        assert _lists_nothing(content), content


_FINDING = b'{"VulnerabilityID":"CVE-1","PkgName":"x","Severity":"LOW","Description":"' + b"d" * 200 + b'"}'
_RESULT = b'{"ruleId":"r","level":"note","message":{"text":"' + b"d" * 200 + b'"}}'
_CASE = b'<testcase classname="a.b" name="c"><system-out>' + b"d" * 200 + b"</system-out></testcase>"
_MESSAGE = b'{"filePath":"a.ts","errorCount":0,"messages":[],"source":"' + b"d" * 200 + b'"}'
_FILE = b"SF:a.ts\n" + b"".join(b"DA:%d,1\n" % n for n in range(8)) + b"end_of_record\n"
_NODE = b'{"id":"x","tags":["best-practice"],"nodes":[{"html":"' + b"d" * 200 + b'"}]}'
LARGE = {
    "trivy": (
        "trivy.json",
        b'{"SchemaVersion":2,"ArtifactType":"fs","Results":[{"Target":"a","Vulnerabilities":[',
        _FINDING,
        b",",
        b"]}]}",
    ),
    "gitleaks": (
        "gitleaks.sarif",
        b'{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"gitleaks","rules":[{"id":"r"}]}},"results":[',
        _RESULT,
        b",",
        b"]}]}",
    ),
    "unit-tests": ("unit.xml", b"<testsuites><testsuite>", _CASE, b"", b"</testsuite></testsuites>"),
    "eslint": ("eslint.json", b"[", _MESSAGE, b",", b"]"),
    "coverage": ("lcov.info", b"", _FILE, b"", b""),
    "wcag": ("axe.json", b'{"testEngine":{"name":"axe-core","version":"4"},"violations":[', _NODE, b",", b"]}"),
}
"""Of each kind of report its beginning, one of its entries, what stands between two, and its end."""


@pytest.mark.slow
@pytest.mark.parametrize("gate", list(LARGE))
def test_a_large_report_is_read_in_little_memory(tmp_path: Path, gate: str) -> None:
    """Bounded memory: 20,000 entries (of 1 to 6 MB), and the reader needs less than 3 MiB."""
    import tracemalloc

    name, begin, entry, between, end = LARGE[gate]
    path = tmp_path / name
    path.write_bytes(begin + between.join([entry] * 20_000) + end)
    tracemalloc.start()
    with path.open("rb") as stream:
        reading = reader(gate, path.name)(path.name, stream)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert reading.figures[GATES[gate].measure].value is not None
    assert peak < 3 << 20, f"{peak} bytes for a report of {path.stat().st_size}"
