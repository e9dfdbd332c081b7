"""The monitoring on the real tools: every target up, every query answered, and what breaks is told to the right receiver, once.

Times of alerts are shortened by the export's own ``time_scale``; the site whose probes fail now and then is probed five times a second.
"""

from __future__ import annotations

import http.server
import json
import re
import shutil
import threading
import time
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from playwright.sync_api import sync_playwright

from monitoring.grafana import queries
from monitoring.n8n import SIGNATURE_HEADER, signature
from operations.gates import context as gates
from operations.gates import node
from operations.validation.browser import chromium
from sandbox import monitoring
from sandbox.layout import Layout
from tests.e2e.deployment import Deployment, deployment, ran
from tests.sandbox_fixture import CLONE

pytestmark = [pytest.mark.sandbox, pytest.mark.slow, pytest.mark.xdist_group("e2e-monitoring")]

SERVICES = ("main", "votes", "forum", "consent", "docs", "status")
SCALE = 1 / 120
"""30 minutes become 15 seconds."""
PATIENCE = 420
"""Seconds until something must have happened, on a machine with much else to do."""
EXPORT_EVERY = 20
"""Seconds between two exports while alerts are awaited: the monitoring machine's timer runs them every few minutes (docs/monitoring.md)."""
WIDTHS: tuple[tuple[int, Literal["light", "dark"]], ...] = ((1280, "light"), (390, "light"), (390, "dark"), (320, "light"))
REPORTS = CLONE / "tests/unit/evidence/reports/dependabot"
Alert = tuple[str, str]
"""Name of an alert, and the service, server, source or host that it is about."""


@pytest.fixture(scope="module")
def site() -> Iterator[Deployment]:
    with deployment() as made:
        made.build(*SERVICES)
        skipped = [word for part in ("end-to-end", "visual", "lighthouse") for word in ("--skip", part)]
        made.run("bin/mo", "deploy", "--yes", *skipped)
        _dependabot(made, "pass")
        monitoring.up(made.sandbox.layout, SCALE, scrape_interval=5)
        _probe_often(made.sandbox.layout, "main")
        try:
            yield made
        finally:
            monitoring.down(made.sandbox.layout)


def test_the_deploy_has_told_n8n_in_a_signed_message(site: Deployment) -> None:
    secret = site.sandbox.site.passwords["webhook-secret"].encode()
    (call,) = [call for call in site.sandbox.hooks() if call.path == "/webhook/deployment"]
    assert call.headers[SIGNATURE_HEADER.lower()] == signature(secret, call.body.encode())
    body = json.loads(call.body)
    assert body["status"] == "success"
    assert set(body["services"]) == set(SERVICES)


def test_the_deploy_has_published_the_status_page_and_no_update_follows(site: Deployment) -> None:
    page = site.sandbox.get("status").body
    assert page.count("<li>") == len(site.services)
    assert page.count('class="state absent"') == len(site.services) - len(SERVICES)
    assert page.count('class="state up"') == len(SERVICES)
    assert not ran(site.up().stdout)
    assert site.sandbox.get("status").body == page


def test_the_status_page_has_no_accessibility_violation_at_any_width(site: Deployment) -> None:
    script = (node.installed(gates.context("sandbox", project=site.clone)) / "node_modules/axe-core/axe.min.js").read_text()
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    with sync_playwright() as playwright:
        resolver = "--host-resolver-rules=MAP *.localhost 127.0.0.1"
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox", resolver])
        for width, scheme in WIDTHS:
            context = browser.new_context(
                ignore_https_errors=True, bypass_csp=True, viewport={"width": width, "height": 800}, color_scheme=scheme
            )
            tab = context.new_page()
            tab.goto(site.sandbox.url("status"))
            tab.evaluate(script)
            found = tab.evaluate("tags => axe.run(document, {runOnly: tags})", tags)
            assert found["violations"] == []
            assert len(found["passes"]) > 10
            assert not tab.evaluate("document.documentElement.scrollWidth > innerWidth")
        browser.close()


def test_every_target_is_up(site: Deployment) -> None:
    def states() -> Counter[tuple[str, str]]:
        return Counter((t["labels"]["job"], t["health"]) for t in ask(site, "targets")["activeTargets"])

    wanted = {"mo-services": len(SERVICES), "mo-host": 1, "mo-mysqld": 2, "mo-postgres": 1, "mo-deployment": 1}
    until(lambda: states() == Counter({(job, "up"): count for job, count in wanted.items()}), states)
    until(
        lambda: len(values(site, 'probe_success{job="mo-services"} == 1')) == len(SERVICES), lambda: values(site, "probe_success")
    )
    until(lambda: values(site, "mysql_up") == ["1", "1"], lambda: values(site, "mysql_up"))
    until(lambda: values(site, "pg_up") == ["1"], lambda: values(site, "pg_up"))


def test_every_query_of_the_dashboards_returns_data(site: Deployment, tmp_path: Path) -> None:
    site.run("bin/mo", "export", "--format", "grafana", "--out", str(tmp_path))
    boards = [json.loads(path.read_text()) for path in sorted(tmp_path.rglob("dashboards/*.json"))]
    assert len(boards) == 4
    wanted = {expression.replace("$service", "votes") for board in boards for expression in queries(board)}
    until(lambda: not silent(site, wanted), lambda: silent(site, wanted))


def silent(site: Deployment, expressions: set[str]) -> set[str]:
    """The expressions without data."""
    return {expression for expression in expressions if not values(site, expression)}


def test_every_metric_that_a_rule_or_dashboard_names_was_scraped(site: Deployment, tmp_path: Path) -> None:
    site.run("bin/mo", "export", "--format", "grafana", "--out", str(tmp_path))
    rules = yaml.safe_load((monitoring.files(site.sandbox.layout) / "prometheus/rules.yml").read_text())
    expressions = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    expressions += [e for path in tmp_path.rglob("dashboards/*.json") for e in queries(json.loads(path.read_text()))]
    named = set().union(*map(metrics_in, expressions))
    assert {"probe_success", "mo_quota_bytes", "mysql_up", "pg_stat_activity_count"} <= named
    until(lambda: named <= set(ask(site, "label/__name__/values")), lambda: named - set(ask(site, "label/__name__/values")))


def metrics_in(expression: str) -> set[str]:
    """The names of metrics in a PromQL expression."""
    text = re.sub(r'"[^"]*"', "", expression)
    text = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\b(by|on|without|ignoring)\s*\([^)]*\)", " ", text)
    words = re.findall(r"(?<![\w:.])[a-zA-Z_:][\w:]*(?!\s*\()\b(?!\s*\()", text)
    return {word for word in words if word not in ("or", "and", "unless", "bool", "by", "on")}


@pytest.mark.timeout(3 * PATIENCE)
def test_what_breaks_is_told_once_to_the_right_receiver_and_so_is_its_end(site: Deployment) -> None:
    box, layout = site.sandbox, site.sandbox.layout
    expected: dict[Alert, str] = {
        ("ServiceDown", "votes"): "critical",
        ("DatabaseConnectionFailure", "forum"): "critical",
        ("DatabaseConnectionFailure", "external-mariadb"): "critical",
        ("SecurityIncident", "docs"): "critical",
        ("SecurityIncident", "dependabot"): "critical",
        ("SlowResponse", "consent"): "warning",
        ("ErrorRate", "main"): "warning",
        ("DiskSpaceLow", "sandbox"): "warning",
    }
    # One probe in fifty is 2 %.
    pages = Pages()
    with pages.served() as port, ExitStack() as broken:
        broken.enter_context(box.page_served_by("consent", port, "/slow"))
        broken.enter_context(box.page_served_by("main", port, "/one-in-fifty-fails"))
        broken.enter_context(_stopped(site, "votes"))
        broken.enter_context(_locked_out(site, "svc_forum"))
        broken.enter_context(_changed_file(site, "docs"))
        broken.enter_context(box.quota(used=850, limit=1000))
        broken.enter_context(box.database_down("mariadb-external-mariadb"))
        _dependabot(site, "fail")
        until(
            lambda: expected.keys() <= told(site, "firing").keys(),
            lambda: expected.keys() - told(site, "firing").keys(),
            meanwhile=lambda: _export(layout),
        )
        assert pages.failed >= 1
    _dependabot(site, "pass")
    until(
        lambda: expected.keys() <= told(site, "resolved").keys(),
        lambda: expected.keys() - told(site, "resolved").keys(),
        meanwhile=lambda: _export(layout),
    )

    firing = told(site, "firing")
    assert {alert: {call["receiver"] for call in firing[alert]} for alert in expected} == {a: {r} for a, r in expected.items()}
    for alert, calls in firing.items():
        # Told again only in a message that says something new: another alert of its group began or ended.
        said = Counter((call["startsAt"], call["group"]) for call in calls)
        assert set(said.values()) == {1}, f"{alert} was told again with nothing new: {said}"
    for alert in expected:
        assert {call["startsAt"] for call in told(site, "resolved")[alert]} <= {call["startsAt"] for call in firing[alert]}
    tokens = {call.headers.get("authorization") for call in box.hooks() if call.path == "/webhook/alert"}
    assert tokens == {f"Bearer {box.site.passwords['webhook-secret']}"}
    mails = [m for m in box.mail() if m.recipients == (monitoring.MAIL_TO,)]
    assert all(m.tls and m.user for m in mails)
    for name in {name for name, _ in expected}:
        assert any(name.encode() in m.content for m in mails), f"no mail about {name}"


def ask(site: Deployment, path: str, **query: str) -> Any:
    """The ``data`` of an answer of Prometheus's API."""
    address = f"http://127.0.0.1:{site.sandbox.layout.port('prometheus')}/api/v1/{path}?{urllib.parse.urlencode(query)}"
    with urllib.request.urlopen(address, timeout=30) as answer:
        return json.load(answer)["data"]


def values(site: Deployment, expression: str) -> list[str]:
    """The values of an instant query."""
    return [sample["value"][1] for sample in ask(site, "query", query=expression)["result"]]


def told(site: Deployment, status: str) -> dict[Alert, list[dict[str, str]]]:
    """What the receiver was told of each alert with this status: receiver, begin, and what its message said in all."""
    found: dict[Alert, list[dict[str, str]]] = {}
    for call in site.sandbox.hooks():
        if call.path != "/webhook/alert":
            continue
        body = json.loads(call.body)
        for alert in body["alerts"]:
            labels = alert["labels"]
            about = next((labels[key] for key in ("service", "source", "server", "host") if labels.get(key)), "")
            if alert["status"] == status:
                group = " ".join(sorted(f"{a['fingerprint']}/{a['startsAt']}/{a['status']}" for a in body["alerts"]))
                entry = {"receiver": body["receiver"], "startsAt": alert["startsAt"], "group": group}
                found.setdefault((labels["alertname"], about), []).append(entry)
    return found


def until(holds: Callable[[], bool], what: Callable[[], object], meanwhile: Callable[[], None] = lambda: None) -> None:
    """Waits until ``holds``; ``what`` says what was there instead. ``meanwhile`` runs every ``EXPORT_EVERY`` seconds."""
    begun = time.monotonic()
    due = begun
    while not holds():
        assert time.monotonic() < begun + PATIENCE, f"not within {PATIENCE} s: {what()}"
        if time.monotonic() >= due:
            meanwhile()
            due = time.monotonic() + EXPORT_EVERY
        time.sleep(0.5)


class Pages(http.server.ThreadingHTTPServer):
    """Answers slowly at ``/slow``, and with 500 at each fiftieth call of ``/one-in-fifty-fails``."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Page)
        self.calls = self.failed = 0
        self.lock = threading.Lock()

    @contextmanager
    def served(self) -> Iterator[int]:
        """While it serves; gives its port."""
        threading.Thread(target=self.serve_forever, daemon=True).start()
        try:
            yield self.server_address[1]
        finally:
            self.shutdown()
            self.server_close()


class _Page(http.server.BaseHTTPRequestHandler):
    server: Pages

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        status = 200
        if self.path == "/slow":
            time.sleep(3)
        else:
            with self.server.lock:
                self.server.calls += 1
                if self.server.calls % 50 == 1:
                    status, self.server.failed = 500, self.server.failed + 1
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()


def _export(layout: Layout) -> None:
    monitoring.export(layout)
    _probe_often(layout, "main")


def _probe_often(layout: Layout, service: str) -> None:
    """Lets Prometheus ask one service five times a second."""
    path = monitoring.files(layout) / "prometheus/targets/services.json"
    targets = json.loads(path.read_text())
    for target in targets:
        if target["labels"]["service"] == service:
            target["labels"] |= {"__scrape_interval__": "200ms", "__scrape_timeout__": "200ms"}
    new = path.with_name(".new")
    new.write_text(json.dumps(targets))
    new.replace(path)


def _dependabot(site: Deployment, kind: str) -> None:
    shutil.copy(REPORTS / kind / "dependabot.json", site.clone / "quality-reports/dependabot.json")


@contextmanager
def _stopped(site: Deployment, service: str) -> Iterator[None]:
    """The service answers 503, as in maintenance that nobody ended."""
    marker = f"{site.sandbox.root}/.deploy/{service}/maintenance"
    site.sandbox.ssh(f"touch {marker}")
    try:
        yield
    finally:
        site.sandbox.ssh(f"rm -f {marker}")


@contextmanager
def _locked_out(site: Deployment, user: str) -> Iterator[None]:
    """A database account whose password was changed behind the deployment's back."""
    with site.sandbox.mariadb() as connection, connection.cursor() as cursor:
        cursor.execute(f"SHOW CREATE USER {user}@'127.0.0.1'")
        row = cursor.fetchone()
        assert row is not None
        cursor.execute(f"ALTER USER {user}@'127.0.0.1' IDENTIFIED BY 'another'")
        try:
            yield
        finally:
            cursor.execute(str(row[0]).replace("CREATE USER", "ALTER USER", 1))


@contextmanager
def _changed_file(site: Deployment, service: str) -> Iterator[None]:
    """A file of the live release with a line more."""
    path = site.sandbox.root / site.services[service].path / "index.html"
    before = path.read_bytes()
    path.write_bytes(before + b"<!-- changed -->\n")
    try:
        yield
    finally:
        path.write_bytes(before)
