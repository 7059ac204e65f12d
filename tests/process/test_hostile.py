"""Whatever a task returns, raises or does to its own process: it is settled once, and the next ones run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from spoolsim.spool.directory import SpoolDir
from spoolsim.spool.journal import read
from tests.conftest import poll_until
from tests.needs import PROCESS_ONE
from tests.process.conftest import Start, environment, put

AFTER = "note('after')"

#: what a task does that fails: it is retried by the same process, with nothing printed that is ours
RETRIED = {
    "an error whose text has half an emoji": "raise ValueError('no such user \\ud83d')",
    "an error with a text of a million": "raise ValueError('x' * 1_000_000)",
    "an error whose text is an error": "raise type('E', (Exception,), {'__str__': lambda self: 1 / 0})()",
    "an error whose text ends the process": "raise type('E', (Exception,), {'__str__': lambda self: sys.exit(3)})()",
    "a proxy that calls itself an int": "from unittest.mock import Mock; names['result'] = Mock(spec=int)",
    "an object whose repr() raises": "names['result'] = type('R', (), {'__repr__': lambda self: 1 / 0})()",
    "an object whose repr() is interrupted": (
        "def show(self): raise KeyboardInterrupt\nnames['result'] = type('R', (), {'__repr__': show})()"
    ),
    "an object whose repr() has half an emoji": (
        "names['result'] = type('R', (), {'__repr__': lambda self: '\\ud83d'})()"
    ),
    "an int of another class that lies": (
        "names['result'] = type('I', (int,), {'__index__': lambda self: -2, '__eq__': lambda *a: True,"
        " '__hash__': None})(5)"
    ),
    "variables that were changed": "names['env'][b'ud_spool_func'] = 7; raise ValueError",
    **{
        f"an error whose {name} raises": f"raise type('E', (Exception,), {{{name!r}: property(lambda self: 1 / 0)}})()"
        for name in ("__traceback__", "__cause__", "__context__", "__suppress_context__", "__notes__")
    },
    "an error whose traceback ends the process": (
        "raise type('E', (Exception,), {'__traceback__': property(lambda self: sys.exit(3))})()"
    ),
    "an excepthook that fails": "sys.excepthook = lambda *a: 1 / 0; raise ValueError('seen')",
    "no standard error": "sys.stderr = None; raise ValueError('seen')",
    "a closed standard error": "sys.stderr.close(); raise ValueError('seen')",
}

APP = """

def run(env):
    names = {"env": env, "result": uwsgi.SPOOL_OK}
    exec(env[b"code"].decode("utf-8", "surrogatepass"), {**globals(), "names": names}, names)
    return names["result"]

uwsgi.spooler = run
"""


@pytest.mark.parametrize("name", RETRIED)
def test_a_task_that_fails_is_retried_by_the_same_process(start: Start, home_app: str, name: str) -> None:
    """The next one runs behind it, the journal has both, and `spoolsim ls` shows them."""
    i = start("--spooler-quiet", "--spooler-frequency", "600", app=home_app + APP)
    (before,) = i.wait_workers(1)
    i.put(f"note('begun')\n{RETRIED[name]}")
    i.wait_runs("begun")
    i.put(AFTER)
    i.wait_runs("after")
    assert i.wait_workers(1) == [before], i.output()
    assert "while it ran" not in i.output()
    assert "_become_child" not in i.output()
    if "seen" in RETRIED[name]:
        assert "ValueError: seen" in i.output()
    assert sorted(line.outcome for line in read(SpoolDir(str(i.spool)))).count("done") == 1
    listed = subprocess.run(
        [sys.executable, "-m", "spoolsim", "ls", "--spooler", str(i.spool)], capture_output=True, check=False
    )
    assert listed.returncode == 0, listed.stderr
    assert b"1 task: 1 queued" in listed.stdout


def test_closed_descriptors_of_a_task_that_is_done(start: Start) -> None:
    """It is removed and not run again; another process takes the place of the one without descriptors."""
    i = start("--spooler-quiet", "--spooler-frequency", "600")
    (before,) = i.wait_workers(1)
    i.put("note('closing'); os.closerange(3, 1024)")
    i.wait_empty()
    i.spawned.wait_output("closed descriptors that are the spooler's own")
    poll_until(lambda: i.workers() not in ([], [before]), what="another spooler")
    i.put(AFTER)
    i.wait_runs("after")
    assert i.runs() == ["closing", "after"]


def test_closed_descriptors_of_a_task_that_is_retried(start: Start) -> None:
    """Its process is of no use behind it, so it is a task that kills its spooler: from the third time on it waits."""
    i = start("--spooler-quiet", "--spooler-frequency", "600")
    path = Path(i.put("os.closerange(3, 1024); result = -1"))
    i.spawned.wait_output("(poison-task)")
    i.put(AFTER)
    i.wait_runs("after")
    assert path.exists()


CHANGES = {"root directory": "os.chroot('/tmp')", "user or group": "os.setgid(65534); os.setuid(65534)"}


@pytest.mark.needs("root")
@pytest.mark.parametrize("what", CHANGES)
def test_a_task_that_is_done_has_changed_its_process(start: Start, what: str) -> None:
    """It is removed, by the next process where its own may not, and run once; the log says what it did."""
    i = start("--spooler-frequency", "600")
    (before,) = i.wait_workers(1)
    i.put(f"note('once'); {CHANGES[what]}")
    i.wait_empty()
    i.spawned.wait_output(f"changed the {what} of its spooler process, which can serve no more tasks")
    poll_until(lambda: i.workers() not in ([], [before]), what="another spooler")
    i.put(f"{AFTER}; note(os.getuid(), os.getcwd() == {str(i.spool)!r})")
    i.wait_runs("after", "0 True")
    assert i.runs() == ["once", "after", "0 True"]
    i.wait_empty()
    assert "cannot be removed" not in i.output()


@pytest.mark.needs("root")
@pytest.mark.parametrize("what", CHANGES)
def test_a_task_that_is_retried_has_changed_its_process(start: Start, what: str) -> None:
    """Each attempt counts, once, although its process may not write the journal; --max-attempts moves it."""
    i = start("--spooler-frequency", "600", "--max-attempts", "2")
    path = Path(i.put(f"note('try'); {CHANGES[what]}; result = -1"))
    poll_until((i.spool / ".spoolsim" / "failed" / path.name).exists, what="its move to failed/")
    assert i.runs() == ["try", "try"]
    i.put(AFTER)
    i.wait_runs("after")


@pytest.mark.needs("root")
def test_a_thread_of_a_task_changes_its_process(start: Start) -> None:
    """Seen at the first task that cannot be read."""
    i = start("--spooler-frequency", "1")
    (before,) = i.wait_workers(1)
    i.put("threading.Timer(0.1, os.setuid, (65534,)).start()")
    poll_until(lambda: stat_uid(before) == 65534, what="another user")
    i.put(AFTER)
    i.wait_runs("after")
    assert "changed the user or group of its spooler process" in i.output()


BREAKS = {
    "a function removed": "del builtins.open",
    "a function that is nothing": "builtins.len = None",
    "a class that is a function": "builtins.int = lambda *a: 0",
    "no class of exceptions": "del builtins.BaseException, builtins.SystemExit",
    "what every call of ours needs": "builtins.type = None",
}


@pytest.mark.parametrize("options", [["--spooler-quiet"], ["--max-attempts", "9"]], ids=["plain", "general"])
@pytest.mark.parametrize("result", [-2, -1])
@pytest.mark.parametrize("what", BREAKS)
def test_a_task_that_breaks_builtins(start: Start, what: str, result: int, options: list[str]) -> None:
    """It is settled, one line names what it broke, and another process serves the next ones."""
    i = start("--spooler-frequency", "600", *options)
    (before,) = i.wait_workers(1)
    i.put(
        f"import builtins\nnote('broke')\nif {result} == -2 or not os.path.exists('once'):\n"
        f"    open('once', 'w').close()\n    result = {result}\n    {BREAKS[what]}"
    )
    i.wait_runs("broke")
    i.spawned.wait_output("removed or broke builtins of Python (")
    poll_until(lambda: i.workers() not in ([], [before]), what="another spooler")
    i.put(AFTER + "; note(len([int(3), type(3), open, SystemExit]))")
    i.wait_runs("after", "4")
    i.wait_empty()
    assert i.runs().count("broke") == (1 if result == -2 else 2)
    assert "while it ran" not in i.output()


def test_builtins_that_are_replaced_by_others(start: Start) -> None:
    """That is an app's own business: its process goes on."""
    i = start("--spooler-frequency", "600")
    (before,) = i.wait_workers(1)
    i.put("import builtins; builtins.print = lambda *a: None; builtins._ = str; del builtins._")
    i.wait_empty()
    i.put(AFTER)
    i.wait_runs("after")
    assert i.wait_workers(1) == [before]


@pytest.mark.parametrize(("result", "said"), [("-2", "trying respawn"), ("None", "(poison-task)")])
def test_a_task_that_takes_every_exception_class(start: Start, result: str, said: str) -> None:
    """With no builtins at all its process ends: after a task that is done; in any other one, which waits as one that
    kills its spooler. The next ones run.
    """
    i = start("--spooler-frequency", "600", "--spooler-quiet")
    i.put(f"note('ran'); result = {result}; import builtins; builtins.__dict__.clear()")
    i.spawned.wait_output(said)
    i.put(AFTER)
    i.wait_runs("after")
    if result == "-2":
        i.wait_empty()
        assert i.runs().count("ran") == 1
    assert i.stop() == 0


def test_a_task_that_lowers_the_limit_of_descriptors(start: Start) -> None:
    """Its process could not wait any more: another one takes its place."""
    i = start("--spooler-frequency", "600")
    (before,) = i.wait_workers(1)
    i.put("import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))")
    i.spawned.wait_output("cannot wait for tasks: Invalid argument; another process takes its place")
    poll_until(lambda: i.workers() not in ([], [before]), what="another spooler")
    i.put(AFTER)
    i.wait_runs("after")
    assert i.output().count("cannot wait for tasks") == 1


def stat_uid(pid: int) -> int:
    """The effective user of a process."""
    return os.stat(f"/proc/{pid}").st_uid


def test_a_signal_handler_that_raises_when_the_handler_has_returned(start: Start) -> None:
    """Each task is settled first, and what was raised is printed; the process lives on."""
    app = """\
import _thread, os, signal, sys
from collections import defaultdict
from functools import partial
import uwsgi

struck = set()

class Late(TimeoutError):
    pass

def strike(*args):
    raise Late

def note(*words):
    with open(os.environ["RUNS"], "a") as file:
        file.write(" ".join(words) + "\\n")

def spooler(env):
    signal.signal(signal.SIGALRM, strike)
    note(env[b"id"].decode())
    # a subscript looks for no signal, and the end of a function neither: it strikes in the code that called us
    if env[b"id"] not in struck:  # a signal wakes the spooler, which tries again what was kept
        struck.add(env[b"id"])
        defaultdict(partial(_thread.interrupt_main, signal.SIGALRM))[None]
    return {b"done": uwsgi.SPOOL_OK, b"kept": uwsgi.SPOOL_RETRY}[env[b"kind"]]

uwsgi.spooler = spooler
"""
    i = start("--spooler-quiet", "--spooler-frequency", "600", app=app)
    (before,) = i.wait_workers(1)
    for number in range(20):
        i.put("", id=str(number), kind="done")
    i.wait_count(20)
    i.wait_empty()
    i.put("", id="kept", kind="kept")
    i.wait_runs("kept")
    i.put("", id="last", kind="done")
    i.wait_runs("last")
    poll_until(lambda: len(i.tasks()) == 1, what="the last one's end")
    assert i.wait_workers(1) == [before], i.output()
    assert "kept" in i.runs()  # and again with each scan, however many there are
    assert sorted(run for run in i.runs() if run.isdigit()) == sorted(map(str, range(20)))
    assert "Late was raised after the handler had returned" in i.output()


def test_an_exception_while_the_spooler_waits(start: Start) -> None:
    """A timer that a task has left armed does not end the process that waits for the next task."""
    i = start("--spooler-quiet", "--spooler-frequency", "600")
    (before,) = i.wait_workers(1)
    i.put(
        "signal.signal(signal.SIGALRM, lambda *a: (note('struck'), 1 / 0))\nsignal.setitimer(signal.ITIMER_REAL, 0.2)"
    )
    i.wait_runs("struck")
    i.put(AFTER)
    i.wait_runs("after")
    assert i.workers() == [before]
    assert "ZeroDivisionError" in i.output()


def test_a_task_that_is_done_and_cannot_be_removed_is_run_once(start: Start) -> None:
    """By no process of the run, and it is said once; the next start runs it again."""
    i = start("--spooler-quiet", "--spooler-frequency", "1", "--spooler-max-tasks", "2", "--spooler-processes", "2")
    i.wait_workers(2)
    path = i.put("note('stuck'); os.unlink = os.rmdir; time.sleep(0.01)")  # in this process alone, which is recycled
    i.wait_runs("stuck")
    i.spawned.wait_output("is done but cannot be removed: Not a directory")
    for number in range(6):
        i.put(f"note('after', {number})")
    i.wait_runs(*(f"after {number}" for number in range(6)))
    assert i.runs().count("stuck") == 1
    assert i.output().count(f"{path} is done but cannot be removed") == 1
    i.stop()


def test_children_of_a_task_end_at_sigterm(start: Start) -> None:
    """They have none of the spooler's handlers of signals, also those that a thread of a task has forked."""
    code = """\
import threading
pids = []
def make():
    pid = os.fork()
    if not pid:
        plain = signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
        note('child', plain, signal.getsignal(signal.SIGINT) is signal.default_int_handler)
        time.sleep(60)
        os._exit(0)
    pids.append(pid)
globals().update(pids=pids, make=make)
make()
thread = threading.Thread(target=make)
thread.start()
thread.join()
while open(os.environ['RUNS']).read().count('child') < 2:
    time.sleep(0.01)
for pid in pids:
    os.kill(pid, signal.SIGTERM)
note(*(-os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids))
"""
    i = start("--spooler-quiet")
    i.put(code)
    i.wait_count(3)
    assert sorted(i.runs()) == ["15 15", "child True True", "child True True"]


def test_a_thread_of_the_app_that_reaps_every_child(start: Start, home_app: str) -> None:
    """A spooler whose death it took from the fork server is respawned."""
    app = home_app + (
        "def reap():\n    while True:\n"
        "        try: os.waitpid(-1, 0)\n        except ChildProcessError: time.sleep(0.001)\n"
        "threading.Thread(target=reap, daemon=True).start()\n"
    )
    i = start("--spooler-quiet", "--spooler-frequency", "600", app=app)
    for number in range(3):
        (pid,) = poll_until(i.workers, what="a spooler")
        os.kill(pid, signal.SIGKILL)
        poll_until(lambda pid=pid: i.workers() not in ([], [pid]), what="another spooler")  # type: ignore[misc]
        i.put(f"note({number})")
        i.wait_runs(str(number))


def test_signals_that_uwsgi_takes_end_neither_master_nor_fork_server(start: Start) -> None:
    """At SIGUSR1 and SIGUSR2 the master says what runs."""
    i = start("--spooler-quiet", "--spooler-frequency", "600")
    i.wait_workers(1)
    i.put("note('in'); gate('open')")
    i.wait_runs("in")
    for number, sent in enumerate((signal.SIGUSR1, signal.SIGUSR2), 1):
        (server,) = i.fork_servers()
        os.kill(server, sent)
        i.send(sent)
        i.spawned.wait_output("runs uwsgi_spoolfile_on_", number)
    i.open_gate("open")
    i.put(AFTER)
    i.wait_runs("after")
    assert i.stop() == 0


@pytest.mark.parametrize("again", [False, True], ids=["its grace", "a second signal"])
def test_a_fork_server_that_is_stopped_does_not_keep_the_master(start: Start, again: bool) -> None:
    """SIGSTOP: the stop ends with its grace, or at the second signal, and says what was left."""
    i = start("--spooler-quiet", "--stop-grace", "1" if not again else "600")
    i.put("note('in'); gate('never')")
    i.wait_runs("in")
    (server,) = i.fork_servers()
    os.kill(server, signal.SIGSTOP)
    i.send(signal.SIGINT)
    i.spawned.wait_output("1 running")
    if again:
        poll_until(lambda: (i.send(signal.SIGINT), "again: ending at once" in i.output())[1], what="the second one")
    status = i.spawned.wait_exit(30)
    i.spawned.assert_nothing_left()
    assert status == (128 + signal.SIGINT if again else 1)
    assert "does not end: it is killed" in i.output()
    assert len(i.tasks()) == 1


def test_a_fork_server_that_is_stopped_when_new_code_comes(start: Start) -> None:
    """It is killed with its spooler when the mercy is over; nothing speaks of that spooler any more, its task runs."""
    i = start(
        "--spooler-quiet", "--reload-mercy", "1", "--touch-spoolers-reload", "touched", "--spooler-frequency", "600"
    )
    i.put("note('in', os.getpid()); gate('open')")
    i.wait_count(1)
    (old,) = i.workers()
    (server,) = i.fork_servers()
    os.kill(server, signal.SIGSTOP)
    (i.home / "touched").touch()
    i.spawned.wait_output("does not end: it is killed, and 1 of its spoolers")
    i.wait_count(2)
    i.open_gate("open")
    i.wait_empty()
    poll_until(lambda: len(i.workers()) == 1, what="the end of what the scoreboard says of the old one")
    assert i.workers() != [old]
    assert [pid for _, pid in map(str.split, i.runs())] == [str(old), str(i.workers()[0])]


def test_an_end_that_hangs_does_not_keep_the_place_of_the_next(start: Start, home_app: str) -> None:
    """What the app does at the end of a process (atexit) has the time of a stop; then another spooler comes."""
    app = home_app + "import atexit\natexit.register(lambda: (note('hangs'), time.sleep(600)))\n"
    i = start("--spooler-quiet", "--spooler-max-tasks", "1", "--stop-grace", "1", app=app)
    i.put("note('one')")
    i.wait_runs("hangs")
    i.put("note('two')")
    i.wait_runs("two")
    assert i.stop() in (0, 1)


def test_a_served_directory_that_becomes_a_link(start: Start) -> None:
    """Moved to another disk, with a link in its place: it is served through the link, as by uWSGI."""
    i = start("--spooler-quiet", "--spooler-frequency", "1")
    i.wait_workers(1)
    real = i.spool.with_name("real")
    i.spool.rename(real)
    i.spool.symlink_to(real)
    i.put(AFTER)
    i.wait_runs("after")
    assert "served again" not in i.output()


def test_a_task_of_a_very_long_path_that_kills_is_slowed(start: Start) -> None:
    """Its name on the scoreboard is whole, so that its deaths are counted and the others run."""
    i = start("--spooler-quiet", "--spooler-ordered", "--spooler-frequency", "600")
    deep = "/".join(["1" * 200] * 4)
    (i.spool / deep).mkdir(parents=True)
    path = i.put("os._exit(9)", priority=deep)
    i.spawned.wait_output("(poison-task)")
    i.put(AFTER)
    i.wait_runs("after")
    assert os.path.exists(path)


@pytest.mark.needs("pid-namespace")
def test_what_a_task_has_left_is_reaped_by_process_one(tmp_path: Path, home: Path) -> None:
    """As process 1 of a container, where nobody else does."""
    code = (
        "import subprocess, time\n"
        "for n in range(5):\n    p = os.fork()\n    if not p:\n        os.fork() or os._exit(0)\n        os._exit(0)\n"
        "    os.waitpid(p, 0)\n"
    )
    (home / "spool").mkdir()
    put(home / "spool", code)
    put(
        home / "spool",
        "import subprocess\nrows = []\nfor n in range(500):\n"
        "    rows = subprocess.run(['ps', '-eo', 'ppid=,stat='], capture_output=True, text=True).stdout.splitlines()\n"
        "    rows = [row for row in rows if row.split()[0] == '1' and 'Z' in row]\n"
        "    if not rows: break\n    time.sleep(0.01)\nnote('zombies', rows)",
    )
    words = [sys.executable, "-m", "spoolsim", "run", "--spooler", "spool", "--import", "app", "--drain"]
    done = subprocess.run([*PROCESS_ONE, *words], cwd=home, env=environment(home), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (home / "runs").read_text().splitlines() == ["zombies []"]
