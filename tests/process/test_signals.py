"""uwsgi signals, timers, crons and file monitors, through real processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.conftest import WaitFor, poll_until
from tests.process.conftest import Instance, Start, state
from tests.process.test_stats import document

#: nothing below is found by a poll
LONG_POLL = ("--spooler-frequency", "600")
#: notes its number and its process
HANDLER = """
def heard(number):
    note("heard", number, os.getpid())
"""
FULL = "*** SIGNAL QUEUE IS FULL"


def heard(it: Instance) -> list[str]:
    """The numbers of the signals that were handled."""
    return [line.split()[1] for line in it.runs() if line.startswith("heard")]


def test_a_signal_waits_for_the_running_task(start: Start, home_app: str) -> None:
    """Signals raised by a task are handled after it, each once, in order, by its process, without a poll."""
    app = home_app + HANDLER + "for n in (5, 6): uwsgi.register_signal(n, 'spooler', heard)\n"
    it = start(*LONG_POLL, app=app)
    it.put("[uwsgi.signal(n) for n in (5, 6, 5)]; gate('go'); note('task', os.getpid())")
    it.open_gate("go")
    it.wait_count(4)
    (pid,) = it.workers()
    assert it.runs() == [f"task {pid}", f"heard 5 {pid}", f"heard 6 {pid}", f"heard 5 {pid}"]
    assert it.stop() == 0


def test_the_first_free_process_takes_it(start: Start, home_app: str) -> None:
    """One queue for all spoolers: while one is held by a task, the other one handles what is raised."""
    it = start(
        *LONG_POLL, "--spooler-processes", "2", app=home_app + HANDLER + "uwsgi.register_signal(5, 'spooler', heard)\n"
    )
    it.wait_workers(2)
    it.put("note('busy', os.getpid()); uwsgi.signal(5); uwsgi.signal(5); gate('go', 60); note('end')")
    it.wait_count(3)
    busy = next(line.split()[1] for line in it.runs() if line.startswith("busy"))
    assert len(heard(it)) == 2
    assert {line.split()[2] for line in it.runs() if line.startswith("heard")}.isdisjoint({busy})
    it.open_gate("go")
    it.wait_runs("end")
    assert it.stop() == 0


def test_a_queue_that_is_full(start: Start, home_app: str) -> None:
    """What does not fit is dropped with uWSGI's line, one for each; all that fitted is handled, exactly once."""
    app = home_app + HANDLER + "uwsgi.register_signal(5, 'spooler', heard)\n"
    it = start(*LONG_POLL, "--stats", "s", app=app)
    it.put("[uwsgi.signal(5) for _ in range(1000)]; note('sent')")
    it.wait_runs("sent")
    it.put("note('then')")
    dropped = it.output().count(FULL)
    assert 0 < dropped < 1000
    poll_until(lambda: len(heard(it)) == 1000 - dropped, 60, f"{1000 - dropped} signals")
    it.wait_runs("then")
    assert it.output().count(FULL) == it.output().count("could not deliver signal 5") == dropped
    assert len(heard(it)) == 1000 - dropped
    assert document(it)["spoolsim"]["signals_lost"] == dropped
    assert it.stop() == 0


def test_handlers_that_raise(start: Start, home_app: str) -> None:
    """An exception is printed with uWSGI's line and the process lives on; so with KeyboardInterrupt."""
    app = home_app + (
        "def bad(number): raise ValueError('from the handler')\n"
        "def interrupted(number): raise KeyboardInterrupt\n"
        "uwsgi.register_signal(5, 'spooler', bad)\nuwsgi.register_signal(6, 'spooler', interrupted)\n"
    )
    it = start(*LONG_POLL, app=app)
    (pid,) = it.wait_workers(1)
    it.put("uwsgi.signal(5); uwsgi.signal(6)")
    it.spawned.wait_output("error managing signal 5 on spooler", timeout=20)
    it.spawned.wait_output("error managing signal 6 on spooler", timeout=20)
    assert "ValueError: from the handler" in it.output()
    it.put("note(os.getpid())")
    it.wait_runs(str(pid))
    assert it.stop() == 0


def test_harakiri_covers_handlers(start: Start, home_app: str) -> None:
    """A handler that hangs is killed by harakiri; the next process goes on, the signal is spent."""
    app = (
        home_app
        + "def hang(number):\n    note('hang')\n    time.sleep(300)\nuwsgi.register_signal(5, 'spooler', hang)\n"
    )
    it = start(*LONG_POLL, "--spooler-harakiri", "1", app=app)
    (pid,) = it.wait_workers(1)
    it.put("uwsgi.signal(5)")
    it.spawned.wait_output(f"*** HARAKIRI ON THE SPOOLER (pid: {pid}) ***", timeout=30)
    it.put("note('after')")
    it.wait_runs("after")
    assert it.runs().count("hang") == 1
    assert it.stop() == 0


def test_signal_as_task(start: Start, home_app: str) -> None:
    """With spooler-signal-as-task each signal counts: after 2 of max-tasks 2 the process is another one."""
    app = home_app + HANDLER + "uwsgi.register_signal(5, 'spooler', heard)\n"
    for options, processes in ((("--spooler-signal-as-task", "--uwsgi", "2.1"), 3), ((), 1)):
        it = start(*LONG_POLL, "--spooler-max-tasks", "2", *options, app=app)
        before = len(it.runs())
        it.wait_workers(1)
        it.put("[uwsgi.signal(5) for _ in range(5)]")
        it.wait_count(before + 5)
        assert len({line.split()[2] for line in it.runs()[before:]}) == processes
        assert ("maximum number of tasks reached (2)" in it.output()) == (processes == 3)
        assert it.stop() == 0


def test_an_rb_timer_ends(start: Start, home_app: str) -> None:
    """A timer goes on; an rb timer of 2 iterations fires twice; a timer without a handler kills nobody."""
    app = (
        home_app
        + HANDLER
        + (
            "for n in (1, 2): uwsgi.register_signal(n, 'spooler', heard)\n"
            "uwsgi.add_timer(1, 1)\nuwsgi.add_rb_timer(2, 1, 2)\nuwsgi.add_timer(99, 1)\n"
        )
    )
    it = start(*LONG_POLL, app=app)
    poll_until(lambda: heard(it).count("1") >= 4, 30, "the timer")
    assert heard(it).count("2") == 2
    assert len({line.split()[2] for line in it.runs()}) == 1
    assert it.stop() == 0


def test_a_reload_fires_nothing_anew(start: Start, home_app: str) -> None:
    """After a reload the cron has still fired once in its minute, and an rb timer that was through stays so."""
    app = (
        home_app
        + HANDLER
        + (
            "for n in (1, 2, 3): uwsgi.register_signal(n, 'spooler', heard)\n"
            "uwsgi.add_cron(1, -1, -1, -1, -1, -1)\nuwsgi.add_rb_timer(2, 1, 1)\nuwsgi.add_timer(3, 1)\n"
        )
    )
    it = start(*LONG_POLL, app=app)
    poll_until(lambda: {"1", "2"} <= set(heard(it)), 30, "the first firings")
    for _ in range(3):
        (old,) = it.fork_servers()
        it.send(signal.SIGHUP)
        poll_until(lambda old=old: old not in it.fork_servers(), 30, "the end of the old fork server")
        seen = heard(it).count("3")
        poll_until(lambda seen=seen: heard(it).count("3") > seen, 30, "the timer")
    assert heard(it).count("2") == 1
    assert it.output().count("[uwsgi-cron] routing signal 1") == heard(it).count("1") <= 2
    assert it.stop() == 0


def test_a_file_monitor(start: Start, home_app: str) -> None:
    """A write to the file is handled by the spooler, before and after a reload; the master keeps no old watch."""
    app = home_app + HANDLER + "uwsgi.register_signal(1, 'spooler', heard)\nuwsgi.add_file_monitor(1, 'seen')\n"
    it = start(*LONG_POLL, app="import pathlib\npathlib.Path('seen').touch()\n" + app)
    it.wait_workers(1)
    counts = []
    for _ in range(4):
        before = len(heard(it))

        def written(before: int = before) -> bool:
            (it.home / "seen").write_text("x")
            return len(heard(it)) > before

        poll_until(written, 30, "the file monitor")
        counts.append(len(os.listdir(f"/proc/{it.pid}/fd")))
        (old,) = it.fork_servers()
        it.send(signal.SIGHUP)
        poll_until(lambda old=old: old not in it.fork_servers(), 30, "the end of the old fork server")
        it.wait_workers(1)
    assert counts[-1] <= counts[0] + 1
    assert it.stop() == 0


def test_a_file_monitor_and_a_touch(start: Start, home: Path, home_app: str) -> None:
    """Times and mode of the file are changes, too; a file that is made is one signal or a few, not dozens."""
    (home / "seen").touch()
    app = home_app + HANDLER + "uwsgi.register_signal(1, 'spooler', heard)\nuwsgi.add_file_monitor(1, 'seen')\n"
    it = start(*LONG_POLL, app=app)
    it.wait_workers(1)
    for change in (lambda n: os.utime(home / "seen", (n, n)), lambda n: os.chmod(home / "seen", 0o600 + n % 8)):
        before = len(heard(it))
        tries = iter(range(1, 1000))

        def changed(before: int = before, change: Callable[[int], None] = change, tries: Iterator[int] = tries) -> bool:
            change(next(tries))
            return len(heard(it)) > before

        poll_until(changed, 30, "the file monitor")
    assert it.stop() == 0


def test_decorators(start: Start, home_app: str) -> None:
    """signal, timer, rbtimer, cron and filemon of uwsgidecorators, with the target spooler."""
    app = home_app + (
        "import uwsgidecorators as d\nopen('seen', 'a').close()\n"
        "@d.timer(1, target='spooler')\ndef timed(n): note('timer')\n"
        "@d.rbtimer(1, target='spooler')\ndef rb(n): note('rbtimer')\n"
        "@d.cron(-1, -1, -1, -1, -1, target='spooler')\ndef cron(n): note('cron')\n"
        "@d.filemon('seen', target='spooler')\ndef changed(n): note('filemon')\n"
        "@d.signal(77, target='spooler')\ndef raised(n): note('signal', n)\n"
        "uwsgi.spooler = spooler\n"
    )
    it = start(*LONG_POLL, app=app)
    it.wait_runs("timer", "rbtimer", "cron")
    it.put("uwsgi.signal(77)")
    it.wait_runs("signal 77")

    def written() -> bool:
        (it.home / "seen").write_text("x")
        return "filemon" in it.runs()

    poll_until(written, 30, "the file monitor")
    assert it.stop() == 0


def test_decorators_that_raise_nothing(start: Start, home_app: str) -> None:
    """postfork, thread, lock and harakiri in a task, and uWSGI 2.1's mstimer, over the real module."""
    app = home_app + (
        "import uwsgidecorators as d\n"
        "@d.postfork\ndef forked(): note('postfork', uwsgi.worker_id(), locked())\n"
        "@d.mstimer(50, target='spooler')\ndef beat(n): note('mstimer')\n"
        "@d.lock\ndef locked(): return uwsgi.is_locked()\n"
        "@d.thread\ndef beside(): note('thread', threading.current_thread().daemon)\n"
        "@d.harakiri(1)\ndef stuck():\n    note('stuck')\n    while True: pass\n"
        "@d.harakiri(60)\ndef quick(): return 'quick'\n"
        "uwsgi.spooler = spooler\n"
    )
    it = start(*LONG_POLL, "--uwsgi", "2.1", "--stand-in-worker", app=app)
    it.wait_runs("postfork 0 None", "postfork 1 True", "mstimer")  # a spooler has no locks: there it calls nothing
    it.put("note(quick()); beside()")
    it.wait_runs("quick", "thread True")
    path = it.put("stuck()")
    it.wait_runs("stuck")
    it.spawned.wait_output("*** HARAKIRI ON THE SPOOLER")
    poll_until(lambda: it.runs().count("stuck") >= 2, 30, "the retry")
    os.unlink(path)
    assert it.stop() in (0, 1)


WORKER = HANDLER + "uwsgi.register_signal(5, 'worker', heard)\nuwsgi.add_timer(5, 1)\n"


def test_targets_of_the_web_server(start: Start, home_app: str) -> None:
    """With the stand-in worker it handles them, raised by a task or by a timer; the spooler does not."""
    it = start(*LONG_POLL, "--stand-in-worker", app=home_app + WORKER)
    it.put("uwsgi.signal(5); note('task', os.getpid())")
    poll_until(lambda: len(heard(it)) >= 2, 30, "the signals")
    spooler = next(line.split()[1] for line in it.runs() if line.startswith("task"))
    (worker,) = {line.split()[2] for line in it.runs() if line.startswith("heard")}
    assert worker != spooler
    assert f"spawned uWSGI worker 1 (pid: {worker}" in it.output()
    assert it.stop() == 0


def test_targets_of_the_web_server_without_one(start: Start, home_app: str) -> None:
    """Without a socket uWSGI starts no worker: one note says that the handler never runs, and nothing is handled."""
    it = start(
        *LONG_POLL, app=home_app + WORKER + "uwsgi.register_signal(6, 'spooler', heard)\nuwsgi.add_timer(6, 2)\n"
    )
    it.put("uwsgi.signal(5); note('task')")
    it.wait_runs("task")
    poll_until(lambda: "6" in heard(it), 30, "the other timer")
    assert "5" not in heard(it)
    assert it.output().count("(signal-target)") == 1
    assert "(no-worker)" not in it.output()
    assert it.stop() == 0


def test_targets_of_a_configured_web_server(start: Start, home_app: str) -> None:
    """With a socket uWSGI has a web worker, and spoolsim has none: the note names the stand-in worker."""
    it = start(
        *LONG_POLL, "--http-socket", "127.0.0.1:0", app=home_app + WORKER + "uwsgi.register_signal(6, 'mule', heard)\n"
    )
    it.spawned.wait_output("(no-worker)")
    it.spawned.wait_output("(signal-target)")  # the mule, which is not configured
    assert it.stop() == 0


def test_targets_that_nobody_knows(start: Start, home_app: str) -> None:
    """The stand-in worker hides no mistake: uWSGI's line and a note, and the handler does not run; a mule's does."""
    app = (
        home_app
        + HANDLER
        + (
            "for n, target in enumerate(('nonsense', 'worker9', '/a/spool', 'mule1', 'farm_x')):\n"
            "    uwsgi.register_signal(n, target, heard)\n"
            "uwsgi.add_timer(0, 1)\n"
        )
    )
    it = start(*LONG_POLL, "--stand-in-worker", "--mule", "--farm", "x:1", app=app)
    it.put("[uwsgi.signal(n) for n in range(5)]")
    poll_until(lambda: {"3", "4"} <= set(heard(it)), 30, "the signals that the stand-in worker takes")
    it.spawned.wait_output("^^^ UNSUPPORTED SIGNAL TARGET: nonsense ^^^", n=2)  # by the task, and by the timer
    assert set(heard(it)) == {"3", "4"}
    assert "^^^ UNSUPPORTED SIGNAL TARGET: /a/spool ^^^" in it.output()
    assert "invalid signal target: worker9" in it.output()
    assert it.output().count("(signal-target)") == 3
    assert it.stop() == 0


def test_what_a_process_received_last(start: Start, home_app: str) -> None:
    """signal_received() in a handler and after it is the number; signal_registered() is True or None."""
    app = home_app + (
        "def tell(number): note('in', number, uwsgi.signal_received())\nuwsgi.register_signal(9, 'spooler', tell)\n"
    )
    it = start(*LONG_POLL, app=app)
    it.put("note(uwsgi.signal_received(), uwsgi.signal_registered(9), uwsgi.signal_registered(8)); uwsgi.signal(9)")
    it.wait_runs("0 True None", "in 9 9")
    it.put("note('after', uwsgi.signal_received())")
    it.wait_runs("after 9")
    assert it.stop() == 0


def test_a_signal_outlives_its_process(start: Start, home_app: str, wait_for: WaitFor) -> None:
    """What was raised and not yet handled when the spooler is killed is handled by the next one."""
    it = start(*LONG_POLL, app=home_app + HANDLER + "uwsgi.register_signal(5, 'spooler', heard)\n")
    (pid,) = it.wait_workers(1)
    it.put("note('busy'); uwsgi.signal(5); uwsgi.signal(5); gate('go', 60)")
    it.wait_runs("busy")
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: state(pid) in ("", "Z"), 20, "its end")
    it.open_gate("go")
    poll_until(lambda: len(heard(it)) == 4, 30, "two of the first run and two of the second")
    assert str(pid) not in {line.split()[2] for line in it.runs() if line.startswith("heard")}
    assert it.stop() == 0


def test_signal_wait_in_the_stand_in_worker(start: Start, home_app: str) -> None:
    """The stand-in worker waits for a certain signal, and so does a task, each from its own queue."""
    app = (
        home_app
        + HANDLER
        + (
            "for n in (3, 4): uwsgi.register_signal(n, 'worker', heard)\n"
            "uwsgi.register_signal(5, 'spooler', heard)\n"
            "def hook():\n    if uwsgi.worker_id():\n"
            "        note('waits'); uwsgi.signal_wait(4); note('waited', uwsgi.signal_received())\n"
            "uwsgi.post_fork_hook = hook\n"
        )
    )
    it = start(*LONG_POLL, "--stand-in-worker", app=app)
    it.wait_runs("waits")
    it.put("uwsgi.signal(3); uwsgi.signal(4)")
    it.wait_runs("waited 4")
    assert heard(it) == ["3", "4"]
    it.put("uwsgi.signal(5); note('asked', uwsgi.signal_wait(5), uwsgi.signal_received())")
    it.wait_runs("asked b'' 5")
    assert heard(it) == ["3", "4", "5"]
    assert it.stop() == 0
