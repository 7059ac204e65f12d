"""The end of a worker's tasks: what is decided about each, done, counted, written into the journal, and said."""

from __future__ import annotations

import os
import sys

from spoolsim import system
from spoolsim.spool import claim as claims
from spoolsim.spool import journal as journals
from spoolsim.spool import settle
from spoolsim.spool.directory import FAILED
from spoolsim.spool.verdicts import KEEP, REMOVE, Aside
from spoolsim.work import identity, run, verdict
from spoolsim.work import outcome as outcomes
from spoolsim.work.notices import DROPPED, KEPT
from spoolsim.work.outcome import DONE
from spoolsim.work.run import Ended
from spoolsim.work.scoreboard import DONE as DONE_WORD
from spoolsim.work.scoreboard import KEPT as KEPT_WORD
from spoolsim.work.scoreboard import LAST_OUTCOME, OUTCOME, STARTED, TASKS, USER
from spoolsim.work.verdict import after

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from spoolsim.spool.claim import Claim
    from spoolsim.spool.journal import Journal
    from spoolsim.spool.verdicts import Verdict
    from spoolsim.work.app import App
    from spoolsim.work.attempted import Attempted
    from spoolsim.work.notices import Notices
    from spoolsim.work.outcome import Outcome
    from spoolsim.work.recorder import Recorder
    from spoolsim.work.status import Status
    from spoolsim.work.unremoved import Unremoved

_SECOND = 1_000_000_000
_DONE = LAST_OUTCOME[DONE]
UNFOUND = "unable to find the spooler function, have you loaded it into the spooler process ?"
HORRIBLE = "[spooler] something horrible happened to the spooler. Better to kill it."
#: tries to settle a task while exceptions strike; after half of them it counts as one that cannot be removed
_STRIKES = 200


class Settler:
    """Ends the claims of one worker.

    who: how uWSGI's log lines name it. status: of its slot. unremoved: what is done and could not be removed, as all
    processes of the instance know it. attempted: which tasks were tried, when each is to be tried once (drain).
    settled: called with (path, Outcome) after each task. clock: gives epoch seconds.
    """

    __slots__ = (
        "_app",
        "_clock",
        "_followed",
        "_glimpse",
        "_loud",
        "_most",
        "_options",
        "_recorder",
        "_who",
        "attempted",
        "identity",
        "journal",
        "notices",
        "recycled",
        "settled",
        "tasks",
        "unremoved",
        "words",
    )

    def __init__(
        self,
        app: App,
        who: str,
        status: Status,
        notices: Notices,
        journal: Journal | None,
        recorder: Recorder | None,
        *,
        unremoved: Unremoved,
        attempted: Attempted | None = None,
        settled: Callable[[str, Outcome], None] | None = None,
        clock: Callable[[], float] = system.real_time,
    ) -> None:
        self._app = app
        self._options = app.options
        self._loud = not app.options.quiet or app.log.story is not None
        #: what follows from the end of each claim is asked about
        self._followed = attempted is not None or not app.policy.survives_removed_file
        #: whose process it is, in which root directory; None where a handler that changes that changes nothing of ours
        self.identity: tuple[int, int, int, int] | None = None
        #: where lines are written before a task is removed, another file may well have taken its place
        self._glimpse = settle.GLIMPSE if self._loud else 0
        if not app.policy.keeps_replacing_file:
            self._glimpse = settle.UNCHECKED
        self._who = who
        self.words = status.words
        self.notices = notices
        self.journal = journal
        self._recorder = recorder
        self.unremoved = unremoved
        self.attempted = attempted
        self.settled = settled
        self._clock = clock
        #: that counted, in this process
        self.tasks = 0
        self._most = app.options.max_tasks if app.options.max_tasks > 0 else sys.maxsize
        #: this process has run as many as it may
        self.recycled = False

    def is_picky(self) -> bool:
        """Whether each task is to be asked about: it may have been tried before, or be done already."""
        return self.attempted is not None or bool(self.unremoved)

    def finish(self, claim: Claim, outcome: Outcome, fault: str, took: int) -> None:
        """End the claim of a task that was run, and count it.

        fault: why it cannot be decoded, '' where it can. took: nanoseconds. Raises Ended.
        """
        if outcome.state is not DONE:
            if self.identity is not None and (leaving := self._changed(claim)) is not None:
                self._keep_and_leave(claim, leaving)
            self._keep(claim, outcome, took)
            return
        leaving = self._changed(claim) if took >= settle.GLIMPSE and self.identity is not None else None
        words = self.words
        words[DONE_WORD] += 1
        if self._loud:
            self._say_done(claim, took)
        found = after(outcome, fault, None, self._options)
        ended = None
        if fault or self._followed:
            ended = self.end(claim, found, self._glimpse or took, fault)
        else:
            try:
                settle.apply(claim, found, self._glimpse or took)
            except (settle.Lost, OSError) as error:
                ended = self._not_so(claim, found, error, fault)
        words[STARTED] = 0
        if self.journal is not None:
            self.journal.done(claim.task, took)
            if self._recorder is not None:
                self._record(self._recorder, claim, took, self.journal)
        words[OUTCOME] = _DONE
        if self.settled is not None:
            self.settled(claim.path, outcome)
        if ended is not None:
            raise ended
        self.tasks = tasks = self.tasks + 1
        words[TASKS] = tasks
        if tasks >= self._most:
            self._recycle()
        if leaving is not None:
            raise leaving

    def _say_done(self, claim: Claim, took: int) -> None:
        story = self._app.log.story
        if story is not None:
            story.done(took / _SECOND, quiet=self._options.quiet)
            return
        self._app.log.line(f"{self._who} done with task {claim.name} after {took // _SECOND} seconds", "done")

    def _keep(self, claim: Claim, outcome: Outcome, took: int) -> None:
        """Of a task that is not done: for the next scan, for later (--retry-delay), or failed (--max-attempts)."""
        self.words[KEPT_WORD] += 1
        attempts = None
        if self.journal is not None:
            number = self.journal.add(claim.task, outcome.state, took, outcome.why)
            attempts = self.journal.row(claim.task)
            if self._recorder is not None:
                self._recorder.kept(claim, outcome, number, took, self.journal.at)
        found = after(outcome, "", attempts, self._options, self._clock())
        if self._app.log.story is not None:
            attempts_so_far = self.journal.attempts(claim.task) if self.journal is not None else 0
            self.notices.kept(claim, outcome, found, took, attempts_so_far)
        self.end(claim, found)
        self.words[STARTED] = 0
        if not isinstance(found, Aside):
            self.notices.tell(KEPT, claim.path, outcome.why or verdict.ASKED)
        self.words[OUTCOME] = LAST_OUTCOME[outcome.state]
        if self.settled is not None:
            self.settled(claim.path, outcome)
        # a drain recycles only when it got on: else tasks that are retried would keep it from ever ending its pass
        if outcome.counted and not self._options.drain:
            self.count()
            if self.recycled:
                self._app.notes.give("retry-spins", claim.name)
        if outcome.state is outcomes.IGNORED:
            self._app.log.told(UNFOUND)

    def _record(self, recorder: Recorder, claim: Claim, took: int, journal: Journal) -> None:
        recorder.done(claim, took, journal.at)
        if not journal.gathered:
            recorder.flush()  # as the journal was: both tell of the same tasks

    def _changed(self, claim: Claim) -> Ended | None:
        """Why this process must end, where the task has changed whose it is, or its root directory."""
        what = identity.changed(self.identity)
        return Ended(0, self.notices.changed(f"task {claim.name}", what)) if what else None

    def _keep_and_leave(self, claim: Claim, leaving: Ended) -> NoReturn:
        """Keep a task as its spooler's death, so that the fork server writes the journal: we perhaps cannot."""
        self._give_up(claim)
        self.words[STARTED] = system.clock_gettime_ns(system.CLOCK_MONOTONIC)
        raise Ended(1, str(leaving))

    def check_identity(self) -> None:
        """Raise Ended where something of the app, a thread perhaps, has changed whose process this is."""
        if what := identity.changed(self.identity):
            raise Ended(0, self.notices.changed("a task", what))

    def count(self) -> None:
        """One more task, or signal under spooler-signal-as-task, towards spooler-max-tasks."""
        self.tasks = tasks = self.tasks + 1
        self.words[TASKS] = tasks
        if tasks >= self._most:
            self._recycle()

    def _recycle(self) -> None:
        """This process has run as many tasks as it may."""
        self._app.log.told(f"{self._who} maximum number of tasks reached ({self._most}) recycling ...")
        self.recycled = True

    def renew(self) -> None:
        """Count as a new process does."""
        self.recycled = False
        self.tasks = self.words[USER] = 0

    def end(
        self, claim: Claim, found: Verdict, took: int = 0, fault: str = "", code: str = "broken-file"
    ) -> Ended | None:
        """End a claim as the verdict says, and see to what follows; returns why this process must end now, if it must.

        fault: why the task is deleted unrun. code: of the note about a task that is moved unrun. Raises Ended where a
        task is kept by a process that must end.
        """
        if (
            found is REMOVE
            and not self._app.policy.survives_removed_file
            and (ended := self._not_home(claim)) is not None
        ):
            self._forget(claim, fault)
            return ended
        try:
            target = settle.apply(claim, found, took or self._glimpse or settle.GLIMPSE)
        except (settle.Lost, OSError) as error:
            return self._not_so(claim, found, error, fault)
        self._left(claim, found, target, fault, code)
        return None

    def _left(self, claim: Claim, found: Verdict, target: str, fault: str, code: str = "broken-file") -> None:
        """A claim has ended as the verdict said."""
        if self.attempted is not None and (found is REMOVE or target):
            self.attempted.gone()
        if isinstance(found, Aside):
            self._moved(claim, found, target, code)
        elif fault:
            self.notices.tell(DROPPED, claim.path, fault)

    def _not_so(self, claim: Claim, found: Verdict, error: Exception, fault: str) -> Ended | None:
        """A claim has not ended as the verdict said, or not as it should; returns as `end`."""
        if isinstance(error, settle.Lost):
            ended = self._lost(claim, found)
        else:
            assert isinstance(error, OSError)
            if found is REMOVE and not run.is_ours(error):
                raise error  # a signal's handler of the app
            ended = self._refused(claim, found, error)
        if found is REMOVE:
            self._forget(claim, fault)
        return ended

    def _forget(self, claim: Claim, fault: str) -> None:
        """Tell of a task that is deleted unrun, as uWSGI does, if this is one."""
        if fault:
            if self.attempted is not None:
                self.attempted.gone()
            self.notices.tell(DROPPED, claim.path, fault)

    def _not_home(self, claim: Claim) -> Ended | None:
        """uWSGI removes a task from within its directory: from nowhere, after os.chroot()."""
        try:
            os.chdir(claim.level.path)
        except OSError as error:
            self._give_up(claim)
            self._app.log.line(f"chdir(): {error.strerror} [core/spooler.c line 158]")
            self._app.log.line(HORRIBLE)
            return Ended(1, HORRIBLE)
        return None

    def _give_up(self, claim: Claim) -> None:
        """Keep a task, whatever has become of our descriptors."""
        try:
            settle.apply(claim, KEEP)
        except settle.Lost:
            pass  # that is seen by its directory's descriptor, or at the next claim

    def remove_late(self, claim: Claim) -> None:
        """Remove a task that is done and could not be removed before: by a process of another user, perhaps."""
        try:
            settle.apply(claim, REMOVE)
        except settle.Lost:
            pass
        except OSError:
            self._give_up(claim)
            return
        if self.attempted is not None:
            self.attempted.gone()

    def _lost(self, claim: Claim, found: Verdict) -> Ended | None:
        """The claim has ended; the handler has closed descriptors that are ours."""
        if found is REMOVE:
            if self.attempted is not None:
                self.attempted.gone()
            return Ended(0, self.notices.descriptors_gone(f"task {claim.name}"))
        self.words[STARTED] = system.clock_gettime_ns(system.CLOCK_MONOTONIC)  # so it counts as its spooler's death
        raise Ended(1, self.notices.descriptors_gone(f"task {claim.name}"))

    def _refused(self, claim: Claim, found: Verdict, error: OSError) -> Ended | None:
        """A verdict could not be carried out: the task stays."""
        self._give_up(claim)
        if isinstance(found, Aside):
            self.notices.not_moved(claim, found, error)
            return None
        if found is not REMOVE:
            self.notices.not_postponed(claim, error)
            return None
        if not self._app.policy.survives_removed_file:
            self._app.log.line(f"unlink(): {error.strerror} [core/spooler.c line 164]")
            self._app.log.line(HORRIBLE)
            return Ended(1, HORRIBLE)
        self._not_removed(claim, error)
        if settle.lost(claim.level):
            return Ended(0, self.notices.descriptors_gone(f"task {claim.name}"))
        return None

    def _not_removed(self, claim: Claim, error: OSError) -> None:
        """Say that a task that is done could not be removed, and see that it is not run again."""
        if isinstance(error, FileNotFoundError):
            self._app.notes.give("own-file-removed", claim.path)
        elif isinstance(error, settle.Replaced):
            self._app.notes.give("own-file-replaced", claim.path)
        else:
            self.unremoved.add(claim)
            if not identity.changed(self.identity):  # else the next process removes it
                self.notices.not_removed(claim, error)

    def _moved(self, claim: Claim, aside: Aside, target: str, code: str) -> None:
        self.notices.set_aside(claim, aside, target, code)
        if aside.home == FAILED:
            if self.journal is not None:
                self.journal.add(claim.task, journals.FAILED, 0, aside.reason)
        elif self.settled is not None:
            self.settled(claim.path, outcomes.BROKEN)

    def is_spent(self, claim: Claim) -> bool:
        """Whether processes have died of a task too often in a row; its claim has ended then."""
        if self.journal is None or not self.journal.attempts(claim.task):
            return False
        found = verdict.spent(self.journal.row(claim.task), self._options)
        if found is None:
            return False
        self.end(claim, found)
        return True

    def struck(self, claim: Claim, outcome: Outcome, fault: str) -> None:
        """Something was raised while a claim was ended, by a handler of a signal perhaps: end it all the same."""
        removed = after(outcome, fault, None, self._options) is not REMOVE
        # a handler of signals raises now and then, a function of os that the app replaced each time: that has an end
        for strike in range(1, _STRIKES + 1):
            if claim.fd < 0 or claims.held.fd != claim.fd:
                break
            try:
                settle.apply(claim, KEEP if removed else REMOVE)
            except FileNotFoundError:
                removed = True  # before it was struck
            except settle.Lost:
                break
            except BaseException as again:
                ours = isinstance(again, OSError) and run.is_ours(again)
                if not ours:
                    run.late.error = again
                if not removed and (ours or strike == _STRIKES // 2):
                    removed = True
                    error = again if isinstance(again, OSError) else OSError(0, f"{again!r:.80}")
                    self._not_removed(claim, error)
        self.words[STARTED] = 0
