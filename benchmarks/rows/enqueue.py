"""Enqueue: how many tasks a second one producer writes."""

from __future__ import annotations

from benchmarks.apps import marks
from benchmarks.contestants.servers import Server
from benchmarks.model import Experiment, Goal, Row, Values, at_least
from benchmarks.rooms import DISK, MEMORY, Places
from benchmarks.sizes import Sizes

BOTH = ("uwsgi", "spoolsim")


def _experiment(kind: str, body: int, at: bool, place: str, goal: Goal) -> Experiment:
    def measure(server: Server, places: Places, sizes: Sizes) -> Values:
        count = sizes.enqueue_big if body > 65536 else sizes.enqueue_at if at else sizes.enqueue
        env = {
            "SPOOLBENCH_COUNT": str(count),
            "SPOOLBENCH_WARM": str(min(sizes.warm, count)),
            "SPOOLBENCH_BODY": str(body),
            "SPOOLBENCH_AT": str(int(at)),
        }
        with (
            places.room(place, creating=True) as room,
            server.start(room, "enqueue", external=True, env=env) as instance,
        ):
            results = marks.words(f"{room.marks}/enqueue", 1)
            instance.wait(lambda: results[0], "the enqueuing", timeout=300)
            return {"rate": count / results[0] * 1e9}

    title = f"enqueue, {kind}, {place}"
    name = f"enqueue.{kind.replace(' ', '')}.{place}"
    return Experiment(name, BOTH, measure, (Row(title, "rate", "/s", goal, more=True),))


EXPERIMENTS = tuple(
    _experiment(kind, body, at, place, goal)
    for place in (MEMORY, DISK)
    for kind, body, at, goal in (
        ("0 B", 0, False, at_least(0.9)),
        ("1 KiB", 1024, False, at_least(0.9)),
        ("1 MiB", 1 << 20, False, at_least(0.75)),
        ("at", 0, True, at_least(0.75)),
    )
)
