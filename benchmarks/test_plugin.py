"""What the test tools cost: the plugin when unused, a test with the fixture, a drain in the test's process.

Ratios of things measured in turns in the same run, and the processor's time where a whole process is looked at: the
clock on the wall says more about what else the machine does.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.apps import marks
from benchmarks.contestants.servers import Spoolsim
from benchmarks.rooms import DISK, MEMORY, Places, Room
from benchmarks.rows import drain
from spoolsim.testing import SpoolerHarness

#: goals, in seconds of the processor
IMPORT, TEST = 0.015, 0.005
#: goal: speed of a drain in the engine, of that of a worker process
DRAIN = 0.8
#: the processor's time of a run with the plugin, of a bare one, at most: 15 ms are less, but whole runs of pytest
#: differ by more where the machine is busy
RATIO = 1.2
TASKS = 10_000
TESTS = 100


def handler(env: dict[Any, Any]) -> int:
    return -2


_IMPORT_ALONE = """
import time, pytest
begin = time.process_time()
import spoolsim.testing.plugin
print(time.process_time() - begin)
"""


_WITH_THE_FIXTURE = f"""
import pytest

def handler(env):
    return -2

@pytest.mark.spoolsim(app=handler)
@pytest.mark.parametrize("number", range({TESTS}))
def test_it(spooler, number):
    spooler.spool({{"n": "1"}})
    assert len(spooler.drain()) == 1
"""
_WITHOUT = f"""
import pytest

@pytest.mark.parametrize("number", range({TESTS}))
def test_it(tmp_path, number):
    pass
"""


@pytest.fixture
def short(request: pytest.FixtureRequest) -> bool:
    """A smoke run: it shows that all works, and judges no duration."""
    return bool(request.config.getoption("benchmark_disable"))


def _processor_time(cwd: Path, *words: str) -> float:
    """Seconds of the processor that a run of pytest on the test module there takes."""
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio", "-p", "no:django"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*argv, *words, "test_it.py"], cwd=cwd, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.timeout(300)
def test_the_unused_plugin(tmp_path: Path, short: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """The plugin, installed and unused, adds less than 15 ms to `pytest --collect-only`; a ratio to a bare run, too."""
    (tmp_path / "test_it.py").write_text("def test_it(): pass\n")
    rounds = 1 if short else 9
    ours: list[float] = []
    bare: list[float] = []
    _processor_time(tmp_path, "--collect-only")
    for _ in range(rounds):
        ours.append(_processor_time(tmp_path, "--collect-only"))
        bare.append(_processor_time(tmp_path, "--collect-only", "-p", "no:spoolsim"))
    alone = min(
        float(subprocess.run([sys.executable, "-c", _IMPORT_ALONE], capture_output=True, text=True, check=True).stdout)
        for _ in range(rounds)
    )
    ratio = statistics.median(mine / without for mine, without in zip(ours, bare, strict=True))
    with capsys.disabled():
        print(f"\nunused plugin: import {alone * 1000:.1f} ms; --collect-only {ratio:.3f} of a bare run")
    if not short:
        assert alone < IMPORT
        assert ratio < RATIO


@pytest.mark.timeout(300)
def test_one_test_with_one_task(tmp_path: Path, short: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """A test that has the fixture `spooler` and runs one task costs 5 ms more, at most, than one with a directory."""
    seconds: dict[str, list[float]] = {"with": [], "without": []}
    for name, text in ("with", _WITH_THE_FIXTURE), ("without", _WITHOUT):
        (tmp_path / name).mkdir()
        (tmp_path / name / "test_it.py").write_text(text)
    for _ in range(1 if short else 4):
        for name, taken in seconds.items():
            taken.append(_processor_time(tmp_path / name, f"--basetemp={tmp_path / 'base'}"))
    each = (min(seconds["with"]) - min(seconds["without"])) / TESTS
    with capsys.disabled():
        print(f"\na test with the fixture and one task: {each * 1000:.2f} ms")
    if not short:
        assert each < TEST


def test_one_harness_with_one_task(tmp_path: Path, benchmark: Any) -> None:
    """A harness opened, one task spooled and drained, the harness closed."""
    number = iter(range(10**9))

    def one() -> None:
        with SpoolerHarness(handler, directory=tmp_path / str(next(number))) as harness:
            harness.spool({"n": "1"})
            assert len(harness.drain()) == 1

    one()
    benchmark(one)
    if benchmark.stats:
        assert benchmark.stats.stats.min < TEST


def _engine(room: Room, tasks: int) -> float:
    """Tasks a second, from the first call of the handler to the last, in this process."""
    calls = [0, 0, 0]

    def noop(env: dict[Any, Any]) -> int:
        at = marks.now()
        if not calls[marks.COUNT - 1]:
            calls[marks.FIRST - 1] = at
        calls[marks.LAST - 1] = at
        calls[marks.COUNT - 1] += 1
        return -2

    with SpoolerHarness(noop, {"spooler_quiet": True}, directory=room.spool, timeout=120) as harness:
        for n in range(tasks):
            harness.spool({"task": "noop", "n": str(n)})
        assert len(harness.drain()) == tasks
    first, last, _ = calls
    return (tasks - 1) / (last - first) * 1e9


def _worker(room: Room, tasks: int) -> float:
    """The same of one worker of `spoolsim run`, quiet, with its journal."""
    first, last = drain.run(Spoolsim(), room, tasks)
    return (tasks - 1) / (last - first) * 1e9


@pytest.mark.timeout(300)
@pytest.mark.parametrize("place", [MEMORY, DISK])
def test_draining_in_process(short: bool, capsys: pytest.CaptureFixture[str], place: str) -> None:
    """10,000 tasks drain in the engine at 0.8 of the speed of a single worker's process, at least."""
    rounds, tasks = (1, 500) if short else (7, TASKS)
    engine, worker = [], []
    places = Places()
    try:
        for _ in range(rounds):
            with places.room(place) as room:
                worker.append(_worker(room, tasks))
            with places.room(place) as room:
                engine.append(_engine(room, tasks))
    finally:
        places.close()
    ratio = statistics.median(ours / theirs for ours, theirs in zip(engine, worker, strict=True))
    with capsys.disabled():
        speeds = f"{statistics.median(engine):,.0f} tasks/s, a worker: {statistics.median(worker):,.0f} tasks/s"
        print(f"\nengine, {place}: {speeds}: {ratio:.2f} [{min(engine) / max(worker):.2f}]")
    if not short:
        assert ratio >= DRAIN
