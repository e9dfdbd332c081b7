"""Every argument of every resource type, by the schema that its SDK was made from: judged, known to be harmless, or refused by name."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.policies import programs as p
from tests.policies.analyzer import PACK, UNKNOWN, Made, Violation, running
from tests.policies.test_engines import Engine, engine
from tests.unit.components.program import run

ROOT = Path(__file__).resolve().parents[2]
TYPES = {
    "command:local:Command": "pulumi_command.local.Command",
    "random:index/randomPassword:RandomPassword": "pulumi_random.RandomPassword",
    "mysql:index/database:Database": "pulumi_mysql.Database",
    "mysql:index/user:User": "pulumi_mysql.User",
    "mysql:index/grant:Grant": "pulumi_mysql.Grant",
    "postgresql:index/database:Database": "pulumi_postgresql.Database",
    "postgresql:index/role:Role": "pulumi_postgresql.Role",
    "postgresql:index/grant:Grant": "pulumi_postgresql.Grant",
    "github:index/repositoryEnvironment:RepositoryEnvironment": "pulumi_github.RepositoryEnvironment",
    "github:index/actionsEnvironmentSecret:ActionsEnvironmentSecret": "pulumi_github.ActionsEnvironmentSecret",
    "pulumi:providers:mysql": "pulumi_mysql.Provider",
    "pulumi:providers:postgresql": "pulumi_postgresql.Provider",
    "pulumi:providers:github": "pulumi_github.Provider",
}
SET_ANYWAY = frozenset({"logging", "addPreviousOutputInEnv", "create", "stdin"})


def arguments(cls: str) -> list[str]:
    """The inputs of a resource as the wire has them, from the constructor's own signature."""
    module, _, name = cls.rpartition(".")
    made = getattr(importlib.import_module(module), name)
    found = inspect.signature(made._internal_init).parameters
    names = [key for key in found if key not in ("self", "__self__", "resource_name", "opts", "__props__")]
    assert names
    return ["".join(part if n == 0 else part.capitalize() for n, part in enumerate(name.split("_"))) for name in names]


@pytest.fixture(scope="module")
def judge() -> Iterator[Any]:
    with running() as analyzer:
        analyzer.configure()
        yield analyzer


def rules(found: list[Violation]) -> set[str]:
    return {one.rule for one in found}


@pytest.fixture(scope="module")
def known() -> dict[str, list[str]]:
    """What the pack knows: type → inputs."""
    program = (
        "import json, sys; sys.path.insert(0, sys.argv[1]); from rules.inputs import INPUTS;"
        "print(json.dumps({kind: [*inputs] for kind, inputs in INPUTS.items()}))"
    )
    done = subprocess.run([sys.executable, "-c", program, str(PACK)], capture_output=True, text=True, check=True)
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("kind", [kind for kind in TYPES if kind != "command:local:Command"])
def test_each_argument_is_known_to_a_rule_or_refused_by_name(judge: Any, known: dict[str, list[str]], kind: str) -> None:
    schema = arguments(TYPES[kind])
    assert {*known[kind]} <= {*schema, "version", "__internal", "__defaults"}, "the pack knows inputs that there are none of"
    for key in [*schema, "anArgumentOfALaterVersion"]:
        found = judge.register(Made(kind, "it", {key: "odd"}, parent=p.PARENT))
        refused = [one.message for one in found if one.rule == "inputs-judged" and f"no rule judges its {key}." in one.message]
        assert bool(refused) == (key not in known[kind]), key


def test_a_command_with_any_argument_beside_its_call_is_refused(judge: Any) -> None:
    values: dict[str, Any] = {
        "dir": "/tmp/evil",
        "interpreter": ["/bin/sh", "-c"],
        "environment": {"A": "b"},
        "triggers": [1],
        "delete": "true",
    }
    values |= {"update": "echo", "assetPaths": ["**"], "archivePaths": ["**"]}
    tried = [key for key in arguments(TYPES["command:local:Command"]) if key not in SET_ANYWAY]
    assert {"dir", "interpreter", "environment"} <= {*tried}
    assert "command-constant" not in rules(judge.register(p.command("facts", create="components/remote/run facts")))
    for key in [*tried, "anArgumentOfALaterVersion"]:
        for value in (values.get(key, "x"), UNKNOWN):
            found = judge.register(p.command("facts", create="components/remote/run facts", **{key: value}))
            assert "command-constant" in rules(found), key
    found = judge.register(p.command("facts", create="components/remote/run facts", dir="/tmp/evil"))
    assert any("its dir is another folder, whose components/remote/run would be called" in one.message for one in found)


def test_the_program_gives_no_input_that_the_pack_does_not_know(judge: Any, tmp_path: Path) -> None:
    made = [one for one in run(tmp_path).resources if one.custom]
    assert {*TYPES} - {"mysql:index/user:User", "mysql:index/grant:Grant"} == {*TYPES} & {one.type for one in made}
    for one in made:
        found = judge.register(Made(one.type, one.name, one.inputs, parent=p.PARENT, stack="sandbox"))
        assert not [violation for violation in found if violation.rule in ("inputs-judged", "command-constant")], one.name


EVIL = [
    ("mysql:index/grant:Grant", "roles", ["admin"]),
    ("mysql:index/grant:Grant", "role", "admin"),
    ("mysql:index/user:User", "authPlugin", "auth_socket"),
    ("postgresql:index/role:Role", "roles", ["postgres"]),
    ("postgresql:index/role:Role", "assumeRole", "postgres"),
    ("postgresql:index/database:Database", "owner", "svc_crm"),
    ("postgresql:index/database:Database", "template", "mo_crm"),
    ("pulumi:providers:mysql", "authenticationPlugin", "cleartext"),
    ("pulumi:providers:mysql", "connParams", {"tls": "skip-verify"}),
    ("pulumi:providers:mysql", "pluginDownloadURL", "https://evil.example"),
    ("pulumi:providers:postgresql", "scheme", "gcppostgres"),
    ("github:index/actionsEnvironmentSecret:ActionsEnvironmentSecret", "plaintextValue", "hunter2"),
    ("aws:s3/bucket:Bucket", "bucket", "b"),
    ("pulumi-python:dynamic:Resource", "__provider", "gAAA"),
    ("random:index/randomBytes:RandomBytes", "length", 32),
]


@pytest.mark.parametrize(("kind", "key", "value"), EVIL, ids=[f"{kind.rpartition(':')[2]}-{key}" for kind, key, _ in EVIL])
def test_what_goes_round_a_rule_is_refused(judge: Any, kind: str, key: str, value: Any) -> None:
    for given in (value, UNKNOWN):
        found = judge.register(Made(kind, "it", {key: given}, parent=p.PARENT))
        assert "inputs-judged" in rules(found), given


def test_what_the_sdk_transforms_is_judged_as_it_is_made(engine: Engine) -> None:
    """A transformation that sets another folder, as somebody might hide it."""
    engine.prepare("production", p.gate(), p.command("stage"))
    main = engine.folder / "__main__.py"
    hidden = """
def elsewhere(args):
    if args.type_ == "command:local:Command" and args.name != "seal":
        return pulumi.ResourceTransformationResult(props={**args.props, "dir": "/tmp/evil"}, opts=args.opts)

pulumi.runtime.register_stack_transformation(elsewhere)
after, providers = [], {}
"""
    main.write_text(main.read_text().replace("after, providers = [], {}\n", hidden))
    done = engine.run("up", "--yes", "--skip-preview", "--policy-pack", str(ROOT / "policy"), stack="production")
    assert done.returncode != 0
    assert "[mandatory]  command-constant" in done.stdout
    assert "its dir is another folder" in done.stdout
    assert engine.ran() == ["gate"]


def test_the_program_makes_no_invoke_which_no_pack_would_see() -> None:
    """Neither ``local.run`` nor ``get_…`` of a provider, nor a transform of invokes."""
    files = [ROOT / "__main__.py", *(ROOT / "components").glob("*.py")]
    assert len(files) > 10
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
                called = f"{owner}.{node.func.attr}"
                providers = owner in ("local", "mysql", "postgresql", "github", "random", "command")
                assert not (providers and node.func.attr[0].islower()), f"{path}: {called} is an invoke"
                assert "invoke" not in node.func.attr, f"{path}: {called}"


__all__ = ["engine"]
