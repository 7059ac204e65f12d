"""Harakiri: who takes too long is killed, and nobody else is."""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
from collections import Counter, defaultdict

import pytest

from tests import size
from tests.conftest import Spawn, WaitFor
from tests.process.conftest import Instance, Start, state

WORKERS = 12
RACES = size(150, 48)
#: harakiri in seconds, and how far around it the staged tasks end
LIMIT = 1.0
AROUND = 0.020

#: signals take 5 ms to be sent
SLOW_KILL = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=kill", "-e", "inject=kill:delay_enter=5000"]

HARAKIRI = "*** HARAKIRI ON THE SPOOLER (pid: {}) ***"

#: ends right at the deadline the first time, and at once the second
RACER = """\
name = env[b"n"].decode()
apart = time.time() - time.monotonic()  # or less, where a busy machine comes between: then the deadline is early
deadline = uwsgi._spoolsim.harakiri_word.__self__.words[5] / 1e9
note("begin", name, os.getpid(), time.time(), deadline + apart)
mark = os.path.join(os.environ["GATES"], name)
if not os.path.exists(mark):
    open(mark, "w").close()
    time.sleep(max(deadline - time.monotonic() + float(env[b"beside"]), 0))
note("end", name, os.getpid(), time.time(), 0)
"""

#: is never done the first time
STUCK = """\
note("begin", os.getpid())
mark = os.path.join(os.environ["GATES"], "mark")
if not os.path.exists(mark):
    open(mark, "w").close()
    {}
note("done", os.getpid())
"""


@pytest.mark.parametrize(
    "stuck",
    [
        "time.sleep(600)",
        "while True: pass",
        "ctypes.PyDLL(None).sleep(600)",
        "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65)); ctypes.PyDLL(None).pause()",
        "threading.Thread(target=time.sleep, args=[600]).start(); threading.Event().wait()",
    ],
    ids=["sleep", "loop", "in C, holding the GIL", "in C, all signals blocked", "threads"],
)
def test_whatever_it_is_stuck_in(start: Start, wait_for: WaitFor, stuck: str) -> None:
    """A handler that is stuck, in Python or in C, is killed, and its task is run again by the next process."""
    it = start("--spooler-harakiri", "1")
    it.put(STUCK.format(stuck))
    wait_for(lambda: any(line.startswith("done") for line in it.runs()), 30, "the second run")
    first, second, done = (line.split()[1] for line in it.runs())
    assert first != second == done
    assert HARAKIRI.format(first) in it.output()
    assert it.output().count("HARAKIRI") == 1
    it.wait_empty()
    assert it.stop() == 0


def test_never_early(start: Start) -> None:
    """Tasks that stay below the limit, one after the other for longer than it, are left alone."""
    it = start("--spooler-harakiri", "1", "--spooler-processes", "4")
    it.wait_workers(4)
    for n in range(24):
        it.put(f"note({n}); time.sleep(0.4)")
    it.wait_count(24, timeout=60)
    it.wait_empty()
    assert "HARAKIRI" not in it.output()
    assert len(it.runs()) == 24
    assert it.stop() == 0


@pytest.mark.parametrize("how", ["calm", "contended", "staged"])
def test_races(start: Start, spawn: Spawn, how: str) -> None:
    """Of tasks that end at their very deadline some are killed, some not: never another task, and none is lost.

    Staged: between the look at a deadline and the signal lie milliseconds, in which the task ends.
    """
    if how == "contended":
        for _ in range(os.cpu_count() or 2):
            spawn([sys.executable, "-c", "import os; os.nice(19)\nwhile True: pass"])
    elif how == "staged" and not shutil.which("strace"):
        pytest.skip("strace is missing, which stages it: `python -m tests` installs it where it can")
    options = ("--spooler-harakiri", "1", "--spooler-processes", str(WORKERS), "--spooler-quiet", "--log-style=json")
    it = start(*options, prefix=SLOW_KILL).behind() if how == "staged" else start(*options)
    it.wait_workers(WORKERS)
    spread = random.Random(20)
    for n in range(RACES):
        # a busy machine is late for each deadline: some have time for that
        beside = spread.uniform(-AROUND, AROUND) - (LIMIT / 2 if n % 8 == 0 else 0)
        it.put(RACER, n=str(n), beside=str(beside))
    it.wait_empty(90)
    assert it.stop() == 0
    judge(it)


def judge(it: Instance) -> None:
    """Fail when a task never ended, or a process was killed during any other task than one over its deadline."""
    begun: dict[str, list[tuple[float, float, str]]] = defaultdict(list)  # by pid, in order
    runs: dict[str, int] = defaultdict(int)  # by task
    ended: dict[str, tuple[str, float]] = {}  # by task: who ended it, and when
    for line in it.runs():
        what, name, pid, at, deadline = line.split()
        if what == "begin":
            begun[pid].append((float(at), float(deadline), name))
            runs[name] += 1
        else:
            ended[name] = pid, float(at)
    assert ended.keys() == {str(n) for n in range(RACES)}, "tasks were lost"
    kills: dict[str, float] = {}
    for line in it.output().splitlines():
        if "HARAKIRI" in line:
            said = json.loads(line)
            kills[said["text"].split("pid: ")[1].split(")")[0]] = said["time"]
    assert kills, "no task was ever killed: these were no races"
    assert len(kills) < RACES, "every task was killed: these were no races"
    struck = []
    for pid, killed in kills.items():
        before = [one for one in begun[pid] if one[0] <= killed]
        if not before:
            continue  # a busy machine held it up for all of its time before the handler's first line
        begin, deadline, name = last = before[-1]
        # the two clocks may be set a little apart meanwhile
        assert killed > deadline - 0.1, f"killed in a task that ran for {killed - begin:.3f} s: {name}"
        assert begun[pid][-1] == last, "a killed process went on"
        by, at = ended[name]
        if by == pid and killed > at + LIMIT - 0.1:
            continue  # as long was it held up before the first line of another task
        struck.append(name)
    # who is killed during its task runs again, also on a machine so busy that its quick second run is over the deadline
    assert {name: count - 1 for name, count in runs.items() if count > 1} == Counter(struck)


def test_user_harakiri_kills(start: Start, wait_for: WaitFor) -> None:
    """set_user_harakiri(1) ends a task that takes longer, without any option."""
    it = start()
    it.put(STUCK.format("uwsgi.set_user_harakiri(1); time.sleep(600)"))
    wait_for(lambda: any(line.startswith("done") for line in it.runs()), 30, "the second run")
    assert HARAKIRI.format(it.runs()[0].split()[1]) in it.output()
    it.wait_empty()
    assert it.stop() == 0


def test_user_harakiri_is_disarmed(start: Start) -> None:
    """set_user_harakiri(0) takes it back: the task may then take its time."""
    it = start()
    it.put("uwsgi.set_user_harakiri(1); uwsgi.set_user_harakiri(0); time.sleep(3); note('done')")
    it.wait_runs("done")
    assert "HARAKIRI" not in it.output()
    assert it.stop() == 0


def test_user_harakiri_left_armed(start: Start, wait_for: WaitFor) -> None:
    """As in uWSGI it strikes later, though the task is over; that is said, and nothing is lost."""
    it = start()
    it.put("uwsgi.set_user_harakiri(1); note('done')")
    it.wait_runs("done")
    (pid,) = it.wait_workers(1)
    wait_for(lambda: state(pid) in ("", "Z"), 20, "the end of the idle process")
    it.spawned.wait_output("(user-harakiri-armed)")
    it.put("note('after')")
    it.wait_runs("after")
    assert it.stop() == 0


def test_harakiri_goes_on_after_the_death_of_the_master(start: Start) -> None:
    """The fork server of a killed master kills a stuck task at its deadline, and then nothing remains."""
    it = start("--spooler-harakiri", "1", orphans_ok=True)
    it.put("note('begin'); time.sleep(600)")
    it.wait_runs("begin")
    os.kill(it.pid, 9)
    it.spawned.wait_exit()
    it.spawned.assert_nothing_left(15)
    assert "HARAKIRI" in it.output()
    assert len(it.tasks()) == 1
