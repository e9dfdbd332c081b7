"""What a first deploy by hand needs: databases, accounts, credential files on the host, the GitHub environment and its secrets."""

from __future__ import annotations

import secrets
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from typing import Final

import httpx
import psycopg
import pymysql
from nacl.public import PublicKey, SealedBox
from psycopg import sql

from benchmarks.byhand import ByHand
from catalog.models import Database, Service
from catalog.settings import GitHubSettings, ServerSettings

_ADMINISTRATORS: Final = {
    "plesk": "pleskAdminPassword",
    "external-mariadb": "externalMariadbAdminPassword",
    "external-postgresql": "externalPostgresqlAdminPassword",
}
_GITHUB_SECRETS: Final = 49
"""As many as the program writes for the sandbox stack."""


def prepare(hand: ByHand, services: Mapping[str, Service], owner: Mapping[str, str]) -> None:
    """Makes it all with as many hands as ``hand`` has. ``owner``: the secrets of the stack's owner, by their names in the settings file.

    Raises what the clients of the servers raise where one refuses.
    """
    servers = hand.settings.servers
    passwords = {key: secrets.token_hex(24) for key, service in services.items() if service.database}

    def database(key: str) -> None:
        wanted = services[key].database
        assert wanted is not None
        make = _mariadb if wanted.engine == "mariadb" else _postgresql
        make(servers[wanted.server], owner[_ADMINISTRATORS[wanted.server]], wanted, passwords[key])

    hand.each(database, passwords)
    hand.on_host("".join(_folders(hand, services, passwords)))
    _github(hand, owner["githubToken"])


def _folders(hand: ByHand, services: Mapping[str, Service], passwords: Mapping[str, str]) -> Iterator[str]:
    """The program that makes each service's folder and its credential files."""
    yield "set -e\numask 077\n"
    for key, service in services.items():
        folder = f"{hand.host.root}/.deploy/{key}"
        yield f"mkdir -p {folder}/releases && chmod 755 {folder} {folder}/releases {hand.host.root}/.deploy\n"
        if service.database is None:
            continue
        database, server = service.database, hand.settings.servers[service.database.server]
        values = {
            "DB_ENGINE": database.engine, "DB_HOST": server.host, "DB_PORT": server.port, "DB_NAME": database.name,
            "DB_USER": database.user, "DB_PASS": passwords[key], "JWT_SECRET": "x" * 64, "SESSION_SECRET": "x" * 64,
        }  # fmt: skip
        lines = "\n".join(f"{k}='{v}'" for k, v in sorted(values.items()))
        yield f"cat > {folder}/secrets.env <<'END'\n{lines}\nEND\n"
        client = f"host={server.host}\nport={server.port}\nuser={database.user}\npassword={passwords[key]}"
        yield f"cat > {folder}/my.cnf <<'END'\n[client]\n{client}\nEND\n"


def _mariadb(server: ServerSettings, admin_password: str, database: Database, password: str) -> None:
    with (
        pymysql.connect(host=server.host, port=server.port, user=server.admin_user, password=admin_password) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(f"CREATE DATABASE IF NOT EXISTS {database.name} CHARACTER SET utf8mb4")
        cursor.execute(f"CREATE OR REPLACE USER {database.user}@'127.0.0.1' IDENTIFIED BY %s", (password,))
        cursor.execute(f"GRANT ALL PRIVILEGES ON {database.name}.* TO {database.user}@'127.0.0.1'")


def _postgresql(server: ServerSettings, admin_password: str, database: Database, password: str) -> None:
    name, user = sql.Identifier(database.name), sql.Identifier(database.user)
    with psycopg.connect(
        host=server.host,
        port=server.port,
        user=server.admin_user,
        password=admin_password,
        dbname="postgres",
        sslmode="require",
        autocommit=True,
    ) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(user, sql.Literal(password)))
        connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(user))
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, user))


def _github(hand: ByHand, token: str) -> None:
    settings: GitHubSettings = hand.settings.github
    place = f"repos/{settings.owner}/{settings.repository}/environments/{settings.environment}"
    api = f"{str(settings.base_url).rstrip('/')}/api/v3/"
    with httpx.Client(base_url=api, headers={"Authorization": f"Bearer {token}"}) as client:
        client.put(place, json={}).raise_for_status()
        key = client.get(f"{place}/secrets/public-key").raise_for_status().json()
        box = SealedBox(PublicKey(b64decode(key["key"])))

        def write(number: int) -> None:
            sealed = b64encode(box.encrypt(secrets.token_bytes(32))).decode()
            body = {"encrypted_value": sealed, "key_id": key["key_id"]}
            client.put(f"{place}/secrets/BY_HAND_{number}", json=body).raise_for_status()

        hand.each(write, range(_GITHUB_SECRETS))
