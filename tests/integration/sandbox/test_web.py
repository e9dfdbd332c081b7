"""The web server serves each service's path through its symlink, caches as a shared host's does, and obeys what a release brings."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from components.remote.client import serving
from tests.sandbox_fixture import Sandbox

pytestmark = pytest.mark.sandbox

_FRONT_CONTROLLER = """RewriteEngine on
RewriteCond %{REQUEST_FILENAME} !-f
RewriteCond %{REQUEST_FILENAME} !-d
RewriteRule ^ index.php [L]
"""


@pytest.fixture
def host(sandbox: Sandbox) -> Iterator[Sandbox]:
    """The sandbox with two releases of ``votes`` (PHP) and of ``frontend`` (a single page); both taken away again."""
    sandbox.ssh(
        f"""set -e; cd {sandbox.root}
        for release in r1 r2; do
            mkdir -p .deploy/votes/releases/$release/migrations .deploy/frontend/releases/$release
            echo "<?php echo basename(__DIR__), ' ', basename(\\$_SERVER['DOCUMENT_ROOT']), ' ', \\$_SERVER['REQUEST_URI'];" \
                > .deploy/votes/releases/$release/index.php
            echo '<?php echo "direct";' > .deploy/votes/releases/$release/active.php
            echo 'DROP TABLE x' > .deploy/votes/releases/$release/migrations/1.sql
            cat > .deploy/votes/releases/$release/.htaccess <<'END'
{_FRONT_CONTROLLER}{serving.HTACCESS}END
            for denied in .env dump.sql requirements.txt tool.py composer.json; do echo x > .deploy/votes/releases/$release/$denied; done
            printf 'FallbackResource /index.html\n' > .deploy/frontend/releases/$release/.htaccess
            echo "page $release" > .deploy/frontend/releases/$release/index.html
        done
        rmdir subdomains/votes/httpdocs frontend
        ln -s ../../.deploy/votes/releases/r1 subdomains/votes/httpdocs
        ln -s .deploy/frontend/releases/r1 frontend"""
    )
    yield sandbox
    sandbox.ssh(
        f"cd {sandbox.root} && rm -rf .deploy subdomains/votes/httpdocs frontend && mkdir subdomains/votes/httpdocs frontend"
    )
    sandbox.forget_php()


def test_php_goes_on_with_the_old_release_when_the_symlink_alone_is_switched(host: Sandbox) -> None:
    # The kindest host would show the new one at once. A shared host's PHP gets the unresolved path and remembers where it led.
    host.ssh(f"find {host.root}/.deploy/votes -name '*.php' -exec touch -t 202001010000 {{}} +")
    for _ in range(20):
        assert host.get("votes", "/any/page?x=1").body == "r1 httpdocs /any/page?x=1"
    host.ssh(f"cd {host.root}/subdomains/votes && ln -sfn ../../.deploy/votes/releases/r2 new && mv -T new httpdocs")
    host.ssh(f"cd {host.root} && ln -sfn .deploy/frontend/releases/r2 new && mv -T new frontend")
    assert {host.get("votes").body for _ in range(8)} == {"r1 httpdocs /"}
    assert host.get("frontend").body == "page r2\n"
    assert host.get("votes", "/active.php").body == "direct"


def test_a_release_can_be_probed_before_it_is_live(host: Sandbox) -> None:
    host.ssh(f"cd {host.root}/.deploy/votes/releases/r1 && ln -s ../r2 mo-probe-0123abcd")
    assert host.get("votes", "/mo-probe-0123abcd/").body.startswith("r2 "), "PHP asks by a path that it has not seen"
    assert host.get("votes", "/mo-probe-0123abcd/deep/page").body.startswith("r2 ")
    assert host.get("votes", "/mo-probe-0123abcd/migrations/1.sql").status == 404


def test_a_single_page_answers_every_path(host: Sandbox) -> None:
    assert host.get("frontend", "/deep/link").body == "page r1\n"


@pytest.mark.parametrize(
    "path",
    [
        "/.env",
        "/.git/HEAD",
        "/migrations/1.sql",
        "/dump.sql",
        "/requirements.txt",
        "/tool.py",
        "/composer.json",
        "/%2eenv",
        "/x/.env",
    ],
)
def test_what_a_site_must_not_serve_is_not_found(host: Sandbox, path: str) -> None:
    assert host.get("votes", path).status == 404


def test_maintenance_answers_503_but_to_the_deployment_s_own_probe(host: Sandbox) -> None:
    mark = "0123456789abcdef" * 2
    host.ssh(f"touch {host.root}/.deploy/votes/maintenance {host.root}/.deploy/votes/probe-{mark}")
    closed = host.get("votes")
    assert (closed.status, closed.headers["retry-after"]) == (503, "30")
    assert host.get("votes", headers={"X-Mo-Probe": mark}).status == 200
    assert host.get("votes", headers={"X-Mo-Probe": "f" * 32}).status == 503
    assert host.get("votes", headers={"X-Mo-Probe": f"../votes/probe-{mark}"}).status == 503
    assert host.get("frontend").status == 200
    host.ssh(f"rm {host.root}/.deploy/votes/maintenance")
    assert host.get("votes").status == 200


def test_a_site_is_closed_for_one_request_alone_that_tries_the_rule(host: Sandbox) -> None:
    mark = "fedcba9876543210" * 2
    host.ssh(f"touch {host.root}/.deploy/votes/shut-{mark}")
    closed = host.get("votes", headers={"X-Mo-Probe": mark})
    assert (closed.status, closed.headers["retry-after"]) == (503, "30")
    assert host.get("votes", headers={"X-Mo-Probe": "f" * 32}).status == 200
    assert host.get("votes").status == 200


def test_php_reports_its_errors_in_the_host_s_log_not_on_the_page(host: Sandbox) -> None:
    host.ssh(f"echo '<?php throw new Exception(\"canary of the log\");' > {host.root}/.deploy/votes/releases/r1/broken.php")
    answer = host.get("votes", "/broken.php")
    assert answer.status == 500
    assert "canary" not in answer.body
    assert "canary of the log" in (host.root / "logs" / "error.log").read_text()


def test_every_service_has_a_host_of_its_own_under_the_sandbox_s_certificate(sandbox: Sandbox) -> None:
    answers = {key: sandbox.get(key).status for key in sandbox.site.services}
    assert len(answers) == 22
    # Empty docroots, and processes that were never deployed: an answer of the right virtual host, by verified TLS.
    assert {answers["api"], answers["api_stg"]} <= {502, 503}
    assert {status for key, status in answers.items() if not key.startswith("api")} <= {403, 404}
