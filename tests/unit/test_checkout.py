"""A clone runs on any machine, whatever its git is set to."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_programs_have_plain_line_ends_where_git_makes_others(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "-c", "core.autocrlf=true", "clone", "-q", "-n", str(ROOT), str(clone)], check=True)
    (clone / ".gitattributes").write_bytes((ROOT / ".gitattributes").read_bytes())
    git = ["git", "-c", "core.autocrlf=true", "-C", str(clone)]
    subprocess.run([*git, "checkout", "-q", "HEAD", "--", "bin", "components/remote"], check=True)
    programs = [path for folder in ("bin", "components/remote/host") for path in (clone / folder).iterdir() if path.is_file()]
    assert len(programs) > 30
    assert [path.name for path in programs if b"\r" in path.read_bytes()] == []
