"""The process tree, with real processes: wake-up, recycle, reload."""

from __future__ import annotations

from itertools import count
from typing import Any

from benchmarks.apps import marks
from benchmarks.contestants.servers import Spoolsim
from benchmarks.rooms import Places, Room
from benchmarks.rows import touch
from benchmarks.sizes import QUICK


def test_wake_up(benchmark: Any, room: Room) -> None:
    """A file put into the directory of an idle spooler is run at once, long before the poll."""
    numbers = count()
    with Spoolsim().start(room, "noop", more=("--spooler-frequency", "600")) as instance:

        def put() -> None:
            number = next(numbers)
            room.put(number)
            instance.wait(lambda: room.reader.total() == number + 1, "the task", step=0.0002)

        put()  # met by the first scan
        benchmark.pedantic(put, rounds=50)
    assert room.reader.total() == next(numbers)


def test_recycle(benchmark: Any, room: Room) -> None:
    """With one task for each process, a second task is run by a new process."""
    numbers = count()
    with Spoolsim().start(room, "noop", more=("--spooler-max-tasks", "1")) as instance:

        def two() -> None:
            first = next(numbers)
            room.put(first)
            room.put(next(numbers))
            instance.wait(lambda: room.reader.total() == first + 2, "both tasks", step=0.0005)

        benchmark.pedantic(two, rounds=5)
    counts = [found[marks.COUNT] for found in room.reader.processes().values() if found[marks.COUNT]]
    assert set(counts) == {1}
    assert len(counts) == next(numbers)


def test_reload(benchmark: Any, places: Places) -> None:
    """After a touch the new code answers; what is timed is the row of the side-by-side run."""
    values = benchmark.pedantic(touch.measure, args=(Spoolsim(), places, QUICK), rounds=1)
    assert len(values["ms"]) == QUICK.touches
