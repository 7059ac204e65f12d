"""The spooler of the testing engine: the worker of production, with its ends in the hands of a test."""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager

from spoolsim.spool import settle
from spoolsim.spool.scan import OPEN_DIR, Level, scan, unordered
from spoolsim.spool.verdicts import KEEP
from spoolsim.testing import clock
from spoolsim.testing.faults import AFTER, BEFORE, Killed, Lines
from spoolsim.testing.limit import Interrupted
from spoolsim.testing.task import BROKEN, KILLED, Ran
from spoolsim.work import diagnosis, run
from spoolsim.work import outcome as outcomes
from spoolsim.work.app import SPOOLER
from spoolsim.work.installed import print_error
from spoolsim.work.scoreboard import LEAVE
from spoolsim.work.worker import Worker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Generator, Iterator
    from typing import Any

    from spoolsim.spool.claim import Claim
    from spoolsim.spool.directory import SpoolDir
    from spoolsim.testing.faults import Fault
    from spoolsim.testing.script import Script
    from spoolsim.work.app import App
    from spoolsim.work.outcome import Outcome

#: how the names of our own modules begin
_OURS = __name__.rpartition(".")[0] + "."


class Died(BaseException):
    """The spooler's process is gone, as a test ordered."""


class TestingWorker(Worker):
    """One spooler of a harness."""

    __slots__ = ("_claim", "_ran", "script")

    def __init__(self, app: App, spool: SpoolDir, script: Script) -> None:
        super().__init__(app, spool, in_process=True, settled=self._is_settled)
        self.chdir = True  # as in production, where a relative path leads into the spool directory
        self.script = script
        self.walk = self._walk
        self.call = self._call
        self._claim: Claim | None = None
        self._ran: Ran | None = None

    def cycle(self, only: Container[str] | None = None, alone: str = "", but: str = "") -> int:
        """As in production; the process is the spooler as long as it takes."""
        app = self.app
        role, worker_id, in_master = app.role, app.worker_id, app.signals.in_master
        app.role, app.worker_id, app.signals.in_master = SPOOLER, 0, False
        try:
            return super().cycle(only, alone, but)
        finally:
            app.role, app.worker_id, app.signals.in_master = role, worker_id, in_master

    # ---- which tasks, in which order ----

    def _walk(
        self,
        spool: SpoolDir,
        *,
        ordered: bool = False,
        share: tuple[int, int] | None = None,
        alone: str = "",
        now: Callable[[], float],
        skipped: Callable[[str, str], None] | None = None,
        failed: Callable[[OSError], None] | None = None,
    ) -> Generator[tuple[Level, str]]:
        """As `scan`, but in a certain order also where uWSGI promises none, and no further than the test wants.

        An error of the disk is raised: a test is told of it, not a log.
        """
        enough = self.script.enough
        if ordered:
            if clock.frozen() is not None:
                _rewind(spool.path)
            only = self.script.only
            for level, name in scan(spool, ordered=True, now=now, skipped=skipped):
                if enough():
                    return
                if only is None or f"{level.path}/{name}" == only:
                    yield level, name
            return
        fd = os.open(spool.path, OPEN_DIR)
        try:
            level = Level(spool, spool.path, fd)
            names = [name for _, name in unordered(level, None, skipped)]
            for name in self.script.arrange(spool.path, names):
                if enough():
                    return
                yield level, name
        finally:
            os.close(fd)

    # ---- one task ----

    def manage(self, claim: Claim) -> bool:
        """As in production; but a test may have ordered the process to be killed in it."""
        script = self.script
        self._claim = claim
        self._ran = ran = Ran(script.known(claim))
        try:
            return super().manage(claim)
        except Died:
            settle.apply(claim, KEEP)
            ran.state = KILLED
            script.has_run(ran)
            raise
        finally:
            self._claim = None

    def _call(self, handler: Callable[[object], object], env: dict[str | bytes, bytes]) -> Outcome:
        ran, script = self._ran, self.script
        assert ran is not None
        ran.handler = handler
        if script.meddles():
            fault = script.fault(ran)
            if fault is not None or script.follow is not None:
                return self._meddled(handler, env, ran, fault)
        result = self._guarded(handler, env, ran)
        return result if ran.error is None else self._outcome_of(ran.error)

    def _meddled(
        self, handler: Callable[[object], object], env: dict[str | bytes, bytes], ran: Ran, fault: Fault | None
    ) -> Outcome:
        """A run that a test has ordered a fault for, or follows line by line."""
        script = self.script
        kill = None if fault is None else fault.kill
        if fault is not None and not isinstance(kill, int):
            ran.fault = fault.text
            if fault.error is not None:
                handler = _raise(fault.error)
        if kill == BEFORE:
            script.followed(ran, [])
            raise Died
        lines = Lines(kill if isinstance(kill, int) else 0, script.outside)
        inner = handler
        result = self._guarded(lambda env: lines.run(lambda: inner(env)), env, ran)
        script.followed(ran, lines.points)
        if fault is not None and lines.died:
            ran.fault = fault.text
        if kill == AFTER or lines.died:
            ran.error = None
            raise Died
        if isinstance(kill, int):
            script.outlived(ran, kill, len(lines.points))
        if ran.error is None:
            return result
        outcome = self._outcome_of(ran.error)
        if ran.fault:
            ran.error = None  # ordered: no surprise to the test
        return outcome

    def _guarded(self, handler: Callable[[Any], Any], env: object, ran: Ran) -> Outcome:
        """Call a handler whose exception goes to the test, not into the log."""
        script = self.script
        limit = script.limit
        try:
            try:
                if limit is not None:
                    limit.busy = True
                with _no_event_loop():
                    result = handler(env)
            except BaseException as error:
                self._caught(error, ran, env)
                result = outcomes.SPOOL_RETRY
            finally:
                if limit is not None and limit.end():
                    script.was_stuck(ran)
        except Interrupted:  # while we looked at what the handler had raised
            if limit is not None:
                limit.busy = False  # it is over: no other one may come
            script.was_stuck(ran)
            result = outcomes.SPOOL_RETRY
        return outcomes.returned(result)

    def _caught(self, error: BaseException, ran: Ran, env: Any) -> None:
        cause, advice = diagnosis.of(error, ran.handler, env)
        if cause and self.app.policy.explains:
            error.add_note(f"{cause}; {advice}")
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_globals.get("__name__", "").startswith(_OURS):
            trace = trace.tb_next
        ran.error = error.with_traceback(trace)
        if self.script.errors == "collect" and not isinstance(error, Killed | Interrupted | SystemExit):
            print_error()

    def _outcome_of(self, error: BaseException) -> Outcome:
        if not isinstance(error, SystemExit):
            return outcomes.raised(error)
        self.words[LEAVE] = 1  # the process ends with this task
        return outcomes.exited(error.code)

    def _is_settled(self, path: str, outcome: Outcome) -> None:
        ran, claim = self._ran, self._claim
        assert ran is not None and claim is not None
        if ran.state:
            return  # a broken one is told of twice: when it is set aside, and as a task that is done
        ran.state = outcome.state
        ran.why = outcome.why or ("asked to be retried (SPOOL_RETRY)" if outcome.state == outcomes.RETRY else "")
        if outcome is outcomes.BROKEN:
            ran.state, ran.why = BROKEN, run.broken(claim)
            ran.task = self.script.spooled.named(claim.path) or ran.task
        self.script.has_run(ran, missing=outcome is outcomes.MISSING)


def _rewind(path: str) -> None:
    """Give priority directories an mtime of the frozen clock: the kernel's own, later, would hide them."""
    now = time.time()
    for root, directories, _ in os.walk(path):
        for name in directories:
            inner = os.path.join(root, name)
            if not os.path.islink(inner) and os.stat(inner).st_mtime > now:
                os.utime(inner, (now, now))


@contextmanager
def _no_event_loop() -> Iterator[None]:
    """Hide the event loop of an async test from the task, which in production has none: asyncio.run() works in it."""
    asyncio: Any = sys.modules.get("asyncio")
    loop = asyncio.events._get_running_loop() if asyncio is not None else None
    if loop is None:
        yield
        return
    # since 3.12; since 3.14 the task that is being run is the thread's, not the loop's, and bars those of another loop
    swap = getattr(asyncio.tasks, "_swap_current_task", None)
    current = swap(loop, None) if swap is not None else None
    asyncio.events._set_running_loop(None)
    try:
        yield
    finally:
        asyncio.events._set_running_loop(loop)
        if swap is not None:
            swap(loop, current)


def _raise(error: BaseException) -> Callable[[object], object]:
    def fail(env: object) -> object:
        raise error

    return fail
