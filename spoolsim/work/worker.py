"""A spooler: scan, claim, run, settle; then wait. The same cycle runs in a worker process, inline and in tests.

There is one way for a task: `take` claims it, `Worker.manage` begins it and calls its handler, `Settler.finish` ends
it.
"""

from __future__ import annotations

import os
import time

from spoolsim import system
from spoolsim.spool import claim as claims
from spoolsim.spool import settle, wake
from spoolsim.spool.claim import take
from spoolsim.spool.journal import Journal
from spoolsim.spool.packet import HEADER
from spoolsim.spool.scan import scan
from spoolsim.spool.verdicts import KEEP
from spoolsim.work import intact, run, verdict
from spoolsim.work import outcome as outcomes
from spoolsim.work.app import NO_HANDLER
from spoolsim.work.installed import print_error
from spoolsim.work.notices import Notices, nobody
from spoolsim.work.recorder import recorder_for
from spoolsim.work.run import Ended
from spoolsim.work.scoreboard import IDLE, LEAVE, SCANNING, STARTED, STATE
from spoolsim.work.settling import Settler
from spoolsim.work.status import Status
from spoolsim.work.unremoved import Unremoved

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Generator

    from spoolsim.spool.claim import Claim
    from spoolsim.spool.directory import SpoolDir
    from spoolsim.spool.scan import Level
    from spoolsim.work.app import App
    from spoolsim.work.attempt_ring import AttemptRing
    from spoolsim.work.attempted import Attempted
    from spoolsim.work.outcome import Outcome
    from spoolsim.work.recorder import Box

OVERFLOW = "OverflowError: Python int too large to convert to C long"
_enter = os.fchdir if system.AT else system.enter_directory


class Worker:
    """One spooler of one directory.

    share: (index, count), which worker of how many on the directory.
    status: its slot of the scoreboard; memory of its own, by default.
    unremoved: what is done and could not be removed, as all processes of the instance know it.
    ring: what the other workers of the directory have tried, where they walk it in the same order.
    in_process: it is not a process of its own (inline, tests): working directory stays, SystemExit is an outcome.
    settled: called with (path, Outcome) after each task; for drain, journal and tests.
    attempted: which tasks were tried, when each is to be tried once (drain).
    box: memory for what is not yet written of the history, which the fork server sees, too.
    report: called with (KEPT, MOVED, DROPPED or STUCK, path, why) for each task that was not done, or is still there.
    """

    # fmt: off
    __slots__ = (
        "_began", "_ended", "_loud", "_names", "_options", "_overflowed", "_picky", "_unusual", "app", "around",
        "before", "call", "chdir", "fresh", "in_process", "journal", "notices", "recorder", "ring", "settler",
        "share", "spool", "status", "unfinished", "until", "walk", "who", "woken", "words",
    )
    # fmt: on

    def __init__(
        self,
        app: App,
        spool: SpoolDir,
        *,
        share: tuple[int, int] | None = None,
        status: Status | None = None,
        ring: AttemptRing | None = None,
        unremoved: Unremoved | None = None,
        in_process: bool = False,
        settled: Callable[[str, Outcome], None] | None = None,
        attempted: Attempted | None = None,
        box: Box | None = None,
        report: Callable[[str, str, str], None] = nobody,
    ) -> None:
        self.app = app
        policy = app.policy
        self._options = app.options
        self.spool, self.share = spool, share
        self.status = Status(app) if status is None else status
        self.words = self.status.words
        self.ring = ring
        self.in_process = in_process
        self.chdir = not in_process or not policy.keeps_own_directory
        #: how uWSGI's log lines name it
        self.who = f"[spooler {spool.path} pid: {os.getpid()}]"
        self.journal = Journal(spool) if policy.keeps_state and not app.options.no_journal else None
        self.recorder = recorder_for(app, spool, self.journal, box)
        self.notices = Notices(app, spool, report)
        self.settler = Settler(
            app,
            self.who,
            self.status,
            self.notices,
            self.journal,
            self.recorder,
            unremoved=Unremoved() if unremoved is None else unremoved,
            attempted=attempted,
            settled=settled,
            clock=self.clock,
        )
        #: finds the names, in the order to try them; tests put in one whose order is certain
        self.walk = scan
        #: runs a handler; tests put in one that hands its exception to them
        self.call = run.call
        #: names met empty or locked in the last cycle: perhaps in the making
        self.unfinished: set[str] = set()
        #: called before (False) and after (True) each task
        self.around: Callable[[bool], None] | None = None
        #: something rang outside of a task: scan again at once
        self.woken = False
        #: the last cycle ran a task that came during the cycle before it
        self.fresh = False
        #: when the cycle before this one began and ended, in epoch seconds; and when this one did
        self.before = self.until = self._began = self._ended = 0.0
        self._overflowed = False
        #: of this cycle: somebody listens to each task; each is to be asked about; its handler is not simply called
        self._loud = self._picky = self._unusual = False
        #: the names of the app's `uwsgi` module
        self._names: dict[str, object] = {}

    def clock(self) -> float:
        """Now, in epoch seconds; one that a test or a debugged program has stopped counts, one that a task has, not."""
        return time.time() if self.in_process else system.real_time()

    def cycle(self, only: Container[str] | None = None, alone: str = "", but: str = "") -> int:
        """One scan of the directory, each task that can be had run and settled; returns how many were run.

        only: leave all other names alone. alone: try this name and do not look at the directory. but: leave this one.
        Raises FileNotFoundError when the directory is gone, Ended when this process must end, and whatever
        SystemExit a handler raised.
        """
        count = 0
        options = self._options
        words = self.words
        policy = self.app.policy
        record = not policy.keeps_lock
        limit = options.max_body
        picky = only is not None or but
        ring = self.ring
        late, settler, manage = run.late, self.settler, self.manage
        words[STATE] = SCANNING
        self.unfinished.clear()
        now = self._begin_scan()
        if ring is not None:
            ring.begin()
        walk = self._names_to_try(alone)
        try:
            for level, name in walk:
                if picky and (name == but or (only is not None and name not in only)):
                    continue
                if ring is not None and ring.by_another(level.below, name):
                    continue
                claim = take(level, name, now, record, limit)
                if claim is claims.FUTURE:  # the clock is asked again about those alone
                    now = self.clock()
                    claim = take(level, name, now, record, limit)
                if isinstance(claim, str):
                    self._not_had(level, name, claim, alone)
                    continue
                if words[LEAVE]:  # looked at once it is ours: what came after newer code serves is that one's
                    settle.apply(claim, KEEP)
                    wake.notify(self.spool)  # who has met it locked looks again
                    break
                count += manage(claim)
                if late.error is not None:
                    self.notices.late()
                if settler.recycled or words[LEAVE]:
                    break
        finally:
            walk.close()
            self._end_scan()
        if alone and not count:  # as if it had not been
            self._began, self._ended = self.before, self.until
        return count

    def _begin_scan(self) -> float:
        """Look at once at what is the same for all tasks of a scan; returns the time, in epoch seconds."""
        options = self._options
        now = self.clock()
        self.fresh = False
        if self.recorder is not None:
            self.recorder.begin()
        self.before, self.until, self._began = self._began, self._ended, system.file_time()
        self._loud = not options.quiet or self.around is not None or self.app.log.story is not None
        self._unusual = self._overflowed or bool(options.chdir_task)
        self._names = self.app.names()
        self._picky = bool(options.max_attempts or options.max_retries) or self.settler.is_picky()
        return now

    def _end_scan(self) -> None:
        """Write what was kept for the end of a scan."""
        self.words[STATE] = IDLE
        if self.ring is not None:
            self.unfinished.update(self.ring.to_recheck())
        if self.journal is not None:
            self.journal.flush()
        if self.recorder is not None:
            self.recorder.flush()
        self._ended = system.file_time()

    def _names_to_try(self, alone: str) -> Generator[tuple[Level, str]]:
        """The names to try, in their order."""
        return self.walk(
            self.spool,
            ordered=self._options.ordered,
            share=self.share,
            alone=alone,
            now=self.clock,
            skipped=self._skipped if self.app.policy.explains else None,
            failed=self._unscanned,
        )

    def _not_had(self, level: Level, name: str, why: str, alone: str) -> None:
        """A name that was tried, and why its task could not be had now."""
        if why is claims.UNFINISHED or why is claims.LOCKED:
            self.unfinished.add(name)
        elif why is not claims.UNREADABLE:
            return
        elif settle.lost(level):
            raise Ended(1, self.notices.descriptors_gone("a task"))
        elif self.app.policy.explains and name != alone:  # what an event told of may be no file at all
            self._skipped(f"{level.path}/{name}", "unreadable, or not writable, for this user")
        if self.ring is not None:
            self.ring.failed()

    def _skipped(self, path: str, why: str) -> None:
        self.settler.check_identity()
        self.notices.skipped(path, why)

    def _unscanned(self, error: OSError) -> None:
        self.settler.check_identity()
        self.notices.unscanned(error)

    def manage(self, claim: Claim) -> bool:
        """Run one claimed task and settle it; False when it was broken, or had been tried, and did not run."""
        env: dict[str | bytes, bytes] = {}
        fault = run.read(claim, env)
        if (fault or self._picky) and not self._admits(claim, fault):
            return False
        level = claim.level
        if self.chdir:
            try:
                _enter(level.fd)
            except OSError as error:
                self.settler.end(claim, KEEP)
                self.notices.not_entered(claim, error)
                return False
        if self._loud:
            self._announce(claim)
        self.fresh = self.fresh or self.before <= claim.mtime < self.until
        status = self.status
        below = level.below
        name = env["spooler_task_name"]
        handler = self._names.get("spooler", NO_HANDLER)
        status.begin(below.encode() + name if below else name)
        try:
            if fault or handler is NO_HANDLER or self._unusual:
                outcome = self._run_unusual(claim, handler, env, fault)
            else:
                outcome = self.call(handler, env)
        except SystemExit as error:
            if not self.in_process:
                raise  # the process ends in this task, and the scoreboard goes on saying so
            outcome = outcomes.exited(error.code)
        except BaseException:
            status.end()
            raise
        try:
            self.settler.finish(claim, outcome, fault, status.end())
            if outcome.why or self._loud:
                self._say(claim, outcome, handler, env)
        except BaseException as error:
            if run.is_end(error):
                raise
            self._struck(claim, outcome, fault, error)
        return True

    def _run_unusual(self, claim: Claim, handler: object, env: dict[str | bytes, bytes], fault: str) -> Outcome:
        """The outcome of a task whose handler is not called, or in another directory."""
        options = self._options
        if options.chdir_task:
            self._change_directory(claim.level, options.chdir_task)
            handler = self.app.handler()
        if handler is NO_HANDLER:
            return outcomes.MISSING
        if self._overflowed:  # uWSGI leaves the error of an int too big pending: it strikes the next task
            self._overflowed = False
            self._unusual = bool(options.chdir_task)
            self.app.log.line(OVERFLOW)
            return outcomes.raised(OverflowError("of the task before"))
        return outcomes.BROKEN if fault else self.call(handler, env)

    def _say(self, claim: Claim, outcome: Outcome, handler: object, env: dict[str | bytes, bytes]) -> None:
        """After a task, to whoever listens; and why it will come back."""
        if self.around is not None:
            self.around(True)
        if outcome.overflow:
            self._overflowed = not self.app.policy.retries_overflow
            self._unusual = self._unusual or self._overflowed
            self.app.notes.give("return-overflow", claim.name)
        if outcome.why:
            self.notices.comes_back(claim, outcome, handler, env)

    def _admits(self, claim: Claim, fault: str) -> bool:
        """Whether a claimed task is to be run; if not, its claim has ended."""
        settler = self.settler
        if claim in settler.unremoved:
            settler.remove_late(claim)
            return False
        if settler.attempted is not None and not settler.attempted.begin(claim.task, claim.inode):
            settler.end(claim, KEEP)
            return False
        data = claim.data
        if not data:
            settler.end(claim, verdict.too_large(self._options), code="body-too-large")
            return False
        if len(data) < HEADER or len(data) < HEADER + (data[1] | data[2] << 8):
            if not self.app.policy.quarantines_broken:
                self.app.log.line("spooler_manage_task()/read(): Success [core/spooler.c line 554]")
            settler.end(claim, verdict.broken(fault, self._options), fault=fault)
            return False
        options = self._options
        return not ((options.max_attempts or options.max_retries) and settler.is_spent(claim))

    def _announce(self, claim: Claim) -> None:
        """Before a task, to whoever listens."""
        story = self.app.log.story
        if story is not None:
            story.begin(claim.name, claim.data)
        elif not self._options.quiet:
            self.app.log.line(f"{self.who} managing request {claim.name} ...")
        if self.around is not None:
            self.around(False)

    def _struck(self, claim: Claim, outcome: Outcome, fault: str, error: BaseException) -> None:
        """Something was raised after a handler had returned, by a handler of a signal perhaps: settle its task first.

        What was raised is printed after that (`Notices.late`); in a process that is not ours it is raised.
        """
        intact.kept.mend()
        run.late.error = error
        self.status.end()
        self.settler.struck(claim, outcome, fault)
        if self.in_process:
            run.late.error = None
            raise error

    def astray(self) -> None:
        """An exception of the app's, a signal handler's, was raised in our own code: print it, give up the claim."""
        settle.abandon()
        print_error()
        self.status.end()
        self.words[STARTED] = 0
        self.words[STATE] = IDLE

    def _change_directory(self, level: Level, path: str) -> None:
        """spooler-chdir: a relative one is taken from the task's own directory."""
        try:
            os.chdir(path if self.chdir else os.path.join(level.path, path))
        except OSError as error:
            self.app.log.line(f"chdir(): {error.strerror} [core/spooler.c line 651]")

    @property
    def recycled(self) -> bool:
        """Whether this process has run as many tasks as it may."""
        return self.settler.recycled

    def renew(self) -> None:
        """Where a process of its own would end, and another one take its place."""
        self.settler.renew()
