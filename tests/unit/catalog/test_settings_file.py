"""A stack's settings: what is missing is named all at once with the command that sets it; no secret stands in a message."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from catalog import settings_file
from catalog.settings_file import SettingsError
from tests.unit.components.program import RAW, loaded

ROOT = Path(__file__).resolve().parents[3]


def _texts(values: dict[str, Any]) -> dict[str, str]:
    return {k: v if isinstance(v, str) else json.dumps(v) for k, v in values.items()}


def _problems(values: dict[str, Any], project: Path, stack: str = "sandbox") -> str:
    with pytest.raises(SettingsError) as caught:
        settings_file.load(_texts(values), project, stack)
    assert "canary" not in str(caught.value)
    return "\n".join(caught.value.problems)


def _stack_file(stack: str) -> dict[str, Any]:
    config = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]
    return {key.removeprefix("mo:"): value for key, value in config.items()}


@pytest.mark.parametrize(("stack", "count"), [("production", 19), ("staging", 13)])
def test_a_fresh_stack_names_everything_that_its_owner_must_give(stack: str, count: int, tmp_path: Path) -> None:
    said = _problems(_stack_file(stack), tmp_path, stack).splitlines()
    assert said[0] == f"The stack {stack} lacks {count} settings that only its owner has:"
    assert len(said) == 1 + count
    assert f"  githubToken: bin/pulumi config set --stack {stack} --secret mo:githubToken" in said[-3]
    assert any(f"bin/pulumi config set --stack {stack} --path 'mo:host.hostKeys[0]' VALUE" in line for line in said)


@pytest.mark.parametrize("stack", ["production", "staging"])
def test_the_named_commands_are_all_that_is_needed(stack: str, tmp_path: Path) -> None:
    values = _stack_file(stack)
    said = _problems(values, tmp_path, stack)
    for line in said.splitlines()[1:]:
        key = line.split(":", 1)[0].strip()
        if "--secret" in line:
            group, _, name = key.partition(".")
            values[group] = {**values.get(group, {}), name: "x" * 16} if name else "x" * 16
            continue
        place: Any = values
        *path, last = key.split(".")
        for step in path:
            place = place.setdefault(step, {})
        lists: dict[str, list[Any]] = {"hostKeys": ["ssh-ed25519 AAAA"], "reviewers[0]": [4711], "signers[0]": ["0" * 64]}
        place[last.removesuffix("[0]")] = lists.get(last, "x")
    settings_file.load(_texts(values), tmp_path, stack)


def test_the_panel_s_databases_need_their_passwords_alone_or_an_administrator(tmp_path: Path) -> None:
    said = _problems(_stack_file("production"), tmp_path, "production").splitlines()
    panel = [line for line in said if "plesk" in line.lower() or "existing." in line]
    assert [line.split(": ", 1)[0].strip() for line in panel] == [
        f"existing.MO_{name}_DB_PASS" for name in ("VOTES", "SUPPORT", "NEWSLETTER", "FORUM")
    ]
    assert "bin/pulumi config set --stack production --secret --path 'mo:existing.MO_FORUM_DB_PASS'   (as the hoster's" in panel[-1]
    values = _stack_file("production")
    administered = {**values["servers"], "plesk": {**values["servers"]["plesk"], "adminUser": "admin"}}
    said = _problems({**values, "servers": administered}, tmp_path, "production").splitlines()
    assert any("--secret mo:pleskAdminPassword" in line for line in said)
    assert not any("existing." in line for line in said)


@pytest.mark.parametrize("provenance", [None, {"signers": []}, {"builder": "https://example.org/builder"}])
def test_only_the_sandbox_may_trust_the_key_that_it_made_itself(provenance: dict[str, Any] | None, tmp_path: Path) -> None:
    values = {**RAW, **({"provenance": provenance} if provenance else {})}
    settings_file.load(_texts(values), tmp_path, "sandbox")
    (_, line) = _problems(values, tmp_path, "production").splitlines()
    assert "bin/pulumi config set --stack production --path 'mo:provenance.signers[0]' VALUE" in line
    assert "cat .mo/signing.pub" in line
    settings_file.load(_texts({**RAW, "provenance": {"signers": ["0" * 64]}}), tmp_path, "production")


@pytest.mark.parametrize("stack", ["production", "staging"])
def test_a_stack_file_calls_the_workflow_that_the_monorepo_brings(stack: str) -> None:
    workflow = json.loads((ROOT / "sandbox/monorepo/automation/n8n/workflows/build-notification.json").read_text())
    (path,) = [node["parameters"]["path"] for node in workflow["nodes"] if node["type"] == "n8n-nodes-base.webhook"]
    values = _stack_file(stack)
    assert values["notify"]["url"] == f"https://n8n.{values['domain']}/webhook/{path}"
    assert values["todo"]["file"] == "TODO.md"


def test_a_server_that_no_service_of_the_stack_uses_needs_no_administrator(tmp_path: Path) -> None:
    said = _problems(_stack_file("staging"), tmp_path, "staging")
    assert [line.split(": ", 1)[0].strip() for line in said.splitlines() if "ostgresql" in line] == [
        "servers.external-postgresql.host"
    ]
    assert "externalMariadbAdminPassword" in said


def test_no_stack_file_holds_a_secret_or_an_invented_address() -> None:
    for stack in ("production", "staging"):
        text = (ROOT / f"Pulumi.{stack}.yaml").read_text()
        assert "secure:" not in text
        assert "example" not in text
        assert "assword" not in text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"keepReleases": "many"}, "The setting mo:keepReleases of the stack sandbox is 'many'; it must be a whole number."),
        ({"keepReleases": "1"}, "mo:keepReleases of the stack sandbox is '1'; input should be greater than or equal to 2."),
        ({"window": {"outside": "maybe"}}, "mo:window.outside of the stack sandbox is 'maybe'; allowed: warn, refuse, allow."),
        ({"colour": "red"}, "mo:colour of the stack sandbox is not a known key; allowed: "),
        ({"host": {**RAW["host"], "prt": 22}}, "mo:host.prt of the stack sandbox is not a known key (did you mean port?)"),
        ({"host": "[1"}, "The setting mo:host is not valid JSON."),
        ({"host": "web1"}, "mo:host of the stack sandbox is 'web1'; it must be a mapping."),
        ({"domain": "not a domain"}, "mo:domain of the stack sandbox is 'not a domain'; it must match"),
        ({"releases": {"votes": "latest"}}, "mo:releases.votes of the stack sandbox is 'latest'; it must match"),
        ({"settingsFile": "absent.yaml"}, "The settings file absent.yaml (mo:settingsFile) cannot be read: No such file"),
    ],
)
def test_a_wrong_setting_is_one_sentence(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    assert said in _problems({**RAW, **changes}, tmp_path)


def test_a_settings_file_is_laid_over_the_stacks_settings(tmp_path: Path) -> None:
    overlay = tmp_path / "settings.yaml"
    overlay.write_text("host: {port: 2222}\nsecrets: {githubToken: canary-2}\n")
    overlay.chmod(0o600)
    found = loaded(tmp_path, settingsFile="settings.yaml")
    assert (found.settings.host.port, found.settings.host.name) == (2222, "web1")
    assert settings_file.reveal(found.secrets.github_token) == "canary-2"


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        ("secrets: {githubToken: canary}", 0o644, "others may read it: run `chmod 600 settings.yaml`."),
        ("", 0o600, "settings.yaml is empty."),
        ("[1]", 0o600, "a settings file is a mapping, not a list."),
        ("secrets: [canary]", 0o600, "secrets must be a mapping of names to texts."),
        ("secrets: {githubToken: {canary: 1}}", 0o600, "secrets must be a mapping of names to texts."),
        (
            "secrets: {gitHubToken: canary}",
            0o600,
            "mo:gitHubToken of the stack sandbox is not a known key (did you mean githubToken?)",
        ),
    ],
)
def test_a_settings_file_that_cannot_be_used_is_one_sentence(text: str, mode: int, said: str, tmp_path: Path) -> None:
    overlay = tmp_path / "settings.yaml"
    overlay.write_text(text)
    overlay.chmod(mode)
    assert said in _problems({**RAW, "settingsFile": "settings.yaml"}, tmp_path)


def test_secrets_are_masked_in_every_text_form(tmp_path: Path) -> None:
    found = loaded(tmp_path)
    assert "canary" not in f"{found!r} {found} {found.secrets!r} {found.secrets.model_dump()}"
