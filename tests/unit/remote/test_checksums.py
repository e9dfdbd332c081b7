"""The host and the plan know the same file by the same checksums, whatever its line endings."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.schema import MARK, checksums

HOST = Path(__file__).parents[3] / "components/remote/host"
SHELLS = [shell for shell in (["dash"], ["busybox", "sh"], ["bash", "--posix"]) if shutil.which(shell[0])]
PIECES = [b"\n", b"\r\n", b"\r", b"a", b";", b" ", MARK, b"\xc3\xa4", b"\xff", b"'"]
TEXT = st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join)


def _on_host(shell: list[str], files: list[Path], recorded: str = "") -> list[list[str]]:
    script = (
        f'. "{HOST}/common"; . "{HOST}/checksums"; recorded=$1; shift\n'
        'for file; do checksums "$file" "${file##*/}"; printf "%s\\n" "$sums"; done'
    )
    done = subprocess.run([*shell, "-c", script, "sh", recorded, *map(str, files)], capture_output=True, text=True, check=True)
    return [line.split("\t") for line in done.stdout.splitlines()]


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(TEXT, min_size=6, max_size=6))
def test_the_host_knows_a_file_by_the_checksums_of_the_plan(shell: list[str], texts: list[bytes], tmp_path: Path) -> None:
    files = []
    for n, text in enumerate(texts):
        files.append(tmp_path / f"{n}.sql")
        files[-1].write_bytes(text)
    for text, sums in zip(texts, _on_host(shell, files), strict=True):
        assert set(sums) == {hashlib.sha256(text).hexdigest(), *checksums(text)}


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_where_a_file_is_recorded_as_it_is_nothing_else_is_read(shell: list[str], tmp_path: Path) -> None:
    place = tmp_path / "1.sql"
    place.write_bytes(b"a\n")
    own = hashlib.sha256(b"a\n").hexdigest()
    assert _on_host(shell, [place], f"0.sql\tx\n1.sql\t{own}") == [[own]]
    assert len(_on_host(shell, [place], f"0.sql\t{own}")[0]) > 1, "another migration's record says nothing of this one"


def test_a_text_and_its_windows_checkout_share_their_checksums() -> None:
    unix, windows = b"CREATE TABLE a (b int);\nSELECT 1;\n", MARK + b"CREATE TABLE a (b int);\r\nSELECT 1;\r\n"
    assert hashlib.sha256(unix).hexdigest() in checksums(windows)
    assert hashlib.sha256(windows).hexdigest() in checksums(unix)
    assert not set(checksums(unix)) & set(checksums(unix + b"DROP TABLE a;\n"))
