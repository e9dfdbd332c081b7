"""What the runbook tells the owner to give the web server is what the sandbox's has, and so what is tested there."""

from __future__ import annotations

import re
from pathlib import Path

from sandbox import web

RUNBOOK = (Path(__file__).resolve().parents[3] / "docs/runbook.md").read_text()


def test_the_503_rule_of_the_runbook_is_the_sandbox_s() -> None:
    section = RUNBOOK.partition("### Once, for a service that migrates offline")[2].partition("\n![")[0]
    rule = section.partition("**nginx**")[2]
    told = [line.strip() for line in rule.splitlines() if line.startswith("    ")]
    assert len(told) == 9
    server = web._SERVER.replace("{{", "{").replace("}}", "}").replace("{deploy}", "<root>/.deploy/crm")
    used = [line.strip() for line in server.splitlines()]
    begin = used.index(told[0])
    assert used[begin : begin + len(told)] == told


def test_the_apache_rule_names_the_same_files_and_outranks_a_site_s_own() -> None:
    rule = RUNBOOK.partition("**Apache**")[2].partition("**nginx**")[0]
    assert "RewriteOptions InheritDownBefore" in rule
    assert re.findall(r"<root>/\.deploy/crm/(\w+)", rule) == ["maintenance", "shut", "probe"]
