"""The worker's cycle: everything a task costs but the wait for it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.rooms import Room
from spoolsim.work.worker import Worker

BATCH = 200


@pytest.mark.parametrize("ordered", [False, True], ids=["unordered", "ordered"])
@pytest.mark.parametrize("journal", [True, False], ids=["journal", "no-journal"])
def test_cycle(benchmark: Any, room: Room, make_worker: Callable[..., Worker], ordered: bool, journal: bool) -> None:
    """One cycle runs every task that waits; the time is that of a batch."""
    ran: list[int] = []
    worker = make_worker(room.spool, lambda env: -2, ordered=ordered, no_journal=not journal)

    def refill() -> tuple[tuple[()], dict[str, Any]]:
        room.fill(BATCH)
        return (), {}

    def cycle() -> None:
        ran.append(worker.cycle())

    benchmark.pedantic(cycle, setup=refill, rounds=20)
    assert set(ran) == {BATCH}
    assert [name for name in os.listdir(room.spool) if not name.startswith(".")] == []


def test_retried(benchmark: Any, room: Room, make_worker: Callable[..., Worker]) -> None:
    """A task that is to be retried stays, at each cycle."""
    room.fill(1)
    worker = make_worker(room.spool, lambda env: -1)
    assert benchmark(worker.cycle) == 1
    assert len([name for name in os.listdir(room.spool) if not name.startswith(".")]) == 1


def test_nothing_to_do(benchmark: Any, room: Room, make_worker: Callable[..., Worker]) -> None:
    """A poll that finds nothing runs nothing."""
    worker = make_worker(room.spool, lambda env: -2)
    assert benchmark(worker.cycle) == 0
