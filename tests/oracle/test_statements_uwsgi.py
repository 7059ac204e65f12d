"""What spoolsim says of a uWSGI that it does not emulate: mules, web workers, the auto-reloader, other releases.

These run the real uWSGI alone. `statements.py` names the test of each statement.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from spoolsim.spool import file

from .harness import Bench
from .launchers import UwsgiLauncher
from .packets import PREFIX, packet

pytestmark = pytest.mark.oracle

RELOADS = """
import uwsgi, helper
from oracleobs import *
obs('app', v=helper.V)
uwsgi.post_fork_hook = lambda: obs('pf', worker=uwsgi.worker_id())
"""


@pytest.fixture
def h(uwsgi_binary: str) -> Iterator[Bench]:
    """A bench of its own for the real uWSGI; everything ends with it."""
    bench = Bench(UwsgiLauncher(uwsgi_binary), "2.0")
    yield bench
    bench.close()


@pytest.mark.parametrize("worker", [False, True])
def test_py_autoreload_needs_a_web_worker(h: Bench, worker: bool) -> None:
    """A changed module is imported again where there is a web worker, and never without one."""
    h.write("helper.py", "V = 1\n")
    socket = [("http-socket", "127.0.0.1:0")] if worker else []
    i = h.start([("spooler", h.mkdir("sp")), ("py-autoreload", 1), *socket], RELOADS)
    assert i.wait_obs("pf", 2 if worker else 1, 20)
    h.give_time(2.5)  # the reloader notes down what is there at its first look
    h.write("helper.py", "V = 22\n")
    if worker:
        assert i.wait_obs("app", 2, 20)
    else:
        h.give_time(4)
        assert len(i.obs("app")) == 1
    assert ("has been modified" in i.log()) is worker


TARGETS = ("mule", "mule1", "mule3", "mules", "farm_f", "farm_g", "worker", "")
HANDLERS = f"""
import uwsgi
from oracleobs import *
TARGETS = {TARGETS!r}
for n, target in enumerate(TARGETS):
    uwsgi.register_signal(n, target, lambda n: obs('ran', target=TARGETS[n], mule=uwsgi.mule_id() > 0))
    uwsgi.add_timer(n, 1)
uwsgi.register_signal(99, 'spooler', lambda n: obs('beat'))
uwsgi.add_timer(99, 1)
"""


@pytest.mark.parametrize(
    ("options", "run", "said"),
    [
        ([], set(), ("could not deliver signal 0 to a mule", "invalid signal target: mule1", "unknown farm: f")),
        (
            [("mules", 2), ("farm", "f:1")],
            {"mule", "mule1", "mules", "farm_f"},
            ("invalid signal target: mule3", "unknown farm: g"),
        ),
        ([("http-socket", "127.0.0.1:0")], {"worker", ""}, ("invalid signal target: mule1",)),
    ],
    ids=["nothing", "mules and a farm", "a web worker"],
)
def test_signals_run_where_the_process_is_configured(
    h: Bench, options: list[tuple[str, object]], run: set[str], said: tuple[str, ...]
) -> None:
    """A handler for a web worker, a mule or a farm runs there; without such a process it never runs."""
    i = h.start([("spooler", h.mkdir("sp")), ("spooler-frequency", 60), *options], HANDLERS)
    assert i.wait_obs("beat", 3, 30)
    h.wait(lambda: {x["target"] for x in i.obs("ran")} >= run, 10)
    assert {x["target"] for x in i.obs("ran")} == run
    assert all(x["mule"] == x["target"].startswith(("mule", "farm")) for x in i.obs("ran"))
    for line in said:
        assert line in i.log()


def test_without_a_master_no_task_runs(h: Bench) -> None:
    """master = false: the task stays, whatever else is configured."""
    d = h.mkdir("sp")
    h.drop(d, PREFIX + "x")
    options: list[tuple[str, object] | str] = [("spooler", d), ("spooler-frequency", 1), ("master", "false")]
    app = "import uwsgi\nfrom oracleobs import *\nobs('app')\ndef h(env): obs('task'); return -2\nuwsgi.spooler = h\n"
    ini = "".join(f"{o[0]} = {o[1]}\n" for o in options)
    path = h.write("c.ini", f"[uwsgi]\n{ini}http-socket = 127.0.0.1:0\n")
    i = h.start([("ini", path)], app, master=False)
    assert i.wait_obs("app", 1, 20)
    h.give_time(3)
    assert (len(i.obs("task")), len(h.ls(d))) == (0, 1)


@pytest.mark.parametrize("at", [b"", b", b'at': b'1900000000'"])
def test_a_large_task_is_written_under_its_own_name(h: Bench, at: bytes) -> None:
    """It is seen there before it is whole; there is no file under another name."""
    d = h.mkdir("sp")
    size = 256 * 1024 * 1024
    spool = f"uwsgi.spool({{b'body': b'x' * {size}{at.decode()}}})"
    app = f"import uwsgi\nfrom oracleobs import *\n{spool}\nobs('end')\n"
    i = h.start([("spooler", d)], app)
    sizes: list[int] = []
    names: set[str] = set()
    end = time.monotonic() + 60
    while not i.obs("end") and time.monotonic() < end:
        for name in os.listdir(d):
            names.add(name)
            sizes.append(os.stat(os.path.join(d, name)).st_size)
    assert {name.startswith(PREFIX) for name in names} == {True}
    assert min(sizes) < size


def test_an_import_that_hangs_in_a_reload(h: Bench) -> None:
    """After SIGHUP the instance waits for it, without a spooler."""
    app = "import uwsgi\nfrom oracleobs import *\nobs('app')\nif count('app') > 1: await_cue('never', 60)\n"
    i = h.start([("spooler", h.mkdir("sp"))], app + "uwsgi.post_fork_hook = lambda: obs('pf')\n")
    assert i.wait_obs("pf", 1, 20)
    i.kill(signal.SIGHUP)
    assert i.wait_obs("app", 2, 20)
    h.give_time(7)  # longer than spoolsim waits after another touch
    assert (len(i.obs("pf")), i.alive()) == (1, True)


@pytest.mark.parametrize("mules", [0, 1])
def test_mule_functions_need_a_mule(h: Bench, mules: int) -> None:
    """A function decorated with @mule runs in that mule, and nowhere without it."""
    app = "from uwsgidecorators import mule\nfrom oracleobs import *\nobs('app')\n"
    app += "@mule(1)\ndef work(): obs('ran'); busy(60)\n"
    i = h.start([("spooler", h.mkdir("sp")), *([("mules", mules)] if mules else [])], app)
    assert i.wait_obs("app", 1, 20)
    if mules:
        assert i.wait_obs("ran", 1, 20)
    else:
        h.give_time(3)
        assert not i.obs("ran")


def test_a_missing_chdir_ends_it(h: Bench) -> None:
    """Nothing starts."""
    i = h.start([("spooler", h.mkdir("sp")), ("chdir", h.path("missing"))], "")
    assert i.wait_exit(20)
    assert i.p.returncode == 1


def test_the_executable_of_an_app(h: Bench) -> None:
    """sys.executable is uWSGI itself."""
    i = h.start([("spooler", h.mkdir("sp"))], "import sys\nfrom oracleobs import *\nobs('app', e=sys.executable)\n")
    assert i.wait_obs("app", 1, 20)
    assert "uwsgi" in os.path.basename(str(i.obs("app")[0]["e"]))


@pytest.mark.parametrize("option", ["inline", "drain", "watch", "spooler-cheap", "spooler-signal-as-task"])
def test_options_that_this_release_lacks(uwsgi_binary: str, option: str) -> None:
    """The command line is refused."""
    done = subprocess.run([uwsgi_binary, f"--{option}"], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 1
    assert f"'--{option}'" in done.stderr


def test_touch_reload_reads_the_app_again(h: Bench) -> None:
    """Only touch-spoolers-reload keeps the old code: touch-reload starts everything again."""
    h.write("helper.py", "V = 1\n")
    h.write("touched", "")
    i = h.start([("spooler", h.mkdir("sp")), ("touch-reload", h.path("touched"))], RELOADS)
    assert i.wait_obs("pf", 1, 20)
    h.give_time(2.2)
    h.write("helper.py", "V = 22\n")
    os.utime(h.path("touched"))
    assert i.wait_obs("app", 2, 20)
    assert [x["v"] for x in i.obs("app")] == [1, 22]


def test_a_timer_that_a_worker_registers_again_counts_twice(h: Bench) -> None:
    """A web worker dies; its successor imports the app, and registers the timer, a second time."""
    app = """
import os, uwsgi
from oracleobs import *
if uwsgi.worker_id():
    uwsgi.register_signal(1, 'worker', lambda n: obs('beat'))
    uwsgi.add_timer(1, 1)
    obs('worker')
"""
    options: list[tuple[str, object] | str] = [("spooler", h.mkdir("sp")), "lazy-apps", ("spooler-frequency", 60)]
    i = h.start([*options, ("http-socket", "127.0.0.1:0")], app)
    assert i.wait_obs("beat", 2, 20)
    before = len(i.obs("beat"))
    h.give_time(4)
    once = len(i.obs("beat")) - before
    os.kill(i.obs("worker")[0]["pid"], signal.SIGKILL)
    assert i.wait_obs("worker", 2, 20)
    h.give_time(1.5)
    before = len(i.obs("beat"))
    h.give_time(4)
    assert len(i.obs("beat")) - before >= 2 * once - 2 > once


def test_an_exception_between_two_tasks_comes_in_the_next(h: Bench) -> None:
    """What a signal handler of the app raises while the spooler waits is raised by the next task."""
    app = """
import os, signal, uwsgi
from oracleobs import *
def boom(number, frame):
    raise RuntimeError('boom')
def handler(env):
    obs('task')
    return -2
def begin():
    signal.signal(signal.SIGRTMIN, boom)
    obs('pf')
uwsgi.post_fork_hook = begin
uwsgi.spooler = handler
"""
    d = h.mkdir("sp")
    i = h.start([("spooler", d), ("spooler-frequency", 1)], app)
    assert i.wait_obs("pf", 1, 20)
    h.give_time(0.5)
    os.kill(i.obs("pf")[0]["pid"], signal.SIGRTMIN)
    h.give_time(1.5)
    assert "boom" not in i.log()
    h.drop(d, PREFIX + "x")
    assert i.wait_obs("task", 1, 20)
    assert "RuntimeError: boom" in i.log()
    assert len(i.obs("pf")) == 1


def test_a_spooler_finishes_its_scan_without_its_master(h: Bench) -> None:
    """A master that is killed leaves the spooler to run every task of the scan that it is in."""
    d = h.mkdir("sp")
    for n in range(3):
        h.drop(d, PREFIX + str(n))
    app = "import uwsgi\nfrom oracleobs import *\ndef h(env): obs('task'); busy(.5); return -2\nuwsgi.spooler = h\n"
    i = h.start([("spooler", d), ("spooler-frequency", 60)], app)
    assert i.wait_obs("task", 1, 20)
    os.kill(i.p.pid, signal.SIGKILL)
    assert i.wait_obs("task", 3, 20)


def test_nothing_but_tasks_is_in_a_spool_directory(h: Bench) -> None:
    """When its only task is done it is empty: no file, hidden or not."""
    d = h.mkdir("sp")
    h.drop(d, PREFIX + "x")
    app = "import uwsgi\nfrom oracleobs import *\ndef h(env): obs('task'); return -2\nuwsgi.spooler = h\n"
    i = h.start([("spooler", d), ("spooler-frequency", 60)], app)
    assert i.wait_obs("task", 1, 20)
    assert h.wait(lambda: not os.listdir(d), 10)


TALKS = """
import uwsgi
def spooler(env):
    return uwsgi.SPOOL_OK
uwsgi.spooler = spooler
"""


def test_a_terminal_gets_the_lines_of_a_file(uwsgi_binary: str, tmp_path: Path) -> None:
    """The real one writes to a terminal what it writes to a file; so does --faithful, and --log-style=uwsgi."""
    (tmp_path / "app.py").write_text(TALKS)
    (tmp_path / "sp").mkdir()
    serve = ["--spooler", "sp", "--import", "app", "--spooler-frequency", "1"]
    ours = [sys.executable, "-m", "spoolsim", "run"]
    line = re.compile(r"done with task uwsgi_spoolfile_on_\w+ after 0 seconds\r\n")
    for argv in ([uwsgi_binary, "--master"], [*ours, "--faithful"], [*ours, "--log-style=uwsgi"]):
        file.write(str(tmp_path / "sp"), file.next_name(), packet({b"n": b"1"}))
        environment = {**os.environ, "NO_COLOR": "1"}
        words = [*argv[1:], *serve]
        child = pexpect.spawn(argv[0], words, cwd=str(tmp_path), env=environment, encoding="utf-8", timeout=60)
        child.expect(line)
        said = child.before + child.after
        assert re.search(r"\[spooler [^ ]+/sp pid: \d+\] managing request uwsgi_spoolfile_on_\w+ \.\.\.", said), said
        child.kill(signal.SIGINT)
        child.expect(pexpect.EOF)
        child.close()
