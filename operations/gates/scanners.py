"""Scanners of the source: Gitleaks and Trivy from the Go module proxy, PHPStan where it is installed, the build's bill of materials."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from operations.gates.context import Context, NotHereError, StepError, ToolFailedError

GITLEAKS = "8.30.1"
_GITLEAKS_MODULE = "github.com/zricethezav/gitleaks/v8"
PHPSTAN_LEVEL = 6
_CRM = "crm.menschlichkeit-oesterreich.at"


def gitleaks(context: Context) -> None:
    """Leaves ``gitleaks.json`` and ``gitleaks.sarif``: of the whole history where the source is a repository, else of its files."""
    names = ("gitleaks.json", "gitleaks.sarif")
    program, version = _gitleaks(context)
    mode = "git" if (context.source / ".git").exists() else "dir"
    with context.scratch() as scratch:
        for name, form in zip(names, ("json", "sarif"), strict=True):
            done = context.run(
                [
                    program, mode, str(context.source), "--report-format", form, "--report-path", str(scratch / name), "--redact=100",
                    "--no-banner", "--no-color", "--exit-code", "1", "--log-level", "info",
                ],
                context.source,
                accept=(0, 1),
            )  # fmt: skip
            count = _looked_at(done.stderr, mode, context.source)
            context.keep(scratch / name, name, "gitleaks", version, exit_code=done.returncode, count=count)


def _gitleaks(context: Context) -> tuple[str, str]:
    there = shutil.which("gitleaks")
    if there is not None:
        return there, context.run([there, "version"], context.source).stdout.strip()

    def install(folder: Path) -> None:
        if shutil.which("go") is None:
            raise NotHereError(
                "gitleaks is not installed, and there is no Go to build it with (https://github.com/gitleaks/gitleaks)"
            )
        stamp = f"-X {_GITLEAKS_MODULE}/version.Version={GITLEAKS}"
        context.run(
            ["go", "install", "-ldflags", stamp, f"{_GITLEAKS_MODULE}@v{GITLEAKS}"],
            folder,
            timeout=900,
            env={"GOBIN": str(folder), "GOFLAGS": "-mod=mod"},
        )

    return str(context.tool("gitleaks", GITLEAKS.encode(), install) / "gitleaks"), GITLEAKS


def _looked_at(log: str, mode: str, source: Path) -> int:
    """How many commits, or files, were scanned; 0 where Gitleaks does not say that it scanned anything."""
    if mode == "git":
        commits = re.search(r"(\d+) commits scanned", log)
        return int(commits.group(1)) if commits else 0
    scanned = re.search(r"scanned ~(\d+) bytes", log)
    if scanned is None or int(scanned.group(1)) == 0:
        return 0
    return sum(1 for path in source.rglob("*") if path.is_file())


_PHP_TESTS = "tests/php/run.php"


def has_php_tests(context: Context) -> bool:
    """Whether the monorepo has PHP tests."""
    return (context.source / _PHP_TESTS).is_file()


def php_tests(context: Context) -> None:
    """Leaves ``unit-php.xml`` (JUnit) of the monorepo's PHP tests (``tests/php/run.php``, which needs no framework)."""
    name = "unit-php.xml"
    runner = context.source / _PHP_TESTS
    version = re.search(r"(\d+\.\d+\.\d+)", context.run(["php", "--version"], context.source).stdout)
    with context.scratch() as scratch:
        done = context.run(["php", str(runner), str(scratch / name)], context.source, accept=(0, 1))
        context.keep(scratch / name, name, "PHP", version.group(1) if version else "", exit_code=done.returncode)


def has_phpunit(context: Context) -> bool:
    """Whether the monorepo has tests for PHPUnit."""
    return _phpunit(context) is not None


def phpunit(context: Context) -> None:
    """Leaves ``unit-phpunit.xml`` (JUnit); needs PHPUnit on the PATH or in the ``vendor`` beside its settings."""
    name = "unit-phpunit.xml"
    settings = _phpunit(context)
    if settings is None:
        raise StepError("there is no phpunit.xml in the monorepo")
    own = settings.parent / "vendor/bin/phpunit"
    program = str(own) if own.is_file() else shutil.which("phpunit")
    if program is None:
        raise NotHereError(f"PHPUnit is not installed: `composer install` in {settings.parent}, or put it on the PATH")
    version = re.search(r"(\d+\.\d+\.\d+)", context.run([program, "--version"], settings.parent).stdout)
    with context.scratch() as scratch:
        command = [program, "--configuration", str(settings), "--log-junit", str(scratch / name)]
        done = context.run(command, settings.parent, accept=(0, 1, 2), timeout=900)
        context.keep(scratch / name, name, "PHPUnit", version.group(1) if version else "", exit_code=done.returncode)


def _phpunit(context: Context) -> Path | None:
    folders = (context.source, context.source / _CRM)
    found = (folder / name for folder in folders for name in ("phpunit.xml", "phpunit.xml.dist"))
    return next((path for path in found if path.is_file()), None)


def phpstan(context: Context) -> None:
    """Leaves ``phpstan.json`` with its level in the note; needs PHPStan on the PATH or in the monorepo's ``vendor``."""
    name = "phpstan.json"
    own = [context.source / "vendor/bin/phpstan", context.source / _CRM / "vendor/bin/phpstan"]
    program = next((str(path) for path in own if path.is_file()), shutil.which("phpstan"))
    if program is None:
        raise NotHereError(
            "PHPStan is not installed: `composer require --dev phpstan/phpstan` in the monorepo, or put it on the PATH"
        )
    version = context.run([program, "--version"], context.source).stdout
    found = re.search(r"(\d+\.\d+\.\d+\S*)", version)
    files = [
        p
        for p in context.source.rglob("*.php")
        if not {"vendor", "node_modules", "dist"} & set(p.relative_to(context.source).parts)
    ]
    with context.scratch() as scratch:
        done = context.run(
            [program, "analyse", "--level", str(PHPSTAN_LEVEL), "--error-format=json", "--no-progress", "--", *map(str, files)],
            context.source,
            accept=(0, 1),
        )
        (scratch / name).write_text(done.stdout)
        context.keep(
            scratch / name,
            name,
            "PHPStan",
            found.group(1) if found else "",
            exit_code=done.returncode,
            count=len(files),
            measures={"level": PHPSTAN_LEVEL},
        )


TRIVY = "0.74.0"
TRIVY_BUILD_SECONDS = 3600
"""Trivy is some 2,500 packages: many minutes on two cores, once for all clones."""
_NO_DATABASE = "DB error:"
"""Trivy's own words where its database is missing and cannot be downloaded (``pkg/commands/artifact/run.go``). Its exit code is 1, as for
any other error."""
_TRIVY_MODULE = Path(__file__).resolve().parent / "tools" / "trivy"


def trivy(context: Context) -> None:
    """Leaves ``trivy.json`` and ``trivy.sarif``. Trivy is that of the PATH, else built from the Go module proxy. Where its vulnerability
    database comes from is Trivy's own affair (``TRIVY_CACHE_DIR``, ``TRIVY_SKIP_DB_UPDATE``, ``TRIVY_DB_REPOSITORY``)."""
    names = ("trivy.json", "trivy.sarif")
    program, version = _trivy(context)
    with context.scratch() as scratch:
        scan = [program, "fs", "--quiet", "--list-all-pkgs", "--scanners", "vuln,misconfig,secret"]
        try:
            scanned = context.run(
                [*scan, "--format", "json", "--output", str(scratch / names[0]), str(context.source)], context.source, timeout=900
            )
        except ToolFailedError as error:
            if _NO_DATABASE in error.output:
                raise NotHereError(
                    f"Trivy has no vulnerability database: let it download one, or set TRIVY_CACHE_DIR to a folder that has one ({error})"
                ) from None
            raise
        converted = context.run(
            [program, "convert", "--format", "sarif", "--output", str(scratch / names[1]), str(scratch / names[0])], scratch
        )
        targets = len(json.loads((scratch / names[0]).read_bytes()).get("Results") or [])
        context.keep(scratch / names[0], names[0], "Trivy", version, exit_code=scanned.returncode)
        context.keep(scratch / names[1], names[1], "Trivy", version, exit_code=converted.returncode, count=targets)


def trivy_module() -> dict[str, bytes]:
    """What Trivy is built from: a module of this project that requires it."""
    return {name: (_TRIVY_MODULE / name).read_bytes() for name in ("go.mod", "go.sum")}


def _trivy(context: Context) -> tuple[str, str]:
    there = shutil.which("trivy")
    if there is not None:
        version = re.search(r"(\d+\.\d+\.\d+)", context.run([there, "--version"], context.source).stdout)
        return there, version.group(1) if version else ""
    files = trivy_module()

    def install(folder: Path) -> None:
        if shutil.which("go") is None:
            raise NotHereError(
                "Trivy is not installed, and there is no Go to build it with: put it on the PATH (https://trivy.dev)"
            )
        stamp = f"-s -w -X github.com/aquasecurity/trivy/pkg/version/app.ver={TRIVY}"
        with context.scratch() as module:
            for name, data in files.items():
                (module / name).write_bytes(data)
            command = ["go", "build", "-trimpath", "-ldflags", stamp, "-o", str(folder / "trivy")]
            context.run(
                [*command, "github.com/aquasecurity/trivy/cmd/trivy"],
                module,
                timeout=TRIVY_BUILD_SECONDS,
                env={"CGO_ENABLED": "0", "GOEXPERIMENT": "jsonv2", "GOFLAGS": "-mod=readonly"},
            )

    return str(context.tool("trivy", b"".join(files.values()), install) / "trivy"), TRIVY


def sbom(context: Context) -> None:
    """Takes the build's ``SBOM.json`` over as ``sbom.json``."""
    name = "sbom.json"
    made = context.project / "dist" / "SBOM.json"
    if not made.is_file():
        raise NotHereError("dist/SBOM.json is not there: run `bin/mo build`")
    context.keep(made, name, "mo-deploy", "1")
