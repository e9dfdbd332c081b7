"""A service may read any value that the catalogue declares: generated, the owner's, or a setting; what nothing provides is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pulumi
import pytest

from catalog import reader, secret_names, settings_file
from catalog.models import Catalog, GeneratedSecret, OwnerSecret, PlainSetting
from components.remote.client import masking
from operations import rotation
from tests.unit.components.program import FEW, Run, artefact, put, run

DECLARED: dict[str, Any] = {
    "WP_AUTH_SALT": GeneratedSecret(kind="generated", bytes=48),
    "PAYMENT_API_KEY": OwnerSecret(kind="owner", purpose="the key of the payment provider's account"),
    "WP_HOME": PlainSetting(kind="setting", default="https://{domain}/"),
    "FEATURES": PlainSetting(kind="setting"),
}
CANARY = "canary-payment-api-key"


@pytest.fixture
def catalog(monkeypatch: pytest.MonkeyPatch) -> Catalog:
    """A catalogue whose service votes reads one of each kind."""
    whole = reader.read()
    votes = whole.services["votes"].model_copy(update={"secrets": ("JWT_SECRET", *DECLARED)})
    changed = whole.model_copy(update={"secrets": DECLARED, "services": {**whole.services, "votes": votes}})
    monkeypatch.setattr(reader, "read", lambda *_: changed)
    return changed


def deployed(root: Path, **settings: Any) -> Run:
    put(root, artefact("votes"))
    return run(root, services=FEW, **settings)


GIVEN: dict[str, Any] = {"application": {"PAYMENT_API_KEY": CANARY}, "values": {"FEATURES": "a,b"}}


def test_each_kind_reaches_the_service_and_the_secret_ones_nothing_else(catalog: Catalog, tmp_path: Path) -> None:
    assert catalog.secrets
    done = deployed(tmp_path, **GIVEN)
    variables = done["votes-env"].request["variables"]
    assert variables["WP_AUTH_SALT"] == "canary-generated-secret-wp-auth-salt"
    assert variables["PAYMENT_API_KEY"] == CANARY
    assert variables["WP_HOME"] == "https://example.org/"
    assert variables["FEATURES"] == "a,b"
    assert done["secret-wp-auth-salt"].inputs["length"] == 66
    for resource in done.resources:
        if resource.name != "votes-env":
            assert CANARY not in json.dumps(resource.inputs)
    assert CANARY not in json.dumps(done.export)
    assert not [one.name for one in done.resources if "payment" in one.name]


def test_a_generated_one_that_is_there_already_stays(catalog: Catalog, tmp_path: Path) -> None:
    done = deployed(tmp_path, **GIVEN, existing={"WP_AUTH_SALT": "salt-of-the-old-site"})
    assert done["votes-env"].request["variables"]["WP_AUTH_SALT"] == "salt-of-the-old-site"


def test_what_the_owner_has_not_set_is_named_with_the_command(catalog: Catalog, tmp_path: Path) -> None:
    with pytest.raises(pulumi.RunError) as refused:
        deployed(tmp_path)
    text = str(refused.value)
    assert "bin/pulumi config set --stack sandbox --secret --path 'mo:application.PAYMENT_API_KEY'" in text
    assert "the key of the payment provider's account" in text
    assert "bin/pulumi config set --stack sandbox --path 'mo:values.FEATURES' VALUE" in text
    assert "WP_HOME" not in text, "it has a default"


@pytest.mark.parametrize(
    ("settings", "name"),
    [({"values": {"PAYMENT_API_KEY": "in clear"}}, "PAYMENT_API_KEY"), ({"application": {"TYPO_KEY": "x"}}, "TYPO_KEY")],
)
def test_a_value_that_nobody_asks_for_is_refused(catalog: Catalog, tmp_path: Path, settings: dict[str, Any], name: str) -> None:
    with pytest.raises(pulumi.RunError, match=f"holds {name}, which the catalogue does not declare"):
        deployed(tmp_path, **{**GIVEN, **settings})


def test_a_value_that_no_service_of_the_stack_reads_is_not_asked_for(catalog: Catalog, tmp_path: Path) -> None:
    put(tmp_path, artefact("docs"))
    names = {one.name for one in run(tmp_path, services=frozenset({"docs"})).resources}
    assert "secret-wp-auth-salt" not in names


def test_the_doctor_s_list_names_them_all(catalog: Catalog) -> None:
    services = {"votes": catalog.services["votes"]}
    assert secret_names.missing(catalog, services, (), ()) == {"PAYMENT_API_KEY": ["votes"], "FEATURES": ["votes"]}
    assert secret_names.missing(catalog, services, ("PAYMENT_API_KEY",), ("FEATURES",)) == {}


def test_a_declared_generated_one_is_rotated_by_its_name(catalog: Catalog) -> None:
    found = rotation.subject("WP_AUTH_SALT", catalog.services, "sandbox")
    assert (found.kind, found.users) == ("secret", ("votes",))


HEAD = "version: 1\nsecrets:\n"
TAIL = "services:\n" + "\n".join(
    [
        "  a:", "    title: A", "    host: a", "    path: sub/a", "    technology: static", "    runtime: files", "    source: a",
        "    secrets: [MY_KEY]", "    stacks: [sandbox]", "",
    ]
)  # fmt: skip


@pytest.mark.parametrize(
    ("secrets", "said"),
    [
        ("  OTHER_KEY: {kind: generated}", "is MY_KEY, which nothing provides; declare it below secrets:"),
        ("  MY_KEY: {kind: generated}\n  JWT_SECRET: {kind: generated}", "JWT_SECRET is JWT_SECRET, which every stack provides"),
        ("  MY_KEY: {kind: generated}\n  DB_PASS: {kind: owner, purpose: x}", "which every stack provides by itself"),
        (
            "  MY_KEY: {kind: owner, purpose: x}\n  PAY_USER: {kind: owner, purpose: x}",
            "names in _USER are of values that are no secret",
        ),
        ("  MY_KEY: {kind: owner}", "purpose"),
        ("  MY_KEY: {kind: generated, bytes: 4}", "bytes"),
        ("  MY_KEY: {kind: magic}", "kind"),
        ("  MY_KEY: {}", "MY_KEY"),
        ("  my-key: {kind: generated}", "my-key"),
        ("  MY_KEY: 7", "MY_KEY"),
    ],
)
def test_a_catalogue_that_declares_them_wrongly_is_refused_with_its_line(secrets: str, said: str) -> None:
    with pytest.raises(reader.CatalogError) as refused:
        reader.parse(HEAD + secrets + "\n" + TAIL)
    assert said in str(refused.value)
    assert "services.yaml:" in str(refused.value)


def test_a_catalogue_that_declares_them_rightly_is_read() -> None:
    found = reader.parse(HEAD + "  MY_KEY: {kind: setting}\n  SMTP_RELAY_HOST: {kind: setting, default: x}\n" + TAIL)
    assert isinstance(found.secrets["MY_KEY"], PlainSetting)


def test_names_of_what_is_masked_are_the_same_in_the_catalogue_and_on_the_way() -> None:
    assert secret_names.PUBLIC_ENDINGS == masking._PUBLIC_ENDINGS


def test_the_settings_hold_them_as_pulumi_hands_them(tmp_path: Path) -> None:
    from tests.unit.components.program import RAW

    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in RAW.items()}
    given = {"application": json.dumps({"PAYMENT_API_KEY": CANARY}), "values": json.dumps({"FEATURES": "a"})}
    found = settings_file.load({**texts, **given}, tmp_path, "sandbox")
    assert found.secrets.application["PAYMENT_API_KEY"].get_secret_value() == CANARY
    assert CANARY not in repr(found)
    for wrong in ({"application": '{"lower": "x"}'}, {"application": '{"X": ""}'}, {"application": "7"}, {"values": '{"X": 7}'}):
        with pytest.raises(settings_file.SettingsError):
            settings_file.load({**texts, **wrong}, tmp_path, "sandbox")
