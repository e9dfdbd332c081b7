"""Every step: which gates it makes reports for, and what runs it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from operations.gates import browser, node, own_checks, python_tests, scanners, services
from operations.gates.context import Context, StepError


@dataclass(frozen=True)
class Step:
    """One tool and the gates that its reports speak for."""

    name: str
    gates: tuple[str, ...]
    run: Callable[[Context], None]


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


STEPS: tuple[Step, ...] = (
    Step("pytest with coverage", ("unit-tests", "coverage"), python_tests.run),
    Step("vitest with coverage", ("unit-tests", "coverage"), node.vitest),
    Step("PHP tests", ("unit-tests",), scanners.php_tests),
    Step("integration tests", ("integration-tests",), python_tests.integration),
    Step("end-to-end tests", ("e2e-tests",), python_tests.end_to_end),
    Step("ESLint", ("eslint",), node.eslint),
    Step("jscpd", ("duplication",), node.jscpd),
    Step("Gitleaks", ("gitleaks",), scanners.gitleaks),
    Step("PHPStan", ("phpstan", "phpstan-level"), scanners.phpstan),
    Step("Trivy", ("trivy",), scanners.trivy),
    Step("bill of materials", ("sbom",), scanners.sbom),
    Step("Dependabot", ("dependabot",), services.dependabot),
    Step("code scanning", ("code-scanning",), services.code_scanning),
    Step("Codacy", ("codacy",), services.codacy),
    Step("axe-core", ("wcag",), browser.axe),
    Step(
        "Lighthouse",
        ("lighthouse-performance", "lighthouse-accessibility", "lighthouse-best-practices", "lighthouse-seo"),
        browser.lighthouse,
    ),
    Step("personal data in logs", ("personal-data",), own_checks.personal_data_in_logs),
    Step("consent", ("consent",), own_checks.consent),
    Step("privacy policy", ("privacy-policy",), own_checks.privacy),
    Step("attestation", ("attestation",), own_checks.attested),
)


def of_gates(gates: Iterable[str]) -> tuple[Step, ...]:
    """The steps that make a report for one of ``gates``."""
    wanted = set(gates)
    return tuple(step for step in STEPS if wanted & set(step.gates))


def run(context: Context, steps: Sequence[Step], tell: Callable[[Done], None], jobs: int = 2) -> list[Done]:
    """Runs ``steps``, ``jobs`` at a time, and says of each how it ended. One that fails does not stop the others."""

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
        return list(pool.map(one, steps))
