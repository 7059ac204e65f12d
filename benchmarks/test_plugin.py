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

#: goals, in seconds
IMPORT, TEST = 0.015, 0.005
#: goal: speed of a drain in the engine, of that of a worker
DRAIN = 0.8
TASKS = 10_000


def handler(env: dict[Any, Any]) -> int:
    return -2


_IMPORT_ALONE = """
import time, pytest
begin = time.process_time()
import spoolsim.testing.plugin
print(time.process_time() - begin)
"""


def _processor_time(argv: list[str], cwd: Path) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(argv, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.timeout(300)
def test_the_unused_plugin(tmp_path: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> None:
    """The plugin, installed and unused, costs less than 15 ms of processor time; shown as a ratio to a bare run too."""
    (tmp_path / "test_it.py").write_text("def test_it(): pass\n")
    others = ["-p", "no:cacheprovider", "-p", "no:asyncio", "-p", "no:django"]
    bare = [sys.executable, "-m", "pytest", "--collect-only", "-q", *others, "test_it.py"]
    rounds = 2 if request.config.getoption("benchmark_disable") else 15
    ours: list[float] = []
    without: list[float] = []
    _processor_time(bare, tmp_path)
    for _ in range(rounds):
        ours.append(_processor_time(bare, tmp_path))
        without.append(_processor_time([*bare, "-p", "no:spoolsim"], tmp_path))
    alone = min(
        float(subprocess.run([sys.executable, "-c", _IMPORT_ALONE], capture_output=True, text=True, check=True).stdout)
        for _ in range(rounds)
    )
    with capsys.disabled():
        ratio = statistics.median(ours) / statistics.median(without)
        print(f"\nunused plugin: import {alone * 1000:.1f} ms; --collect-only {ratio:.3f} of a run without it")
    assert alone < IMPORT


def test_one_test_with_one_task(tmp_path: Path, benchmark: Any) -> None:
    """A harness opened, one task spooled and drained, the harness closed: less than 5 ms."""
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
def test_draining_in_process(
    tmp_path: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    """10,000 tasks drain in the engine at 0.8 of a worker's speed at least, the same cycle in the same process."""
    short = request.config.getoption("benchmark_disable")
    rounds, tasks = (2, 500) if short else (5, TASKS)
    engine, worker = [], []
    for number in range(rounds):
        worker.append(_worker(tmp_path / f"worker-{number}", tasks))
        engine.append(_engine(tmp_path / f"engine-{number}", tasks))
    ratio = min(worker) / min(engine)
    with capsys.disabled():
        print(f"\nengine: {tasks / min(engine):,.0f} tasks/s, worker: {tasks / min(worker):,.0f} tasks/s: {ratio:.2f}")
    assert ratio >= (DRAIN / 2 if short else DRAIN)
