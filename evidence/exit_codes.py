"""How a tool ended, judged by one rule: exit code 0, or one that its documentation gives for "ran, and found something" together with a
report that shows what was found. Anything else means that the report is not the whole truth."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

FOUND: Mapping[str, frozenset[int]] = MappingProxyType(
    {
        # https://docs.pytest.org/en/stable/reference/exit-codes.html: 1 tests failed; 2 interrupted, 3 internal error, 4 usage, 5 no tests.
        "pytest": frozenset({1}),
        # https://vitest.dev/guide/cli: 1 where a test failed, and also for an error outside of tests.
        "vitest": frozenset({1}),
        # https://jestjs.io/docs/cli: 1 where a test failed.
        "jest": frozenset({1}),
        # https://nodejs.org/api/test.html#running-tests-from-the-command-line: 1 where a test failed.
        "node:test": frozenset({1}),
        # https://mochajs.org/#exit-codes: the number of failed tests, 255 at most.
        "mocha": frozenset(range(1, 256)),
        # https://docs.phpunit.de/en/11.5/textui.html#exit-codes: 1 failure, 2 error.
        "phpunit": frozenset({1, 2}),
        # tests/php/run.php of the monorepo: 1 where a test failed.
        "php": frozenset({1}),
        # https://playwright.dev/docs/test-cli: 1 where a test failed; 130 interrupted.
        "playwright": frozenset({1}),
        # https://eslint.org/docs/latest/use/command-line-interface#exit-codes: 1 errors found, or too many warnings; 2 fatal.
        "eslint": frozenset({1}),
        # https://phpstan.org/user-guide/command-line-usage: 1 where errors were found.
        "phpstan": frozenset({1}),
        # https://github.com/gitleaks/gitleaks#exit-codes: 1 leaks or error; --exit-code can change it, which the gate's step does not.
        "gitleaks": frozenset({1}),
        # https://trivy.dev/latest/docs/configuration/others/#exit-code: 0, unless --exit-code asks for another one for findings.
        "trivy": frozenset({1}),
        # https://github.com/anchore/grype#gating-on-severity-of-vulnerabilities: 2 from 0.92 on, 1 before, with --fail-on.
        "grype": frozenset({1, 2}),
        # https://github.com/kucherenko/jscpd/tree/master/apps/jscpd: 1 where --threshold or --exitCode say so.
        "jscpd": frozenset({1}),
        # https://github.com/dequelabs/axe-core-npm/tree/develop/packages/cli: 1 with --exit where a rule is violated.
        "axe-core": frozenset({1}),
        # https://github.com/pa11y/pa11y#exit-codes: 2 issues found; 1 is a technical fault.
        "pa11y": frozenset({2}),
        # https://github.com/pa11y/pa11y-ci#configuration: 2 more issues than the threshold.
        "pa11y-ci": frozenset({2}),
    }
)
"""Exit codes beside 0 that mean "ran to the end, and found something", by the tool's name in lower case. A tool that is not here
has none: 0 alone is its good end."""


def found_by(*tools: str) -> frozenset[int]:
    """The exit codes for findings of the first of ``tools`` that has some."""
    return next((FOUND[tool.lower()] for tool in tools if tool.lower() in FOUND), frozenset())


def fault(code: int, failed: int, codes: frozenset[int]) -> str | None:
    """Why a tool's end contradicts its report, in words that follow the tool's name; ``None`` where it does not. ``failed``: how many
    findings the report shows."""
    if code == 0:
        return None
    if code not in codes:
        means = f"; {' or '.join(map(str, sorted(codes)[:3]))} would mean findings" if codes else ""
        return f"ended with exit code {code}, so it did not finish{means}: read its output, then run it again"
    if failed == 0:
        return f"ended with exit code {code}, and its report shows no failure: read its output for what failed outside of it"
    return None
