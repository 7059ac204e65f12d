"""Waking: every idle spooler hears of every task at once, wherever it comes from; the poll is never waited for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from spoolsim import system
from spoolsim.spool import file
from tests import size
from tests.conftest import WaitFor, poll_until
from tests.oracle.packets import PREFIX, packet
from tests.process.conftest import Instance, Start

#: single tasks, one at a time; the long version is 20,000
TASKS = int(os.environ.get("SPOOLSIM_WAKE_TASKS", size("3000", "600")))
#: seconds between two polls: a task that waited for it would be seen
POLL = 600
#: far below POLL, far above what a busy machine needs
SOON = 120.0

#: enqueues one task after the other, each when the one before it is gone; prints how long the slowest took
PRODUCER = """\
import os, sys, time
from spoolsim.spool import file
from tests.oracle.packets import packet
spool, count, limit = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
data = packet({b"code": b"pass"})
worst = 0.0
for n in range(count):
    path = file.write(spool, file.next_name(), data)
    begin = time.monotonic()
    while os.path.exists(path):
        taken = time.monotonic() - begin
        if taken > limit:
            sys.exit(f"task {n} waited for {taken:.1f} s")
        time.sleep(0.0001 * (n % 4))
    worst = max(worst, time.monotonic() - begin)
    time.sleep(0.0004 * (n % 5))  # now in their scan, now on the way to their wait, now waiting
print(f"worst: {worst * 1000:.1f} ms")
"""


def idle(start: Start, *options: str, processes: int = 2) -> Instance:
    """So many idle spoolers that poll once in ten minutes."""
    it = start("--spooler-processes", str(processes), "--spooler-frequency", str(POLL), "--spooler-quiet", *options)
    it.wait_workers(processes)
    return it


def test_no_wake_up_is_lost(start: Start) -> None:
    """Many single tasks, each enqueued by another process when the last is gone: none waits for the poll."""
    it = idle(start)
    run = [sys.executable, "-c", PRODUCER, str(it.spool), str(TASKS), str(SOON)]
    done = subprocess.run(run, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    it.wait_workers(2)
    assert it.stop() == 0


@pytest.mark.parametrize("count", [2, 4])
def test_each_idle_spooler_is_woken(start: Start, wait_for: WaitFor, count: int) -> None:
    """As many tasks of one moment as there are idle processes are begun at once, each by another one."""
    it = idle(start, processes=count)
    for n in range(count):
        it.put(f"note('begin', {n}, os.getpid()); gate('go'); note('end', {n})")
    wait_for(lambda: len(it.runs()) == count, SOON, "all of them at once")
    assert {line.split()[1] for line in it.runs()} == {str(n) for n in range(count)}
    assert len({line.split()[2] for line in it.runs()}) == count
    it.open_gate("go")
    it.wait_runs(*(f"end {n}" for n in range(count)))
    assert it.stop() == 0


def test_a_file_moved_in_by_another_program(start: Start, home: Path) -> None:
    """A task that is written elsewhere and renamed into the directory runs at once."""
    it = idle(start)
    for n in range(20):
        (home / "made").write_bytes(packet({b"code": f"note({n})".encode()}))
        (home / "made").rename(it.spool / f"{PREFIX}moved_{n}")
        it.wait_runs(str(n), timeout=SOON)
    assert it.stop() == 0


@pytest.mark.parametrize("pause", [0.0, 0.002, 0.02])
def test_a_file_written_in_place_slowly(start: Start, pause: float, wait_for: WaitFor) -> None:
    """A task that another program creates, and fills a moment later in one write, runs soon; not before it is whole."""
    it = idle(start)
    code = f"""\
import os, sys, time
for n in range(20):
    name = os.path.join(sys.argv[1], "{PREFIX}slow_%d" % n)
    fd = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    time.sleep({pause})
    data = bytes.fromhex(sys.argv[2])
    os.write(fd, data)
    os.close(fd)
    end = time.monotonic() + {SOON}
    while os.path.exists(name) and time.monotonic() < end:
        time.sleep(0.001)
    if os.path.exists(name):
        sys.exit("%d waits" % n)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(it.spool), packet({b"code": b"note(env['spooler_task_name'])"}).hex()],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    wait_for(lambda: len(it.runs()) == 20, SOON, "20 runs")
    assert len(set(it.runs())) == 20
    assert not (it.spool / ".spoolsim" / "broken").exists()
    assert it.stop() == 0


def test_a_file_that_takes_its_time(start: Start) -> None:
    """One that stays empty for long is left to the poll, runs then, and makes nobody spin meanwhile."""
    it = start("--spooler-frequency", "1")
    (pid,) = it.wait_workers(1)
    path = it.spool / f"{PREFIX}later"
    path.touch()
    before = _cpu(pid)
    polls = _switches(pid) + 8
    poll_until(lambda: _switches(pid) > polls, SOON, "some polls")
    assert _cpu(pid) - before < 50  # of ticks, 1/100 s: it waited, it did not spin
    path.write_bytes(packet({b"code": b"note('late')"}))
    it.wait_runs("late", timeout=SOON)
    assert it.stop() == 0


def _cpu(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _switches(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("\nvoluntary_ctxt_switches:")[1].split()[0])


def test_a_task_enqueued_by_a_task(start: Start) -> None:
    """It runs when the running one is over, also with one process, ordered or not; a chain of them too."""
    for options in ((), ("--spooler-ordered",)):
        it = idle(start, *options, processes=1)
        name = "o" if options else "u"
        it.put(
            f"n = int(env[b'n']); note('{name}', n)\n"
            "if n < 30: uwsgi.spool({b'code': env[b'code'], b'n': str(n + 1).encode()})",
            n="0",
        )
        it.wait_runs(*(f"{name} {n}" for n in range(31)), timeout=SOON)
        assert it.stop() == 0


def test_a_task_enqueued_while_the_spooler_is_busy(start: Start) -> None:
    """It runs when the running one ends; how long production would have waited is said."""
    it = idle(start, processes=1)
    it.put("note('begin'); gate('go')")
    it.wait_runs("begin")
    it.put("note('second')")
    put = max(os.stat(path).st_mtime for path in it.spool.iterdir())
    poll_until(lambda: system.file_time() > put, what="a file's time that is later")
    it.open_gate("go")
    it.wait_runs("second", timeout=SOON)
    it.spawned.wait_output("(busy-wait)")
    assert f"up to {POLL} s" in it.output()
    assert it.stop() == 0


@pytest.mark.parametrize("ordered", [[], ["--spooler-ordered"]], ids=["unordered", "ordered"])
def test_tasks_of_an_idle_spooler_are_not_said_to_have_waited(start: Start, ordered: list[str]) -> None:
    """uWSGI would have been woken by each of them."""
    it = idle(start, *ordered, processes=1)
    for n in range(3):
        it.put(f"note({n})")
        it.wait_runs(str(n), timeout=SOON)
        it.wait_workers(1)
    assert it.stop() == 0
    assert "(busy-wait)" not in it.output()


@pytest.mark.parametrize("ordered", [[], ["--spooler-ordered"]], ids=["unordered", "ordered"])
def test_a_task_that_stays_is_tried_once_for_each_wake_up(start: Start, ordered: list[str]) -> None:
    """As in uWSGI: the one that woke the spooler too, which is tried before the directory is read."""
    it = idle(start, *ordered, processes=1)
    for n in range(1, 4):
        it.put(f"note('again', {n}); result = uwsgi.SPOOL_RETRY")
        it.wait_runs(f"again {n}", timeout=SOON)
        it.wait_workers(1)
    it.put("note('last')")
    it.wait_runs("last", timeout=SOON)
    it.wait_workers(1)
    runs = it.runs()
    assert [runs.count(f"again {n}") for n in range(1, 4)] == [4, 3, 2]
    assert it.stop() == 0


def test_a_priority_of_a_task(start: Start) -> None:
    """Under spooler-ordered a task that a task enqueues into a priority directory, new or not, runs at once."""
    it = idle(start, "--spooler-ordered", processes=1)
    it.put("for p in (b'3', b'5', b'3'): uwsgi.spool({b'code': b'note(os.getcwd()[-2:])', b'priority': p})")
    it.wait_count(3, timeout=SOON)
    assert it.runs() == ["/3", "/3", "/5"]
    it.wait_workers(1)
    it.put("uwsgi.spool({b'code': b'note(\"again\")', b'priority': b'3'})")
    it.wait_runs("again", timeout=SOON)
    assert it.stop() == 0


def test_a_priority_of_the_command_line(start: Start, home: Path) -> None:
    """`spoolsim enqueue --priority` wakes the idle spoolers of a directory, from a process of its own."""
    it = idle(start, "--spooler-ordered")
    command = [sys.executable, "-m", "spoolsim", "enqueue", "--spooler", str(it.spool)]
    for n, more in enumerate(([], ["--priority", "7"], ["--priority", "7"], ["--priority", "0"])):
        subprocess.run([*command, *more, f"code=note({n})"], cwd=home, check=True, capture_output=True, timeout=300)
        it.wait_runs(str(n), timeout=SOON)
    assert it.stop() == 0


def test_the_poll_finds_what_no_event_told(start: Start) -> None:
    """A file dropped into a priority directory by hand, without a notice, is found by the poll."""
    it = start("--spooler-ordered", "--spooler-frequency", "1")
    (it.spool / "4").mkdir()
    it.wait_workers(1)
    file.write(str(it.spool / "4"), file.next_name(), packet({b"code": b"note('found')"}))
    it.wait_runs("found", timeout=SOON)
    assert it.stop() == 0


def test_the_frequency_is_set_by_a_task(start: Start) -> None:
    """set_spooler_frequency changes the wait of every process from its next one on; 0 goes back to the option's."""
    it = idle(start, "--spooler-ordered")
    (it.spool / "4").mkdir()
    it.put("note(uwsgi.set_spooler_frequency(1))")
    it.wait_runs("True")
    it.wait_workers(2)
    for n in range(2):
        file.write(str(it.spool / "4"), file.next_name(), packet({b"code": f"note('found', {n})".encode()}))
        it.wait_runs(f"found {n}", timeout=SOON)
    assert it.stop() == 0


def test_signal_from_outside(start: Start) -> None:
    """SIGUSR1 to a spooler makes it scan, as in uWSGI."""
    it = idle(start, "--spooler-ordered", processes=1)
    (it.spool / "4").mkdir()
    (pid,) = it.workers()
    file.write(str(it.spool / "4"), file.next_name(), packet({b"code": b"note('found')"}))
    os.kill(pid, 10)
    it.wait_runs("found", timeout=SOON)
    assert it.stop() == 0


def test_the_stand_in_worker_wakes_spoolers(start: Start, home_app: str) -> None:
    """It is worker 1, has the app and its post-fork hook, and what it enqueues runs at once."""
    hook = """
def hook():
    note('hook', uwsgi.worker_id(), uwsgi.i_am_the_spooler())
    if uwsgi.worker_id() == 1:
        def later():
            gate('go')
            uwsgi.spool({b'code': b"note('from the worker')"})
        threading.Thread(target=later).start()
uwsgi.post_fork_hook = hook
"""
    it = start("--stand-in-worker", "--spooler-frequency", str(POLL), app=home_app + hook)
    it.wait_runs("hook 1 None", "hook 0 True")
    poll_until(lambda: len(it.workers()) == 2, SOON, "worker and spooler")
    it.open_gate("go")
    it.wait_runs("from the worker", timeout=SOON)
    assert it.stop() == 0


def test_from_a_program_of_the_users(start: Start) -> None:
    """A child of a task, with its own interpreter, imports uwsgi and enqueues: it runs at once."""
    it = idle(start, processes=1)
    code = "import uwsgi; uwsgi.spool({b'code': b'note(1)'})"
    it.put(f"import subprocess; subprocess.run([{sys.executable!r}, '-c', {code!r}], check=True)")
    it.wait_runs("1", timeout=SOON)
    assert it.stop() == 0
