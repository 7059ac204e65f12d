"""What the test tools cost: the plugin when unused, a test with the fixture, a drain in the test's process.

Ratios of things measured in turns in the same run, and the processor's time where a whole process is looked at: the
clock on the wall says more about what else the machine does.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from spoolsim.log import Log
from spoolsim.options import Options
from spoolsim.spool.directory import SpoolDir
from spoolsim.testing import SpoolerHarness, stage
from spoolsim.work.app import App
from spoolsim.work.worker import Worker

#: goals, in seconds of the processor
IMPORT, TEST = 0.015, 0.005
#: goal: speed of a drain in the engine, of that of a worker
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


def _engine(directory: Path, tasks: int) -> float:
    with SpoolerHarness(handler, {"spooler_quiet": True}, directory=directory, timeout=120) as harness:
        for n in range(tasks):
            harness.spool({"n": str(n)})
        begin = time.process_time()
        assert len(harness.drain()) == tasks
        return time.process_time() - begin


def _worker(directory: Path, tasks: int) -> float:
    spool = SpoolDir.resolve(str(directory), start="/")
    app = App(Options(quiet=True, opt={"spooler": spool.bpath}), [(spool, 0)], Log())
    stage.enter(app)
    try:
        app.module().__dict__["spooler"] = handler
        for n in range(tasks):
            app.producer.spool({b"n": str(n).encode()})
        worker = Worker(app, spool, in_process=True)
        begin = time.process_time()
        assert worker.cycle() == tasks
        return time.process_time() - begin
    finally:
        stage.leave(app)


@pytest.mark.timeout(300)
def test_draining_in_process(tmp_path: Path, short: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """10,000 tasks drain in the engine at 0.8 of a worker's speed at least, the same cycle in the same process."""
    rounds, tasks = (1, 500) if short else (5, TASKS)
    engine, worker = [], []
    for number in range(rounds):
        worker.append(_worker(tmp_path / f"worker-{number}", tasks))
        engine.append(_engine(tmp_path / f"engine-{number}", tasks))
    ratio = min(worker) / min(engine)
    with capsys.disabled():
        print(f"\nengine: {tasks / min(engine):,.0f} tasks/s, worker: {tasks / min(worker):,.0f} tasks/s: {ratio:.2f}")
    if not short:
        assert ratio >= DRAIN
