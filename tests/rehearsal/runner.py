"""Carries a workflow out: its jobs in the order of their needs, each on a machine of its own, their steps in order."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.rehearsal import expressions
from tests.rehearsal.expressions import Open
from tests.rehearsal.machine import IDS, ActionError, Booted, Machine, assignments
from tests.rehearsal.workflow import Event, JobResult, Result, Stand, StepResult, WorkflowError, inputs_of, load

_JOB_KEYS = {
    "if", "runs-on", "timeout-minutes", "environment", "permissions", "steps", "needs", "outputs", "env", "name",
}  # fmt: skip
_STEP_KEYS = {"name", "id", "if", "uses", "with", "run", "env", "shell", "working-directory", "continue-on-error"}
_SHELLS = {None: ["bash", "-e"], "bash": ["bash", "--noprofile", "--norc", "-eo", "pipefail"]}
"""``shell`` → the command that is handed the script's file, as GitHub documents it for Linux."""
_PASSED_ON = (
    *("PIP_CERT", "PIP_FIND_LINKS", "PIP_INDEX_URL", "PIP_DEFAULT_TIMEOUT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"),
    *("NODE_EXTRA_CA_CERTS", "NPM_CONFIG_USERCONFIG", "npm_config_registry", "npm_config_cafile", "GOPROXY", "GOFLAGS"),
)
"""What a machine behind a mirror needs; a runner of GitHub's has the network itself."""


_CONFIDENTIAL = re.compile(r"(PASS|PASSPHRASE|SECRET|TOKEN|KEY|KEYCLOAK)$")


class Run:
    """One run of one workflow. ``actions``: name of an action without its version → what stands in for it."""

    def __init__(self, workflow: Path, event: Event, stand: Stand, actions: Mapping[str, Action]) -> None:
        self.document = load(workflow)
        self.event, self.stand, self.actions = event, stand, actions
        self.artifacts: dict[str, Path] = {}
        self.jobs: dict[str, JobResult] = {}
        self.inputs = inputs_of(self.document["on"], event)
        self.id = next(IDS)
        self.interpolated = interpolated_group(self)

    def run(self) -> Mapping[str, JobResult]:
        """Every job once those that it needs are over. Raises ``WorkflowError`` and ``ExpressionError``."""
        waiting = dict(self.document["jobs"])
        while waiting:
            ready = [name for name, job in waiting.items() if not set(_listed(job.get("needs"))) & set(waiting)]
            if not ready:
                raise WorkflowError(f"jobs that need each other: {', '.join(waiting)}")
            for name in ready:
                self.jobs[name] = self._job(name, waiting.pop(name))
        return self.jobs

    def contexts(self, job: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The contexts that every expression of a job sees."""
        repository = self.stand.repository
        payload = {"repository": {"full_name": repository.name, "private": repository.private}, **self.event.payload}
        environment = ""
        found: dict[str, Any] = {
            "github": {
                "event_name": self.event.name,
                "event": _opened(payload),
                "ref": self.event.ref,
                "repository": repository.name,
                "run_id": str(self.id),
                "token": self.stand.token,
                "sha": self.event.sha,
            },
            "inputs": self.inputs,
            "vars": Open(self.stand.variables("")),
            "secrets": Open(self.stand.secrets("")),
        }
        if job is not None:
            needs = _listed(job.get("needs"))
            found["needs"] = {name: {"result": self.jobs[name].result, "outputs": Open(self.jobs[name].outputs)} for name in needs}
            if "environment" in job:
                environment = expressions.interpolate(str(job["environment"]), found)
                if not environment:
                    raise WorkflowError("the environment of a job is empty")
            found["vars"] = Open({**self.stand.variables(""), **self.stand.variables(environment)})
            found["secrets"] = Open({**self.stand.secrets(""), **self.stand.secrets(environment)})
        return found

    def _job(self, name: str, job: Mapping[str, Any]) -> JobResult:
        if unknown := set(job) - _JOB_KEYS:
            raise WorkflowError(f"{name}: {', '.join(unknown)} is not known")
        contexts = self.contexts(job)
        results = [self.jobs[needed].result for needed in _listed(job.get("needs"))]
        good = all(result == "success" for result in results)
        functions = _functions(lambda: good, lambda: "failure" in results)
        if not expressions.condition(job.get("if", "success()"), contexts, functions):
            return JobResult("skipped")
        with Booted(self.stand) as machine:
            return _Job(self, name, job, contexts, machine).run()


def interpolated_group(run: Run) -> str:
    """The group that the run waits in."""
    return expressions.interpolate(run.document["concurrency"]["group"], run.contexts())


class _Job:
    def __init__(self, run: Run, name: str, job: Mapping[str, Any], contexts: dict[str, Any], machine: Machine) -> None:
        self.workflow, self.name, self.job, self.machine = run, name, job, machine
        self.contexts = {
            **contexts,
            "runner": {"temp": str(machine.temp), "os": "Linux"},
            "steps": {},
            "job": {"status": "success"},
        }
        self.failed = False
        self.until = time.monotonic() + 60 * float(job.get("timeout-minutes", 360))
        self.permissions = _permissions(job.get("permissions", run.document.get("permissions")))

    def run(self) -> JobResult:
        steps = []
        for step in self.job["steps"]:
            done = self._step(step)
            steps.append(done)
            self.failed = self.failed or done.conclusion == "failure"
            if "id" in step:
                outcome = {"outcome": done.outcome, "conclusion": done.conclusion, "outputs": Open(done.outputs)}
                self.contexts["steps"][step["id"]] = outcome
        outputs = {key: expressions.interpolate(text, self.contexts) for key, text in self.job.get("outputs", {}).items()}
        return JobResult("failure" if self.failed else "success", outputs, steps)

    def _step(self, step: Mapping[str, Any]) -> StepResult:
        if unknown := set(step) - _STEP_KEYS:
            raise WorkflowError(f"{self.name}: {', '.join(unknown)} is not known")
        if ("run" in step) is ("uses" in step):
            raise WorkflowError(f"{self.name}: a step has either run or uses")
        name = str(step.get("name") or step.get("uses", "").partition("@")[0] or step["run"].splitlines()[0])
        functions = _functions(lambda: not self.failed, lambda: self.failed)
        if not expressions.condition(step.get("if", "success()"), self.contexts, functions):
            return StepResult(name, "skipped", "skipped", {})
        begun = time.monotonic()
        environment = self._environment(step)
        try:
            good, log, outputs = self._shell(step, environment) if "run" in step else self._action(step)
        except ActionError as error:
            good, log, outputs = False, str(error), {}
        outcome: Result = "success" if good else "failure"
        conclusion: Result = "success" if good or step.get("continue-on-error") is True else "failure"
        return StepResult(name, outcome, conclusion, outputs, self._masked(log), time.monotonic() - begun, self._shown(log))

    def _environment(self, step: Mapping[str, Any]) -> dict[str, str]:
        """What GitHub sets, then what earlier steps, workflow, job and step say."""
        machine, stand, event = self.machine, self.workflow.stand, self.workflow.event
        files = {
            name: machine.temp / f"_{name.lower()}"
            for name in ("GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_PATH", "GITHUB_STEP_SUMMARY")
        }
        for file in files.values():
            file.write_text("")
        made = {
            "CI": "true",
            "LANG": "C.UTF-8",
            "HOME": str(machine.folder / "home"),
            "GITHUB_ACTIONS": "true",
            "GITHUB_WORKSPACE": str(machine.workspace),
            "GITHUB_REPOSITORY": stand.repository.name,
            "GITHUB_EVENT_NAME": event.name,
            "GITHUB_REF": event.ref,
            "GITHUB_REF_NAME": event.ref.removeprefix("refs/heads/").removeprefix("refs/pull/"),
            "GITHUB_SHA": event.sha,
            "GITHUB_RUN_ID": str(self.workflow.id),
            "GITHUB_JOB": self.name,
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_API_URL": "https://api.github.com",
            "RUNNER_TEMP": str(machine.temp),
            "RUNNER_OS": "Linux",
            "RUNNER_TRACKING_ID": f"github_{machine.number}",
            **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
            **{name: value.replace("{machine}", str(machine.folder)) for name, value in stand.machine.items()},
            **{name: str(file) for name, file in files.items()},
            **machine.added,
        }
        for level in (self.workflow.document.get("env"), self.job.get("env"), step.get("env")):
            made |= {
                name: expressions.interpolate(expressions.as_text(value), self.contexts) for name, value in (level or {}).items()
            }
        if machine.paths:
            made["PATH"] = os.pathsep.join([*reversed(machine.paths), made["PATH"]])
        return made

    def _shell(self, step: Mapping[str, Any], environment: Mapping[str, str]) -> tuple[bool, str, Mapping[str, str]]:
        defaults = self.workflow.document.get("defaults", {}).get("run", {})
        inside = expressions.interpolate(step.get("working-directory", defaults.get("working-directory", ".")), self.contexts)
        folder = self.machine.workspace / inside
        if not folder.is_dir():
            raise ActionError(f"the working directory {inside} is not there")
        script = self.machine.temp / f"step-{next(IDS)}.sh"
        script.write_text(expressions.interpolate(step["run"], self.contexts))
        limit = self.until - time.monotonic()
        log = self.machine.temp / f"{script.name}.log"
        with log.open("wb") as sink:
            shell = _SHELLS.get(step.get("shell", defaults.get("shell")))
            if shell is None:
                raise WorkflowError(f"the shell {step['shell']} is not known")
            self.workflow.stand.permissions.clear()
            self.workflow.stand.permissions.update(self.permissions)
            process = subprocess.Popen(
                [*shell, str(script)],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
            )
            try:
                code = process.wait(timeout=max(limit, 0.1))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                raise ActionError(f"the job took more than its timeout-minutes ({self.job.get('timeout-minutes')})") from None
        self.machine.added |= assignments(Path(environment["GITHUB_ENV"]))
        self.machine.paths += Path(environment["GITHUB_PATH"]).read_text().split("\n")[:-1]
        text = log.read_text(errors="replace")
        return code == 0, f"{text}\n(exit code {code})", assignments(Path(environment["GITHUB_OUTPUT"]))

    def _action(self, step: Mapping[str, Any]) -> tuple[bool, str, Mapping[str, str]]:
        name, _, version = step["uses"].partition("@")
        action = self.workflow.actions.get(name)
        if action is None or not re.fullmatch(r"[0-9a-f]{40}", version):
            raise WorkflowError(f"nothing stands in for {step['uses']}")
        given = {
            key: expressions.interpolate(expressions.as_text(value), self.contexts)
            for key, value in (step.get("with") or {}).items()
        }
        log = action(ActionCall(self.workflow, self.machine, given, self.permissions))
        return True, log, {}

    def _shown(self, log: str) -> tuple[str, ...]:
        """The secrets that this log shows. Addresses, ports and account names are among GitHub's secrets, too, and none in a log."""
        return tuple(
            name
            for name, value in self.contexts["secrets"].items()
            if _CONFIDENTIAL.search(name)
            and any(line in log for line in value.splitlines() if len(line) > 8 and "-----" not in line)
        )

    def _masked(self, log: str) -> str:
        """Secrets in a log are starred, line by line as GitHub does it."""
        for value in {*self.contexts["secrets"].values(), self.workflow.stand.token}:
            for line in value.splitlines():
                if len(line) > 3:
                    log = log.replace(line, "***")
        return log


@dataclass(frozen=True)
class ActionCall:
    """One use of an action. ``given``: its ``with``, expressions replaced."""

    run: Run
    machine: Machine
    given: Mapping[str, str]
    permissions: Mapping[str, str]

    def taken(self, *known: str) -> Mapping[str, str]:
        """What is given. Raises ``WorkflowError`` for an input that the stand-in does not know."""
        if unknown := set(self.given) - set(known):
            raise WorkflowError(f"the stand-in does not know {', '.join(unknown)}")
        return self.given


Action = Callable[[ActionCall], str]
"""Carries an action out and returns its log. Raises ``ActionError`` where the real one would fail."""


def _functions(success: Callable[[], bool], failure: Callable[[], bool]) -> expressions.Functions:
    return {"success": success, "failure": failure, "always": lambda: True, "cancelled": lambda: False}


def _permissions(given: object) -> dict[str, str]:
    """What the job's token may do. Nothing said is refused: it would be the repository's default."""
    if not isinstance(given, dict):
        raise WorkflowError("a job says nothing of its permissions")
    return {str(name): str(level) for name, level in given.items()}


def _opened(value: Any) -> Any:
    return Open({key: _opened(inner) for key, inner in value.items()}) if isinstance(value, Mapping) else value


def _listed(value: object) -> list[str]:
    return [value] if isinstance(value, str) else list(value) if isinstance(value, list) else []
