"""`run --inline`: the tasks run in this one process, in the foreground, so that a debugger works in a handler.

Nothing of the process changes: stdin, nice, umask, signal handlers; and no working directory, but with --faithful. No
harakiri strikes unless asked: a debugger takes its time.
"""

from __future__ import annotations

import os
import signal
import sys
import time

from spoolsim import system
from spoolsim.errors import AppError
from spoolsim.work import attempted, handlers, program
from spoolsim.work.app import SPOOLER, App
from spoolsim.work.capture import capture_for, leave_streams
from spoolsim.work.installed import install, print_error
from spoolsim.work.notices import nobody
from spoolsim.work.remains import Remains
from spoolsim.work.run import Ended
from spoolsim.work.scoreboard import STARTED, deadline
from spoolsim.work.signals import Pipe
from spoolsim.work.status import Status
from spoolsim.work.wait import LIFELINE, LOOKS, SIGNAL, Wait
from spoolsim.work.worker import Worker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from spoolsim.log import Log
    from spoolsim.options import Options
    from spoolsim.processes.watchdog import Watchdog
    from spoolsim.spool.claim import Claim
    from spoolsim.spool.directory import SpoolDir
    from spoolsim.work.outcome import Outcome

#: Ctrl-C, as shells report it
INTERRUPTED = 130


class Outlived(Status):
    """The status of a process that no harakiri ends: it says whose would have struck."""

    __slots__ = ("_running",)

    def __init__(self, app: App, words: memoryview | None) -> None:
        super().__init__(app, words)
        self._running = "nothing"

    def begin(self, task: bytes) -> None:
        self._running = os.path.basename(os.fsdecode(task)) or "a signal handler"
        self.app.harakiri_word = self.arm_user  # of all that share this process, the one whose task runs
        super().begin(task)

    def end(self) -> int:
        self._check()
        return super().end()

    def arm_user(self, seconds: int) -> None:
        self._check()
        super().arm_user(seconds)

    def _check(self) -> None:
        at, began = deadline(self.words), self.words[STARTED]
        if began < at <= system.clock_gettime_ns(system.CLOCK_MONOTONIC):
            seconds = round((at - began) / 1_000_000_000, 1)
            self.app.notes.give("inline-harakiri", detail=f"{self._running} after {seconds:g} s")


#: seconds between two looks for a directory that was removed
_GONE_PAUSE = 0.5


class Foreground(Worker):
    """A spooler that is not a process of its own, in which a debugger may be at work."""

    __slots__ = ()

    def manage(self, claim: Claim) -> bool:
        before = signal.getsignal(signal.SIGINT)
        try:
            return super().manage(claim)
        finally:
            # a debugger that was left by `continue` has put in its own, which would begin to debug us at a Ctrl-C
            if before is not None and signal.getsignal(signal.SIGINT) != before:
                signal.signal(signal.SIGINT, before)


class Inline:
    """One process that serves every directory in turn."""

    def __init__(
        self,
        options: Options,
        directories: Sequence[tuple[SpoolDir, int]],
        log: Log,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self.options = options
        self.progress = progress
        self.log = log
        self.spools = list({spool.path: spool for spool, _ in directories if not spool.external}.values())
        entries = [
            (spool, -1 if spool.external else number)
            for number, (spool, count) in enumerate(directories)
            for _ in range(max(count, 1))
        ]
        self.app = install(App(options, entries, log, generation=1))
        self.app.capture = capture_for(options)
        self.app.signals.spoolers = Pipe.open()
        os.environ[program.VARIABLE] = program.describe(options, entries)
        #: what a drain did not get done
        self.remains = Remains()
        self.kept = 0
        self.watchdog: Watchdog | None = None
        self.done = 0
        #: Ctrl-C was pressed, where a signal cannot be told by a descriptor
        self.pressed = False
        if system.POSIX:
            self.interrupts, self._interrupts_writer = os.pipe()
            os.set_blocking(self.interrupts, False)
            os.set_blocking(self._interrupts_writer, False)
        else:
            signal.signal(signal.SIGINT, self._press)

    def load(self) -> None:
        """Import the app. Raises AppError where it cannot be imported, and uWSGI would go on without."""
        app = self.app
        app.prepare()
        failures = app.loader.load_in_master()
        app.become(SPOOLER)
        app.signals.in_master, app.signals.up = False, True
        for spool in self.spools:
            self.log.told(f"spawned the uWSGI spooler on dir {spool.path} with pid {os.getpid()}")
        app.post_fork()
        failures += app.loader.load_in_spooler()
        if failures and app.policy.refuses_failed_imports:
            app.notes.give("import-failed")
            raise AppError(f"cannot import: {failures[0]}")

    def _say_unserved(self) -> None:
        """What was asked for and needs a master, which this is not."""
        options = self.options
        asked = {
            "stats": options.stats,
            "watch": options.watch,
            "py-autoreload": options.py_autoreload,
            "touch-spoolers-reload": options.touch_reload,
            "touch-reload": options.touch_all,
            "stand-in-worker": options.stand_in_worker,
            "the app's timers, crons and file monitors": self.app.signals.timed,
        }
        if unserved := [name for name, given in asked.items() if given]:
            self.log.say(f"--inline runs without a master; these have no effect: {', '.join(unserved)}")

    def run(self) -> int:
        """Until Ctrl-C; draining, until a whole pass found nothing that was not tried."""
        words = self._deadlines()
        workers = [self._worker(spool, words) for spool in self.spools]
        try:
            self.load()
        except AppError:
            self.remains.stopped = "the app could not be imported"
            raise
        self._say_unserved()
        self.app.notes.give("inline-cwd")
        return self._drain(workers) if self.options.drain else self._serve(workers)

    def _deadlines(self) -> memoryview | None:
        """Where each task's deadline is written, for the process that strikes with --inline-harakiri; None without."""
        if not self.options.inline_harakiri:
            return None
        if not system.POSIX:
            self.log.say("--inline-harakiri needs POSIX, which this system lacks: no task is ended", error=True)
            return None
        from spoolsim.processes.watchdog import Watchdog

        self.watchdog = Watchdog(self.log)
        return self.watchdog.words

    def _pass(self, workers: list[Foreground]) -> int:
        """One cycle of each; returns how many tasks were run."""
        if system.POSIX:
            handlers.wake(self._interrupts_writer)
        return sum([self._cycle(worker) for worker in workers])

    def _drain(self, workers: list[Foreground]) -> int:
        """Until nothing is due that was not tried; tasks may enqueue others."""
        looks = iter(LOOKS)
        while True:
            if self._pass(workers):
                looks = iter(LOOKS)
                continue
            pause = next(looks, None) if any(worker.unfinished for worker in workers) else None
            if pause is None:
                return 0
            time.sleep(pause)

    def _serve(self, workers: list[Foreground]) -> int:
        """Until Ctrl-C, or until who started this is gone."""
        wait = Wait(self.app, self.spools)
        while True:
            self._pass(workers)
            if any(worker.woken for worker in workers):
                continue
            gone = False
            if wait.moved():
                wait.close()
                wait = Wait(self.app, self.spools)
                gone = wait.moved()
                if not gone:
                    continue  # a new one is back, and may hold tasks
            unfinished = any(worker.unfinished for worker in workers)
            why = wait.wait(unfinished=unfinished, limit=_GONE_PAUSE if gone else None)
            if why == SIGNAL:
                self._signal(workers[0] if workers else None)
            elif why == LIFELINE:
                return 1

    def _worker(self, spool: SpoolDir, words: memoryview | None) -> Foreground:
        drains = self.options.drain
        return Foreground(
            self.app,
            spool,
            status=Outlived(self.app, words),
            in_process=True,
            settled=self._settled,
            attempted=attempted.Attempted(attempted.share(1), 0) if drains else None,
            report=self.remains.report if drains else nobody,
        )

    def _cycle(self, worker: Foreground) -> int:
        ran = 0
        try:
            ran = worker.cycle()
        except FileNotFoundError:
            self.app.notes.give("directory-gone", worker.spool.path)
        except Ended:
            ran = 1
            worker.settler.recycled = True
        if worker.recycled:  # a process of its own would end here, and come back
            worker.renew()
        return ran

    def _signal(self, worker: Foreground | None) -> None:
        """None: every directory is another instance\'s, and the signal is lost."""
        pipe = self.app.signals.spoolers
        number = pipe.receive() if pipe else -1
        if number >= 0 and worker is not None:
            who = f"spooler {os.getpid()}"
            worker.status.guard(lambda: self.app.signals.run(number, who, print_error))

    def _press(self, number: int, frame: object) -> None:
        self.pressed = True
        raise KeyboardInterrupt

    def _settled(self, path: str, outcome: Outcome) -> None:
        if outcome.state == "done":
            self.done += 1
        else:
            self.kept += 1
        if self.progress:
            self.progress(self.done, self.kept)
        if not system.POSIX:
            if self.pressed:
                raise KeyboardInterrupt
            return
        try:
            pressed = signal.SIGINT in os.read(self.interrupts, 4096)
        except BlockingIOError:
            return
        if pressed:  # a real Ctrl-C, not a KeyboardInterrupt that the handler made itself: that one is an outcome
            raise KeyboardInterrupt


def run_inline(
    options: Options,
    directories: Sequence[tuple[SpoolDir, int]],
    log: Log,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[int, Remains]:
    """Run a configuration in this process; returns the exit status and what a drain did not get done.

    progress: called with (done, kept) after each task.
    """
    runner = Inline(options, directories, log, progress)
    try:
        return runner.run(), runner.remains
    except AppError as error:
        log.say(str(error), error=True)
        return error.exit_code, runner.remains
    except KeyboardInterrupt:
        sys.stderr.write("\n")
        runner.remains.stopped = "stopped by Ctrl-C"
        return INTERRUPTED, runner.remains
    finally:
        if system.POSIX:
            handlers.wake(-1)
        leave_streams()
        if runner.watchdog:
            runner.watchdog.close()
        _flush()


def _flush() -> None:
    """What the tasks printed goes out; where nobody reads it any more, Python's own end shall not try again."""
    try:
        sys.stdout.flush()
    except OSError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.close(null)
