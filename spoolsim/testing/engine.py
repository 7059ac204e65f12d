"""The in-process engine: the worker's own cycle, one turn at a time, in the process of the test.

Real spool files in a temporary directory; no other process, no signal handler, no change of nice, umask, stdin or
working directory. Between tasks the process plays web worker 1; in a task it is the spooler.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager

from spoolsim.errors import HarnessError
from spoolsim.spool.look import UNREACHED
from spoolsim.testing import clock, imports, swap
from spoolsim.testing.configured import configure
from spoolsim.testing.faults import AFTER, BEFORE, Fault, corrupt, places_of
from spoolsim.testing.record import Record, RecordingProducer
from spoolsim.testing.runner import RETRIES, TIMEOUT, Runner
from spoolsim.testing.script import Script
from spoolsim.testing.task import Ran, Task
from spoolsim.work import program
from spoolsim.work.app import MASTER, SPOOLER, WORKER, App

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from spoolsim.testing.explore import Explored


class SpoolerHarness(Record):
    """A spooler inside the test's own process.

    app: what the spooler runs: a module's name or file, a module, a handler (as uwsgi.spooler would be), or None for
        what the options import.
    options: a mapping of uWSGI's option names, the path of a configuration file, a Section, Options; or None.
        Directories named there are never touched: each is replaced by one of the test's own.
    directory: where the spool is; a temporary directory, removed at the end, by default.
    errors: "raise" what a task raises in the test; or "collect" it in `outcomes` and print it, as uWSGI does.
    timeout: seconds for each call that runs tasks.

    outcomes: every run so far, in order. log: the lines of the log (`log.lines`). Close it, or use `with`.
    Raises HarnessError, OptionError, ConfigError; and what the app raises when it is imported.
    """

    def __init__(
        self,
        app: Any = None,
        options: Any = None,
        *,
        directory: str | os.PathLike[str] | None = None,
        errors: str = "raise",
        timeout: float = TIMEOUT,
    ) -> None:
        self._script = script = Script(errors)
        super().__init__(script.spooled)
        self.outcomes: list[Ran] = script.outcomes
        self._eager = False
        self._own: str | None = None
        if directory is None:
            import tempfile

            directory = self._own = tempfile.mkdtemp(prefix="spoolsim-")
        self.directory = os.path.realpath(directory)
        self.options, places = configure(options, self.directory)
        self.served = places.served
        self.app = App(self.options, places.entries, self.log, role=MASTER, stamp=True)
        self.app.folds = False  # each test is a run of its own to its reader
        self.app.signals = imports.RecordingSignals(
            self.log, self.app.notes, policy=self.app.policy, crew=self.app.signals.crew
        )
        self._runner = Runner(self.app, self.served, script, timeout, self.report)
        self.app.producer = RecordingProducer(self.app.producer, places.aliases, self._spooled_one)
        self._open(app)

    def _open(self, app: Any) -> None:
        options = self.options
        env = [(key, value) for key, _, value in (pair.partition("=") for pair in options.env)]
        self.app.instance = program.new_instance()
        described = program.describe(options, self.app.directories, served=False, instance=self.app.instance)
        swap.enter(self.app, path=options.pythonpath, env=[*env, (program.VARIABLE, described)])
        try:
            self._load(app)
            self.app.become(SPOOLER)
            self.app.post_fork()
            self.app.become(WORKER, worker_id=1)
            self._runner.begin()
        except BaseException:
            self.close()
            raise

    def _load(self, app: Any) -> None:
        """Import the app, or what the options import; what was imported before is put back."""
        if app is None:
            wanted = [*self.options.preloads, *(("spooler-import", name) for name in self.options.spooler_imports)]
        elif isinstance(app, str):
            wanted = [("import", app)]
        else:
            wanted = []
        names = [imports.import_once(kind, value) for kind, value in wanted]
        is_module = hasattr(app, "__spec__") and hasattr(app, "__dict__")
        swap.apply(self.app, [app.__name__] if is_module else names)
        if app is not None and not isinstance(app, str) and not is_module:
            if not callable(app):
                raise HarnessError(f"app: expected a module, its name, a handler or None, got {app!r}")
            self.app.module().__dict__["spooler"] = app

    def close(self) -> None:
        """Take everything back: the uwsgi module, sys.path, the environment, the temporary directory."""
        if self._runner.closed:
            return
        self._runner.closed = True
        swap.leave(self.app)
        self.app.close()
        if self._own is not None:
            import shutil

            shutil.rmtree(self._own, ignore_errors=True)

    def __enter__(self) -> SpoolerHarness:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # ---- running ----

    def run_one(self, timeout: float | None = None) -> Ran | None:
        """Run the next task that is due; None when none is. Raises what the task raised, or TaskTimeout."""
        __tracebackhide__ = True
        with self._runner.limited(timeout):
            ran = self._runner.scan(1)
        return ran[0] if ran else None

    def drain(self, max_tasks: int | None = None, timeout: float | None = None, *, retries: int = RETRIES) -> list[Ran]:
        """Run tasks, and uwsgi signals that were raised, until nothing is due; returns the runs.

        max_tasks: stop after this many runs. timeout: seconds. retries: passes without a task done before it gives up.
        Raises what a task raised (errors="raise"), RetriedForever, TaskTimeout.
        """
        __tracebackhide__ = True
        start = len(self.outcomes)
        with self._runner.limited(timeout):
            self._runner.drain(max_tasks, retries)
        return self.outcomes[start:]

    @contextmanager
    def eager(self) -> Iterator[None]:
        """A context in which a task runs when it is spooled, before uwsgi.spool() returns.

        One that is spooled by a task runs when that task ends; one with `at` in the future waits.
        """
        before, self._eager = self._eager, True
        try:
            yield
        finally:
            self._eager = before

    def _spooled_one(self, task: Task) -> None:
        __tracebackhide__ = True
        script, tasks = self._script, self._script.spooled.tasks
        script.spooled.add(task)
        if not self._eager or self._runner.running:
            return
        with self._runner.limited():
            number = len(tasks) - 1
            while number < len(tasks):  # what it spools itself comes behind it
                script.only = tasks[number].path
                try:
                    if not self._runner.scan():
                        self._say_unreached(tasks[number])
                finally:
                    script.only = None
                number += 1

    def _say_unreached(self, task: Task) -> None:
        for left in self.tasks():
            if left.path == task.path and left.state == UNREACHED:
                raise HarnessError(f"eager: {task!r} never runs: {left.why}")

    # ---- time ----

    def advance(self, seconds: float) -> list[Ran]:
        """Move the frozen clock on and run, in order, what becomes due on the way; returns the runs.

        Tasks run at the moments of a spooler's polls (spooler-frequency), of timers and crons, and at the end.
        Timers count from the first call. Raises HarnessError when time is not frozen; and what a task raises.
        """
        __tracebackhide__ = True
        move = clock.frozen()
        if move is None:
            raise HarnessError(clock.NOT_FROZEN)
        start = len(self.outcomes)
        end = time.time() + seconds
        with self._runner.limited():
            self._runner.advance(end, move)
        return self.outcomes[start:]

    def tick(self) -> list[Ran]:
        """Look at the clock, which the test moved itself: raise timers and crons that are due, run what is due."""
        __tracebackhide__ = True
        start = len(self.outcomes)
        with self._runner.limited():
            self._runner.beat(scan=True)
        return self.outcomes[start:]

    # ---- faults ----

    def fail_next(self, error: BaseException | type[BaseException], times: int = 1) -> None:
        """The next run raises this instead of calling the handler; `times` runs in a row. The test does not see it."""
        made = error() if isinstance(error, type) else error
        self._script.faults += [Fault(error=made, text=f"failed with {made!r}")] * times

    def kill_next(self, when: str | int = AFTER) -> None:
        """The spooler's process is killed in the next run; a new one takes over and runs the task again.

        when: "before" the handler, "after" it (done, but its file is still there), or before the N-th line of the
            app's code that it runs, counted from 1.
        """
        if when not in (BEFORE, AFTER) and not (isinstance(when, int) and when > 0):
            raise HarnessError(f'kill_next: expected "before", "after" or the number of a line, got {when!r}')
        text = f"killed before line {when} of its run" if isinstance(when, int) else f"killed {when} its handler"
        self._script.faults.append(Fault(kill=when, text=text))

    def corrupt(self, task: Task | str | bytes, how: str = "garbage") -> None:
        """Damage a task's file as a crash or a bug may: "cut", "garbage" or "empty". Its mtime stays."""
        corrupt(task.path if isinstance(task, Task) else os.fsdecode(task), how)

    def run_twice(self, task: Task | str | bytes | None = None) -> tuple[Ran, Ran]:
        """Run a task as uWSGI does after a crash: to the end of its handler, killed, and again by a new spooler.

        task: the one to run (or its path); the next one that is due by default. Returns both runs.
        Raises HarnessError when it is not due; and what it raises.
        """
        __tracebackhide__ = True
        before = len(self.outcomes)
        script = self._script
        with self._runner.limited():
            if task is not None:
                script.only = task.path if isinstance(task, Task) else os.fsdecode(task)
            try:
                script.faults.appendleft(Fault(kill=AFTER, text="killed after its handler"))
                first = self._runner.scan(1)
                if not first:
                    script.faults.popleft()
                    raise HarnessError(f"run_twice: {task or 'no task'!r} is not due; {self.report()}")
                script.only = first[0].task.path
                self._runner.scan(1)
            finally:
                script.only = None
        return self.outcomes[before], self.outcomes[-1]

    def explore(
        self,
        test: Callable[..., Any],
        *,
        max_runs: int = 1000,
        faults: int = 1,
        orders: bool = True,
        kills: bool = True,
        outside: Iterable[Any] = (),
    ) -> Explored:
        """Run `test` under every schedule of at most `faults` faults; returns what was done when none breaks it.

        test: the scenario, called with the harness if it takes an argument. It sets up its own state again, spools,
            drains and asserts; it is run many times, each with an empty spool.
        max_runs: of the scenario, at most; a warning tells when it was not enough. faults: in one schedule, at most.
        orders, kills: whether to try other orders of a scan, and kills and redeliveries.
        outside: modules, classes or functions that play the world outside (a bank, a mail server): nothing is killed
            in the middle of them. Code of installed packages and of Python itself never is.

        Raises ScheduleBroken, whose cause is the test's own error, with the shortest fault schedule with which the
        scenario fails; the test's own error if it fails without any fault.
        """
        __tracebackhide__ = True
        from spoolsim.testing.explore import Explorer

        script = self._script
        script.outside = places_of(outside)
        try:
            with swap.active(self.app):
                return Explorer(self, script, self._begin_anew, test, max_runs, faults, orders, kills).explore()
        finally:
            script.outside = []

    def _begin_anew(self) -> None:
        """As new: nothing in the spool, nothing remembered; for the next run of a scenario."""
        for directory in self.served:
            for root, _, names in os.walk(directory.path):
                for name in names:
                    os.unlink(os.path.join(root, name))
        self._script.clear()
        self.log.lines.clear()
        self._runner.begin()

    def report(self) -> str:
        """What was spooled, run and left, and the end of the log, as text."""
        lines = [super().report(), f"run: {len(self.outcomes)}"]
        for ran in self.outcomes[-20:]:
            fault = f" [{ran.fault}]" if ran.fault else ""
            lines.append(f"  {ran.task!r} {ran.state}{fault}{': ' + ran.why if ran.why else ''}")
        if self._script.faults:
            lines.append(f"faults that did not happen yet: {', '.join(fault.text for fault in self._script.faults)}")
        lines += ["log:", *(f"  {line}" for line in self.log.lines[-20:])]
        return "\n".join(lines)
