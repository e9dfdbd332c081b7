"""Whatever makes the truth behind a green report red turns its gate red: formats × mutants × 0 passes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from evidence.file import units
from evidence.gates import GATES
from tests.unit.evidence import mutator
from tests.unit.evidence.folder import evidence_of, put, verdicts_of
from tests.unit.evidence.test_corpus import FORMATS, NOW, corpus, note_of

_NO_SUM = (
    "the format has no sum of its entries, so fewer entries are the report of a smaller project; a note with a count tells a cut "
    "(test_a_note_with_a_count_tells_a_cut), and so does its SHA-256"
)
OURS = ("eslint", "js-lcov", "cyclonedx", "trivy")
"""Formats without a sum that this program's own steps leave: they write the count into the note (``Context.keep``)."""
THEIRS = ("eslint-meta", "coverage-lcov", "istanbul")
"""Formats without a sum that come from elsewhere, where the note need not have a count."""
EQUIVALENT: dict[tuple[str, str], str] = {
    **{
        (form, "exit code 1"): "Trivy ends with 1 for any finding, MEDIUM too, where --exit-code 1 asks for it"
        for form in ("trivy", "trivy-sarif", "cyclonedx")
    },
    **{(form, mutator.CUT): _NO_SUM for form in THEIRS},
}
"""(format, mutant) → why it may be as green as what it was made of."""

EVERY = bool(os.environ.get("MO_TEST_EVERY"))


def green(form: str, folder: Path) -> list[tuple[str, bytes, dict[str, Any]]]:
    """The reports of a format that pass: all of them in the thorough run, else the oldest, a middle and the newest."""
    gate, file, *_ = FORMATS[form]
    found = []
    for number, (name, (data, entry)) in enumerate(sorted(corpus().items())):
        if name.startswith(f"{form}/") and entry["exitCode"] == 0:
            place = folder / f"green-{number}"
            note = note_of(form, entry)
            put(place, file, data, **note)
            (evidence,) = evidence_of(place, gate, now=NOW, max_age_hours=24)
            if evidence.problem is None and evidence.figure is not None and GATES[gate].passes(evidence.figure):
                if form in OURS:
                    note["count"] = units(place / file)
                found.append((name, data, note))
    return found if EVERY or len(found) < 4 else [found[0], found[len(found) // 2], found[-1]]


@pytest.mark.parametrize("form", [*OURS, *THEIRS])
def test_a_note_with_a_count_tells_a_cut(tmp_path: Path, form: str) -> None:
    gate, file, *_ = FORMATS[form]
    cuts = 0
    for number, (_, data, note) in enumerate(green(form, tmp_path)):
        count = units(put(tmp_path / f"whole-{number}", file, data, **note))
        assert count
        (whole,) = evidence_of(tmp_path / f"whole-{number}", gate, now=NOW, max_age_hours=24)
        assert whole.problem is None, whole.detail
        for _, content, changes in (mutant for mutant in mutator.mutants(form, data) if mutant[0] == mutator.CUT):
            put(tmp_path / f"cut-{number}", file, content, **{**note, "count": count, **changes})
            (cut,) = evidence_of(tmp_path / f"cut-{number}", gate, now=NOW, max_age_hours=24)
            assert cut.problem in ("incomplete", "nothing-checked", "empty"), (cut.problem, cut.detail)
            cuts += 1
    assert cuts


@pytest.mark.parametrize("form", list(FORMATS))
def test_no_mutant_of_a_green_report_passes(tmp_path: Path, form: str) -> None:
    gate, file, *_ = FORMATS[form]
    reports = green(form, tmp_path)
    assert reports, f"the corpus has no green report of {form}"
    passed, equivalent, number = [], set(), 0
    for name, data, note in reports:
        for mutant, content, changes in mutator.mutants(form, data):
            number += 1
            place = tmp_path / str(number)
            put(place, file, content, **{**note, **changes})
            if verdicts_of(place, gate, now=NOW, max_age_hours=24)[gate].verdict != "fail":
                if (form, mutant) in EQUIVALENT:
                    equivalent.add((form, mutant))
                else:
                    passed.append(f"{name}: {mutant}")
    assert not passed, "\n".join(passed)
    listed = {key for key in EQUIVALENT if key[0] == form}
    assert equivalent == listed or not EVERY, f"listed as equivalent, and fails: {listed - equivalent}"
    assert number > len(mutator.NOTES) + 3
    print(f"{form}: {len(reports)} reports, {number} mutants, 0 passes")
