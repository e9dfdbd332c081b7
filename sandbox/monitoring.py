"""The monitoring machine: Debian's Prometheus, Alertmanager and exporters on ports of their own, with the files of ``bin/mo export`` alone.

What no export may hold (the accounts of the database exporters, the webhook's token, the mail password) stands in files of mode 600.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import yaml
from psycopg import sql

from sandbox import account, lifecycle, processes, site
from sandbox.databases import ADMIN, MARIADBS
from sandbox.layout import Layout, SandboxError
from sandbox.processes import Daemon
from sandbox.settings import SMTP_USER
from sandbox.site import Part

PARTS = (
    "prometheus",
    "alertmanager",
    "blackbox",
    "mysqld-plesk",
    "mysqld-external-mariadb",
    "postgres-exporter",
    "node-exporter",
)
ACCOUNT = "mo_monitor"
"""The exporters' account on each database server: it may look at the server's state and at nothing else."""
MAIL_TO = "monitoring@mo.localhost"
_EXPORTERS = ("mysqld-plesk", "mysqld-external-mariadb", "postgres-exporter")


def up(layout: Layout, time_scale: float = 1.0, scrape_interval: int = 15, say: Callable[[str], None] = lambda _: None) -> None:
    """Exports the stack's files and starts what does not run; safe to repeat, and a changed file is taken in.

    ``time_scale``, ``scrape_interval`` (seconds): docs/monitoring.md. Raises ``SandboxError``: the sandbox does not run, nothing is
    deployed to it, a program is missing or does not start.
    """
    if processes.running(layout, "sshd") is None:
        raise SandboxError("the sandbox does not run; start it first: make sandbox-up")
    passwords = site.passwords(layout)
    _accounts(layout, passwords["monitor"])
    folder = account.directory(layout.monitoring)
    secrets = account.directory(folder / "secrets", mode=0o700)
    account.write(secrets / "webhook-token", passwords["webhook-secret"], 0o600)
    account.write(secrets / "smtp-password", passwords["smtp-password"], 0o600)
    account.write(folder / "settings.yaml", yaml.safe_dump(settings(layout, time_scale, scrape_interval), sort_keys=False))
    export(layout)
    parts = [_part(layout, name, passwords["monitor"]) for name in PARTS]
    with ThreadPoolExecutor(len(parts)) as pool:
        for done in pool.map(lambda part: lifecycle.bring_up(layout, part), parts):
            if done:
                say(done)
    reload(layout)


def down(layout: Layout) -> None:
    """Ends the tools; their data and the exported files stay until the sandbox goes."""
    with ThreadPoolExecutor(len(PARTS)) as pool:
        list(pool.map(lambda name: processes.stop(layout, name), PARTS))


def status(layout: Layout) -> list[lifecycle.State]:
    """Each tool with its process."""
    return [lifecycle.State(name, processes.running(layout, name)) for name in PARTS]


def export(layout: Layout) -> None:
    """Runs ``bin/mo export``, as a timer of the monitoring machine does."""
    argv = [
        "bin/mo",
        "export",
        "--stack",
        "sandbox",
        "--format",
        "prometheus",
        "--settings",
        str(layout.monitoring / "settings.yaml"),
    ]
    done = subprocess.run([*argv, "--out", str(files(layout))], cwd=layout.clone, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SandboxError(f"bin/mo export ended with {done.returncode}: {(done.stderr or done.stdout).strip()}")


def reload(layout: Layout) -> None:
    """Lets the tools read their configuration again: what file_sd does not pick up by itself."""
    for name in ("prometheus", "alertmanager", "blackbox"):
        pid = processes.running(layout, name)
        if pid is not None:
            os.kill(pid, signal.SIGHUP)


def files(layout: Layout) -> Path:
    """Where the exported files are."""
    return layout.monitoring / "files"


def settings(layout: Layout, time_scale: float, scrape_interval: int) -> dict[str, Any]:
    """The keys of ``monitoring.settings``: addresses of the tools, where alerts go."""

    def at(name: str) -> str:
        return f"127.0.0.1:{layout.port(name)}"

    return {
        "prometheus": at("prometheus"),
        "alertmanager": at("alertmanager"),
        "blackbox": at("blackbox"),
        "node_exporter": at("node-exporter"),
        "mysqld_exporters": {name: at(f"mysqld-{name}") for name in MARIADBS},
        "postgres_exporters": {"external-postgresql": at("postgres-exporter")},
        "scrape_interval": scrape_interval,
        "export_interval": 86400,  # no timer runs here: up, and who tries it, export
        "time_scale": time_scale,
        "n8n_webhook": f"http://{at('hooks')}/webhook/alert",
        "smtp": at("smtp"),
        "smtp_user": SMTP_USER,
        "smtp_ca_file": str(layout.ca),
        "mail_from": SMTP_USER,
        "mail_to": MAIL_TO,
        "secrets_directory": str(layout.monitoring / "secrets"),
    }


def _accounts(layout: Layout, password: str) -> None:
    """The exporters' accounts, made by the servers' administrators. The same statements stand in docs/monitoring.md."""
    passwords = site.passwords(layout)
    for name in MARIADBS:
        with pymysql.connect(host="127.0.0.1", port=layout.port(name), user=ADMIN, password=passwords[name]) as connection:
            cursor = connection.cursor()
            cursor.execute(
                f"CREATE USER IF NOT EXISTS {ACCOUNT}@'127.0.0.1' IDENTIFIED BY %s WITH MAX_USER_CONNECTIONS 3", (password,)
            )
            cursor.execute(f"GRANT PROCESS, REPLICATION CLIENT, SLAVE MONITOR ON *.* TO {ACCOUNT}@'127.0.0.1'")
    with psycopg.connect(
        host="127.0.0.1", port=layout.port("external-postgresql"), user="postgres", password=passwords["postgresql-superuser"],
        dbname="postgres", sslmode="verify-full", sslrootcert=str(layout.ca), autocommit=True,
    ) as server:  # fmt: skip
        if server.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (ACCOUNT,)).fetchone() is None:
            server.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(ACCOUNT), password))
            server.execute(f"GRANT pg_monitor TO {ACCOUNT}")


def _part(layout: Layout, name: str, password: str) -> Part:
    folder, made = layout.monitoring, files(layout)
    secrets = folder / "secrets"
    listen = f"--web.listen-address=127.0.0.1:{layout.port(name)}"
    environment: dict[str, str] = {}
    if name == "prometheus":
        data = account.directory(folder / "prometheus")
        argv = [
            f"--config.file={made}/prometheus/prometheus.yml",
            f"--storage.tsdb.path={data}",
            "--storage.tsdb.retention.time=1d",
        ]
    elif name == "alertmanager":
        data = account.directory(folder / "alertmanager")
        argv = [f"--config.file={made}/alertmanager/alertmanager.yml", f"--storage.path={data}", "--cluster.listen-address="]
    elif name == "blackbox":
        argv = [f"--config.file={made}/prometheus/blackbox.yml"]
    elif name == "node-exporter":
        argv = [
            "--collector.disable-defaults",
            "--collector.textfile",
            f"--collector.textfile.directory={made}/prometheus/textfile",
        ]
    elif name == "postgres-exporter":
        server = f"127.0.0.1:{layout.port('external-postgresql')}/postgres?sslmode=verify-full&sslrootcert={layout.ca}"
        account.write(secrets / "postgres-user", ACCOUNT, 0o600)
        account.write(secrets / "postgres-password", password, 0o600)
        environment = {
            "DATA_SOURCE_URI": server,
            "DATA_SOURCE_USER_FILE": str(secrets / "postgres-user"),
            "DATA_SOURCE_PASS_FILE": str(secrets / "postgres-password"),
        }
        argv = []
    else:
        server_port = layout.port(name.removeprefix("mysqld-"))
        text = f"[client]\nhost=127.0.0.1\nport={server_port}\nuser={ACCOUNT}\npassword={password}\n"
        account.write(secrets / f"{name}.cnf", text, 0o600)
        argv = [f"--config.my-cnf={secrets}/{name}.cnf"]
    program = _program(name)
    address = f"http://127.0.0.1:{layout.port(name)}/{'-/ready' if name in ('prometheus', 'alertmanager') else ''}"
    return Part(Daemon(name, (program, *argv, listen), environment=environment), lambda: _answers(address), patience=60)


def _program(name: str) -> str:
    wanted = {
        "prometheus": "prometheus",
        "alertmanager": "prometheus-alertmanager",
        "blackbox": "prometheus-blackbox-exporter",
        "postgres-exporter": "prometheus-postgres-exporter",
        "node-exporter": "prometheus-node-exporter",
    }.get(name, "prometheus-mysqld-exporter")
    found = shutil.which(wanted)
    if found is None:
        raise SandboxError(f"{wanted} is not installed; bin/setup installs what the sandbox needs")
    return found


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
