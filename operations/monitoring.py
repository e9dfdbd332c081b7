"""Gathers what the monitoring's files are made of: the stack's exports, the services' answers, the last deployment's figures."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from catalog.exports import MonitoringExport
from monitoring.alertmanager import alertmanager
from monitoring.grafana import grafana
from monitoring.n8n import n8n
from monitoring.prometheus import prometheus
from monitoring.settings import MonitoringSettings
from monitoring.statuspage import State, statuspage
from monitoring.textfile import DeploymentMetrics, textfile
from monitoring.write import Written
from monitoring.write import write as put
from operations import project, release_set
from operations.engine import Engine
from operations.problem import Problem
from operations.report import TRENDS
from operations.validation import smoke

Files = dict[str, str]


def write(stack: str, chosen: str, out: Path, settings_file: Path | None) -> Written:
    """Writes the files of format ``chosen`` (``all``: of each) below ``out``. Raises ``Problem``."""
    settings = _settings(settings_file)
    engine = Engine(stack)
    exports = _exports(engine)

    def of_prometheus() -> Files:
        metrics = _metrics(engine.root, stack)
        return {**prometheus(exports, settings), **textfile(exports, metrics), **alertmanager(exports, settings)}

    makers: Mapping[str, Callable[[], Files]] = {
        "prometheus": of_prometheus,
        "grafana": lambda: grafana(exports, settings),
        "n8n": lambda: n8n(exports),
        "status": lambda: statuspage(exports, _states(engine, stack), datetime.now(UTC)),
    }
    wanted = list(makers) if chosen == "all" else [chosen]
    owns = tuple({"prometheus": ("prometheus", "alertmanager")}.get(name, (name,)) for name in wanted)
    try:
        files = {path: text for name in wanted for path, text in makers[name]().items()}
        return put(out, files, owns=tuple(part for parts in owns for part in parts))
    except OSError as error:
        raise Problem(f"{error.filename or out} cannot be written: {error.strerror}.") from None


def _exports(engine: Engine) -> MonitoringExport:
    found = engine.outputs().get("monitoring")
    if found is None:
        raise Problem(f"The stack {engine.name} exports no monitoring yet: bin/mo deploy --stack {engine.name}.")
    try:
        return MonitoringExport.model_validate(found)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise Problem(
            f"The export `monitoring` of the stack {engine.name} is not of this version ({where}: {first['msg']}): "
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


def _states(engine: Engine, stack: str) -> dict[str, State]:
    """What each service answers now."""
    file = project.stack_file(stack)
    live = release_set.live(engine.resources()).releases
    services = {key: entry for key, entry in project.services_of(stack, file).items() if key in live}
    answers = smoke.ask(engine.root, stack, str(file.settings.get("domain")), services, live)
    return {key: "up" if answer.ok else "down" for key, answer in answers.items()}


def _metrics(root: Path, stack: str) -> DeploymentMetrics:
    """The last deployment's figures, as its report kept them; none where there was none."""
    last: dict[str, Any] | None = None
    try:
        lines = (root / "quality-reports" / TRENDS).read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue  # a line that a killed run cut short
        if isinstance(entry, dict) and entry.get("stack") == stack:
            last = entry
    if last is None:
        return DeploymentMetrics()
    finished = datetime.fromisoformat(str(last["started"])).timestamp() + float(last["seconds"])
    return DeploymentMetrics(
        duration=float(last["seconds"]),
        finished_at=finished,
        failures=int(last["failed"]),
        rollbacks=int(last["kind"] == "rollback"),
    )
