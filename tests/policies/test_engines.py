"""The pack on an engine: each rule stops a program at preview and at ``up --skip-preview``, and nothing was created behind the gate.

On the embedded engine always; on the real CLI where there is one (marked ``pulumi_cli``).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.policies import programs as p
from tests.policies.analyzer import PACK, SIGNATURE, UNKNOWN, Made, running
from tests.policies.test_pack import BAD
from tests.pulumi_cli import real_cli

pytestmark = pytest.mark.slow

ROOT = PACK.parent

PROGRAM = '''
"""Registers what resources.json lists, the gate first, everything else behind it."""
import asyncio
import json
import pathlib

import pulumi
from pulumi_command import local

SIGNATURE = "4dabf18193072939515e22adb298388d"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


def later():
    """What a preview does not know and an update does: '{}'."""
    known = not pulumi.runtime.is_dry_run()
    told = [asyncio.get_event_loop().create_future() for _ in range(3)]
    for future, result in zip(told, ("{}", known, False)):
        future.set_result(result)
    return pulumi.Output(set(), *told)


def value(part):
    if part == UNKNOWN:
        return later()
    if isinstance(part, dict):
        if SIGNATURE in part:
            return pulumi.Output.secret(part["value"])
        return {key: value(inner) for key, inner in part.items()}
    return [value(inner) for inner in part] if isinstance(part, list) else part


class Any(pulumi.ComponentResource):
    def __init__(self, made, opts=None):
        super().__init__(made["type"], made["name"], value(made["props"]), opts)
        self.register_outputs({})


class Custom(pulumi.CustomResource):
    def __init__(self, made, opts):
        super().__init__(made["type"], made["name"], value(made["props"]), opts)


after, providers = [], {}
for made in json.loads(pathlib.Path("resources.json").read_text()):
    opts = pulumi.ResourceOptions(depends_on=after)
    if made["type"].startswith("mo:deploy:"):
        component = Any(made, opts)
        if made["type"] == "mo:deploy:QualityGate":
            after = [local.Command("seal", create="components/remote/run gate", stdin="{}", logging="none",
                                   add_previous_output_in_env=False, opts=pulumi.ResourceOptions(parent=component))]
    elif made["type"].startswith("pulumi:providers:"):
        provider = pulumi.ProviderResource(made["type"].split(":")[2], made["name"], value(made["props"]), opts)
        providers[provider.package] = provider
    else:
        package = made["type"].split(":")[0]
        if package in providers:
            opts.provider = providers[package]
        Custom(made, opts)
'''

STEP = """#!/bin/sh
echo "$1" >> ran.log
echo '{"ok": true}'
"""


@dataclass(frozen=True)
class Engine:
    """An engine's command line on a project of its own."""

    name: str
    command: tuple[str, ...]
    folder: Path

    def run(self, *arguments: str, stack: str) -> subprocess.CompletedProcess[str]:
        env = {
            **os.environ,
            "PULUMI_BACKEND_URL": f"file://{self.folder / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": "x",
            "PULUMI_SKIP_UPDATE_CHECK": "1",
            "PULUMI_HOME": str(self.folder / "home"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT) if self.name == "embedded" else "",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        env.pop("PULUMI_OPTION_POLICY_PACK", None)
        return subprocess.run(
            [*self.command, *arguments, "--stack", stack, "--non-interactive", "--color", "never"],
            cwd=self.folder,
            env=env,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )

    def prepare(self, stack: str, *resources: Made) -> None:
        (self.folder / "Pulumi.yaml").write_text("name: mo-deploy\nruntime: python\n")
        (self.folder / "__main__.py").write_text(PROGRAM)
        (self.folder / "resources.json").write_text(json.dumps([asdict(made) for made in resources]))
        run = self.folder / "components" / "remote" / "run"
        run.parent.mkdir(parents=True, exist_ok=True)
        run.write_text(STEP)
        run.chmod(0o755)
        (self.folder / "state").mkdir(exist_ok=True)
        made = self.run("stack", "init", stack=stack)
        assert made.returncode == 0, made.stderr

    def ran(self) -> list[str]:
        log = self.folder / "ran.log"
        return log.read_text().split() if log.exists() else []

    def made(self, stack: str) -> set[str]:
        """The names of the resources in the state."""
        exported = self.run("stack", "export", stack=stack)
        assert exported.returncode == 0, exported.stderr
        return {resource["urn"].rsplit("::", 1)[1] for resource in json.loads(exported.stdout)["deployment"].get("resources", [])}


@pytest.fixture(params=["embedded", pytest.param("pulumi", marks=pytest.mark.pulumi_cli)])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    if request.param == "embedded":
        return Engine("embedded", (sys.executable, "-m", "embedded"), tmp_path)
    found = real_cli()
    if found is None:
        pytest.skip("there is no pulumi CLI on the PATH")
    return Engine("pulumi", (found,), tmp_path)


GOOD = [
    p.gate(),
    p.platform(),
    p.host(),
    p.switch("votes"),
    p.command("env", "votes", {"variables": {}}),
    p.command("health", "votes"),
    p.health(),
]


NOWHERE = {
    "mysql": Made("pulumi:providers:mysql", "nowhere", {"endpoint": "127.0.0.1:1", "username": "u", "password": "p"}),
    "github": Made("pulumi:providers:github", "nowhere", {"baseUrl": "http://127.0.0.1:1/", "owner": "o", "token": "t"}),
}
"""Providers of packages whose resources cannot be made without one; they reach nobody."""


def program(made: Made) -> list[Made]:
    """A program with this resource behind a green gate, and with a command behind it where it is the gate itself."""
    if made.type == "mo:deploy:QualityGate":
        return [made, p.command("stage")]
    package = made.type.split(":")[0]
    return [p.gate(made.stack), *([NOWHERE[package]] if package in NOWHERE else []), made]


def violating() -> dict[str, list[Made]]:
    """For each rule a program that violates it, and nothing else that another rule would stop first."""
    programs = {rule: program(next(m for m in several if UNKNOWN not in json.dumps(m.props))) for rule, several in BAD.items()}
    for name, (group, *_) in p.FIGURES.items():
        programs.setdefault(f"gates-{group}", [p.gate_with(name, figure=p.worse(name)), p.command("stage")])
    programs["gate-first"] = [p.command("stage")]
    programs["deployment-window-refused"] = [p.gate(), p.platform(window="refuse")]
    return programs


def unknown() -> dict[str, list[Made]]:
    """For each rule that refuses a value which the preview does not know, such a program."""
    several = {rule: [m for m in made if UNKNOWN in json.dumps(m.props)] for rule, made in BAD.items()}
    programs = {rule: program(made[0]) for rule, made in several.items() if made}
    for name, (group, *_) in p.FIGURES.items():
        programs.setdefault(f"gates-{group}", [p.gate_with(name, figure=UNKNOWN), p.command("stage")])
    programs["deployment-window-refused"] = [p.gate(), p.platform(window=UNKNOWN)]
    return programs


TOLD = {
    "gates-waivers": [p.gate_with("eslint", figure=3, waiver=p.waiver()), p.command("stage")],
    "gates-rollback": [p.gate(rollback=p.rollback(), gates=p.gate_with("trivy", figure=9).props["gates"]), p.command("stage")],
    "deployment-window": [p.gate(), p.platform(window="warn")],
}
"""For each advisory rule a program that it has something to say about."""
ASKED_AT_THE_END = {"health-checked"}
"""Rules over the whole stack, which an engine asks after a preview."""


def fits(engine: Engine, resources: list[Made]) -> None:
    if engine.name == "pulumi" and any(made.type.startswith("pulumi:providers:") for made in resources):
        pytest.skip("the CLI would fetch the provider's plugin from the network")


def settings_file(folder: Path) -> str:
    """A window that no test runs in: the default one would let them pass, or fail, on Saturdays only."""
    path = folder / "settings.json"
    weekday = (datetime.now(UTC).weekday() + 3) % 7
    window = {"weekday": weekday, "from": 0, "to": 1}
    path.write_text(json.dumps({"deployment-window": window, "deployment-window-refused": window}))
    return str(path)


def test_each_rule_is_violated_on_an_engine() -> None:
    listing = "import json\nfrom rules import ALL\nprint(json.dumps([rule.name for rule in ALL]))"
    done = subprocess.run([sys.executable, "-c", listing], cwd=PACK, capture_output=True, text=True, check=True)
    assert set(json.loads(done.stdout)) == set(violating()) | set(TOLD) | ASKED_AT_THE_END


def test_a_right_program_runs_with_the_pack(engine: Engine) -> None:
    engine.prepare("production", *GOOD)
    for arguments in (("preview",), ("up", "--yes", "--skip-preview")):
        done = engine.run(*arguments, "--policy-pack", str(PACK), stack="production")
        assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(engine.ran()) == ["env", "gate", "health", "switch"]


@pytest.mark.parametrize("rule", sorted(violating()))
def test_a_violated_rule_stops_preview_and_update_and_nothing_is_created(engine: Engine, rule: str, tmp_path: Path) -> None:
    resources = violating()[rule]
    fits(engine, resources)
    stack = resources[-1].stack
    engine.prepare(stack, *resources)
    for arguments in (("preview",), ("up", "--yes", "--skip-preview")):
        done = engine.run(*arguments, "--policy-pack", str(PACK), "--policy-pack-config", settings_file(tmp_path), stack=stack)
        said = done.stdout + done.stderr
        assert done.returncode != 0, f"{arguments}: {said}"
        assert f"[mandatory]  {rule}" in said, f"{arguments}: {said}"
    changed = [step for step in engine.ran() if step != "gate"]
    assert changed == [], changed
    if rule.startswith("gate"):
        assert engine.ran() == []
    assert resources[-1].name not in engine.made(stack)


@pytest.mark.parametrize("rule", sorted(unknown()))
def test_a_value_that_must_be_known_and_is_not_stops_the_preview(engine: Engine, rule: str, tmp_path: Path) -> None:
    resources = unknown()[rule]
    fits(engine, resources)
    stack = resources[-1].stack
    engine.prepare(stack, *resources)
    done = engine.run("preview", "--policy-pack", str(PACK), "--policy-pack-config", settings_file(tmp_path), stack=stack)
    said = done.stdout + done.stderr
    assert done.returncode != 0, said
    assert f"[mandatory]  {rule}" in said, said


def test_what_only_the_update_can_tell_is_judged_there_before_it_happens(engine: Engine) -> None:
    engine.prepare("production", p.gate(), p.command("env", "votes", stdin=UNKNOWN))
    assert engine.run("preview", "--policy-pack", str(PACK), stack="production").returncode == 0
    done = engine.run("up", "--yes", "--skip-preview", "--policy-pack", str(PACK), stack="production")
    assert done.returncode != 0
    assert "[mandatory]  command-stdin-secret" in done.stdout + done.stderr
    assert engine.ran() == ["gate"]


@pytest.mark.parametrize("rule", sorted(TOLD))
def test_what_a_rule_only_tells_is_shown_and_stops_nothing(engine: Engine, rule: str, tmp_path: Path) -> None:
    engine.prepare("production", *TOLD[rule])
    for arguments in (("preview",), ("up", "--yes", "--skip-preview")):
        done = engine.run(
            *arguments, "--policy-pack", str(PACK), "--policy-pack-config", settings_file(tmp_path), stack="production"
        )
        said = done.stdout + done.stderr
        assert done.returncode == 0, said
        assert f"[advisory]  {rule}" in said, said
        assert "[mandatory]" not in said, said


def test_a_service_that_nobody_asks_from_outside_stops_the_preview_and_an_update_that_begins_with_one(engine: Engine) -> None:
    engine.prepare("production", p.gate(), p.switch("votes"))
    for arguments in (("preview",), ("up", "--yes")):
        done = engine.run(*arguments, "--policy-pack", str(PACK), stack="production")
        said = done.stdout + done.stderr
        assert done.returncode != 0, said
        assert "[mandatory]  health-checked" in said, said
    assert engine.ran() == []
    # Without a preview the engine asks a rule over the whole stack when all is done: too late to prevent, and still an error.
    assert engine.run("up", "--yes", "--skip-preview", "--policy-pack", str(PACK), stack="production").returncode != 0


def test_a_red_gate_names_itself_in_the_output(engine: Engine) -> None:
    engine.prepare("production", p.gate_with("trivy", figure=3), p.command("stage"))
    done = engine.run("preview", "--policy-pack", str(PACK), stack="production")
    assert done.returncode != 0
    for part in ("trivy: 3 HIGH or CRITICAL findings, required: at most 0", "quality-reports/trivy.json"):
        assert part in done.stdout + done.stderr


def pack_without(rule: str, folder: Path) -> Path:
    """A copy of the pack that lacks this rule."""
    pack = folder / "policy"
    shutil.copytree(PACK, pack, ignore=shutil.ignore_patterns("__pycache__"))
    init = pack / "rules" / "__init__.py"
    init.write_text(init.read_text() + f'\nALL = tuple(rule for rule in ALL if rule.name != "{rule}")\n')
    return pack


def test_without_its_rule_the_pack_lets_the_same_program_through(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The proof that it is the rule which stops it: a copy of the pack without the rule does not."""
    pack = pack_without("gates-security", tmp_path_factory.mktemp("pack"))
    engine.prepare("production", p.gate_with("trivy", figure=3), p.command("stage"))
    assert engine.run("preview", "--policy-pack", str(PACK), stack="production").returncode != 0
    assert engine.run("preview", "--policy-pack", str(pack), stack="production").returncode == 0


@pytest.mark.parametrize("rule", [*sorted(violating()), *sorted(TOLD), *sorted(ASKED_AT_THE_END)])
def test_nothing_but_its_own_rule_refuses_a_program_so_that_no_rule_can_go_unnoticed(rule: str, tmp_path: Path) -> None:
    resources = {**violating(), **TOLD, "health-checked": [p.gate(), p.switch("votes")]}[rule]
    if rule != "health-checked":
        resources = [*resources, p.command("health", "crm")]
    settings = json.loads(Path(settings_file(tmp_path)).read_text())
    for pack, refusing in ((PACK, {rule}), (pack_without(rule, tmp_path), set[str]())):
        with running(pack) as analyzer:
            analyzer.configure(settings)
            assert {violation.rule for violation in [*analyzer.register(*resources), *analyzer.finish(*resources)]} == refusing


@pytest.mark.parametrize(
    "settings",
    [
        {"gates-testing": {"coverage": 50}},
        {"gates-security": {"trivy": 1}},
        {"gates-security": {"waiverDays": 365}},
        {"gates-provenance": {"maxAgeHours": 100_000}},
        {"gates-complete": {"required": {"production": ["wishes"]}}},
    ],
)
def test_settings_that_loosen_a_rule_are_refused_by_their_schema(
    engine: Engine, tmp_path: Path, settings: dict[str, object]
) -> None:
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(settings))
    engine.prepare("production", *GOOD)
    done = engine.run("preview", "--policy-pack", str(PACK), "--policy-pack-config", str(path), stack="production")
    assert done.returncode != 0, done.stdout


def test_the_program_s_marks_are_the_sdks() -> None:
    assert SIGNATURE in PROGRAM
    assert UNKNOWN in PROGRAM
