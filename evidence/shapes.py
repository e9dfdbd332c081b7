"""What a report is where it is not what its gate reads, by the keys that tools write: so that a message can name it."""

from __future__ import annotations

import json
import re
from typing import BinaryIO

_HEAD = 64 << 10

_KEYS: tuple[tuple[str, frozenset[str]], ...] = (
    ("Grype", frozenset({"matches", "source", "distro"})),
    ("Grype", frozenset({"matches", "descriptor"})),
    ("npm audit", frozenset({"auditReportVersion"})),
    ("npm audit (npm 6)", frozenset({"actions", "advisories"})),
    ("composer audit", frozenset({"advisories", "abandoned"})),
    ("pip-audit", frozenset({"dependencies", "fixes"})),
    ("Snyk", frozenset({"vulnerabilities", "packageManager"})),
    ("CycloneDX", frozenset({"bomFormat"})),
    ("SPDX", frozenset({"spdxVersion"})),
    ("SARIF", frozenset({"runs", "version"})),
    ("Trivy", frozenset({"SchemaVersion", "ArtifactType"})),
    ("OSV-Scanner", frozenset({"results", "experimental_config"})),
    ("jest's or vitest's JSON reporter", frozenset({"numTotalTests"})),
    ("Playwright", frozenset({"config", "suites", "stats"})),
    ("Lighthouse", frozenset({"lighthouseVersion"})),
    ("axe-core", frozenset({"testEngine"})),
    ("PHPStan", frozenset({"totals", "files", "errors"})),
    ("coverage.py", frozenset({"meta", "totals"})),
    ("jscpd", frozenset({"statistics", "duplicates"})),
    ("an error of GitHub's API", frozenset({"message", "documentation_url"})),
    ("an error message", frozenset({"message"})),
    ("an error message", frozenset({"error"})),
)
_IN_ENTRIES: tuple[tuple[str, frozenset[str]], ...] = (
    ("OSV-Scanner", frozenset({"packages", "source"})),
    ("ESLint", frozenset({"filePath", "messages"})),
    ("Gitleaks", frozenset({"RuleID", "Match"})),
    ("pa11y", frozenset({"code", "selector"})),
    ("Bandit", frozenset({"test_id", "issue_severity"})),
)


def named(stream: BinaryIO) -> str | None:
    """Which tool's report a JSON file looks like; ``None`` where its first bytes do not tell."""
    text = stream.read(_HEAD).decode("utf-8", "replace").lstrip("\ufeff \r\n\t")
    if text[:1] not in ("{", "["):
        return None
    levels = _keys(text)
    if text[0] == "{":
        for tool, keys in _KEYS:
            if keys <= levels.get(1, set()):
                return tool
    return next((tool for level in (2, 3) for tool, keys in _IN_ENTRIES if keys <= levels.get(level, set())), None)


_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"\s*:?|[{}\[\]]')


def _keys(text: str) -> dict[int, set[str]]:
    """Keys by depth, of a text that may be cut; a list is a level like an object."""
    found: dict[int, set[str]] = {}
    depth = 0
    for match in _TOKEN.finditer(text):
        token = match.group()
        if token in "{[":
            depth += 1
        elif token in "}]":
            depth -= 1
        elif token.endswith(":") and depth <= 3:
            try:
                found.setdefault(depth, set()).add(str(json.loads(token[:-1].rstrip())))
            except ValueError:
                continue
    return found
