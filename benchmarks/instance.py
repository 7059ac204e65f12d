"""One started contestant: a process tree that surely ends, its log in a file."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType

from benchmarks.apps import marks
from tests.oracle import sessions


class TooLate(Exception):
    """Something did not happen in time; the message holds the end of the log."""


class Instance:
    """A running contestant. born: when it was spawned, on the clock of the marks."""

    def __init__(self, argv: Sequence[str], home: str, env: Mapping[str, str]) -> None:
        self.argv = list(argv)
        self._log = os.path.join(home, "log")
        self._mark = sessions.new_mark()
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **env, sessions.MARK: self._mark}
        with sessions.signals_not_ignored(), open(self._log, "wb") as log:
            self.born = marks.now()
            self._process = subprocess.Popen(
                self.argv,
                cwd=home,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def __enter__(self) -> Instance:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        sessions.kill_all(self._process.pid, self._mark)
        self._process.wait()

    def members(self) -> list[int]:
        """The pids of the whole tree."""
        return sessions.members(self._process.pid, self._mark)

    def wait(self, condition: Callable[[], object], what: str, timeout: float = 60, step: float = 0.01) -> None:
        """Wait for a condition; the step keeps the benchmark off the processors. Raises TooLate."""
        end = time.monotonic() + timeout
        while not condition():
            if self._process.poll() is not None:
                raise TooLate(f"{self.argv[0]} ended with status {self._process.returncode}: {self.tail()}")
            if time.monotonic() > end:
                raise TooLate(f"waited {timeout:g} s for {what}: {self.tail()}")
            time.sleep(step)

    def tail(self) -> str:
        """The last lines of the log."""
        with open(self._log, encoding="utf-8", errors="replace") as log:
            return " / ".join(log.read().splitlines()[-4:])
