"""Start: from the spawn of the command to the first handler call, a task waiting."""

from __future__ import annotations

from benchmarks.contestants.servers import Server
from benchmarks.model import Experiment, Row, Values, at_most
from benchmarks.rooms import MEMORY, Places
from benchmarks.sizes import Sizes


def measure(server: Server, places: Places, sizes: Sizes) -> Values:
    """Milliseconds, of several starts."""
    found = []
    for _ in range(sizes.starts):
        with places.room(MEMORY) as room:
            room.fill(1)
            with server.start(room, "noop") as instance:
                instance.wait(room.reader.total, "the first task", step=0.002)
                found.append((room.reader.span()[0] - instance.born) / 1e6)
    return {"ms": found}


EXPERIMENTS = (
    Experiment(
        "start",
        ("uwsgi", "spoolsim"),
        measure,
        (Row("process start to first task", "ms", "ms", at_most(5)),),
    ),
)
