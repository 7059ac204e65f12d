"""A real instance for tests: `spoolsim run` with its processes, for what only processes show.

The test's own process is a producer beside it: `import uwsgi` there writes into the same directories.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from types import ModuleType

from spoolsim.errors import HarnessError, TaskTimeout
from spoolsim.options import BY_NAME, Options
from spoolsim.spool.look import CLAIMED, WAITING
from spoolsim.testing import clock, imports, swap
from spoolsim.testing.configured import configure, settings_of
from spoolsim.testing.record import Record, RecordingProducer
from spoolsim.testing.script import Spooled
from spoolsim.work import program
from spoolsim.work.app import MASTER, WORKER, App
from spoolsim.work.scoreboard import PID, STALLED, Scoreboard

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, TypeVar

    from spoolsim.spool.directory import SpoolDir
    from spoolsim.testing.task import Task

    T = TypeVar("T")

FROZEN = (
    "live_spooler runs real processes, which a frozen clock does not reach: use the fixture `spooler`, whose engine "
    "follows it, or leave the time alone"
)
#: seconds that a start, a stop or a wait may take
TIMEOUT = 20.0
#: seconds between two looks of a wait
_LOOK = 0.01
#: the environment variable that tells the workers which databases the test uses: alias -> name, as JSON
DATABASES = "SPOOLSIM_TEST_DATABASES"
#: options that a live instance is not given: its directories are its own, and no address of production is its
_NOT_FOR_FILE = frozenset(
    ("spooler", "spooler-external", "stats", "ini", "yaml", "yml", "json", "js", "xml", "xmlconfig")
)


class LiveSpooler(Record):
    """A running instance with processes, in directories of the test's own.

    app: what it imports: a module's name or a module; None for what the options import.
    options: as for SpoolerHarness, but no Options. directory: where the spool is.
    databases: Django's aliases -> database names that the workers use in place of the configured ones, and no other;
        None leaves Django alone.

    Starts at once; `stop` it, or use `with`. Raises HarnessError with the log when it does not start; and, as each of
    its methods but `stop` does, while time is frozen.
    """

    def __init__(
        self,
        app: Any = None,
        options: Any = None,
        *,
        directory: str | os.PathLike[str],
        databases: Mapping[str, str] | None = None,
        timeout: float = TIMEOUT,
    ) -> None:
        spooled = Spooled()
        super().__init__(spooled)
        _refuse_frozen()
        if isinstance(options, Options):
            raise HarnessError("live_spooler: give the options as a mapping or a configuration file, not as Options")
        if app is not None and not isinstance(app, str | ModuleType):
            raise HarnessError(f"live_spooler: its processes import their app: give a module or its name, not {app!r}")
        self.timeout = timeout
        self.directory = os.path.realpath(directory)
        settings = settings_of(options)
        self.options, self._places = configure(settings, self.directory)
        self.served = self._places.served
        home = f"{self.directory}.run"
        os.makedirs(home, exist_ok=True)
        self.log_path = os.path.join(home, "log")
        self._ini = os.path.join(home, "uwsgi.ini")
        self._touch = os.path.join(home, "reload")
        self._write_ini(settings, app)
        self._imports = [app] if isinstance(app, str) else []
        self.app = App(self.options, self._places.entries, self.log, role=MASTER)
        self.app.signals = imports.RecordingSignals(self.log, self.app.notes, crew=self.app.signals.crew)
        self.app.producer = _Producer(self.app.producer, self._places.aliases, spooled.add)
        self.process = self._start(databases)
        try:
            self._enter(app)
            self.wait(self._started, what="the spooler processes")
        except BaseException:
            self.stop()
            raise

    @property
    def processes(self) -> int:
        """Spooler processes for each directory."""
        return self.options.processes_per_spooler

    def _write_ini(self, settings: list[Any], app: Any) -> None:
        given = [s for s in settings if s.name not in _NOT_FOR_FILE and s.role != "placeholder"]
        lines = ["[uwsgi]"]
        for directory in dict.fromkeys(directory for directory, _ in self._places.entries):
            lines.append(f"{'spooler-external' if directory.external else 'spooler'} = {directory.path}")
        for setting in given:
            if app is not None and BY_NAME.get(setting.name) in _imported():
                continue
            value = "true" if setting.value is True else "false" if setting.value is False else setting.value
            lines.append(f"{setting.name} = {value.replace('%', '%%')}")
        if app is not None:
            lines.append(f"import = {app if isinstance(app, str) else app.__name__}")
        lines.append(f"touch-spoolers-reload = {self._touch}")
        with open(self._ini, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        with open(self._touch, "w", encoding="ascii"):
            pass
        old = time.time() - 10
        os.utime(self._touch, (old, old))  # the next touch is a later second, whenever it comes

    def _start(self, databases: Mapping[str, str] | None) -> subprocess.Popen[bytes]:
        env = dict(os.environ)
        env.pop(program.VARIABLE, None)
        env["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(entry or os.getcwd() for entry in sys.path))
        argv = [sys.executable, "-m", "spoolsim", "run", "--ini", self._ini]
        if databases is not None:
            env[DATABASES] = json.dumps(dict(databases))
            argv += ["--shared-import", "spoolsim.testing.databases"]
        with open(self.log_path, "wb") as log:
            return subprocess.Popen(
                argv, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def _started(self) -> bool:
        board = self._board()
        if board is not None:
            stalled = board.words[STALLED]
            board.close()
            if stalled:
                raise HarnessError(f"the instance does not start; {self.report()}")
        return self.output.count("spawned the uWSGI spooler on dir") >= len(self.served) * self.processes

    def _enter(self, app: Any) -> None:
        self.app.instance = program.new_instance()
        described = program.describe(
            self.options, self.app.directories, master=self.process.pid, served=True, instance=self.app.instance
        )
        swap.enter(self.app, path=self.options.pythonpath, env=[(program.VARIABLE, described)])
        names = [imports.import_once("import", name) for name in self._imports]
        swap.apply(self.app, names)
        self.app.become(WORKER, worker_id=1)
        self.app.master_pid = self.process.pid

    # ---- looking and waiting ----

    def tasks(self) -> list[Task]:
        """The tasks that are in the spool now, with their state, in the order in which they were spooled."""
        _refuse_frozen()
        return super().tasks()

    @property
    def output(self) -> str:
        """The log so far, with what the tasks printed."""
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def wait(self, condition: Callable[[], T], timeout: float | None = None, what: str = "") -> T:
        """Wait until `condition()` gives a true value, and return it. Raises TaskTimeout, with the log."""
        __tracebackhide__ = True
        _refuse_frozen()
        seconds = self.timeout if timeout is None else timeout
        end = time.clock_gettime(time.CLOCK_MONOTONIC) + seconds
        pause = threading.Event()
        while not (value := condition()):
            if self.process.poll() is not None:
                raise HarnessError(f"the instance has ended with status {self.process.returncode}; {self.report()}")
            if time.clock_gettime(time.CLOCK_MONOTONIC) > end:
                raise TaskTimeout(f"waited {seconds:g} s in vain for {what or 'the condition'}; {self.report()}")
            pause.wait(_LOOK)
        return value

    def wait_log(self, text: str, times: int = 1, timeout: float | None = None) -> None:
        """Wait until the log holds `text` so many times. Raises TaskTimeout."""
        __tracebackhide__ = True
        self.wait(lambda: self.output.count(text) >= times, timeout, f"{text!r} in the log, {times} times")

    def drain(self, timeout: float | None = None) -> None:
        """Wait until no task is due or running. Raises TaskTimeout, which names what is left."""
        __tracebackhide__ = True
        busy = (WAITING, CLAIMED)
        self.wait(lambda: not any(task.state in busy for task in self.tasks()), timeout, "the end of all tasks")

    def wait_done(self, task: Task | bytes | str, timeout: float | None = None) -> None:
        """Wait until a task's file is gone. Raises TaskTimeout."""
        __tracebackhide__ = True
        path = task if isinstance(task, str | bytes) else task.path
        self.wait(lambda: not os.path.exists(path), timeout, f"the end of {path!r}")

    def _board(self) -> Scoreboard | None:
        return Scoreboard.open(os.path.join(self.served[0].state_dir("run"), str(self.process.pid)))

    @property
    def pids(self) -> list[int]:
        """The pids of the spoolers that live now, from the instance's scoreboard."""
        board = self._board()
        if board is None:
            return []
        try:
            found = [board.slot(slot)[PID] for slot in range(board.slots)]
        finally:
            board.close()
        return [pid for pid in found if pid]

    def _serving(self) -> set[int]:
        """The pids of the processes that take tasks now, 0 for one that is missing."""
        board = self._board()
        if board is None:
            return set()
        try:
            return {board.serving(number)[PID] for number in range(len(self.served) * self.processes)}
        finally:
            board.close()

    # ---- acting ----

    def kill_worker(self, pid: int | None = None) -> int:
        """SIGKILL a spooler, the first by default, and wait for the one that takes its place; returns the killed."""
        victim = self.wait(lambda: self.pids, what="a spooler process")[0] if pid is None else pid
        os.kill(victim, signal.SIGKILL)
        self.wait(
            lambda: victim not in self.pids and len(self.pids) >= len(self.served) * self.processes,
            what="a new spooler process",
        )
        return victim

    def reload(self) -> None:
        """Have all code read again by new processes, as after touching touch-spoolers-reload; waits for them."""
        _refuse_frozen()
        before = self._serving()
        os.utime(self._touch)
        self.wait(lambda: self._serving() and self._serving().isdisjoint(before | {0}), what="new spooler processes")

    def stop(self, timeout: float | None = None) -> int:
        """Stop as Ctrl-C does, running tasks finish; after `timeout` seconds everything is killed. The exit status."""
        swap.leave(self.app)
        self.app.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(self.timeout if timeout is None else timeout)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        return self.process.wait()

    def __enter__(self) -> LiveSpooler:
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def report(self) -> str:
        """What was spooled and what is left, and the end of the log, as text."""
        tail = "\n".join(f"  {line}" for line in self.output.splitlines()[-30:])
        return f"{super().report()}\nlog:\n{tail}"


class _Producer(RecordingProducer):
    """Writes no file under a frozen clock: a decorator freezes time only after the fixtures were made."""

    __slots__ = ()

    def _write(self, directory: SpoolDir, data: bytes, body: bytes, at: int, priority: bytes) -> bytes:
        _refuse_frozen()
        return super()._write(directory, data, body, at, priority)


def _refuse_frozen() -> None:
    if clock.frozen() is not None:
        raise HarnessError(FROZEN)


def _imported() -> tuple[object, ...]:
    return tuple(BY_NAME[name] for name in ("import", "shared-import", "spooler-import", "module", "wsgi-file"))
