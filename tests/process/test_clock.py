"""The clock jumps, forwards and backwards: no task is lost, no deadline strikes for it, no spooler stops.

The spoolers' clock is shifted by the app; file times stay the kernel's.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.conftest import poll_until
from tests.process.conftest import APP, Instance, Start

SHIFTED = """
import spoolsim.system
_now = time.time
def shifted():
    with open(os.environ["SHIFT"]) as file:
        return _now() + int(file.read() or 0)
time.time = spoolsim.system.real_time = shifted
"""


@pytest.fixture
def begin(start: Start, home: Path):
    """A function: options -> an instance whose spoolers live in shifted time."""
    (home / "shift").write_text("0")

    def begun(*options: str) -> Instance:
        return start(*options, app=APP + SHIFTED, env={"SHIFT": str(home / "shift")})

    return begun


def jump(instance: Instance, seconds: int) -> None:
    """Set the clock, at once."""
    (instance.home / "shift.new").write_text(str(seconds))
    (instance.home / "shift.new").rename(instance.home / "shift")


@pytest.mark.parametrize("seconds", [86400, -86400])
def test_a_running_task_is_not_struck(begin, seconds: int) -> None:
    """A harakiri of half a minute does not strike when the clock jumps by a day; the next task runs as well.

    What would strike looks at all deadlines together: one of another spooler's, due a second after the jump, shows
    that it has looked.
    """
    i = begin("--spooler-harakiri", "30", "--spooler-frequency", "1", "--spooler-processes", "2")
    i.put("note('on', os.getpid()); gate('go'); note('end', os.getpid())")
    i.wait_count(1)
    pid = i.runs()[0].removeprefix("on ")
    jump(i, seconds)
    struck = Path(i.put("note('stuck'); uwsgi.set_user_harakiri(1); gate('never', 600)"))
    os.utime(struck, (0, 0))
    i.wait_runs("stuck")
    struck.unlink()  # it is not tried again
    i.spawned.wait_output("HARAKIRI")
    i.open_gate("go")
    i.wait_runs(f"end {pid}")
    late = i.put("note('next')")
    os.utime(late, (time.time() + seconds, time.time() + seconds))
    i.wait_runs("next")
    i.wait_empty()
    assert i.output().count("HARAKIRI") == 1


def test_tasks_put_before_the_clock_went_back_wait_and_are_kept(begin) -> None:
    """As in uWSGI, whose rule is mtime <= now; they run when it is set right, and none is lost."""
    i = begin("--spooler-frequency", "1")
    jump(i, -3600)
    paths = [Path(i.put(f"note({number})")) for number in range(5)]
    sign = i.put("note('sign')")
    os.utime(sign, (0, 0))
    i.wait_runs("sign")
    assert i.runs() == ["sign"]
    assert all(path.exists() for path in paths)
    jump(i, 0)
    i.wait_runs(*map(str, range(5)))
    i.wait_empty()


def test_a_retry_delay_outlives_jumps(begin) -> None:
    """A task that waits for a retry is kept through a jump back and runs after one forwards."""
    i = begin("--spooler-frequency", "1", "--retry-delay", "600")
    path = Path(i.put("note('run'); result = uwsgi.SPOOL_OK if os.path.exists(os.environ['SHIFT'] + '.on') else -1"))
    i.wait_runs("run")
    poll_until(lambda: path.stat().st_mtime > time.time() + 60, 30, "the task to wait")
    jump(i, -86400)
    (i.home / "shift.on").touch()
    sign = i.put("note('sign')")
    os.utime(sign, (0, 0))
    i.wait_runs("sign")
    i.wait_workers(1)  # that scan is over: it has met both
    assert path.exists()
    jump(i, 86400)
    i.wait_empty()
    assert i.runs() == ["run", "sign", "run"]
