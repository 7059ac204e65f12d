"""A spooler: scan, claim, run, settle; then wait. The same cycle runs in a worker process, inline and in tests."""

from __future__ import annotations

import os
import time

from spoolsim import system
from spoolsim.errors import PacketError
from spoolsim.spool import claim as claims
from spoolsim.spool import journal as journals
from spoolsim.spool import settle
from spoolsim.spool.claim import Claim, take
from spoolsim.spool.directory import BROKEN, FAILED
from spoolsim.spool.journal import Journal
from spoolsim.spool.packet import HEADER
from spoolsim.spool.scan import scan
from spoolsim.work import identity, intact, plain, run, scoreboard
from spoolsim.work import outcome as outcomes
from spoolsim.work.app import NO_HANDLER, print_error
from spoolsim.work.scoreboard import (
    BUSY,
    DONE,
    HARAKIRI,
    IDLE,
    LAST_OUTCOME,
    LEAVE,
    OUTCOME,
    SCANNING,
    SERIAL,
    STARTED,
    STATE,
    TASKS,
    USER,
    WIDTH,
    write_task,
)
from spoolsim.work.unremoved import Unremoved

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container
    from typing import NoReturn

    from spoolsim.spool.directory import SpoolDir
    from spoolsim.spool.scan import Level
    from spoolsim.work.app import App
    from spoolsim.work.attempted import Attempted
    from spoolsim.work.outcome import Outcome
    from spoolsim.work.tried import Tried

_SECOND = 1_000_000_000

#: what `Worker.report` is told of a task: it stays, to be tried again; it was moved out of the way; it was deleted, as
#: uWSGI does with a broken one; it is done, but still there
KEPT, MOVED, DROPPED, STUCK = "kept", "moved", "dropped", "stuck"

_ASKED = "asked to be retried (SPOOL_RETRY)"
OVERFLOW = "OverflowError: Python int too large to convert to C long"
UNFOUND = "unable to find the spooler function, have you loaded it into the spooler process ?"
HORRIBLE = "[spooler] something horrible happened to the spooler. Better to kill it."
#: tries to settle a task while exceptions strike; after half of them it counts as one that cannot be removed
_STRIKES = 200


class Ended(Exception):
    """This worker's process must end now, with this exit status."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Worker:
    """One spooler of one directory.

    share: (index, count), which worker of how many on the directory.
    words, place: its slot of the scoreboard, and where the running task's name goes there.
    unremoved: what is done and could not be removed, as all processes of the instance know it.
    tried: what the other workers of the directory have tried, where they walk it in the same order.
    in_process: it is not a process of its own (inline, tests): working directory stays, SystemExit is an outcome.
    settled: called with (path, Outcome) after each task; for drain, journal and tests.
    attempted: which tasks were tried, when each is to be tried once (drain).
    report: called with (KEPT, MOVED, DROPPED or STUCK, path, why) for each task that was not done, or is still there.
    """

    __slots__ = (
        "_began",
        "_ended",
        "_overflowed",
        "app",
        "around",
        "attempted",
        "before",
        "call",
        "chdir",
        "fresh",
        "identity",
        "in_process",
        "journal",
        "looked",
        "options",
        "parent",
        "pid",
        "place",
        "recycled",
        "report",
        "serial",
        "settled",
        "share",
        "spool",
        "tasks",
        "tried",
        "unfinished",
        "unremoved",
        "until",
        "walk",
        "woken",
        "words",
    )

    def __init__(
        self,
        app: App,
        spool: SpoolDir,
        *,
        share: tuple[int, int] | None = None,
        words: memoryview | None = None,
        place: memoryview | None = None,
        tried: Tried | None = None,
        unremoved: Unremoved | None = None,
        in_process: bool = False,
        settled: Callable[[str, Outcome], None] | None = None,
        attempted: Attempted | None = None,
        report: Callable[[str, str, str], None] | None = None,
    ) -> None:
        self.app = app
        self.options = app.options
        self.spool = spool
        self.share = share
        self.words = memoryview(bytearray(8 * WIDTH)).cast("Q") if words is None else words
        self.place = place
        self.tried = tried
        self.unremoved = Unremoved() if unremoved is None else unremoved
        self.in_process = in_process
        self.journal = None if app.faithful or app.options.no_journal else Journal(spool)
        self.chdir = not in_process or app.faithful
        self.settled = settled
        self.attempted = attempted
        self.report = report
        #: finds the names, in the order to try them; tests put in one whose order is certain
        self.walk = scan
        #: runs a handler; tests put in one that hands its exception to them
        self.call = run.call
        self.pid = os.getpid()
        self.tasks = 0
        self.recycled = False
        #: names met empty or locked in the last cycle: perhaps in the making
        self.unfinished: set[str] = set()
        #: called before (False) and after (True) each task
        self.around: Callable[[bool], None] | None = None
        #: the process whose child we are: when it is gone we finish the task we hold, not the scan; 0 to go on
        self.parent = 0
        #: when it was last seen whether the parent lives, monotonic nanoseconds
        self.looked = 0
        #: something rang outside of a task: scan again at once
        self.woken = False
        #: the last cycle ran a task that came during the cycle before it
        self.fresh = False
        #: when the cycle before this one began and ended, in epoch seconds; and when this one did
        self.before = self.until = 0.0
        self._began = self._ended = 0.0
        self._overflowed = False
        #: whose process it is, in which root directory; None where a handler that changes that changes nothing of ours
        self.identity: tuple[int, int, int, int] | None = None
        #: the number of the running task, twice; the scoreboard has it
        self.serial = 0
        app.harakiri_word = self._arm_user

    def cycle(self, only: Container[str] | None = None, alone: str = "", but: str = "") -> int:
        """One scan of the directory, each task that can be had run and settled; returns how many were run.

        only: leave all other names alone. alone: try this name and do not look at the directory. but: leave this one.
        Raises FileNotFoundError when the directory is gone, Ended when this process must end, and whatever
        SystemExit a handler raised.
        """
        count = 0
        options = self.options
        words = self.words
        record = self.app.faithful
        limit = options.max_body
        parent = self.parent
        getppid = os.getppid
        short = None
        picky = only is not None or but
        tried = self.tried
        late = run.late
        words[STATE] = SCANNING
        self.unfinished.clear()
        self.fresh = False
        self.before, self.until, self._began = self._began, self._ended, time.time()
        skipped = None if record else self._skipped
        if not self.in_process:
            short = plain.way(self)
        if tried is not None:
            tried.begin()
        walk = self.walk(
            self.spool,
            ordered=options.ordered,
            share=self.share,
            alone=alone,
            now=_now,
            skipped=skipped,
            failed=self._unscanned,
        )
        try:
            for level, name in walk:
                if picky and (name == but or (only is not None and name not in only)):
                    continue
                if tried is not None and tried.by_another(level.below, name):
                    continue
                if short is not None:
                    claim = short(level, name)
                else:
                    claim = take(level, name, time.time(), record=record, limit=limit)
                if claim is None:
                    count += 1
                    if late.error is not None:
                        self.tell_late()
                    if self.recycled or words[LEAVE]:
                        break
                    continue
                if claim.__class__ is Claim:
                    count += self.manage(claim)
                    if late.error is not None:
                        self.tell_late()
                else:
                    self._not_had(level, name, claim, alone)
                    continue
                if self.recycled or words[LEAVE] or (parent and getppid() != parent):
                    break
        finally:
            walk.close()
            words[STATE] = IDLE
            if tried is not None:
                self.unfinished.update(tried.in_doubt())
            if self.journal is not None:
                self.journal.flush()
            self._ended = time.time()
        if alone and not count:  # as if it had not been
            self._began, self._ended = self.before, self.until
        return count

    def _not_had(self, level: Level, name: str, why: str | Claim, alone: str) -> None:
        """A name that was tried, and why its task could not be had now."""
        if why is claims.UNFINISHED or why is claims.LOCKED:
            self.unfinished.add(name)
        elif why is not claims.UNREADABLE:
            return
        elif settle.lost(level):
            raise Ended(1, self._descriptors_gone("a task"))
        elif not self.app.faithful and name != alone:  # what an event told of may be no file at all
            self._skipped(f"{level.path}/{name}", "unreadable, or not writable, for this user")
        if self.tried is not None:
            self.tried.in_vain()

    def manage(self, claim: Claim) -> bool:
        """Run one claimed task and settle it; False when it was broken, or had been tried, and did not run."""
        if claim in self.unremoved:
            self._remove_late(claim)
            return False
        if self.attempted is not None and not self.attempted.begin(claim.task, claim.inode):
            settle.release(claim)
            return False
        data = claim.data
        if not data:
            limit = self.options.max_body
            why = f"it is larger than --max-body ({limit} bytes)" if limit else "it is larger than the memory there is"
            self._set_aside(claim, why, "body-too-large")
            return False
        if len(data) < HEADER or len(data) < HEADER + (data[1] | data[2] << 8):
            self._short(claim)
            return False
        options = self.options
        journal = self.journal if options.max_attempts or options.max_retries else None
        if journal is not None and journal.attempts(claim.task) and self._given_up(claim, journal):
            return False  # the last attempt killed its spooler
        if self.chdir and not self._enter(claim):
            return False
        app = self.app
        quiet = options.quiet
        if not quiet:
            app.log.line(f"[spooler {self.spool.path} pid: {self.pid}] managing request {claim.name} ...")
        if self.before <= claim.mtime <= self.until:
            self.fresh = True
        if self.around is not None:
            self.around(False)
        if self.place is not None:
            write_task(self.place, claim.task.encode("utf-8", "surrogateescape"))
        began = self._begin()
        env = None
        reason = ""
        try:
            if options.chdir_task:
                self._change_directory(claim.level, options.chdir_task)
            handler = app.handler()
            if handler is NO_HANDLER:
                outcome = outcomes.MISSING
            elif self._overflowed:
                outcome = self._strike()
            else:
                try:
                    env = run.environment(claim)
                except PacketError as error:
                    reason = str(error)
                    outcome = outcomes.BROKEN
                else:
                    outcome = self.call(handler, env)
        except SystemExit as error:
            if not self.in_process:
                raise  # the process ends in this task, and the scoreboard goes on saying so
            outcome = outcomes.exited(error.code)
        except BaseException:
            self._end()
            raise
        try:
            self.finish(claim, outcome, reason, began, handler, env)
        except BaseException as error:
            if self.is_end(error):
                raise
            self.struck(claim, outcome, error)
            if self.in_process:
                run.late.error = None
                raise
        return True

    def is_end(self, error: BaseException) -> bool:
        """Whether this is our own order to end the process."""
        return type(error) is Ended

    def struck(self, claim: Claim, outcome: Outcome, error: BaseException) -> None:
        """Something was raised after a handler had returned, by a handler of a signal perhaps: settle its task first.

        What was raised is told of behind that (`tell_late`).
        """
        intact.kept.mend()
        run.late.error = error
        self._end()
        removed = outcome.state is not outcomes.DONE
        # a handler of signals raises now and then, a function of os that the app replaced each time: that has an end
        for strike in range(1, _STRIKES + 1):
            if claim.fd < 0 or claims.held.fd != claim.fd:
                break
            try:
                if not removed:
                    settle.unlink(claim)
                    removed = True
                settle.release(claim)
            except FileNotFoundError:
                removed = True  # before it was struck
            except BaseException as again:
                ours = isinstance(again, OSError) and run.is_ours(again)
                if not ours:
                    run.late.error = again
                if not removed and (ours or strike == _STRIKES // 2):
                    removed = True
                    self._not_removed(claim, again if isinstance(again, OSError) else OSError(0, f"{again!r:.80}"))

    def tell_late(self) -> None:
        """Print what was raised when its task was over; a SystemExit ends the process, as it does anywhere."""
        error, run.late.error = run.late.error, None
        if error is None or type(error) is Ended:
            return
        try:
            raise error
        except SystemExit:
            raise
        except BaseException:
            print_error()
        self._once(
            "",
            "late",
            f"{outcomes.class_name(error)} was raised after the handler had returned, so its task is settled all the "
            "same; the app's timer or signal handler comes late: disarm it before the handler returns",
        )

    def astray(self) -> None:
        """An exception of the app's, a signal handler's, was raised amid our own code: print it, give up the claim."""
        settle.abandon()
        print_error()
        self._end()
        self.words[STATE] = IDLE

    def finish(
        self,
        claim: Claim,
        outcome: Outcome,
        reason: str,
        began: int,
        handler: object,
        env: dict[str | bytes, bytes] | None,
    ) -> None:
        """A task has been run: settle it, and say what will become of it.

        reason: why it is broken, if it is. began: monotonic nanoseconds. env: None where the handler was not called.
        """
        took = system.clock_gettime_ns(system.CLOCK_MONOTONIC) - began
        self._end()
        if self.identity is not None and identity.here() != self.identity:
            self._settle_changed(claim, outcome, took)
        self._settle(claim, outcome, reason, took)
        if self.around is not None:
            self.around(True)
        if outcome.why:
            if outcome.overflow:
                self._overflowed = self.app.faithful
                self.app.notes.give("return-overflow", claim.name)
            self._tell(claim, outcome, "none" if env is None else run.title(handler, env))

    def _enter(self, claim: Claim) -> bool:
        """Into the task's own directory; where that cannot be had the task is kept."""
        try:
            system.enter_directory(claim.level.fd)
        except OSError as error:
            settle.release(claim)
            self._once(claim.path, "chdir", f"{claim.path} is kept: its directory: {error.strerror}")
            if self.report is not None:
                self.report(KEPT, claim.path, f"its directory: {error.strerror}")
            return False
        return True

    def _strike(self) -> Outcome:
        """uWSGI leaves the error of an int too big pending: it strikes the next task, which is not run."""
        self._overflowed = False
        self.app.log.line(OVERFLOW)
        return outcomes.raised(OverflowError("of the task before"))

    def guard(self, call: Callable[[], None]) -> None:
        """Run something that is no task, a signal handler, under the same harakiri."""
        if self.place is not None:
            write_task(self.place, b"")  # the task before is not what kills us here
        self._begin()
        try:
            call()
        finally:
            self._end()
            self.words[STATE] = IDLE

    def _begin(self) -> int:
        words = self.words
        began = system.clock_gettime_ns(system.CLOCK_MONOTONIC)
        self.serial += 2
        words[SERIAL] = self.serial - 1
        words[STARTED] = began
        words[STATE] = BUSY
        harakiri = self.options.harakiri
        if harakiri:
            words[HARAKIRI] = self.deadline(harakiri, began)
        words[SERIAL] = self.serial
        return began

    def _end(self) -> None:
        words = self.words
        words[HARAKIRI] = 0
        words[STARTED] = 0
        words[STATE] = SCANNING
        if words[USER]:
            self.app.notes.give("user-harakiri-armed")

    def deadline(self, seconds: int, now: int) -> int:
        """When a harakiri of so many seconds strikes, in monotonic nanoseconds.

        uWSGI compares whole seconds of the clock and kills when they are more than `seconds` apart.
        """
        if self.app.faithful:
            return now + int((seconds + 1 - time.time() % 1) * _SECOND)
        return now + seconds * _SECOND

    def _arm_user(self, seconds: int) -> None:
        """uwsgi.set_user_harakiri(): 0 disarms."""
        now = system.clock_gettime_ns(system.CLOCK_MONOTONIC)
        self.words[USER] = self.deadline(seconds, now) if seconds > 0 else 0

    def _change_directory(self, level: Level, path: str) -> None:
        """spooler-chdir: a relative one is taken from the task's own directory."""
        try:
            os.chdir(path if self.chdir else os.path.join(level.path, path))
        except OSError as error:
            self.app.log.line(f"chdir(): {error.strerror} [core/spooler.c line 651]")

    def _settle(self, claim: Claim, outcome: Outcome, reason: str, took: int) -> None:
        words = self.words
        app = self.app
        options = self.options
        ended = None
        if outcome.state is outcomes.DONE:
            if not options.quiet:
                who = f"[spooler {self.spool.path} pid: {self.pid}]"
                app.log.line(f"{who} done with task {claim.name} after {took // _SECOND} seconds", "done")
            words[DONE] += 1
            if reason and not app.faithful:
                self._set_aside(claim, reason)
            else:
                # where lines were written meanwhile, its place may well have been taken
                ended = self.remove(claim, took if options.quiet else settle.GLIMPSE)
                if reason:
                    self._gone(claim, DROPPED, reason)
            if self.journal is not None:
                self.journal.done(claim.task, took)
        else:
            words[scoreboard.KEPT] += 1
            self._keep(claim, outcome, took)
        words[OUTCOME] = LAST_OUTCOME[outcome.state]
        if self.settled is not None:
            self.settled(claim.path, outcome)
        if ended is not None:
            raise ended
        # a drain recycles only when it got on: else tasks that are retried would keep it from ever ending its pass
        if outcome.counted and not (options.drain and outcome.state is outcomes.RETRY):
            self.count()
            if self.recycled and outcome.state is outcomes.RETRY:
                app.notes.give("retry-spins", claim.name)
        if outcome is outcomes.MISSING or outcome.state is outcomes.IGNORED:
            app.log.line(UNFOUND)

    def _keep(self, claim: Claim, outcome: Outcome, took: int) -> None:
        """A task that stays: for the next scan, for later (--retry-delay), or among the failed (--max-attempts)."""
        options = self.options
        why = outcome.why or _ASKED
        if self.journal is not None:
            self.journal.add(claim.task, outcome.state, took, outcome.why)
            if self._given_up(claim, self.journal):
                return
        if options.retry_delay and outcome.state is outcomes.RETRY:
            self._postpone(claim, options.retry_delay)
        elif not settle.release(claim):
            self.words[STARTED] = system.clock_gettime_ns(system.CLOCK_MONOTONIC)  # so it counts as its spooler's death
            raise Ended(1, self._descriptors_gone(f"task {claim.name}"))
        if self.report is not None:
            self.report(KEPT, claim.path, why)

    def _settle_changed(self, claim: Claim, outcome: Outcome, took: int) -> NoReturn:
        """Settle the task that has changed whose process this is, or its root directory, and end the process.

        One that stays counts as its spooler's death: the fork server may write the journal, this process perhaps not.
        """
        why = self._changed(f"task {claim.name}", identity.changed(self.identity))
        if outcome.state is outcomes.DONE:
            self._settle(claim, outcome, "", took)
            raise Ended(0, why)
        settle.release(claim)
        self.words[STARTED] = system.clock_gettime_ns(system.CLOCK_MONOTONIC)
        raise Ended(1, why)

    def check_identity(self) -> None:
        """Raise Ended where something of the app, a thread perhaps, has changed whose process this is."""
        if what := identity.changed(self.identity):
            raise Ended(0, self._changed("a task", what))

    def _changed(self, who: str, what: str) -> str:
        """Say it, and return it."""
        text = f"{who} changed the {what} of its spooler process, which can serve no more tasks"
        self.app.log.say(f"{text}; another process takes its place; do that in a child process", error=True)
        return text

    def _descriptors_gone(self, who: str) -> str:
        """Say it, and return it: without its descriptors this process is of no use."""
        text = f"{who} closed descriptors that are the spooler's own (os.closerange, a second close of the same number)"
        self.app.log.say(f"{text}; another process takes its place", error=True)
        return text

    def _postpone(self, claim: Claim, seconds: float) -> None:
        try:
            settle.postpone(claim, time.time() + seconds)
        except OSError as error:
            self._once(claim.path, "delay", f"could not apply --retry-delay to {claim.path}: {error.strerror}")

    def _given_up(self, claim: Claim, journal: Journal) -> bool:
        """Has it failed so often in a row (--max-attempts), or asked so often to be kept (--max-retries)?

        Then it has been moved to `.spoolsim/failed/`, from where `spoolsim retry` takes it, or, where that cannot be
        done, been released.
        """
        count, asked, why = journal.row(claim.task)
        limit = self.options.max_retries if asked else self.options.max_attempts
        if not 0 < limit <= count:
            return False
        why = f"{why or _ASKED}; tried {count} times"
        if self._move(claim, why, FAILED):
            journal.add(claim.task, journals.FAILED, 0, why)
        return True

    def _move(self, claim: Claim, why: str, home: str) -> str:
        """Move a claimed task into our corner; '' when it cannot be moved, which is said."""
        try:
            target = settle.set_aside(claim, why, home=home)
        except settle.Replaced:
            self.app.notes.give("own-file-replaced", claim.path)
            return ""
        except OSError as error:
            self._once(claim.path, "stuck", f"{claim.path} ({why}) cannot be moved: {error.strerror}")
            if self.report is not None:
                self.report(KEPT, claim.path, f"{why}; it could not be moved: {error.strerror}")
            return ""
        self._gone(claim, MOVED, why)
        if home == FAILED:
            self.app.log.say(f"{claim.path}: {why}; moved to {target}; `spoolsim retry` brings it back")
        return target

    def _gone(self, claim: Claim, how: str = "", why: str = "") -> None:
        """A task has left the directory; `how`: it was not done."""
        if self.attempted is not None:
            self.attempted.gone()
        if how and self.report is not None:
            self.report(how, claim.path, why)

    def count(self) -> None:
        """One more task, or signal under spooler-signal-as-task, towards spooler-max-tasks."""
        self.tasks += 1
        self.words[TASKS] = self.tasks
        if 0 < self.options.max_tasks <= self.tasks:
            self.recycle()

    def recycle(self) -> None:
        """This process has run as many tasks as it may."""
        limit = self.options.max_tasks
        self.app.log.line(
            f"[spooler {self.spool.path} pid: {self.pid}] maximum number of tasks reached ({limit}) recycling ..."
        )
        self.recycled = True

    def remove(self, claim: Claim, took: int = settle.GLIMPSE) -> Ended | None:
        """Remove a task that is done; returns why this process must end now, if it must."""
        if self.app.faithful:
            try:
                os.chdir(claim.level.path)  # where uWSGI removes it: nowhere, after os.chroot()
            except OSError as error:
                settle.give_up(claim)
                self.app.log.line(f"chdir(): {error.strerror} [core/spooler.c line 158]")
                self.app.log.line(HORRIBLE)
                return Ended(1, HORRIBLE)
        try:
            intact = settle.unlink(claim, took)
        except OSError as error:
            if not run.is_ours(error):
                raise
            intact = not settle.lost(claim.level)
            settle.give_up(claim)
            if self.app.faithful:
                self.app.log.line(f"unlink(): {error.strerror} [core/spooler.c line 164]")
                self.app.log.line(HORRIBLE)
                return Ended(1, HORRIBLE)
            self._not_removed(claim, error)
        else:
            settle.give_up(claim)
            self._gone(claim)
        return None if intact else Ended(0, self._descriptors_gone(f"task {claim.name}"))

    def _remove_late(self, claim: Claim) -> None:
        """Remove a task that is done and could not be removed before: by a process of another user, perhaps."""
        try:
            settle.unlink(claim)
        except OSError:
            settle.release(claim)
        else:
            settle.give_up(claim)
            self._gone(claim)

    def _not_removed(self, claim: Claim, error: OSError) -> None:
        """Say that a task that is done could not be removed, and see that it is not run again."""
        path = claim.path
        if isinstance(error, FileNotFoundError):
            self.app.notes.give("own-file-removed", path)
        elif isinstance(error, settle.Replaced):
            self.app.notes.give("own-file-replaced", path)
        else:
            self.unremoved.add(claim)
            if identity.changed(self.identity):
                return  # the next process removes it
            why = f"is done but cannot be removed: {error.strerror}"
            self.app.log.say(
                f"{path} {why}; it is not run again until the next start of spoolsim: remove it before", error=True
            )
            if self.report is not None:
                self.report(STUCK, path, f"is done, but could not be removed: {error.strerror}")

    def _short(self, claim: Claim) -> None:
        """The header announces more than there is."""
        reason = run.broken(claim)
        if self.app.faithful:
            self.app.log.line("spooler_manage_task()/read(): Success [core/spooler.c line 554]")
            self.remove(claim)
            self._gone(claim, DROPPED, reason)
        else:
            self._set_aside(claim, reason)

    def _set_aside(self, claim: Claim, reason: str, code: str = "broken-file") -> None:
        target = self._move(claim, reason, BROKEN)
        if not target:
            return
        self.app.notes.give(code, claim.path, f"{reason}; moved to {target}")
        if self.settled is not None:
            self.settled(claim.path, outcomes.BROKEN)

    def _skipped(self, path: str, why: str) -> None:
        self.check_identity()
        self._once(path, why, f"{path} is {why}; uWSGI silently skips it, so it never runs")

    def _unscanned(self, error: OSError) -> None:
        path = self.spool.path
        self.check_identity()
        self._once(path, str(error), f"{path} cannot be scanned: {error.strerror}; trying again on every scan")

    def _tell(self, claim: Claim, outcome: Outcome, function: str) -> None:
        """Say once why a task will come back."""
        if self.app.faithful:
            return
        if outcome is outcomes.MISSING:
            what = "so it stays"
        elif outcome.state is outcomes.IGNORED:
            what = "so it stays, and its handler is called again on every scan"
        else:
            what = "so it will be retried on every scan"
        if not os.path.lexists(claim.path):
            return  # it was moved to failed/, which was said
        self._once(
            claim.path,
            outcome.why,
            f"task {claim.name} (function {function}) {outcome.why}, {what}; {outcome.advice}",
        )

    def _once(self, path: str, why: str, text: str) -> None:
        if self.app.said.first(path, why):
            self.app.log.say(text)


def _now() -> float:
    return time.time()
