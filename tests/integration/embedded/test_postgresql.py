"""The provider ``postgresql`` on a server, as a plain role and as a superuser."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from embedded.providers import load
from embedded.providers.base import Provider, ProviderError, Resource
from embedded.values import Secret
from tests.integration.embedded.conftest import Server

pytestmark = pytest.mark.sandbox
ROLE = "postgresql:index/role:Role"
DATABASE = "postgresql:index/database:Database"
GRANT = "postgresql:index/grant:Grant"


def provider(server: Server, directory: str = "/", **more: Any) -> Provider:
    made = load("postgresql", "3.18.2", directory, lambda *arguments, **options: None)
    settings = {
        "host": "127.0.0.1",
        "port": str(server.port),
        "username": "deployer",
        "password": Secret("deployer-pw"),
        "sslmode": "disable",
    }
    made.configure({**settings, "superuser": "false", **more})
    return made


@pytest.fixture
def plain(postgresql: Server) -> Provider:
    return provider(postgresql)


@pytest.fixture
def admin(postgresql: Server) -> Provider:
    return provider(postgresql, username="postgres")


def make(made: Provider, kind: str, **inputs: Any) -> tuple[Resource, dict[str, Any], dict[str, Any]]:
    resource = Resource(f"urn:pulumi:dev::p::{kind}::it", kind)
    checked, failures = made.check(resource, {}, inputs, b"seed")
    assert not failures
    identity, outputs = made.create(resource, checked, preview=False, timeout=0)
    return Resource(resource.urn, kind, identity), checked, outputs


def update(made: Provider, made_of: tuple[Resource, dict[str, Any], dict[str, Any]], **changed: Any) -> dict[str, Any]:
    resource, inputs, outputs = made_of
    return made.update(resource, inputs, outputs, {**inputs, **changed}, preview=False, timeout=0, ignore_changes=[])


def login(server: Server, user: str, password: str) -> bool:
    command = ["psql", "-h", "127.0.0.1", "-p", str(server.port), "-U", user, "-d", "postgres", "-Atc", "SELECT 1"]
    environment = {"PATH": "/usr/bin:/bin", "PGPASSWORD": password}
    return subprocess.run(command, capture_output=True, env=environment, check=False).returncode == 0


def test_a_role_logs_in_is_changed_renamed_and_dropped(postgresql: Server, plain: Provider) -> None:
    password = "it's %s {} \\"
    made = make(plain, ROLE, name='svc"forum', login=True, password=Secret(password))
    resource, inputs, outputs = made
    assert login(postgresql, 'svc"forum', password)
    assert outputs["password"] == Secret(password)
    assert outputs["__pulumi_raw_state_delta"] == {"obj": {"renamed": {"searchPaths": "search_path"}}}
    assert plain.diff(resource, inputs, outputs, inputs, []).changes == "none"
    after = update(plain, made, password=Secret("second"), connectionLimit=5, searchPaths=["a", "b"], statementTimeout=1500)
    assert login(postgresql, 'svc"forum', "second")
    assert (after["connectionLimit"], after["statementTimeout"]) == (5, 1500)
    assert "search_path=a, b" in postgresql.run("SELECT rolconfig FROM pg_roles WHERE rolname = 'svc\"forum'")
    renamed = update(plain, (resource, inputs, after), name="guest")
    assert renamed["id"] == "guest"
    plain.delete(resource, inputs, renamed, timeout=0)
    plain.delete(resource, inputs, renamed, timeout=0)
    assert plain.read(Resource(resource.urn, ROLE, "guest"), inputs, renamed) is None


def test_a_role_is_given_and_taken_memberships(postgresql: Server, admin: Provider) -> None:
    postgresql.run("CREATE ROLE one; CREATE ROLE two")
    made = make(admin, ROLE, name="member", roles=["one", "two"])
    assert sorted(made[2]["roles"]) == ["one", "two"]
    assert update(admin, made, roles=["two"])["roles"] == ["two"]
    admin.delete(*made, timeout=0)
    postgresql.run("DROP ROLE one; DROP ROLE two")


def test_a_database_of_another_role_is_made_by_a_plain_one_which_keeps_no_membership(postgresql: Server, plain: Provider) -> None:
    role = make(plain, ROLE, name="svc_shop")
    database = make(
        plain, DATABASE, name="mo_shop", owner="svc_shop", encoding="UTF8", template="template0", lcCollate="C", lcCtype="C"
    )
    assert postgresql.run("SELECT pg_get_userbyid(datdba) || datcollate FROM pg_database WHERE datname = 'mo_shop'") == "svc_shopC"
    assert postgresql.run("SELECT COUNT(*) FROM pg_auth_members WHERE pg_get_userbyid(member) = 'deployer'") == "0"
    assert plain.diff(database[0], database[1], database[2], database[1], []).changes == "none"
    diff = plain.diff(database[0], database[1], database[2], {**database[1], "lcCtype": "C.UTF-8"}, [])
    assert (diff.replaces, diff.delete_before_replace) == (["lcCtype"], True)
    with pytest.raises(ProviderError) as caught:
        update(plain, database, connectionLimit=20)
    assert str(caught.value) == (
        f"updating {database[0].urn}: 1 error occurred:\n\t* error updating database CONNECTION LIMIT: "
        "pq: must be owner of database mo_shop (42501)\n\n"
    )
    assert caught.value.outputs is not None
    assert caught.value.outputs["connectionLimit"] == 20
    plain.delete(*database, timeout=0)
    plain.delete(*role, timeout=0)
    assert postgresql.run("SELECT COUNT(*) FROM pg_database WHERE datname = 'mo_shop'") == "0"
    assert postgresql.run("SELECT COUNT(*) FROM pg_auth_members WHERE pg_get_userbyid(member) = 'deployer'") == "0"


def test_the_owner_is_given_back_when_a_database_cannot_be_made(postgresql: Server, plain: Provider) -> None:
    role = make(plain, ROLE, name="svc_broken")
    with pytest.raises(ProviderError, match=r'error creating database "mo_broken": pq: .*\(.....\)'):
        make(plain, DATABASE, name="mo_broken", owner="svc_broken", encoding="NONSENSE")
    assert postgresql.run("SELECT COUNT(*) FROM pg_auth_members WHERE pg_get_userbyid(member) = 'deployer'") == "0"
    plain.delete(*role, timeout=0)


def test_grants_on_database_tables_and_public_hold(postgresql: Server, admin: Provider) -> None:
    reader = make(admin, ROLE, name="reader", login=True, password=Secret("read"))
    database = make(admin, DATABASE, name="mo_rights")
    rights = make(admin, GRANT, database="mo_rights", role="reader", objectType="database", privileges=["CONNECT"])
    assert rights[0].id == "reader_mo_rights_database"
    public = make(admin, GRANT, database="mo_rights", role="public", objectType="database", privileges=[])
    assert "=Tc/" not in postgresql.run("SELECT datacl FROM pg_database WHERE datname = 'mo_rights'").replace("reader=", "")
    tables = make(admin, GRANT, database="mo_rights", role="reader", objectType="table", schema="public", privileges=["SELECT"])
    assert tables[0].id == "reader_mo_rights_public_table"
    assert update(admin, rights, privileges=["CONNECT", "TEMPORARY"])["privileges"] == ["CONNECT", "TEMPORARY"]
    postgresql.run("REVOKE TEMPORARY ON DATABASE mo_rights FROM reader")
    found = admin.read(*rights)
    assert found is not None
    assert found[2]["privileges"] == ["CONNECT"]
    for made in (tables, public, rights):
        admin.delete(*made, timeout=0)
    assert "reader" not in postgresql.run("SELECT datacl FROM pg_database WHERE datname = 'mo_rights'")
    for made in (database, reader):
        admin.delete(*made, timeout=0)
    assert admin.read(*rights) is None


def test_what_is_there_already_is_an_error(postgresql: Server, plain: Provider) -> None:
    postgresql.run("CREATE ROLE taken")
    with pytest.raises(ProviderError) as caught:
        make(plain, ROLE, name="taken")
    assert str(caught.value) == '1 error occurred:\n\t* error creating role taken: pq: role "taken" already exists (42710)\n\n'
    postgresql.run("DROP ROLE taken")


def test_the_servers_certificate_is_checked(postgresql: Server, tmp_path: Path) -> None:
    shutil.copy(postgresql.certificate, tmp_path / "ca.pem")
    checked = provider(postgresql, str(tmp_path), sslmode="verify-full", sslrootcert="ca.pem")
    role = make(checked, ROLE, name="over_tls")
    checked.delete(*role, timeout=0)
    (tmp_path / "other.pem").write_text("")
    with pytest.raises(ProviderError, match="error connecting to PostgreSQL server"):
        make(provider(postgresql, str(tmp_path), sslmode="verify-full", sslrootcert="other.pem"), ROLE, name="x")
    # Without a file the machine's authorities are meant, which do not know this one.
    with pytest.raises(ProviderError, match="certificate verify failed"):
        make(provider(postgresql, str(tmp_path), sslmode="verify-full"), ROLE, name="x")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"port": "1"}, "dial tcp 127.0.0.1:1: connect: connection refused"),
        ({"password": "wrong"}, "pq: password authentication failed"),
        ({"database": "nowhere"}, 'pq: database "nowhere" does not exist'),
    ],
)
def test_a_connection_that_fails_is_one_sentence(postgresql: Server, settings: dict[str, str], words: str) -> None:
    with pytest.raises(ProviderError) as caught:
        make(provider(postgresql, **settings), ROLE, name="x")
    assert words in str(caught.value)
    assert "deployer-pw" not in str(caught.value)


@pytest.mark.parametrize("inputs", [{"objectType": "function"}, {"objectType": 7}, {"privileges": "CONNECT"}, {"role": None}])
def test_wrong_grants_are_refused(plain: Provider, inputs: dict[str, Any]) -> None:
    given = {"database": "d", "role": "r", "objectType": "database", "privileges": ["CONNECT"], **inputs}
    assert plain.check(Resource("urn:pulumi:dev::p::t::n", GRANT), {}, given, b"")[1]
