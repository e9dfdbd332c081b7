"""The same work by hand: what a careful person's shell scripts would do, as the limit (one SSH master, 8 channels) and serially.

Both rsync every artefact, and for services with a database dump it, apply what its migrations lack, switch the symlink, restart, and
ask the URL; before the first deploy they make what it needs (``prepare.py``). They keep no state, judge no gate,
verify no digest and put nothing back: the limit is a floor.
"""

from __future__ import annotations

import contextlib
import shlex
import subprocess
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from catalog.manifest import load
from catalog.models import Service
from catalog.settings import StackSettings

CHANNELS = 8
T = TypeVar("T")

_MARIADB = 'mariadb --defaults-extra-file=../../my.cnf "$DB_NAME"'
_SQL = f"""
{_MARIADB} -e 'CREATE TABLE IF NOT EXISTS schema_version (version VARCHAR(190) PRIMARY KEY, checksum CHAR(64), applied_at DATETIME)'
have=$({_MARIADB} -N -e 'SELECT version FROM schema_version')
for f in DIRECTORY/*.sql; do
  v=$(basename "$f" .sql)
  case $v in *.down) continue ;; esac
  printf '%s\\n' "$have" | grep -qxF "$v" && continue
  {_MARIADB} < "$f"
  {_MARIADB} -e "INSERT INTO schema_version VALUES ('$v', '', NOW())"
done
"""
_PRISMA = f"""
{_MARIADB} -e 'CREATE TABLE IF NOT EXISTS _prisma_migrations (id VARCHAR(36) PRIMARY KEY, checksum VARCHAR(64) NOT NULL,
  finished_at DATETIME(3), migration_name VARCHAR(255) NOT NULL, logs TEXT, rolled_back_at DATETIME(3),
  started_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3), applied_steps_count INT UNSIGNED NOT NULL DEFAULT 0)'
have=$({_MARIADB} -N -e 'SELECT migration_name FROM _prisma_migrations')
for d in DIRECTORY/*/; do
  v=$(basename "$d")
  printf '%s\\n' "$have" | grep -qxF "$v" && continue
  {_MARIADB} < "$d/migration.sql"
  {_MARIADB} -e "INSERT INTO _prisma_migrations (id, checksum, finished_at, migration_name) VALUES (UUID(), '', NOW(3), '$v')"
done
"""
_VENV = (
    "[ -x .venv/bin/python ] || { python3 -m venv .venv && "
    ".venv/bin/pip install -q --no-index --find-links wheels -r requirements.txt; }\n"
)


@dataclass(frozen=True)
class Work:
    """One service's share: its artefact in ``dist``, and what a person would run on the host for it."""

    key: str
    service: Service
    tree: Path
    release: str
    url: str


class ByHand:
    """Deploys every service of ``work`` in a way that the subclass-free flag ``serial`` picks."""

    def __init__(self, settings: StackSettings, work: list[Work], scratch: Path, *, serial: bool) -> None:
        self.settings, self.work, self.serial = settings, work, serial
        self.host = settings.host
        known = scratch / "known_hosts"
        known.write_text("".join(f"[{self.host.address}]:{self.host.port} {k}\n" for k in self.host.host_keys))
        self.ssh = [
            "ssh", "-F", "none", "-p", str(self.host.port), "-i", str(self.host.key_file),
            "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
            "-o", f"UserKnownHostsFile={known}", "-o", "StrictHostKeyChecking=yes", "-l", self.host.user,
        ]  # fmt: skip
        if not serial:
            self.ssh += ["-S", str(scratch / "ctl")]

    @contextlib.contextmanager
    def connected(self) -> Iterator[None]:
        """Keeps one master for all that follows; serially, each step logs in by itself."""
        if self.serial:
            yield
            return
        subprocess.run([*self.ssh, "-M", "-N", "-f", self.host.address], check=True)
        try:
            yield
        finally:
            subprocess.run([*self.ssh, "-O", "exit", self.host.address], check=True, capture_output=True)

    def each(self, action: Callable[[T], object], items: Iterable[T]) -> None:
        """Does that for each of ``items``: as many at once as there are channels, or one after the other."""
        if self.serial:
            for item in items:
                action(item)
            return
        with ThreadPoolExecutor(CHANNELS) as pool:
            list(pool.map(action, items))

    def deploy(self) -> None:
        """Everything once. Raises ``CalledProcessError`` where a step fails."""
        # The services that wait for another are few; a person would put them last.
        self.each(self._one, sorted(self.work, key=lambda w: len(w.service.after)))

    def back(self, releases: dict[str, str]) -> None:
        """Back to earlier releases that are still on the host: one rename each, restart, and the question whether it answers."""
        chosen = [w for w in self.work if w.key in releases]
        scripts = [self._switch(w, releases[w.key]) for w in chosen]
        for script in scripts if self.serial else ["".join(scripts)]:
            self.on_host(f"set -e\n{script}")
        for w in chosen:
            self.probe(w)

    def on_host(self, script: str) -> None:
        """Runs a shell program on the host."""
        subprocess.run([*self.ssh, self.host.address, "sh"], input=script.encode(), check=True, capture_output=True)

    def _releases(self, work: Work) -> str:
        return f"{self.host.root}/.deploy/{work.key}/releases"

    def _one(self, work: Work) -> None:
        target = f"{self._releases(work)}/{work.release}"
        subprocess.run(
            [
                "rsync", "-a", "--delete", "--mkpath", "--exclude=.venv",
                "-e", shlex.join(self.ssh), f"{work.tree}/", f"{self.host.address}:{target}/",
            ],
            check=True,
            capture_output=True,
        )  # fmt: skip
        script = f"set -e\ncd {shlex.quote(target)}\n{self._data(work)}{self._switch(work, work.release)}"
        self.on_host(script)
        self.probe(work)

    def _data(self, work: Work) -> str:
        migrate, database = work.service.steps.migrate, work.service.database
        venv = _VENV if work.service.steps.dependencies == "venv" else ""
        if migrate is None or database is None:
            return venv
        dump = (
            'mariadb-dump --defaults-extra-file=../../my.cnf --single-transaction --routines --triggers "$DB_NAME"'
            " | gzip -1 > ../../dump.gz\n"
            if database.engine == "mariadb"
            else 'PGPASSWORD=$DB_PASS PGSSLMODE=require pg_dump -Fc -h "$DB_HOST" -p "$DB_PORT" -U "$DB_USER" "$DB_NAME" > ../../dump.pg\n'
        )
        steps = {
            "sql": _SQL.replace("DIRECTORY", str(migrate.directory)),
            "prisma": _PRISMA.replace("DIRECTORY", str(migrate.directory)),
            "alembic": ".venv/bin/python -m alembic upgrade head\n",
        }.get(migrate.kind) or "".join(shlex.join(c) + "\n" for c in migrate.commands)
        return f". ../../secrets.env\n{venv}{dump}{steps}"

    def _switch(self, work: Work, release: str) -> str:
        up = "../" * work.service.path.count("/")
        link = f"{up}.deploy/{work.key}/releases/{release}"
        target = shlex.quote(f"{self.host.root}/{work.service.path}")
        script = f"[ -L {target} ] || rm -rf {target}\nln -sfn {shlex.quote(link)} {target}.new\nmv -T {target}.new {target}\n"
        restart = work.service.steps.restart
        if restart and work.service.runtime == "process":
            script += shlex.join(restart.command) + "\n"
        return script

    def probe(self, work: Work) -> None:
        """Asks the service's URL; raises ``CalledProcessError`` where it does not answer 2xx."""
        edge = self.settings.edge
        command = [
            "curl",
            "-sf",
            "-o",
            "/dev/null",
            "--retry",
            "20",
            "--retry-delay",
            "0",
            "--retry-all-errors",
            "--max-time",
            "20",
        ]
        if edge.ca_file:
            command += ["--cacert", edge.ca_file]
        if edge.connect:
            command += ["--connect-to", f"::{edge.connect}"]
        subprocess.run([*command, work.url], check=True)


def work_of(services: dict[str, Service], settings: StackSettings, dist: Path) -> list[Work]:
    """The share of every service from what ``dist/`` holds."""
    result = []
    for key, service in services.items():
        name = f"{service.host}.{settings.domain}" if service.host else settings.domain
        url = f"{settings.edge.scheme}://{name}:{settings.edge.port}{service.health.path}"
        result.append(Work(key, service, dist / key / "tree", load(dist / key / "manifest.json").release, url))
    return result
