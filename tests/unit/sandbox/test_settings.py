"""What ``up`` writes for the stack: complete, readable by the owner only, with no secret outside of it."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
import yaml

from catalog import settings_file
from sandbox import settings, site
from sandbox.layout import Layout, SandboxError
from sandbox.site import Site

CLONE = Path(__file__).resolve().parents[3]


@pytest.fixture
def made(tmp_path: Path) -> Site:
    """A site whose parts do not run."""
    layout = Layout(tmp_path / "sandbox", CLONE, 31000)
    (layout.directory / "ssh").mkdir(parents=True)
    return Site(layout, "someone", site.services(CLONE / "catalog" / "services.yaml"), site.passwords(layout))


def test_the_stack_file_and_the_overlay_make_complete_settings(made: Site) -> None:
    settings.write(made)
    stack = yaml.safe_load((CLONE / "Pulumi.sandbox.yaml").read_text())
    stack["config"]["mo:settingsFile"] = str(made.layout.settings)
    raw = {
        key.removeprefix("mo:"): value if isinstance(value, str) else json.dumps(value) for key, value in stack["config"].items()
    }
    loaded = settings_file.load(raw, CLONE, "sandbox")
    assert loaded.settings.host.port == 31022
    assert loaded.settings.edge.connect == "127.0.0.1:31443"
    assert {name: (s.port, s.reach, s.tls) for name, s in loaded.settings.servers.items()} == {
        "plesk": (31306, "host", False),
        "external-mariadb": (31307, "host", False),
        "external-postgresql": (31432, "direct", True),
    }
    assert settings_file.reveal(loaded.secrets.github_token) == made.passwords["github-token"]


@pytest.mark.parametrize("stack", ["production", "staging"])
def test_a_sandbox_for_another_stack_s_builds_takes_its_source_and_its_signers(made: Site, tmp_path: Path, stack: str) -> None:
    clone = tmp_path / "clone"
    clone.mkdir()
    (clone / f"Pulumi.{stack}.yaml").write_text(
        f"config:\n  mo:provenance:\n    signers: ['{'ab' * 32}']\n    builder: https://b\n"
    )
    layout = Layout(made.layout.directory, clone, 31000, stack)
    assert (
        settings.overlay(Site(layout, "someone", made.services, made.passwords)).items()
        >= {
            "source": "../monorepo",
            "provenance": {"signers": ["ab" * 32], "builder": "https://b"},
        }.items()
    )
    (clone / f"Pulumi.{stack}.yaml").write_text("config:\n  mo:source: elsewhere\n")
    plain = settings.overlay(Site(layout, "someone", made.services, made.passwords))
    assert plain["source"] == "elsewhere"
    assert "provenance" not in plain
    assert {"source", "provenance"}.isdisjoint(settings.overlay(made))


@pytest.mark.parametrize("text", ["", "config:", "[", "- x", "config: x"])
def test_a_stack_file_that_cannot_be_read_is_refused_or_says_nothing(made: Site, tmp_path: Path, text: str) -> None:
    (tmp_path / "Pulumi.staging.yaml").write_text(text)
    layout = Layout(made.layout.directory, tmp_path, 31000, "staging")
    site_of_staging = Site(layout, "someone", made.services, made.passwords)
    if text in ("", "["):
        with pytest.raises(SandboxError, match=r"Pulumi\.staging\.yaml"):
            settings.overlay(site_of_staging)
    else:
        assert settings.overlay(site_of_staging)["source"] == "../monorepo"


def test_secrets_stand_in_files_of_mode_600_only(made: Site) -> None:
    settings.write(made)
    holding = set()
    for path in made.layout.directory.rglob("*"):
        if path.is_file() and any(secret in path.read_text() for secret in made.passwords.values()):
            holding.add(path.name)
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert holding == {"settings.yaml", "secrets.json"}
    assert not any(secret in repr(made) for secret in made.passwords.values())


def test_passwords_stay_over_a_restart_and_a_cut_file_is_made_anew(made: Site) -> None:
    assert site.passwords(made.layout) == made.passwords
    (made.layout.directory / "secrets.json").write_text('{"plesk": "x", "exter')
    renewed = site.passwords(made.layout)
    assert renewed.keys() == made.passwords.keys()
    assert all(len(value) >= 32 for value in renewed.values())


def test_a_catalogue_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "services.yaml").write_text("version: 1\nservices: {votes: {title: 3}}\n")
    with pytest.raises(SandboxError, match=r"services\.yaml:2"):
        site.services(tmp_path / "services.yaml")


def test_process_services_get_the_ports_of_the_brief(made: Site) -> None:
    assert made.processes() == {"api": 31101, "api_stg": 31102}
