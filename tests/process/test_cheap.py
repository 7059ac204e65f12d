"""spooler-cheap: no process until there is work, one while there is, none when it is done."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from pathlib import Path

from spoolsim.spool.names import PREFIX
from spoolsim.work.scoreboard import SPAWNS
from tests import size
from tests.conftest import WaitFor, poll_until
from tests.oracle.packets import packet
from tests.process.conftest import Instance, Start, children, put

#: nothing below is found by a poll
OPTIONS = ("--spooler-cheap", "--spooler-frequency", "600")
#: a cycle of two seconds: processes die soon
SHORT = ("--spooler-cheap", "--spooler-frequency", "1")


def ready(it: Instance) -> None:
    """Wait until the fork server has imported the app."""
    it.spawned.wait_output("spawned uWSGI master process", timeout=30)


def processes(it: Instance) -> list[int]:
    """The children of the fork server, which are spoolers."""
    return [child for server in it.fork_servers() for child in children(server)]


TASKS = size(200, 60)


def spawns(it: Instance) -> int:
    """How many processes there have been."""
    return sum(words[SPAWNS] for words in it.seats())


def test_no_process_until_there_is_work(start: Start) -> None:
    """Nothing is spawned at the start; a file is answered at once by one process, long before the poll."""
    it = start(*OPTIONS)
    ready(it)
    assert processes(it) == []
    assert spawns(it) == 0
    it.put("note('ran', os.getpid())")
    it.wait_count(1)
    it.wait_empty()
    assert spawns(it) == 1
    assert it.runs() == [f"ran {pid}" for pid in it.workers()]
    assert it.stop() == 0


def test_tasks_that_are_there_at_the_start(start: Start, home: Path) -> None:
    """What waits in the directory when it starts is work."""
    (home / "spool").mkdir()
    put(home / "spool", "note('ran')")
    it = start(*OPTIONS)
    it.wait_runs("ran")
    assert it.stop() == 0


def test_it_dies_when_a_cycle_found_nothing(start: Start, wait_for: WaitFor) -> None:
    """After the work it ends by itself, without OOOPS; the next task has the next process."""
    it = start(*SHORT)
    for n in range(3):
        it.put(f"note('ran', {n}, os.getpid())")
        it.wait_count(n + 1)
        it.spawned.wait_output("cheaping spooler", n=n + 1, timeout=20)
        wait_for(lambda: not processes(it), 20, "the end of the process")
    assert len({line.split()[2] for line in it.runs()}) == 3
    it.spawned.wait_output(f"spooler {it.spool} ended", n=3)
    assert "OOOPS" not in it.output()
    assert it.stop() == 0


def test_a_task_that_is_retried_keeps_it(start: Start, wait_for: WaitFor) -> None:
    """As long as a task is run in each cycle the process stays the same one."""
    it = start(*SHORT)
    it.put("note('try', os.getpid()); result = -2 if len(open(os.environ['RUNS']).readlines()) == 3 else -1")
    it.wait_empty()
    assert len(it.runs()) == 3
    assert len(set(it.runs())) == 1
    wait_for(lambda: not processes(it), 20, "the end of the process")
    assert it.stop() == 0


def test_a_task_that_becomes_due(start: Start) -> None:
    """A future task spawns nothing yet; it does when its time has come, not at the poll."""
    it = start(*OPTIONS)
    ready(it)
    at = int(time.time()) + 3
    path = it.spool / f"{PREFIX}later"
    made = it.spool / ".later"
    made.write_bytes(packet({b"code": b"note('ran', int(time.time()))"}))
    os.utime(made, (at, at))
    os.rename(made, path)
    it.wait_count(1, timeout=30)
    assert int(it.runs()[0].split()[1]) >= at
    it.wait_empty()
    assert spawns(it) == 1
    assert it.stop() == 0


def test_a_priority_task(start: Start, home: Path) -> None:
    """With --spooler-ordered a task in a priority directory alone is work; without it, it is none."""
    (home / "spool").mkdir()
    put(home / "spool", "note('urgent')", priority="5")
    plain = start(*OPTIONS)
    ready(plain)
    plain.put("note('plain')")
    plain.wait_runs("plain")
    assert plain.stop() == 0
    assert plain.runs() == ["plain"]
    it = start(*OPTIONS, "--spooler-ordered")
    it.wait_runs("urgent")
    assert it.stop() == 0


def test_a_priority_task_with_no_process(start: Start, home_app: str) -> None:
    """uwsgi.spool() with a priority is enough to spawn one, with no process before."""
    it = start(*SHORT, "--spooler-ordered", "--stand-in-worker", app=home_app + RAISER.format("spool_urgent()"))
    ready(it)
    it.open_gate("raise")
    it.wait_runs("urgent")
    assert it.stop() == 0


#: the stand-in worker does something when the gate opens
RAISER = """
def heard(number):
    note("heard", number)

uwsgi.register_signal(7, "spooler", heard)

def spool_urgent():
    uwsgi.spool({{b"code": b"note('urgent')", b"priority": b"5"}})

def raiser():
    gate("raise", 60)
    {}

def after_fork():
    if uwsgi.worker_id():
        threading.Thread(target=raiser, daemon=True).start()

uwsgi.post_fork_hook = after_fork
"""


def test_a_signal_spawns(start: Start, home_app: str) -> None:
    """A uwsgi signal raised by the stand-in worker is answered by a new process at once; two are run twice."""
    app = home_app + RAISER.format("uwsgi.signal(7); uwsgi.signal(7)")
    it = start(*OPTIONS, "--stand-in-worker", app=app)
    ready(it)
    it.spawned.wait_output("spawned uWSGI worker 1")
    assert spawns(it) == 1  # the stand-in worker's
    it.open_gate("raise")
    it.wait_count(2, timeout=30)
    assert it.runs() == ["heard 7", "heard 7"]
    assert spawns(it) == 2
    assert it.stop() == 0


def test_timers_and_crons_spawn(start: Start, home_app: str, wait_for: WaitFor) -> None:
    """With no process alive, timer and cron fire; each time one process comes, handles it and ends."""
    app = home_app + (
        "uwsgi.register_signal(1, 'spooler', lambda n: note('timer'))\nuwsgi.add_timer(1, 3)\n"
        "uwsgi.register_signal(2, 'spooler', lambda n: note('cron'))\nuwsgi.add_cron(2, -1, -1, -1, -1, -1)\n"
    )
    it = start(*SHORT, app=app)
    it.wait_runs("cron")
    wait_for(lambda: it.runs().count("timer") >= 2, 40, "the timer")
    it.spawned.wait_output("cheaping spooler", timeout=20)
    assert it.stop() == 0


def test_a_file_monitor_spawns(start: Start, home_app: str, home: Path) -> None:
    """A change of a monitored file is answered with no process alive, long before the poll."""
    (home / "seen").write_text("")
    app = home_app + "uwsgi.register_signal(1, 'spooler', lambda n: note('file'))\nuwsgi.add_file_monitor(1, 'seen')\n"
    it = start(*OPTIONS, app=app)
    ready(it)

    def written() -> bool:
        (home / "seen").write_text("x")
        return "file" in it.runs()

    poll_until(written, 30, "the file monitor")
    assert it.stop() == 0


def test_no_task_is_lost_in_the_moment_of_dying(start: Start, wait_for: WaitFor) -> None:
    """150 single tasks (40 without --full), each put when a process is about to end: all run once, never by two."""
    it = start("--spooler-cheap", "--spooler-frequency", "0", "--spooler-quiet")  # 0.1 s between two scans
    ready(it)
    total = size(150, 40)
    for n in range(total):
        it.put(f"note('ran', {n})")
        it.wait_count(n + 1, timeout=20)
        assert len(processes(it)) <= 1
        if n % 2:
            seen = it.output().count("cheaping spooler")
            wait_for(lambda seen=seen: it.output().count("cheaping spooler") > seen or not processes(it), 20, "the end")
    it.wait_empty()
    assert Counter(it.runs()) == Counter(f"ran {n}" for n in range(total))
    assert spawns(it) >= total // 4
    assert it.stop() == 0


def test_one_process_for_each_slot(start: Start, wait_for: WaitFor) -> None:
    """However fast tasks come and processes end, there are never more processes than slots."""
    it = start("--spooler-cheap", "--spooler-frequency", "0", "--spooler-processes", "2", "--spooler-quiet")
    ready(it)
    most = 0
    for n in range(TASKS):
        it.put(f"note('ran', {n}); time.sleep(0.002)")
        most = max(most, len(processes(it)))
    it.wait_empty()
    assert Counter(it.runs()) == Counter(f"ran {n}" for n in range(TASKS))
    assert 1 <= most <= 2
    wait_for(lambda: not processes(it), 20, "the end of both")
    assert it.stop() == 0


def test_files_without_content_first(start: Start) -> None:
    """A file whose content comes after its name, as from any producer, is found without waiting for the poll."""
    it = start(*SHORT[:1], "--spooler-frequency", "600")
    ready(it)
    path = it.spool / f"{PREFIX}slow"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        it.spool.joinpath(".noise").touch()
        written = time.monotonic() + 0.2
        poll_until(lambda: time.monotonic() >= written, 5, "a fifth of a second")
        assert processes(it) == []
        os.write(fd, packet({b"code": b"note('ran')"}))
    finally:
        os.close(fd)
    it.wait_runs("ran", timeout=30)
    assert it.stop() == 0


def test_an_empty_file_spawns_nothing(start: Start) -> None:
    """What is no task, an empty file and a future one, keeps nobody busy: no process is ever spawned for it."""
    it = start(*SHORT, spools=("one", "two"))
    ready(it)
    (it.spools[0] / f"{PREFIX}empty").touch()
    future = it.spools[0] / f"{PREFIX}future"
    future.write_bytes(packet({b"code": b"note('future')"}))
    os.utime(future, (time.time() + 9000, time.time() + 9000))
    for n in range(3):
        it.put(f"note('ran', {n})", it.spools[1])
        it.wait_runs(f"ran {n}")
        it.spawned.wait_output(f"spooler {it.spools[1]} ended", n=n + 1, timeout=20)
    assert f"spooler {it.spools[0]} ended" not in it.output()
    assert it.stop() == 0


def test_a_task_while_a_killed_fork_server_is_replaced(start: Start, home_app: str, wait_for: WaitFor) -> None:
    """What is put while no fork server is there is run when the next one is."""
    app = home_app + "note('imported')\nif os.path.exists(os.environ['RUNS']): gate('slow' , 60)\n"
    it = start(*OPTIONS, app=app)
    it.open_gate("slow")
    ready(it)
    (it.home / "gates" / "slow").unlink()
    (server,) = it.fork_servers()
    os.kill(server, signal.SIGKILL)
    wait_for(lambda: it.runs().count("imported") == 2, 30, "the next one")
    it.put("note('ran')")
    it.open_gate("slow")
    it.wait_runs("ran")
    assert it.stop() == 0


def test_a_reload_of_nothing(start: Start, home_app: str, wait_for: WaitFor) -> None:
    """With no process alive a reload starts none, and the next task runs the new code."""
    it = start(*OPTIONS, app=home_app + "VERSION = 'one'\n")
    ready(it)
    (old,) = it.fork_servers()
    (it.home / "app.py").write_text(home_app + "VERSION = 'number two'\n")
    it.send(signal.SIGHUP)
    wait_for(lambda: old not in it.fork_servers(), 30, "the end of the old fork server")
    assert spawns(it) == 0
    it.put("note(VERSION)")
    it.wait_runs("number two")
    assert it.stop() == 0


def test_a_crash_is_answered(start: Start) -> None:
    """A process that dies during its task is followed by another one: the task is still there."""
    it = start(*OPTIONS)
    ready(it)
    it.put("note('ran'); len(open(os.environ['RUNS']).readlines()) < 3 and os._exit(1)")
    it.wait_empty()
    assert it.runs() == ["ran"] * 3
    assert it.stop() == 0
