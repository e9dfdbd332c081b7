"""Which files an artefact never holds: what is left out without a word, and what stops the build by name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import translate

LEFT_OUT = (
    *(".git", ".svn", ".hg", ".gitignore", ".gitattributes", ".gitkeep", ".gitmodules", "*.log"),
    *("node_modules", "__pycache__", "*.pyc", ".venv", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".phpunit.cache"),
    *(".DS_Store", ".idea", ".vscode", "*.swp", "*~"),
)
"""Names of files and directories that only a checkout or a tool has."""

_EXAMPLES = (".env.example", ".env.sample", ".env.dist", ".env.template")
_BY_NAME = (
    ((".env", ".env.*", "*.env", "secrets.env"), "settings with secrets"),
    (("id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "*.key", "*.p12", "*.pfx", "*.ppk", "*.jks", "*.keystore"), "a private key"),
    ((".htpasswd", ".netrc", ".pgpass", ".my.cnf", ".npmrc", ".pypirc", "auth.json"), "credentials"),
    (
        ("*.sql.gz", "*.sql.bz2", "*.sql.xz", "*.sql.zst", "*.dump", "*.dmp", "dump.sql", "*-dump.sql", "*_dump.sql"),
        "a database dump",
    ),
)


def _any(patterns: Iterable[str]) -> re.Pattern[str]:
    """One expression for all patterns: a source of 100,000 files asks it for each of them."""
    return re.compile("|".join(map(translate, patterns)))


_LEFT_OUT = _any(LEFT_OUT)
_FORBIDDEN = tuple((_any(patterns), reason) for patterns, reason in _BY_NAME)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_RESERVED = ("release.json",)
_PRIVATE_KEY = re.compile(rb"-----BEGIN ([A-Z0-9]+ )*PRIVATE KEY( BLOCK)?-----")
_DUMP = re.compile(rb"\A(/\*!?M?!?[^\n]*\n)?-- (MySQL|MariaDB) dump |\A--\s+-- PostgreSQL database (cluster )?dump|\APGDMP")
HEAD = 512
"""Bytes at a file's beginning that ``forbidden_content`` wants to see."""


def left_out(name: str) -> bool:
    """Whether a file or directory of this name is left out of every artefact."""
    return _LEFT_OUT.match(name) is not None


def forbidden_name(path: str) -> str | None:
    """Why a file at this path (relative to the artefact's root) stops the build, or ``None``."""
    name = path.rsplit("/", 1)[-1]
    lower = name.lower()
    if path in _RESERVED:
        return "written by the deploy itself"
    if lower not in _EXAMPLES:
        for pattern, reason in _FORBIDDEN:
            if pattern.match(lower):
                return reason
    return unusable_name(name)


def unusable_name(name: str) -> str | None:
    """Why no host can be trusted to keep a file of this name, or ``None``."""
    try:
        encoded = name.encode("utf-8")
    except UnicodeEncodeError:
        return "a name that is not UTF-8"
    if _CONTROL.search(name):
        return "a control character in its name"
    if "\\" in name:
        return "a backslash in its name"
    return "a name of more than 255 bytes" if len(encoded) > 255 else None


def forbidden_content(head: bytes) -> str | None:
    """Why a file that begins with ``head`` (up to ``HEAD`` bytes) stops the build, or ``None``."""
    if _PRIVATE_KEY.search(head):
        return "a private key"
    return "a database dump" if _DUMP.search(head) else None


class Excludes:
    """rsync's exclude patterns, as far as a catalogue needs them: ``name``, ``dir/``, ``/anchored``, ``*``, ``**`` and ``?``."""

    def __init__(self, patterns: Iterable[str]) -> None:
        self._rules = [_translate(pattern) for pattern in patterns if pattern.strip("/")]

    def match(self, path: str, directory: bool) -> bool:
        """Whether ``path`` (relative, ``/`` between its parts) is excluded."""
        return any(rule.search(path) for rule, only_directories in self._rules if directory or not only_directories)


def _translate(pattern: str) -> tuple[re.Pattern[str], bool]:
    only_directories = pattern.endswith("/")
    body = pattern.strip("/")
    anchored = pattern.startswith("/")
    regex = ""
    at = 0
    while at < len(body):
        if body.startswith("**", at):
            regex, at = regex + ".*", at + 2
        else:
            regex, at = regex + {"*": "[^/]*", "?": "[^/]"}.get(body[at], re.escape(body[at])), at + 1
    return re.compile(("^" if anchored else "(^|/)") + regex + r"\Z", re.DOTALL), only_directories
