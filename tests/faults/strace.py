"""One run of a Python program under strace, with a fault at a chosen system call.

Only the calls between two marks count: the program calls os.getppid() before and after what is to be disturbed.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

ROOT = str(Path(__file__).resolve().parents[2])
MARK = "getppid"
_MEMORY = frozenset(("brk", "mmap", "munmap", "mremap", "madvise"))
_CALL = re.compile(r"(\w+)\(")


def available() -> str:
    """The path of strace, if it is there and may trace; else the test is skipped, with the reason."""
    found = shutil.which("strace")
    if not found:
        pytest.skip("strace is missing: `python -m tests` installs it where it can")
    probe = subprocess.run([found, "-qq", "-o", os.devnull, "true"], capture_output=True, text=True, check=False)
    if probe.returncode:
        pytest.skip(f"strace cannot trace here: {probe.stderr.strip().splitlines()[-1:]}")
    return found


class Run:
    """What a run did. status: its exit status. calls: the names of the system calls between the marks, in order,
    the second mark included, but those for memory, which come or not. ordinals: of each, which one of its name it
    was in the whole run, from 1.
    """

    def __init__(self, status: int, log: str) -> None:
        self.status = status
        self.calls: list[str] = []
        self.ordinals: list[int] = []
        seen: Counter[str] = Counter()
        marks = 0
        for line in log.splitlines():
            call = _CALL.match(line)
            if not call:
                continue
            name = call[1]
            seen[name] += 1
            if marks == 1 and name not in _MEMORY:
                self.calls.append(name)
                self.ordinals.append(seen[name])
            marks += name == MARK


def trace(strace: str, program: str, arguments: list[str], log: Path, fault: str = "") -> Run:
    """Run a program text; `fault` is what strace's `-e inject=` takes."""
    inject = ["-e", f"inject={fault}"] if fault else []
    python = [sys.executable, "-S", "-c", f"import sys; sys.path.insert(0, {ROOT!r})\n{program}"]
    environ = {"PATH": os.defpath, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [strace, "-qq", "-s", "0", "-o", str(log), *inject, *python, *arguments],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    status = -signal.SIGKILL if done.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL) else done.returncode
    assert "Traceback" not in done.stderr, done.stderr
    return Run(status, log.read_text())


def disturbed(strace: str, program: str, arguments: list[str], log: Path, dry: Run, at: int, fault: str) -> Run:
    """A run with a fault at the `at`-th call between the marks; sure that it struck there.

    fault: `signal=KILL`, or `error=EIO` and the like.
    """
    for _ in range(5):  # the interpreter's own start may take a call more or less
        run = trace(strace, program, arguments, log, f"{dry.calls[at]}:{fault}:when={dry.ordinals[at]}")
        if run.calls[: at + 1] == dry.calls[: at + 1] and run.ordinals[at] == dry.ordinals[at]:
            return run
    pytest.fail(f"the fault {fault} never struck at {dry.calls[at]}, call {at}: {run.calls} {run.ordinals}")
