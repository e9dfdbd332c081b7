"""Sources that are larger than honest ones: bounded memory, and hashing near the speed of ``sha256sum``."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from operations.build import tree

from .conftest import PROJECT

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]

_BUILD = """
import resource, sys
from pathlib import Path
from catalog.models import Service
from operations.build import build
root = Path(sys.argv[1])
plain = {"title": "s", "host": "x", "path": "x", "technology": "static", "runtime": "files", "stacks": ["sandbox"]}
service = Service.model_validate({**plain, "source": "s"})
outcome = build({"s": service}, root / "monorepo", root / "dist", cache_folder=root / "cache").outcomes["s"]
assert outcome.error is None, outcome.error
own = [file for file in outcome.manifest.files if file.path != ".htaccess"]  # which every build of a site adds
print(len(own), sum(file.size for file in own), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def build_in_a_process(root: Path) -> tuple[int, int, int]:
    """Builds the service ``s`` below ``root``; its files, their bytes, and the most memory that the process had (MiB)."""
    done = subprocess.run([sys.executable, "-c", _BUILD, str(root)], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    files, size, memory = map(int, done.stdout.split())
    return files, size, memory


def test_100_000_files_are_built_in_less_than_300_mb(tmp_path: Path) -> None:
    for folder in range(100):
        place = tmp_path / f"monorepo/s/{folder}"
        place.mkdir(parents=True)
        for number in range(1000):
            (place / f"{number}.txt").touch()
    files, _, memory = build_in_a_process(tmp_path)
    assert files == 100_000
    assert memory < 300


def test_a_file_of_2_gib_is_built_in_less_than_300_mb(tmp_path: Path) -> None:
    (tmp_path / "monorepo/s").mkdir(parents=True)
    with (tmp_path / "monorepo/s/large.bin").open("wb") as stream:
        stream.truncate(2 << 30)
    try:
        files, size, memory = build_in_a_process(tmp_path)
    finally:
        for place in tmp_path.rglob("large.bin"):
            place.unlink()
    assert (files, size) == (1, 2 << 30)
    assert memory < 300


def test_hashing_20_000_files_takes_at_most_half_as_long_again_as_sha256sum(tmp_path: Path) -> None:
    for folder in range(20):
        (tmp_path / f"s/{folder}").mkdir(parents=True)
        for number in range(1000):
            (tmp_path / f"s/{folder}/{number}.bin").write_bytes(os.urandom(16) * 250)
    names = b"\0".join(os.fsencode(p) for p in sorted((tmp_path / "s").rglob("*.bin")))

    def by_sha256sum() -> float:
        started = time.process_time() + sum(os.times()[2:4])
        subprocess.run(["xargs", "-0", "sha256sum"], input=names, stdout=subprocess.DEVNULL, check=True)
        return time.process_time() + sum(os.times()[2:4]) - started

    def by_us() -> float:
        started = time.process_time()
        tree.digest([("", tree.listing(tmp_path / "s", "s"))])
        return time.process_time() - started

    # Processor time, the best of interleaved runs: the machine has other work too.
    pairs = [(by_us(), by_sha256sum()) for _ in range(5)]
    assert min(ours for ours, _ in pairs) <= 1.5 * min(theirs for _, theirs in pairs), pairs
