"""What a snapshot costs: ours against the bare dump tool with the same compression, on one database, in turns; seconds and peak memory.

Ours also counts every table's rows, takes the dump's SHA-256 and writes a manifest.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.scene import Scene

PROJECT = Path(__file__).resolve().parents[1]
HOST = PROJECT / "components/remote/host"
NAME, USER = "mo_bench", "svc_bench"
ROWS_PER_MB = 980
LIMIT = 1.3

_OURS = """
. "$MO_TOOL/common"
. "$MO_TOOL/database"
. "$MO_TOOL/dump"
q_root=$1 q_service=bench q_schema=''
places
make_places
db_open || fail "$db_error"
db_bytes=$2
snapshot_make "$3" || fail "$reason"
db_close
"""
_BARE = {
    "mariadb": 'mariadb-dump --defaults-file="$1/client.cnf" --single-transaction --quick --routines --triggers --no-tablespaces '
    '--hex-blob "$3" | gzip -1 >"$1/bare.dump"',
    "postgresql": 'pg_dump -Fc -Z1 -f "$1/bare.dump"',
}


@dataclass(frozen=True)
class Run:
    """One dump. ``peak``: bytes that its processes had in memory together."""

    seconds: float
    peak: int
    size: int


class Database:
    """A database of so many megabytes on the sandbox's server of this engine, with the folder of a service that uses it."""

    def __init__(self, engine: str, settings: dict[str, Any], folder: Path, megabytes: int) -> None:
        self.engine, self.folder = engine, folder
        self.server = settings["servers"]["plesk" if engine == "mariadb" else "external-postgresql"]
        key = "pleskAdminPassword" if engine == "mariadb" else "externalPostgresqlAdminPassword"
        self.password = settings["secrets"][key]
        self.user = self.server["adminUser"]
        host, port = self.server["host"], str(self.server["port"])
        self.environment = {**os.environ, "MO_TOOL": str(HOST), "PGPASSWORD": self.password, "PGHOST": host, "PGPORT": port}
        self.environment |= {"PGUSER": self.user, "PGSSLMODE": "require", "PGDATABASE": NAME}
        options = f"[client]\nhost={host}\nport={port}\nprotocol=tcp\nuser={self.user}\npassword={self.password}\n"
        (folder / "client.cnf").touch(mode=0o600)
        (folder / "client.cnf").write_text(options)
        base = folder / ".deploy/bench"
        base.mkdir(parents=True)
        lines = {
            "DB_ENGINE": engine,
            "DB_HOST": host,
            "DB_PORT": port,
            "DB_NAME": NAME,
            "DB_USER": self.user,
            "DB_PASS": self.password,
        }
        if engine == "postgresql":
            lines["DB_SSL_CA"] = str(settings["ca"])
        (base / "secrets.env").touch(mode=0o600)
        (base / "secrets.env").write_text("".join(f"{key}='{value}'\n" for key, value in lines.items()))
        self._fill(megabytes)
        self.bytes = int(self._sql(self._size()).strip() or 0)

    def _size(self) -> str:
        if self.engine == "postgresql":
            return f"SELECT pg_database_size('{NAME}')"
        return f"SELECT SUM(data_length+index_length) FROM information_schema.tables WHERE table_schema='{NAME}'"

    def _fill(self, megabytes: int) -> None:
        """Rows of a kilobyte that compress about as text does: hexadecimal digests and repetition."""
        if self.engine == "mariadb":
            self._sql(f"DROP DATABASE IF EXISTS {NAME}; CREATE DATABASE {NAME} CHARACTER SET utf8mb4")
            make, text, step = f"{NAME}.big", "CONCAT(SHA2(seq, 512), SHA2(seq + 0.5, 512), REPEAT(MD5(seq), 24))", 64
        else:
            self._sql(f"DROP DATABASE IF EXISTS {NAME}", "postgres")
            self._sql(f"CREATE DATABASE {NAME}", "postgres")
            make, step = "big", 64
            other = "seq::text || 'x'"
            digest = "encode(sha512(({})::bytea), 'hex')"
            text = f"{digest.format('seq::text')} || {digest.format(other)} || repeat(md5(seq::text), 24)"
        self._sql(f"CREATE TABLE {make} (id bigint PRIMARY KEY, what text)")
        for first in range(0, megabytes, step):
            low, high = first * ROWS_PER_MB + 1, min(first + step, megabytes) * ROWS_PER_MB
            rows = f"seq_{low}_to_{high}" if self.engine == "mariadb" else f"generate_series({low}, {high}) AS seq"
            self._sql(f"INSERT INTO {make} SELECT seq, {text} FROM {rows}")
        self._sql(f"ANALYZE {'TABLE ' if self.engine == 'mariadb' else ''}{make}")

    def _sql(self, text: str, database: str | None = None) -> str:
        if self.engine == "mariadb":
            command = [
                "mariadb",
                f"--defaults-file={self.folder}/client.cnf",
                "--batch",
                "--skip-column-names",
                "mysql",
                "-e",
                text,
            ]
        else:
            command = ["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database or NAME, "-c", text]
        return subprocess.run(command, env=self.environment, check=True, capture_output=True, text=True).stdout

    def bare(self) -> Run:
        """The dump tool and the compression alone."""
        return self._timed(_BARE[self.engine], self.folder / "bare.dump", "", NAME)

    def ours(self, number: int) -> Run:
        """The host program's ``snapshot_make``."""
        name = f"20260101T0000{number:02d}Z-bench"
        done = self._timed(_OURS, self.folder / f".deploy/bench/snapshots/{name}.dump", str(self.bytes), name)
        for path in (self.folder / ".deploy/bench/snapshots").iterdir():
            path.unlink()
        return done

    def _timed(self, script: str, result: Path, *words: str) -> Run:
        begun = time.monotonic()
        command = ["sh", "-c", script, "sh", str(self.folder), *words]
        child = subprocess.Popen(command, env=self.environment, stdout=subprocess.PIPE, start_new_session=True)
        peak = 0
        while child.poll() is None:
            peak = max(peak, _resident(child.pid))
            time.sleep(0.02)
        seconds = time.monotonic() - begun
        assert child.stdout
        said = child.stdout.read()
        child.stdout.close()
        if child.returncode or not result.stat().st_size:
            raise SystemExit(f"the dump failed: {said.decode(errors='replace')[-300:]}")
        return Run(seconds, peak, result.stat().st_size)


def _resident(session: int) -> int:
    """Bytes in memory of all processes of a session, the files' shared pages left out."""
    total = 0
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            if os.getsid(int(entry)) != session:
                continue
            text = Path(f"/proc/{entry}/status").read_text()
        except (OSError, ProcessLookupError):
            continue
        total += sum(int(line.split()[1]) << 10 for line in text.splitlines() if line.startswith("RssAnon:"))
    return total


@contextmanager
def sandbox(folder: Path, port: int) -> Iterator[dict[str, Any]]:
    """The settings of a running sandbox, which is gone afterwards; its clone keeps it apart from one that this checkout may have."""
    clone = Scene.clone(PROJECT, folder.parent / "clone")
    environment = {**os.environ, "MO_SANDBOX_DIR": str(folder), "MO_SANDBOX_PORT": str(port)}
    command = [sys.executable, "-m", "sandbox"]
    subprocess.run([*command, "up"], cwd=clone, env=environment, check=True, stdout=subprocess.DEVNULL)
    try:
        yield yaml.safe_load((folder / "settings.yaml").read_text())
    finally:
        subprocess.run([*command, "down"], cwd=clone, env=environment, check=False, stdout=subprocess.DEVNULL)


def measure(engine: str, settings: dict[str, Any], folder: Path, megabytes: int, rounds: int) -> dict[str, Any]:
    """In turns, so that what else the machine does meets both; medians."""
    database = Database(engine, settings, folder, megabytes)
    database.bare()
    bare, ours = [], []
    for number in range(rounds):
        bare.append(database.bare())
        ours.append(database.ours(number))
    seconds = {name: statistics.median(run.seconds for run in runs) for name, runs in (("bare", bare), ("ours", ours))}
    return {
        "engine": engine,
        "megabytes": round(database.bytes / 2**20),
        "dump_megabytes": round(ours[0].size / 2**20),
        "bare_seconds": round(seconds["bare"], 2),
        "ours_seconds": round(seconds["ours"], 2),
        "ratio": round(seconds["ours"] / seconds["bare"], 3),
        "peak_megabytes": round(max(run.peak for run in ours) / 2**20, 1),
        "bare_peak_megabytes": round(max(run.peak for run in bare) / 2**20, 1),
    }


def main() -> int:
    """Prints a line a measurement; exit code 1 where a ratio is above the limit or memory grows with the database."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dump", description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--engine", choices=("mariadb", "postgresql"), action="append")
    parser.add_argument("--port", type=int, default=int(os.environ.get("MO_SANDBOX_PORT", "28000")))
    asked = parser.parse_args()
    good = True
    with tempfile.TemporaryDirectory(prefix="mo-dump-", dir="/var/tmp") as place:
        folder = Path(place)
        folder.chmod(0o755)
        with sandbox(folder / "host", asked.port) as settings:
            settings["ca"] = settings["servers"]["external-postgresql"]["caFile"]
            for engine in asked.engine or ("mariadb", "postgresql"):
                peaks = []
                for megabytes in (asked.megabytes // 8, asked.megabytes):
                    inner = folder / f"{engine}-{megabytes}"
                    inner.mkdir()
                    found = measure(engine, settings, inner, megabytes, asked.rounds)
                    print(json.dumps(found), flush=True)
                    peaks.append(found["peak_megabytes"])
                good = good and found["ratio"] <= LIMIT and peaks[1] <= peaks[0] * 1.5 + 4
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
