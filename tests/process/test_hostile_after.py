"""What a task leaves in its process for the time after it: clocks that stand still, and an end that comes late."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.process.conftest import Start

AFTER = "note('after')"

STOPPED = {
    "freezegun": "import freezegun\nfreezegun.freeze_time('2020-01-01').start()",
    "a function of the app's": "time.time = lambda: 0",
}


@pytest.mark.parametrize("options", [["--spooler-ordered"], ["--retry-delay", "1"]], ids=["ordered", "delayed"])
@pytest.mark.parametrize("how", STOPPED)
def test_a_task_that_stops_the_clock(start: Start, how: str, options: list[str]) -> None:
    """A test helper that is never undone: tasks enqueued later are due all the same, in the same process."""
    i = start("--spooler-quiet", "--spooler-frequency", "1", *options)
    (before,) = i.wait_workers(1)
    i.put(f"note('stopped')\n{STOPPED[how]}")
    i.wait_runs("stopped")
    i.put(f"{AFTER}; result = -1 if open(os.environ['RUNS']).read().count('after') < 2 else -2", priority="1")
    i.put(f"{AFTER}; result = -1 if open(os.environ['RUNS']).read().count('after') < 2 else -2")
    i.wait_count(3)
    i.wait_empty() if "--spooler-ordered" in options else None
    assert i.workers() == [before]


def test_a_task_whose_process_dies_while_it_is_settled(start: Start) -> None:
    """It is a task that kills its spooler like any other: named, and slowed, so that the next one runs."""
    i = start("--spooler-quiet", "--spooler-frequency", "600", "--spooler-ordered")
    path = Path(i.put("os.unlink = lambda *words, **more: os._exit(7)"))
    i.spawned.wait_output("exited with status 7 while it ran (3x)")
    i.spawned.wait_output("(poison-task)")
    i.put(AFTER)
    i.wait_runs("after")
    assert path.exists()
