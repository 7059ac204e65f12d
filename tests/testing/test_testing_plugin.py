"""The pytest plugin: what it costs when unused, what it does when asked for, what a failing test shows."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """`run(*arguments, files=...)`: pytest in a process of its own, in a project of these files."""

    def start(*arguments: str, **files: str) -> subprocess.CompletedProcess[str]:
        for name, text in files.items():
            path = tmp_path / (f"{name}.py" if name != "ini" else "pytest.ini")
            path.write_text(text)
        env = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "SPOOLSIM"))}
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:asyncio", "-p", "no:django"]
        return subprocess.run(
            [*command, *arguments], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300, check=False
        )

    return start


def test_unused_it_loads_nothing(run: Run) -> None:
    """A run that uses no fixture imports the plugin's module and no other of spoolsim's, and has no `uwsgi`."""
    done = run(
        "-q",
        test_it="""
import sys

def test_it():
    ours = sorted(name for name in sys.modules if name.startswith("spoolsim"))
    assert ours == ["spoolsim", "spoolsim.testing", "spoolsim.testing.plugin"]
    assert "uwsgi" not in sys.modules
    try:
        import uwsgi
    except ImportError:
        pass
    else:
        assert not hasattr(uwsgi, "_spoolsim")
""",
    )
    assert "1 passed" in done.stdout, done.stdout


@pytest.mark.parametrize("how", ["fixture", "live fixture", "command line"])
def test_another_python_is_refused_in_one_line(run: Run, how: str) -> None:
    """On PyPy, say, whoever asks for us is told so in one line, and other tests run."""
    fixture = {"fixture": "spooler", "live fixture": "live_spooler", "command line": ""}[how]
    files = {
        "other": 'import sys\nsys.implementation.name = "pypy"\n',
        "test_it": f"def test_ours({fixture}): pass\ndef test_another(): pass\n",
    }
    done = run("-q", "-p", "other", *(["--spoolsim"] if how == "command line" else []), **files)
    line = "spoolsim runs on CPython alone; this is pypy"
    if how == "command line":
        assert done.returncode == pytest.ExitCode.USAGE_ERROR
        assert done.stderr.strip() == f"ERROR: {line}"
        return
    assert "1 passed, 1 error" in done.stdout, done.stdout
    assert line in done.stdout.splitlines()
    assert "Traceback" not in done.stdout + done.stderr
    assert "plugin.py" not in done.stdout


@pytest.mark.parametrize("how", ["ini", "command line", "config"])
def test_asked_for_the_app_can_be_imported_at_collection(run: Run, tmp_path: Path, how: str) -> None:
    """With `spoolsim = true`, --spoolsim or a configuration, conftest and test modules may import the app."""
    (tmp_path / "uwsgi.ini").write_text("[uwsgi]\nspooler = /nowhere/spool\nspooler-ordered = true\n")
    line = {"ini": "spoolsim = true", "command line": "", "config": "spoolsim_config = uwsgi.ini"}[how]
    done = run(
        "-q",
        *(["--spoolsim"] if how == "command line" else []),
        ini=f"[pytest]\n{line}\n",
        conftest="import shop\n",
        shop="from uwsgidecorators import spool\nsent = []\n@spool\ndef mail(env): sent.append(env['to'])\n",
        test_it=f"""
import shop

def test_one(spooler):
    shop.mail(to="ann")
    spooler.drain()
    assert shop.sent == ["ann"]
    assert spooler.options.ordered is {how == "config"}

def test_two(spooler):
    shop.mail(to="bob")
    spooler.drain()
    assert shop.sent == ["ann", "bob"]

def test_without_fixture():
    import uwsgi
    assert not any(path.startswith(b"/nowhere") for path in uwsgi.spoolers)
""",
    )
    assert "3 passed" in done.stdout, done.stdout


def test_a_failure_shows_what_was_queued_run_and_left(run: Run) -> None:
    """The report of a failing test has a section with the tasks and the log; of a passing one it has not."""
    done = run(
        "-q",
        "-rA",
        test_it="""
import uwsgi_handler

def test_fails(spooler):
    spooler.spool({"order": "7"})
    spooler.spool({"order": "8", "at": "4000000000"})
    spooler.drain()
    assert False

def test_passes(spooler):
    spooler.spool({"order": "9"})
    spooler.drain()
""",
        uwsgi_handler="",
        conftest="""
import pytest

@pytest.fixture(autouse=True)
def handler(spooler):
    import uwsgi
    uwsgi.spooler = lambda env: -2
""",
    )
    assert "1 failed, 1 passed" in done.stdout, done.stdout
    section = done.stdout.partition("- spoolsim -")[2]
    assert "task(order='7') done" in section
    assert "left in the spool: 1\n  task(order='8', at='4000000000') future until" in section
    assert "order='9'" not in done.stdout


def test_a_failure_around_a_test_shows_it_too(run: Run) -> None:
    """The section is there when another fixture fails, before the test or after it."""
    done = run(
        "-q",
        test_it="""
import pytest

@pytest.fixture
def before(spooler):
    spooler.spool({"order": "1"})
    raise RuntimeError("before")

@pytest.fixture
def after(spooler):
    yield
    assert spooler.tasks() == []

def test_before(before): pass

def test_after(after, spooler):
    spooler.spool({"order": "2"})
""",
    )
    assert "1 passed, 2 errors" in done.stdout, done.stdout
    assert done.stdout.count("- spoolsim -") == 2
    assert "left in the spool: 1\n  task(order='1')" in done.stdout
    assert "left in the spool: 1\n  task(order='2')" in done.stdout


def test_each_test_module_has_its_own_handler(run: Run) -> None:
    """Modules that set uwsgi.spooler at their top have it to themselves; others have that of the app."""
    module = """
import shop
import uwsgi
got = []
uwsgi.spooler = lambda env: got.append(1) or -2

def test_own(spooler):
    spooler.spool({"a": "b"})
    spooler.drain()
    assert got == [1]
"""
    done = run(
        "-q",
        ini="[pytest]\nspoolsim = true\n",
        shop="import uwsgi\ngot = []\nuwsgi.spooler = lambda env: got.append(1) or -2\n",
        test_a=module,
        test_b=module,
        test_c="import shop\ngot = shop.got\n" + module.partition("-2\n")[2],
    )
    assert "3 passed" in done.stdout, done.stdout


def test_a_live_spooler_opens_no_address_of_production(run: Run, tmp_path: Path) -> None:
    """Two instances of one configuration, whose `stats` is one address, run at the same time; it is not opened."""
    address = tmp_path / "stats.sock"
    (tmp_path / "uwsgi.ini").write_text(f"[uwsgi]\nspooler = spool\nstats = {address}\n")
    done = run(
        "-q",
        ini="[pytest]\nspoolsim_config = uwsgi.ini\n",
        test_it=f"""
import os
from spoolsim.testing import LiveSpooler

def test_it(live_spooler, tmp_path):
    with LiveSpooler(None, {str(tmp_path / "uwsgi.ini")!r}, directory=tmp_path / "other") as other:
        assert other.pids and live_spooler.pids
        assert not os.path.exists({str(address)!r})
""",
    )
    assert "1 passed" in done.stdout, done.stdout


def test_a_tasks_traceback_is_its_own(run: Run) -> None:
    """What pytest shows of a task's exception is the test and the handler, none of spoolsim's frames."""
    done = run(
        "-q",
        test_it="""
import pytest

def charge(env):
    raise ValueError("no such order")

@pytest.mark.spoolsim(app=charge)
def test_it(spooler):
    spooler.spool({"order": "7"})
    spooler.drain()
""",
    )
    assert "test_it.py:5: ValueError" in done.stdout
    assert "engine.py" not in done.stdout
    assert "worker.py" not in done.stdout


def test_markers_are_known_and_bad_ones_are_errors(run: Run) -> None:
    """The marker is registered (--strict-markers), shown by --markers, and a misspelt option fails the test."""
    files = {
        "test_it": """
import pytest

@pytest.mark.spoolsim(spooler_odered=True)
def test_it(spooler):
    pass
"""
    }
    done = run("-q", "--strict-markers", **files)
    assert "'spooler_odered' is no option" in done.stdout, done.stdout
    assert "@pytest.mark.spoolsim(app=None" in run("--markers").stdout


def test_a_project_with_a_uwsgi_of_its_own(run: Run) -> None:
    """Where the project fakes `uwsgi` itself, the fixture says what is in its way."""
    done = run(
        "-q",
        conftest="import sys\nfrom unittest.mock import Mock\nsys.modules['uwsgi'] = Mock(spec=['spool'])\n",
        test_it="def test_it(spooler): pass\n",
    )
    assert "sys.modules['uwsgi'] is" in done.stdout, done.stdout


def test_unittest_classes_and_parallel_runs(run: Run) -> None:
    """Fixtures work for unittest classes, and under xdist every test has a directory of its own."""
    done = run(
        "-q",
        "-n",
        "2",
        test_it="""
import unittest
import pytest

@pytest.fixture
def harness(request, spooler):
    request.cls.spooler = spooler

@pytest.mark.usefixtures("harness")
class TestOld(unittest.TestCase):
    def test_it(self):
        import uwsgi
        uwsgi.spooler = lambda env: -2
        self.spooler.spool({"a": "b"})
        self.assertEqual(len(self.spooler.drain()), 1)

@pytest.mark.parametrize("n", range(8))
def test_own_directory(spooler, n):
    assert spooler.tasks() == []
    spooler.spool({"n": str(n)})
    assert len(spooler.tasks()) == 1
""",
    )
    assert "9 passed" in done.stdout, done.stdout


def test_every_fixture_leaves_the_process_as_it_was(run: Run) -> None:
    """Niceness, umask, working directory, signal handlers, stdin, path, environment, threads: before as after."""
    done = run(
        "-q",
        conftest="""
import os, signal, sys, threading
import pytest

def state():
    umask = os.umask(0o22)
    os.umask(umask)
    wakeup = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(wakeup)
    environ = {key: value for key, value in os.environ.items() if key != "PYTEST_CURRENT_TEST"}
    handlers = [signal.getsignal(number) for number in sorted(signal.valid_signals())]
    return (os.nice(0), umask, os.getcwd(), handlers, os.fstat(0), sys.stdin, list(sys.path), environ, wakeup,
            threading.active_count(), "uwsgi" in sys.modules, sorted(os.listdir("/proc/self/fd")), signal.getitimer(0))

@pytest.fixture(autouse=True)
def same(tmp_path):
    before = state()
    yield
    after = state()
    for one, other in zip(before, after, strict=True):
        assert one == other
    import subprocess
    left = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    assert str(tmp_path) not in left
""",
        test_it="""
import pytest

def handler(env):
    return -2

@pytest.mark.spoolsim(app=handler, spooler_chdir="/")
def test_engine(same, spooler):
    spooler.spool({"n": "1"})
    spooler.kill_next(1)
    spooler.drain()

@pytest.mark.spoolsim(app=handler, faithful=True)
def test_faithful(same, spooler):
    spooler.spool({"n": "1"})
    spooler.drain()

def test_live(same, live_spooler):
    live_spooler.spool({"n": "1"})
    live_spooler.kill_worker()

def test_directory(same, spool_dir):
    pass
""",
    )
    assert "4 passed" in done.stdout, done.stdout


APP = """
import uwsgi
from uwsgidecorators import spool

@spool
def work(arguments):
    return uwsgi.SPOOL_OK
"""
FORGETFUL = """
import pytest
import app

def test_forgets():
    app.work.spool(a="1")

def test_has_it(spooler):
    app.work.spool(a="1")
    spooler.drain()
"""


def test_a_test_that_forgets_the_fixture_fails(run: Run) -> None:
    """Its task would never run; the test beside it, which has the fixture, passes."""
    done = run("-q", ini="[pytest]\nspoolsim = true\n", app=APP, test_it=FORGETFUL)
    assert "1 failed, 1 passed" in done.stdout
    assert "in a test that has no spooler" in done.stdout
    assert "add the fixture `spooler`" in done.stdout


def test_an_app_that_imports_uwsgi_is_explained(run: Run) -> None:
    """Without a configuration the collection fails; the report says which line to write."""
    done = run("-q", ini="[pytest]\n", app=APP, test_it=FORGETFUL)
    assert done.returncode == 2
    assert "spoolsim_config = uwsgi.ini" in done.stdout


def test_half_an_emoji_in_an_error_and_a_task(run: Run, tmp_path: Path) -> None:
    """The report of a failing test is whole and can be read as text, on the terminal and in the XML file."""
    done = run(
        "--spoolsim",
        f"--junitxml={tmp_path}/report.xml",
        test_it="""
import uwsgi

def test_it(spooler):
    def handler(env):
        raise ValueError("no such user \\ud83d")
    uwsgi.spooler = handler
    uwsgi.spool({b"user": "\\ud83d".encode("utf-8", "surrogatepass")})
    spooler.drain(max_tasks=1)
""",
    )
    assert "INTERNALERROR" not in done.stdout + done.stderr
    assert done.returncode == 1, done.stdout
    assert "1 failed" in done.stdout, done.stdout
    assert "spooled: 1" in done.stdout  # the report behind the error
    xml = (tmp_path / "report.xml").read_text(encoding="utf-8")
    assert "no such user" in xml


@pytest.mark.parametrize("library", ["CDLL", "PyDLL"])
def test_a_task_stuck_in_c_code_ends_pytest_and_is_named(run: Run, library: str) -> None:
    """A mutex that is locked twice: no signal ends that wait; PyDLL keeps all threads of Python waiting, too."""
    pytest.importorskip("ctypes")
    out = run(
        conftest="import spoolsim.testing.limit as limit\nlimit._HOPELESS = 0.3\n",
        test_it=f"""
import ctypes

def stuck(env):
    mutex = ctypes.create_string_buffer(128)
    libc = ctypes.{library}(None)
    libc.pthread_mutex_lock(mutex)
    libc.pthread_mutex_lock(mutex)

def test_stuck(spooler):
    import uwsgi
    uwsgi.spooler = stuck
    uwsgi.spool({{b"n": b"1"}})
    spooler.drain(timeout=0.1)
""",
    )
    assert out.returncode == 1
    assert "in stuck" in out.stderr and "in test_stuck" in out.stderr, out.stderr
    if library == "CDLL":
        assert (
            "spoolsim: test_it.py::test_stuck: a task does not end, 0.3 s after its time limit of 0.1 s" in out.stderr
        )


def test_a_task_that_ends_in_time_ends_nothing(run: Run) -> None:
    """The timer that would end pytest is gone when the tasks have run; with pytest's own in use, it is left alone."""
    test = """
import faulthandler
import uwsgi

def test_one(spooler, monkeypatch, pytestconfig):
    called = []
    monkeypatch.setattr(faulthandler, "dump_traceback_later", lambda *_, **__: called.append("armed"))
    monkeypatch.setattr(faulthandler, "cancel_dump_traceback_later", lambda: called.append("disarmed"))
    uwsgi.spooler = lambda env: uwsgi.SPOOL_OK
    uwsgi.spool({b"n": b"1"})
    spooler.drain()
    own = float(pytestconfig.getini("faulthandler_timeout"))
    assert called == ([] if own else ["armed", "disarmed"])
"""
    ini = "[pytest]\nspoolsim = true\n"
    for timeout in (0, 600):
        done = run(ini=f"{ini}faulthandler_timeout = {timeout}\n", test_it=test)
        assert done.returncode == 0, done.stdout
