from __future__ import annotations

from pathlib import Path

import pytest
from app import __version__, mail, security, settings
from fastapi.testclient import TestClient

PERSON = {"email": "Ada@Example.org", "name": "Ada", "password": "correct horse battery"}


def member(api: TestClient, mails: list[tuple[str, ...]]) -> dict[str, str]:
    assert api.post("/register", json=PERSON).status_code == 202
    token = mails[-1][3].split("/#/verify/")[1].strip()
    assert api.post("/verify", json={"token": token}).status_code == 200
    answer = api.post("/login", json={"email": PERSON["email"], "password": PERSON["password"]})
    return {"Authorization": f"Bearer {answer.json()['token']}"}


def test_health_tells_version_and_a_value_from_the_database(api: TestClient) -> None:
    told = api.get("/health").json()
    assert told["status"] == "ok"
    assert told["version"] == __version__ == api.get("/openapi.json").json()["info"]["version"]
    assert told["database"] == {"engine": "sqlite", "schema": "0002_bio", "members": 0}


def test_the_page_for_people_shows_a_value_from_the_database(api: TestClient) -> None:
    answer = api.get("/")
    assert answer.headers["content-type"].startswith("text/html")
    assert '<dd data-release="release">unbekannt</dd>' in answer.text
    assert "<dd data-database>0</dd>" in answer.text


def test_health_is_503_without_its_tables(api: TestClient) -> None:
    from app import data

    with data.engine().begin() as connection:
        connection.exec_driver_sql("DROP TABLE members")
    assert api.get("/health").status_code == 503


def test_a_member_registers_confirms_logs_in_and_changes_the_profile(api: TestClient, mails: list[tuple[str, ...]]) -> None:
    head = member(api, mails)
    assert mails[0][:3] == ("no-reply@api.mo.localhost", "ada@example.org", "Anmeldung bestätigen")
    assert "https://frontend.mo.localhost:28443/#/verify/" in mails[0][3]
    assert api.get("/profile", headers=head).json() == {"email": "ada@example.org", "name": "Ada", "bio": ""}
    assert api.patch("/profile", headers=head, json={"bio": "Ich zähle."}).json()["bio"] == "Ich zähle."
    assert api.get("/profile", headers=head).json()["bio"] == "Ich zähle."
    assert api.get("/health").json()["database"]["members"] == 1


def test_an_unconfirmed_address_cannot_log_in(api: TestClient) -> None:
    api.post("/register", json=PERSON)
    assert api.post("/login", json={"email": PERSON["email"], "password": PERSON["password"]}).status_code == 403


def test_nobody_learns_who_is_registered(api: TestClient, mails: list[tuple[str, ...]]) -> None:
    first = api.post("/register", json=PERSON)
    again = api.post("/register", json=PERSON)
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert len(mails) == 1
    wrong = api.post("/login", json={"email": PERSON["email"], "password": "x"})
    unknown = api.post("/login", json={"email": "nobody@example.org", "password": "x"})
    assert (wrong.status_code, wrong.json()) == (unknown.status_code, unknown.json()) == (401, wrong.json())


def test_a_mail_that_cannot_be_sent_leaves_no_account(api: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*parts: str) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr(mail, "send", refuse)
    assert api.post("/register", json=PERSON).status_code == 503
    assert api.get("/health").json()["database"]["members"] == 0


def test_a_confirmation_works_once(api: TestClient, mails: list[tuple[str, ...]]) -> None:
    member(api, mails)
    token = mails[0][3].split("/#/verify/")[1].strip()
    assert api.post("/verify", json={"token": token}).status_code == 404


@pytest.mark.parametrize("token", ["", "x", "a.b.c", security.issue("1", "another secret"), security.issue("1", "it's secret", -1)])
def test_a_forged_or_old_token_is_refused(api: TestClient, mails: list[tuple[str, ...]], token: str) -> None:
    member(api, mails)
    assert api.get("/profile", headers={"Authorization": f"Bearer {token}"}).status_code == 401
    assert api.get("/profile").status_code == 401


@pytest.mark.parametrize("wrong", [{"email": "nobody"}, {"password": "short"}, {"name": " "}, {"name": "x" * 101}])
def test_a_registration_with_a_wrong_field_is_refused(api: TestClient, wrong: dict[str, str]) -> None:
    assert api.post("/register", json=PERSON | wrong).status_code == 422


def test_settings_keep_every_character() -> None:
    assert settings.parse("A='x'\nB='it'\\''s $HOME \\n \"q\"'\nbroken\n") == {"A": "x", "B": 'it\'s $HOME \\n "q"'}
    with pytest.raises(RuntimeError, match=r"secrets\.env has no NOTHING"):
        settings.value("NOTHING")


@pytest.mark.parametrize(("engine", "expected"), [("postgresql", "postgresql+psycopg"), ("mariadb", "mysql+pymysql")])
def test_the_settings_choose_the_database(monkeypatch: pytest.MonkeyPatch, engine: str, expected: str) -> None:
    known = {
        "DB_ENGINE": engine,
        "DB_HOST": "h",
        "DB_PORT": "1",
        "DB_NAME": "n",
        "DB_USER": "u",
        "DB_PASS": "p'@/",
        "DB_SSL_CA": "/ca.pem",
    }
    monkeypatch.setattr(settings, "values", lambda: known)
    url = settings.database_url()
    assert url.drivername == expected  # type: ignore[union-attr]
    assert url.password == "p'@/"  # type: ignore[union-attr]
    assert "/ca.pem" in url.query.values()  # type: ignore[union-attr]


def test_a_password_is_checked_in_any_case() -> None:
    stored = security.hash_password("pässwörd")
    assert security.check_password("pässwörd", stored)
    assert not security.check_password("passwort", stored)
    assert security.bearer(security.issue("7", "s"), "s") == "7"


def test_the_secrets_are_found_beside_the_releases_and_in_place_in_a_folder_above(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MO_SECRETS_ENV", raising=False)
    service = tmp_path / ".deploy/api"
    for place in (service / "releases/r1", tmp_path / "subdomains/api/httpdocs"):
        place.mkdir(parents=True)
        (place / "release.json").write_text('{"service": "api"}')
        monkeypatch.setattr(settings, "ROOT", place)
        (service / "secrets.env").unlink(missing_ok=True)
        assert settings.secrets() == place.parents[1] / "secrets.env"
        (service / "secrets.env").write_text("A='1'\n")
        assert settings.secrets() == service / "secrets.env"
