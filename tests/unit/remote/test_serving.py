"""What is not for the web: which files that is, how the rules join a site's own, and what counts as served."""

from __future__ import annotations

import hashlib
import re
import subprocess

import pytest

from components.remote.client import serving
from components.remote.client.connection import Edge
from components.remote.client.web import Answer, Site, Unanswered

HIDDEN = (
    *("migrations/0001_init.sql", "prisma/migrations/1/migration.sql", "a/b/alembic/env.py", "composer.json", "composer.lock"),
    *(
        "package.json",
        "package-lock.json",
        "web/package-lock.json",
        "docker-compose.yml",
        "docker-compose.prod.yaml",
        ".env",
        ".git/HEAD",
    ),
    *(
        ".htaccess",
        "x/.user.ini",
        "yarn.lock",
        "pnpm-lock.yaml",
        "dump.SQL",
        "requirements.txt",
        "Migrations/x.php",
        "well-known/.secret",
    ),
)
SERVED = (
    *(
        "index.php",
        "assets/site.css",
        ".well-known/security.txt",
        ".well-known/acme-challenge/token",
        "composers.html",
        "robots.txt",
    ),
    *("my-package.jsonp", "docs/migrations.html", "sqlite.html", "locks.css", "icon.svg", "wp-content/uploads/2026/foto.jpg"),
)


@pytest.mark.parametrize("path", HIDDEN)
def test_what_no_visitor_needs_is_hidden(path: str) -> None:
    assert re.search(serving.PATTERN, f"/{path}", re.IGNORECASE)
    assert re.search(serving.PATTERN, f"/mo-probe-0123/{path}", re.IGNORECASE)


@pytest.mark.parametrize("path", SERVED)
def test_what_a_site_is_made_of_is_served(path: str) -> None:
    assert not re.search(serving.PATTERN, f"/{path}", re.IGNORECASE)


def test_the_host_s_grep_finds_the_same_files() -> None:
    listed = "".join(f"./{path}\n" for path in (*HIDDEN, *SERVED))
    found = subprocess.run(["grep", "-Ei", serving.FOR_GREP], input=listed, capture_output=True, text=True, check=True).stdout
    found = "".join(line for line in found.splitlines(keepends=True) if "/.well-known/" not in line)
    assert found.splitlines() == [f"./{path}" for path in HIDDEN]


def test_the_rules_join_a_site_s_own_once_and_change_nothing_of_it() -> None:
    own = "# BEGIN WordPress\nRewriteEngine On\n# END WordPress\n"
    once = serving.merged(own)
    assert once.startswith(own)
    assert once.endswith(serving.HTACCESS)
    assert serving.merged(once) == once
    assert serving.merged("") == serving.merged(serving.HTACCESS) == serving.HTACCESS
    older = f"{own}\n{serving.BEGIN}\nold rules\n{serving.END}\n# more\n"
    assert "old rules" not in serving.merged(older)
    assert "# more" in serving.merged(older)


class _Fake(Site):
    def __init__(self, pages: dict[str, tuple[int, bytes]], otherwise: tuple[int, bytes] = (404, b"none")) -> None:
        super().__init__(Edge({}), "votes.example")
        self.pages, self.otherwise = pages, otherwise

    def get(self, path: str, deadline: float, headers: dict[str, str] | None = None) -> Answer:
        status, body = self.pages.get(path, self.otherwise)
        if status == 0:
            raise Unanswered("refused")
        return Answer(status, {}, body)


SQL = b"CREATE TABLE x (y int);\n"
FILES = [(hashlib.sha256(SQL).hexdigest(), "migrations/0001 ä.sql"), ("0" * 64, "migrations/run.php")]
PAGE = (200, b"<html>the front page</html>")


def _served(site: Site, prefix: str = "") -> str | None:
    return serving.served(site, prefix, FILES, 0.0, {})


def test_a_file_s_own_content_is_served_whatever_else_the_site_answers() -> None:
    url = "/mo-probe-1/migrations/0001%20%C3%A4.sql"
    assert url in str(_served(_Fake({url: (200, SQL)}), "/mo-probe-1"))
    assert url in str(_served(_Fake({url: (200, SQL)}, PAGE), "/mo-probe-1"))


def test_a_program_that_a_visitor_may_run_is_served() -> None:
    assert "/migrations/run.php" in str(_served(_Fake({"/migrations/run.php": (200, b"done")})))


def test_a_site_that_answers_every_path_with_a_page_serves_none_of_them() -> None:
    assert _served(_Fake({}, PAGE)) is None
    assert _served(_Fake({})) is None
    assert _served(_Fake({}, (403, b"no"))) is None


def test_no_answer_is_no_proof() -> None:
    assert "gives no answer" in str(_served(_Fake({}, (0, b""))))
