"""System calls per task: counts, which hold however busy the machine is."""

from __future__ import annotations

import pytest

from benchmarks.contestants import Missing
from benchmarks.contestants.servers import Spoolsim
from benchmarks.rooms import Places
from benchmarks.syscalls import ENQUEUE_LIMIT, TASK_LIMIT, Traced

COUNT = 150


@pytest.fixture
def traced() -> Traced:
    """spoolsim under strace."""
    try:
        return Traced(Spoolsim())
    except Missing as error:
        pytest.skip(str(error))


def test_enqueue(traced: Traced, places: Places) -> None:
    """A small enqueue takes at most five system calls: open, lock, write, close, and whose process it is."""
    calls = traced.enqueue(places, COUNT)
    assert calls.total() <= ENQUEUE_LIMIT * COUNT, calls
    assert calls["openat"] == COUNT


def test_task(traced: Traced, places: Places) -> None:
    """A task takes at most nine, quiet and with the journal on, the share of the scan included.

    Three more look whether a task of root's has changed its user or root directory, where its handler took longer than
    1.5 microseconds: under a tracer on a busy machine that may be any of them.
    """
    calls = traced.tasks(places, COUNT)
    assert calls["geteuid"] <= COUNT + 1, calls
    assert calls.total() <= TASK_LIMIT * COUNT + 3 * calls["geteuid"], calls
    assert calls["unlinkat"] + calls["unlink"] == COUNT


def test_several_processes_on_an_ordered_directory(traced: Traced, places: Places) -> None:
    """Hardly any file is opened by a second process; without what they tell each other each would be by most."""
    assert traced.opens(places, COUNT, 3) < 1.3 * COUNT
