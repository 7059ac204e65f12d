"""Fixtures shared by all tests: waiting for a condition, processes that surely end, the real uWSGI."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Protocol, TypeVar

import hypothesis
import pytest

from tests import groups, needs
from tests.oracle import sessions
from tests.oracle.launchers import NoOracle, find_uwsgi

T = TypeVar("T")

_never = threading.Event()
CLOCK = pytest.StashKey[groups.Clock]()

sessions.hear_ctrl_c()

# what users have: with it set, a reload that runs stale bytecode would not be noticed
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# how long an example takes says how busy the machine is, and nothing of the code
hypothesis.settings.register_profile("tests", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("tests")


#: Seconds. No wait gives up before, whatever it asks for: a busy machine is slow, and that is no failure. Where
#: nothing is wrong no wait takes this long, so it costs nothing.
DEADLINE = 90.0
#: in the names of tests: configuration cases that include files of other forms
INCLUDING = {"include_any.ini": ["xml", "yaml"], "include_yaml_xml.ini": ["xml", "yaml"]}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Our options; `python -m tests` passes them on."""
    parser.addoption("--live", action="store_true", help="run each scenario under the real uWSGI, recorded or not")


def pytest_configure(config: pytest.Config) -> None:
    """Keep the time, in the process that gathers the reports of all workers."""
    if not hasattr(config, "workerinput"):
        config.stash[CLOCK] = groups.Clock(config)
        config.pluginmanager.register(config.stash[CLOCK])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Files and tests go to the workers as tests/groups.py says."""
    return groups.scheduling(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse names that differ from one worker to the next, and needs that nobody knows; long tests first."""
    if hasattr(config, "workerinput"):
        items[:] = groups.in_order(items, groups.load())
    for item in items:
        if " at 0x" in item.nodeid:
            raise pytest.UsageError(f"{item.nodeid}: the name of a test must not hold an address: give it an id")
        if name := needs.unknown_name(item):
            raise pytest.UsageError(
                f"{item.nodeid}: tests/needs.py knows no {name!r}; it knows {', '.join(needs.NEEDS)}"
            )


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test that is marked with a need which is missing here."""
    for mark in item.iter_markers("needs"):
        needs.need(*mark.args)
    if "uwsgi_binary" in getattr(item, "fixturenames", ()):
        needs.need(*(f"uwsgi-{kind}" for kind in ("xml", "yaml", "json") if f".{kind}" in item.name))
        needs.need(*(f"uwsgi-{kind}" for name, kinds in INCLUDING.items() if name in item.name for kind in kinds))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The groups that were run with their times, and one line for each reason why something was left out."""
    clock = config.stash.get(CLOCK, None)
    if clock is not None and clock.tests:
        terminalreporter.section("groups (seconds summed over tests)")
        for line in groups.rows(clock.times()).values():
            terminalreporter.write_line(line)
    stats = terminalreporter.stats
    for section, noted in needs.notes(report for reports in stats.values() for report in reports).items():
        terminalreporter.section(section)
        for line in dict.fromkeys(sorted(noted)):
            terminalreporter.write_line(line)
    out = needs.reasons(stats.get("skipped", []), stats.get("passed", []))
    terminalreporter.section("left out")
    for line in out or ["nothing"]:
        terminalreporter.write_line(line)


def poll_until(condition: Callable[[], T], timeout: float = DEADLINE, what: str = "the condition") -> T:
    """Poll until `condition()` gives a true value and return it; fail the test after `timeout` seconds, but not
    before DEADLINE.
    """
    timeout = max(timeout, DEADLINE)
    end = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > end:
            pytest.fail(f"waited {timeout} s in vain for {what}")
        _never.wait(0.02)
    return value


class WaitFor(Protocol):
    """The type of the `wait_for` fixture."""

    def __call__(self, condition: Callable[[], T], timeout: float = DEADLINE, what: str = "the condition") -> T: ...


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

    def wait_output(self, text: str, n: int = 1, timeout: float = DEADLINE) -> None:
        """Wait until `text` was printed `n` times; fail the test, with the output, when it never was."""
        try:
            poll_until(lambda: self.output().count(text) >= n, timeout, f"{text!r} ({n} times)")
        except pytest.fail.Exception as e:
            pytest.fail(f"{e}; the output was:\n{self.output()}")

    def alive(self) -> bool:
        """Whether the process itself (not its descendants) lives."""
        return self.process.poll() is None

    def wait_exit(self, timeout: float = DEADLINE) -> int:
        """Wait for the end of the process and return its status (negative: the signal); fail the test without it."""
        timeout = max(timeout, DEADLINE)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            pytest.fail(f"{self.argv} still runs after {timeout} s; the output was:\n{self.output()}")

    def stop(self, sig: int = signal.SIGINT, timeout: float = DEADLINE) -> int:
        """Send `sig`, wait for the end, fail the test if the process or a descendant lives on; return the status."""
        if self.alive():
            self.process.send_signal(sig)
        status = self.wait_exit(timeout)
        self.assert_nothing_left()
        return status

    def members(self) -> list[int]:
        """The pids of all living processes of the session, the started one included."""
        return sessions.members(self.pid, self._mark)

    def assert_nothing_left(self, timeout: float = DEADLINE) -> None:
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
