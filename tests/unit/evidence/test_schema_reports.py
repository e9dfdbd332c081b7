"""Reports of tools and services that are not available here (PHPStan, GitHub's alerts, Codacy), built from the published schemas: twelve
of each, every one with the figure that its builder counted while it wrote. No real one of these has been read."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evidence.gates import GATES
from tests.unit.evidence.folder import COMMIT, evidence_of, put

NUMBER = 12
LEVELS = ("low", "medium", "high", "critical")
STATES = ("open", "open", "dismissed", "fixed")

Built = tuple[Any, float]
"""A report, and its figure."""


def dependabot(dice: random.Random) -> Built:
    """``GET /repos/{owner}/{repo}/dependabot/alerts`` of GitHub's REST API, version 2022-11-28."""
    alerts, severe = [], 0
    for number in range(1, dice.randrange(0, 9)):
        level, state = dice.choice(LEVELS), dice.choice((*STATES, "auto_dismissed"))
        severe += state == "open" and level in ("high", "critical")
        score = {"low": 2.1, "medium": 5.3, "high": 7.5, "critical": 9.8}[level]
        package = {"ecosystem": dice.choice(("npm", "pip", "composer")), "name": f"package-{number}"}
        alerts.append(
            {
                "number": number,
                "state": state,
                "dependency": {"package": package, "manifest_path": "package-lock.json", "scope": "runtime"},
                "security_advisory": {
                    "ghsa_id": f"GHSA-xxxx-xxxx-{number:04}",
                    "cve_id": dice.choice((None, f"CVE-2026-{number:04}")),
                    "severity": level,
                    "summary": "a summary",
                    "cvss": dice.choice(
                        ({"vector_string": "CVSS:3.1/AV:N", "score": score}, {"vector_string": None, "score": 0.0})
                    ),
                    "identifiers": [{"type": "GHSA", "value": f"GHSA-xxxx-xxxx-{number:04}"}],
                },
                "security_vulnerability": {
                    "package": package,
                    "severity": level,
                    "vulnerable_version_range": "< 4.17.21",
                    "first_patched_version": dice.choice((None, {"identifier": "4.17.21"})),
                },
                "url": f"https://api.github.com/repos/o/r/dependabot/alerts/{number}",
                "created_at": "2026-11-20T10:00:00Z",
                "dismissed_at": None,
                "fixed_at": None,
            }
        )
    return alerts, severe


def code_scanning(dice: random.Random) -> Built:
    """``GET /repos/{owner}/{repo}/code-scanning/alerts`` of GitHub's REST API, version 2022-11-28."""
    alerts, severe = [], 0
    for number in range(1, dice.randrange(0, 9)):
        level, security, state = (
            dice.choice(("none", "note", "warning", "error")),
            dice.choice((None, *LEVELS)),
            dice.choice(STATES),
        )
        severe += state == "open" and (level == "error" or security in ("high", "critical"))
        alerts.append(
            {
                "number": number,
                "created_at": "2026-11-20T10:00:00Z",
                "state": state,
                "rule": {"id": f"js/rule-{number}", "severity": level, "security_severity_level": security, "tags": ["security"]},
                "tool": {"name": "CodeQL", "guid": None, "version": "2.20.1"},
                "most_recent_instance": {
                    "ref": "refs/heads/main",
                    "state": state,
                    "commit_sha": COMMIT,
                    "message": {"text": "x"},
                    "location": {"path": "a.js", "start_line": 1, "end_line": 1, "start_column": 1, "end_column": 2},
                },
            }
        )
    return alerts, severe


def codacy(dice: random.Random) -> Built:
    """``getRepositoryWithAnalysis`` of Codacy's API v3."""
    grade = dice.randrange(60, 101)
    commit = {"sha": COMMIT, "id": 7, "startedAnalysis": "2026-11-23T20:00:00Z", "endedAnalysis": "2026-11-23T20:05:00Z"}
    return {
        "data": {
            "lastAnalysedCommit": commit,
            "grade": grade,
            "gradeLetter": "ABCDEF"[min(5, (100 - grade) // 15)],
            "issuesPercentage": dice.randrange(0, 30),
            "complexFilesPercentage": dice.randrange(0, 30),
            "duplicationPercentage": dice.randrange(0, 30),
            "coverage": {"coveragePercentage": dice.randrange(0, 101), "numberTotalFiles": 3},
            "repository": {"provider": "gh", "owner": "o", "name": "r", "visibility": "Private", "languages": ["PHP"]},
        }
    }, grade


def phpstan(dice: random.Random) -> Built:
    """PHPStan's ``JsonErrorFormatter``; PHP writes an empty map as an empty list."""
    files: dict[str, Any] = {}
    for number in range(dice.randrange(0, 5)):
        messages = [
            {
                "message": "Undefined variable: $x",
                "line": line,
                "ignorable": True,
                **dice.choice(({}, {"identifier": "variable.undefined"})),
            }
            for line in range(1, dice.randrange(2, 5))
        ]
        files[f"/src/{number}.php"] = {"errors": len(messages), "messages": messages}
    general = ["Ignored error pattern was not matched in reported errors."] * dice.randrange(0, 2)
    in_files = sum(entry["errors"] for entry in files.values())
    totals = {"errors": len(general), "file_errors": in_files}
    return {"totals": totals, "files": files or [], "errors": general}, in_files + len(general)


BUILDERS: dict[str, tuple[str, Callable[[random.Random], Built]]] = {
    "dependabot": ("dependabot.json", dependabot),
    "code-scanning": ("code-scanning.json", code_scanning),
    "codacy": ("codacy.json", codacy),
    "phpstan": ("phpstan.json", phpstan),
}


@pytest.mark.parametrize("gate", list(BUILDERS))
def test_the_figure_of_a_report_of_the_published_schema_is_the_one_that_its_builder_counted(tmp_path: Path, gate: str) -> None:
    file, build = BUILDERS[gate]
    passed = set()
    for seed in range(NUMBER):
        report, figure = build(random.Random(seed))
        put(tmp_path / str(seed), file, json.dumps(report).encode(), exitCode=int(gate == "phpstan" and figure > 0))
        (found,) = evidence_of(tmp_path / str(seed), gate)
        assert (found.problem, found.figure) == (None, figure), found.detail
        passed.add(GATES[gate].passes(figure))
    assert passed == {True, False}, "some that pass, and some that do not"
