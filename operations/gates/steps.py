"""Every step: which gates it makes reports for, and what runs it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from evidence import expected
from evidence.gates import GATES
from operations.gates import browser, command, node, own_checks, python_tests, scanners, services
from operations.gates.context import Context, NotHereError, StepError
from operations.wording import counted


@dataclass(frozen=True)
class Step:
    """One tool. ``reports``: the files that it must leave, by the gate that they speak for (``{stack}``: whose gates are run);
    ``applies``: whether the monorepo has anything for it."""

    name: str
    reports: Mapping[str, tuple[str, ...]]
    run: Callable[[Context], None]
    applies: Callable[[Context], bool] = lambda context: True

    @property
    def gates(self) -> tuple[str, ...]:
        """The gates that its reports speak for."""
        return tuple(self.reports)


@dataclass(frozen=True)
class Done:
    """How a step ended. ``error``: why it left no report; empty where it did. ``is_here``: whether it can run here at all."""

    step: Step
    seconds: float
    error: str = ""
    is_here: bool = True

    @property
    def failed(self) -> bool:
        """Whether its tool was run and failed; one that cannot run here fails its gates, unless CI's report is there."""
        return bool(self.error) and self.is_here


def said(done: Done) -> str:
    """One line on how a step ended."""
    if not done.is_here:
        return f"{done.step.name}: cannot run here: {done.error}"
    return (
        f"{done.step.name}: {f'failed after {done.seconds:.1f} s: {done.error}' if done.error else f'done in {done.seconds:.1f} s'}"
    )


def not_here(ended: Sequence[Done], gates: Iterable[str]) -> str | None:
    """Which steps could not run here, and for which of ``gates``; ``None`` where there is none."""
    lacking = [done for done in ended if not done.is_here]
    if not lacking:
        return None
    asked = list(gates)
    concerned = [name for name in asked if any(name in done.step.gates for done in lacking)]
    tools = "\n".join(
        f"  {done.step.name} ({', '.join(name for name in done.step.gates if name in asked)}): {done.error}" for done in lacking
    )
    return (
        f"{len(lacking)} of {counted(len(ended), 'step')} cannot run here, so the reports of {len(concerned)} of "
        f"{counted(len(asked), 'gate')} cannot be made:\n{tools}\n"
        "Copy CI's reports for this commit, each with its .provenance.json, into the reports folder and run bin/mo gates."
    )


_LIGHTHOUSE = ("lighthouse-performance", "lighthouse-accessibility", "lighthouse-best-practices", "lighthouse-seo")

STEPS: tuple[Step, ...] = (
    Step(
        "pytest with coverage",
        {"unit-tests": ("unit-api.xml",), "coverage": ("coverage-api.xml",)},
        python_tests.run,
        python_tests.has_unit_tests,
    ),
    Step(
        "vitest with coverage", {"unit-tests": ("unit-web.xml",), "coverage": ("coverage-web.info",)}, node.vitest, node.has_tests
    ),
    Step("PHP tests", {"unit-tests": ("unit-php.xml",)}, scanners.php_tests, scanners.has_php_tests),
    Step("PHPUnit", {"unit-tests": ("unit-phpunit.xml",)}, scanners.phpunit, scanners.has_phpunit),
    Step("integration tests", {"integration-tests": ("integration.xml",)}, python_tests.integration),
    Step("end-to-end tests", {"e2e-tests": ("e2e.xml",)}, python_tests.end_to_end),
    Step("ESLint", {"eslint": ("eslint.json",)}, node.eslint),
    Step("jscpd", {"duplication": ("jscpd-report.json",)}, node.jscpd),
    Step("Gitleaks", {"gitleaks": ("gitleaks.json", "gitleaks.sarif")}, scanners.gitleaks),
    Step("PHPStan", {"phpstan": ("phpstan.json",), "phpstan-level": ("phpstan.json",)}, scanners.phpstan),
    Step("Trivy", {"trivy": ("trivy.json", "trivy.sarif")}, scanners.trivy),
    Step("bill of materials", {"sbom": ("sbom.json",)}, scanners.sbom),
    Step("Dependabot", {"dependabot": ("dependabot.json",)}, services.dependabot),
    Step("code scanning", {"code-scanning": ("code-scanning.json",)}, services.code_scanning),
    Step("Codacy", {"codacy": ("codacy.json",)}, services.codacy),
    Step("axe-core", {"wcag": ("axe.json",)}, browser.axe),
    Step("Lighthouse", dict.fromkeys(_LIGHTHOUSE, ("lighthouse.json",)), browser.lighthouse),
    Step("personal data in logs", {"personal-data": (own_checks.PERSONAL_DATA,)}, own_checks.personal_data_in_logs),
    Step("consent", {"consent": ("consent.json",)}, own_checks.consent),
    Step("privacy policy", {"privacy-policy": ("privacy-policy.json",)}, own_checks.privacy),
    Step("attestation", {"attestation": ("attestation.json",)}, own_checks.attested),
    *(
        Step(gate.run.tool, {gate.name: (gate.run.report,)}, partial(command.run, gate.run))
        for gate in GATES.values()
        if gate.run is not None
    ),
)
"""Tools that need code of this project, and at the end those whose gate's file has the command."""


def of_gates(gates: Iterable[str]) -> tuple[Step, ...]:
    """The steps that make a report for one of ``gates``."""
    wanted = set(gates)
    return tuple(step for step in STEPS if wanted & set(step.gates))


def wanted(context: Context) -> dict[str, dict[str, str]]:
    """What the tools that this monorepo has must leave: gate → report → tool."""
    found: dict[str, dict[str, str]] = {}
    for step in STEPS:
        if step.applies(context):
            for gate, names in step.reports.items():
                found.setdefault(gate, {}).update({name.format(stack=context.stack): step.name for name in names})
    return found


def run(context: Context, steps: Sequence[Step], tell: Callable[[Done], None], jobs: int = 2) -> list[Done]:
    """Runs ``steps`` that apply, ``jobs`` at a time, and says of each how it ended. One that fails does not stop the others, and leaves no
    report, not even an earlier one; one that cannot run here leaves the reports that lie there, such as CI's. First it is written down what
    every step has to leave, so that a missing report is missed."""
    expected.write(context.reports, context.commit.id, wanted(context))

    def forget(step: Step) -> None:
        for name in {name for names in step.reports.values() for name in names}:
            context.forget(name.format(stack=context.stack))

    def one(step: Step) -> Done:
        begun = time.monotonic()
        try:
            step.run(context)
            done = Done(step, time.monotonic() - begun)
        except NotHereError as error:
            done = Done(step, time.monotonic() - begun, str(error), is_here=False)
        except StepError as error:
            forget(step)
            done = Done(step, time.monotonic() - begun, str(error))
        except BaseException:
            forget(step)
            raise
        tell(done)
        return done

    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(one, [step for step in steps if step.applies(context)]))
