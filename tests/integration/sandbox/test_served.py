"""What is served is declared: what is not for the web never answers 200, and a site's own rules go on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from components.remote.client import serving
from sandbox import nginx
from tests.integration.sandbox.deploying import Deployer, deployer
from tests.sandbox_fixture import Sandbox

pytestmark = pytest.mark.sandbox

HIDDEN = (
    *("migrations/0001_init.sql", "migrations/run.php", "prisma/migrations/1_init/migration.sql", "alembic/versions/a.py"),
    *("composer.json", "composer.lock", "package.json", "package-lock.json", "web/package.json", "yarn.lock", "pnpm-lock.yaml"),
    *("docker-compose.yml", "docker-compose.prod.yaml", "requirements.txt", "dump-of-1999.sql", "app.ini", "debug.log"),
    *(".env", ".hidden/file.txt", ".user.ini", "deep/.gitlab-ci.yml", ".htaccess"),
)
SERVED = ("robots.txt", "assets/site.css", ".well-known/security.txt", "docs/migrations.html")
WORDPRESS = """# BEGIN WordPress
<IfModule mod_rewrite.c>
RewriteEngine On
RewriteRule .* - [E=HTTP_AUTHORIZATION:%{HTTP:Authorization}]
RewriteBase /
RewriteRule ^index\\.php$ - [L]
RewriteCond %{REQUEST_FILENAME} !-f
RewriteCond %{REQUEST_FILENAME} !-d
RewriteRule . /index.php [L]
</IfModule>
# END WordPress
"""
DRUPAL = """<FilesMatch "\\.(engine|inc|install|module|profile|po|sh|.*sql|theme|twig|yml)$|^(\\.(?!well-known).*|composer\\.(json|lock))$">
  Require all denied
</FilesMatch>
ErrorDocument 404 /index.php
DirectoryIndex index.php index.html index.htm
<IfModule mod_rewrite.c>
  RewriteEngine on
  RewriteRule "/\\.|^\\.(?!well-known/)" - [F]
  RewriteCond %{REQUEST_FILENAME} !-f
  RewriteCond %{REQUEST_FILENAME} !-d
  RewriteCond %{REQUEST_URI} !=/favicon.ico
  RewriteRule ^ index.php [L]
  RewriteRule "^(.+/.*|autoload)\\.php($|/)" - [F]
</IfModule>
"""
PAGE = "<?php echo 'page of ', $_SERVER['REQUEST_URI'];\n"


@pytest.fixture
def votes(sandbox: Sandbox) -> Iterator[Deployer]:
    with deployer(sandbox, "votes") as made:
        yield made


@contextmanager
def _no_rule_in_nginx(sandbox: Sandbox) -> Iterator[None]:
    """nginx without the runbook's rule, where there is one."""
    if "nginx" not in sandbox.layout.web:
        yield
        return
    file = sandbox.layout.etc / "nginx.conf"
    before = file.read_text()
    assert nginx.HIDDEN in before
    file.write_text(before.replace(nginx.HIDDEN, ""))
    try:
        sandbox.reload_web()
        time.sleep(1)
        yield
    finally:
        file.write_text(before)
        sandbox.reload_web()
        time.sleep(1)


def _files(htaccess: str) -> dict[str, str]:
    files = {path: f"content of {path}\n" for path in (*HIDDEN, *SERVED)}
    return {**files, "index.php": PAGE, "migrations/run.php": "<?php echo 'ran';\n", ".htaccess": htaccess}


def test_no_file_of_these_kinds_ever_answers_200(sandbox: Sandbox, votes: Deployer) -> None:
    votes.switch(votes.release(_files(serving.HTACCESS)))
    answers = {path: sandbox.get("votes", f"/{path}") for path in (*HIDDEN, *(path.upper() for path in HIDDEN))}
    assert {path: answer.status for path, answer in answers.items() if answer.status == 200 and path in HIDDEN} == {}
    assert [path for path, answer in answers.items() if "content of" in answer.body or "ran" in answer.body] == []
    assert {sandbox.get("votes", f"/{path}").body for path in SERVED} == {f"content of {path}\n" for path in SERVED}


def test_a_release_of_which_such_a_file_would_be_served_never_goes_live(sandbox: Sandbox, votes: Deployer) -> None:
    good = votes.php("one")
    votes.switch(good)
    with _no_rule_in_nginx(sandbox):
        files = {"composer__lock": "{}\n", "migrations/0001_init__sql": "CREATE TABLE x (y int);\n", "__htaccess": "# no rules\n"}
        sentence = votes.refused(votes.php("two", **files))
        assert any(name in sentence for name in ("composer.lock", "0001_init.sql", ".htaccess"))
        assert "docs/runbook.md" in sentence
        assert votes.live == good
        assert sandbox.get("votes").body == "one one"


@pytest.mark.parametrize("own", [WORDPRESS, DRUPAL], ids=["wordpress", "drupal"])
def test_a_site_s_own_htaccess_goes_on_working(sandbox: Sandbox, votes: Deployer, own: str) -> None:
    if sandbox.layout.web == "nginx":
        pytest.skip("obeys no .htaccess")
    votes.switch(votes.release(_files(serving.merged(own))))
    assert sandbox.get("votes", "/2026/hello-world/?x=1").body == "page of /2026/hello-world/?x=1"
    assert sandbox.get("votes", "/robots.txt").body == "content of robots.txt\n"
    for path in HIDDEN:
        answer = sandbox.get("votes", f"/{path}")
        assert answer.status != 200 or answer.body.startswith("page of "), path
        assert "content of" not in answer.body


def test_of_a_release_with_a_web_root_nothing_else_can_be_reached(sandbox: Sandbox, votes: Deployer) -> None:
    # The document root is a folder of the release: the site's path is the folder above it.
    votes.target, votes.web_root = "subdomains/votes", "httpdocs"
    files = {f"httpdocs/{path}": text for path, text in _files(serving.HTACCESS).items()} | {
        "src/secret.php": "<?php echo 'ran';\n"
    }
    release = votes.release(files)
    # What the build makes a link to release.json; here its content is a file's.
    votes.switch(release, adopt="replace", probe={**votes.request(release)["probe"], "release_path": None})
    votes.warm()
    assert sandbox.get("votes").body == "page of /"
    for path in ("src/secret.php", "../src/secret.php", "..%2fsrc/secret.php", "migrations/0001_init.sql"):
        assert sandbox.get("votes", f"/{path}").status != 200
    second = votes.release({**files, "httpdocs/index.php": "<?php echo 'second';\n"})
    result = votes.switch(second, probe={**votes.request(second)["probe"], "release_path": None})
    assert result["activated"]["ms"] > 0
    assert {sandbox.get("votes").body for _ in range(20)} == {"second"}
    assert sandbox.ssh(f"find {sandbox.root} -name 'mo-canary*' -o -name 'mo-probe*'").stdout == b""
    bad = votes.release({**files, "httpdocs/index.php": "<?php http_response_code(500);\n"})
    assert "asked before it went live" in votes.refused(bad, probe={**votes.request(bad)["probe"], "release_path": None})
