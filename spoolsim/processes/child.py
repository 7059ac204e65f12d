"""A spooler process: what it becomes after the fork, and its life until it ends."""

from __future__ import annotations

import os
import select
import signal
import sys
import time

from spoolsim.processes.leash import Tight
from spoolsim.processes.network import Network, bind, who_runs_code
from spoolsim.work import atexits, handlers, identity, intact, run
from spoolsim.work.app import IN_WORKERS, SPOOLER, WORKER, print_error
from spoolsim.work.diagnosis import listed
from spoolsim.work.notices import nobody
from spoolsim.work.remains import reporter
from spoolsim.work.run import Ended
from spoolsim.work.scoreboard import DRAINED as THROUGH
from spoolsim.work.scoreboard import HARAKIRI, LEAVE, STATE
from spoolsim.work.status import Status
from spoolsim.work.wait import LEASH, LOOK, LOOKS, POLL, SIGNAL, TASK, WOKEN, Wait
from spoolsim.work.worker import Worker

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from spoolsim.spool.directory import SpoolDir
    from spoolsim.work.app import App
    from spoolsim.work.attempted import Attempted
    from spoolsim.work.recorder import Box
    from spoolsim.work.tried import Tried
    from spoolsim.work.unremoved import Unremoved

#: as it is before a task can break it
_exit = os._exit
#: exit statuses of a spooler process
OK, FAILED = 0, 1
#: how long a spooler waits for its directory to come back, between two looks, in seconds
_GONE_PAUSE = 1.0
#: so many exceptions amid our own code are outlived without a scan between them
_STRAYS = 100
#: so many waits in a row may be refused
_VAIN = 3
#: how long a removal of the directory may take before we put our corner into it again, in seconds
_REMOVAL = 0.2


class Spooler:
    """One spooler process.

    slot: its number on the directory's part of the scoreboard. leash: readable when the fork server is gone or
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
        leash: int,
        share: tuple[int, int],
        tried: Tried | None = None,
        attempted: Attempted | None = None,
        reports: int = -1,
        unremoved: Unremoved | None = None,
        box: Box | None = None,
    ) -> None:
        self.app = app
        self.spool = spool
        self.words = words
        self.leash = leash
        self.parent = os.getppid()
        app.capture = None if box is None else box.capture
        self.worker = Worker(
            app,
            spool,
            share=share,
            status=Status(app, words, place),
            tried=tried,
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
            _exit(FAILED)

    def _live(self) -> NoReturn:
        status = FAILED
        try:
            _signals(self.app.faithful)
            if not (self.app.options.master or self.app.policy.serves_without_master):
                leave(self._serve_nothing())
            if self.app.faithful:  # uWSGI's goes on with its import, and with its first scan
                self._become()
            else:
                with Tight(self.leash):
                    self._become()
            status = self._serve()
            self._say_skipped()
        except Ended as ended:
            status = ended.status
        except SystemExit as end:
            status = exit_status(end)
        except BaseException:
            print_error()
        if not self.app.faithful:  # what the app registered for its end may hang
            now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
            self.words[HARAKIRI] = now + int(max(self.app.options.stop_grace, 1) * 1_000_000_000)
        leave(status)

    def _serve_nothing(self) -> int:
        """Wait for the end, as uWSGI's spooler does without a master: it never gets Python's lock (the GIL)."""
        self.app.log.told(f"spawned the uWSGI spooler on dir {self.spool.path} with pid {os.getpid()}")
        while not self._leaving():
            select.select([self.leash], [], [], _GONE_PAUSE)
        return OK

    def _become(self) -> None:
        app = self.app
        faithful = app.faithful
        first = _close_stdin() if faithful else _stdin_from_null()
        app.become(SPOOLER)
        app.signals.in_master, app.signals.up = False, True
        app.log.told(f"spawned the uWSGI spooler on dir {self.spool.path} with pid {os.getpid()}")
        name_process(app, "uWSGI spooler")
        app.post_fork()
        for line in app.load_in_spooler():
            if not faithful and app.said.first("spooler-import", str(app.born), line):
                app.log.say(f"{line}; the spooler goes on without it", error=True)
        if faithful:
            _stdin_from_null()
        elif opened := _describe(first):
            app.notes.give("descriptor-zero", opened)
        try:
            os.nice(19)  # not before: the hook and spooler-import run in front of it
        except OSError:
            pass

    def _serve(self) -> int:
        app = self.app
        try:
            wait = Wait(app, [self.spool], leash=self.leash)
        except FileNotFoundError:  # under faithful the bell is kept by the directory's own number
            return self._gone(437)
        self.wait = wait
        intact.kept.remember()
        if app.faithful:
            self.worker.around = self._around
        else:
            self.worker.status.follow(self.parent)
            self.worker.settler.identity = identity.here()  # the app's own hook may have changed it
        why = POLL
        ran = 0
        only = None
        newest = tried = ""
        looks = iter(LOOKS)
        wait.wakeup()  # a SIGUSR1 amid a task is not lost
        while not self._leaving():
            ran_before, ran = ran, 0
            try:
                ran = self.worker.cycle(only, newest, tried)
                self._strays = 0
                if ran:
                    wait.wakeup()  # they may have changed that
            except FileNotFoundError:
                if app.faithful or app.options.drain:
                    return self._gone()
                self.worker.settler.check_identity()
                app.notes.give("directory-gone", self.spool.path)
                if wait.wait(limit=_GONE_PAUSE) == LEASH:
                    break
                wait = self._watch_again(wait)
                only, newest, tried = None, "", ""
                continue
            except BaseException as error:
                self._stray(error)
                continue
            if why == TASK and ran and ran_before and self.worker.fresh:
                app.notes.give("busy-wait", self.spool.path, f"up to {wait.frequency():g} s")
            if self.worker.recycled or (ran and self._mended()):
                return OK
            if app.options.drain:
                if ran:
                    looks = iter(LOOKS)
                    continue  # they may have enqueued others
                pause = next(looks, None) if self.worker.unfinished else None
                if pause is None:
                    return self._drained()
                select.select([self.leash], [], [], pause)
                continue
            if self._leaving():
                continue
            if self.worker.woken:
                self.worker.woken = False
                continue
            if newest:  # the directory is the truth: also what may have been kept there is looked at now
                newest, tried, ran = "", newest if ran else "", ran or ran_before
                continue
            if app.options.cheap and not ran and not tried and why != SIGNAL and self._cheap():
                break
            tried = ""
            # removed, and perhaps made again, between two scans; our watch is of the old one. uWSGI knows at its poll
            if wait.moved() and not (app.faithful and not os.path.isdir(self.spool.path)):
                wait.wait(limit=_REMOVAL)  # perhaps it is being removed just now, and ours would be in the way
                wait = self._watch_again(wait)
                only = None
                continue
            unfinished = self.worker.unfinished
            try:
                why = wait.wait(unfinished=bool(unfinished) and not app.faithful)
                self._vain = 0
            except BaseException as error:
                self._cannot_wait(error)
                self._stray(error)
                why = WOKEN
            only = set(unfinished) if why == LOOK else None
            if why == TASK and not app.options.ordered:
                newest = wait.watches[0].newest  # before anything else, as somebody may be waiting for it
            if why == SIGNAL:
                self._signal()
                if self.worker.recycled:
                    return OK
            elif why == LEASH:
                break
        if app.faithful and why == LEASH and not self.words[LEAVE]:
            app.log.dated(
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
        if isinstance(error, Ended | SystemExit) or self.app.faithful or self._strays > _STRAYS:
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
        if app.faithful:
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
        return not self.app.faithful and os.getppid() != self.parent

    def _around(self, ended: bool) -> None:
        """uWSGI wakes no spooler that is inside a task: what rings meanwhile is lost."""
        if self.wait.pending() and not ended:
            self.worker.woken = True

    def _watch_again(self, wait: Wait) -> Wait:
        """The directory is a new one, perhaps: the old watch is of the one that was removed."""
        if not os.path.isdir(self.spool.path):
            return wait
        wait.close()
        if not self.app.faithful:
            self.app.log.say(f"{self.spool.path} was removed and is back: served again")
        self.wait = Wait(self.app, [self.spool], leash=self.leash)
        self.wait.wakeup()
        return self.wait

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


def exit_status(end: SystemExit) -> int:
    """What Python makes of sys.exit's argument: a number, or a text to print and 1."""
    if end.code is None:
        return OK
    code = end.code
    if issubclass(type(code), int):
        return int.__index__(code) & 0xFF  # type: ignore[arg-type]  # it is one, whatever operators it has
    try:
        sys.stderr.write(f"{code}\n")
    except Exception:
        pass  # the stream is gone, or the object has no text
    return FAILED


def stand_in(app: App, leash: int, *, again: bool) -> NoReturn:
    """The process that stands in for web worker 1: it has the app, its hook, and the signals for workers.

    again: it takes the place of one that died.
    """
    status = FAILED
    try:
        _signals(app.faithful)
        app.become(WORKER, worker_id=1)
        app.signals.in_master, app.signals.up, app.signals.worker_id = False, True, 1
        if again:
            app.log.line(f"Respawned uWSGI worker 1 (new pid: {os.getpid()})")
        else:
            app.log.line(f"spawned uWSGI worker 1 (pid: {os.getpid()}, cores: 1)")
        name_process(app, "uWSGI worker 1")
        with Tight(leash):
            app.post_fork()
            if app.options.lazy_apps:
                app.load(IN_WORKERS)
            if app.options.pyrun:
                _run_script(app)
        wait = Wait(app, [], leash=leash)
        pipe = app.signals.workers
        if pipe is not None:
            wait.listen(pipe.reader)
        for line in filter(None, map(who_runs_code, app.options.sockets)):
            if not again and not app.faithful:
                app.log.say(line)
        servers = [bind(address) for address in app.options.sockets]
        network = Network(servers, app, poll=wait.also, forget=wait.no_more, now=_now)
        while True:
            deadline = network.next_deadline()
            why = wait.wait(limit=3600 if deadline is None else max(deadline - _now(), 0))
            if why == LEASH:
                break
            if why == SIGNAL and pipe is not None and (number := pipe.receive()) >= 0:
                app.signals.run(number, "worker 1", print_error)
            network.turn()
        status = OK
    except SystemExit as end:
        status = exit_status(end)
    except BaseException:
        print_error()
    leave(status)


def _run_script(app: App) -> None:
    """--pyrun: the script is what the instance is for; when it has ended, the master is told to stop."""
    try:
        app.run_script()
    except SystemExit as end:
        exit_status(end)
    # with die-on-term uWSGI's master takes SIGQUIT as a reload
    os.kill(app.master_pid, signal.SIGTERM if app.options.die_on_term else signal.SIGQUIT)


def _stdin_from_null() -> int:
    """Open /dev/null as descriptor 0; return the lowest number that is free then."""
    null = os.open(os.devnull, os.O_RDONLY)
    if null:
        os.dup2(null, 0)
        os.close(null)
    free = os.dup(0)
    os.close(free)
    return free


def _close_stdin() -> int:
    """Leave descriptor 0 free, as uWSGI may, for what the hook or spooler-import opens first."""
    try:
        os.close(0)
    except OSError:
        pass  # the app has closed it
    return 0


def _describe(fd: int) -> str:
    """What a descriptor is of; "" when it is not open."""
    try:
        os.fstat(fd)
    except OSError:
        return ""
    try:
        target = os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return "a file or socket"
    return target if target.startswith("/") else f"a {target.partition(':')[0]}"


def _now() -> float:
    return time.clock_gettime(time.CLOCK_MONOTONIC)


def _signals(faithful: bool) -> None:
    """The dispositions of a uWSGI spooler; the terminal's SIGINT is for the master, unless faithful."""
    die = _die
    handlers.wake(-1)
    handlers.handle(signal.SIGTERM, die)
    # a handler, not SIG_IGN: what a task starts must not inherit being deaf to Ctrl-C
    handlers.handle(signal.SIGINT, die if faithful else _nothing)
    handlers.handle(signal.SIGUSR1, _nothing)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for ignored in (signal.SIGHUP, signal.SIGALRM, signal.SIGUSR2, signal.SIGPIPE, signal.SIGTSTP):
        signal.signal(ignored, signal.SIG_IGN)


def _die(number: int, frame: object) -> None:
    """End at once, amid a task too; atexit functions run, as in uWSGI."""
    leave(OK)


def _nothing(number: int, frame: object) -> None:
    """Only to be woken."""


def name_process(app: App, name: str) -> None:
    """--auto-procname: a name for ps and top, when setproctitle is installed."""
    if not app.options.auto_procname:
        return
    try:
        from setproctitle import setproctitle
    except ImportError:
        if app.said.first("auto-procname"):
            app.log.say("auto-procname needs setproctitle: pip install 'spoolsim[procname]'", error=True)
        return
    setproctitle((app.options.procname_prefix or "") + name)


def leave(status: int) -> NoReturn:
    """End a forked process: atexit functions and buffers, but not what the fork server left on the stack."""
    import atexit

    try:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:
        pass
    finally:
        _exit(status & 0xFF)
