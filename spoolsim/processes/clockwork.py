"""The master's part of timers, crons and file monitors: it raises the signals that the app asked for at import.

They go into the pipe whose other end the spoolers read, so they are kept while all spoolers are busy or gone.
"""

from __future__ import annotations

import time

from spoolsim.work.signals import FULL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from spoolsim.processes.master import Master
    from spoolsim.processes.schedule import Schedule
    from spoolsim.processes.watch import FileWatch


class Clockwork:
    """Raises timed and file signals for a master."""

    def __init__(self, master: Master) -> None:
        self.master = master
        self.schedule: Schedule | None = None
        self.targets: dict[int, str] = {}
        self._watch: FileWatch | None = None
        self._files: dict[str, list[int]] = {}
        #: what forked processes register goes on where this one stood: of the app before the newest
        self._before: Schedule | None = None

    def start(self, timed: list[tuple[Any, ...]]) -> None:
        """The app of a new generation is loaded; what it registers anew keeps its last firing."""
        if not timed and self.schedule is None:
            return
        from spoolsim.processes.schedule import Registration, Schedule

        schedule = Schedule([Registration(kind, number, spec) for kind, number, _, *spec in timed if kind != "file"])
        if self.schedule is not None:
            schedule.carry(self.schedule)
        self._before, self.schedule = self.schedule, schedule
        self.targets = {number: target for _, number, target, *_ in timed}
        self._watch_files([(number, spec[0]) for kind, number, _, *spec in timed if kind == "file"])

    def _watch_files(self, monitors: list[tuple[int, str]]) -> None:
        self.close()
        self._files = {}
        for number, path in monitors:
            self._files.setdefault(path, []).append(number)
        if self._files:
            from spoolsim.processes.watch import FileWatch

            try:
                self._watch = FileWatch(self._files, self._touched, polling=self.master.touch.polling(self._files))
            except OSError as error:
                self.master.log.say(f"no file events ({error.strerror}): file monitors raise nothing", error=True)

    def _touched(self, path: str) -> None:
        for number in self._files.get(path, ()):
            self.send(number)
        self.master.wake()  # in cheap mode there may be no spooler to take it

    def told(self, kind: str, number: int, target: str, *spec: Any) -> None:
        """A forked process registers something: a worker that has loaded its own app, or a task."""
        from spoolsim.processes.schedule import Registration, Schedule

        self.targets[number] = target
        if kind == "file":
            if number not in self._files.get(spec[0], ()):
                known = [(other, path) for path, numbers in self._files.items() for other in numbers]
                self._watch_files([*known, (number, spec[0])])
            return
        if self.schedule is None:
            self.schedule = Schedule([])
        # a worker that was respawned says it again; in uWSGI that makes two
        self.schedule.add(Registration(kind, number, spec), self._before, again=self.master.options.faithful)

    def next_look(self) -> float | None:
        """When to tick."""
        if self.schedule is None or self.master.stopping:
            return None
        return self.schedule.next_look(_now(), time.time())

    def tick(self) -> None:
        """Raise what is due."""
        if self.schedule is None or self.master.stopping:
            return
        now = time.time()
        for kind, number in self.schedule.due(_now(), now, time.localtime(now)):
            if kind == "cron":
                self.master.log.dated(f"[uwsgi-cron] routing signal {number}")
            self.send(number)

    def send(self, number: int) -> None:
        """Put a signal into the pipe of its target."""
        master = self.master
        pipe = master.spooler_pipe if self.targets.get(number) == "spooler" else master.worker_pipe
        if pipe is not None and not pipe.send(number):
            master.log.line(FULL.format(size=pipe.size()), "error")

    def close(self) -> None:
        """Stop watching files."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None


def _now() -> float:
    return time.clock_gettime(time.CLOCK_MONOTONIC)
