"""A spooler process: what it becomes after the fork, and its life until it ends."""

from __future__ import annotations

import os
import select
import signal
import time

from spoolsim.processes.forked import (
    FAILED,
    OK,
    close_stdin,
    describe,
    end_now,
    exit_status,
    leave,
    name_process,
    stdin_from_null,
    take_signals,
)
from spoolsim.processes.lifeline import DieWithParent
from spoolsim.processes.turn import Turn
from spoolsim.work import atexits, identity, intact, run
from spoolsim.work.app import SPOOLER
from spoolsim.work.diagnosis import listed
from spoolsim.work.installed import print_error
from spoolsim.work.notices import nobody
from spoolsim.work.remains import reporter
from spoolsim.work.run import Ended
from spoolsim.work.scoreboard import DRAINED as THROUGH
from spoolsim.work.scoreboard import HARAKIRI, LEAVE, STATE
from spoolsim.work.status import Status
from spoolsim.work.wait import LIFELINE, LOOK, LOOKS, SIGNAL, TASK, WOKEN, Wait
from spoolsim.work.worker import Worker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from spoolsim.spool.directory import SpoolDir
    from spoolsim.work.app import App
    from spoolsim.work.attempt_ring import AttemptRing
    from spoolsim.work.attempted import Attempted
    from spoolsim.work.recorder import Box
    from spoolsim.work.unremoved import Unremoved

#: how long a spooler waits for its directory to come back, between two looks, in seconds
_GONE_PAUSE = 1.0
#: so many exceptions amid our own code are outlived without a scan between them
_STRAYS = 100
#: so many waits in a row may be refused
_VAIN = 3
#: how long a removal of the directory may take before we put our state directory into it again, in seconds
_REMOVAL = 0.2


class Spooler:
    """One spooler process.

    slot: its number on the directory's part of the scoreboard. lifeline: readable when the fork server is gone or
        wants us to leave. share: which worker of how many on the directory.
    attempted: which tasks the drain has tried; None when not draining.
    box: memory for its history, which the fork server sees, too; None for no history.
    reports: a descriptor for what becomes of tasks that are not done, when draining; -1 otherwise.
    """

    def __init__(
        self,
        app: App,
        spool: SpoolDir,
        *,
        words: memoryview,
        place: memoryview,
        lifeline: int,
        share: tuple[int, int],
        ring: AttemptRing | None = None,
        attempted: Attempted | None = None,
        reports: int = -1,
        unremoved: Unremoved | None = None,
        box: Box | None = None,
    ) -> None:
        self.app = app
        self.spool = spool
        self.words = words
        self.lifeline = lifeline
        self.parent = os.getppid()
        app.capture = None if box is None else box.capture
        self.worker = Worker(
            app,
            spool,
            share=share,
            status=Status(app, words, place),
            ring=ring,
            attempted=attempted,
            unremoved=unremoved,
            box=box,
            report=reporter(reports) if reports >= 0 else nobody,
        )
        #: exceptions in a row that came amid our own code
        self._strays = 0
        #: waits in a row that the system refused
        self._vain = 0

    def live(self) -> NoReturn:
        """Everything from the fork to the end."""
        try:
            self._live()
        except:  # noqa: E722 - BaseException may be what a task has broken
            intact.kept.mend()
            print_error()
        finally:  # never back into the fork server
            end_now(FAILED)

    def _live(self) -> NoReturn:
        status = FAILED
        try:
            take_signals(self.app.policy)
            if not (self.app.options.master or self.app.policy.serves_without_master):
                leave(self._serve_nothing())
            if not self.app.policy.ends_with_master:  # uWSGI's goes on with its import, and with its first scan
                self._become()
            else:
                with DieWithParent(self.lifeline):
                    self._become()
            status = self._serve()
            self._say_skipped()
        except Ended as ended:
            status = ended.status
        except SystemExit as end:
            status = exit_status(end)
        except BaseException:
            print_error()
        if self.app.policy.runs_atexit:  # what the app registered for its end may hang
            now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
            self.words[HARAKIRI] = now + int(max(self.app.options.stop_grace, 1) * 1_000_000_000)
        leave(status)

    def _serve_nothing(self) -> int:
        """Wait for the end, as uWSGI's spooler does without a master: it never gets Python's lock (the GIL)."""
        self.app.log.told(f"spawned the uWSGI spooler on dir {self.spool.path} with pid {os.getpid()}")
        while not self._leaving():
            select.select([self.lifeline], [], [], _GONE_PAUSE)
        return OK

    def _become(self) -> None:
        app = self.app
        keeps_first = app.policy.keeps_first_descriptor
        first = stdin_from_null() if keeps_first else close_stdin()
        app.become(SPOOLER)
        app.signals.in_master, app.signals.up = False, True
        app.log.told(f"spawned the uWSGI spooler on dir {self.spool.path} with pid {os.getpid()}")
        name_process(app, "uWSGI spooler")
        app.post_fork()
        for line in app.loader.load_in_spooler():
            if app.policy.explains and app.said.first("spooler-import", str(app.born), line):
                app.log.say(f"{line}; the spooler goes on without it", error=True)
        if not keeps_first:
            stdin_from_null()
        elif opened := describe(first):
            app.notes.give("descriptor-zero", opened)
        try:
            os.nice(19)  # not before: the hook and spooler-import run in front of it
        except OSError:
            pass

    def _serve(self) -> int:
        app = self.app
        try:
            self.wait = Wait(app, [self.spool], lifeline=self.lifeline)
        except FileNotFoundError:  # under --faithful the wake-up file is kept by the directory's own number
            return self._gone(437)
        intact.kept.remember()
        if not app.policy.wakes_while_busy:
            self.worker.around = self._around
        else:
            self.worker.status.follow(self.parent)
            self.worker.settler.identity = identity.here()  # the app's own hook may have changed it
        self.wait.wakeup()  # a SIGUSR1 amid a task is not lost
        turn = Turn()
        while not self._leaving():
            status = self._scan(turn)
            if status is None and turn.rests:
                status = self._rest(turn)
            if status is not None:
                return status
        return OK

    def _scan(self, turn: Turn) -> int | None:
        """Scan once, and decide whether to rest; returns the exit status where this process is to end."""
        turn.rests = False
        ran_before, turn.ran = turn.ran, 0
        try:
            turn.ran = self.worker.cycle(turn.only, turn.newest, turn.tried)
            self._strays = 0
            if turn.ran:
                self.wait.wakeup()  # they may have changed that
        except FileNotFoundError:
            return self._without_directory(turn)
        except BaseException as error:
            self._stray(error)
            return None
        if turn.why == TASK and turn.ran and ran_before and self.worker.fresh:
            self.app.notes.give("busy-wait", self.spool.path, f"up to {self.wait.frequency():g} s")
        if self.worker.recycled or (turn.ran and self._mended()):
            return OK
        if self.app.options.drain:
            return self._drain(turn)
        if self._leaving():
            return None
        if self.worker.woken:
            self.worker.woken = False
        elif turn.newest:  # the directory is the truth: also what may have been kept there is looked at now
            turn.newest, turn.tried, turn.ran = "", turn.newest if turn.ran else "", turn.ran or ran_before
        else:
            turn.rests = True
        return None

    def _without_directory(self, turn: Turn) -> int | None:
        """The directory is gone: wait for it, or end."""
        app = self.app
        if app.options.drain or not app.policy.waits_for_directory:
            return self._gone()
        self.worker.settler.check_identity()
        app.notes.give("directory-gone", self.spool.path)
        if self.wait.wait(limit=_GONE_PAUSE) == LIFELINE:
            return OK
        self._watch_again()
        turn.only, turn.newest, turn.tried = None, "", ""
        return None

    def _drain(self, turn: Turn) -> int | None:
        """Scan again where a task was run, which may have enqueued others; end where nothing is left to try."""
        if turn.ran:
            turn.pauses = iter(LOOKS)
            return None
        pause = next(turn.pauses, None) if self.worker.unfinished else None
        if pause is None:
            return self._drained()
        select.select([self.lifeline], [], [], pause)
        return None

    def _rest(self, turn: Turn) -> int | None:
        """Wait for what comes next; returns the exit status where this process is to end."""
        app, wait = self.app, self.wait
        if app.options.cheap and not turn.ran and not turn.tried and turn.why != SIGNAL and self._cheap():
            return OK
        turn.tried = ""
        # removed, and perhaps made again, between two scans; our watch is of the old one. uWSGI knows at its poll
        if wait.moved() and (app.policy.waits_for_directory or os.path.isdir(self.spool.path)):
            wait.wait(limit=_REMOVAL)  # perhaps it is being removed just now, and ours would be in the way
            self._watch_again()
            turn.only = None
            return None
        unfinished = self.worker.unfinished
        try:
            turn.why = wait.wait(unfinished=bool(unfinished) and app.policy.watches_directory)
            self._vain = 0
        except BaseException as error:
            self._cannot_wait(error)
            self._stray(error)
            turn.why = WOKEN
        turn.only = set(unfinished) if turn.why == LOOK else None
        if turn.why == TASK and not app.options.ordered:
            turn.newest = wait.watches[0].newest  # before anything else, as somebody may be waiting for it
        if turn.why == SIGNAL:
            self._signal()
            return OK if self.worker.recycled else None
        return self._let_go() if turn.why == LIFELINE else None

    def _let_go(self) -> int:
        """The fork server is gone, or wants us to leave."""
        if not self.app.policy.ends_with_master and not self.words[LEAVE]:
            self.app.log.dated(
                f"uWSGI spooler {os.getpid()} error: the master disconnected from this worker. "
                "Shutting down the worker."
            )
        return OK

    def _stray(self, error: BaseException) -> None:
        """An exception came amid our own code, from a signal handler of the app's perhaps: print it, and go on.

        Raises it again where it ends the process, or comes again and again without a scan between.
        """
        intact.kept.mend()
        self._strays += 1
        outlived = self.app.policy.survives_stray_errors and self._strays <= _STRAYS
        if isinstance(error, Ended | SystemExit) or not outlived:
            raise error
        self.worker.astray()

    def _cannot_wait(self, error: BaseException) -> None:
        """Raise Ended when the system refuses again and again to let us wait: a scan after each would never end."""
        if not isinstance(error, OSError) or not run.is_ours(error):
            return
        self._vain += 1
        if self._vain > _VAIN:
            why = f"spooler {os.getpid()} cannot wait for tasks: {error.strerror}"
            self.app.log.say(f"{why}; another process takes its place; a task may have lowered its limits", error=True)
            raise Ended(FAILED, why)

    def _mended(self) -> bool:
        """Whether a task has broken Python's builtins, which is logged: who uses them here may hold broken ones."""
        names = intact.kept.mend()
        if names:
            self.app.log.say(
                f"a task removed or broke builtins of Python ({listed(names)}); another process takes the place of "
                f"spooler {os.getpid()}; put back what a handler replaces",
                error=True,
            )
        return bool(names)

    def _say_skipped(self) -> None:
        """The instance stops or reloads: uWSGI would have killed us, without the app's atexit functions."""
        if atexits.registered and self._leaving() and not self.app.options.drain:
            self.app.notes.give("atexit-skipped", ", ".join(dict.fromkeys(atexits.registered)))

    def _gone(self, line: int = 586) -> int:
        """The directory is gone and nobody waits for it: uWSGI ends and comes back, a drain is over.

        What became of a drain's directory the report tells. line: of uWSGI's source, where it sees that.
        """
        app = self.app
        if not app.policy.explains:
            app.log.line(f"chdir(): No such file or directory [core/spooler.c line {line}]")
        app.notes.give("directory-gone", self.spool.path)
        return self._drained() if app.options.drain else FAILED

    def _drained(self) -> int:
        """Nothing is left to try. What atexit functions do now has an end, too: SIGALRM kills."""
        self.words[STATE] = THROUGH
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, max(self.app.options.stop_grace, 0.001))
        return OK

    def _cheap(self) -> bool:
        """Nothing was run since the scan before: end, unless a signal or a file that is being written waits."""
        pipe = self.app.signals.spoolers
        if (pipe is not None and select.select([pipe.reader], [], [], 0)[0]) or self.worker.unfinished:
            return False
        self.app.log.dated(f"cheaping spooler {self.spool.path} ...")
        return True

    def _leaving(self) -> bool:
        if self.words[LEAVE]:
            return True
        return self.app.policy.ends_with_master and os.getppid() != self.parent

    def _around(self, ended: bool) -> None:
        """uWSGI wakes no spooler that is inside a task: what rings meanwhile is lost."""
        if self.wait.pending() and not ended:
            self.worker.woken = True

    def _watch_again(self) -> None:
        """The directory is a new one, perhaps: the old watch is of the one that was removed."""
        if not os.path.isdir(self.spool.path):
            return
        self.wait.close()
        if self.app.policy.explains:
            self.app.log.say(f"{self.spool.path} was removed and is back: served again")
        self.wait = Wait(self.app, [self.spool], lifeline=self.lifeline)
        self.wait.wakeup()

    def _signal(self) -> None:
        signals = self.app.signals
        number = signals.spoolers.receive() if signals.spoolers else -1
        if number < 0:
            return  # another spooler was quicker
        os.chdir(self.spool.path)
        who = f"spooler {os.getpid()}"
        self.worker.status.guard(lambda: signals.run(number, who, print_error))
        if self.app.options.signal_as_task:
            self.worker.settler.count()
        self.wait.wakeup()


def places_of(served: Sequence[SpoolDir]) -> list[tuple[SpoolDir, int, int]]:
    """By slot: the directory, and which worker of how many on it."""
    paths = [directory.path for directory in served]
    return [
        (directory, paths[:slot].count(directory.path), paths.count(directory.path))
        for slot, directory in enumerate(served)
    ]
