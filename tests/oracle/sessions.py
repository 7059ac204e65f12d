"""Which processes belong to something a test started, and how all of them are ended.

A started program gets a session of its own and a mark in its environment, which every descendant inherits: a
process that leaves the session, or outlives its parent, is still found by the mark (on Linux; elsewhere by the
session alone).
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

#: The environment variable that carries the mark.
MARK = "SPOOLSIM_TEST_MARK"

_never = threading.Event()


def new_mark() -> str:
    """Return a mark that no other started program has."""
    return uuid.uuid4().hex


def members(sid: int, mark: str) -> list[int]:
    """Return the pids of the living processes of session `sid` or with `mark`; zombies do not count."""
    if os.path.isdir("/proc/self"):
        return [pid for pid in _all_pids() if _belongs(pid, sid, mark)]
    return _members_by_ps(sid)


def _all_pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _belongs(pid: int, sid: int, mark: str) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as f:
            fields = f.read().rsplit(b")", 1)[1].split()
        if fields[0] in (b"Z", b"X"):
            return False
        if int(fields[3]) == sid:
            return True
        with open(f"/proc/{pid}/environ", "rb") as f:
            return f"{MARK}={mark}".encode() in f.read().split(b"\0")
    except (OSError, IndexError):
        return False  # it ended while we looked, or it is another user's


def _members_by_ps(sid: int) -> list[int]:
    out = subprocess.run(["ps", "-A", "-o", "pid=,sess=,stat="], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in out.splitlines()]
    return [int(row[0]) for row in rows if row[1] == str(sid) and not row[2].startswith("Z")]


def hear_ctrl_c() -> None:
    """Hear SIGINT and SIGQUIT in this process and all that it starts, also where a shell started it in the background
    and so handed them down ignored. SIGHUP stays as it is: after nohup the tests themselves go on.
    """
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGQUIT, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


@contextmanager
def signals_not_ignored() -> Iterator[None]:
    """Undo, meanwhile, what a shell does to a background job, and nohup to its command: they hand down SIGINT and
    SIGQUIT, or SIGHUP, ignored, and every program started by the tests would inherit that. To be used from the main
    thread.
    """
    before = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)}
    for s, handler in before.items():
        if handler is signal.SIG_IGN:
            signal.signal(s, signal.default_int_handler if s == signal.SIGINT else signal.SIG_DFL)
    try:
        yield
    finally:
        for s, handler in before.items():
            signal.signal(s, handler)


def describe(pid: int) -> str:
    """Return `pid` with its command line, for a message."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f"{pid}: " + f.read().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return str(pid)


def sleeps(pid: int) -> bool:
    """Whether a process waits for something, or has ended: what was printed before it did so is all done with."""
    if not os.path.isdir("/proc/self"):
        out = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
        return out[:1] in ("S", "I", "")
    try:
        with open(f"/proc/{pid}/stat", "rb") as f:
            return f.read().rsplit(b")", 1)[1].split()[0] == b"S"
    except OSError:
        return True


def busy(sid: int, mark: str) -> bool:
    """Whether a thread of the session's processes runs, or waits for a processor or a disk (on Linux; else False)."""
    if not os.path.isdir("/proc/self"):
        return False
    for pid in members(sid, mark):
        try:
            threads = os.listdir(f"/proc/{pid}/task")
        except OSError:
            continue  # it has ended
        for thread in threads:
            try:
                with open(f"/proc/{pid}/task/{thread}/stat", "rb") as f:
                    state = f.read().rsplit(b")", 1)[1].split()[0]
            except OSError:
                continue
            if state in (b"R", b"D"):
                return True
    return False


def wait_empty(sid: int, mark: str, timeout: float) -> list[int]:
    """Wait until the session has no living member, at most `timeout` seconds; return the pids that are left."""
    end = time.monotonic() + timeout
    while left := members(sid, mark):
        if time.monotonic() > end:
            return left
        _never.wait(0.05)
    return []


def kill_all(sid: int, mark: str, timeout: float = 5.0) -> list[int]:
    """SIGKILL every member, again and again until none is left; return the pids that would not die."""
    end = time.monotonic() + timeout
    while left := members(sid, mark):
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                pass
        if time.monotonic() > end:
            return left
        _never.wait(0.02)
    return []
