"""Every rule of the pack: a program that violates it is refused, one that does not passes, and unknown values are handled one by one.

The pack runs in a process of its own, as an engine runs it. Taking a rule out of the pack fails the tests of that rule here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.policies import programs as p
from tests.policies.analyzer import UNKNOWN, Analyzer, Made, of_rule, running


@pytest.fixture(scope="module")
def pack() -> Iterator[Analyzer]:
    with running() as analyzer:
        yield analyzer


@pytest.fixture
def fresh() -> Iterator[Analyzer]:
    with running() as analyzer:
        analyzer.configure()
        yield analyzer


RIGHT: list[Made] = [
    p.gate(),
    p.platform(),
    p.host(),
    p.service_database(),
    p.mysql_provider(),
    p.mysql_provider(endpoint="127.0.0.1:3306", tls="false"),
    p.postgresql_provider(),
    p.postgresql_provider(host="::1", sslmode="disable"),
    p.mysql_database(),
    Made("postgresql:index/database:Database", "api-database", {"name": "mo_api"}, parent=p.PARENT),
    Made("mysql:index/user:User", "votes-user", {"user": "svc_votes"}, parent=p.PARENT),
    p.role(),
    p.postgresql_grant(),
    p.mysql_grant(),
    p.account(),
    p.command("env", "votes", {"variables": {"DB_PASS": "x"}}),
    p.command("stage", "votes"),
    p.switch("votes"),
    p.switch("crm", ["sites/default/files", "sites/default/civicrm/upload"]),
    p.command("health", "votes"),
    p.command("health", "crm"),
    p.health(),
    p.environment(),
]
"""A program that follows every rule."""

BAD: dict[str, list[Made]] = {
    "gates-complete": [
        p.without_gate("trivy"),
        p.gate(required=["unit-tests"]),
        p.gate(required=[]),
        p.gate(required=[*p.FIGURES, "wishes"]),
        p.gate(commit=""),
        p.gate(commit="1234567"),
        p.gate(gates=[]),
        p.gate(gates=[*p.gate_props()["gates"], {"name": "wishes"}]),
        p.gate(rollback=p.rollback(time=p.ago(2))),
        p.gate(rollback=p.rollback(time=p.ago(-1))),
        p.gate(rollback=p.rollback(reason="")),
        p.gate(rollback=p.rollback(author="")),
        p.gate(rollback=p.rollback(update=0)),
        p.gate(rollback={}),
        p.gate(rollback=UNKNOWN),
        p.gate(rollback=p.rollback(reason=UNKNOWN)),
        p.gate(commit=UNKNOWN),
        p.gate(required=UNKNOWN),
        p.gate(required=[*p.FIGURES, UNKNOWN]),
        p.gate(gates=UNKNOWN),
        p.gate(gates=[UNKNOWN]),
    ],
    "gates-provenance": [
        p.gate_with("trivy", problem="missing", detail="there is no report"),
        p.gate_with("trivy", digest=None),
        p.gate_with("trivy", tool=None),
        p.gate_with("trivy", tool="trivy-fallback"),
        p.gate_with("trivy", toolVersion=None),
        p.gate_with("trivy", toolVersion="fallback"),
        p.gate_with("trivy", toolVersion="0.0.0"),
        p.gate_with("trivy", commit="f" * 40),
        p.gate_with("trivy", commit=None),
        p.gate_with("trivy", uncommitted=True),
        p.gate_with("trivy", uncommitted=None),
        p.gate_with("trivy", count=0),
        p.gate_with("trivy", count=None),
        p.gate_with("trivy", time=None),
        p.gate_with("trivy", time="yesterday"),
        p.gate_with("trivy", time=p.ago(25)),
        p.gate_with("trivy", time=p.ago(-1)),
        p.gate_with("trivy", problem=UNKNOWN),
        p.gate_with("trivy", digest=UNKNOWN),
        p.gate_with("trivy", tool=UNKNOWN),
        p.gate_with("trivy", toolVersion=UNKNOWN),
        p.gate_with("trivy", commit=UNKNOWN),
        p.gate_with("trivy", uncommitted=UNKNOWN),
        p.gate_with("trivy", count=UNKNOWN),
        p.gate_with("trivy", time=UNKNOWN),
        p.gate_with("trivy", path=UNKNOWN),
        p.gate(maxAgeHours=UNKNOWN),
    ],
    "host-key-pinned": [
        p.host(hostKeys=[]),
        p.host(hostKeys=None),
        p.host(hostKeys=["ssh-dss AAAAB3NzaC1kc3MAAACBAP"]),
        p.host(hostKeys=[p.KEY, "ssh-ed25519 AAAAB3NzaC1yc2EAAAADAQABAAABAQ" + "A" * 60]),
        p.host(hostKeys=["no key at all"]),
        p.host(hostKeys=[UNKNOWN]),
        p.host(hostKeys=UNKNOWN),
    ],
    "command-constant": [
        p.command("stage", create="echo hunter2 | mysql"),
        p.command("stage", create="components/remote/run stage --password=hunter2"),
        p.command("stage", create=UNKNOWN),
        p.command("stage", environment={"DB_PASS": "hunter2"}),
        p.command("stage", environment=UNKNOWN),
        p.command("stage", dir="/tmp/evil"),
        p.command("stage", interpreter=["/bin/sh", "-xc"]),
        p.command("stage", assetPaths=["**"]),
        p.command("stage", delete="rm -rf /"),
        p.command("stage", delete=UNKNOWN),
        p.command("stage", update="echo other"),
        p.command("stage", triggers=["x"]),
        p.command("stage", logging=None),
        p.command("stage", logging="stdout"),
        p.command("stage", addPreviousOutputInEnv=None),
        Made("command:remote:Command", "remote", {"create": "true"}),
    ],
    "inputs-judged": [
        p.mysql_grant(roles=["admin"]),
        p.mysql_grant(roles=UNKNOWN),
        p.role(roles=["postgres"]),
        p.postgresql_grant(objects=["members"]),
        Made("postgresql:index/database:Database", "api-database", {"name": "mo_api", "template": "mo_crm"}, parent=p.PARENT),
    ],
    "command-request-known": [
        p.command("switch", stdin=UNKNOWN),
        p.command("stage", stdin="no JSON"),
        p.command("health", stdin=None),
    ],
    "command-stdin-secret": [
        p.command("env", stdin='{"service": "votes", "variables": {"DB_PASS": "x"}}'),
        p.command("account", stdin='{"service": "votes"}'),
        p.command("stage", request={"api_token": "x"}),
        p.command("switch", request={"nested": [{"password": "x"}]}),
    ],
    "database-tls": [
        p.mysql_provider(tls="false"),
        p.mysql_provider(tls="skip-verify"),
        p.mysql_provider(tls="preferred"),
        Made("pulumi:providers:mysql", "server", {"endpoint": "10.0.0.8:3306"}),
        p.mysql_provider(endpoint=UNKNOWN),
        p.mysql_provider(tls=UNKNOWN),
        p.postgresql_provider(sslmode="disable"),
        p.postgresql_provider(sslmode="require"),
        p.postgresql_provider(sslmode="verify-ca"),
        p.postgresql_provider(host=UNKNOWN),
        p.postgresql_provider(sslmode=UNKNOWN),
    ],
    "database-names": [
        p.mysql_database("votes"),
        p.mysql_database("mo_Votes; DROP DATABASE x"),
        p.mysql_database(UNKNOWN),
        p.role("api"),
        p.role(UNKNOWN),
        p.service_database(name="votes"),
        p.service_database(user="root"),
        Made("postgresql:index/database:Database", "api-database", {"name": "api"}, parent=p.PARENT),
        Made("mysql:index/user:User", "votes-user", {"user": "votes"}, parent=p.PARENT),
    ],
    "database-grants": [
        p.account(database="mo_crm"),
        p.account(user="svc_crm"),
        p.account(database="*"),
        p.account(privileges=["ALL PRIVILEGES", "SUPER"]),
        p.account(privileges=["GRANT OPTION"]),
        p.command("account", stdin="no JSON"),
        p.service_database(user="svc_crm"),
        p.role(superuser=True),
        p.role(createDatabase=True),
        p.role(createRole=True),
        p.role(replication=True),
        p.role(bypassRowLevelSecurity=UNKNOWN),
        p.mysql_grant(database="*"),
        p.mysql_grant(user="svc_crm"),
        p.mysql_grant(grant=True),
        p.mysql_grant(privileges=["FILE"]),
        p.postgresql_grant(privileges=["CONNECT"]),
        p.postgresql_grant(role="svc_crm", privileges=["CONNECT"]),
        p.postgresql_grant(role="svc_api", privileges=["CONNECT"], withGrantOption=True),
    ],
    "database-retained": [
        p.service_database(retain=False),
        p.service_database(retain=UNKNOWN),
        p.mysql_database(parent=""),
        p.role(parent="urn:pulumi:production::mo-deploy::mo:deploy:Platform::platform"),
    ],
    "github-environment-guarded": [
        p.environment(reviewers=[]),
        p.environment(reviewers=[{"users": []}]),
        p.environment(reviewers=UNKNOWN),
        p.environment(preventSelfReview=False),
        p.environment(preventSelfReview=UNKNOWN),
        p.environment(canAdminsBypass=True),
        p.environment(canAdminsBypass=None),
        p.environment(deploymentBranchPolicy=None),
        p.environment(environment=UNKNOWN),
    ],
    "backend-fits": [
        p.platform(backend="file"),
        p.platform(backend=None),
        p.platform(backend=UNKNOWN),
        p.platform("staging", backend="file", services=["api_stg", "admin_stg"]),
    ],
    "services-removed": [
        p.platform(services=p.PRODUCTION[2:]),
        p.platform(services=[]),
        p.platform(services=UNKNOWN),
        p.platform(services=[UNKNOWN]),
        p.platform(services=["main", *p.PRODUCTION]),
    ],
    "health-question": [
        p.health(status=301),
        p.health(path=""),
        p.health(domain=""),
        p.health(successes=0),
        p.health(status=UNKNOWN),
        Made("mo:deploy:HealthCheck", "votes-health-check", {"probe": UNKNOWN}),
    ],
    "persistent-paths": [
        p.switch("crm", []),
        p.switch("crm", ["sites/default/files"]),
        p.switch("crm", stdin=UNKNOWN),
    ],
}
"""For each rule, single resources that violate it; those with an unknown value that the rule refuses are among them."""

UNKNOWN_BUT_FINE: dict[str, list[Made]] = {
    "database-grants": [
        p.command("account", stdin=UNKNOWN),
        p.mysql_grant(database=UNKNOWN),
        p.postgresql_grant(database=UNKNOWN),
    ],
    "command-stdin-secret": [p.command("env", stdin=UNKNOWN)],
    "command-request-known": [p.command("env", stdin=UNKNOWN)],
    "database-tls": [p.mysql_provider(password=UNKNOWN)],
    "host-key-pinned": [p.host(address=UNKNOWN)],
    "github-environment-guarded": [p.environment(repository=UNKNOWN)],
}
"""Values that only the update can tell and that the rule judges then (or need not know)."""

OTHERWISE_TESTED = {
    *(f"gates-{group}" for group in ("security", "quality", "testing", "performance", "compliance")),
    "gates-rollback",
    "gates-waivers",
    "gate-first",
    "deployment-window",
    "deployment-window-refused",
    "health-checked",
}
"""Rules with tests of their own below."""


def test_every_rule_of_the_pack_is_tested_and_none_is_missing(pack: Analyzer) -> None:
    names = {policy.name for policy in pack.info().policies}
    assert names == set(BAD) | OTHERWISE_TESTED


def test_every_rule_that_reads_a_value_has_a_program_in_which_it_is_unknown() -> None:
    for rule, several in BAD.items():
        assert any(UNKNOWN in json.dumps(made.props) for made in [*several, *UNKNOWN_BUT_FINE.get(rule, [])]), rule


def test_a_right_program_has_what_each_rule_looks_at(pack: Analyzer) -> None:
    """Else it would pass a rule that refuses everything."""
    pack.configure()
    for rule, several in BAD.items():
        refused = {made.type for made in several if of_rule(pack.register(made), rule)}
        assert refused
        assert refused - {"command:remote:Command"} <= {made.type for made in RIGHT}, rule


def test_a_right_program_passes_every_rule(fresh: Analyzer) -> None:
    assert fresh.register(*RIGHT) == []
    assert fresh.finish(*RIGHT) == []


@pytest.mark.parametrize(("rule", "made"), [(rule, made) for rule, several in BAD.items() for made in several])
def test_what_violates_a_rule_is_refused(pack: Analyzer, rule: str, made: Made) -> None:
    pack.configure()
    found = of_rule(pack.register(p.gate(made.stack), made), rule)
    assert found, f"{rule} lets {made} pass"
    assert {violation.level for violation in found} == {"mandatory"}
    for violation in found:
        assert "hunter2" not in violation.message
        assert violation.message.strip().endswith("."), violation.message


@pytest.mark.parametrize(("rule", "made"), [(rule, made) for rule, several in UNKNOWN_BUT_FINE.items() for made in several])
def test_an_unknown_value_that_cannot_be_known_before_the_update_passes(pack: Analyzer, rule: str, made: Made) -> None:
    pack.configure()
    assert of_rule(pack.register(p.gate(), made), rule) == []


@pytest.mark.parametrize("name", list(p.FIGURES))
def test_each_gate_is_red_just_beyond_its_threshold(pack: Analyzer, name: str) -> None:
    pack.configure()
    rule = f"gates-{p.FIGURES[name][0]}"
    found = of_rule(pack.register(p.gate_with(name, figure=p.worse(name))), rule)
    assert len(found) == 1
    assert found[0].level == "mandatory"
    for part in (name, f"{p.worse(name):g}", f"{p.FIGURES[name][2]:g}", f"quality-reports/{name}.json"):
        assert part in found[0].message
    assert of_rule(pack.register(p.gate()), rule) == []


@pytest.mark.parametrize("name", list(p.FIGURES))
@pytest.mark.parametrize("figure", [None, UNKNOWN, "0", True])
def test_each_gate_is_red_without_a_figure(pack: Analyzer, name: str, figure: Any) -> None:
    pack.configure()
    found = of_rule(pack.register(p.gate_with(name, figure=figure)), f"gates-{p.FIGURES[name][0]}")
    assert [violation.level for violation in found] == ["mandatory"]


@pytest.mark.parametrize("name", list(p.FIGURES))
def test_each_gate_is_required_on_production_and_staging(pack: Analyzer, name: str) -> None:
    pack.configure()
    for stack in ("production", "staging"):
        fewer = p.gate(stack, required=[gate for gate in p.FIGURES if gate != name])
        assert any(name in violation.message for violation in of_rule(pack.register(fewer), "gates-complete"))
    assert of_rule(pack.register(p.gate("sandbox", required=[gate for gate in p.FIGURES if gate != name])), "gates-complete") == []


def test_one_bad_report_among_several_is_enough(pack: Analyzer) -> None:
    pack.configure()
    made = p.gate_with("coverage")
    entry = next(gate for gate in made.props["gates"] if gate["name"] == "coverage")
    entry["reports"].append({**entry["reports"][0], "figure": 79.9, "path": "quality-reports/coverage-web.info"})
    found = of_rule(pack.register(made), "gates-testing")
    assert ["coverage-web.info" in violation.message for violation in found] == [True]


@pytest.mark.parametrize(
    ("setting", "value", "figure", "red"),
    [("coverage", 90, 85, True), ("coverage", 50, 70, True), ("coverage", 90, 90, False)],
)
def test_configuration_tightens_a_threshold_and_never_loosens_it(
    pack: Analyzer, setting: str, value: float, figure: float, red: bool
) -> None:
    pack.configure({"gates-testing": {setting: value}})
    assert bool(of_rule(pack.register(p.gate_with(setting, figure=figure)), "gates-testing")) is red


def test_the_threshold_that_the_program_names_counts_for_nothing(pack: Analyzer) -> None:
    pack.configure()
    made = p.gate_with("coverage", figure=10)
    next(gate for gate in made.props["gates"] if gate["name"] == "coverage")["threshold"] = 0
    assert of_rule(pack.register(made), "gates-testing")


def test_a_report_older_than_the_stack_allows_is_refused(pack: Analyzer) -> None:
    pack.configure()
    made = p.gate_with("trivy", time=p.ago(3))
    assert of_rule(pack.register(made), "gates-provenance") == []
    strict = Made(made.type, made.name, {**made.props, "maxAgeHours": 2}, stack=made.stack)
    assert of_rule(pack.register(strict), "gates-provenance")


def test_a_waiver_lets_a_figure_through_for_its_commit_and_is_shown(pack: Analyzer) -> None:
    pack.configure()
    found = pack.register(p.gate_with("eslint", figure=3, waiver=p.waiver()))
    assert [(violation.rule, violation.level) for violation in found] == [("gates-waivers", "advisory")]
    assert "Ada Lovelace" in found[0].message


@pytest.mark.parametrize(
    "changes",
    [
        {"commit": "f" * 40},
        {"expires": p.ago(1)},
        {"expires": p.ago(-24 * 30)},
        {"expires": ""},
        {"reason": "because"},
        {"author": ""},
        {"gate": "trivy"},
        {"expires": UNKNOWN},
        {"commit": UNKNOWN},
        {"reason": UNKNOWN},
        {"author": UNKNOWN},
        {"gate": UNKNOWN},
    ],
)
def test_a_waiver_that_does_not_hold_lets_nothing_through(pack: Analyzer, changes: dict[str, Any]) -> None:
    pack.configure()
    found = pack.register(p.gate_with("eslint", figure=3, waiver=p.waiver(**changes)))
    assert of_rule(found, "gates-quality")
    assert of_rule(found, "gates-waivers")


@pytest.mark.parametrize("name", ["gitleaks", "personal-data", "attestation"])
def test_no_waiver_for_secrets_personal_data_or_attestation(pack: Analyzer, name: str) -> None:
    pack.configure()
    found = pack.register(p.gate_with(name, figure=1, waiver=p.waiver()))
    assert of_rule(found, f"gates-{p.FIGURES[name][0]}")


def test_no_waiver_for_a_missing_report(pack: Analyzer) -> None:
    pack.configure()
    made = p.gate_with("eslint", problem="missing", detail="there is no report", figure=None, waiver=p.waiver())
    assert of_rule(pack.register(made), "gates-provenance")


def test_a_rollback_passes_the_gates_and_is_written_down(pack: Analyzer) -> None:
    pack.configure()
    red = p.gate_with("trivy", figure=9)
    passing = Made(red.type, red.name, {**red.props, "rollback": p.rollback()}, stack=red.stack)
    found = pack.register(passing)
    assert [(violation.rule, violation.level) for violation in found] == [("gates-rollback", "advisory")]
    assert "smoke tests failed" in found[0].message


@pytest.mark.parametrize("note", [UNKNOWN, p.rollback(time=UNKNOWN), p.rollback(update=UNKNOWN)])
def test_a_rollback_note_that_is_not_known_passes_nothing(pack: Analyzer, note: Any) -> None:
    pack.configure()
    red = p.gate_with("trivy", figure=9)
    found = pack.register(Made(red.type, red.name, {**red.props, "rollback": note}, stack=red.stack))
    assert of_rule(found, "gates-security")
    assert not of_rule(found, "gates-rollback")


def test_a_stale_rollback_note_passes_nothing(pack: Analyzer) -> None:
    pack.configure()
    red = p.gate_with("trivy", figure=9)
    late = Made(red.type, red.name, {**red.props, "rollback": p.rollback(time=p.ago(1.5))}, stack=red.stack)
    assert of_rule(pack.register(late), "gates-security")


def test_nothing_changes_before_the_gate_was_judged(fresh: Analyzer) -> None:
    changing = [p.command("stage"), p.mysql_database(), p.role(), p.postgresql_grant(), p.environment()]
    for made in changing:
        assert [violation.level for violation in of_rule(fresh.register(made), "gate-first")] == ["mandatory"]
    fresh.register(p.gate())
    assert of_rule(fresh.register(*changing), "gate-first") == []


def test_the_window_warns_or_refuses_as_the_stack_says(pack: Analyzer) -> None:
    now = datetime.now(UTC)
    elsewhere = {"weekday": (now.weekday() + 1) % 7, "from": 8, "to": 14}
    here = {"weekday": now.weekday(), "from": 0, "to": 24}
    rules = ("deployment-window", "deployment-window-refused")
    pack.configure({rule: elsewhere for rule in rules})
    warned = pack.register(p.platform(window="warn"))
    assert [(violation.rule, violation.level) for violation in warned] == [("deployment-window", "advisory")]
    for setting in ("refuse", "nonsense", UNKNOWN, None):
        refused = pack.register(p.platform(window=setting))
        assert [(violation.rule, violation.level) for violation in refused] == [("deployment-window-refused", "mandatory")]
    assert pack.register(p.platform(window="allow")) == []
    pack.configure({rule: here for rule in rules})
    assert pack.register(p.platform(window="warn"), p.platform(window="refuse")) == []


def test_the_default_window_is_saturday_morning(pack: Analyzer) -> None:
    policy = next(policy for policy in pack.info().policies if policy.name == "deployment-window")
    schema = policy.configSchema.properties
    assert [schema[key]["default"] for key in ("weekday", "from", "to")] == [5, 8, 14]


def test_a_service_that_is_made_live_is_asked_from_outside(pack: Analyzer) -> None:
    pack.configure()
    switched = [p.gate(), p.switch("votes"), p.switch("crm", []), p.command("health", "votes")]
    found = of_rule(pack.finish(*switched), "health-checked")
    assert [("crm" in violation.message, violation.level) for violation in found] == [(True, "mandatory")]
    assert of_rule(pack.finish(*switched, p.command("health", "crm", stdin=UNKNOWN)), "health-checked") == []


def test_a_stack_that_nobody_else_operates_may_keep_its_state_in_files(pack: Analyzer) -> None:
    pack.configure()
    made = [p.platform("sandbox", backend="file", services=["main"]), p.platform(backend="file", allowFileBackend=True)]
    assert pack.register(*made) == []


def test_the_sandbox_may_purge_and_production_may_not_even_if_configured(pack: Analyzer) -> None:
    pack.configure({"database-retained": {"purge": ["sandbox", "production"]}})
    assert of_rule(pack.register(p.gate("sandbox"), p.service_database("sandbox", retain=False)), "database-retained") == []
    assert of_rule(pack.register(p.gate(), p.service_database(retain=False)), "database-retained")


def test_a_secret_in_the_state_cannot_be_judged_at_another_level(pack: Analyzer) -> None:
    pack.configure()
    from pulumi.runtime.proto import analyzer_pb2

    request = analyzer_pb2.ConfigureAnalyzerRequest()
    request.policyConfig["command-stdin-secret"].enforcementLevel = analyzer_pb2.MANDATORY
    pack._stub.Configure(request)
    found = of_rule(pack.register(p.gate(), p.command("env", "votes", {"variables": {}})), "command-stdin-secret")
    assert ["remediate" in violation.message for violation in found] == [True]
