"""Tools from the npm registry, pinned in ``tools/package-lock.json``: vitest, ESLint, jscpd."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from operations.build.steps import NPM_CI
from operations.gates.context import Context

_TOOLS = Path(__file__).resolve().parent / "tools"
_FILES = ("package.json", "package-lock.json", "eslint.config.mjs", "vitest.config.mjs")
_SKIPPED = shutil.ignore_patterns("node_modules", "dist", "vendor", "coverage", ".git")
_TESTED = ("frontend", "web", "package.json", "tsconfig.json")


def installed(context: Context) -> Path:
    """The folder whose ``node_modules`` hold the tools; installed once for each set of ``tools/``, without any package's scripts."""
    files = {name: (_TOOLS / name).read_bytes() for name in _FILES}

    def install(folder: Path) -> None:
        for name, data in files.items():
            (folder / name).write_bytes(data)
        context.run([*NPM_CI, "--loglevel=error"], folder, timeout=900)

    return context.tool("node", b"".join(files.values()), install)


def version(package: str) -> str:
    """The pinned version of a tool."""
    pinned = json.loads((_TOOLS / "package.json").read_text())["dependencies"]
    return str(pinned[package])


def has_tests(context: Context) -> bool:
    """Whether the frontend or the games have tests."""
    return any(
        not {"node_modules", "dist"} & set(path.relative_to(context.source).parts)
        for part in _TESTED[:2]
        for path in (context.source / part).rglob("*.test.*")
    )


def vitest(context: Context) -> None:
    """Leaves ``unit-web.xml`` (JUnit) and ``coverage-web.info`` (LCOV) of the frontend's and the games' tests."""
    names = ("unit-web.xml", "coverage-web.info")
    tools = installed(context)
    with context.scratch() as scratch:
        work = scratch / "work"
        work.mkdir()
        for part in _TESTED:
            place = context.source / part
            if place.is_dir():
                shutil.copytree(place, work / part, ignore=_SKIPPED, symlinks=True)
            elif place.is_file():
                shutil.copy(place, work)
        (work / "node_modules").symlink_to(tools / "node_modules")
        shutil.copy(tools / "vitest.config.mjs", work)
        done = context.run(
            [
                "node", str(tools / "node_modules/vitest/vitest.mjs"), "run", "--config", "vitest.config.mjs", "--reporter=junit",
                f"--outputFile={scratch / 'unit.xml'}", "--coverage.enabled", f"--coverage.reportsDirectory={scratch / 'coverage'}",
            ],
            work,
            accept=(0, 1),
            env={"CI": "1", "NO_COLOR": "1"},
        )  # fmt: skip
        of, code = version("vitest"), done.returncode
        context.keep(scratch / "unit.xml", names[0], "vitest", of, exit_code=code)
        context.keep(scratch / "coverage/lcov.info", names[1], "vitest", of, exit_code=code, same_run=names[:1])


def eslint(context: Context) -> None:
    """Leaves ``eslint.json``."""
    name = "eslint.json"
    tools = installed(context)
    own = [context.source / f"eslint.config.{ending}" for ending in ("js", "mjs", "cjs")]
    config = next((path for path in own if path.is_file()), tools / "eslint.config.mjs")
    with context.scratch() as scratch:
        done = context.run(
            [
                "node", str(tools / "node_modules/eslint/bin/eslint.js"), "--config", str(config), "--format", "json",
                "--output-file", str(scratch / name), "--no-error-on-unmatched-pattern", ".",
            ],
            context.source,
            accept=(0, 1),
        )  # fmt: skip
        context.keep(scratch / name, name, "ESLint", version("eslint"), exit_code=done.returncode)


def jscpd(context: Context) -> None:
    """Leaves ``jscpd-report.json``: duplicates in all that is written by hand, in any language."""
    name = "jscpd-report.json"
    tools = installed(context)
    with context.scratch() as scratch:
        done = context.run(
            [
                "node", str(tools / "node_modules/jscpd/bin/jscpd"), "--silent", "--reporters", "json", "--output", str(scratch),
                "--ignore", "**/node_modules/**,**/dist/**,**/vendor/**,**/*lock*,**/*.svg,**/wheels/**,**/__pycache__/**",
                "--format", "javascript,typescript,tsx,php,python,css,sql", str(context.source),
            ],
            context.source,
            env={"NO_COLOR": "1", "HOME": os.environ.get("HOME", str(scratch))},
        )  # fmt: skip
        context.keep(scratch / name, name, "jscpd", version("jscpd"), exit_code=done.returncode)
