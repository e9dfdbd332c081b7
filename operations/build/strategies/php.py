"""PHP: Composer's packages where there is a lock file, and every file of the service's own must parse."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from operations.build.errors import BuildError
from operations.build.strategies.base import Project
from operations.build.versions import version_of

# One PHP process for all files; `php -l` would need one for each.
_PARSE = r"""
$bad = 0;
foreach (explode("\0", rtrim(stream_get_contents(STDIN), "\0")) as $file) {
    try { token_get_all(file_get_contents($file), TOKEN_PARSE); }
    catch (ParseError $e) { echo $file, ':', $e->getLine(), ': ', $e->getMessage(), "\n"; $bad = 1; }
}
exit($bad);
"""


class Php:
    """Parses, and with ``composer.lock`` runs ``composer install --no-dev`` in a copy of the source."""

    version = 1

    def cached(self, project: Project) -> bool:
        return _composer(project)

    def inputs(self, project: Project) -> Mapping[str, Any]:
        return {"composer": version_of(project.steps, "composer")} if _composer(project) else {}

    def tools(self, project: Project) -> Mapping[str, str]:
        php = {"php": version_of(project.steps, "php")}
        return {**php, "composer": version_of(project.steps, "composer")} if _composer(project) else php

    def notes(self, project: Project) -> Sequence[str]:
        return ()

    def make(self, project: Project) -> list[tuple[str, Path]]:
        files = [entry.place for entry in project.listing.files if entry.path.endswith((".php", ".inc", ".module", ".install"))]
        if files:
            project.steps.run("parse", ["php", "-r", _PARSE], project.source, stdin="\0".join(files).encode())
        if not _composer(project):
            return [("", project.source)]
        project.steps.need("composer")
        tree = project.work / "source"
        project.copy_source(tree)
        # Neither the machine's nor the caller's Composer settings take part, and no script of a package runs.
        environment = {"COMPOSER_ROOT_VERSION": "1.0.0", "COMPOSER_NO_INTERACTION": "1", "COMPOSER_ALLOW_SUPERUSER": "1"}
        command = [
            "composer",
            "install",
            "--no-dev",
            "--no-progress",
            "--no-scripts",
            "--no-plugins",
            "--prefer-dist",
            "--classmap-authoritative",
        ]
        project.steps.run("composer install", command, tree, environment)
        shutil.rmtree(tree / "vendor" / ".cache", ignore_errors=True)
        return [("", tree)]


def _composer(project: Project) -> bool:
    names = {entry.path for entry in project.listing.files}
    if "composer.json" in names and "composer.lock" not in names:
        raise BuildError(
            f"{project.key}: {project.service.source} has a composer.json without composer.lock; run `composer update` there and commit it"
        )
    return "composer.lock" in names
