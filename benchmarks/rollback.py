"""What the way back costs an operator: `python -m benchmarks.rollback [--json FILE]`.

On one fresh sandbox host: `bin/mo deploy` of all services, another one with another release of each, then `bin/mo rollback` of all of
them back, forward and back again. Exit code 1 where a rollback took a quarter of the first deploy's time or more, or uploaded something.
"""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from pathlib import Path

from benchmarks.__main__ import PROJECT, timed
from benchmarks.scene import Scene

_RATIO = 0.25
_REASON = "the way back is measured"


def main() -> int:
    """Prints seconds and ratios."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rollback", description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--port", type=int, default=24000, help="base of the sandbox's ports")
    options = parser.parse_args()
    wrong: list[str] = []
    with Scene.scratch(PROJECT) as (clone, folder), Scene(clone, folder / "host", options.port) as scene:
        deploy = ("bin/mo", "deploy", "--yes")
        seconds = {"first deploy": timed(partial(scene.run, *deploy))}
        scene.change_all()
        seconds["second deploy"] = timed(partial(scene.run, *deploy))
        for name, update in (("back", "1"), ("forward", "2"), ("back again", "1")):
            seconds[name] = timed(partial(scene.run, "bin/mo", "rollback", "--yes", "--to", update, "--reason", _REASON))
            services = json.loads(scene.run("bin/mo", "report", "--json"))["services"]
            if idle := [service["service"] for service in services if not service["changed"]]:
                wrong.append(f"{name}: {', '.join(idle)} went nowhere")
            if sent := sum(service["bytes"] for service in services):
                wrong.append(f"{name}: {sent} bytes were uploaded")
            if seconds[name] >= _RATIO * seconds["first deploy"]:
                wrong.append(f"{name}: {seconds[name] / seconds['first deploy']:.2f} of the first deploy")
        scene.require_all_answer()
    for name, value in seconds.items():
        print(f"{name:<14}{value:6.1f} s   {value / seconds['first deploy']:.2f} of the first deploy")
    for sentence in wrong:
        print(sentence, file=sys.stderr)
    if options.json:
        options.json.write_text(json.dumps(seconds, indent=1))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
