"""The host programs under busybox: its sh and its applets alone, with rsync and the database's programs, and with nothing besides."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import Remote, Service, Sshd
from .test_env import test_values_come_back_exactly_and_the_file_is_private as test_env
from .test_facts import test_tells_live_and_finished_releases_with_manifests_only_where_they_differ as test_facts
from .test_logs import test_both_logs_are_found_after_a_failed_first_deploy_and_in_place as test_logs
from .test_logs import test_of_the_error_log_whole_entries_of_the_service_are_shown as test_error_log
from .test_logs import test_the_deployment_log_has_a_line_for_each_release_that_went_live_or_was_put_back as test_deployment_log
from .test_logs import test_the_process_s_own_output_is_shown_and_a_failed_activation_quotes_its_last_lines as test_process_output
from .test_migrations import server
from .test_migrations import test_a_failing_offline_migration_restores_inside_its_window as test_offline
from .test_migrations import test_sql_migrations_are_applied_once_recorded_and_verified as test_sql
from .test_permissions import (
    test_unusual_modes_in_persistent_paths_are_told_and_closed_where_asked_alone_and_nothing_is_opened as test_own_permissions,
)
from .test_permissions import test_wrong_modes_are_named_and_mended_where_asked_alone as test_permissions
from .test_stage import test_refuses_a_tree_that_differs_from_its_manifest as test_digests
from .test_stage import test_stages_files_with_awkward_names_and_right_modes as test_stage
from .test_switch import test_a_bad_release_serves_nobody_and_the_old_one_stays as test_bad
from .test_switch import test_files_that_would_disappear_stop_the_switch_and_are_named as test_refusal
from .test_switch import test_first_second_and_back_again as test_switch
from .test_switch import test_found_content_is_adopted_with_its_uploads as test_adoption
from .test_switch import (
    test_in_place_files_of_the_site_at_undeclared_paths_are_kept_and_told as test_kept,
)
from .test_switch import test_what_is_written_during_the_deploy_in_which_a_path_becomes_persistent_comes_along as test_uploads

pytestmark = pytest.mark.sandbox
__all__ = [
    "server",
    "test_adoption",
    "test_bad",
    "test_deployment_log",
    "test_digests",
    "test_env",
    "test_error_log",
    "test_facts",
    "test_kept",
    "test_logs",
    "test_offline",
    "test_own_permissions",
    "test_permissions",
    "test_process_output",
    "test_refusal",
    "test_sql",
    "test_stage",
    "test_switch",
    "test_uploads",
]

WITH = ("rsync", "mariadb", "mariadb-dump", "psql", "pg_dump", "pg_restore")


def _path(folder: Path, programs: tuple[str, ...]) -> Path:
    """A folder with busybox's applets and these programs, to be the whole PATH."""
    place = folder / "bin"
    place.mkdir()
    busybox = shutil.which("busybox")
    assert busybox
    for applet in subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split():
        (place / applet).symlink_to(busybox)
    for program in programs:
        found = shutil.which(program)
        assert found, program
        (place / program).symlink_to(found)
    return place


def _start(account: pwd.struct_passwd, programs: tuple[str, ...]) -> tuple[Sshd, Path]:
    folder = Path(tempfile.mkdtemp(prefix="mo-busybox-"))
    folder.chmod(0o755)
    server = Sshd(folder, account)
    server.start(environment={"PATH": str(_path(folder, programs))})
    return server, folder


@pytest.fixture(scope="module")
def sshd(account: pwd.struct_passwd) -> Iterator[Sshd]:
    server, folder = _start(account, WITH)
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


def test_the_host_has_neither_flock_nor_gnu_tools(service: Service) -> None:
    found = service.remote.run("facts", services=[], programs=["flock", "perl", "python3", "bash", "mv"])["programs"]
    assert (found["flock"], found["perl"], found["python3"], found["bash"]) == (None, None, None, None)
    assert os.path.basename(os.path.realpath(found["mv"])) == "busybox"


def test_a_bare_host_is_told_apart_by_facts_and_refused_by_name(account: pwd.struct_passwd) -> None:
    bare, folder = _start(account, ())
    state = Path(tempfile.mkdtemp(prefix="mo-remote-"))
    state.chmod(0o755)
    remote = Remote(bare, state)
    try:
        services = [
            {"service": "docs", "target": "docs", "release": None, "database": None, "migrate": None},
            {
                "service": "votes",
                "target": "votes",
                "release": None,
                "database": {"engine": "mariadb", "name": "mo_votes"},
                "migrate": {"kind": "sql", "directory": "migrations"},
            },
        ]
        known = remote.run("facts", services=services, programs=["php"])["services"]
        assert known["docs"]["lacks"] == ["rsync"]
        assert known["votes"]["lacks"] == [
            "rsync",
            "a client for its database (mariadb mysql)",
            "a dump program for its database (mariadb-dump mysqldump)",
        ]
        release = remote.artefact("votes", {"index.html": "x"})
        assert "the host has no rsync" in remote.refused("stage", service="votes", release=release, target="a/b")
    finally:
        remote.close()
        bare.stop()
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(state, ignore_errors=True)
