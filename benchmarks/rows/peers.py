"""Peers: no-op tasks a second through one consumer; and the in-process engine beside dramatiq's StubBroker."""

from __future__ import annotations

from benchmarks.contestants.peers import PEERS, Program
from benchmarks.contestants.servers import Server
from benchmarks.model import Experiment, Goal, Row, Values
from benchmarks.rooms import DISK, MEMORY, Places
from benchmarks.rows.drain import run
from benchmarks.sizes import Sizes

_AHEAD = Goal(1.0, True)
_QUEUES = tuple(peer.name for peer in PEERS if peer.name != "dramatiq")


def _experiment(place: str) -> Experiment:
    def measure(who: Server | Program, places: Places, sizes: Sizes) -> Values:
        with places.room(place) as room:
            if isinstance(who, Program):
                return {"rate": who.rate(room, sizes.slow_peers if who.slow else sizes.peers)}
            first, last = run(who, room, sizes.peers)
            return {"rate": (sizes.peers - 1) / (last - first) * 1e9}

    # redis is elsewhere than our two file systems: once is enough
    names = tuple(name for name in _QUEUES if place == MEMORY or name != "rq")
    rows = tuple(Row(f"drain against {name}, {place}", "rate", "/s", _AHEAD, True, reference=name) for name in names)
    return Experiment(f"peers.queues.{place}", ("spoolsim", *names), measure, rows)


def _engine(who: Program, places: Places, sizes: Sizes) -> Values:
    with places.room(MEMORY) as room:
        return {"rate": who.rate(room, sizes.peers)}


EXPERIMENTS = (
    _experiment(MEMORY),
    _experiment(DISK),
    Experiment(
        "peers.engine",
        ("spoolsim engine", "dramatiq"),
        _engine,
        (
            Row(
                "in-process engine, enqueue and run, against dramatiq StubBroker",
                "rate",
                "/s",
                _AHEAD,
                True,
                "spoolsim engine",
                "dramatiq",
            ),
        ),
    ),
)
