"""Where POSIX is missing: spoolsim imports, the in-process engine works, and `run` says what it needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

#: hides what Windows lacks, before anything of ours is imported
HIDE = """
import os, sys, signal

class NoPosix:
    def find_spec(self, name, path=None, target=None):
        if name in ("fcntl", "grp", "pwd", "resource", "termios", "tty", "pty", "syslog", "_posixsubprocess"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, NoPosix())
for name in ("fcntl", "grp", "pwd", "resource", "termios", "tty", "pty", "syslog", "_posixsubprocess"):
    sys.modules.pop(name, None)
for name in ("fork", "forkpty", "register_at_fork", "nice", "getpgid", "killpg", "setsid", "mkfifo"):
    if hasattr(os, name):
        delattr(os, name)
kept = ("SIGINT", "SIGTERM", "SIGABRT", "SIGFPE", "SIGILL", "SIGSEGV", "SIG_DFL", "SIG_IGN")
for name in dir(signal):
    if (name.startswith("SIG") and name not in kept) or name in ("pthread_kill", "setitimer", "alarm"):
        delattr(signal, name)
"""

ENGINE = """
import spoolsim, spoolsim.testing
from spoolsim.testing import SpoolerHarness, RetriedForever

seen = []
def handler(env):
    seen.append(env[b"n"])
    return -2

with SpoolerHarness(handler, {"spooler_ordered": True}) as harness:
    import uwsgi
    for n in ("1", "2"):
        uwsgi.spool({b"n": n.encode(), b"priority": n.encode()})
    uwsgi.spool({b"n": b"big", b"body": b"x" * 100_000})
    harness.fail_next(ValueError("x"))
    harness.kill_next()
    harness.kill_next(1)
    ran = harness.drain()
    with harness.eager():
        uwsgi.spool({b"n": b"eager"})
    harness.spool({"n": "twice"})
    harness.run_twice()
print([one.state for one in ran], seen)

from spoolsim.spool import lock
import os, tempfile
path = tempfile.mktemp()
one, two = os.open(path, os.O_RDWR | os.O_CREAT), os.open(path, os.O_RDWR)
assert lock.try_lock(one) and not lock.try_lock(two)
lock.unlock(one)
assert lock.try_lock(two) and not lock.try_lock(one)
os.close(two)
assert lock.try_lock(one)
os.close(one)
os.unlink(path)

import spoolsim.config.section, spoolsim.options, spoolsim.config.readers
print("fcntl" in sys.modules)
"""


def _run(code: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    script = tmp_path / "script.py"
    script.write_text(HIDE + code)
    return subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )


def test_the_engine_works_without_posix(tmp_path: Path) -> None:
    """Without fcntl, fork and POSIX signals the engine runs, retries, kills and redelivers; locks exclude."""
    done = _run(ENGINE, tmp_path)
    assert done.stderr == ""
    states, last = done.stdout.splitlines()
    assert states == (
        "['retry', 'killed', 'killed', 'done', 'done', 'done'] [b'2', b'1', b'2', b'big', b'eager', b'twice', b'twice']"
    )
    assert last == "False"


@pytest.mark.parametrize("options", [(), ("--inline",)], ids=["processes", "inline"])
def test_run_says_what_it_needs(tmp_path: Path, options: tuple[str, ...]) -> None:
    """`spoolsim run` where POSIX is missing ends with status 2 and one line that names what is missing."""
    arguments = ["run", "--spooler", "spool", *options]
    code = f"sys.argv[1:] = {arguments!r}\nfrom spoolsim.__main__ import main\nmain()\n"
    done = _run(code, tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "POSIX" in done.stderr
    assert "spoolsim.testing" in done.stderr
