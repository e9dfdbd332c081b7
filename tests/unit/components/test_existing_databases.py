"""What is on a managed server already is recognised before the plan, imported and never made anew; nothing of it changes."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from components import existing_databases, plan
from components.existing_databases import Answer
from components.facts import ExistingDatabase, Facts, FactsError, ServiceFacts
from tests.unit.components.program import FEW, artefact, put, run

GROWN = ExistingDatabase(exists=True, account=True, tables=14, bytes=3_200_000)


class Servers:
    """What the servers hold, and what was asked."""

    def __init__(self, held: Mapping[str, ExistingDatabase | str]) -> None:
        self.held = held
        self.asked: list[Mapping[str, Any]] = []

    def __call__(self, request: Mapping[str, Any]) -> Mapping[str, Answer]:
        self.asked.append(request)
        absent = ExistingDatabase(exists=False, account=False)
        found = {entry["service"]: self.held.get(entry["service"], absent) for entry in request["services"]}
        return {key: Answer(problem=one) if isinstance(one, str) else Answer(database=one) for key, one in found.items()}


def imports(resources: Any) -> dict[str, str]:
    return {one.name: one.options.importId for one in resources if one.options.importId}


def test_what_is_there_is_imported_by_its_name_and_what_is_not_is_made(tmp_path: Path) -> None:
    for service in FEW:
        put(tmp_path, artefact(service))
    servers = Servers({"votes": GROWN, "api": GROWN, "games": ExistingDatabase(exists=False, account=True)})
    done = run(tmp_path, services=FEW, look=servers)
    assert imports(done.resources) == {
        "votes-database": "mo_votes", "api-database": "mo_api", "api-role": "svc_api",
    }  # fmt: skip
    assert {entry["service"] for entry in servers.asked[0]["services"]} == {"votes", "api", "games", "crm", "idp"}
    assert set(done["votes-database"].options.ignoreChanges) == {"defaultCharacterSet", "defaultCollation"}
    assert {"owner", "template", "encoding"} <= set(done["api-database"].options.ignoreChanges)
    assert "password" not in done["api-role"].options.ignoreChanges


def test_a_database_that_answers_the_service_s_own_account_is_not_asked_for(tmp_path: Path) -> None:
    put(tmp_path, artefact("votes"))
    servers = Servers({})
    known = Facts(services={key: ServiceFacts(database=True) for key in FEW})
    assert imports(run(tmp_path, known, services=FEW, look=servers).resources) == {}
    assert servers.asked == []


def test_a_former_password_goes_when_the_release_is_live(tmp_path: Path) -> None:
    put(tmp_path, artefact("votes"))
    done = run(tmp_path, services=FEW)
    assert "votes-switch" in done["votes-revoke"].after
    assert "votes-revoke" not in done["votes-switch"].after


def test_the_preview_says_what_is_taken_over_and_that_it_is_not_migrated(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(tmp_path, artefact("api", migrations=("1a2b",)))
    log = logging.getLogger("takeover")
    servers = Servers({"api": GROWN, "votes": "The database server x cannot be reached."})
    with caplog.at_level(logging.INFO):
        run(tmp_path, services=FEW, look=servers, preview=True, log=log)
    told = caplog.text
    assert "database mo_api exists: 14 tables, 3.2 MB; will be taken over unchanged" in told
    assert "account svc_api exists" in told
    assert "refused: the database holds 14 tables and no history of migrations" in told
    assert "bin/mo migrate api --baseline 1a2b" in told
    assert "The database server x cannot be reached." in told


@pytest.mark.parametrize(
    ("existing", "lines"),
    [
        (ExistingDatabase(exists=False, account=False), ["  to be made: database mo_votes, account svc_votes"]),
        (
            ExistingDatabase(exists=True, account=False, tables=1),
            ["  database mo_votes exists: 1 table; will be taken over unchanged", "  to be made: account svc_votes"],
        ),
    ],
)
def test_what_is_made_and_what_is_taken_over_are_told_apart(existing: ExistingDatabase, lines: list[str]) -> None:
    from catalog import reader
    from components.artefacts import Choice

    entry = reader.read().services["votes"]
    known = Facts(services={"votes": ServiceFacts(existing=existing, database=None if existing.exists else False)})
    made = plan.of("votes", entry, Choice(artefact("votes")), known)
    assert made is not None
    told = list(plan.lines(made))
    assert [line for line in told if "mo_votes" in line or "svc_votes" in line] == lines


@pytest.mark.parametrize(
    "text", ["", "[]", '{"services": 7}', '{"services": {"votes": {"exists": "perhaps"}}}', '{"services": {"votes": 7}}']
)
def test_an_answer_that_cannot_be_read_is_one_sentence(text: str) -> None:
    with pytest.raises(FactsError, match="The answer to the question for databases cannot be read"):
        existing_databases.parse(text)


def test_an_answer_is_read_service_by_service() -> None:
    told = {"votes": {"exists": True, "account": False, "tables": 3, "bytes": None, "history": []}, "api": {"problem": "x"}}
    found = existing_databases.parse(json.dumps({"ok": True, "services": told}))
    assert found["votes"].database == ExistingDatabase(exists=True, account=False, tables=3)
    assert found["api"].problem == "x"
