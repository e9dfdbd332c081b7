"""Where a sandbox is, and which mistakes in the environment are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.layout import OFFSETS, SandboxError, of_clone


def test_each_checkout_has_a_folder_of_its_own() -> None:
    one, other = of_clone(Path("/a/clone"), {}), of_clone(Path("/b/clone"), {})
    assert one.directory.parent == Path("/var/tmp")
    assert one.directory != other.directory
    assert one.mark != other.mark
    assert len(f"mosandbox{one.mark}") <= 32


def test_ports_follow_from_the_base_and_differ() -> None:
    layout = of_clone(Path("/a"), {"MO_SANDBOX_PORT": "31000"})
    assert {name: layout.port(name) - 31000 for name in OFFSETS} == OFFSETS
    assert len({*OFFSETS.values(), *range(101, 121)}) == len(OFFSETS) + 20


@pytest.mark.parametrize("text", ["0", "80", "65500", "-1", "28000.5", "٣٠٠٠٠", "x", "9" * 9000])
def test_a_port_base_that_leaves_no_room_is_refused(text: str) -> None:
    with pytest.raises(SandboxError, match=r"MO_SANDBOX_PORT is .* a number from 1024 to 65092 is expected"):
        of_clone(Path("/a"), {"MO_SANDBOX_PORT": text})


@pytest.mark.parametrize("text", ["relative", "./x", "/", "/a/../.."])
def test_a_folder_that_is_not_its_own_is_refused(text: str) -> None:
    with pytest.raises(SandboxError, match="MO_SANDBOX_DIR"):
        of_clone(Path("/a"), {"MO_SANDBOX_DIR": text})


def test_a_sandbox_is_for_the_builds_of_a_stack_that_there_is(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.staging.yaml").touch()
    assert of_clone(tmp_path, {"MO_SANDBOX_STACK": "staging"}).builds_of == "staging"
    assert of_clone(tmp_path, {"MO_SANDBOX_STACK": "sandbox"}).builds_of is None
    assert of_clone(tmp_path, {}).builds_of is None
    with pytest.raises(SandboxError, match="a stack is expected: staging"):
        of_clone(tmp_path, {"MO_SANDBOX_STACK": "../production"})
