"""Fixtures of the benchmarks. `--large` adds the sizes of 100,000 and 1,000,000 names.

Seconds of two runs cannot be compared: the machine differs, or was busy. So each result also carries its ratio to a
fixed piece of Python, timed right before and after it; `python -m benchmarks.compare OLD.json NEW.json` compares these.
"""

from __future__ import annotations

import os
import sys
import tempfile
import timeit
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import machine
from benchmarks.rooms import MEMORY, Places, Room, file_system
from spoolsim.log import Log
from spoolsim.options import Options
from spoolsim.spool.directory import SpoolDir
from spoolsim.work.app import App
from spoolsim.work.installed import install
from spoolsim.work.worker import Worker


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--large", action="store_true", help="benchmarks: also 100,000 and 1,000,000 names")


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    """The saved JSON says how the interpreter was built."""
    machine_info["spoolsim"] = machine.about()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A benchmark that takes `size` is run for 10,000 names; with --large for more. A smoke run takes 1,000."""
    if "size" in metafunc.fixturenames:
        sizes = [10_000]
        if metafunc.config.getoption("--large"):
            sizes += [100_000, 1_000_000]
        elif metafunc.config.getoption("benchmark_disable", False):
            sizes = [1_000]
        metafunc.parametrize("size", sizes)


def _yardstick() -> float:
    """Seconds of a fixed piece of work: dictionaries, slices, a call to the kernel."""

    def work() -> None:
        found = {}
        data = b"x" * 64
        for number in range(200):
            found[data[number % 32 :]] = number
            os.getppid()

    return min(timeit.repeat(work, number=20, repeat=5)) / 20


@pytest.fixture(autouse=True)
def yardstick(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each benchmark's ratio to the fixed piece of work, as `extra_info["ratio"]` in the saved JSON."""
    benchmark: Any = request.getfixturevalue("benchmark") if "benchmark" in request.fixturenames else None
    if benchmark is None or benchmark.disabled:
        yield
        return
    before = _yardstick()
    yield
    if benchmark.stats is not None:
        benchmark.extra_info["ratio"] = benchmark.stats.stats.median / min(before, _yardstick())


@pytest.fixture
def places() -> Iterator[Places]:
    """File systems to measure on; where there is none in memory, the temporary directory stands in."""
    with tempfile.TemporaryDirectory() as spare:
        memory = None if os.path.isdir("/dev/shm") and file_system("/dev/shm") == "tmpfs" else spare
        found = Places(memory)
        try:
            yield found
        finally:
            found.close()


@pytest.fixture
def room(places: Places) -> Iterator[Room]:
    """A fresh room in memory."""
    with places.room(MEMORY) as found:
        yield found


@pytest.fixture
def make_worker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Worker]:
    """`make_worker(path, handler, **options)`: the worker of a process tree, in this process, quiet."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))

    def make(path: str, handler: Callable[[Any], Any], **changes: Any) -> Worker:
        options = Options()
        options.quiet = True
        for name, value in changes.items():
            setattr(options, name, value)
        spool = SpoolDir.resolve(path, start=str(tmp_path))
        app = install(App(options, [(spool, 0)], Log()))
        app.prepare()
        module = app.module()
        monkeypatch.setattr(module, "_spoolsim", app)
        monkeypatch.setattr(module, "spooler", handler, raising=False)
        return Worker(app, spool, in_process=True)

    return make
