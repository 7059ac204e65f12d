"""Spoolers that die, by the hundred and one after the other."""

from __future__ import annotations

import os
import signal

from spoolsim.work.scoreboard import HARAKIRI, PID, SERIAL, SPAWNS, STARTED, TASKS
from tests import size
from tests.conftest import WaitFor
from tests.process.conftest import Instance, Start, children, descriptors, state

WORKERS = 4
FROM_INSIDE = size(400, 80)
DEATHS = size(500, 100)

#: dies at the first run, in one of the ways below, and is done at the second
DEADLY = """\
mark = os.path.join(os.environ["GATES"], env[b"n"].decode())
if os.path.exists(mark):
    note("done", env[b"n"].decode())
else:
    open(mark, "w").close()
    {}
"""
WAYS = ("sys.exit(3)", "ctypes.string_at(0)", "os._exit(0)", "os.kill(os.getpid(), signal.SIGKILL)")
GATE = "def gate_is_open():\n    return os.path.exists(os.path.join(os.environ['GATES'], 'go'))\n"
#: a segmentation fault leaves no core file
QUIET = "import resource\nresource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n"


def consistent(it: Instance) -> None:
    """Fail unless the scoreboard says just what the process table says: every pid a living child, nothing under way."""
    (server,) = it.fork_servers()
    living = children(server)
    assert sorted(it.workers()) == sorted(living)
    assert {state(pid) for pid in living} == {"S"}
    for words in it.seats():
        assert words[STARTED] == words[HARAKIRI] == 0
        assert words[SERIAL] % 2 == 0


def test_five_hundred_deaths(start: Start, home_app: str, wait_for: WaitFor) -> None:
    """After 500 deaths of every kind (100 without --full) all is done, and process table, descriptors and scoreboard
    are as before.
    """
    it = start("--spooler-processes", str(WORKERS), "--spooler-quiet", app=home_app + QUIET)
    it.wait_workers(WORKERS)
    (server,) = it.fork_servers()
    before = [len(descriptors(pid)) for pid in (it.pid, server)]
    numbers = [str(n) for n in range(FROM_INSIDE)]
    for n in numbers:
        it.put(DEADLY.format(WAYS[int(n) % len(WAYS)]), n=n)
    struck: set[int] = set()

    def strike() -> bool:
        """One SIGKILL from outside, to a process that has done something; or a task for one to do. Is it enough?"""
        if sum(words[SPAWNS] for words in it.seats()) >= WORKERS + DEATHS:
            return True
        for words in it.seats():
            if words[PID] and words[TASKS] and words[PID] not in struck:
                try:
                    os.kill(words[PID], signal.SIGKILL)
                except ProcessLookupError:
                    continue  # buried just now
                struck.add(words[PID])
                return False
        if not it.tasks():
            it.put("pass")
        return False

    wait_for(strike, 60, f"{DEATHS} deaths")
    it.wait_empty(60)
    it.wait_workers(WORKERS)
    assert {line.split()[1] for line in it.runs()} == set(numbers)
    assert len(struck) > DEATHS - FROM_INSIDE
    assert it.fork_servers() == [server]
    consistent(it)
    wait_for(lambda: [len(descriptors(pid)) for pid in (it.pid, server)] == before, 20, "as many descriptors as before")
    assert it.stop() == 0


def test_a_crash_loop_is_slowed_and_named(start: Start) -> None:
    """Tasks that always end their process make the spooler pause, with the reason; the other directory's goes on."""
    it = start(spools=("bad", "good"))
    it.wait_workers(2)
    for _ in range(4):
        it.put("os._exit(1)")
    it.spawned.wait_output("(crash-loop)", timeout=30)
    assert "4 deaths in a row without a task done" in it.output()
    for n in range(20):
        it.put(f"note('good', {n})", it.spools[1])
        it.wait_runs(f"good {n}")
    assert len(it.tasks(it.spools[0])) == 4
    bad, good = it.seats()[0], it.seats()[2]
    assert good[SPAWNS] == 1
    assert bad[SPAWNS] < 20
    assert it.stop() == 0
    assert len(it.tasks(it.spools[0])) == 4


def test_a_crash_loop_ends_when_its_cause_does(start: Start, home_app: str) -> None:
    """When a process can work again the pauses are over: a death after work is answered at once."""
    it = start(app=home_app + "uwsgi.post_fork_hook = lambda: gate_is_open() or os._exit(1)\n" + GATE)
    it.put("note('done')")
    it.spawned.wait_output("(crash-loop)", timeout=30)
    it.open_gate("go")
    it.wait_runs("done")
    (pid,) = it.wait_workers(1)
    os.kill(pid, signal.SIGKILL)
    it.put("note('after')")
    it.wait_runs("after")
    assert it.output().count("OOOPS") == it.seats()[0][SPAWNS] - 1
    assert it.stop() == 0


def test_recycling_goes_on_without_a_pause(start: Start) -> None:
    """spooler-max-tasks: 40 tasks by 20 processes of 2 tasks each, however long the poll."""
    it = start("--spooler-max-tasks", "2", "--spooler-frequency", "600")
    for n in range(40):
        it.put(f"note('ran', {n}, os.getpid())")
    it.wait_count(40)
    it.wait_empty()
    by_process = [line.split()[2] for line in it.runs()]
    assert sorted(line.split()[1] for line in it.runs()) == sorted(str(n) for n in range(40))
    assert [by_process.count(pid) for pid in dict.fromkeys(by_process)] == [2] * 20
    it.wait_workers(1)
    assert it.seats()[0][SPAWNS] == 21
    assert "crash-loop" not in it.output()
    assert it.stop() == 0
