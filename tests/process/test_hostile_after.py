"""What a task leaves in its process for the time after it: clocks that stand still, and an end that comes late."""

from __future__ import annotations

from pathlib import Path

from tests.process.conftest import Start

AFTER = "note('after')"


def test_a_task_whose_process_dies_while_it_is_settled(start: Start) -> None:
    """It is a task that kills its spooler like any other: named, and slowed, so that the next one runs."""
    i = start("--spooler-quiet", "--spooler-frequency", "600", "--spooler-ordered")
    path = Path(i.put("os.unlink = lambda *words, **more: os._exit(7)"))
    i.spawned.wait_output("exited with status 7 while it ran (3x)")
    i.spawned.wait_output("(poison-task)")
    i.put(AFTER)
    i.wait_runs("after")
    assert path.exists()
