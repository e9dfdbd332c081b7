"""The monorepo's apps as the host runs them: built, laid out as releases, on a MariaDB and a mail server of the test's own."""

from __future__ import annotations

import shutil
import socketserver
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from catalog import reader
from catalog.models import Service
from operations.build import Built, build

from .host import MailHandler, Mails, MariaDB, Site, lay_out

PROJECT = Path(__file__).resolve().parents[3]
MONOREPO = PROJECT / "sandbox/monorepo"


@pytest.fixture(scope="session")
def services() -> dict[str, Service]:
    """The project's catalogue."""
    return reader.read().services


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory, services: dict[str, Service]) -> tuple[Path, Built]:
    """All 22 artefacts of the sandbox's monorepo."""
    out = tmp_path_factory.mktemp("all") / "dist"
    return out, build(services, MONOREPO, out)


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    """A MariaDB server for all tests of this folder."""
    if not shutil.which("mariadbd"):
        pytest.skip("no mariadbd on this machine")
    server = MariaDB(tmp_path_factory.mktemp("db"))
    yield server
    server.process.terminate()
    server.process.wait(30)


@pytest.fixture(scope="session")
def mail_server() -> Iterator[Mails]:
    """The port of a mail server, and what it has received."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), MailHandler) as server:
        received: Mails = (server.server_address[1], [])
        server.received = received[1]  # type: ignore[attr-defined]
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield received
        server.shutdown()


@pytest.fixture(scope="session")
def settings(mail_server: Mails, mariadb: MariaDB) -> Callable[[str], dict[str, str]]:
    """Makes a database and an account for a service; the variables of its secrets.env."""

    def make(key: str) -> dict[str, str]:
        password = 'it\'s $HOME \\n "x"'
        quoted = password.replace("\\", "\\\\").replace("'", "\\'")
        mariadb.run(
            f"CREATE DATABASE mo_{key} CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;"
            f"CREATE USER svc_{key}@'127.0.0.1' IDENTIFIED BY '{quoted}'; CREATE USER svc_{key}@localhost IDENTIFIED BY '{quoted}';"
            f"GRANT ALL ON mo_{key}.* TO svc_{key}@'127.0.0.1'; GRANT ALL ON mo_{key}.* TO svc_{key}@localhost;"
        )
        database = {
            "DB_ENGINE": "mariadb",
            "DB_HOST": "127.0.0.1",
            "DB_PORT": str(mariadb.port),
            "DB_NAME": f"mo_{key}",
            "DB_USER": f"svc_{key}",
        }
        mail = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(mail_server[0]), "SMTP_USER": "", "SMTP_PASS": ""}
        addresses = {
            "SUPPORT_EMAIL": "support@mo.localhost",
            "CIVIMAIL_FROM": "newsletter@mo.localhost",
            "CIVIMAIL_BOUNCE": "bounce@mo.localhost",
        }
        return {**database, "DB_PASS": password, **mail, **addresses, "JWT_SECRET": "j" * 64, "SESSION_SECRET": "s" * 64}

    return make


@pytest.fixture(scope="session")
def site(
    dist: tuple[Path, Built], mariadb: MariaDB, settings: Callable[[str], dict[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Site]]:
    """Starts a PHP service of the catalogue, its migrations applied; each once."""
    running: dict[str, Site] = {}
    root = tmp_path_factory.mktemp("host")

    def start(key: str) -> Site:
        if key not in running:
            release = lay_out(root, key, dist[0], settings(key))
            scripts = sorted([*release.glob("migrations/*.sql"), *release.glob("prisma/migrations/*/migration.sql")])
            for script in scripts:
                mariadb.run(script.read_text(), f"mo_{key}")
            if (release / "vendor/bin/drush").exists():
                for command in (["cache:rebuild"], ["updatedb", "-y"], ["civicrm:upgrade:db"], ["cache:rebuild"]):
                    subprocess.run(["php", "vendor/bin/drush", *command], cwd=release, check=True, capture_output=True)
            running[key] = Site(release)
        return running[key]

    yield start
    for one in running.values():
        one.process.terminate()
        one.process.wait(10)
