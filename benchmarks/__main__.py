"""Runs the comparison: `python -m benchmarks [--rounds N] [--json FILE]`.

Each round gives each contender a fresh sandbox host of its own.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.scene import Scene

PROJECT = Path(__file__).resolve().parents[1]
SCENARIOS = ("first", "no change", "one file", "all files", "back")
CONTENDERS = ("limit", "mo-deploy", "serial")
IMPORTS = "import pulumi, pulumi_command, pulumi_github, pulumi_random, pulumi_postgresql, pulumi_mysql"


def timed(action: Callable[[], object]) -> float:
    """Seconds of wall clock."""
    begin = time.monotonic()
    action()
    return time.monotonic() - begin


def bare_import() -> float:
    """Seconds that Python needs to import the SDK and the five provider packages: no Pulumi program can start faster."""
    return timed(lambda: subprocess.run([PROJECT / ".venv/bin/python", "-c", IMPORTS], check=True))


def one_round(contender: str, clone: Path, directory: Path, port: int) -> dict[str, float]:
    """All scenarios, one after the other, on a sandbox that is made for it and removed afterwards."""
    with Scene(clone, directory, port) as scene:
        actor = scene.actor(contender)
        figures = {"first": timed(actor.deploy), "no change": timed(actor.deploy)}
        scene.change_one_file()
        figures["one file"] = timed(actor.deploy)
        before = scene.releases()
        scene.change_all()
        figures["all files"] = timed(actor.deploy)
        figures["back"] = timed(lambda: actor.back(before))
        scene.require_all_answer()
        figures["logins"] = scene.logins()
        return figures


def main() -> int:
    """Prints the table; exit code 1 where a contender did not end with every service answering."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument(
        "--port", type=int, default=24000, help="base of the sandbox's ports, below those that the kernel gives to clients"
    )
    options = parser.parse_args()
    figures: dict[str, dict[str, list[float]]] = {c: {} for c in CONTENDERS}
    imports: list[float] = []
    with Scene.scratch(PROJECT) as (clone, folder):
        for number in range(options.rounds):
            # Another order in each round, so that a machine that tires hits nobody alone.
            for contender in CONTENDERS[number % 3 :] + CONTENDERS[: number % 3]:
                imports.append(bare_import())
                result = one_round(contender, clone, folder / f"host-{number}-{contender}", options.port)
                for name, value in result.items():
                    figures[contender].setdefault(name, []).append(value)
                print(f"round {number + 1} {contender}: " + ", ".join(f"{k} {v:.2f}" for k, v in result.items()), file=sys.stderr)
    median = {c: {k: statistics.median(v) for k, v in f.items()} for c, f in figures.items()}
    imported = statistics.median(imports)
    print(f"bare import of the SDK and five provider packages: {imported:.2f} s\n")
    print("| seconds, median (× limit) | " + " | ".join(SCENARIOS) + " | logins |")
    print("| --- |" + " --- |" * (len(SCENARIOS) + 1))
    for contender in CONTENDERS:
        row = median[contender]
        cells = [f"{row[s]:.2f} ({row[s] / median['limit'][s]:.2f})" for s in SCENARIOS]
        print(f"| {contender} | " + " | ".join(cells) + f" | {row['logins']:.0f} |")
    own = median["mo-deploy"]
    beside = (own["first"] - own["no change"]) / median["limit"]["first"]
    print(f"\nfirst deploy, beside what a run without a change takes: {beside:.2f} × the limit")
    print(f"no-change up: {own['no change'] / imported:.2f} × the bare import")
    print(f"back to the releases before, all services: {own['back'] / own['first']:.2f} × the first deploy")
    if options.json:
        options.json.write_text(json.dumps({"seconds": figures, "import": imports}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
