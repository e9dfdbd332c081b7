"""What the runbook tells the owner to give the web server is what the sandbox's has, and so what is tested there."""

from __future__ import annotations

from pathlib import Path

from components.remote.client import serving
from sandbox import maintenance, nginx

RUNBOOK = (Path(__file__).resolve().parents[3] / "docs/runbook.md").read_text()
DEPLOY = Path("<root>/.deploy/crm")


def _told(server: str) -> list[str]:
    section = RUNBOOK.partition("### Once, for a service that migrates offline")[2].partition("\n### ")[0]
    rule = section.partition(f"**{server}**")[2].partition("\n**")[0]
    return [line.strip() for line in rule.splitlines() if line.startswith("    ")]


def test_the_503_rule_of_the_runbook_is_the_sandbox_s() -> None:
    told = _told("nginx")
    assert len(told) == 9
    assert told == [line.strip() for line in maintenance.nginx(DEPLOY).splitlines()]


def test_apache_s_503_rule_of_the_runbook_is_the_sandbox_s_and_outranks_a_site_s_own() -> None:
    told = _told("Apache")
    assert told == maintenance.htaccess(DEPLOY).splitlines()
    assert "RewriteOptions InheritDownBefore" in told


def test_nginx_s_rule_for_what_is_not_for_the_web_is_the_build_s_the_runbook_s_and_the_sandbox_s() -> None:
    assert serving.NGINX == nginx.HIDDEN
    assert f"    {serving.NGINX}\n" in RUNBOOK
