"""The in-process engine: the worker's own cycle, one turn at a time, in the process of the test.

Real spool files in a temporary directory; no other process, no signal handler, no change of nice, umask, stdin or
working directory. Between tasks the process plays web worker 1; in a task it is the spooler.
"""

from __future__ import annotations

import os
import time

from spoolsim.errors import HarnessError
from spoolsim.testing import clock, faults, instance, stage
from spoolsim.testing.configured import configure
from spoolsim.testing.faults import AFTER, BEFORE, Fault
from spoolsim.testing.record import RecordingProducer
from spoolsim.testing.runner import RETRIES, TIMEOUT, Runner, _stays
from spoolsim.testing.task import Ran, Task
from spoolsim.testing.worker import TestingWorker
from spoolsim.work import program
from spoolsim.work.app import MASTER, SPOOLER, WORKER, App
from spoolsim.work.loading import run_code, run_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from spoolsim.testing.explore import Explored


class SpoolerHarness(Runner):
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
        super().__init__(errors, timeout)
        self._own: str | None = None
        if directory is None:
            import tempfile

            directory = self._own = tempfile.mkdtemp(prefix="spoolsim-")
        self.directory = os.path.realpath(directory)
        self.options, places = configure(options, self.directory)
        self.served = places.served
        self.app = App(self.options, places.entries, self.log, role=MASTER, stamp=True)
        self.app.folds = False  # each test is a run of its own to its reader
        self.app.signals = stage.RecordingSignals(
            self.log, self.app.notes, policy=self.app.policy, crew=self.app.signals.crew
        )
        self.app.signals.spoolers = self._queue  # type: ignore[assignment]  # a pipe within one process
        self.app.signals.up = True
        self.app.producer = RecordingProducer(self.app.producer, places.aliases, self._wrote)
        self._open(app)

    def _open(self, app: Any) -> None:
        options = self.options
        env = [(key, value) for key, _, value in (pair.partition("=") for pair in options.env)]
        described = instance.describe(self.app)
        stage.enter(self.app, path=options.pythonpath, env=[*env, (program.VARIABLE, described)])
        try:
            self._load(app)
            self.app.become(SPOOLER)
            self.app.post_fork()
            self.app.become(WORKER, worker_id=1)
            self._workers = [TestingWorker(self, spool) for spool in self.served]
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
        names = [_import(kind, value) for kind, value in wanted]
        is_module = hasattr(app, "__spec__") and hasattr(app, "__dict__")
        stage.apply(self.app, [app.__name__] if is_module else names)
        if app is not None and not isinstance(app, str) and not is_module:
            if not callable(app):
                raise HarnessError(f"app: expected a module, its name, a handler or None, got {app!r}")
            self.app.module().__dict__["spooler"] = app

    def close(self) -> None:
        """Take everything back: the uwsgi module, sys.path, the environment, the temporary directory."""
        if self._closed:
            return
        self._closed = True
        stage.leave(self.app)
        instance.forget(self.directory)
        if self._own is not None:
            import shutil

            shutil.rmtree(self._own, ignore_errors=True)

    def __enter__(self) -> SpoolerHarness:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

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
        with self._limited(None):
            self._beat(scan=True)
            assert self._beats is not None
            while (moment := self._beats.next()) <= end:
                clock.move_to(moment, move)
                self._beat()
            clock.move_to(end, move)
            self._beat(scan=True)
        return self.outcomes[start:]

    def tick(self) -> list[Ran]:
        """Look at the clock, which the test moved itself: raise timers and crons that are due, run what is due."""
        __tracebackhide__ = True
        start = len(self.outcomes)
        with self._limited(None):
            self._beat(scan=True)
        return self.outcomes[start:]

    def _beat(self, *, scan: bool = False) -> None:
        __tracebackhide__ = True
        if self._beats is None:
            self._beats = clock.Beats(self.app)
        for number in self._beats.signals():
            self.app.signals.send(number)
        if scan or time.time() >= self._beats.poll:
            self._awake()
        while self._signal():
            self._awake()

    def _awake(self) -> None:
        """Scan; and again when tasks were spooled meanwhile; uWSGI wakes no busy spooler.

        A spooler that took the place of one that was gone scans at once. Raises RetriedForever where that has no end.
        """
        __tracebackhide__ = True
        fruitless = 0
        while True:
            before, respawned = len(self._spooled), self._respawned
            ran = self._scan()
            if self._respawned == respawned and (len(self._spooled) == before or not self.app.policy.wakes_while_busy):
                return
            fruitless = fruitless + 1 if ran and all(_stays(one) for one in ran) else 0
            if fruitless >= RETRIES:
                raise self._forever(ran)

    # ---- faults ----

    def fail_next(self, error: BaseException | type[BaseException], times: int = 1) -> None:
        """The next run raises this instead of calling the handler; `times` runs in a row. The test does not see it."""
        made = error() if isinstance(error, type) else error
        self._faults += [Fault(error=made, text=f"failed with {made!r}")] * times

    def kill_next(self, when: str | int = AFTER) -> None:
        """The spooler's process is killed in the next run; a new one takes over and runs the task again.

        when: "before" the handler, "after" it (done, but its file is still there), or before the N-th line of the
            app's code that it runs, counted from 1.
        """
        if when not in (BEFORE, AFTER) and not (isinstance(when, int) and when > 0):
            raise HarnessError(f'kill_next: expected "before", "after" or the number of a line, got {when!r}')
        text = f"killed before line {when} of its run" if isinstance(when, int) else f"killed {when} its handler"
        self._faults.append(Fault(kill=when, text=text))

    def corrupt(self, task: Task | str | bytes, how: str = "garbage") -> None:
        """Damage a task's file as a crash or a bug may: "cut", "garbage" or "empty". Its mtime stays."""
        faults.corrupt(task.path if isinstance(task, Task) else os.fsdecode(task), how)

    def run_twice(self, task: Task | str | bytes | None = None) -> tuple[Ran, Ran]:
        """Run a task as uWSGI does after a crash: to the end of its handler, killed, and again by a new spooler.

        task: the one to run (or its path); the next one that is due by default. Returns both runs.
        Raises HarnessError when it is not due; and what it raises.
        """
        __tracebackhide__ = True
        before = len(self.outcomes)
        with self._limited(None):
            if task is not None:
                self._only = task.path if isinstance(task, Task) else os.fsdecode(task)
            try:
                self._faults.appendleft(Fault(kill=AFTER, text="killed after its handler"))
                first = self._scan(1)
                if not first:
                    self._faults.popleft()
                    raise HarnessError(f"run_twice: {task or 'no task'!r} is not due; {self.report()}")
                self._only = first[0].task.path
                self._scan(1)
            finally:
                self._only = None
        return self.outcomes[before], self.outcomes[-1]

    def explore(self, test: Callable[..., Any], **limits: Any) -> Explored:
        """Run a scenario under each kill, redelivery and order of its tasks; see `spoolsim.testing.explore`.

        Raises StoryBroken with the shortest story in which the scenario fails.
        """
        __tracebackhide__ = True
        from spoolsim.testing.explore import explore

        return explore(self, test, **limits)

    def _reset(self) -> None:
        """As new: nothing in the spool, nothing remembered; for the next run of a scenario."""
        for directory in self.served:
            for root, _, names in os.walk(directory.path):
                for name in names:
                    os.unlink(os.path.join(root, name))
        self.outcomes.clear()
        self._spooled.clear()
        self._order.clear()
        self._faults.clear()
        self._queue.clear()
        self.log.lines.clear()
        self._error = self._alone = self._beats = None
        self._workers = [TestingWorker(self, spool) for spool in self.served]

    def report(self) -> str:
        """What was spooled, run and left, and the end of the log, as text."""
        lines = [super().report(), f"run: {len(self.outcomes)}"]
        for ran in self.outcomes[-20:]:
            fault = f" [{ran.fault}]" if ran.fault else ""
            lines.append(f"  {ran.task!r} {ran.state}{fault}{': ' + ran.why if ran.why else ''}")
        if self._faults:
            lines.append(f"faults that did not happen yet: {', '.join(fault.text for fault in self._faults)}")
        lines += ["log:", *(f"  {line}" for line in self.log.lines[-20:])]
        return "\n".join(lines)


def _import(kind: str, value: str) -> str:
    """Import as the option says, once for each process; returns the module's name. Raises what the import raises."""
    import sys
    from importlib import import_module

    if kind == "eval":
        return run_code("uwsgi_eval_config", "uwsgi_eval_config", value).__name__
    if kind == "paste":
        import_module("paste.deploy").loadapp(value)
        return "paste.deploy"
    name, _, _ = value.partition(":")
    if kind in ("wsgi-file", "mount-file") or name.endswith(".py") or "/" in name:
        known = "uwsgi_file_" + "".join(c if c.isalnum() else "_" for c in name)
        if known not in sys.modules:
            known = run_file(name).__name__
        return known
    import_module(name)
    return name
