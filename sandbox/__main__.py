"""``python -m sandbox up|down|status`` and ``python -m sandbox monitoring up|down|status``."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from sandbox import lifecycle, monitoring
from sandbox.layout import Layout, SandboxError, of_clone


def main(arguments: list[str] | None = None) -> int:
    """Runs one command. 0: done (``status``: all parts run), 1: not, with one sentence on stderr, 3: ``status``: some part is down."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="The loopback host that stands for the real one.")
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser("up", help="start what does not run; safe to repeat")
    start.add_argument("--no-link", action="store_true", help="leave the clone's .sandbox link alone")
    stop = commands.add_parser("down", help="stop everything and remove folder, account and link")
    stop.add_argument("--keep-data", action="store_true", help="stop the processes only")
    commands.add_parser("status", help="tell what runs")
    watch = commands.add_parser("monitoring", help="Prometheus, Alertmanager and exporters on the deployed sandbox")
    watch.add_argument("action", choices=("up", "down", "status"))
    watch.add_argument("--time-scale", type=float, default=1.0, help="multiplies every time of an alert (default 1)")
    watch.add_argument("--scrape-interval", type=int, default=15, metavar="SECONDS", help="between two looks (default 15)")
    given = parser.parse_args(arguments)
    try:
        layout = of_clone(Path(__file__).resolve().parent.parent)
        if given.command == "up":
            return _up(layout, link=not given.no_link)
        if given.command == "down":
            lifecycle.down(layout, keep_data=given.keep_data)
            print(f"sandbox {layout.directory}: {'stopped' if given.keep_data else 'removed'}")
            return 0
        if given.command == "monitoring":
            return _monitoring(layout, given)
        return _status(layout)
    except SandboxError as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 1


def _up(layout: Layout, link: bool) -> int:
    began = time.monotonic()
    lifecycle.up(layout, link=link, say=lambda line: print(f"  {line}", flush=True))
    print(
        f"sandbox {layout.directory}: up in {time.monotonic() - began:.1f} s (ssh {layout.port('ssh')}, https {layout.port('https')})"
    )
    return 0


def _monitoring(layout: Layout, given: argparse.Namespace) -> int:
    if given.action == "status":
        return _status(layout, monitoring.status(layout))
    if given.action == "down":
        monitoring.down(layout)
        print("monitoring: stopped")
        return 0
    began = time.monotonic()
    monitoring.up(layout, given.time_scale, given.scrape_interval, say=lambda line: print(f"  {line}", flush=True))
    print(f"monitoring: up in {time.monotonic() - began:.1f} s: http://127.0.0.1:{layout.port('prometheus')} (Prometheus), "
          f"http://127.0.0.1:{layout.port('alertmanager')} (Alertmanager)")  # fmt: skip
    return 0


def _status(layout: Layout, states: list[lifecycle.State] | None = None) -> int:
    states = lifecycle.status(layout) if states is None else states
    for state in states:
        print(f"  {state.name:26} {'runs, process ' + str(state.pid) if state.pid else 'does not run'}")
    print(f"sandbox {layout.directory}, ports from {layout.base}")
    return 0 if all(state.pid for state in states) else 3


if __name__ == "__main__":
    sys.exit(main())
