"""The engine: runs one operation on a stack from its beginning to its end."""

from __future__ import annotations

import threading
import traceback

from embedded.engine.deployment import Deployment
from embedded.engine.events import Events
from embedded.engine.generator import Bail
from embedded.engine.policies import Policies
from embedded.engine.policy_pack import PolicyError
from embedded.engine.program import NoProgram, Program, prepare
from embedded.engine.server import Server
from embedded.model import Emit, EngineError, NotRecordedError, Options, Project, Result, Session
from embedded.providers import UnknownPackage
from embedded.providers.base import ProviderError

_PENDING_WARNING = """\
Attempting to deploy or update resources with {count} pending operations from previous deployment.
{listed}These resources are in an unknown state because the Pulumi CLI was interrupted while waiting for changes to these resources to \
complete. You should confirm whether or not the operations listed completed successfully by checking the state of the appropriate \
provider. For example, if you are using AWS, you can confirm using the AWS Console.

Once you have confirmed the status of the interrupted operations, you can repair your stack using `pulumi refresh` which will refresh \
the state from the provider you are using and clear the pending operations if there are any.

Note that `pulumi refresh` will need to be run interactively to clear pending CREATE operations."""


def run(options: Options, project: Project, session: Session, emit: Emit, cancel: threading.Event) -> Result:
    """Runs the operation that ``options`` name. ``cancel`` may be set at any time: what is under way is finished and saved."""
    preview = options.kind.startswith("preview")
    events = Events(emit, project, preview=preview, refresh=options.kind.endswith("refresh"), values=options.values)
    try:
        return _Run(options, project, session, events, cancel).go()
    finally:
        events.send({"cancelEvent": {}})


class _Run:
    def __init__(self, options: Options, project: Project, session: Session, events: Events, cancel: threading.Event) -> None:
        self.options, self.project, self.session, self.events, self.cancel = options, project, session, events, cancel
        self.program: Program = NoProgram()
        self.server: Server | None = None
        self.program_error: tuple[str, bool] | None = None
        self.released = False
        self.done = threading.Event()

    def go(self) -> Result:
        options, events = self.options, self.events
        updates = options.kind.endswith(("update", "preview"))
        try:
            run = Deployment(options, self.project, self.session, events, self.cancel)
            if updates or options.run_program:
                self.program = prepare(options, self.project, run.parallel)
            if updates and options.policy_packs:
                run.policies = Policies(options, self.project, events, run.preview)
        except (EngineError, PolicyError, ProviderError) as error:
            self.program.interrupt()
            self.program.wait()
            return self._saved(self._result(None, ok=False, error=str(error)))
        events.prelude(self.project)
        threading.Thread(target=self._heed_cancel, args=(run,), daemon=True).start()
        ok = nothing = (
            options.exclude_protected and not run.options.targets and any(s.protect for s in self.session.snapshot.resources)
        )
        try:
            ok = nothing or self._deploy(run)
        except Bail:
            pass
        except (EngineError, PolicyError, ProviderError, UnknownPackage) as error:
            events.error(str(error))
        except NotRecordedError as problem:
            run.executor.give_up(problem)
        except Exception as error:  # a defect of ours: what was done is saved all the same
            events.error(f"the embedded engine failed: {type(error).__name__}: {error}")
            traceback.print_exc()
        if not ok:
            run.executor.stop.set()
        run.executor.close()
        ok = ok and not run.cancel.is_set()
        events.summary(ok=ok, packs=run.policies.versions if run.policies else {})
        self._end_program(ok)
        if self.server is not None:
            self.server.stop()
        if run.policies is not None:
            run.policies.close()
        run.registry.close()
        self.done.set()
        return self._saved(self._result(run, ok=ok, error=None))

    def _heed_cancel(self, run: Deployment) -> None:
        """Tells the main loop, or the program that is about to end, when the run is cancelled."""
        while not self.done.wait(0.1):
            if self.cancel.is_set():
                run.wake()
                if self.released:
                    self.program.interrupt()
                    return

    def _saved(self, result: Result) -> Result:
        if not self.options.kind.startswith("preview") and result.snapshot is not None:
            self.session.finish(result.snapshot, result="succeeded" if result.ok else "failed", changes=result.changes)
        return result

    def _deploy(self, run: Deployment) -> bool:
        """Everything between prelude and summary. Whether all went well; what did not is reported."""
        options = self.options
        with_program = not isinstance(self.program, NoProgram)
        refreshes = options.kind.endswith("refresh")
        if options.clear_pending_creates:
            run.keeper.forget_pending_creates()
        if (options.refresh or refreshes) and not options.run_program:
            try:
                run.refresh()
            except Bail:
                self._report(run)
                raise
            if refreshes:
                return True
        elif run.pending_operations and not run.preview and not refreshes:
            listed = "".join(f"  * {op.resource.urn}, interrupted while {op.type}\n" for op in run.pending_operations)
            self.events.diagnostic("warning", _PENDING_WARNING.format(count=len(run.pending_operations), listed=listed))
        run.check_targets(options.replaces)
        if with_program:
            self.server = Server(run)
            self.program.start(self.server.address, self.events, lambda error, reported: self._program_ended(run, error, reported))
        else:
            run.finished(None)
        ok = run.loop()
        run.executor.wait_idle()
        failed = not ok or run.executor.failed or run.generator.failed or (run.policies is not None and run.policies.failed)
        run.settle_stack_outputs(failed=failed)
        if not ok:
            return False
        if run.policies is not None and not run.executor.failed and not self.cancel.is_set():
            run.policies.judge_stack(run)
            failed = failed or run.policies.failed
        if failed or self.cancel.is_set():
            self._report(run, canceled=not failed)
            return False
        if with_program and self.server is not None:
            # The program may end now; what it still has to say counts.
            self.released = True
            self.server.monitor.release()
            self.program.wait()
            if self.program_error is not None:
                text, reported = self.program_error
                if not reported:
                    self.events.error(text)
                return False
        return True

    def _program_ended(self, run: Deployment, error: str | None, reported: bool) -> None:
        if error is not None:
            self.program_error = (error, reported)
        run.finished(error, reported=reported)

    def _report(self, run: Deployment, *, canceled: bool = False) -> None:
        kind = "preview" if run.preview else "update"
        self.events.error(f"{kind} {'canceled' if canceled or self.cancel.is_set() else 'failed'}")

    def _end_program(self, ok: bool) -> None:
        if not ok:
            if self.server is not None:
                self.server.mute()
            self.program.interrupt()
            if self.server is not None:
                self.server.monitor.close()
        self.program.wait()

    def _result(self, run: Deployment | None, *, ok: bool, error: str | None) -> Result:
        snapshot = run.keeper.snapshot() if run is not None else self.session.snapshot
        return Result(
            ok=ok,
            changes=dict(self.events.changes),
            error=None if ok else error or self.events.last_error,
            snapshot=snapshot,
            cancelled=self.cancel.is_set(),
        )
