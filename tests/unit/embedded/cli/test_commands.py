"""Commands on a backend of their own: what they print, write and answer, without the engine."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from embedded.cli.main import run
from embedded.state.errors import NotSupportedError, StateError

PROJECT = "name: shop\nruntime: python\nconfig:\n  size:\n    type: integer\n    default: 7\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with the stack ``dev``; its backend beside it."""
    monkeypatch.setattr("embedded.state.encryption._ROUNDS", 10)
    (tmp_path / "state").mkdir()
    (tmp_path / "Pulumi.yaml").write_text(PROJECT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("sys.stdin", open("/dev/null"))  # noqa: SIM115 # as in a CI job
    assert call(tmp_path, "stack", "init", "dev") == 0
    return tmp_path


def call(folder: Path, *words: str, passphrase: str = "secret phrase") -> int:
    """Runs a command and gives its exit code; refusals are raised."""
    return run(list(words), {"PULUMI_BACKEND_URL": f"file://{folder}/state", "PULUMI_CONFIG_PASSPHRASE": passphrase})


def test_settings_keep_comments_and_order(folder: Path) -> None:
    path = folder / "Pulumi.dev.yaml"
    salt = path.read_text()
    path.write_text(
        salt + "# about the shop\nconfig:\n  # its name\n  shop:name: old   # to change\n\n  shop:list:\n    - a\n# the end\n"
    )
    call(folder, "config", "set", "name", "new")
    call(folder, "config", "set", "--path", "list[1]", "b")
    call(folder, "config", "set", "count", "007")
    expected = "# about the shop\nconfig:\n  # its name\n  shop:name: new\n\n  shop:list:\n    - a\n    - b\n"
    assert path.read_text() == salt + expected + '  shop:count: "007"\n# the end\n'


def test_secret_is_nowhere_in_clear(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call(folder, "config", "set", "--secret", "pin", "4711-0815")
    call(folder, "config", "set", "--path", "--secret", "door.code", "4711-0815")
    call(folder, "config")
    call(folder, "config", "--json")
    assert "4711-0815" not in capsys.readouterr().out
    assert not [p for p in folder.rglob("*") if p.is_file() and b"4711-0815" in p.read_bytes()]
    call(folder, "config", "get", "pin")
    call(folder, "config", "get", "--path", "door.code")
    assert capsys.readouterr().out == "4711-0815\n4711-0815\n"


def test_wrong_passphrase_is_refused(folder: Path) -> None:
    call(folder, "config", "set", "--secret", "pin", "x")
    with pytest.raises(StateError, match="incorrect passphrase"):
        call(folder, "config", "get", "pin", passphrase="other")


def test_config_file_option_uses_that_file(folder: Path) -> None:
    other = folder / "elsewhere.yaml"
    call(folder, "config", "set", "name", "there", "--config-file", str(other))
    assert "shop:name: there" in other.read_text()
    assert "there" not in (folder / "Pulumi.dev.yaml").read_text()


def test_the_history_keeps_settings_as_the_cli_does(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call(folder, "config", "set", "--path", "--secret", "door.code", "4711-0815")
    path = folder / "Pulumi.dev.yaml"
    path.write_text(
        path.read_text() + "  shop:list: [1, two, {z: 1, a: 2.0}]\n  shop:ratio: 1.50\n  shop:open: true\n  shop:none:\n"
    )
    assert call(folder, "refresh", "--yes", "--skip-preview") == 0
    (entry,) = (folder / "state").rglob("*.history.json")
    kept = json.loads(entry.read_text())["config"]
    assert list(kept["shop:door"]["code"]) == ["secure"]
    del kept["shop:door"]
    # As CLI 3.259 wrote the same settings: objects as they are, everything else as text.
    assert kept == {
        "shop:list": [1, "two", {"a": 2, "z": 1}],
        "shop:none": "",
        "shop:open": "true",
        "shop:ratio": "1.5",
        "shop:size": "7",
    }
    capsys.readouterr()
    call(folder, "stack", "history", "--json")
    (told,) = json.loads(capsys.readouterr().out)
    assert told["config"]["shop:list"] == {
        "value": '[1,"two",{"a":2,"z":1}]',
        "objectValue": [1, "two", {"a": 2, "z": 1}],
        "secret": False,
    }


def test_config_refresh_brings_back_what_the_last_operation_had(folder: Path) -> None:
    path = folder / "Pulumi.dev.yaml"
    path.write_text(
        path.read_text() + "config:\n  shop:bucket: my-object-store\n  shop:kinds: [object, text]\n  shop:s3: {object: key, n: 1}\n"
        "  shop:open: true\n  shop:none:\n"
    )
    call(folder, "refresh", "--yes", "--skip-preview")
    before = path.read_text()
    assert call(folder, "config", "refresh") == 0
    assert path.read_text() == before
    call(folder, "config", "set", "bucket", "another")
    with pytest.raises(StateError, match="has been modified"):
        call(folder, "config", "refresh")
    assert call(folder, "config", "refresh", "--force") == 0
    assert path.read_text() == before


def test_project_defaults_are_listed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call(folder, "config")
    assert capsys.readouterr().out == "KEY   VALUE\nsize  7\n"


def test_selected_stack_is_kept_as_the_cli_does(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call(folder, "stack", "init", "prod")
    (workspace,) = (folder / "home" / "workspaces").glob("shop-*-workspace.json")
    assert json.loads(workspace.read_text())["stack"] == "organization/shop/prod"
    call(folder, "stack", "select", "dev")
    capsys.readouterr()
    call(folder, "stack", "ls", "--json")
    assert {s["name"]: s["current"] for s in json.loads(capsys.readouterr().out)} == {"dev": True, "prod": False}


def test_export_and_import_keep_the_state(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    resource = {"urn": "urn:pulumi:dev::shop::t:i:T::n", "custom": True, "type": "t:i:T", "id": "i", "inputs": {"pin": {}}}
    resource["inputs"] = {
        "pin": {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "plaintext": '"hush-hush"'}
    }
    (folder / "in.json").write_text(json.dumps({"version": 3, "deployment": {"manifest": {}, "resources": [resource]}}))
    call(folder, "stack", "import", "--file", "in.json")
    capsys.readouterr()
    call(folder, "stack", "export")
    exported = capsys.readouterr().out
    assert "hush-hush" not in exported
    assert "ciphertext" in exported
    call(folder, "stack", "export", "--show-secrets")
    assert json.loads(capsys.readouterr().out)["deployment"]["resources"] == [resource]


@pytest.mark.parametrize("before", [None, 0o644])
def test_a_file_with_secrets_in_clear_is_for_its_owner_alone(folder: Path, before: int | None) -> None:
    written = folder / "out.json"
    if before:
        written.touch(before)
        (folder / "link.json").symlink_to(written)
    call(folder, "stack", "export", "--show-secrets", "--file", "link.json" if before else "out.json")
    assert written.stat().st_mode & 0o777 == 0o600
    assert json.loads(written.read_text())["version"] == 3
    written.unlink()
    call(folder, "stack", "export", "--file", "out.json")
    assert written.stat().st_mode & 0o777 == 0o644


def test_the_state_is_for_its_owner_alone_or_for_the_group_that_shares_its_folder(folder: Path) -> None:
    state = folder / "state"
    call(folder, "stack", "tag", "set", "a", "b")
    assert {path.stat().st_mode & 0o777 for path in state.rglob("*") if path.is_file()} == {0o600}
    for place in (state, *(path for path in state.rglob("*") if path.is_dir())):
        place.chmod(0o2770)
    call(folder, "stack", "init", "shared")
    assert (state / ".pulumi/stacks/shop/shared.json").stat().st_mode & 0o777 == 0o660


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"version": 3}', '{"version": 9, "deployment": {}}', '{"version": 3, "deployment": []}']
)
def test_import_of_something_else_is_refused_and_nothing_changed(folder: Path, text: str) -> None:
    state = folder / "state" / ".pulumi" / "stacks" / "shop" / "dev.json"
    before = state.read_bytes()
    (folder / "in.json").write_text(text)
    with pytest.raises(StateError, match="deployment"):
        call(folder, "stack", "import", "--file", "in.json")
    assert state.read_bytes() == before


def test_import_of_another_stack_needs_force(folder: Path) -> None:
    resource = {"urn": "urn:pulumi:prod::shop::t:i:T::n", "custom": False, "type": "t:i:T"}
    (folder / "in.json").write_text(json.dumps({"version": 3, "deployment": {"resources": [resource]}}))
    with pytest.raises(StateError, match="--force"):
        call(folder, "stack", "import", "--file", "in.json")


@pytest.mark.parametrize(
    "words",
    [
        ["new"],
        ["watch"],
        ["import", "x"],
        ["state", "move"],
        ["stack", "webhook"],
        ["up", "--plan", "f"],
        ["preview", "--save-plan", "f"],
    ],
)
def test_the_rest_is_refused_by_name(folder: Path, words: list[str]) -> None:
    with pytest.raises(NotSupportedError, match="the Pulumi CLI does it"):
        call(folder, *words)


def test_up_without_confirmation_is_refused(folder: Path) -> None:
    with pytest.raises(StateError, match="--yes"):
        call(folder, "up")


@pytest.mark.parametrize(
    "text", ["", "[]", "name: 5", "name: x", "name: x\nruntime: nodejs", "name: [", "\x00", "name: x\nruntime: {}"]
)
def test_bad_project_file_is_refused_in_one_sentence(folder: Path, text: str) -> None:
    (folder / "Pulumi.yaml").write_text(text)
    with pytest.raises(StateError):
        call(folder, "config")


@pytest.mark.parametrize(
    "text", ["[]", "config: 5", "config: [", "encryptionsalt: v1:x", "secretsprovider: awskms://x", "environment: [a]"]
)
def test_bad_settings_file_is_refused_and_left_alone(folder: Path, text: str) -> None:
    path = folder / "Pulumi.dev.yaml"
    path.write_text(text)
    with pytest.raises(StateError):
        call(folder, "config", "set", "--secret", "a", "b")
    assert path.read_text() == text


def test_plugins_are_listed_as_the_automation_api_reads_them(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    call(folder, "plugin", "ls", "--json")
    listed = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in listed] == ["command", "github", "mysql", "postgresql", "random"]
    assert all(each["kind"] == "resource" and each["size"] == 0 for each in listed)
    for each in listed:
        datetime.strptime(each["lastUsedTime"], "%Y-%m-%dT%H:%M:%S.%fZ")


@pytest.mark.parametrize(
    "damage", [b"", b'{"version":3,"checkpoint":{"st', b"<html>", b'{"version": 5, "checkpoint": {"stack": "s"}}']
)
@pytest.mark.parametrize(
    "words", [["up"], ["preview"], ["destroy"], ["refresh"], ["stack", "export"], ["stack"], ["stack", "output"]]
)
def test_no_command_touches_an_unusable_state(folder: Path, words: list[str], damage: bytes) -> None:
    state = folder / "state" / ".pulumi" / "stacks" / "shop" / "dev.json"
    good = folder / "state" / ".pulumi" / "backups" / "shop" / "dev" / "dev.1700000000000000000.json"
    good.parent.mkdir(parents=True)
    good.write_bytes(state.read_bytes())
    state.write_bytes(damage)
    before = {path: path.read_bytes() for path in (folder / "state").rglob("*") if path.is_file()}
    with pytest.raises(StateError) as caught:
        call(folder, *words, *(["--yes", "--skip-preview"] if words[0] in ("up", "destroy", "refresh") else []))
    assert str(state) in str(caught.value)
    assert f"it was left as it is, and the last good copy is {good}" in str(caught.value)
    assert {path: path.read_bytes() for path in (folder / "state").rglob("*") if path.is_file()} == before


def imported(folder: Path, resource: dict[str, Any], **document: Any) -> None:
    """A state of one resource, which is imported."""
    whole = {"urn": "urn:pulumi:dev::shop::t:i:T::n", "custom": True, "type": "t:i:T", "id": "i", **resource}
    deployment = {"manifest": {}, "resources": [whole], **document.pop("deployment", {})}
    (folder / "in.json").write_text(json.dumps({"version": 3, **document, "deployment": deployment}))
    call(folder, "stack", "import", "--file", "in.json")


def test_import_clears_pending_operations_and_names_them(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pending = {"type": "creating", "resource": {"urn": "urn:pulumi:dev::shop::t:i:T::cut", "custom": True, "type": "t:i:T"}}
    imported(folder, {}, deployment={"pending_operations": [pending]})
    said = capsys.readouterr()
    assert "warning: removing pending operation 'creating' on 'urn:pulumi:dev::shop::t:i:T::cut' from snapshot" in said.err
    call(folder, "stack", "export")
    assert "pending_operations" not in json.loads(capsys.readouterr().out)["deployment"]


@pytest.mark.parametrize(("field", "value"), [("taint", True), ("replaceWith", ["urn:pulumi:dev::shop::t:i:T::other"])])
def test_a_state_with_features_is_taken_over_and_written_back(
    folder: Path, capsys: pytest.CaptureFixture[str], field: str, value: Any
) -> None:
    imported(folder, {field: value}, version=4, features=[field])
    capsys.readouterr()
    call(folder, "stack", "export")
    exported = json.loads(capsys.readouterr().out)
    assert (exported["version"], exported["features"]) == (4, [field])
    assert exported["deployment"]["resources"][0][field] == value
    stored = json.loads((folder / "state/.pulumi/stacks/shop/dev.json").read_bytes())
    assert (stored["version"], stored["features"]) == (4, [field])


def test_a_state_with_features_that_nobody_knows_here_is_refused_by_name(folder: Path) -> None:
    with pytest.raises(StateError, match=r"uses features of a newer Pulumi CLI \(snippets\)"):
        imported(folder, {}, version=4, features=["taint", "snippets"])


@pytest.mark.parametrize(
    ("declared", "value", "problem"),
    [
        ("{type: integer}", "many", "'size' must be of type 'integer'"),
        ("{type: boolean}", "1", "'size' must be of type 'boolean'"),
        ("{type: array, items: {type: integer}}", "80", "'size' must be of type 'array<integer>'"),
        ("{type: string, secret: true}", "open", "'size' must be encrypted as it's secret"),
        ("{type: string}", None, "is missing configuration value 'size'"),
    ],
)
def test_settings_that_do_not_fit_their_type_stop_an_update(folder: Path, declared: str, value: str | None, problem: str) -> None:
    (folder / "Pulumi.yaml").write_text(f"name: shop\nruntime: python\nconfig:\n  size: {declared}\n")
    if value is not None:
        call(folder, "config", "set", "--plaintext", "size", value)
    with pytest.raises(StateError, match=problem):
        call(folder, "up", "--yes", "--skip-preview")
