"""Fixtures shared by all tests: waiting for a condition, processes that surely end, the real uWSGI."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Protocol, TypeVar

import hypothesis
import pytest

from tests.oracle import sessions
from tests.oracle.launchers import NoOracle, find_uwsgi

T = TypeVar("T")

_never = threading.Event()

# how long an example takes says how busy the machine is, and nothing of the code
hypothesis.settings.register_profile("tests", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("tests")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give a failed test one second try, as most here drive real processes; the summary names each that needed it.

    Not the drawn properties, which know no process; not the scenarios, whose pool has a second look of its own; and
    not what is marked `once`: where a task is lost, doubled or wrongly killed, once is once too often.
    """
    for item in items if config.pluginmanager.hasplugin("rerunfailures") else ():
        one_try = item.path.parent.name == "property" or item.path.name == "test_conformance.py"
        if not one_try and item.get_closest_marker("once") is None:
            item.add_marker(pytest.mark.flaky(reruns=1))


def poll_until(condition: Callable[[], T], timeout: float = 30, what: str = "the condition") -> T:
    """Poll until `condition()` gives a true value and return it; fail the test after `timeout` seconds."""
    end = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > end:
            pytest.fail(f"waited {timeout} s in vain for {what}")
        _never.wait(0.02)
    return value


class WaitFor(Protocol):
    """The type of the `wait_for` fixture."""

    def __call__(self, condition: Callable[[], T], timeout: float = 30, what: str = "the condition") -> T: ...


@pytest.fixture
def wait_for() -> WaitFor:
    """`wait_for(condition, timeout, what)`: polls with a deadline; gives the condition's value or fails the test."""
    return poll_until


class Spawned:
    """A process started by a test in a session of its own, its output in a file."""

    def __init__(
        self,
        argv: Sequence[str],
        output: Path,
        *,
        cwd: str | Path | None,
        env: Mapping[str, str] | None,
        stdin: int | IO[bytes],
        orphans_ok: bool,
    ) -> None:
        self.argv = list(argv)
        self._output, self._mark, self._orphans_ok = output, sessions.new_mark(), orphans_ok
        environ = {**(os.environ if env is None else env), sessions.MARK: self._mark}
        with output.open("wb") as log:
            self.process = subprocess.Popen(
                self.argv, cwd=cwd, env=environ, stdin=stdin, stdout=log, stderr=log, start_new_session=True
            )
        self.pid = self.process.pid

    def output(self) -> str:
        """All that it and its descendants printed so far, on both streams."""
        return self._output.read_text(errors="replace")

    def wait_output(self, text: str, n: int = 1, timeout: float = 30) -> None:
        """Wait until `text` was printed `n` times; fail the test, with the output, when it never was."""
        try:
            poll_until(lambda: self.output().count(text) >= n, timeout, f"{text!r} ({n} times)")
        except pytest.fail.Exception as e:
            pytest.fail(f"{e}; the output was:\n{self.output()}")

    def alive(self) -> bool:
        """Whether the process itself (not its descendants) lives."""
        return self.process.poll() is None

    def wait_exit(self, timeout: float = 30) -> int:
        """Wait for the end of the process and return its status (negative: the signal); fail the test without it."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            pytest.fail(f"{self.argv} still runs after {timeout} s; the output was:\n{self.output()}")

    def stop(self, sig: int = signal.SIGINT, timeout: float = 30) -> int:
        """Send `sig`, wait for the end, fail the test if the process or a descendant lives on; return the status."""
        if self.alive():
            self.process.send_signal(sig)
        status = self.wait_exit(timeout)
        self.assert_nothing_left()
        return status

    def members(self) -> list[int]:
        """The pids of all living processes of the session, the started one included."""
        return sessions.members(self.pid, self._mark)

    def assert_nothing_left(self, timeout: float = 10) -> None:
        """Fail the test if a process of the session is alive after `timeout` seconds."""
        left = sessions.wait_empty(self.pid, self._mark, timeout)
        if left:
            names = [sessions.describe(pid) for pid in left]
            pytest.fail(f"left alive after the end of {self.argv}: {names}; the output was:\n{self.output()}")

    def finish(self) -> None:
        """End everything, for certain; fail the test if the process had ended and left another one alive."""
        try:
            if not self.alive() and not self._orphans_ok:
                self.assert_nothing_left()
        finally:
            sessions.kill_all(self.pid, self._mark)
            self.process.wait()


class Spawn(Protocol):
    """The type of the `spawn` fixture."""

    def __call__(
        self,
        argv: Sequence[str],
        *,
        cwd: str | Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: int | IO[bytes] = subprocess.DEVNULL,
        orphans_ok: bool = False,
    ) -> Spawned: ...


@pytest.fixture
def spawn(tmp_path: Path) -> Iterator[Spawn]:
    """`spawn(argv, cwd=, env=, stdin=)`: a process in its own session; killed with all of it when the test ends.

    The test fails when the process ended, or was stopped, and left another one behind; `orphans_ok=True` is for tests
    that kill it on purpose and look at what remains themselves.
    """
    started: list[Spawned] = []

    def start(
        argv: Sequence[str],
        *,
        cwd: str | Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: int | IO[bytes] = subprocess.DEVNULL,
        orphans_ok: bool = False,
    ) -> Spawned:
        s = Spawned(argv, tmp_path / f"spawn-{len(started)}.log", cwd=cwd, env=env, stdin=stdin, orphans_ok=orphans_ok)
        started.append(s)
        return s

    with sessions.signals_not_ignored():
        yield start
    failures = []
    for s in started:
        try:
            s.finish()
        except pytest.fail.Exception as e:
            failures.append(str(e))
    if failures:
        pytest.fail("\n".join(failures))


@pytest.fixture(scope="session")
def uwsgi_binary() -> str:
    """The path of the real uWSGI. Its absence is a failure, not a skip: without it nothing is proven."""
    try:
        return find_uwsgi()
    except NoOracle as e:
        pytest.fail(str(e), pytrace=False)
