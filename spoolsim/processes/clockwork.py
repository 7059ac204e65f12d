"""The master's part of timers, crons and file monitors: it raises the signals that the app asked for at import.

They go into the pipe whose other end the spoolers read, so they are kept while all spoolers are busy or gone.
"""

from __future__ import annotations

import sys
import time

from spoolsim.work.signals import Crew, SignalRouter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from spoolsim.log import Log
    from spoolsim.options import Options
    from spoolsim.processes.fleet import Fleet
    from spoolsim.processes.loop import Loop
    from spoolsim.processes.messages import Timed
    from spoolsim.processes.monitors import Monitors
    from spoolsim.processes.pipes import Pipes
    from spoolsim.processes.reload import Touch
    from spoolsim.processes.schedule import Schedule
    from spoolsim.processes.watch import FileWatch
    from spoolsim.work.signals import Spec


def _numbers(spec: Iterable[Spec]) -> list[int]:
    return [one for one in spec if isinstance(one, int)]


class Clockwork:
    """Raises timed and file signals.

    touch: begins the watches of files. stands: is nothing due any more, or not before everything has begun anew?
    """

    def __init__(
        self,
        options: Options,
        log: Log,
        loop: Loop,
        fleet: Fleet,
        pipes: Pipes,
        touch: Touch,
        stands: Callable[[], bool],
    ) -> None:
        self._policy = options.policy
        self._log = log
        self._loop = loop
        self._fleet = fleet
        self._pipes = pipes
        self._touch = touch
        self._stands = stands
        self.schedule: Schedule | None = None
        self._targets: dict[int, str] = {}
        self._router = SignalRouter(log, crew=Crew.of(options))
        self._watch: FileWatch | None = None
        self._monitors: Monitors | None = None
        self._files: dict[str, list[int]] = {}
        #: the monitored files to which something has happened
        self._happened: set[str] = set()
        #: what forked processes register goes on where this one stood: of the app before the newest
        self._before: Schedule | None = None

    def start(self, timed: list[Timed], targets: dict[int, str]) -> None:
        """The app of a new generation is loaded; what it registers anew keeps its last firing.

        targets: number -> target of all its handlers.
        """
        self._targets = targets
        if not timed and self.schedule is None:
            return
        from spoolsim.processes.schedule import Registration, Schedule

        schedule = Schedule(Registration(kind, n, _numbers(spec)) for kind, n, _, *spec in timed if kind != "file")
        if self.schedule is not None:
            schedule.carry(self.schedule)
        self._before, self.schedule = self.schedule, schedule
        self._watch_files([(number, str(spec[0])) for kind, number, _, *spec in timed if kind == "file"])

    def _watch_files(self, monitors: list[tuple[int, str]]) -> None:
        self.close()
        self._files = {}
        for number, path in monitors:
            self._files.setdefault(path, []).append(number)
        if not self._files:
            return
        if not self._policy.monitors_paths and sys.platform == "linux":
            from spoolsim.processes.monitors import Monitors

            try:
                self._monitors = Monitors(self._files)
            except OSError:
                pass  # the user's limit of inotify instances
            else:
                self._loop.watch(self._monitors.fd)
                return
        from spoolsim.processes.watch import FileWatch

        self._watch = self._touch.begin(
            lambda polling: FileWatch(self._files, self._touched, polling=polling), self._files, "monitored files are"
        )

    def collect(self, ready: set[int]) -> None:
        """The descriptors that are readable: something happened to monitored files."""
        if self._monitors is not None and self._monitors.fd in ready:
            for number in self._monitors.collect():
                self.send(number)

    def _touched(self, path: str) -> None:
        """From another thread; one change has several events."""
        self._happened.add(path)
        self._loop.wake()

    def register(self, kind: str, number: int, target: str, *spec: Spec) -> None:
        """A forked process registers something: a worker that has loaded its own app, or a task."""
        from spoolsim.processes.schedule import Registration, Schedule

        self._targets[number] = target
        if kind == "file":
            path = str(spec[0])
            if number not in self._files.get(path, ()):
                known = [(other, path) for path, numbers in self._files.items() for other in numbers]
                self._watch_files([*known, (number, path)])
            return
        if self.schedule is None:
            self.schedule = Schedule([])
        # a worker that was respawned says it again; in uWSGI that makes two
        again = not self._policy.counts_timers_once
        self.schedule.add(Registration(kind, number, _numbers(spec)), self._before, again=again)

    def next_deadline(self) -> float | None:
        """When to tick."""
        if self.schedule is None or self._stands():
            return None
        return self.schedule.next_deadline(self._loop.now(), time.time())

    def tick(self) -> None:
        """Raise what is due."""
        if self.schedule is None or self._stands():
            return
        while self._happened:
            for number in self._files.get(self._happened.pop(), ()):
                self.send(number)
        now = time.time()
        for kind, number in self.schedule.due(self._loop.now(), now, time.localtime(now)):
            if kind == "cron":
                self._log.dated(f"[uwsgi-cron] routing signal {number}")
            self.send(number)

    def send(self, number: int) -> None:
        """Put a signal into the queue of its target."""
        router = self._router
        router.spoolers, router.workers, router.words = (
            self._pipes.spoolers,
            self._pipes.workers,
            self._fleet.board.words,
        )
        router.deliver(number, self._targets.get(number, ""))

    def forget(self) -> None:
        """Nothing is registered, and nothing has ever fired."""
        self.close()
        self.schedule = self._before = None
        self._targets = {}
        self._files = {}

    def close(self) -> None:
        """Stop watching files."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None
        if self._monitors is not None:
            self._loop.unwatch(self._monitors.fd)
            self._monitors.close()
            self._monitors = None
