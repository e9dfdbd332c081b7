"""Every step: which gates it makes reports for, and what runs it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from evidence import expected
from operations.gates import browser, node, own_checks, python_tests, scanners, services
from operations.gates.context import Context, StepError


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
    """How a step ended. ``error``: why it left no report; empty where it did."""

    step: Step
    seconds: float
    error: str = ""


def said(done: Done) -> str:
    """One line on how a step ended."""
    return (
        f"{done.step.name}: {'failed' if done.error else 'done'} in {done.seconds:.1f} s{': ' + done.error if done.error else ''}"
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
)


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
    """Runs ``steps`` that apply, ``jobs`` at a time, and says of each how it ended. One that fails does not stop the others. First it is
    written down what every step has to leave, so that a missing report is missed."""
    expected.write(context.reports, context.commit.id, wanted(context))

    def one(step: Step) -> Done:
        begun = time.monotonic()
        try:
            step.run(context)
            done = Done(step, time.monotonic() - begun)
        except StepError as error:
            done = Done(step, time.monotonic() - begun, str(error))
        tell(done)
        return done

    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(one, [step for step in steps if step.applies(context)]))
