"""A stack as a deployment sees it: opened once, handed to every phase."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from catalog.activation import Activation
from catalog.models import Service
from catalog.settings import StackSettings
from catalog.settings_file import Loaded, SettingsError
from components import facts as host_facts
from components.facts import Facts, FactsError, RunFacts
from operations import project, release_set
from operations.problem import Problem
from operations.project import StackFile

if TYPE_CHECKING:
    from operations.engine import Engine


@dataclass(frozen=True)
class Here:
    """``loaded``: the settings with the secrets; ``out``: where a person reads."""

    root: Path
    stack: str
    file: StackFile
    services: Mapping[str, Service]
    loaded: Loaded
    engine: Engine
    out: Console
    _seen: list[release_set.Live] = field(default_factory=list, repr=False, compare=False)
    _rules: dict[tuple[str, str], Activation] = field(default_factory=dict, repr=False, compare=False)
    _told: list[tuple[Mapping[str, str], Facts]] = field(default_factory=list, repr=False, compare=False)

    @property
    def settings(self) -> StackSettings:
        """The stack's settings without secrets."""
        return self.loaded.settings

    @property
    def source(self) -> Path:
        """The monorepo's checkout."""
        return (self.root / self.settings.source).resolve()

    def live(self, *, anew: bool = True) -> release_set.Live:
        """What is live by the stack's state: asked anew, or as seen last where nothing of ours came since. Raises ``Problem``."""
        if anew or not self._seen:
            self._seen[:] = [release_set.live(self.engine.resources())]
            seen = self._seen[0]
            self._rules.update({(key, seen.releases[key]): rules for key, rules in seen.rules.items()})
        return self._seen[0]

    def entries(self) -> dict[str, Service]:
        """The services, each with the rules of what is live of it, as seen last. Raises ``Problem``."""
        return self.live(anew=False).entries(self.services)

    def rules_seen(self, service: str, release: str) -> Activation | None:
        """The rules of a release that this run has seen live in the state."""
        return self._rules.get((service, release))

    def facts(self, releases: Mapping[str, str], *, anew: bool = True) -> Facts:
        """What the host says of the services of ``releases``, and of these releases: asked anew, or as told last where that tells of them
        all and nothing of ours came since. Raises ``Problem`` where it cannot be asked."""
        if not anew and self._told and releases.items() <= self._told[0][0].items():
            return self._told[0][1]
        chosen = {key: self.services[key] for key in releases}
        try:
            told = RunFacts(self.root)(host_facts.request(self.stack, self.settings.host.name, chosen, releases))
        except FactsError as error:
            raise Problem(str(error)) from None
        self._told[:] = [(dict(releases), told)]
        return told

    def forget_facts(self) -> None:
        """What the host told holds no longer: something else than an update has changed it."""
        self._told.clear()


def opened(stack: str, out: Console) -> Here:
    """Reads the settings, writes the connection for the host's steps, opens the stack. Raises ``Problem``."""
    from components.host import HostArgs, write_connection
    from operations import settings
    from operations.engine import Engine

    file = project.stack_file(stack)
    services = project.services_of(stack, file)
    try:
        with ThreadPoolExecutor(max_workers=1) as pool:
            opening = pool.submit(Engine, stack)
            try:
                loaded = settings.load(project.ROOT, stack)
            except Problem:
                opening.result()  # a stack that was not there is now
                loaded = settings.load(project.ROOT, stack)
            engine = opening.result()
    except SettingsError as error:
        raise Problem(str(error)) from None
    write_connection(HostArgs(stack, project.ROOT, loaded.settings, loaded.secrets))
    return Here(project.ROOT, stack, file, services, loaded, engine, out)
