"""What stops a deploy before anything changes, and what leaves a service as it is."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pulumi
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from catalog import provenance
from catalog.settings_file import SettingsError
from components import trust
from components.artefacts import ArtefactError
from components.facts import Facts
from components.judgement import Judgement
from components.quality_gate import QualityGateArgs, closed
from tests.unit.components import program
from tests.unit.components.program import COMMIT, FEW, artefact, put

run = partial(program.run, services=FEW)
FIGURES = {"commit": COMMIT, "required": [], "gates": []}


def _live(service: str, **known: object) -> Facts:
    return Facts.model_validate({"services": {service: known}})


def test_a_red_gate_stops_the_program_without_any_policy_pack(tmp_path: Path) -> None:
    with pytest.raises(pulumi.RunError, match="nothing was changed:\n  coverage: 70 %"):
        run(tmp_path, judgement=Judgement(FIGURES, ("coverage: 70 %, at least 80 needed",)))
    assert not (tmp_path / ".mo").exists()


def test_a_waiver_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        run(tmp_path, judgement=Judgement(FIGURES, (), ("eslint: 3 errors; waived by anna",)), log=logging.getLogger("pulumi-test"))
    assert "waived by anna" in caplog.text


def test_a_service_without_artefact_stays_as_it_is(tmp_path: Path) -> None:
    live = artefact("votes")
    done = run(tmp_path, _live("votes", live=live.release, manifest=live.model_dump()))
    for what in ("stage", "switch", "health"):
        assert list(done[f"votes-{what}"].options.ignoreChanges) == ["stdin"]
        assert done[f"votes-{what}"].request["release"] == live.release


def test_a_service_that_never_had_an_artefact_has_no_release(tmp_path: Path) -> None:
    names = {r.name for r in run(tmp_path).resources}
    assert "votes-switch" not in names
    assert "votes-account" in names


def test_a_service_absent_from_the_set_stays_as_it_is_even_with_an_artefact(tmp_path: Path) -> None:
    put(tmp_path, artefact("votes", content="2"))
    docs = put(tmp_path, artefact("docs"))
    live = artefact("votes")
    facts = _live("votes", live=live.release, manifest=live.model_dump())
    done = run(tmp_path, facts, releases={"docs": docs.release})
    assert list(done["votes-switch"].options.ignoreChanges) == ["stdin"]
    assert not done["docs-switch"].options.ignoreChanges


def test_a_release_of_the_set_may_be_on_the_host_only(tmp_path: Path) -> None:
    old = artefact("votes", migrations=("0001_init",))
    put(tmp_path, artefact("votes", content="2"))
    done = run(tmp_path, _live("votes", live="adopted", wanted=old.model_dump()), releases={"votes": old.release})
    assert done["votes-switch"].request["release"] == old.release
    assert done["votes-switch"].request["migrate"]["migrations"] == ["0001_init"]


def test_a_damaged_artefact_stops_no_release_that_the_host_holds(tmp_path: Path) -> None:
    old = artefact("votes")
    for place in ("dist/votes", f"dist/.store/votes/{old.release}"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "manifest.json").write_text('{"version": 1')
    done = run(tmp_path, _live("votes", live="adopted", wanted=old.model_dump()), releases={"votes": old.release})
    assert done["votes-switch"].request["release"] == old.release
    with pytest.raises(ArtefactError, match="is no manifest"):
        run(tmp_path, releases={"votes": old.release})


def test_a_manifest_that_was_changed_on_the_host_is_refused(tmp_path: Path) -> None:
    old, other = artefact("votes"), artefact("votes", content="2")
    forged = {**other.model_dump(), "release": old.release}
    with pytest.raises(ArtefactError, match=f"The manifest of release {old.release} of service votes was changed on the host"):
        run(tmp_path, _live("votes", live="adopted", wanted=forged), releases={"votes": old.release})


class Signed:
    """A release that only the host holds, as a builder signed it."""

    def __init__(self) -> None:
        self.manifest = artefact("votes", migrations=("0001_init",))
        self.text = self.manifest.model_dump_json(indent=1).encode() + b"\n"
        self.key = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
        self.public = self.key.public_key().public_bytes_raw().hex()

    def envelope(self, digest: str) -> str:
        statement = {
            "_type": provenance.STATEMENT_TYPE,
            "predicateType": provenance.PREDICATE_TYPE,
            "subject": [{"name": "votes/manifest.json", "digest": {"sha256": digest}}],
            "predicate": {
                "buildDefinition": {"buildType": provenance.BUILD_TYPE, "resolvedDependencies": [{"name": "monorepo"}]},
                "runDetails": {"builder": {"id": "b"}, "metadata": {"invocationId": "b1", "finishedOn": "2026-01-01"}},
            },
        }
        payload = json.dumps(statement).encode()
        signature = self.key.sign(provenance.pre_authentication_encoding(payload))
        signatures = [{"keyid": "k", "sig": base64.b64encode(signature).decode()}]
        told = {"payloadType": provenance.PAYLOAD_TYPE, "payload": base64.b64encode(payload).decode(), "signatures": signatures}
        return json.dumps(told)

    def run(self, project: Path, attestation: str | None, signer: str | None = None, **more: Any) -> program.Run:
        digest = hashlib.sha256(self.text).hexdigest()
        facts = _live("votes", live="adopted", wanted=self.manifest.model_dump(), attestation=attestation, digest=digest)
        settings = {"signers": [signer or self.public]} if signer != "" else None
        return run(project, facts, releases={"votes": self.manifest.release}, provenance=settings, **more)


def test_what_the_host_holds_is_taken_by_its_signature_where_the_stack_declares_signers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    signed = Signed()
    good = signed.envelope(hashlib.sha256(signed.text).hexdigest())
    assert signed.run(tmp_path, good)["votes-switch"].request["release"] == signed.manifest.release
    for attestation, signer, said in (
        (good, "0" * 64, "signed by a foreign key"),
        (signed.envelope("0" * 64), None, "is not the one that was signed"),
        (good.replace('"payload": "ey', '"payload": "fy'), None, "signed by a foreign key"),
        ("", None, "is no DSSE envelope"),
        ("[" * 100_000, None, "is no DSSE envelope"),
    ):
        with pytest.raises(ArtefactError, match=said):
            signed.run(tmp_path, attestation, signer)
    # Without declared signers nobody is to be asked; nor can an earlier version's release be, which has none.
    assert signed.run(tmp_path, "", "")["votes-switch"].request["release"] == signed.manifest.release
    with caplog.at_level(logging.WARNING):
        signed.run(tmp_path, None, log=logging.getLogger("pulumi-test"))
    assert "votes: brought to the host without an attestation" in caplog.text


def test_a_release_that_is_nowhere_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="Release r0123456789abcdef of service votes is neither in dist/ nor on the host"):
        run(tmp_path, releases={"votes": "r0123456789abcdef"})


def test_an_artefact_older_than_the_live_release_is_refused_unless_asked_for(tmp_path: Path) -> None:
    old = put(tmp_path, artefact("votes", built_at="2026-01-01T00:00:00Z"))
    live = artefact("votes", content="2", built_at="2026-02-01T00:00:00Z")
    facts = _live("votes", live=live.release, manifest=live.model_dump())
    with pytest.raises(ArtefactError, match="before the live release"):
        run(tmp_path, facts)
    assert run(tmp_path, facts, allowOlder="true")["votes-switch"].request["release"] == old.release


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no manifest"),
        ("[]", "is no manifest"),
        ('{"version": 1', "is no manifest"),
        (artefact("docs").model_dump_json(), "belongs to service docs"),
        (artefact("votes").model_copy(update={"files": ()}).model_dump_json(), "would empty the site"),
        (artefact("votes").model_copy(update={"release": "r0123456789abcdef"}).model_dump_json(), "does not match its release id"),
    ],
)
def test_a_damaged_artefact_is_refused(tmp_path: Path, text: str, said: str) -> None:
    folder = tmp_path / "dist" / "votes"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(text)
    with pytest.raises(ArtefactError, match=said):
        run(tmp_path)


def test_what_the_host_lacks_stops_the_deploy_and_names_the_service(tmp_path: Path) -> None:
    put(tmp_path, artefact("crm"))
    facts = Facts.model_validate({"programs": {"php": None, "python3": "/usr/bin/python3"}})
    with pytest.raises(pulumi.RunError, match=r"nothing was changed:\n  crm: php$"):
        run(tmp_path, facts)


def test_what_the_host_lacks_for_some_services_lets_the_others_go_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for service in ("api", "frontend", "docs"):
        put(tmp_path, artefact(service))
    restarts = ("pleskctl", "supervisorctl", "systemctl")
    facts = {"programs": {"python3": "/usr/bin/python3", **dict.fromkeys(restarts)}}
    with caplog.at_level(logging.WARNING):
        done = run(tmp_path, Facts.model_validate(facts), log=logging.getLogger("pulumi-test"))
    assert "they stay as they are, others go on:\n  api: pleskctl or supervisorctl or systemctl" in caplog.text
    # The host's own program refuses it before it changes anything, and what is after it waits in vain.
    assert done["api-switch"].request["programs"] == [["python3"], [*restarts]]
    assert "api-switch" in done["frontend-switch"].after
    assert "programs" not in done["docs-switch"].request
    everybody = Facts.model_validate({**facts, "services": {"api": {"lacks": ["rsync"]}}, "needs": ["rsync"]})
    with pytest.raises(pulumi.RunError, match=r"nothing was changed:\n  api: pleskctl or supervisorctl or systemctl, rsync"):
        run(tmp_path, everybody)


def test_what_only_an_unchanged_service_needs_may_be_lacking(tmp_path: Path) -> None:
    crm = put(tmp_path, artefact("crm"))
    facts = Facts.model_validate({"programs": {"php": None}, "services": {"crm": {"live": crm.release}}})
    assert run(tmp_path, facts)["crm-switch"].request["release"] == crm.release


def test_a_state_in_local_files_is_refused_unless_the_stack_allows_it(tmp_path: Path) -> None:
    with pytest.raises(pulumi.RunError, match="where no other operator sees it"):
        run(tmp_path, backend="file:///var/state")
    run(tmp_path, backend="file:///var/state", allowFileBackend="true")


def test_outside_the_window_an_update_is_refused_where_the_stack_says_so_and_a_preview_never(tmp_path: Path) -> None:
    monday = datetime(2026, 11, 23, 9, tzinfo=UTC)
    with pytest.raises(pulumi.RunError, match="Monday 09:00 UTC, outside the deployment window"):
        run(tmp_path, now=monday, window={"outside": "refuse"})
    # The policy pack judges by the platform's own word.
    assert _window(run(tmp_path, now=monday, window={"outside": "refuse"}, preview=True)) == "warn"
    run(tmp_path, now=monday, window={"outside": "warn"})


def test_a_rollback_goes_on_at_any_hour_with_a_warning_where_a_deploy_would_be_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    votes = put(tmp_path, artefact("votes"))
    facts = _live("votes", releases=[votes.release])
    late = datetime(2026, 11, 21, 14, 5, tzinfo=UTC)  # the deploy began inside the window
    asked: dict[str, Any] = {"now": late, "window": {"outside": "refuse"}, "releases": {"votes": votes.release}}
    with pytest.raises(pulumi.RunError, match="refuses to deploy then"):
        run(tmp_path, facts, **asked)
    made = run(tmp_path, facts, rollback={**NOTE, "time": "2026-11-21T14:04:00Z"}, log=logging.getLogger(), **asked)
    assert _window(made) == "warn", "the policies judge by it"
    assert "outside the deployment window" in caplog.text
    assert _window(run(tmp_path, facts, window={"outside": "refuse"})) == "refuse"


def _window(made: program.Run) -> object:
    return next(one.inputs["window"] for one in made.resources if one.name == "platform")


def test_a_service_that_the_catalogue_has_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(pulumi.RunError, match="name services that the catalogue has not: shop"):
        run(tmp_path, adopt=["shop"])


def test_a_value_that_the_stack_does_not_take_from_mo_existing_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        pulumi.RunError, match=r"mo:existing of the stack sandbox holds JWT_SECRT, .*; take it out: bin/pulumi config rm"
    ):
        run(tmp_path, existing={"JWT_SECRT": "canary"})
    with pytest.raises(pulumi.RunError, match=r"holds MO_VOTES_DB_USER, .*the catalogue names their users"):
        run(tmp_path, existing={"MO_VOTES_DB_USER": "w01_votes"})


def test_a_rotation_of_a_password_that_only_the_panel_changes_is_refused_with_the_way(tmp_path: Path) -> None:
    plesk = {k: v for k, v in program.RAW["servers"]["plesk"].items() if k != "adminUser"} | {"provision": "existing"}
    panel: dict[str, Any] = {"servers": {**program.RAW["servers"], "plesk": plesk}, "pleskAdminPassword": None}
    given = {f"MO_{name}_DB_PASS": "canary" for name in ("VOTES", "SUPPORT", "NEWSLETTER", "FORUM")}
    only = {key: value for key, value in given.items() if key == "MO_VOTES_DB_PASS"}
    with pytest.raises(SettingsError, match="lacks 3 settings"):
        run(tmp_path, existing=only, **panel)
    said = r"The password of votes's database is the hoster's panel's to change .*--path 'mo:existing.MO_VOTES_DB_PASS', then bin/mo deploy"
    with pytest.raises(pulumi.RunError, match=said):
        program.run(tmp_path, existing=given, rotate={"votes": "r1"}, **panel)


def test_the_connection_is_for_the_owner_only_and_untouched_by_a_second_run(tmp_path: Path) -> None:
    run(tmp_path)
    written = tmp_path / ".mo" / "sandbox" / "connection.json"
    before = written.stat()
    assert before.st_mode & 0o777 == 0o600
    assert "canary-maria" in written.read_text()
    assert (tmp_path / ".mo" / "sandbox" / "ssh-key").read_text() == "canary-key\n"
    run(tmp_path)
    assert written.stat().st_mtime_ns == before.st_mtime_ns


def test_only_what_would_be_uploaded_is_verified_and_an_unsigned_artefact_is_refused(tmp_path: Path) -> None:
    votes, docs = put(tmp_path, artefact("votes")), put(tmp_path, artefact("docs"))
    put(tmp_path, artefact("games"))
    facts = Facts.model_validate({"services": {"votes": {"live": votes.release}, "docs": {"releases": [docs.release]}}})
    asked: list[list[str]] = []
    run(tmp_path, facts, verify=lambda _project, _settings, _wished, services, _commit: asked.append(list(services)))
    assert asked == [["games"]]
    with pytest.raises(ArtefactError, match=r"SLSA-attestation\.json"):
        run(tmp_path, facts, verify=trust.verify)
    games = Facts.model_validate(
        {"services": {**facts.model_dump()["services"], "games": {"releases": [artefact("games").release]}}}
    )
    run(tmp_path, games, verify=trust.verify)


NOTE = {"update": 3, "reason": "the login is broken", "author": "anna", "time": "2026-11-21T08:59:00Z"}


@pytest.mark.parametrize(
    ("note", "named"), [(NOTE, False), ({**NOTE, "time": "2026-11-21T07:00:00Z"}, True), ({**NOTE, "time": "soon"}, True)]
)
def test_a_rollback_note_without_a_set_or_left_behind_opens_no_gate(tmp_path: Path, note: dict[str, object], named: bool) -> None:
    votes = put(tmp_path, artefact("votes"))
    more: dict[str, Any] = {"releases": {"votes": votes.release}} if named else {}
    with pytest.raises(pulumi.RunError, match="mo:rollback passes the quality gates by"):
        run(tmp_path, rollback=note, **more)
    assert not (tmp_path / ".mo").exists()


def test_a_rollback_passes_red_gates_for_releases_on_the_host_alone(tmp_path: Path) -> None:
    votes = put(tmp_path, artefact("votes"))
    asked: dict[str, Any] = {
        "rollback": NOTE,
        "releases": {"votes": votes.release},
        "judgement": Judgement(FIGURES, bypassed=("coverage: 70 %, at least 80 needed",)),
    }
    with pytest.raises(pulumi.RunError, match="those of votes would be uploaded, and nothing was changed"):
        run(tmp_path, **asked)
    done = run(tmp_path, _live("votes", live="adopted", releases=[votes.release]), **asked)
    assert done["votes-switch"].request["release"] == votes.release


def _stored(project: Path, commit: str) -> Any:
    """A release of votes in the store, another one in ``dist/``."""
    put(project, artefact("votes", content="2"))
    old = artefact("votes").model_copy(update={"commit": commit})
    place = project / "dist" / ".store" / "votes" / old.release
    place.mkdir(parents=True)
    (place / "manifest.json").write_text(old.model_dump_json())
    (project / "dist" / "manifest.json").write_text(json.dumps({"commit": COMMIT}))
    return old


def test_a_stored_release_of_a_commit_that_no_gate_judged_is_refused(tmp_path: Path) -> None:
    old = _stored(tmp_path, "a" * 40)
    with pytest.raises(
        pulumi.RunError, match=f"The gates have judged commit {COMMIT[:12]}, .*\n  votes: {old.release} is of commit aaaaaaaaaaaa"
    ):
        run(tmp_path, releases={"votes": old.release})
    with pytest.raises(pulumi.RunError, match="The gates have judged commit"):
        run(tmp_path, _live("votes", live="adopted"), releases={"votes": old.release})


def test_a_stored_release_passes_where_its_commit_was_judged_the_host_holds_it_or_it_is_a_rollback(tmp_path: Path) -> None:
    old = _stored(tmp_path, "a" * 40)
    held = _live("votes", live="adopted", releases=[old.release])
    assert run(tmp_path, held, releases={"votes": old.release})["votes-switch"].request["release"] == old.release
    back = run(tmp_path, releases={"votes": old.release}, rollback=NOTE)
    assert back["votes-switch"].request["release"] == old.release
    judged = _stored(tmp_path / "other", COMMIT)
    assert run(tmp_path / "other", releases={"votes": judged.release})["votes-switch"].request["release"] == judged.release


@pytest.mark.parametrize(
    ("stack", "figures", "shut"),
    [
        ("production", FIGURES, True),
        ("staging", FIGURES, True),
        ("another", {**FIGURES, "required": None}, True),
        ("production", {}, True),
        ("sandbox", FIGURES, False),
        ("production", {**FIGURES, "required": ["eslint"]}, False),
        ("production", {**FIGURES, "rollback": NOTE}, False),
    ],
)
def test_a_stack_without_required_gates_is_refused_without_any_policy_pack(stack: str, figures: dict[str, Any], shut: bool) -> None:
    why = closed(QualityGateArgs(stack, figures, ()))
    assert (why is not None) == shut
    assert not shut or f"The stack {stack} requires no quality gate" in str(why)
