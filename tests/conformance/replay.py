"""Replays recorded cases with the embedded engine and compares: exit codes, steps, states, previews, outputs, settings, history.

    python tests/conformance/replay.py DIR [--json] [--only CASE[/STEP]] [--jobs N] [--keep]

DIR holds cases, or is one. Exits with 1 when a step differs, with 2 when DIR has no case. What the engine refuses by name ("… is not
supported by the embedded engine …") is counted apart; the recorded state then takes the place of the step's, so that the next one counts.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import difflib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.conformance import normalise, servers, warm
from tests.conformance.chance import CHANCE, RACES

ROOT = Path(__file__).resolve().parents[2]
REFUSAL = "is not supported by the embedded engine"
OPERATIONS = frozenset({"up", "preview", "destroy", "refresh", "import"})
_TIME_LIMIT = 500  # seconds for one command
_RACES = 6  # replays of a case with a race; on a laden machine four in ten end otherwise than the recorded one


@dataclass
class Step:
    """The outcome of a step: ``same``, ``differs`` or ``refused``, and what was different."""

    case: str
    name: str
    outcome: str = "same"
    differences: list[str] = field(default_factory=list)

    def differ(self, what: str, expected: Any, actual: Any) -> None:
        """Notes a difference."""
        self.outcome = "differs"
        self.differences.append(f"{what}: {_contrast(expected, actual)}")


def _contrast(expected: Any, actual: Any, place: str = "") -> str:
    """Where two values differ first, in short."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        parts = []
        for key in sorted(expected.keys() | actual.keys(), key=str):
            if expected.get(key) != actual.get(key):
                parts.append(_contrast(expected.get(key), actual.get(key), f"{place}/{key}"))
        return "; ".join(parts[:8]) + (f" … {len(parts) - 8} more" if len(parts) > 8 else "")
    if isinstance(expected, list) and isinstance(actual, list):
        texts = (
            [json.dumps(item, sort_keys=True, default=str) for item in expected],
            [json.dumps(item, sort_keys=True, default=str) for item in actual],
        )
        missing, extra = Counter(texts[0]) - Counter(texts[1]), Counter(texts[1]) - Counter(texts[0])
        return f"{place} missing {_short(list(missing))}, unexpected {_short(list(extra))}"
    if isinstance(expected, str) and isinstance(actual, str) and "\n" in expected + actual:
        lines = [
            line
            for line in difflib.unified_diff(expected.splitlines(), actual.splitlines(), lineterm="", n=0)
            if line[:2] not in ("--", "++", "@@")
        ]
        return _short("\n".join([place, *lines]))
    return f"{place} expected {_short(expected)}, got {_short(actual)}"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) < 700 else text[:700] + "…"


class Case:
    """One case in a working folder of its own."""

    def __init__(self, source: Path, work: Path, pool: warm.Pool | None = None) -> None:
        self.source, self.work, self.pool = source, work, pool
        self.text = (source / "case.yaml").read_text(encoding="utf-8")
        self.document: dict[str, Any] = yaml.safe_load(self.text)
        self.directory = work / "case"
        self.names, self.recorded = normalise.Names(), normalise.Names()
        self.programs = 0
        shutil.copytree(source, self.directory, ignore=shutil.ignore_patterns("expected", "case.yaml"))
        (self.directory / "state").mkdir()
        settings = self.directory / "Pulumi.dev.yaml"
        if settings.exists():
            # The recorded settings come from after the first `stack init`, which makes them.
            settings.unlink()
        self.environment = self._environment()
        for place, name in self._places():
            self.names.add_place(place, name)

    def _environment(self) -> dict[str, str]:
        bin_folder = self.work / "bin"
        bin_folder.mkdir()
        launcher = bin_folder / "pulumi"
        run = f"import runpy, sys; sys.path[0] = {str(ROOT)!r}; runpy.run_module('embedded', run_name='__main__', alter_sys=True)"
        launcher.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{run}" "$@"\n')
        launcher.chmod(0o755)
        slow = bin_folder / "pulumi-slow"
        # The recorded CLI takes seconds to start; the Automation API's case counts on that where it begins a second update.
        slow.write_text(f'#!/bin/sh\ncase "$*" in *"stack select"*) sleep 5 ;; esac\nexec {launcher} "$@"\n')
        slow.chmod(0o755)
        wrapper = self.directory / "wrapper-pulumi.py"
        if wrapper.exists():
            (bin_folder / "wrapped").mkdir()
            shutil.copy(wrapper, bin_folder / "wrapped" / "pulumi")
            (bin_folder / "wrapped" / "pulumi").chmod(0o755)
        kept = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("PULUMI_", "PYTHONPATH", "VIRTUAL_ENV", "CI", "GITHUB_"))
        }
        return kept | {
            "PATH": f"{bin_folder}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "WRAPPER": str(bin_folder / "wrapped"),
            "REAL_PULUMI": str(slow),
            "DIR": str(self.directory),
            "PULUMI_HOME": str(self.work / "home"),
            "PULUMI_BACKEND_URL": f"file://{self.directory}/state",
            "PULUMI_CONFIG_PASSPHRASE": "conformance",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DEBUG_COMMANDS": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        }

    def _places(self) -> list[tuple[str, str]]:
        base = Path(sys.base_prefix)
        return [
            (str(self.directory), "$DIR"),
            (sys.prefix, "$VENV"),
            (str(base), "$PYTHON"),
            (str(self.work / "home"), "$PULUMI_HOME"),
        ]

    def expand(self, text: str, extra: dict[str, str]) -> str:
        """``text`` with ``$DIR`` and the servers' ports filled in."""
        for key, value in {"DIR": str(self.directory), **extra}.items():
            text = text.replace(f"${key}", value)
        return text

    def run(self, words: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        """Runs a command in the case's folder."""
        return subprocess.run(
            words, cwd=self.directory, env=environment, capture_output=True, text=True, errors="replace", timeout=_TIME_LIMIT, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def pulumi(self, *words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Runs the engine's command line, in a warm process where there is a pool of them."""
        command = [*words, "--color", "never", "--non-interactive"]
        if self.pool is None:
            return self.run(["pulumi", *command], env or self.environment)
        return self.pool.run(command, self.directory, env or self.environment, _TIME_LIMIT)

    def replay(self, only: str | None) -> list[Step]:
        """Runs every step up to ``only`` and gives the outcomes."""
        with servers.for_case(self.text)(self.work, self.directory) as variables:
            self.environment |= variables
            for name, value in variables.items():
                self.names.add(value, f"${name}")
            for key, value in (self.document.get("env") or {}).items():
                self.environment[key] = self.expand(str(value), variables)
            if before := self.document.get("before"):
                done = self.run(["bash", "-c", before], self.environment)
                if done.returncode:
                    raise servers.MissingServerError(f"the case's preparation failed: {done.stderr[:300]}")
            if not self.document.get("noinit"):
                self.pulumi("stack", "init", "dev").check_returncode()
            outcomes = []
            for number, step in enumerate(self.document["steps"], 1):
                outcomes.append(self.step(self.source / "expected" / f"{number:02d}-{step['name']}", step, variables))
                if step["name"] == only:
                    break
            else:
                self._history(outcomes)
        return outcomes

    def step(self, expected: Path, step: dict[str, Any], variables: dict[str, str]) -> Step:
        """Runs one step and compares it."""
        outcome = Step(self.source.name, step["name"])
        environment = self.environment | {key: self.expand(str(value), variables) for key, value in (step.get("env") or {}).items()}
        if step.get("program"):
            self._program(self.directory / step["program"])
        for words in step.get("config") or []:
            self.pulumi("config", *map(str, words))
        if step.get("before"):
            self.run(["bash", "-c", step["before"]], environment)
        stack = ["--stack", step["stack"]] if step.get("stack") else []
        if (expected / "preview.json").exists() and "command" in step:
            self._preview(outcome, expected, step, stack, environment)
        log = self.work / "events.jsonl"
        log.unlink(missing_ok=True)
        if "command" in step:
            words = [self.expand(str(word), variables) for word in step["command"]] + stack
            if words[0] in OPERATIONS:
                words += ["--event-log", str(log)] if (expected / "events.jsonl").exists() else []
            done = self.pulumi(*words, env=environment)
        else:
            done = self.run(["bash", "-c", step["shell"]], environment)
        return self._judge(outcome, expected, step, stack, done, log)

    def _program(self, source: Path) -> None:
        """Makes ``source`` the program. Its time differs from that of every program before: Python knows a module that it has compiled by
        time (in seconds) and size, and a warm engine does several steps in one second."""
        program = self.directory / "__main__.py"
        shutil.copy(source, program)
        self.programs += 1
        time = int(program.stat().st_mtime) + self.programs
        os.utime(program, (time, time))

    def _judge(
        self,
        outcome: Step,
        expected: Path,
        step: dict[str, Any],
        stack: list[str],
        done: subprocess.CompletedProcess[str],
        log: Path,
    ) -> Step:
        if REFUSAL in done.stdout + done.stderr:
            outcome.outcome, outcome.differences = (
                "refused",
                [next(line for line in (done.stdout + done.stderr).splitlines() if REFUSAL in line)],
            )
            if (expected / "export.json").exists():
                self.pulumi("stack", "import", "--force", "--file", str(expected / "export.json"), *stack)
            return outcome
        if done.returncode != step["exit"]:
            outcome.differ("exit code", step["exit"], f"{done.returncode}\n{done.stdout[-1500:]}{done.stderr[-1500:]}")
        chance = self._left_to_chance(expected, step, log)
        self._state(outcome, expected, stack, chance)
        if (expected / "events.jsonl").exists():
            actual = normalise.steps(_lines(log), chance)
            wanted = normalise.steps(_lines(expected / "events.jsonl"), chance)
            loose = self._by_chance(step) and _same_but_first_violation(wanted, actual)
            if actual != wanted and not loose:
                outcome.differ("steps", sorted(wanted.elements()), sorted(actual.elements()))
        if chance:
            self.pulumi("stack", "import", "--force", "--file", str(expected / "export.json"), *stack)
        if "command" in step and str(step["command"][0]) not in OPERATIONS:
            self._texts(outcome, expected, done)
        for recording in sorted(expected.glob("Pulumi.*.yaml")):
            path = self.directory / recording.name
            actual_text = self.names.text(path.read_text()) if path.exists() else "(no file)"
            if actual_text != self.recorded.text(recording.read_text()):
                outcome.differ(recording.name, self.recorded.text(recording.read_text()), actual_text)
        if (expected / "tree.txt").exists():
            self._tree(outcome, expected)
        if (expected / "automation-argv.jsonl").exists():
            self._calls(outcome, expected)
            answers = [
                names.text(text)
                for names, text in ((self.recorded, (expected / "stdout.txt").read_text()), (self.names, done.stdout))
            ]
            views = normalise.answers(answers[0]), normalise.answers(answers[1])
            if views[0] != views[1]:
                outcome.differ("answers of the Automation API", *views)
        return outcome

    def _by_chance(self, step: dict[str, Any]) -> bool:
        return f"{self.source.name}/{step['name']}" in CHANCE

    def _left_to_chance(self, expected: Path, step: dict[str, Any], log: Path) -> frozenset[str]:
        """The resources that a failing run reached in one run and not in the other: which ones it reaches before it stops is chance.

        Only where nothing failed for them, and what was done is nothing or what the recorded preview announced.
        """
        if not self._by_chance(step) or not all((expected / name).exists() for name in ("preview.json", "export.json")):
            return frozenset()
        announced = {(each["op"], each["urn"]) for each in (_json(expected / "preview.json") or {}).get("steps") or []}
        if not (expected / "events.jsonl").exists():
            exports = [_json_text(self.pulumi("stack", "export").stdout), _json(expected / "export.json")]
            urns = [{r["urn"] for r in e["deployment"].get("resources") or []} for e in exports]
            return frozenset(urn for urn in urns[0] ^ urns[1] if ("create", urn) in announced)
        done = [normalise.steps(_lines(path)) for path in (log, expected / "events.jsonl")]
        lines = [line.split() for line in ((done[0] - done[1]) + (done[1] - done[0])) if not line.startswith(("summary", "policy"))]
        provider = "::pulumi:providers:"
        usual = all(
            kind != "resOpFailedEvent" and (op == "same" or (op, urn) in announced or provider in urn) for kind, op, urn in lines
        )
        return frozenset(urn for _, _, urn in lines) if usual else frozenset()

    def _preview(self, outcome: Step, expected: Path, step: dict[str, Any], stack: list[str], environment: dict[str, str]) -> None:
        command = [str(word) for word in step["command"]]
        rest = [word for word in command[1:] if word not in ("--yes", "--skip-preview", "--expect-no-changes", "--json")]
        words = ["preview", "--json", *rest] if command[0] in ("up", "preview") else [command[0], "--preview-only", "--json", *rest]
        done = self.pulumi(*words, *stack, env=environment)
        exit_file = expected / "preview-exit"
        code = int(exit_file.read_text()) if exit_file.exists() else 0
        if done.returncode != code:
            outcome.differ("exit code of the preview", code, f"{done.returncode}\n{done.stdout[-800:]}{done.stderr[-1200:]}")
        wanted, actual = _json(expected / "preview.json"), _json_text(done.stdout)
        for names, document in ((self.recorded, wanted), (self.names, actual)):
            for each in (document or {}).get("steps") or []:
                names.learn({"resources": [s for s in (each.get("oldState"), each.get("newState")) if s]})
        views: tuple[dict[str, Any], ...] = (normalise.preview(wanted, self.recorded), normalise.preview(actual, self.names))
        if self._by_chance(step) and code and done.returncode:
            # How far this preview came before it failed: what one of them has more than the other is not compared.
            rows = Counter(views[0]["steps"]), Counter(views[1]["steps"])
            if rows[0] <= rows[1] or rows[1] <= rows[0]:
                views = tuple({**view, "changeSummary": None, "steps": None} for view in views)
        if views[0] != views[1]:
            outcome.differ("preview", views[0], views[1])

    def _state(self, outcome: Step, expected: Path, stack: list[str], chance: frozenset[str]) -> None:
        if not (expected / "export.json").exists():
            return
        shown = (expected / "export-plain.json").exists()
        done = self.pulumi("stack", "export", *(["--show-secrets"] if shown else []), *stack)
        actual, wanted = _json_text(done.stdout), _json(expected / ("export-plain.json" if shown else "export.json"))
        self.names.learn((actual or {}).get("deployment") or {})
        self.recorded.learn(wanted["deployment"])
        views = normalise.state(wanted, self.recorded, chance), normalise.state(actual, self.names, chance)
        if views[0] != views[1]:
            outcome.differ("state", *views)
        if wrong := normalise.misplaced(actual):
            outcome.differ("order of the state", [], wrong)
        if (expected / "output.json").exists():
            outputs = _json_text(self.pulumi("stack", "output", "--json", *stack).stdout)
            if self.names.value(outputs) != self.recorded.value(_json(expected / "output.json")):
                outcome.differ("outputs", self.recorded.value(_json(expected / "output.json")), self.names.value(outputs))

    def _texts(self, outcome: Step, expected: Path, done: subprocess.CompletedProcess[str]) -> None:
        for name, text in (("stdout.txt", done.stdout), ("stderr.txt", done.stderr)):
            wanted = (expected / name).read_text() if (expected / name).exists() else ""
            views = _words(normalise.listing(self.recorded.text(wanted))), _words(normalise.listing(self.names.text(text)))
            if views[0] != views[1]:
                outcome.differ(name, *views)

    def _tree(self, outcome: Step, expected: Path) -> None:
        root = self.directory / "state"
        lines = [f"{'dir' if p.is_dir() else 'file'} x {p.relative_to(root)}{'/' if p.is_dir() else ''}" for p in root.rglob("*")]
        views = normalise.paths((expected / "tree.txt").read_text()), normalise.paths("\n".join(lines))
        if views[0] != views[1]:
            outcome.differ("files of the backend", *views)

    def _calls(self, outcome: Step, expected: Path) -> None:
        views = []
        for path, names in (
            (expected / "automation-argv.jsonl", self.recorded),
            (self.directory / "automation-argv.jsonl", self.names),
        ):
            calls = [names.value({key: call.get(key) for key in ("argv", "exit", "after") if key in call}) for call in _lines(path)]
            views.append(
                [
                    re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:$PORT", re.sub(r"(/tmp|\$TMP)/tmp\w+", "$TMP", json.dumps(call)))
                    for call in calls
                ]
            )
        if Counter(views[0]) != Counter(views[1]):
            outcome.differ("calls of the command line", *views)

    def _history(self, outcomes: list[Step]) -> None:
        path, last = self.source / "expected" / "history.json", outcomes[-1]
        if not path.exists() or last.outcome == "refused":
            return
        # What was refused is in no history: the entries since then are compared.
        since = next((n for n, step in enumerate(reversed(outcomes)) if step.outcome == "refused"), None)
        actual = _json_text(self.pulumi("stack", "history", "--json", "--full-dates").stdout)
        views = normalise.history(_json(path), self.recorded), normalise.history(actual, self.names)
        if any(f"{self.source.name}/{step['name']}" in CHANCE for step in self.document["steps"]):
            # How far a failing run came is compared step by step, where chance is told from difference.
            views = _without_counts(views[0]), _without_counts(views[1])
        views = views[0][:since], views[1][:since]
        if views[0] != views[1]:
            last.differ("history", *views)


def _same_but_first_violation(wanted: Counter[str], actual: Counter[str]) -> bool:
    """Whether two refused runs differ only in which mandatory violations they met before they stopped."""
    sides = wanted - actual, actual - wanted
    mandatory = all(line.startswith("policy ") and line.split()[2] == "mandatory" for side in sides for line in side)
    return mandatory and all(
        any(line.startswith("policy ") and " mandatory " in line for line in each) for each in (wanted, actual)
    )


def _without_counts(history: list[Any]) -> list[Any]:
    return [entry | ({"resourceChanges": None} if entry["result"] == "failed" else {}) for entry in history]


def _lines(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _json(path: Path) -> Any:
    return _json_text(path.read_text(encoding="utf-8"))


def _json_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _words(text: str) -> str:
    text = re.sub(r"\d+ (second|minute|hour)s? ago|\bnow\b", "<ago>", text)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? \+0000 UTC", "<time>", text)
    text = re.sub(r"took \d+s", "took <n>s", text)
    return "\n".join(
        re.sub(r"  +", "  ", line.rstrip())
        for line in text.splitlines()
        if not re.match(r' +"?(runtime\.|pulumi\.(env|flag\.event))', line)
    ).strip()


def replay_case(source: Path, *, only: str | None = None, keep: bool = False, pool: warm.Pool | None = None) -> list[Step]:
    """Replays one case, up to the step ``only``, and gives its steps' outcomes; a race that ended otherwise is run again, ``_RACES`` times
    in all. ``keep`` leaves the working folder; a ``pool`` saves the start of an interpreter for each command."""
    for _ in range(_RACES):
        outcomes = _replayed(source, only=only, keep=keep, pool=pool)
        if not any(step.outcome == "differs" and f"{step.case}/{step.name}" in RACES for step in outcomes):
            break
    return outcomes


def _replayed(source: Path, *, only: str | None, keep: bool, pool: warm.Pool | None) -> list[Step]:
    work = Path(tempfile.mkdtemp(prefix=f"replay-{source.name}-"))
    try:
        return Case(source, work, pool).replay(only)
    except servers.MissingServerError as problem:
        return [Step(source.name, "(servers)", "differs", [str(problem)])]
    except subprocess.TimeoutExpired as problem:
        return [Step(source.name, "(time)", "differs", [f"no end after {_TIME_LIMIT} s: {problem.cmd}"])]
    except (subprocess.CalledProcessError, OSError) as problem:
        return [Step(source.name, "(start)", "differs", [str(problem), str(getattr(problem, "stderr", ""))[-1500:]])]
    finally:
        _end_leftovers(work)
        if keep:
            print(f"kept: {work}", file=sys.stderr)
        else:
            shutil.rmtree(work, ignore_errors=True)


def _end_leftovers(folder: Path) -> None:
    """Ends what a killed engine of the case left running: processes whose working directory is below ``folder``."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if str((process / "cwd").readlink()).startswith(f"{folder}/"):
                os.kill(int(process.name), signal.SIGKILL)


def cases(directory: Path) -> list[Path]:
    """The cases in ``directory``, or itself."""
    if (directory / "case.yaml").exists():
        return [directory]
    return sorted(path.parent for path in directory.glob("*/case.yaml"))


def steps_of(case: Path) -> list[dict[str, Any]]:
    """The recorded steps of a case."""
    document: dict[str, Any] = yaml.safe_load((case / "case.yaml").read_text(encoding="utf-8"))
    return list(document["steps"])


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--json", action="store_true", help="print the outcomes as JSON")
    parser.add_argument("--only", action="append", default=[], help="CASE or CASE/STEP (up to that step)")
    parser.add_argument("--jobs", type=int, default=1, help="cases at the same time")
    parser.add_argument("--keep", action="store_true", help="keep the working folders")
    chosen = parser.parse_args()
    wanted = dict((*each.split("/", 1), "")[:2] for each in chosen.only)
    found = [path for path in cases(chosen.directory.resolve()) if not wanted or path.name in wanted]
    if not found:
        print(f"no case in {chosen.directory}", file=sys.stderr)
        return 2
    outcomes: list[Step] = []
    with concurrent.futures.ThreadPoolExecutor(chosen.jobs) as pool:
        for result in pool.map(lambda path: replay_case(path, only=wanted.get(path.name) or None, keep=chosen.keep), found):
            outcomes += result
            if not chosen.json:
                for step in result:
                    print(
                        f"{step.outcome:8} {step.case}/{step.name}" + "".join(f"\n    {line}" for line in step.differences),
                        flush=True,
                    )
    counts = Counter(step.outcome for step in outcomes)
    if chosen.json:
        print(json.dumps({"counts": counts, "steps": [asdict(step) for step in outcomes]}, indent=2))
    else:
        print(", ".join(f"{counts[kind]} {kind}" for kind in ("same", "differs", "refused")))
    return 1 if counts["differs"] else 0


if __name__ == "__main__":
    sys.exit(main())
