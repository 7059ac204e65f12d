"""Another process that locks a file, or tries to."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

_HOLDER = """
import fcntl, os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
fcntl.lockf(fd, getattr(fcntl, sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
print("locked", flush=True)
sys.stdin.read()
"""


@contextmanager
def held_by_another(path: str, kind: str = "LOCK_EX", length: int = 0, start: int = 0) -> Iterator[None]:
    """Another process holds a record lock on the file, as uWSGI does."""
    command = [sys.executable, "-S", "-c", _HOLDER, path, kind, str(length), str(start)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        stdin, stdout = _ends(process)
        assert stdout.readline() == b"locked\n"
        yield
        stdin.close()
        process.wait(300)


def _ends(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    assert process.stdin and process.stdout
    return process.stdin, process.stdout


def another_could_lock(path: str) -> bool:
    """Would another process get the exclusive record lock, as uWSGI takes it?"""
    program = """
import fcntl, os, sys
try:
    fcntl.lockf(os.open(sys.argv[1], os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    sys.exit(7)
"""
    done = subprocess.run([sys.executable, "-S", "-c", program, path], check=False, timeout=300)
    assert done.returncode in (0, 7)
    return done.returncode == 0
