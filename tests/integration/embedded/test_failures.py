"""``up --continue-on-error``: one resource's failure is its own. What does not depend on it is made, whatever the program does with its
outputs, as the Pulumi CLI does it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.integration.embedded.stack import Stack

pytestmark = pytest.mark.slow

# Two chains: each command is registered only when the one before it is made, long after `bad` has failed.
PROGRAM = """
import pulumi
from pulumi_command import local

class Service(pulumi.ComponentResource):
    def __init__(self, name, create):
        super().__init__("demo:a:Service", name)
        self.made = local.Command(name + "-made", create=create, opts=pulumi.ResourceOptions(parent=self))
        self.register_outputs({"told": self.made.stdout})

bad = Service("bad", "exit 3")
after = local.Command("after-bad", create="touch after-bad", opts=pulumi.ResourceOptions(depends_on=[bad.made]))
given = local.Command("given-bad", create="touch given-bad", stdin=bad.made.stdout)
for chain in ("a", "b"):
    before = []
    for n in range(4):
        service = local.Command(f"{chain}{n}", create=f"sleep 0.1; touch {chain}{n}", opts=pulumi.ResourceOptions(depends_on=before))
        before = [service]
good = Service("good", "sleep 0.3; echo well")
pulumi.export("good", good.made.stdout)
pulumi.export("bad", bad.made.stdout.EXPORTED)
"""
CHAINS = [f"{chain}{n}" for chain in "ab" for n in range(4)]


@pytest.mark.parametrize("recovered", [True, False], ids=["recovered", "not-recovered"])
def test_what_does_not_depend_on_a_failed_resource_is_made(tmp_path: Path, recovered: bool) -> None:
    way = 'recover(lambda error: "lost")' if recovered else "apply(str)"
    stack = Stack(tmp_path, PROGRAM.replace("EXPORTED", way))
    done = stack.run("up", "--yes", "--skip-preview", "--continue-on-error")
    said = done.stdout + done.stderr
    assert done.returncode != 0, said
    assert "exit status 3" in said
    assert sorted(stack.state()[0]) == sorted([*CHAINS, "good-made"]), said
    assert not [name for name in ("after-bad", "given-bad") if (tmp_path / name).exists()]
    if recovered:
        assert json.loads(stack.good("stack", "output", "--json")) == {"good": "well", "bad": "lost"}


def test_the_program_s_own_failure_in_an_output_ends_it(tmp_path: Path) -> None:
    program = PROGRAM.replace("EXPORTED", "recover(lambda error: 1 / 0)").replace("exit 3", "exit 3  # fails at once")
    done = Stack(tmp_path, program).run("up", "--yes", "--skip-preview", "--continue-on-error")
    assert done.returncode != 0
    assert "division by zero" in done.stdout + done.stderr


def test_without_the_option_nothing_new_begins_after_a_failure(tmp_path: Path) -> None:
    stack = Stack(tmp_path, PROGRAM.replace("EXPORTED", "apply(str)"))
    assert stack.run("up", "--yes", "--skip-preview").returncode != 0
    assert "a3" not in stack.state()[0]
