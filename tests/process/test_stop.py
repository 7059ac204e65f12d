"""Stopping, reloading, and what remains when something is killed in the middle of a task."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from spoolsim.work.scoreboard import HARAKIRI, LEAVE, STARTED
from tests.conftest import Spawn, WaitFor, poll_until
from tests.process.conftest import Instance, Start, children, descriptors, environment, put, state
from tests.soak.look import board_file, seats_in

#: nothing may remain so many seconds after the kill; what would go on by itself goes on for longer
REMAINS = 90.0


def busy(it: Instance, name: str, seconds: float = 0) -> None:
    """Put a task that waits for the gate of its name (or so many seconds), and wait until it runs."""
    wait = f"time.sleep({seconds})" if seconds else f"gate({name!r})"
    it.put(f"note('begin', {name!r}, os.getpid()); {wait}; note('end', {name!r}, os.getpid())")
    poll_until(lambda: any(line.startswith(f"begin {name} ") for line in it.runs()), 30, f"the task {name}")


def gone(it: Instance, server: int) -> None:
    """Wait until this fork server is buried."""
    poll_until(lambda: server not in it.fork_servers(), 20, "the burial")


def ended(it: Instance, name: str) -> list[str]:
    """The pids of the processes that finished the task of this name."""
    return [line.split()[2] for line in it.runs() if line.startswith(f"end {name} ")]


# ---- asked to stop ----


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGQUIT])
def test_the_first_signal_lets_the_running_task_finish(start: Start, number: int) -> None:
    """The running task ends and is removed, the one behind it is not begun, and the exit status is 0."""
    it = start()
    busy(it, "one")
    it.put("note('two')")
    it.send(number)
    it.spawned.wait_output("1 running")
    assert it.spawned.alive()
    it.open_gate("one")
    assert it.spawned.wait_exit(20) == 0
    it.spawned.assert_nothing_left()
    assert len(ended(it, "one")) == 1
    assert "two" not in it.runs()
    assert len(it.tasks()) == 1


#: a sitecustomize.py: the signal arrives right behind the call that sets the handler for it
STRIKES_BEHIND_HANDLER = """\
import os, signal
set_handler = signal.signal
def signal_signal(number, handler):
    before = set_handler(number, handler)
    if number == {number} and getattr(handler, "__module__", "") == "spoolsim.processes.{module}":
        os.kill(os.getpid(), number)
    return before
signal.signal = signal_signal
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGQUIT])
def test_a_stop_in_the_moment_of_the_start(start: Start, home: Path, number: int) -> None:
    """A signal that comes as the first handlers are set is not lost."""
    (home / "sitecustomize.py").write_text(STRIKES_BEHIND_HANDLER.format(number=int(number), module="loop"))
    it = start(env={"PYTHONPATH": str(home)})
    assert it.spawned.wait_exit(30) in (0, 1)
    it.spawned.assert_nothing_left()
    assert "goodbye to uWSGI." in it.output()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT])
def test_a_signal_as_the_fork_server_begins_to_serve(start: Start, home: Path, number: int) -> None:
    """Taken for the master, it passes the signal on from its first moment."""
    (home / "sitecustomize.py").write_text(STRIKES_BEHIND_HANDLER.format(number=int(number), module="forkserver"))
    it = start(env={"PYTHONPATH": str(home)})
    assert it.spawned.wait_exit(30) == 0
    it.spawned.assert_nothing_left()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2])
def test_a_signal_as_the_fork_server_starts(start: Start, home: Path, number: int) -> None:
    """The process group's Ctrl-C, or its hang-up, does not strike an interpreter that has no handlers yet."""
    (home / "sitecustomize.py").write_text(
        "import os, signal, sys\n"
        "if '-c' in sys.orig_argv and 'forkserver' in sys.orig_argv[-1]:\n"
        f"    os.kill(os.getpid(), {int(number)})\n"
    )
    it = start(env={"PYTHONPATH": str(home)})
    it.put("note('ran')")
    it.wait_runs("ran")
    assert it.stop() == 0
    assert "Traceback" not in it.output()
    assert "fork server" not in it.output()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_second_signal_ends_at_once(start: Start, wait_for: WaitFor, number: int) -> None:
    """The task is killed and stays in the spool, and the exit status is 128 + the signal's number."""
    it = start("--stop-grace", "60")
    busy(it, "one")
    it.send(number)
    it.spawned.wait_output("1 running")

    def again() -> bool:
        if not (heard := "ending at once" in it.output()):
            it.send(number)
        return heard

    wait_for(again, 20, "the second one to be heard")
    assert it.spawned.wait_exit() == 128 + number
    it.spawned.assert_nothing_left()
    assert not ended(it, "one")
    assert len(it.tasks()) == 1


def test_two_signals_of_one_key_press_are_one(start: Start) -> None:
    """What comes again within a moment (through the group, and through a wrapper) does not end the task."""
    it = start("--stop-grace", "60")
    busy(it, "one")
    it.send(signal.SIGINT)
    it.send(signal.SIGINT)
    it.spawned.wait_output("1 running")
    it.open_gate("one")
    assert it.spawned.wait_exit(20) == 0
    assert ended(it, "one")


def test_the_grace_ends(start: Start) -> None:
    """A task that takes longer than --stop-grace is killed, stays in the spool, and the exit status is 1."""
    it = start("--stop-grace", "0.5")
    busy(it, "one")
    it.send(signal.SIGINT)
    assert it.spawned.wait_exit(20) == 1
    it.spawned.assert_nothing_left()
    assert len(it.tasks()) == 1


def test_idle_spoolers_stop_at_once(start: Start) -> None:
    """With nothing running nothing is waited for, and the exit status is 0."""
    it = start("--spooler-processes", "3", "--stop-grace", "60")
    it.wait_workers(3)
    assert it.stop() == 0
    assert "running" not in it.output()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_during_the_import_does_not_wait_for_it(start: Start, home_app: str, number: int) -> None:
    """An import that hangs is ended with the rest."""
    it = start(app=home_app + "note('importing')\ntime.sleep(300)\n")
    it.wait_runs("importing")
    it.send(number)
    assert it.spawned.wait_exit(15) in (0, 1)
    it.spawned.assert_nothing_left()


def test_stop_ends_a_back_off(start: Start, home_app: str) -> None:
    """A slot that waits out a crash loop is no reason to wait."""
    it = start("--stop-grace", "60", app=home_app + "uwsgi.post_fork_hook = lambda: os._exit(1)\n")
    it.spawned.wait_output("OOOPS", n=6, timeout=30)
    assert it.stop(timeout=8) == 0


# ---- reloading ----


def versioned(it: Instance, app: str, version: str) -> None:
    """The app's code becomes another one."""
    (it.home / "app.py").write_text(f"{app}\nVERSION = {version!r}\n")


def test_hangup_reloads(start: Start, home_app: str, wait_for: WaitFor) -> None:
    """New code answers from a new fork server; the task that runs meanwhile finishes in the old one."""
    it = start(app=home_app + "\nVERSION = 'one'\n")
    busy(it, "long")
    (old,) = it.fork_servers()
    versioned(it, home_app, "number two")
    it.send(signal.SIGHUP)
    wait_for(lambda: len(it.workers()) == 2, 30, "the new process beside the old one")
    it.put("note('version', VERSION)")
    it.wait_runs("version number two")
    assert not ended(it, "long")
    it.open_gate("long")
    wait_for(lambda: ended(it, "long"), 30, "the end of the long task")
    wait_for(lambda: it.fork_servers() != [old] and len(it.fork_servers()) == 1, 30, "the end of the old fork server")
    it.wait_workers(1)
    assert len(ended(it, "long")) == 1
    it.put("note('again', VERSION)")
    it.wait_runs("again number two")
    assert it.stop() == 0


def test_broken_code_does_not_replace_working_code(start: Start, home_app: str, wait_for: WaitFor) -> None:
    """A reload whose import fails is said, the old code goes on, and the next reload that works takes over."""
    it = start(app=home_app + "\nVERSION = 'one'\n")
    it.wait_workers(1)
    (it.home / "app.py").write_text("import uwsgi\nraise RuntimeError('not yet')\n")
    it.send(signal.SIGHUP)
    it.spawned.wait_output("still serving the old code", timeout=30)
    assert "not yet" in it.output()
    wait_for(lambda: len(it.fork_servers()) == 1, 30, "the end of the fork server that failed")
    it.put("note('version', VERSION)")
    it.wait_runs("version one")
    versioned(it, home_app, "number two")
    it.send(signal.SIGHUP)
    wait_for(lambda: _answers(it, "number two"), 30, "the new code")
    assert it.stop() == 0


def _answers(it: Instance, version: str) -> bool:
    it.put("note('now', VERSION)")
    return f"now {version}" in it.runs()


def test_many_reloads_in_a_row(start: Start, home_app: str, wait_for: WaitFor) -> None:
    """However fast they come: one process in the end, of the newest code, no task lost, no process left over."""
    it = start("--spooler-processes", "2", app=home_app + "\nVERSION = 'v'\n")
    it.wait_workers(2)
    before = len(descriptors(it.pid))
    for n in range(12):
        versioned(it, home_app, "v" * (n + 2))
        it.put(f"note('task', {n})")
        it.send(signal.SIGHUP)
        it.wait_runs(f"task {n}")
    wait_for(lambda: _answers(it, "v" * 13), 30, "the newest code")
    wait_for(lambda: len(it.fork_servers()) == 1, 30, "the end of the old fork servers")
    wait_for(lambda: it.fork_servers() and sorted(children(it.fork_servers()[0])) == sorted(it.workers()), 30, "two")
    assert len(it.workers()) == 2
    wait_for(lambda: len(descriptors(it.pid)) == before, 20, "as many descriptors as before")
    it.wait_empty()
    assert it.stop() == 0


def test_reload_while_a_process_is_being_forked(start: Start, home_app: str, wait_for: WaitFor) -> None:
    """A process that was asked for before a reload and comes after it is replaced: never old code forever."""
    it = start("--spooler-max-tasks", "1", app=home_app + "\nVERSION = 'v'\n")
    it.wait_workers(1)
    for n in range(8):
        versioned(it, home_app, "v" * (n + 2))
        for _ in range(10):
            it.put("pass")
        it.send(signal.SIGHUP)
    it.wait_empty()
    wait_for(lambda: len(it.fork_servers()) == 1, 30, "the end of the old fork servers")
    wait_for(lambda: _answers(it, "v" * 9), 30, "the newest code")
    assert it.stop() == 0


def test_mercy_ends(start: Start, wait_for: WaitFor) -> None:
    """After reload-mercy seconds the old process is killed; its task is run by the new one."""
    it = start("--reload-mercy", "1")
    busy(it, "long")
    (pid,) = it.workers()
    it.send(signal.SIGHUP)
    wait_for(lambda: state(pid) in ("", "Z"), 30, "the end of the old process")
    it.open_gate("long")
    wait_for(lambda: ended(it, "long"), 15, "the task in the new process, before the poll")
    assert ended(it, "long") != [str(pid)]
    assert it.stop() == 0


def test_reloads_under_load_lose_nothing(start: Start, wait_for: WaitFor) -> None:
    """While tasks stream in and the code is reloaded again and again, each task runs exactly once."""
    it = start("--spooler-processes", "3", "--spooler-max-tasks", "7", "--spooler-quiet")
    it.wait_workers(3)
    for n in range(600):
        it.put(f"note('task', {n})")
        if n % 60 == 0:
            it.send(signal.SIGHUP)
    it.wait_empty(60)
    assert sorted(it.runs()) == sorted(f"task {n}" for n in range(600))
    wait_for(lambda: len(it.fork_servers()) == 1, 30, "the end of the old fork servers")
    it.wait_workers(3)
    assert it.stop() == 0


def test_a_stop_in_the_middle_of_a_reload(start: Start, home_app: str) -> None:
    """While the new code is being imported a stop ends the old and the new fork server."""
    it = start(app=home_app + "note('imported')\nif len(open(os.environ['RUNS']).readlines()) > 1: time.sleep(300)\n")
    it.wait_workers(1)
    it.send(signal.SIGHUP)
    it.wait_count(2)
    assert it.stop() == 0


def test_a_reload_whose_fork_server_is_killed(start: Start, home_app: str, wait_for: WaitFor) -> None:
    """The old code goes on, and the next reload is not blocked by the one that came to nothing."""
    app = home_app + "note('imported')\nif len(open(os.environ['RUNS']).readlines()) == 2: time.sleep(300)\n"
    it = start(app=app)
    it.wait_workers(1)
    (old,) = it.fork_servers()
    it.send(signal.SIGHUP)
    it.wait_count(2)
    (coming,) = set(it.fork_servers()) - {old}
    os.kill(coming, signal.SIGKILL)
    wait_for(lambda: it.fork_servers() == [old], 30, "the burial")
    it.put("note('old')")
    it.wait_runs("old")
    it.send(signal.SIGHUP)
    wait_for(lambda: len(it.fork_servers()) == 1 and it.fork_servers() != [old], 30, "the new fork server")
    it.put("note('new')")
    it.wait_runs("new")
    assert it.stop() == 0


def test_the_serving_fork_server_is_killed_during_a_reload(start: Start, home_app: str, wait_for: WaitFor) -> None:
    """The new one was to write to a scoreboard that went with the old: another one, with the new, takes its place."""
    app = home_app + "note('imported')\nif len(open(os.environ['RUNS']).readlines()) == 2: gate('import', 60)\n"
    it = start(app=app)
    it.wait_workers(1)
    (serving,) = it.fork_servers()
    it.send(signal.SIGHUP)
    it.wait_count(2)
    os.kill(serving, signal.SIGKILL)
    it.spawned.wait_output("the fork server was killed")
    it.open_gate("import")
    it.put("note('ran')")
    it.wait_runs("ran")
    it.wait_workers(1)
    wait_for(lambda: len(it.fork_servers()) == 1, 30, "one fork server")
    assert it.stop() == 0


def test_the_serving_fork_server_is_killed_when_the_next_is_ready(
    start: Start, home_app: str, wait_for: WaitFor
) -> None:
    """Both are told in one turn of the master, the death first: what the given up one had said counts no more."""
    late = "if len(open(os.environ['RUNS']).readlines()) == 3: gate('import', 60)\n"
    it = start(app=home_app + "note('imported')\n" + late + "note('loaded')\n")
    it.wait_workers(1)
    (serving,) = it.fork_servers()
    it.send(signal.SIGHUP)
    wait_for(lambda: it.runs().count("imported") == 2, 30, "the second import")
    (coming,) = set(it.fork_servers()) - {serving}
    it.send(signal.SIGSTOP)
    wait_for(lambda: state(it.pid) == "T", 30, "the stopped master")
    it.open_gate("import")
    wait_for(lambda: it.runs().count("loaded") == 2 and state(coming) == "S", 30, "its readiness")
    os.kill(serving, signal.SIGKILL)
    wait_for(lambda: state(serving) in ("", "Z"), 30, "the death")
    it.send(signal.SIGCONT)
    it.put("note('ran')")
    it.wait_runs("ran")
    wait_for(lambda: len(it.fork_servers()) == 1, 30, "one fork server")
    it.wait_workers(1)
    assert it.output().count("the fork server was killed") == 1
    assert it.stop() == 0


def test_the_next_fork_server_is_killed_too(start: Start, home_app: str, wait_for: WaitFor) -> None:
    """While it imports code that has served before: yet another one is tried, and the instance lives on."""
    app = home_app + "note('imported')\nif len(open(os.environ['RUNS']).readlines()) == 2: gate('import', 60)\n"
    it = start(app=app)
    it.wait_workers(1)
    (serving,) = it.fork_servers()
    os.kill(serving, signal.SIGKILL)
    it.wait_count(2)
    wait_for(lambda: len(it.fork_servers()) == 1 and it.fork_servers() != [serving], 30, "the next fork server")
    os.kill(it.fork_servers()[0], signal.SIGKILL)
    it.spawned.wait_output("ended before it was ready")
    it.put("note('ran')")
    it.wait_runs("ran")
    assert it.stop() == 0


# ---- signals to the others ----


def test_signals_to_a_spooler(start: Start, wait_for: WaitFor) -> None:
    """SIGHUP and SIGINT are nothing to it; SIGTERM ends it in the middle of its task, which another process runs."""
    it = start()
    busy(it, "one")
    (pid,) = it.workers()
    os.kill(pid, signal.SIGHUP)
    os.kill(pid, signal.SIGINT)
    assert state(pid) not in ("", "Z")
    os.kill(pid, signal.SIGTERM)
    it.open_gate("one")
    wait_for(lambda: ended(it, "one"), 30, "the task in the next process")
    begun = [line.split()[2] for line in it.runs() if line.startswith("begin one ")]
    assert begun[0] == str(pid)
    assert ended(it, "one") == begun[1:] != [str(pid)]
    assert it.stop() == 0


def test_a_signal_to_what_the_app_takes_for_the_master(start: Start) -> None:
    """SIGTERM to uwsgi.masterpid(), the fork server, stops the whole, as the same to the master does."""
    it = start()
    it.put("os.kill(uwsgi.masterpid(), signal.SIGTERM); note('sent')")
    assert it.spawned.wait_exit(30) == 0
    it.spawned.assert_nothing_left()
    assert it.runs() == ["sent"]


def test_an_interrupt_of_the_fork_server_alone(start: Start) -> None:
    """SIGINT to it is the terminal's, which the master has too: by itself it is nothing."""
    it = start()
    it.wait_workers(1)
    (server,) = it.fork_servers()
    os.kill(server, signal.SIGINT)
    it.put("note('still there')")
    it.wait_runs("still there")
    assert it.fork_servers() == [server]
    assert it.stop() == 0


# ---- killed ----


def kill_master(it: Instance) -> None:
    """kill -9 of the master."""
    os.kill(it.pid, signal.SIGKILL)


def kill_all_but_the_spoolers(it: Instance) -> None:
    """kill -9 of master and fork server at once."""
    (server,) = it.fork_servers()
    os.kill(it.pid, signal.SIGKILL)
    os.kill(server, signal.SIGKILL)
    poll_until(lambda: state(server) in ("", "Z"), what="the end of the fork server")


@pytest.mark.parametrize("strike", [kill_master, kill_all_but_the_spoolers])
def test_nothing_survives_a_killed_master(start: Start, home: Path, strike: Callable[[Instance], None]) -> None:
    """The running tasks finish, nothing else is begun, nothing remains; the next run starts cleanly on the rest."""
    (home / "spool").mkdir()
    for n in range(12):
        put(home / "spool", f"note('begin', {n}); gate('go'); note('end', {n})")
    it = start("--spooler-processes", "2", orphans_ok=True)
    it.wait_count(2)
    with board_file(it.spool, it.pid).open("rb") as scoreboard:
        strike(it)
        it.spawned.wait_exit()
        if strike is kill_master:  # the fork server notices it, and tells its spoolers to leave
            poll_until(lambda: sum(words[LEAVE] for words in seats_in(scoreboard)) == 2, what="two leaving spoolers")
    it.open_gate("go")
    it.spawned.assert_nothing_left()
    begun = {line.split()[1] for line in it.runs() if line.startswith("begin")}
    assert len(begun) == 2
    assert sorted(it.runs()[2:]) == sorted(f"end {n}" for n in begun)
    assert len(it.tasks()) == 10
    following = start("--drain")
    assert following.spawned.wait_exit(30) == 0
    assert sorted(line for line in it.runs() if line.startswith("end")) == sorted(f"end {n}" for n in range(12))
    assert os.listdir(it.spool / ".spoolsim" / "run") == []


#: as a stop finds it, and as nothing but the kernel can end it
SLEEPS = ["time.sleep(600)", "import ctypes; ctypes.PyDLL(None).sleep(600)"]


@pytest.mark.parametrize("sleep", SLEEPS, ids=["in Python", "in C"])
@pytest.mark.parametrize("late", [(), ("--spooler-import", "late")], ids=["import", "spooler-import"])
@pytest.mark.parametrize("strike", [kill_master, kill_all_but_the_spoolers])
def test_nothing_goes_on_importing(
    start: Start, home: Path, home_app: str, strike: Callable[[Instance], None], late: tuple[str, ...], sleep: str
) -> None:
    """Who is still importing the app when its parent is killed dies with it."""
    if late and strike is kill_master:
        late = (*late, "--stand-in-worker", "--spooler-processes", "2")
    hangs = f"import time\nfrom app import note\nnote('importing')\n{sleep}\n"
    (home / "late.py").write_text(hangs)
    app = home_app if late else home_app + hangs.replace("from app import note", "")
    it = start(*late, app=app, orphans_ok=True)
    it.wait_runs("importing")
    strike(it)
    it.spawned.wait_exit()
    it.spawned.assert_nothing_left(REMAINS)


def test_an_importing_spooler_does_not_outlive_its_fork_server(start: Start, home: Path, wait_for: WaitFor) -> None:
    """Only the fork server is killed: the spooler that is importing dies with it, another one imports again."""
    (home / "late.py").write_text("import os, time\nfrom app import note\nnote(os.getpid())\ntime.sleep(600)\n")
    it = start("--spooler-import", "late")
    it.wait_count(1)
    pid = int(it.runs()[0])
    os.kill(it.fork_servers()[0], signal.SIGKILL)
    wait_for(lambda: state(pid) in ("", "Z"), 20, "its end")
    it.wait_count(2)
    assert it.stop() == 0


def test_a_killed_fork_server_is_replaced(start: Start, wait_for: WaitFor) -> None:
    """Its spoolers finish their task and no more, a new fork server serves the rest, and the master goes on."""
    it = start("--spooler-harakiri", "30")
    busy(it, "a")
    (pid,) = it.workers()
    for n in range(30):
        it.put(f"note('rest', {n}, os.getpid()); time.sleep(0.1)")
    (server,) = it.fork_servers()
    os.kill(server, signal.SIGKILL)
    it.spawned.wait_output("the fork server was killed", timeout=20)
    it.open_gate("a")
    wait_for(lambda: ended(it, "a"), 20, "the end of the orphan's task")
    wait_for(lambda: state(pid) in ("", "Z"), REMAINS, "the end of the orphan")
    it.wait_count(32, timeout=60)
    it.wait_empty()
    rest = [line.split() for line in it.runs() if line.startswith("rest ")]
    assert sorted(int(words[1]) for words in rest) == list(range(30))
    assert str(pid) not in [words[2] for words in rest]
    assert ended(it, "a") == [str(pid)]
    (new,) = it.fork_servers()
    assert new != server
    it.wait_workers(1)
    assert it.stop() == 0


def test_orphans_leave_the_seat_of_the_new_process_alone(start: Start, wait_for: WaitFor) -> None:
    """The end of an orphan's task does not disarm the harakiri of the process that has its slot now."""
    it = start("--spooler-harakiri", "60")
    busy(it, "old")
    (orphan,) = it.workers()
    (server,) = it.fork_servers()
    os.kill(server, signal.SIGKILL)
    it.put("note('begin', 'new', os.getpid()); gate('new'); note('end', 'new', os.getpid())")
    wait_for(lambda: any(line.startswith("begin new") for line in it.runs()), 30, "the new process")
    armed = [words for words in it.seats() if words[HARAKIRI]]
    it.open_gate("old")
    wait_for(lambda: ended(it, "old") and state(orphan) in ("", "Z"), 30, "the end of the orphan")
    assert armed
    assert [words for words in it.seats() if words[HARAKIRI] and words[STARTED]] == armed
    assert it.workers() != [orphan]
    it.open_gate("new")
    wait_for(lambda: ended(it, "new"), 30, "the end of the new task")
    assert it.stop() == 0


def orphaned(it: Instance, name: str) -> int:
    """The spooler that runs the task of this name, its fork server killed and replaced."""
    (server,) = it.fork_servers()
    os.kill(server, signal.SIGKILL)
    gone(it, server)
    poll_until(lambda: len(it.fork_servers()) == 1, 20, "another fork server")
    return next(int(line.split()[2]) for line in it.runs() if line.startswith(f"begin {name} "))


@pytest.mark.parametrize("user", [False, True], ids=["option", "set_user_harakiri"])
def test_orphans_keep_their_harakiri(start: Start, wait_for: WaitFor, user: bool) -> None:
    """Also one that is stuck in C is killed at its deadline; its task is run at once by a process of the new server."""
    it = start("--spooler-frequency", "600", *(() if user else ("--spooler-harakiri", "4")))
    arm = "uwsgi.set_user_harakiri(4); " if user else ""
    stuck = "os.path.exists(os.environ['GATES'] + '/second') or ctypes.PyDLL(None).sleep(600)"
    it.put(f"note('begin', 'one', os.getpid()); {arm}{stuck}; note('end')")
    it.wait_count(1)
    orphan = orphaned(it, "one")
    it.open_gate("second")
    it.spawned.wait_output(f"*** HARAKIRI ON THE SPOOLER (pid: {orphan}) ***")
    it.wait_runs("end", timeout=20)
    assert state(orphan) in ("", "Z")
    it.wait_empty()
    assert it.stop() == 0


def test_a_stop_waits_for_orphans(start: Start) -> None:
    """They are counted, and may finish what they hold."""
    it = start()
    busy(it, "one")
    orphaned(it, "one")
    it.send(signal.SIGINT)
    it.spawned.wait_output("1 running")
    it.open_gate("one")
    assert it.spawned.wait_exit(20) == 0
    it.spawned.assert_nothing_left()
    assert len(ended(it, "one")) == 1
    assert not it.tasks()


def test_orphans_and_the_end_of_the_grace(start: Start) -> None:
    """Who has not finished then is named and killed, its task stays, and the status is 1."""
    it = start("--stop-grace", "0.5")
    busy(it, "one")
    orphan = orphaned(it, "one")
    it.send(signal.SIGINT)
    assert it.spawned.wait_exit(20) == 1
    it.spawned.assert_nothing_left()
    assert f"process {orphan}, of the killed fork server, is killed" in it.output()
    assert len(it.tasks()) == 1


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("strace"), reason="faults are injected by strace")
def test_orphans_that_cannot_be_signalled(start: Start, wait_for: WaitFor) -> None:
    """Where the system has no descriptor of a process they are named at the stop, and the status is 1."""
    fault = ["-e", "trace=pidfd_open", "-e", "inject=pidfd_open:error=ENOSYS"]
    no_pidfd = ["strace", "-f", "-qq", "-o", "/dev/null", *fault]
    it = start(prefix=no_pidfd, orphans_ok=True).behind()
    busy(it, "one")
    orphan = orphaned(it, "one")
    it.send(signal.SIGINT)
    it.spawned.wait_output(f"process {orphan}, of the killed fork server, cannot be ended from here: it goes on")
    wait_for(lambda: state(it.pid) in ("", "Z"), 20, "the end of the master")
    it.open_gate("one")
    assert it.spawned.wait_exit() == 1
    assert len(ended(it, "one")) == 1


def test_the_fork_server_of_a_leaving_process_is_killed(start: Start, wait_for: WaitFor) -> None:
    """After a reload: its task ends once, its seat is no other's until then, and the mercy still ends."""
    it = start("--reload-mercy", "5")
    busy(it, "one")
    (old,) = it.fork_servers()
    (pid,) = it.workers()
    it.send(signal.SIGHUP)
    wait_for(lambda: len(it.workers()) == 2, 30, "the new process beside the old one")
    os.kill(old, signal.SIGKILL)
    gone(it, old)
    it.put("note('new')")
    it.wait_runs("new")
    assert state(pid) not in ("", "Z")
    wait_for(lambda: state(pid) in ("", "Z"), 30, "the end of the mercy")
    it.open_gate("one")
    wait_for(lambda: ended(it, "one"), 15, "the task in the new process, before the poll")
    assert ended(it, "one") != [str(pid)]
    assert it.stop() == 0


def test_a_fork_server_killed_again_and_again(start: Start) -> None:
    """Every time another one comes, and tasks go on; the master's descriptors are as many as before."""
    it = start()
    it.wait_workers(1)
    before = len(descriptors(it.pid))
    for n in range(5):
        it.wait_workers(1)
        (server,) = it.fork_servers()
        os.kill(server, signal.SIGKILL)
        it.put(f"note('task', {n})")
        it.wait_runs(f"task {n}")
        gone(it, server)
    it.wait_workers(1)
    poll_until(lambda: len(descriptors(it.pid)) == before, 20, "as many descriptors as before")
    assert it.stop() == 0


def test_a_killed_fork_server_whose_import_left_a_child(start: Start, home_app: str) -> None:
    """A process that the app forked while it was imported does not keep the death of the fork server from us."""
    it = start(app=home_app + "if not os.fork():\n    gate('child')\n    os._exit(0)\n", orphans_ok=True)
    it.wait_workers(1)
    server = min(it.fork_servers())
    os.kill(server, signal.SIGKILL)
    it.put("note('served')")
    try:
        it.wait_runs("served", timeout=15)
    finally:
        it.open_gate("child")
    assert it.spawned.stop() == 0


#: makes its terminal the controlling one, then becomes the rest of its command line
_TAKE_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"
)


def on_a_terminal(spawn: Spawn, home: Path, *options: str, before: tuple[str, ...] = ()) -> tuple[Instance, int]:
    """An instance whose standard input is a terminal of its own; and the terminal's other end."""
    ours, theirs = os.openpty()
    (home / "spool").mkdir()
    run = [sys.executable, "-m", "spoolsim", "run", "--spooler", "spool", "--import", "app", *options]
    argv = [sys.executable, "-c", _TAKE_TERMINAL, *before, *run]
    spawned = spawn(argv, cwd=home, env=environment(home), stdin=theirs, orphans_ok=True)
    os.close(theirs)
    return Instance(spawned, home, [home / "spool"]), ours


def test_nothing_survives_its_terminal(start: Start, spawn: Spawn, home: Path) -> None:
    """The terminal is closed during a task: the task may finish, nothing remains, the rest is run by the next run."""
    it, terminal = on_a_terminal(spawn, home, "--spooler-processes", "2")
    it.wait_workers(2)
    busy(it, "a", 1.0)
    busy(it, "long", 600)
    for n in range(5):
        it.put(f"note('rest', {n})")
    os.close(terminal)
    it.spawned.wait_exit(REMAINS)
    it.spawned.assert_nothing_left(REMAINS)
    assert not ended(it, "long")
    for name in it.tasks():
        if b"long" in (it.spool / name).read_bytes():
            (it.spool / name).unlink()
            break
    else:
        pytest.fail("the killed task is gone")
    assert len(it.tasks()) in (5, 6)  # "a" may have been killed too
    following = start("--drain")
    assert following.spawned.wait_exit(30) == 0
    assert sorted(line for line in it.runs() if line.startswith("rest")) == [f"rest {n}" for n in range(5)]
    assert os.listdir(it.spool / ".spoolsim" / "run") == []


def test_nohup(spawn: Spawn, home: Path, wait_for: WaitFor) -> None:
    """Started to outlive its terminal it does; its end is a reload, as in uWSGI."""
    it, terminal = on_a_terminal(spawn, home, before=("nohup",))
    it.wait_workers(1)
    os.close(terminal)
    it.put("note('after')")
    it.wait_runs("after")
    wait_for(lambda: len(it.workers()) == 1 and len(it.fork_servers()) == 1, 30, "the reload")
    before = it.fork_servers()
    it.send(signal.SIGHUP)
    wait_for(lambda: len(it.fork_servers()) == 1 and it.fork_servers() != before, 30, "a reload of ours")
    assert it.stop() == 0


def test_control_c_on_a_terminal(spawn: Spawn, home: Path) -> None:
    """Ctrl-C reaches master, fork server and spoolers alike; still the running task finishes, and the status is 0."""
    it, terminal = on_a_terminal(spawn, home)
    try:
        it.wait_workers(1)
        busy(it, "one")
        os.write(terminal, b"\x03")
        it.spawned.wait_output("1 running")
        it.open_gate("one")
        assert it.spawned.wait_exit(20) == 0
        it.spawned.assert_nothing_left()
        assert len(ended(it, "one")) == 1
    finally:
        os.close(terminal)


def test_control_c_during_the_import(spawn: Spawn, home: Path, home_app: str) -> None:
    """It ends everything at once, without a traceback of the import that it struck."""
    (home / "app.py").write_text(home_app + "note('importing')\ntime.sleep(300)\n")
    it, terminal = on_a_terminal(spawn, home)
    try:
        it.wait_runs("importing")
        os.write(terminal, b"\x03")
        assert it.spawned.wait_exit(15) in (0, 1)
        it.spawned.assert_nothing_left()
        assert "Traceback" not in it.output()
    finally:
        os.close(terminal)


def test_a_hangup_with_a_terminal_that_is_there_reloads(spawn: Spawn, home: Path, wait_for: WaitFor) -> None:
    """kill -HUP is a reload also for an instance on a terminal."""
    it, terminal = on_a_terminal(spawn, home)
    try:
        it.wait_workers(1)
        before = it.fork_servers()
        it.send(signal.SIGHUP)
        wait_for(lambda: len(it.fork_servers()) == 1 and it.fork_servers() != before, 30, "another fork server")
        it.put("note('after')")
        it.wait_runs("after")
        assert it.stop() == 0
    finally:
        os.close(terminal)


def test_die_on_term(start: Start) -> None:
    """SIGTERM stops; without --die-on-term it is said that uWSGI would have reloaded."""
    it = start("--master", "--no-orphans", "--die-on-term", "--reload-mercy", "5")
    it.wait_workers(1)
    assert it.stop(signal.SIGTERM) == 0
    assert "(sigterm)" not in it.output()
    second = start()
    second.wait_workers(1)
    assert second.stop(signal.SIGTERM) == 0
    assert "(sigterm)" in second.output()
