"""How much is measured: the full run, and the quick one that only shows that everything works."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """Counts of one measurement; the defaults are those of a full run."""

    enqueue: int = 20_000
    enqueue_big: int = 400
    enqueue_at: int = 10_000
    warm: int = 500
    drain: int = 10_000
    growth: tuple[int, ...] = (1_000, 100_000, 1_000_000)
    #: the smallest size takes milliseconds: it is measured so many times
    growth_repeats: int = 7
    wake: int = 4_000
    dropped: int = 200
    starts: int = 5
    peak: int = 100_000
    recycles: int = 3
    kills: int = 2
    touches: int = 2
    peers: int = 10_000
    #: rq takes 10 ms for each task
    slow_peers: int = 500


FULL = Sizes()
QUICK = Sizes(
    enqueue=2_000,
    enqueue_big=20,
    enqueue_at=500,
    warm=50,
    drain=1_000,
    growth=(200, 2_000),
    growth_repeats=1,
    wake=50,
    dropped=20,
    starts=1,
    peak=2_000,
    recycles=1,
    kills=1,
    touches=1,
    peers=500,
    slow_peers=50,
)
