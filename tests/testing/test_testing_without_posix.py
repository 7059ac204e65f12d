"""Where POSIX is missing, as on Windows: what works in one process works, and the rest is refused in one line.

Simulated, all at once and in every Python of a command, by `windows/sitecustomize.py`; real Windows is unproven.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HIDE = Path(__file__).parent / "windows"

ENGINE = """
import sys
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

import spoolsim.section, spoolsim.options, spoolsim.config.readers
print("fcntl" in sys.modules)
"""

APP = """\
import os, sys
import uwsgi
from uwsgidecorators import spool

def handler(env):
    with open(os.environ["RUNS"], "a") as runs:
        runs.write(env[b"n"].decode() + " " + env.get("body", b"").decode()[:3] + "\\n")
    if env[b"n"] == b"fails":
        return -1
    if env[b"n"] == b"locks":
        uwsgi.cache_set("k", b"v", 0, "c")
        assert uwsgi.cache_get("k", "c") == b"v"
    return -2

uwsgi.spooler = handler
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A directory with an app, its configuration, and no spool yet."""
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "uwsgi.ini").write_text(
        "[uwsgi]\nspooler = spool\nimport = app\nmaster = true\ncache2 = name=c,items=10\n"
        "set-placeholder = x=%u%U%g%G%h\n"
    )
    return tmp_path


def python(home: Path, *argv: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    """Run Python as if on Windows; it must end with this status, and without a traceback."""
    environ = {**os.environ, "PYTHONPATH": str(HIDE), "RUNS": str(home / "runs")}
    done = subprocess.run(
        [sys.executable, *argv], cwd=home, env=environ, capture_output=True, text=True, timeout=300, check=False
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == status, done.stdout + done.stderr
    return done


def spoolsim(home: Path, *argv: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a command of ours likewise."""
    return python(home, "-m", "spoolsim", *argv, status=status)


def test_the_engine_works_without_posix(home: Path) -> None:
    """Without fcntl, fork and POSIX signals the engine runs, retries, kills and redelivers; locks exclude."""
    (home / "engine.py").write_text(ENGINE)
    done = python(home, "engine.py")
    assert done.stderr == ""
    states, last = done.stdout.splitlines()
    assert states == (
        "['retry', 'killed', 'killed', 'done', 'done', 'done'] [b'2', b'1', b'2', b'big', b'eager', b'twice', b'twice']"
    )
    assert last == "False"


@pytest.mark.parametrize("command", [("run",), ("dev", "uwsgi.ini", "--", "true")], ids=lambda words: words[0])
def test_what_needs_processes_says_so(home: Path, command: tuple[str, ...]) -> None:
    """`run` without --inline, and `dev`, end with status 2 and one line that names what is missing, and what works."""
    done = spoolsim(home, *command, status=2)
    lines = [line for line in done.stderr.splitlines() if "configuration:" not in line]
    assert len(lines) == 1
    assert "POSIX" in lines[0]
    assert "--inline" in lines[0]
    assert "spoolsim.testing" in lines[0]


def test_enqueue_and_run_inline(home: Path) -> None:
    """Tasks, small, big, with a time and failing, are put, run, kept and set aside in one process."""
    (home / "spool").mkdir()
    (home / "big").write_bytes(b"abc" * 100_000)
    spoolsim(home, "enqueue", "--spooler", "spool", "n=small")
    spoolsim(home, "enqueue", "--spooler", "spool", "--at", "1000000000", "n=past")
    spoolsim(home, "enqueue", "--spooler", "spool", "--body-file", "big", "n=big")
    spoolsim(home, "enqueue", "--spooler", "spool", "n=locks")
    (home / "spool" / "uwsgi_spoolfile_on_h_1_1_1_1_1").write_bytes(b"\x11\xff\xff\0broken")
    done = spoolsim(
        home,
        "run",
        "--inline",
        "--drain",
        "--import",
        "app",
        "--spooler",
        "spool",
        "--cache2",
        "name=c,items=10",
        status=1,  # one is moved
    )
    runs = sorted((home / "runs").read_text().splitlines())
    assert runs == ["big abc", "locks ", "past ", "small "], done.stderr
    left = sorted(path.name for path in (home / "spool").iterdir())
    assert left == [".spoolsim"]
    broken = sorted(path.name for path in (home / "spool" / ".spoolsim" / "broken").iterdir())
    assert broken == ["uwsgi_spoolfile_on_h_1_1_1_1_1", "uwsgi_spoolfile_on_h_1_1_1_1_1.why"]


def test_a_task_that_fails_is_kept(home: Path) -> None:
    """It is retried at each scan, and listed; moving tasks by hand is refused in one line."""
    (home / "spool").mkdir()
    spoolsim(home, "enqueue", "--spooler", "spool", "n=fails")
    options = ("--import", "app", "--spooler", "spool")
    done = spoolsim(home, "run", "--inline", "--drain", *options, status=1)
    assert "SPOOL_RETRY" in done.stderr
    assert len(spoolsim(home, "ls", "--spooler", "spool").stdout.splitlines()) > 0
    (task,) = (home / "spool").glob("uwsgi_*")
    done = spoolsim(home, "rm", "--spooler", "spool", "--yes", task.name, status=2)
    assert "POSIX" in done.stderr
    assert task.exists()


def test_run_inline_waits_for_tasks_by_polling(home: Path) -> None:
    """Without --drain it goes on; a task that comes later is found."""
    (home / "spool").mkdir()
    (home / "app.py").write_text(APP.replace("    return -2", "    os._exit(7)"))
    (home / "late.py").write_text(
        "import os, threading, subprocess, sys\n"
        "command = [sys.executable, '-m', 'spoolsim', 'enqueue', '--spooler', 'spool', 'n=late']\n"
        "def put():\n"
        "    try:\n"
        "        subprocess.run(command, check=True)\n"
        "    except BaseException as error:\n"
        "        print(error, file=sys.stderr, flush=True)\n"
        "        os._exit(9)  # nobody else would end this\n"
        "threading.Timer(0.5, put).start()\n"
    )
    options = ("--import", "app", "--import", "late", "--spooler", "spool", "--spooler-frequency", "1")
    done = spoolsim(home, "run", "--inline", *options, status=7)
    assert "found by polling" in done.stderr + done.stdout
    assert (home / "runs").read_text() == "late \n"


def test_exec_check_and_config(home: Path) -> None:
    """`exec` gives a program the module, `check` and `config` read the configuration."""
    (home / "web.py").write_text(
        "import uwsgi\nprint(uwsgi.spool({b'n': b'1'}) is not None, uwsgi.hostname != b'', bool(uwsgi.magic_table))\n"
        "uwsgi.lock(); uwsgi.unlock(); uwsgi.cache_set('k', b'v', 0, 'c')\n"
        "print(uwsgi.cache_get('k', 'c'), uwsgi.mem()[1] >= 0)\n"
    )
    done = spoolsim(home, "exec", "uwsgi.ini", "--", sys.executable, "web.py")
    assert done.stdout.splitlines()[-2:] == ["True True True", "b'v' True"]
    assert len(list((home / "spool").glob("uwsgi_*"))) == 1
    assert "spooler" in spoolsim(home, "config", "uwsgi.ini").stdout
    checked = spoolsim(home, "check", "uwsgi.ini")
    assert checked.stdout
