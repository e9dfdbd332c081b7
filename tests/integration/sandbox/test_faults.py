"""The faults that tests switch on are real, and over when they are switched off."""

from __future__ import annotations

import pymysql
import pytest

from tests.sandbox_fixture import Sandbox

pytestmark = pytest.mark.sandbox


def test_the_bare_port_gives_busybox_and_nothing_else(sandbox: Sandbox) -> None:
    said = sandbox.ssh(
        "for p in rsync python3 php mariadb psql pleskctl curl git; do command -v $p; done; ls -l $(command -v mv); id -un",
        bare=True,
    )
    link, user = said.stdout.decode().splitlines()
    assert "busybox" in link
    assert user == sandbox.user
    assert sandbox.ssh("command -v rsync").stdout.decode().strip() == str(sandbox.layout.programs / "rsync")


def test_a_stopped_database_refuses_and_comes_back(sandbox: Sandbox) -> None:
    with sandbox.database_down("mariadb-plesk"), pytest.raises(pymysql.err.OperationalError, match="refused"):
        sandbox.mariadb()
    sandbox.mariadb().close()


def test_a_small_disk_is_full_soon_and_leaves_the_sites_as_they_were(sandbox: Sandbox) -> None:
    page = sandbox.root / "frontend" / "index.html"
    page.write_text("kept")
    try:
        with sandbox.small_disk(4):
            assert sandbox.get("frontend").status == 403
            full = sandbox.ssh(f"dd if=/dev/zero of={sandbox.root}/big bs=1024k count=8", check=False)
            assert full.returncode == 1
            assert b"No space left on device" in full.stderr
        assert sandbox.get("frontend").body == "kept"
        assert not (sandbox.root / "big").exists()
    finally:
        page.unlink()


def test_a_read_only_root_serves_and_refuses_writes(sandbox: Sandbox) -> None:
    with sandbox.read_only_root():
        refused = sandbox.ssh(f"touch {sandbox.root}/x", check=False)
        assert b"Read-only file system" in refused.stderr
        assert sandbox.get("frontend").status == 403
    sandbox.ssh(f"touch {sandbox.root}/x && rm {sandbox.root}/x")


def test_reset_takes_everything_back_to_before_the_first_deploy(sandbox: Sandbox) -> None:
    sandbox.ssh(
        f"cd {sandbox.root} && mkdir -p .deploy/votes && rmdir frontend && ln -s .deploy frontend && nohup sleep 300 >/dev/null 2>&1 &"
    )
    for server in ("plesk", "external-mariadb"):
        with sandbox.mariadb(server) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE DATABASE mo_left")
            cursor.execute("CREATE USER 'svc_left'@'127.0.0.1' IDENTIFIED BY 'x'")
    with sandbox.postgresql() as postgresql:
        postgresql.execute("CREATE ROLE svc_left LOGIN PASSWORD 'x'")
        postgresql.execute("GRANT svc_left TO mo_admin")
        postgresql.execute("CREATE DATABASE mo_left OWNER svc_left")
    sandbox.github.control(code_scanning=[{}])
    sandbox.reset()
    assert sorted(entry.name for entry in (sandbox.root / "frontend").iterdir()) == []
    assert not (sandbox.root / "frontend").is_symlink()
    assert not (sandbox.root / ".deploy").exists()
    assert b"sleep 300" not in sandbox.ssh("cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '").stdout
    for server in ("plesk", "external-mariadb"):
        with sandbox.mariadb(server) as connection, connection.cursor() as cursor:
            assert cursor.execute("SELECT 1 FROM mysql.user WHERE user = 'svc_left'") == 0
            assert cursor.execute("SELECT 1 FROM information_schema.schemata WHERE schema_name = 'mo_left'") == 0
    with sandbox.postgresql() as postgresql:
        assert postgresql.execute("SELECT 1 FROM pg_roles WHERE rolname = 'svc_left'").fetchone() is None
    assert sandbox.github.state()["code_scanning"] == []
    assert sandbox.get("frontend").status == 403
