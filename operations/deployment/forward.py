"""A deployment: from the artefacts in ``dist/`` to a site that was asked, or back to what was there before."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from operations import display, left_out, question, release_set, verdicts
from operations.deployment import astray, back, checks, closed, departing, ending, engine_busy, failures, host_journals
from operations.deployment import journal as journals
from operations.deployment import lock as locks
from operations.deployment.here import Here
from operations.deployment.journal import Run
from operations.deployment.outcome import Failure, Outcome
from operations.deployment.session import Session
from operations.deployment.update import Applied, Update, progress_of
from operations.drifts import Drift
from operations.problem import Problem
from operations.progress import Progress
from operations.validation.smoke import Answer


@dataclass(frozen=True)
class Wish:
    """What the operator asked for. ``skip``: validating phases that are left out this once; ``verbose``: the preview names every file."""

    only: tuple[str, ...] = ()
    yes: bool = False
    message: str | None = None
    skip: tuple[str, ...] = ()
    verbose: bool = False

    def plain(self) -> dict[str, Any]:
        """For the journal."""
        return {"only": list(self.only), "message": self.message, "skip": list(self.skip)}


def wish_of(run: Run, *, yes: bool) -> Wish:
    """The wish of an interrupted run."""
    only, skip, message = run.options.get("only"), run.options.get("skip"), run.options.get("message")
    return Wish(
        tuple(map(str, only)) if isinstance(only, list) else (),
        yes,
        message if isinstance(message, str) else None,
        tuple(map(str, skip)) if isinstance(skip, list) else (),
    )


@dataclass(frozen=True)
class Ended:
    """How a deployment ended. ``deployed``: whether there was something to do, and the operator let it be done."""

    code: int
    deployed: bool
    answers: Mapping[str, Answer] = field(default_factory=dict)
    progress: Progress | None = None


def plan(
    here: Here, only: list[str] | None, *, verbose: bool = False
) -> tuple[dict[str, tuple[str | None, str]], Progress, list[str]]:
    """What a deployment would do, and changes nothing: service → old and new release, the preview, what to know of ``dist/``."""
    before = here.live().releases
    releases, words = release_set.deployable(here.root, here.services, only, before, here.source)
    progress = Update(here, {"releases": releases}, before).preview(verbose=verbose)
    cut = journals.unfinished(seen(here))
    told = [f"{interruption(cut)}.{_way(cut, before)}"] if cut is not None else []
    drift = astray.beforehand(here, before, releases, only or (), closed.asked(here, before, releases))
    if is_nothing(progress):
        told += [f"{one.service}: {one.what}; bin/mo deploy ends that." for one in drift.settled]
    drift.shown(progress)
    return release_set.changes(before, releases), progress, [*told, *_closed_window(here), *words, *departing.lines(here)]


def _closed_window(here: Here) -> list[str]:
    """What a plan says where the stack would not deploy now: the plan itself changes nothing, at any hour."""
    try:
        checks.when(here.settings.window)
    except Problem as problem:
        return [str(problem)]
    return []


def interruption(run: Run) -> str:
    """What became of a run, as the beginning of a sentence."""
    return f"The {run.kind} {run.id} of {run.who} was interrupted {run.where}"


def _way(run: Run, live: Mapping[str, str]) -> str:
    if run.overtaken(live):
        return " Another update came since, so nothing goes on with it."
    return " `bin/mo deploy --resume` goes on with it instead." if run.changed else ""


def deploy(here: Here, wish: Wish, resumes: Run | None = None) -> Ended:
    """Carries a deployment out, or goes on with one that was interrupted. Raises ``Problem``."""
    with Session(here, "deployment", wish.message or "", wish.plain(), resumes) as session:
        return _Deployment(here, wish, session).run()


class _Deployment:
    def __init__(self, here: Here, wish: Wish, session: Session) -> None:
        self.here, self.wish, self.session, self.phases = here, wish, session, session.phases
        self.before: Mapping[str, str] = {}
        self.releases: Mapping[str, str] = {}
        self.moves: dict[str, tuple[str | None, str]] = {}
        self.message = ""
        self._applied: Applied | None = None
        self._cut: Run | None = None
        self._words: list[str] = []
        self._drift = astray.Beforehand()

    def run(self) -> Ended:
        here, out = self.here, self.here.out
        window = self.phases.carry("window", lambda: checks.when(here.settings.window), show=False)
        if window.details.get("open") is False and here.settings.window.outside == "warn":
            out.print(window.summary, style="yellow", markup=False)
        self.session.lock(f"deploy {', '.join(self.wish.only) or 'all services'}")
        live = self._plan()
        self.phases.carry(closed.NAME, lambda: self._look(live), show=False)
        self._words += [*closed.lines(self.phases.named(closed.NAME)), *self._drift.lines().values()]
        self.phases.carry("gates", lambda: checks.gates(here, self.releases))
        self._note()
        resumed = self.session.resumes is not None and self.session.resumes.changed
        if not resumed or not self.moves:
            # With --yes too: what it is to refuse, the stack's policies among them, is refused before anything changes.
            progress: list[Progress] = []
            self.phases.carry("preview", lambda: self._preview(progress), show=False)
            if progress and not self.moves and is_nothing(progress[0]):
                return self._left_behind(self._drift.settled) if self._drift.settled else self._nothing()
            if progress:
                self._drift.shown(progress[0])
                display.plan(out, progress[0])
                if not self.wish.yes and not self._confirmed():
                    self.session.finish(False, "the operator said no; nothing was changed")
                    out.print("Nothing was changed.")
                    return Ended(3, False)
        ending.open_issue(here, self.session, self.moves)
        up = self.phases.carry("up", self._up, show=False)
        return self._validated(up)

    def _look(self, live: Mapping[str, str]) -> Outcome:
        """What the host says before anything changes: closed sites, and where it is not what the state says."""
        facts = closed.asked(self.here, live, self.releases)
        self._drift = astray.beforehand(self.here, live, self.releases, self.wish.only, facts)
        return closed.looked(self.here, live, self.releases, facts)

    def _confirmed(self) -> bool:
        text, drops = f"Deploy this to {self.here.stack}?", departing.dropped(self.here)
        if not drops:
            return question.confirmed(text)
        return question.typed(f"{text} The DATABASE of {', '.join(drops)} IS DROPPED, with everything in it.", drops)

    def _nothing(self) -> Ended:
        """The end of a deployment that has nothing to change; no good one where an interrupted run has left the services unasked."""
        self.session.discard()
        cut, out = self._cut, self.here.out
        if cut is not None and cut.changed and not cut.overtaken(self.before):
            words = f"Nothing to change, but the {cut.kind} {cut.id} has asked no service yet: `bin/mo deploy --resume`."
            out.print(words, style="yellow", markup=False)
            return Ended(1, False)
        out.print(f"{nothing(self.here.stack, self.wish.only)} `bin/mo status` asks every service.", markup=False)
        return Ended(0, False)

    def _left_behind(self, left: Sequence[Drift]) -> Ended:
        """A deployment that changes no release: what a killed run has left on the host is brought to its end, and every service asked."""
        here, out = self.here, self.here.out
        for one in left:
            out.print(f"{one.service}: {one.what}", style="yellow", markup=False)
        if not self.wish.yes and not question.confirmed(
            f"Bring this to its end on {here.stack}, with the release that the state names?"
        ):
            self.session.finish(False, "the operator said no; nothing was changed")
            out.print("Nothing was changed.")
            return Ended(3, False)
        ending.open_issue(here, self.session, self.moves)
        return self._validated(self.phases.carry("up", lambda: astray.ended(here, self.before, left)))

    def _tell_of_interruption(self, live: Mapping[str, str]) -> None:
        if self.session.resumes is not None:
            return
        # Whoever had the lock before has it no more: this run has it.
        known = host_journals.runs(self.here.root, self.here.stack)
        self._cut = journals.unfinished([run for run in known if run.id < self.session.id])
        if self._cut is not None:
            self.here.out.print(f"{interruption(self._cut)}.{_way(self._cut, live)}", style="yellow", markup=False)

    def _plan(self) -> Mapping[str, str]:
        """What is live now."""
        here, old = self.here, self.session.resumes
        live = here.live().releases
        self.session.refuse_overtaken(live)
        self._tell_of_interruption(live)
        if old is not None and old.releases:
            self.before, self.releases, self.message = old.before, old.releases, old.message
        else:
            self.before = live
            self.releases, words = release_set.deployable(here.root, here.services, list(self.wish.only) or None, live, here.source)
            self._words = [*words, *departing.lines(here)]
            for text in self._words:
                here.out.print(text, style="yellow", markup=False)
            self.message = self.wish.message or default_message(release_set.changes(live, self.releases))
        self.moves = release_set.changes(self.before, self.releases)
        for name, said in left_out.of(here.settings, here.stack).items():
            here.out.print(f"· {name}: {said}", style="dim", markup=False)
        return live

    def _note(self) -> None:
        """Puts build, operator and waived gates into the message: the history, wherever it is kept, keeps the message."""
        if self.session.resumes is None or not self.session.resumes.releases:
            build = release_set.build_of(self.here.root)
            marks = [*([f"build {build}"] if build else []), f"by {self.session.who.name}"]
            message = f"{self.message} ({'; '.join(marks)})"
            self.message = verdicts.noted(message, verdicts.quoted(self.phases.named("gates")))
        self.session.planned(self.before, self.releases, self.message)

    def _preview(self, found: list[Progress]) -> Outcome:
        progress = Update(self.here, {"releases": self.releases}, self.before).preview(verbose=self.wish.verbose)
        found.append(progress)
        return Outcome("preview", True, "nothing to change" if is_nothing(progress) else _changes(progress))

    def _up(self) -> Outcome:
        settled = Outcome("up", True, "")
        if self._drift.settled:
            settled = astray.ended(self.here, self._drift.releases, self._drift.settled)
        update = Update(self.here, {"releases": self.releases}, self.before)
        self._applied = engine_busy.waited_for(
            lambda: update.apply(self.message), self.here.out, patient=self.session.resumes is not None
        )
        outcome = self._applied.outcome("up")
        return outcome if settled.ok else replace(outcome, ok=False, summary=f"{outcome.summary}; {settled.summary}")

    def _validated(self, up: Outcome) -> Ended:
        here, phases = self.here, self.phases
        live = here.live(anew=False)
        progress = self._applied.progress if self._applied else progress_of(up, here.services)
        begun = any(entry.changed or entry.failed for entry in progress.services.values())
        reason, reverts, smoke = up.rollback, up.reverts, None
        if live.releases and (up.ok or begun) and (reason is None or not self._former(reverts)):
            looked_at = checks.validation(here, self._asked(live.releases), self.session.id, self.session.closed)
            smoke = phases.carry(checks.SMOKE, lambda: checks.smoked(looked_at), show=False)
            if reason is None and smoke.rollback is not None:
                reason, reverts = smoke.rollback, self._suspects(smoke, live.releases)
        display.summary(here.out, progress, self.moves, live.releases, checks.answers(smoke), up.failures)
        if self._applied is not None and self._applied.ok and not up.ok:
            phases.show(up)  # the update went well, the host did not: no line above says why
        if smoke is not None and reason is None:
            phases.show(smoke)
            reason, reverts = self._parts(up, live.releases), ()
        if reason is not None:
            self._back(reason, reverts)
        else:
            self._tell_ahead(up, progress)
        progress.notes[:0] = self._words
        good = up.ok and not up.failures and reason is None and all(o.ok for o in phases.outcomes if o.name in checks.JUDGED)
        went_back = phases.named(back.PHASE)
        left = (*up.failures, *self._unsound(up, smoke))
        told = failures.verdict(self.moves, left, _moved(went_back), self._wrong(up, smoke))
        kind = ending.Kind(
            self.message, self.before, progress, good, reason if went_back else None, failures=up.failures, verdict=told
        )
        ending.end(here, self.session, kind, tuple(self.moves))
        return Ended(0 if good else 1, True, checks.answers(smoke), progress)

    def _former(self, services: Collection[str]) -> list[str]:
        """Those of ``services`` (none: of all that move) that have a release to go back to."""
        return [key for key in services or self.moves if key in self.before]

    def _suspects(self, smoke: Outcome, live: Mapping[str, str]) -> tuple[str, ...]:
        bad = [key for key, answer in checks.answers(smoke).items() if not answer.ok]
        changed = [key for key, (_, release) in self.moves.items() if live.get(key) == release]
        return failures.to_revert(self.here.services, bad, changed)

    def _tell_ahead(self, up: Outcome, progress: Progress) -> None:
        """Names the databases that a failed switch has migrated, below code that does not know of it."""
        left = [failure.service for failure in up.failures if not failure.live and failure.because == "failed"]
        for line in back.ahead_of({key: self.before[key] for key in left if key in self.before}, self.here):
            self.here.out.print(line, style="yellow", markup=False)
            progress.notes.append(line)

    def _unsound(self, up: Outcome, smoke: Outcome | None) -> list[Failure]:
        """The services of this deployment that are live and do not pass their smoke test."""
        told = {failure.service for failure in up.failures}
        bad = [answer for key, answer in checks.answers(smoke).items() if key in self.moves and key not in told and not answer.ok]
        return [Failure(answer.service, "failed", True, "smoke test", None, answer.problem or "") for answer in bad]

    def _wrong(self, up: Outcome, smoke: Outcome | None) -> list[str]:
        """What else is not good, for the verdict; the services of this deployment are told by themselves."""
        told = {*self.moves, *(failure.service for failure in up.failures)}
        bad = [key for key, answer in checks.answers(smoke).items() if not answer.ok and key not in told]
        found = [f"smoke test of {', '.join(bad)}"] if bad else []
        if not up.ok and not up.failures:
            found.append("the update")
        names = (*checks.PARTS, back.PHASE, ending.AFTER_ROLLBACK)
        outcomes = [outcome for name in names if (outcome := self.phases.named(name)) is not None]
        return found + [o.name for o in outcomes if not o.ok and (o.name not in checks.PARTS or o.name in checks.JUDGED)]

    def _asked(self, live: Mapping[str, str]) -> dict[str, str]:
        """What each service must serve, of those that are asked: not of one that had drifted and is no part of this deployment."""
        apart = {one.service for one in self._drift.left}
        return {service: release for service, release in live.items() if service not in apart}

    def _parts(self, up: Outcome, live: Mapping[str, str]) -> str | None:
        """The validating phases; why everything must go back, if so. After a partly failed update only those that may say so."""
        looked_at = checks.validation(self.here, self._asked(live), self.session.id, self.session.closed)
        wanted, skipped = checks.parts(self.here, self.wish.skip)
        for name in skipped:
            self.phases.carry(name, lambda: Outcome("", True, "left out this once", {"skipped": True, "instead": "skipped"}))
        for name in wanted:
            if not up.ok and name not in checks.JUDGED:
                continue
            with self.here.out.status(f"{name} …"):
                outcome = self.phases.carry(name, partial(checks.PARTS[name], looked_at))
            if outcome.rollback is not None:
                return outcome.rollback
        return None

    def _back(self, reason: str, reverts: tuple[str, ...]) -> None:
        former = self._former(reverts)
        if not former:
            text = f"✗ {reason}: {back.no_way_back(reverts or tuple(self.moves))}."
            self.here.out.print(text, style="bold red", markup=False)
            return
        if reverts and set(reverts) != set(self.moves):
            what = f"{', '.join(former)} {'goes' if len(former) == 1 else 'go'} back to the former release; the others stay"
        else:
            what = "everything goes back to the former release set"
        self.here.out.print(f"✗ {reason}: {what}.", style="bold red", markup=False)
        back.automatic(self.here, self.session, self.before, reason, reverts)


def _moved(went_back: Outcome | None) -> set[str]:
    """The services that a rollback took back."""
    moves = went_back.details.get("moves") if went_back is not None and went_back.ok else None
    return set(map(str, moves)) if isinstance(moves, dict) else set()


def nothing(stack: str, only: Collection[str] | None) -> str:
    """What is said where a preview shows no change; ``only``: the services that were asked about."""
    names = sorted(set(only or ()))
    return f"Nothing to change: {', '.join(names) or stack} {'run' if len(names) > 1 else 'runs'} what dist/ holds."


def is_nothing(progress: Progress) -> bool:
    """Whether a preview shows no change, but perhaps of what the gates' own resource remembers, and the platform's: a rollback's window."""
    own = sum(state != "same" for name, state in progress.others.items() if name.partition("-")[0] in ("gate", "platform"))
    changed = any(entry.changed for entry in progress.services.values())
    return not changed and sum(progress.changes.values()) <= own


def _changes(progress: Progress) -> str:
    return ", ".join(f"{count} to {op}" for op, count in sorted(progress.changes.items())) or "no change"


def default_message(moves: Mapping[str, tuple[str | None, str]]) -> str:
    """An update's message in the history: its services by name, or counted where they are many."""
    return f"deploy {f'{len(moves)} services' if len(moves) > 5 else ', '.join(moves) or 'without a new release'}"


def interrupted(here: Here) -> Run:
    """The run that ``--resume`` goes on with. Raises ``Problem`` where there is none, or where it still runs."""
    found = seen(here)
    if (running := journals.running(found)) is not None:
        raise Problem(f"The {running.kind} {running.id} of {running.who} still runs; wait for it.")
    run = journals.unfinished(found)
    if run is None:
        raise Problem(f"No deployment of {here.stack} was interrupted; `bin/mo deploy` begins one.")
    return run


def seen(here: Here) -> list[Run]:
    """The runs that this machine or the host knows, newest first, before this command has the lock. Raises ``Problem``."""
    holder = locks.holder(locks.asker(here.root, here.stack))
    return host_journals.runs(here.root, here.stack, holder)


def plain(stack: str, moves: Mapping[str, tuple[str | None, str]], progress: Progress, words: Sequence[str]) -> dict[str, Any]:
    """A plan as JSON."""
    return {
        "stack": stack,
        "nothing": is_nothing(progress),
        "releases": {key: {"old": old, "new": new} for key, (old, new) in moves.items()},
        "services": {key: entry.plan for key, entry in progress.services.items() if entry.plan},
        "resources": progress.changes,
        "notes": [*words, *progress.notes],
    }
