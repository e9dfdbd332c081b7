"""The stack of all services goes on under the other engine: what one has made, the other finds as it is, changes and takes away."""

from __future__ import annotations

import pytest

from tests.e2e.deployment import Deployment, deployment, ran
from tests.pulumi_cli import real_cli

pytestmark = [
    pytest.mark.pulumi_cli,
    pytest.mark.sandbox,
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(real_cli() is None, reason="there is no pulumi CLI on the PATH"),
]


def pulumi(site: Deployment, *words: str) -> str:
    return site.run("bin/pulumi", *words, "--stack", "sandbox").stdout


@pytest.mark.parametrize(("first", "second"), [("embedded", "cli"), ("cli", "embedded")])
def test_the_stack_of_one_engine_goes_on_under_the_other(first: str, second: str) -> None:
    with deployment() as site:
        site.build()
        site.engine = first
        site.up()
        assert site.statuses() == dict.fromkeys(site.services, 200)

        site.engine = second
        pulumi(site, "preview", "--expect-no-changes")
        pulumi(site, "refresh", "--yes", "--skip-preview", "--expect-no-changes")
        site.edit("website/index.html", "<!-- by the other engine -->\n")
        site.build("main")
        site.up()
        assert "by the other engine" in site.sandbox.get("main").body

        site.engine = first
        assert ran(site.up("--expect-no-changes").stdout) == set()

        site.engine = second
        # A database that somebody is at cannot be dropped by an administrator of the hosting's kind.
        site.sandbox.ssh("pleskctl stop api && pleskctl stop api_stg")
        pulumi(site, "destroy", "--yes", "--skip-preview")
        pulumi(site, "stack", "rm", "--yes", "--preserve-config")  # refused where a resource is left
