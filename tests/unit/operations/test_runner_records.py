"""Trends, journals and baselines go from one runner to the next, and nothing else does."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from operations import runner_records
from operations.runner_records import RecordsError

RUN = "20261121T090000000Z-ab12.jsonl"


def left(root: Path) -> None:
    """What a run leaves in its checkout."""
    for name, text in {
        "quality-reports/deployments.jsonl": "{}\n",
        "quality-reports/deployment-2026-11-21.md": "# no record\n",
        f".mo/production/runs/{RUN}": "{}\n",
        ".mo/production/connection.json": "canary",
        ".mo/signing.pem": "canary",
        "baselines/production/home.png": "picture",
        "baselines/staging/home.png": "of another stack",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def packed(folder: Path) -> bytes:
    """As GitHub gives an artefact."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for place in folder.rglob("*"):
            if place.is_file():
                archive.write(place, place.relative_to(folder))
    return out.getvalue()


def test_what_a_run_left_is_there_for_the_next_and_no_secret_goes_with_it(tmp_path: Path) -> None:
    left(tmp_path / "first")
    assert runner_records.collect(tmp_path / "first", "production", tmp_path / "records") == 3
    carried = packed(tmp_path / "records")
    assert b"canary" not in carried
    second = tmp_path / "second"
    assert runner_records.lay_out(carried, second, "production") == 3
    assert (second / "quality-reports/deployments.jsonl").read_text() == "{}\n"
    assert (second / "baselines/production/home.png").read_text() == "picture"
    journal = second / ".mo/production/runs" / RUN
    assert (journal.stat().st_mode & 0o777, journal.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_what_is_committed_stays_and_other_names_are_passed_over(tmp_path: Path) -> None:
    place = tmp_path / "baselines/production/home.png"
    place.parent.mkdir(parents=True)
    place.write_text("committed")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in ("baselines/home.png", "../escaped", "/tmp/escaped", "runs/../../x.jsonl", "bin/mo", "baselines/../x.png"):
            archive.writestr(name, "other")
    assert runner_records.lay_out(out.getvalue(), tmp_path, "production") == 0
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [place]
    assert place.read_text() == "committed"


def artefact(number: int, created: str, **changes: Any) -> dict[str, Any]:
    run = {"head_branch": "main", "head_repository_id": 1, "repository_id": 1, **changes}
    return {"id": number, "created_at": created, "expired": changes.get("expired", False), "workflow_run": run}


def test_only_an_artefact_of_this_branch_and_repository_is_taken() -> None:
    listed = {
        "artifacts": [
            artefact(1, "2026-11-07T09:00:00Z"),
            artefact(2, "2026-11-14T09:00:00Z"),
            artefact(3, "2026-11-21T09:00:00Z", head_branch="a-pull-request"),
            artefact(4, "2026-11-21T09:00:00Z", head_repository_id=7),
            artefact(5, "2026-11-21T09:00:00Z", expired=True),
        ]
    }
    assert runner_records.newest(listed, "main") == 2
    assert runner_records.newest({"artifacts": []}, "main") is None


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("echo '{\"artifacts\": []}'", 0),
        ("echo broken", "none that can be read"),
        ("echo '{}'", "none that can be read"),
        ("echo canary >&2; exit 4", "exit code 4"),
    ],
)
def test_what_github_does_not_give_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, found: int | str
) -> None:
    (tmp_path / "gh").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "gh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    environment = {"GITHUB_REPOSITORY": "acme/site", "GITHUB_REF_NAME": "main"}
    if isinstance(found, int):
        assert runner_records.restore(tmp_path, "production", environment) == found
        return
    with pytest.raises(RecordsError, match=found) as caught:
        runner_records.restore(tmp_path, "production", environment)
    assert "canary" not in str(caught.value)


def test_the_newest_records_are_asked_for_by_their_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left(tmp_path / "first")
    runner_records.collect(tmp_path / "first", "production", tmp_path / "records")
    answers = {
        "repos/acme/site/actions/artifacts?name=records-production&per_page=100": json.dumps(
            {"artifacts": [artefact(42, "2026-11-21T09:00:00Z")]}
        ).encode(),
        "repos/acme/site/actions/artifacts/42/zip": packed(tmp_path / "records"),
    }
    monkeypatch.setattr(runner_records, "_asked", answers.__getitem__)
    environment = {"GITHUB_REPOSITORY": "acme/site", "GITHUB_REF_NAME": "main"}
    assert runner_records.restore(tmp_path / "second", "production", environment) == 3
