"""Gathers what the monitoring's files are made of: the stack's exports, the services' answers, the figures of host and deployments."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from catalog.exports import MonitoringExport
from catalog.settings import GateSettings
from components import facts
from components.facts import FactsError, RunFacts
from monitoring.alertmanager import alertmanager
from monitoring.grafana import grafana
from monitoring.n8n import n8n
from monitoring.prometheus import prometheus
from monitoring.settings import MonitoringSettings
from monitoring.statuspage import statuspage
from monitoring.textfile import DeploymentMetrics, textfile
from monitoring.write import Written
from monitoring.write import write as put
from operations import figures, integrity, project, release_set, remote
from operations import statuspage as statuspages
from operations.deployment.outcome import Outcome
from operations.engine import Engine
from operations.problem import Problem
from operations.validation import smoke
from operations.validation.smoke import Answer

Files = dict[str, str]
PATIENCE = 10
"""Seconds that an external service has to show whether a daemon is there."""


@dataclass(frozen=True)
class Exported:
    """``notes``: what could not be asked, one sentence each; ``published``: of the status page, ``None`` where it was not asked for."""

    written: Written
    notes: tuple[str, ...]
    published: Outcome | None = None


def write(stack: str, chosen: str, out: Path | None, settings_file: Path | None, publish: bool = False) -> Exported:
    """Writes the files of format ``chosen`` (``all``: of each) below ``out`` (``None``: none); ``publish``: and the status page to its
    service. Raises ``Problem``."""
    settings = _settings(settings_file)
    engine = Engine(stack)
    found = _Stack(engine, project.stack_file(stack))
    exports = found.exports
    makers: Mapping[str, Callable[[], Files]] = {
        "prometheus": lambda: {
            **prometheus(found.served(), settings),
            **textfile(exports, found.metrics()),
            **alertmanager(exports, settings),
        },
        "grafana": lambda: grafana(exports, settings),
        "n8n": lambda: n8n(exports),
        "status": lambda: statuspage(exports, statuspages.states(found.answers()), datetime.now(UTC)),
    }
    wanted = [] if out is None else list(makers) if chosen == "all" else [chosen]
    owns = tuple(part for name in wanted for part in {"prometheus": ("prometheus", "alertmanager")}.get(name, (name,)))
    written = Written((), (), ())
    try:
        if out is not None:
            files = {path: text for name in wanted for path, text in makers[name]().items()}
            written = put(out, files, owns=owns)
    except OSError as error:
        raise Problem(f"{error.filename or out} cannot be written: {error.strerror}.") from None
    page = None
    if publish:
        page = statuspages.publish(engine.root, stack, found.services, found.live.export, found.answers())
    return Exported(written, tuple(found.notes), page)


class _Stack:
    """A stack as it is now: exports, and, each asked once and only where wanted, the services' answers and the host."""

    def __init__(self, engine: Engine, file: project.StackFile) -> None:
        self.engine, self.file = engine, file
        self.live = release_set.live(engine.resources())
        self.exports = _exports(engine.name, self.live.export)
        self.services = self.live.entries(project.services_of(engine.name, file))
        self.notes: list[str] = []
        self._answers: dict[str, Answer] | None = None
        self._host: str | None = None

    def _connect(self) -> str:
        """The host's name, once it can be reached."""
        if self._host is None:
            self._host = remote.connect(self.engine.root, self.engine.name)
        return self._host

    def answers(self) -> dict[str, Answer]:
        """What each deployed service answers now."""
        if self._answers is None:
            self._connect()
            deployed = {key: entry for key, entry in self.services.items() if key in self.live.releases}
            domain = str(self.file.settings.get("domain"))
            self._answers = smoke.ask(self.engine.root, self.engine.name, domain, deployed, self.live.releases)
        return self._answers

    def served(self) -> MonitoringExport:
        """The exports, with what the domains of external services lead to now: a daemon that was set up since the last deployment is asked
        from now on. One that a deployment has found stays asked: files in its place are an outage."""
        asked = [s.key for s in self.exports.services if s.health.daemon and s.release is not None and s.files_only is not False]
        if not asked:
            return self.exports
        try:
            self._connect()
        except Problem as problem:
            self.notes.append(f"Whether {', '.join(asked)} are files only is told as the last deployment saw it: {problem}")
            return self.exports
        entries = {key: self.services[key] for key in asked if key in self.services}
        domain = str(self.file.settings.get("domain"))
        found = smoke.ask(self.engine.root, self.engine.name, domain, entries, self.live.releases, PATIENCE)
        now = {key: answer.files_only for key, answer in found.items() if answer.ok}
        services = (s.model_copy(update={"files_only": now.get(s.key, s.files_only)}) for s in self.exports.services)
        return self.exports.model_copy(update={"services": tuple(services)})

    def metrics(self) -> DeploymentMetrics:
        """All figures; those of a host that does not answer are left out, and a note says so."""
        root = self.engine.root
        gates = GateSettings.model_validate(self.file.settings.get("gates") or {"required": ()})
        now = DeploymentMetrics(exported_at=round(datetime.now(UTC).timestamp()))
        known = figures.together(now, figures.last_deployment(root, self.engine.name))
        alerts = DeploymentMetrics(security_alerts_open=figures.security_alerts(root, gates))
        try:
            return figures.together(known, alerts, self._of_host())
        except (Problem, FactsError) as problem:
            self.notes.append(f"The host's own figures (space, databases, migrations, live files) are left out: {problem}")
            return figures.together(known, alerts)

    def _of_host(self) -> DeploymentMetrics:
        root, name = self.engine.root, self.engine.name
        host = self._connect()
        deployed = {key: entry for key, entry in self.services.items() if key in self.live.releases}
        with ThreadPoolExecutor(2) as pool:
            files = pool.submit(integrity.compare, root, name, deployed, self.live.releases)
            known = RunFacts(root)(facts.request(name, host, deployed, self.live.releases))
            return figures.on_host(deployed, figures.live_manifests(root, deployed, known), known, files.result())


def _exports(stack: str, found: Mapping[str, Any] | None) -> MonitoringExport:
    if found is None:
        raise Problem(f"The stack {stack} exports no monitoring yet: bin/mo deploy --stack {stack}.")
    try:
        return MonitoringExport.model_validate(found)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise Problem(
            f"The export `monitoring` of the stack {stack} is not of this version ({where}: {first['msg']}): "
            f"deploy once with this version."
        ) from None


def _settings(path: Path | None) -> MonitoringSettings:
    if path is None:
        return MonitoringSettings()
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        return MonitoringSettings.model_validate(loaded)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise Problem(f"{path} cannot be read as YAML: {error}.") from None
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        raise Problem(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}; see docs/monitoring.md.") from None
