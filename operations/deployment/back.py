"""The way back: to the releases of an earlier update, by an ordinary update; asked for by a person, or by a deployment's own validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import astuple, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from operations import display, question, records, release_set
from operations.deployment import astray, checks, closed, ending, engine_busy, failures, former_rules, host_journals, restoring
from operations.deployment import journal as journals
from operations.deployment import owner as owners
from operations.deployment import trigger as triggers
from operations.deployment.former_rules import FormerRules
from operations.deployment.here import Here
from operations.deployment.journal import Run
from operations.deployment.outcome import Outcome
from operations.deployment.phases import RESTORE
from operations.deployment.restoring import Restore
from operations.deployment.session import Session
from operations.deployment.trigger import Trigger
from operations.deployment.update import Applied, Update, progress_of
from operations.problem import Problem
from operations.records import Record
from operations.wording import counted

PHASE = "rollback"
Moves = Mapping[str, tuple[str | None, str]]


@dataclass(frozen=True)
class Wish:
    """What the operator asked for. ``to``: an update's number, a build, a time; ``databases``: services, or ``all``; ``site_open``: restore
    them also where a site cannot be closed; ``trigger``: what was reported, where nobody asks."""

    reason: str
    to: str | None = None
    only: tuple[str, ...] = ()
    databases: tuple[str, ...] = ()
    yes: bool = False
    site_open: bool = False
    trigger: Trigger | None = None

    def plain(self) -> dict[str, Any]:
        """For the journal."""
        told = {"reason": self.reason, "to": self.to, "only": list(self.only), "databases": list(self.databases)}
        return {**told, "site_open": self.site_open}


def wish_of(run: Run) -> Wish:
    """The wish of an interrupted rollback, which the operator has confirmed."""
    told = run.options
    texts = {key: tuple(map(str, told[key])) if isinstance(told.get(key), list) else () for key in ("only", "databases")}
    to = told.get("to")
    to, site_open = to if isinstance(to, str) else None, told.get("site_open") is True
    reason = str(told.get("reason") or "interrupted")
    return Wish(reason, to, texts["only"], texts["databases"], yes=run.changed, site_open=site_open)


def rollback(here: Here, wish: Wish, resumes: Run | None = None) -> int:
    """Carries a rollback out, or goes on with one that was interrupted. The exit code. Raises ``Problem``."""
    with Session(here, "rollback", wish.reason, wish.plain(), resumes) as session:
        return _Rollback(here, wish, session).run()


class _Rollback:
    def __init__(self, here: Here, wish: Wish, session: Session) -> None:
        self.here, self.wish, self.session, self.phases = here, wish, session, session.phases
        self._applied: Applied | None = None
        self._rules = FormerRules({}, ())
        self._patient = session.resumes is not None

    def run(self) -> int:
        here, out, old = self.here, self.here.out, self.session.resumes
        self.session.lock(f"rollback: {self.wish.reason}")
        live, history = self._known()
        now = live
        self.session.refuse_overtaken(live)
        if self.wish.trigger is not None:
            triggers.check(self.wish.trigger, history)
        undone = self._interrupted(live)
        target = records.of_set(history, undone.before) if undone else None
        if undone and target:
            # What it left behind may still work on: what it meant counts as live, and is waited for.
            live, self._patient = {**live, **undone.releases}, True
            out.print(f"Undoing the {undone.kind} {undone.id} of {undone.who}, which was interrupted {undone.where}.", markup=False)
        else:
            target = records.to_go_back_to(history, live, self._to(), here.root, self.wish.only)
        fresh = old is None or not old.releases
        before = live if old is None or fresh else old.before
        releases = self._releases(target, live) if old is None or fresh else old.releases
        moves = release_set.changes(before, releases)
        out.print(f"Back to update {target.number} of {target.started}: {target.message}", markup=False)
        for service, (former, new) in moves.items():
            out.print(f"  {service}: {former or 'none'} → {new}", markup=False)
        names = restoring.wanted(here.services, moves, self.wish.databases)
        if not moves and not undone and not astray.found(here, live):
            self.session.discard()
            out.print("Its releases are live already; nothing was changed.")
            return 0
        self.phases.carry(closed.NAME, lambda: closed.looked(here, now, releases), show=False)
        known = Outcome("databases", True, "")
        known = self.phases.carry("databases", lambda: self._databases(names, target), show=False) if names else known
        restores = [Restore(*one) for one in known.details.get("restores", ())]
        for one in restores:
            out.print(
                f"  {one.service}: its database goes back too, to {one.at}; whatever was written since is lost",
                style="yellow",
                markup=False,
            )
        for service, schema in restoring.ahead_too(here, moves, restores).items():
            said = f"  {service}: its database stays ahead by {schema} in that snapshot too (bin/mo snapshots list {service})"
            out.print(said, style="yellow", markup=False)
        self._rules = former_rules.of(here, {key: new for key, (_, new) in moves.items()})
        for sentence in self._rules.notes:
            out.print(f"  {sentence}", style="yellow", markup=False)
        if not self.wish.yes:
            self._tell_ahead(moves, names)
            if not self._confirmed(target, restores):
                self.session.finish(False, "the operator said no; nothing was changed")
                out.print("Nothing was changed.")
                return 3
        message = f"rollback to update {target.number}: {self.wish.reason}"
        self.session.planned(before, releases, message, target.number)
        done = self.phases.carry(PHASE, lambda: self._up(target, before, releases, moves, restores, message), show=False)
        return self._validated(done, before, moves, restores, message)

    def _confirmed(self, target: Record, restores: Sequence[Restore]) -> bool:
        text = f"Go back to update {target.number} on {self.here.stack}?"
        if not restores:
            return question.confirmed(text)
        names = [one.service for one in restores]
        return question.typed(f"{text} What {', '.join(names)} wrote to the database since its snapshot is lost.", names)

    def _known(self) -> tuple[Mapping[str, str], list[Record]]:
        """What is live, and the history, asked for at the same time."""
        with ThreadPoolExecutor(max_workers=1) as pool:
            history = pool.submit(self.here.engine.history)
            live = self.here.live().releases
            return live, records.read(history.result())

    def _interrupted(self, live: Mapping[str, str]) -> Run | None:
        """The run that this rollback undoes: the one that was interrupted while the host changed, unless the operator names an update, or
        somebody has deployed since. Raises ``Problem`` where services are named and there is one: what it left of the others would go back
        with them, and nobody would go on with it."""
        if self.session.resumes is not None or (self.wish.to is not None and not self.wish.only):
            return None
        known = host_journals.runs(self.here.root, self.here.stack)
        run = journals.unfinished([run for run in known if run.id < self.session.id])
        if run is None or not run.changed:
            return None
        if self.wish.only:
            raise Problem(
                f"The {run.kind} {run.id} of {run.who} was interrupted {run.where}, and what it left is not of {', '.join(self.wish.only)} "
                "alone: go on with it (bin/mo deploy --resume) or roll back all of it (bin/mo rollback) first. Nothing was changed."
            )
        if not run.before:
            return None
        meant = all(release in (run.before.get(key), run.releases.get(key)) for key, release in live.items())
        return run if meant else None

    def _to(self) -> str | None:
        """The update's number that an interrupted rollback went to: its wish may mean another one by now."""
        old = self.session.resumes
        return str(old.target) if old is not None and old.target is not None else self.wish.to

    def _releases(self, target: Record, live: Mapping[str, str]) -> dict[str, str]:
        wanted = {key for key in self.here.services if not self.wish.only or key in self.wish.only}
        return {**live, **{key: release for key, release in (target.releases or {}).items() if key in wanted}}

    def _databases(self, names: Sequence[str], target: Record) -> Outcome:
        found = restoring.planned(self.here, names, target, site_open=self.wish.site_open)
        return Outcome("", True, f"{len(found)} snapshots", {"restores": [list(astuple(one)) for one in found]})

    def _tell_ahead(self, moves: Moves, restored: Sequence[str]) -> None:
        for service, names in restoring.ahead(self.here, moves, restored).items():
            self.here.out.print(
                f"  {service}: its database stays ahead by {', '.join(names)} (--restore-databases {service} takes it back)",
                style="yellow",
                markup=False,
            )

    def _up(
        self,
        target: Record,
        before: Mapping[str, str],
        releases: Mapping[str, str],
        moves: Moves,
        restores: Sequence[Restore],
        message: str,
    ) -> Outcome:
        for one in restores:
            restoring.keep(self.here, one)
        update = Update(self.here, {"releases": releases, "rollback": note(target.target, self.wish.reason, self._rules)}, before)
        self._applied = engine_busy.waited_for(lambda: update.apply(message), self.here.out, patient=self._patient)
        return astray.put_right(self.here, told(self._applied, moves))

    def _validated(self, done: Outcome, before: Mapping[str, str], moves: Moves, restores: Sequence[Restore], message: str) -> int:
        here, phases = self.here, self.phases
        live = here.live(anew=False).releases
        progress = self._applied.progress if self._applied else progress_of(done, here.services)
        smoke = phases.carry(
            checks.SMOKE, lambda: checks.smoked(checks.validation(here, live, self.session.id, self.session.closed)), show=False
        )
        display.summary(here.out, progress, moves, live, checks.answers(smoke), done.failures)
        if not done.ok and (self._applied is None or self._applied.ok):
            phases.show(done)  # the update went well, the host did not: no line above says why
        if done.ok:
            old = self.session.resumes
            for one in restores:
                again = partial(_restored, here, one, old.id if old else None, self.wish.site_open)
                phases.carry(f"{RESTORE}{one.service}", again)
            if restores:
                smoke = phases.carry(
                    ending.AFTER_ROLLBACK,
                    lambda: checks.smoked(checks.validation(here, live, self.session.id, self.session.closed)),
                    show=False,
                )
        phases.show(smoke)
        back_too = {one.service for one in restores} if done.ok else set()
        ahead: dict[str, list[str]] = {}
        with suppress(Problem):  # a host that does not tell now is no reason to end without a report
            ahead = restoring.ahead(here, moves, (), anew=bool(restores)) if done.ok else {}
        for service in dict.fromkeys([*ahead, *(key for key in stays_ahead(progress.services.values()) if key not in back_too)]):
            _tell_it_stays_ahead(here, service, ahead.get(service, ()))
        good = done.ok and smoke.ok
        wrong = [one.name for one in phases.outcomes if not one.ok and (one is smoke or one.name.startswith(RESTORE))]
        verdict = failures.verdict(moves, done.failures, (), [*wrong, *([] if done.ok or done.failures else ["the update"])])
        kind = ending.Kind(message, before, progress, good, self.wish.reason, "rollback", done.failures, verdict)
        ending.end(here, self.session, kind, tuple(moves))
        return 0 if good else 1


def _restored(here: Here, what: Restore, interrupted: str | None, site_open: bool) -> Outcome:
    try:
        return Outcome("", True, restoring.restored(here, what, interrupted, site_open=site_open))
    except Problem as problem:
        raise Problem(
            f"{problem}\nThe code of {what.service} is back, its database is not: once that is mended, bin/mo deploy --stack {here.stack} "
            "--resume goes on with it.",
            problem.code,
        ) from None


def _tell_it_stays_ahead(here: Here, service: str, migrations: Sequence[str]) -> None:
    here.out.print(_stays_ahead(service, migrations), style="yellow", markup=False)


def _stays_ahead(service: str, migrations: Sequence[str]) -> str:
    by = f" by {', '.join(migrations)}" if migrations else ""
    return f"{service}: its database stays ahead of this release{by}"


def automatic(here: Here, session: Session, before: Mapping[str, str], reason: str, only: tuple[str, ...] = ()) -> bool:
    """Takes a deployment back to the releases ``before`` it, of the services ``only`` where these are named, and asks every service.
    Whether all is well. Databases stay."""
    former = {key: release for key, release in before.items() if not only or key in only}
    done = session.phases.carry(PHASE, lambda: _ahead_too(here, session, former, _taken_back(here, session, before, reason, only)))
    live = here.live(anew=False).releases
    named = done.details.get("by")
    for service in _keys(done, "ahead"):
        _tell_it_stays_ahead(here, service, named.get(service, ()) if isinstance(named, dict) else ())
    looked_at = checks.validation(here, live, session.id, session.closed)
    smoke = session.phases.carry(ending.AFTER_ROLLBACK, lambda: checks.smoked(looked_at))
    if not (done.ok and smoke.ok):
        here.out.print("NOT everything is back: see above, and docs/runbook.md.", style="bold red", markup=False)
    return done.ok and smoke.ok


def ahead_of(former: Mapping[str, str], here: Here) -> list[str]:
    """A line for each service whose database stays ahead of its ``former`` release; none where the host does not tell now."""
    moves: dict[str, tuple[str | None, str]] = {key: (None, release) for key, release in former.items() if key in here.services}
    with suppress(Problem):
        return [_stays_ahead(key, names) for key, names in restoring.ahead(here, moves, (), anew=True).items()]
    return []


def _ahead_too(here: Here, session: Session, before: Mapping[str, str], done: Outcome) -> Outcome:
    """The outcome of the way back, with what stays ahead of ``before``: a switch that failed has perhaps migrated its database."""
    up = session.phases.named("up")
    touched = {*_keys(up, "services"), *_keys(done, "moves")}
    moves = {key: (None, release) for key, release in before.items() if key in touched and key in here.services}
    ahead: dict[str, list[str]] = {}
    with suppress(Problem):  # a host that does not tell now is no reason to end without a report
        ahead = restoring.ahead(here, moves, (), anew=not done.ok)
    if not ahead:
        return done
    known = _keys(done, "ahead")
    each = [("that of {0}" if key in known else "the database of {0} stays ahead").format(key) for key in ahead]
    said = "; ".join([done.summary, *(f"{one} by {', '.join(names)}" for one, names in zip(each, ahead.values(), strict=True))])
    return replace(done, summary=said, details={**done.details, "ahead": sorted({*known, *ahead}), "by": ahead})


def _keys(outcome: Outcome | None, detail: str) -> list[str]:
    found = outcome.details.get(detail) if outcome else None
    return [str(key) for key in found] if isinstance(found, (dict, list)) else []


def _taken_back(here: Here, session: Session, before: Mapping[str, str], reason: str, only: tuple[str, ...]) -> Outcome:
    live = here.live().releases
    former = {key: release for key, release in before.items() if not only or key in only}
    if not former:
        return Outcome("", False, no_way_back(only), {"moves": {}}, reverts=only)
    releases = {**live, **former}
    moves = release_set.changes(live, releases)
    if not moves:
        return astray.put_right(here, Outcome("", True, "every service runs its former release already", {"moves": {}}, None, only))
    history = records.read(here.engine.history())
    # Of a part of it: what a later rollback goes to is before the deployment that this one takes back.
    number = history[0].number if only and history else records.number_of(history, before)
    what = f"of {', '.join(former)}" if only else f"to update {number}"
    rules = former_rules.of(here, {key: new for key, (_, new) in moves.items()})
    for sentence in rules.notes:
        here.out.print(sentence, style="yellow", markup=False)
    update = Update(here, {"releases": releases, "rollback": note(number, reason, rules)}, live)
    patient = session.resumes is not None
    applied = engine_busy.waited_for(lambda: update.apply(f"automatic rollback {what}: {reason}"), here.out, patient=patient)
    return astray.put_right(here, replace(told(applied, moves), reverts=only))


def no_way_back(only: Sequence[str]) -> str:
    """That there is nothing to go back to: it was the first deployment of all, or of the services ``only``."""
    if not only:
        return "this was the first deployment, so there is no former release; it stays as it is"
    return f"{', '.join(only)} had no former release; {'it stays as it is' if len(only) == 1 else 'they stay as they are'}"


def note(update: int, reason: str, rules: FormerRules | None = None) -> dict[str, Any]:
    """What the history keeps of a rollback (``mo:rollback``)."""
    return {
        **({"activations": rules.to_config()} if rules and rules.known else {}),
        "update": update,
        "reason": reason[:500],
        "author": owners.here().name,
        "time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
    }


def told(applied: Applied, moves: Moves) -> Outcome:
    """The outcome of an update that went back; it never asks for a further one."""
    outcome = applied.outcome(PHASE)
    ahead = stays_ahead(applied.progress.services.values())
    said = f"{counted(len(moves), 'service')} went back ({', '.join(moves)})" if outcome.ok else outcome.summary
    if ahead:
        said += f"; the databases of {', '.join(ahead)} stay ahead"
    details = {**outcome.details, "moves": {key: list(pair) for key, pair in moves.items()}, "ahead": ahead}
    return replace(outcome, summary=said, details=details, rollback=None, reverts=())


def stays_ahead(entries: Any) -> list[str]:
    """The services whose switch found the database ahead of the release."""
    return [entry.service for entry in entries if entry.results.get("switch", {}).get("schema") == "ahead"]
