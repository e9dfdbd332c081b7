"""The quality gates' figures for the commit of this deploy, and what this program's own clock says of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalog.settings import RollbackSettings, StackSettings
from evidence import collect, judge, waivers
from evidence.model import About


class JudgementError(Exception):
    """The gates cannot be judged (an unknown gate, a damaged waiver file); the text says why."""


@dataclass(frozen=True)
class Judgement:
    """``figures``: inputs of the ``QualityGate``; ``failures``: one sentence for each red gate; ``notes``: what was waived or bypassed;
    ``bypassed``: the red gates that do not stop a rollback to what the host holds; ``verdicts``: one a gate, as taken here."""

    figures: dict[str, Any]
    failures: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    bypassed: tuple[str, ...] = ()
    verdicts: tuple[judge.Verdict, ...] = ()


def of(stack: str, settings: StackSettings, project: Path, commit: str | None, rollback: RollbackSettings | None) -> Judgement:
    """Reads the reports and judges them for this stack's host. A rollback is not stopped by red gates; that is noted.
    Raises ``JudgementError``."""
    try:
        evidence = collect.collect(settings.gates, project, commit or "", About(stack, settings.host.account))
        waived = waivers.load(project / "waivers.yaml")
    except (collect.UnknownGateError, waivers.WaiverError) as error:
        raise JudgementError(str(error)) from None
    verdicts = judge.judge(evidence, waivers=waived, commit=commit or "")
    back = rollback.model_dump(exclude={"activations"}) if rollback else None
    figures = judge.inputs(evidence, settings.gates, commit or "", waived, back)
    red = tuple(v.reason for v in verdicts if v.verdict == "fail")
    notes = [v.reason for v in verdicts if v.verdict == "waived"]
    if rollback is not None:
        notes.append(
            f"Rollback to update {rollback.update} by {rollback.author} ({rollback.reason}): {len(red)} red gates do not stop it."
        )
        return Judgement(figures, (), tuple(notes), red, tuple(verdicts))
    return Judgement(figures, red, tuple(notes), verdicts=tuple(verdicts))
