"""Drain: how many waiting no-op tasks a second are run, from the first handler call to the last."""

from __future__ import annotations

from benchmarks.contestants.servers import Server
from benchmarks.model import Experiment, Goal, Row, Values, at_least
from benchmarks.rooms import DISK, MEMORY, Places, Room
from benchmarks.sizes import Sizes


def run(server: Server, room: Room, count: int, *, processes: int = 1, ordered: bool = False) -> tuple[int, int]:
    """Fill a room, have it drained; when the first and the last handler was called, in nanoseconds."""
    room.fill(count)
    with server.start(room, "noop", processes=processes, ordered=ordered) as instance:
        instance.wait(lambda: room.reader.total() >= count, f"{count} tasks to be run", timeout=60 + count / 1000)
        return room.reader.span()


def _experiment(processes: int, ordered: bool, place: str, goal: Goal) -> Experiment:
    def measure(server: Server, places: Places, sizes: Sizes) -> Values:
        with places.room(place) as room:
            first, last = run(server, room, sizes.drain, processes=processes, ordered=ordered)
            return {"rate": (sizes.drain - 1) / (last - first) * 1e9}

    order = "ordered" if ordered else "unordered"
    title = f"drain, {processes} process{'es' if processes > 1 else ''}, {order}, {place}"
    contestants: tuple[str, ...] = ("uwsgi", "spoolsim")
    rows = [Row(title, "rate", "/s", goal, more=True)]
    if processes == 1:
        contestants += ("spoolsim --inline", "spoolsim, no journal")
        rows.append(Row(f"{title}: --inline", "rate", "/s", None, more=True, subject="spoolsim --inline"))
        rows.append(Row(f"{title}: journal's share", "rate", "/s", None, more=True, reference="spoolsim, no journal"))
    return Experiment(f"drain.{processes}.{order}.{place}", contestants, measure, tuple(rows))


EXPERIMENTS = tuple(
    _experiment(processes, ordered, place, at_least(goal))
    for place in (MEMORY, DISK)
    for processes, goal in ((1, 1.25 if place == MEMORY else 1.1), (2, 1.3), (4, 1.7))
    for ordered in (False, True)
)
