"""How the embedded engine's cost grows with the stack: `python -m benchmarks.engine_scale [--sizes 200,2000] [--json FILE]`.

For each size a stack of its own, in a temporary folder: half of the resources are `random.RandomString`, four in ten
`command.local.Command` (each runs the shell's `true`), one in ten a component; every tenth resource needs the one before it. Measured
are `up` from nothing and `up` without a change, in processes like a user's: seconds of wall clock, and the engine's largest resident set.
Exit code 1 where ten times the resources take 13 times as long, or the engine more than 500 MiB.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
_RATIO = 13.0
_MEMORY = 500  # MiB
_PROGRAM = """\
import pulumi
from pulumi_command import local
from pulumi_random import RandomString

size = pulumi.Config().require_int("size")
parent, before = None, None
for number in range(size):
    needs = [before] if before is not None and number % 10 == 5 else None
    options = pulumi.ResourceOptions(parent=parent, depends_on=needs)
    if number % 10 == 0:
        parent = pulumi.ComponentResource("scale:index:Group", f"group{number}", {})
        continue
    if number % 2:
        before = RandomString(f"text{number}", length=12, special=False, opts=options)
    else:
        before = local.Command(f"command{number}", create="true", environment={"NUMBER": str(number)}, opts=options)
pulumi.export("size", size)
"""
# Reports the engine's own peak, not that of the program, which is a process of its own.
_ENGINE = "import resource, sys; from embedded.cli.main import main; code = main(); " \
    "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr); sys.exit(code)"  # fmt: skip


class Scale:
    """A stack of `size` resources in `folder`."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder, self.size = folder, size
        (folder / "state").mkdir()
        (folder / "Pulumi.yaml").write_text("name: scale\nruntime: python\n")
        (folder / "__main__.py").write_text(_PROGRAM)
        self.pulumi("stack", "init", "dev")
        self.pulumi("config", "set", "size", str(size))

    def pulumi(self, *words: str) -> tuple[float, int]:
        """Runs a command of the engine: its seconds and its peak memory in MiB. `CalledProcessError` where it fails."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PULUMI_")} | {
            "PULUMI_BACKEND_URL": f"file://{self.folder}/state",
            "PULUMI_CONFIG_PASSPHRASE": "scale",
            "PULUMI_HOME": str(self.folder / "home"),
            "PYTHONPATH": str(PROJECT),
        }
        begin = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", _ENGINE, *words, "--non-interactive"], cwd=self.folder, env=environment, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        if done.returncode:
            print(done.stdout[-2000:], done.stderr[-2000:], file=sys.stderr)
            done.check_returncode()
        return time.monotonic() - begin, int(done.stderr.split()[-1]) // 1024

    def measure(self) -> dict[str, float]:
        """Seconds and MiB of both runs."""
        first, peak = self.pulumi("up", "--yes", "--skip-preview", "--suppress-outputs")
        again, peak_again = self.pulumi("up", "--yes", "--skip-preview", "--suppress-outputs", "--expect-no-changes")
        return {"resources": self.size, "first": first, "no change": again, "MiB": max(peak, peak_again)}


def main() -> int:
    """Prints a row a size, and the ratios of the largest to the smallest."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engine_scale", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", default="200,2000", help="numbers of resources, smallest first")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows = []
    print(f"{'resources':>9} {'first up':>9} {'no change':>9} {'memory':>9}")
    for size in map(int, options.sizes.split(",")):
        with tempfile.TemporaryDirectory(prefix="engine-scale-") as folder:
            rows.append(row := Scale(Path(folder), size).measure())
        print(f"{size:9} {row['first']:8.1f}s {row['no change']:8.1f}s {row['MiB']:5.0f} MiB", flush=True)
    ratios = {name: rows[-1][name] / rows[0][name] for name in ("first", "no change")}
    print(f"{'ratio':>9} {ratios['first']:9.1f} {ratios['no change']:9.1f}")
    if options.json:
        options.json.write_text(json.dumps({"rows": rows, "ratios": ratios}, indent=2))
    return 0 if max(ratios.values()) < _RATIO and rows[-1]["MiB"] < _MEMORY else 1


if __name__ == "__main__":
    sys.exit(main())
