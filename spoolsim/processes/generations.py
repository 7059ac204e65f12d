"""The fork servers of a run: the one that serves, the one whose code is being imported, and those that are leaving."""

from __future__ import annotations

import os
import select
import signal
import time
from collections import namedtuple

from spoolsim.processes.generation import Generation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Literal

    from spoolsim.processes.loop import Loop
    from spoolsim.processes.messages import Word

#: seconds that a fork server has from the end of its line to its own
_BURIAL = 2.0
#: seconds that new code may take to be imported, while the old one serves; or, after another touch, as the code that
#: it reads may be no more. Code that took long before may take thrice as long
_LONGEST_IMPORT, _STALE_IMPORT = 60.0, 5.0
#: seconds until it is tried again to start a fork server that could not be started
PAUSE = 1.0


class Heard(namedtuple("Heard", "generation word")):
    """A fork server says something."""

    __slots__ = ()
    generation: Generation
    word: Word


class Lost(namedtuple("Lost", "generation served was_coming overdue")):
    """A fork server is gone: as it should, or killed. overdue: it had been told to end, and did not in its time."""

    __slots__ = ()
    generation: Generation
    served: bool
    was_coming: bool
    overdue: bool


class Generations:
    """All fork servers of a master.

    Attributes:
        serving: Whose spoolers serve; None before the first one is ready, and after it was killed.
        coming: Which imports the app now.
        count: How many were begun.
        import_began: When the newest one began to import the app, epoch seconds.
    """

    def __init__(self, loop: Loop, start: Callable[[int], Generation]) -> None:
        """start: makes one with this number. Raises OSError."""
        self._loop = loop
        self._start = start
        self._living: list[Generation] = []
        self.serving: Generation | None = None
        self.coming: Generation | None = None
        self.count = 0
        self.import_began = 0.0
        #: how long the code that serves took to be imported, in seconds
        self._import_took = 0.0
        #: when to try again to start one that could not be started
        self._begin_at: float | None = None

    def __bool__(self) -> bool:
        """Is there one, or is one to come?"""
        return bool(self._living) or self._begin_at is not None

    def begin(self) -> OSError | None:
        """Start one; what becomes of it, its words will tell. Returns why there is none.

        Where nobody serves and one has served before, it is tried again in a second.
        """
        self._begin_at = None
        self.import_began = time.time()
        try:
            generation = self._start(self.count)
        except OSError as error:
            if self.serving is None and self.count:
                self._begin_at = self._loop.now() + PAUSE
            return error
        self.count += 1
        self._living.append(generation)
        self.coming = generation
        self._loop.watch(generation.wire.fd)
        return None

    def is_due(self) -> bool:
        """Is it time to try again to start one?"""
        return self._begin_at is not None and self._loop.now() >= self._begin_at

    def will_try_again(self) -> bool:
        """Could one not be started, and is tried again?"""
        return self._begin_at is not None

    def took_over(self, generation: Generation) -> Generation | None:
        """This one has imported the app, and serves from now on; returns the one before it."""
        self._import_took = self._loop.now() - generation.began
        generation.ready = True
        old, self.serving, self.coming = self.serving, generation, None
        return old

    # ---- what they say ----

    def collect(self, ready: set[int]) -> Iterator[Heard | Lost]:
        """What came from those whose lines are readable."""
        for generation in list(self._living):
            if generation.wire.fd not in ready or generation not in self._living:
                continue
            words = generation.words()
            if words is None:
                yield self.lose(generation)
            else:
                yield from (Heard(generation, word) for word in words)

    def reap(self) -> Iterator[Heard | Lost]:
        """Which one died? One whose line is still held open, by a child that the app made, tells us so only.

        As process 1 of a container we are the parent of all that lost theirs, whatever a task has left behind.
        """
        for generation in list(self._living):
            try:
                pid, _ = os.waitpid(generation.pid, os.WNOHANG)
            except ChildProcessError:
                pid = generation.pid
            if pid:
                generation.dead = True
                for word in generation.wire.rest():
                    yield Heard(generation, word)
                if generation in self._living:
                    yield self.lose(generation)
        if os.getpid() == 1:
            self._reap_orphans()

    def _reap_orphans(self) -> None:
        ours = {generation.pid for generation in self._living}
        try:
            while (found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
                if found.si_pid in ours:
                    break  # it is collected by its own number; another signal tells of those behind it
                os.waitpid(found.si_pid, 0)
        except ChildProcessError:
            pass  # there is none at all

    def lose(self, generation: Generation) -> Lost:
        """It is gone, or to be: collect it."""
        self._loop.unwatch(generation.wire.fd)
        generation.wire.close()
        self._living.remove(generation)
        if not generation.dead:
            _bury(generation.pid)
        overdue = generation.end_by is not None and self._loop.now() >= generation.end_by
        found = Lost(generation, generation is self.serving, generation is self.coming, overdue)
        if found.served:
            self.serving = None
        if found.was_coming:
            self.coming = None
        return found

    # ---- their ends ----

    def overdue(self) -> Generation | None:
        """One that was told to end, and had time: it is stopped, or hangs in the app's atexit."""
        now = self._loop.now()
        return next((each for each in self._living if each.end_by is not None and now >= each.end_by), None)

    def import_ends(self, *, again: bool) -> float | None:
        """When the import that is going on is given up: it hangs, or reads code that was changed meanwhile.

        again: the code was touched since it began.
        """
        if self.coming is None or not (again or self.serving):
            return None
        return self.coming.began + max(_STALE_IMPORT if again else _LONGEST_IMPORT, 3 * self._import_took)

    def give_up_import(self) -> Lost | None:
        """End the one that is to serve next."""
        useless, self.coming = self.coming, None
        if useless is None:
            return None
        useless.kill()
        return self.lose(useless)

    def retire_all(self, end_by: float) -> None:
        """Let them go when their spoolers have, and end them then; no other one comes."""
        self._begin_at = None
        for generation in self._living:
            generation.retire(end_by)

    def looks(self) -> Iterator[float | None]:
        """When one must have ended, or is begun."""
        yield self._begin_at
        yield from (generation.end_by for generation in self._living)

    # ---- their spoolers ----

    def tell(self, what: Literal["leave", "kill"], pid: int) -> None:
        """ "leave" or "kill", to the one whose spooler it is."""
        for generation in self._living:
            if pid in generation.pids:
                generation.send((what, pid))

    def spoolers(self) -> list[tuple[int, int]]:
        """(slot number, pid) of all that live, in the order of the slots for each fork server."""
        return [
            (number, pid)
            for generation in self._living
            for pid, number in sorted(generation.pids.items(), key=lambda item: item[1])
        ]


def _bury(pid: int) -> None:
    """Collect a child whose line is closed; one that goes on without it is killed."""
    end = time.clock_gettime(time.CLOCK_MONOTONIC) + _BURIAL
    while time.clock_gettime(time.CLOCK_MONOTONIC) < end:
        try:
            if os.waitpid(pid, os.WNOHANG)[0]:
                return
        except ChildProcessError:
            return
        select.select((), (), (), 0.005)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
