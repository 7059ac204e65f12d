"""The in-process engine and real processes: the same tasks come to the same end."""

from __future__ import annotations

import collections
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from freezegun import freeze_time
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from spoolsim.testing import LiveSpooler, SpoolerHarness, TaskTimeout
from spoolsim.testing.record import Record
from tests.property import examples

#: an app whose handler does, at the n-th run of a task, what the n-th letter of the task's plan says (the last: again)
APP = """
import os
import uwsgi

def handler(env):
    path = os.path.join({out!r}, env[b"id"].decode())
    with open(path, "a") as file:
        file.write("x")
    plan = env[b"plan"].decode()
    step = plan[min(os.path.getsize(path), len(plan)) - 1]
    if step == "e":
        raise ValueError("ordered")
    if step == "s":
        uwsgi.spool({{b"id": env[b"id"] + b"-child", b"plan": b"o"}})
    return {{"o": -2, "s": -2, "r": -1, "n": None, "i": 0}}[step]

def ticked(number):
    uwsgi.spool({{b"id": b"tick", b"plan": b"o"}})

uwsgi.spooler = handler
if {ticks}:
    uwsgi.register_signal(1, "spooler", ticked)
    uwsgi.add_rb_timer(1, 1, {ticks})
"""

#: what may happen before the last step, and the last step: done, done after spooling another, kept forever
plans = st.builds(
    lambda before, last: before + last, st.text(alphabet="ren", max_size=2), st.sampled_from(["o", "o", "s", "i", "r"])
)
tasks = st.fixed_dictionaries(
    {
        "at": st.sampled_from([None, None, -5, 0, 1, 2]),
        "priority": st.sampled_from([None, None, "0", "7", "x"]),
        "plan": plans,
    }
)
#: seconds of real time in which everything must have come to its end
ENOUGH = 20
END = {"o", "s"}


def _put(spooler: Record, jobs: list[dict[str, Any]]) -> None:
    now = int(time.time())
    for number, job in enumerate(jobs):
        variables = {"id": f"task-{number}", "plan": job["plan"]}
        if job["at"] is not None:
            variables["at"] = str(now + job["at"])
        if job["priority"] is not None:
            variables["priority"] = job["priority"]
        spooler.spool(variables)


def _state(spooler: Record, out: Path) -> dict[str, tuple[int | str, int]]:
    """For each task: how often it ran ("ever" for one that never ends), and how many of its files are left."""
    runs: dict[str, int | str] = {path.name: path.stat().st_size for path in out.iterdir()}
    left: collections.Counter[str] = collections.Counter()
    for task in spooler.tasks():
        if b"id" not in task.variables:
            continue  # it is being written just now
        name = task.variables[b"id"].decode()
        left[name] += 1
        plan = task.variables[b"plan"].decode()
        if plan[-1] not in END and isinstance(count := runs.get(name, 0), int) and count >= len(plan):
            runs[name] = "ever"
    return {name: (runs.get(name, 0), left[name]) for name in {*runs, *left}}


def _in_process(home: Path, jobs: list[dict[str, Any]], options: dict[str, Any], ticks: int) -> dict[str, Any]:
    out = home / "engine-out"
    out.mkdir()
    app = home / "engine_app.py"
    app.write_text(APP.format(out=str(out), ticks=ticks))
    with (
        freeze_time("2024-05-01T10:20:30"),
        SpoolerHarness(str(app), options, directory=home / "engine", errors="collect") as harness,
    ):
        _put(harness, jobs)
        harness.advance(20)
        return _state(harness, out)


def _in_real_processes(
    home: Path, jobs: list[dict[str, Any]], options: dict[str, Any], ticks: int, wanted: dict[str, Any]
) -> dict[str, Any]:
    out = home / "live-out"
    out.mkdir()
    app = home / "live_app.py"
    app.write_text(APP.format(out=str(out), ticks=ticks))
    with LiveSpooler(str(app), options, directory=home / "live") as live:
        _put(live, jobs)
        try:
            live.wait(lambda: _state(live, out) == wanted, ENOUGH)
        except TaskTimeout:
            print(f"not yet the same after {ENOUGH} s: {jobs}\n{live.report()}")  # the assertion shows the difference
        assert live.stop() == 0
        return _state(live, out)


@settings(
    max_examples=examples(12),
    phases=[Phase.explicit, Phase.generate],  # a failure waits for its time limit: no shrinking
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(
    jobs=st.lists(tasks, min_size=3, max_size=8),
    ordered=st.booleans(),
    ticks=st.integers(0, 2),
    processes=st.integers(1, 3),
)
def test_engine_and_processes_come_to_the_same_end(
    jobs: list[dict[str, Any]], ordered: bool, ticks: int, processes: int
) -> None:
    """For random tasks (at, priority, outcomes, retries) and timers both leave the same files after as many runs."""
    home = Path(tempfile.mkdtemp())
    options = {"spooler_ordered": ordered, "spooler_frequency": 1, "spooler_processes": processes}
    try:
        wanted = _in_process(home, jobs, options, ticks)
        # a priority that is no number leads to where no spooler ever looks, and neither does the list of tasks
        assert len(wanted) >= sum(job["priority"] != "x" for job in jobs)
        assert _in_real_processes(home, jobs, options, ticks, wanted) == wanted
    finally:
        shutil.rmtree(home)
