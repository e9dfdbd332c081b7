"""What the doctor finds, each with its way out; on answers and files made for the purpose."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from catalog import reader, secret_names
from catalog.settings import GitHubSettings, ServerSettings
from operations import project
from operations.doctor import databases, github, host, machine, stack
from operations.doctor.finding import Finding
from operations.problem import Problem
from tests.unit.components.program import loaded

GITHUB = GitHubSettings(owner="acme", repository="site", environment="production")


class Answer:
    """As much of an ``httpx.Response`` as is read."""

    def __init__(self, status_code: int, headers: dict[str, str] | None = None) -> None:
        self.status_code, self.headers = status_code, headers or {}


def _github(answers: dict[str, Answer], gates: tuple[str, ...] = ()) -> list[Finding]:
    return list(github.findings(lambda path: answers.get(path, Answer(200)), GITHUB, gates))


def _faults(findings: list[Finding]) -> list[str]:
    return [f"{finding.what}: {finding.text}" for finding in findings if finding.good is False]


def test_a_token_that_may_not_write_secrets_is_named_with_the_right_it_lacks() -> None:
    forbidden = Answer(403, {"x-accepted-github-permissions": "secrets=read"})
    (fault,) = _faults(_github({"/environments/production/secrets/public-key": forbidden}))
    assert fault.startswith(
        "token: lacks Secrets: write (secrets=read), for the environment's secrets; a new one: https://github.com/"
    )


def test_alerts_are_tried_only_for_gates_that_the_stack_requires() -> None:
    answers = {"/dependabot/alerts?per_page=1": Answer(403), "/code-scanning/alerts?per_page=1": Answer(403)}
    assert _faults(_github(answers)) == []
    assert [fault.split(",")[0] for fault in _faults(_github(answers, ("dependabot", "code-scanning")))] == [
        "token: lacks Dependabot alerts: read",
        "token: lacks Code scanning alerts: read",
    ]


def test_an_environment_that_is_not_there_yet_is_no_fault_and_an_outage_is_none_either() -> None:
    assert _faults(_github({"/environments/production": Answer(404)})) == []
    assert _faults(_github({"/environments/production": Answer(502)})) == []


@pytest.mark.parametrize(("status", "words"), [(401, "the token is refused"), (404, "answers 404")])
def test_a_repository_that_cannot_be_read_ends_the_questions(status: int, words: str) -> None:
    findings = _github({"": Answer(status)})
    assert len(findings) == 1
    assert words in findings[0].text


def test_a_token_near_its_end_and_a_wrong_clock_are_told() -> None:
    now = datetime.now(UTC)
    headers = {
        "github-authentication-token-expiration": (now + timedelta(days=3)).strftime("%Y-%m-%d %H:%M:%S UTC"),
        "date": format_datetime(now - timedelta(minutes=10)),
    }
    found = {finding.what: finding for finding in _github({"": Answer(200, headers)})}
    assert found["GitHub's clock"].good is False
    assert "behind this machine's" in found["GitHub's clock"].text
    assert any("ends " in finding.text and "a new one" in finding.text for finding in _github({"": Answer(200, headers)}))
    for odd in ("", "soon", "\0" * 40):
        assert _faults(_github({"": Answer(200, {"github-authentication-token-expiration": odd, "date": odd})})) == []


class Names(Answer):
    """GitHub's list of secrets."""

    def __init__(self, *names: str) -> None:
        super().__init__(200)
        self.names = names

    def json(self) -> dict[str, list[dict[str, str]]]:
        return {"secrets": [{"name": name} for name in self.names]}


def test_every_missing_secret_is_named_at_once_with_what_sets_it() -> None:
    services = reader.read().of_stack("production")
    whole = secret_names.of_stack(services)
    lost = ("JWT_SECRET", "MO_VOTES_DB_PASS", "PULUMI_CONFIG_PASSPHRASE", "SSH_PRIVATE_KEY", "MO_SIGNING_KEY")

    def look(*environment: str) -> list[Finding]:
        # The repository's own secrets are seen in an environment too.
        answers = {
            "/environments/production/secrets?per_page=100": Names(*environment),
            "/actions/secrets?per_page=100": Names(lost[-1]),
        }
        return list(github.secrets(lambda path: answers[path], GITHUB, services))

    told = "\n".join(_faults(look(*(name for name in whole if name not in lost))))
    assert "lacks JWT_SECRET, MO_VOTES_DB_PASS, which the stack writes" in told
    assert "gh secret set PULUMI_CONFIG_PASSPHRASE --repo acme/site --env production" in told
    assert "--env production < KEYFILE" in told
    assert "MO_SIGNING_KEY" not in told
    (found,) = look(*(name for name in whole if name != lost[-1]))
    assert (found.good, found.text) == (True, f"environment production has all {len(whole)} that its jobs need")
    more = secret_names.by_need("s3", ("codacy",))
    answers = {"/environments/production/secrets?per_page=100": Names(*whole), "/actions/secrets?per_page=100": Names()}
    told = "\n".join(_faults(list(github.secrets(lambda path: answers[path], GITHUB, services, more))))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "CODACY_API_TOKEN"):
        assert f"gh secret set {name} --repo acme/site --env production" in told
    absent = list(github.secrets(lambda _: Answer(404), GITHUB, services))
    assert [finding.good for finding in absent] == [None]


def test_what_the_nightly_look_lacks_is_told_and_is_no_fault_of_a_deploy() -> None:
    (absent,) = github.nightly(lambda _: Answer(404), GITHUB, "s3")
    assert (absent.good, "production-drift is not there" in absent.text) == (None, True)
    (lacks,) = github.nightly(lambda _: Names("SSH_PRIVATE_KEY"), GITHUB, "s3")
    assert "lacks AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, PULUMI_CONFIG_PASSPHRASE" in lacks.text
    assert list(github.nightly(lambda _: Names("SSH_PRIVATE_KEY", "PULUMI_CONFIG_PASSPHRASE"), GITHUB, "gs")) == []
    staging = GITHUB.model_copy(update={"environment": "staging"})
    assert list(github.nightly(lambda _: Answer(404), staging, "s3")) == []


def _server(provision: str = "managed") -> ServerSettings:
    return ServerSettings.model_validate(
        {"engine": "mariadb", "host": "db", "port": 3306, "provision": provision, "reach": "direct", "adminUser": "adm"}
    )


def test_an_administrator_without_rights_is_told_which_to_get() -> None:
    everything = ["GRANT ALL PRIVILEGES ON *.* TO `adm`@`%` IDENTIFIED BY PASSWORD '*X' WITH GRANT OPTION"]
    assert databases.mariadb_faults(_server(), everything, []) == []
    some = ["GRANT SELECT, CREATE USER ON *.* TO `adm`@`%`", "GRANT ALL PRIVILEGES ON `mo_x`.* TO `adm`@`%` WITH GRANT OPTION"]
    assert databases.mariadb_faults(_server("existing"), some, []) == []
    assert databases.mariadb_faults(_server(), some, ["mo_y"])[0].startswith("adm lacks CREATE: ")
    assert databases.mariadb_faults(_server(), ["GRANT USAGE ON *.* TO `adm`@`%`", "nonsense"], [])[0].startswith(
        "adm lacks CREATE USER, CREATE, GRANT OPTION: GRANT ALL PRIVILEGES ON *.* TO adm WITH GRANT OPTION"
    )


def test_databases_that_the_panel_must_make_are_named() -> None:
    grants = ["GRANT ALL PRIVILEGES ON *.* TO `adm`@`%` WITH GRANT OPTION"]
    assert databases.mariadb_faults(_server("existing"), grants, ["mo_a", "mo_b"]) == [
        "mo_a, mo_b are not there: make it in the hoster's panel"
    ]


def test_a_server_that_does_not_answer_is_a_finding_without_its_password(tmp_path: Path) -> None:
    def refused() -> tuple[str, list[str]]:
        raise OSError(111, "Connection refused for canary-plesk")

    finding = databases._safely("plesk", _server(), "canary-plesk", refused)
    assert finding.good is False
    assert "Connection refused for …" in finding.text


def _file(tmp_path: Path, name: str = "production", **settings: Any) -> project.StackFile:
    config = {"mo:domain": "example.org", "mo:gates": {"required": []}, **{f"mo:{key}": value for key, value in settings.items()}}
    (tmp_path / f"Pulumi.{name}.yaml").write_text(yaml.safe_dump({"config": config}))
    return project.stack_file(name, tmp_path)


def _unreachable(_root: Path, _stack: str) -> Any:
    raise Problem("no backend is chosen")


def test_everything_that_the_owner_must_set_is_named_at_once_even_without_a_backend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE", "SSH_AUTH_SOCK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path))
    monkeypatch.setattr("operations.settings.load", _unreachable)
    server = {"engine": "mariadb", "port": 3306, "provision": "managed", "reach": "direct"}
    file = _file(tmp_path, servers={"external-mariadb": server}, githubToken={"secure": "v1:abc"})
    findings, settings = stack.look(tmp_path, "production", file)
    assert settings is None
    faults = _faults(findings) + _faults(machine.named_key("production", file.settings))
    text = "\n".join(faults)
    assert "githubToken" not in text, "it is there, encrypted"
    for word in (
        "backend",
        "passphrase",
        "mo:servers.external-mariadb.host",
        "mo:externalMariadbAdminPassword",
        "mo:smtpPassword",
        "mo:provenance.signers[0]",
        "SSH key",
    ):
        assert word in text
    assert all("bin/pulumi" in fault or "export" in fault for fault in faults), faults


def test_a_backend_on_this_machine_is_refused_unless_the_stack_allows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_BACKEND_URL", "file:///x")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "p")
    monkeypatch.setattr("operations.settings.load", _unreachable)
    assert "refuses" in _faults(stack.look(tmp_path, "production", _file(tmp_path))[0])[0]
    allowed = stack.look(tmp_path, "production", _file(tmp_path, allowFileBackend=True))[0]
    assert not any(finding.what == "backend" and finding.good is False for finding in allowed)


def test_a_machine_whose_builds_the_stack_does_not_trust_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".mo").mkdir()
    (tmp_path / ".mo/signing.pub").write_text("1" * 64 + "\n")

    def told(*signers: str) -> list[Finding]:
        monkeypatch.setattr("operations.settings.load", lambda root, _stack: loaded(root, provenance={"signers": list(signers)}))
        return [one for one in stack.look(tmp_path, "production", _file(tmp_path))[0] if one.what == "signers"]

    (finding,) = told("0" * 64)
    assert (finding.good, f"'mo:provenance.signers[1]' {'1' * 64}" in finding.text) == (None, True)
    assert told("0" * 64, "1" * 64) == []


def test_what_the_settings_leave_out_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = {"validation": {"parts": ["end-to-end"], "flows": ["consent"]}}
    monkeypatch.setattr("operations.settings.load", lambda root, _stack: loaded(root, **changes))
    told = {one.what: one for one in stack.look(tmp_path, "staging", _file(tmp_path, "staging"))[0]}
    for name, word in {
        "notify": "mo:notify.url",
        "todo": "mo:todo.item",
        "validation": "visual, lighthouse",
        "flows": "donation",
    }.items():
        assert word in told[name].text
        assert told[name].good is None


def test_what_the_required_gates_need_of_this_machine_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CODACY_API_TOKEN", raising=False)
    settings = {"gates": {"required": ["trivy", "phpstan", "codacy", "eslint"]}, "source": "monorepo"}
    told = machine.gates(tmp_path, settings)
    assert [one.text.partition(":")[0] for one in told] == ["gate trivy", "gate phpstan", "gate codacy"]
    assert "CODACY_API_TOKEN" in told[2].text
    monkeypatch.setenv("CODACY_API_TOKEN", "canary")
    for name in ("go", "monorepo/crm/vendor/bin/phpstan"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    assert machine.gates(tmp_path, settings) == []
    assert machine.gates(tmp_path, {}) == []


def test_a_secret_in_clear_in_the_stack_s_file_is_told_without_its_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("operations.settings.load", lambda root, _stack: loaded(root))
    findings, settings = stack.look(tmp_path, "production", _file(tmp_path, githubToken="canary"))
    assert settings is not None
    (fault,) = [fault for fault in _faults(findings) if "githubToken" in fault]
    assert "--secret mo:githubToken" in fault
    assert "canary" not in json.dumps([finding.__dict__ for finding in findings])


def test_files_that_others_may_read_are_named_and_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE_FILE", raising=False)
    (tmp_path / ".mo/production").mkdir(parents=True)
    settings = {"settingsFile": "own.yaml", "host": {"keyFile": "key"}}
    for name in (
        "own.yaml",
        "key",
        ".mo/signing.pem",
        ".mo/signing.pub",
        ".mo/production/connection.json",
        ".mo/production/ssh-key",
    ):
        (tmp_path / name).write_text("x")
        (tmp_path / name).chmod(0o644)
    (tmp_path / ".mo").chmod(0o755)
    (tmp_path / ".mo/production").chmod(0o755)
    faults = _faults(machine.permissions(tmp_path, settings, fix=False))
    assert len(faults) == 7
    assert all("bin/mo doctor --fix" in fault for fault in faults)
    assert "signing.pub" not in "".join(faults)
    assert _faults(machine.permissions(tmp_path, settings, fix=True)) == []
    assert (tmp_path / "own.yaml").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / ".mo/production").stat().st_mode & 0o777 == 0o700
    assert [finding.good for finding in machine.permissions(tmp_path, settings, fix=False)] == [True]


def test_the_ssh_key_is_shown_by_its_fingerprint_and_refused_where_it_is_none(tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    raw = {
        "name": "web1",
        "address": "192.0.2.1",
        "user": "u",
        "root": "/srv",
        "hostKeys": ["ssh-ed25519 AAAA"],
        "keyFile": str(key),
    }
    settings = loaded(tmp_path, host=raw, sshPrivateKey=None)
    good = machine.ssh_key(tmp_path, "production", settings)
    assert good.good is True
    assert "SHA256:" in good.text
    key.chmod(0o644)
    assert "others may read it" in machine.ssh_key(tmp_path, "production", settings).text
    key.chmod(0o600)
    for text in ("", "no key\n", "-----BEGIN OPENSSH PRIVATE KEY-----\n"):
        key.write_text(text)
        bad = machine.ssh_key(tmp_path, "production", settings)
        assert (bad.good, "no private key" in bad.text) == (False, True)
    key.unlink()
    assert "is not there" in machine.ssh_key(tmp_path, "production", settings).text
    assert machine.pinned(settings.settings.host).good is False


@pytest.mark.parametrize(
    ("told", "good", "words"),
    [
        ({"free_bytes": 10**9, "size_bytes": 2 * 10**9}, True, "1.0 GB of 2.0 GB free"),
        ({"free_bytes": 10**9, "size_bytes": 10**10}, None, "less than 20%"),
        ({"free_bytes": 10**9, "quota_bytes": 1000, "size_bytes": 10**9}, False, "1000 B of 1.0 GB free"),
        ({}, None, "does not tell"),
    ],
)
def test_space_is_judged_by_the_tighter_of_quota_and_disk(told: dict[str, int], good: bool | None, words: str) -> None:
    (finding,) = host.space(told)
    assert finding.good is good
    assert words in finding.text


def test_alerts_are_tried_in_the_repository_of_the_sources() -> None:
    refused = {"/dependabot/alerts?per_page=1": Answer(403)}
    found = list(github.findings(lambda path: Answer(200), GITHUB, ("dependabot",), lambda path: refused.get(path, Answer(200))))
    (fault,) = _faults(found)
    assert "lacks Dependabot alerts: read" in fault


def test_a_source_of_another_repository_is_told_unless_one_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("httpx.Client.get", lambda client, url: Answer(200))
    monkeypatch.setattr(github, "secrets", lambda *_: iter(()))
    made = loaded(tmp_path)

    def look(**gates: Any) -> list[str]:
        wanted = made.settings.gates.model_copy(update={"required": ("codacy",), "repository": None, **gates})
        settings = made.settings.model_copy(update={"gates": wanted, "source": "."})
        return _faults(github.look(tmp_path, replace(made, settings=settings), {}, "file"))

    (fault,) = look()
    assert fault.startswith("mo:gates.repository: ")
    assert "bin/pulumi config set --path 'mo:gates.repository' OWNER/NAME" in fault
    assert look(repository="acme/monorepo") == []
