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
from pathlib import Path

import pytest

from tests.policies import programs as p
from tests.policies.analyzer import PACK, SIGNATURE, Made
from tests.policies.test_pack import BAD

ROOT = PACK.parent

PROGRAM = '''
"""Registers what resources.json lists, the gate first, everything else behind it."""
import json
import pathlib

import pulumi
from pulumi_command import local

SIGNATURE = "4dabf18193072939515e22adb298388d"


def value(part):
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


@pytest.fixture(params=["embedded", pytest.param("pulumi", marks=pytest.mark.pulumi_cli)])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    if request.param == "embedded":
        return Engine("embedded", (sys.executable, "-m", "embedded"), tmp_path)
    found = shutil.which("pulumi", path=os.environ["PATH"].replace(str(ROOT / "bin"), ""))
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


def violating() -> dict[str, list[Made]]:
    """For each rule a program that violates it, and nothing else that another rule would stop first."""
    programs: dict[str, list[Made]] = {}
    for rule, several in BAD.items():
        made = next(m for m in several if "04da6b54" not in json.dumps(m.props))
        needs_provider = made.type.split(":")[0] in ("mysql", "postgresql", "github")
        if made.type == "mo:deploy:QualityGate":
            programs[rule] = [made, p.command("stage")]
        elif not needs_provider:
            programs[rule] = [p.gate(made.stack), made]
    for name, (group, *_) in p.FIGURES.items():
        programs.setdefault(f"gates-{group}", [p.gate_with(name, figure=p.worse(name)), p.command("stage")])
    programs["gate-first"] = [p.command("stage")]
    programs["deployment-window-refused"] = [p.gate(), p.platform(window="refuse")]
    return programs


def test_a_right_program_runs_with_the_pack(engine: Engine) -> None:
    engine.prepare("production", *GOOD)
    for arguments in (("preview",), ("up", "--yes", "--skip-preview")):
        done = engine.run(*arguments, "--policy-pack", str(PACK), stack="production")
        assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(engine.ran()) == ["env", "gate", "health", "switch"]


@pytest.mark.slow
@pytest.mark.parametrize("rule", sorted(violating()))
def test_a_violated_rule_stops_preview_and_update_and_nothing_is_created(engine: Engine, rule: str, tmp_path: Path) -> None:
    resources = violating()[rule]
    if engine.name == "pulumi" and any(made.type.startswith("pulumi:providers:") for made in resources):
        pytest.skip("the CLI would fetch the provider's plugin from the network")
    settings = tmp_path / "settings.json"
    # The default window would let this test pass on Saturdays only.
    settings.write_text(json.dumps({"deployment-window-refused": {"weekday": 0, "from": 0, "to": 1}}))
    stack = resources[-1].stack
    engine.prepare(stack, *resources)
    for arguments in (("preview",), ("up", "--yes", "--skip-preview")):
        done = engine.run(*arguments, "--policy-pack", str(PACK), "--policy-pack-config", str(settings), stack=stack)
        said = done.stdout + done.stderr
        assert done.returncode != 0, f"{arguments}: {said}"
        assert f"[mandatory]  {rule}" in said, f"{arguments}: {said}"
    changed = [step for step in engine.ran() if step != "gate"]
    assert changed == [], changed
    if rule.startswith("gate"):
        assert engine.ran() == []


def test_a_red_gate_names_itself_in_the_output(engine: Engine) -> None:
    engine.prepare("production", p.gate_with("trivy", figure=3), p.command("stage"))
    done = engine.run("preview", "--policy-pack", str(PACK), stack="production")
    assert done.returncode != 0
    for part in ("trivy: 3 HIGH or CRITICAL", "quality-reports/trivy.json", "at most 0 allowed"):
        assert part in done.stdout + done.stderr


def test_without_its_rules_the_pack_lets_the_same_program_through(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The proof that it is the rule which stops it: a copy of the pack without the rule does not."""
    pack = tmp_path_factory.mktemp("pack") / "policy"
    shutil.copytree(PACK, pack, ignore=shutil.ignore_patterns("__pycache__"))
    init = pack / "rules" / "__init__.py"
    init.write_text(init.read_text() + '\nALL = tuple(rule for rule in ALL if rule.name != "gates-security")\n')
    engine.prepare("production", p.gate_with("trivy", figure=3), p.command("stage"))
    assert engine.run("preview", "--policy-pack", str(PACK), stack="production").returncode != 0
    assert engine.run("preview", "--policy-pack", str(pack), stack="production").returncode == 0


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


def test_the_secret_signature_is_the_sdks() -> None:
    assert SIGNATURE in PROGRAM
