"""The API's unit tests with coverage, by pytest in an environment of their own."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from pathlib import Path

from catalog.settings import FLOWS
from operations.gates.context import Context, NotHereError, StepError

TOOLS = ("pytest==9.2.0", "pytest-cov==7.1.0", "coverage==7.15.2", "httpx==0.28.1", "pytest-timeout==2.4.0")
_API = "api.menschlichkeit-oesterreich.at"


def has_unit_tests(context: Context) -> bool:
    """Whether the API has tests."""
    return any((context.source / _API / "tests").rglob("test_*.py"))


def run(context: Context) -> None:
    """Leaves ``unit-api.xml`` (JUnit) and ``coverage-api.xml`` (Cobertura). Failing tests are no error here: the gate says so."""
    names = ("unit-api.xml", "coverage-api.xml")
    api = context.source / _API
    python = _environment(context, api / "requirements.txt")
    with context.scratch() as scratch:
        done = context.run(
            [
                str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout=120", f"--junitxml={scratch / 'unit.xml'}",
                "-o", "junit_logging=no", "--cov=app", f"--cov-report=xml:{scratch / 'coverage.xml'}", "tests",
            ],
            api,
            accept=(0, 1),
            env={"PYTHONDONTWRITEBYTECODE": "1", "COVERAGE_FILE": str(scratch / ".coverage")},
        )  # fmt: skip
        code = done.returncode
        context.keep(scratch / "unit.xml", names[0], "pytest", _version("pytest"), exit_code=code, count=_counted(done.stdout))
        context.keep(scratch / "coverage.xml", names[1], "coverage", _version("coverage"), exit_code=code, same_run=names[:1])


def integration(context: Context) -> None:
    """Leaves ``integration.xml``: the tests below ``tests/integration`` of the monorepo, with the API's requirements at hand."""
    name, folder = "integration.xml", context.source / "tests" / "integration"
    if not any(folder.rglob("test_*.py")):
        raise StepError(f"there are no tests in {folder}")
    python = _environment(context, context.source / _API / "requirements.txt")
    with context.scratch() as scratch:
        options = ["-q", "-p", "no:cacheprovider", "--timeout=120", f"--junitxml={scratch / name}", "-o", "junit_logging=no"]
        done = context.run(
            [str(python), "-m", "pytest", *options, str(folder)],
            context.source,
            accept=(0, 1),
            timeout=900,
            env={"PYTHONDONTWRITEBYTECODE": "1"},
        )
        count = _counted(done.stdout)
        context.keep(scratch / name, name, "pytest", _version("pytest"), exit_code=done.returncode, count=count)


def end_to_end(context: Context) -> None:
    """Leaves ``e2e.xml``: the seven flows through a running site, in Chromium. They write, so they are not run on production."""
    from operations.gates import served
    from operations.validation import flows
    from operations.validation.browser import BrowserError
    from operations.validation.flow_steps import STEPS

    name = "e2e.xml"
    if context.at == "production":
        raise NotHereError(
            "the end-to-end flows write data, so they do not run on production; choose a different stack (--at sandbox)"
        )
    site = served.site(context, dict.fromkeys(service for flow in FLOWS for service in STEPS[flow].services))
    mailbox = context.project / site.settings.validation.mailbox if site.settings.validation.mailbox else None
    with context.scratch() as scratch:
        try:
            flows.tried(flows.Trial(site, FLOWS, "write", mailbox, scratch))
        except BrowserError as error:
            raise StepError(str(error)) from None
        context.keep(scratch / flows.JUNIT, name, "Playwright", importlib.metadata.version("playwright"), about=context.about_site)


_COUNTED = re.compile(r"(?<![\w])(\d+) (passed|failed|skipped|xfailed|xpassed)(?=,| in )")


def _counted(output: str) -> int | None:
    """How many tests pytest's last line counts, for its report counts subtests and re-runs among them; ``None`` of a run that failed: its
    line counts failed subtests and late errors beside the tests that they belong to."""
    last = next((line for line in reversed(output.splitlines()) if line.strip()), "")
    numbers = [int(number) for number, _ in _COUNTED.findall(last)]
    return sum(numbers) if numbers and " error" not in last and " failed" not in last else None


def _version(package: str) -> str:
    return next(tool.split("==")[1] for tool in TOOLS if tool.startswith(package + "=="))


def _environment(context: Context, requirements: Path) -> Path:
    """A virtual environment with the API's requirements and the test tools; made once for each set of them."""
    try:
        wanted = requirements.read_bytes() + "\n".join(TOOLS).encode()
    except OSError as error:
        raise StepError(f"{requirements} cannot be read: {error.strerror}") from None

    def install(folder: Path) -> None:
        context.run([sys.executable, "-m", "venv", str(folder)], context.source)
        packages = ["-r", str(requirements), *TOOLS]
        context.run([str(folder / "bin/python"), "-m", "pip", "install", "-q", *packages], context.source, timeout=900)

    # Its own programs name the folder in which it was made; its Python does not.
    made_from = wanted + f"{sys.version}\n{sys.base_prefix}".encode()
    return context.tool("python", made_from, install) / "bin" / "python"
