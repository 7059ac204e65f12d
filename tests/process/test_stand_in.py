"""The process that stands in for web worker 1: what it loads and registers, how it ends, and what is said of it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.conftest import poll_until
from tests.process.conftest import Start, put

#: registers in whatever process imports it
REGISTERS = """
def heard(number):
    note("heard", number, uwsgi.worker_id(), uwsgi.i_am_the_spooler())

for number, target in ((1, "worker"), (2, "spooler"), (3, ""), (3, "worker")):
    uwsgi.register_signal(number, target, heard)
uwsgi.add_timer(1, 1)
uwsgi.add_timer(2, 1)
uwsgi.add_file_monitor(1, "watched")
uwsgi.add_cron(3, -1, -1, -1, -1, -1)
note("loaded", uwsgi.worker_id())
"""
#: registers in a task, which a spooler may not, and has a timer fire what was registered at import
IN_A_TASK = """
def heard(number):
    note("heard", number)

uwsgi.register_signal(5, "spooler", heard)
"""
STAND_IN = ("--stand-in-worker", "--spooler-frequency", "1")


def worker(output: str) -> str:
    """The pid of the stand-in worker that the log names last."""
    return output.rpartition("worker 1 (")[2].partition("pid: ")[2].partition(")")[0].partition(",")[0]


@pytest.mark.parametrize("faithful", [(), ("--faithful",)], ids=["default", "faithful"])
def test_lazy_apps(start: Start, home_app: str, faithful: tuple[str, ...]) -> None:
    """The app is loaded in the worker alone, registers its signals there, and the master fires its timers into it."""
    it = start(*STAND_IN, *faithful, "--lazy-apps", app=home_app + REGISTERS)
    poll_until(lambda: {f"heard {n} 1 None" for n in (1, 2, 3)} <= set(it.runs()), 30, "the signals")
    it.wait_runs("loaded 1")
    assert it.runs().count("loaded 1") == 1
    assert not [line for line in it.runs() if line.startswith("heard") and not line.endswith("1 None")]
    for words in ("1 registered (wid: 1 modifier1: 0 target: worker)", "3 registered (wid: 1 modifier1: 0 target: def"):
        assert f"[uwsgi-signal] signum {words}" in it.output()
    assert it.stop() == 0


def test_a_respawned_worker_does_not_register_twice(start: Start, home_app: str) -> None:
    """What the worker that died had registered is fired once for the one in its place."""
    it = start(*STAND_IN, "--lazy-apps", app=home_app + REGISTERS)
    it.wait_runs("heard 3 1 None")
    os.kill(int(worker(it.output())), signal.SIGKILL)
    poll_until(lambda: it.runs().count("loaded 1") == 2, 30, "the next worker")
    before = it.runs().count("heard 3 1 None")
    seen = it.runs().count("heard 2 1 None")
    poll_until(lambda: it.runs().count("heard 2 1 None") >= seen + 2, 30, "two beats")
    assert it.runs().count("heard 3 1 None") == before, "the cron, again within its minute"
    assert it.stop() == 0


def test_what_a_task_registers(start: Start, home_app: str) -> None:
    """A timer of a task fires, as in uWSGI; a signal is refused, in uWSGI's words."""
    it = start("--spooler-frequency", "600", app=home_app + IN_A_TASK)
    it.put("uwsgi.add_timer(5, 1)\ntry: uwsgi.register_signal(6, '', print)\nexcept ValueError as e: note(e)")
    it.wait_runs("unable to register signal", "heard 5")
    assert "only the master and the workers can register signal handlers" in it.output()
    assert it.stop() == 0


def test_a_drain(start: Start, home: Path) -> None:
    """It does not keep a drain from ending well."""
    (home / "spool").mkdir()
    for n in range(3):
        put(home / "spool", f"note({n})")
    it = start("--drain", "--stand-in-worker")
    assert it.spawned.wait_exit(60) == 0
    it.spawned.assert_nothing_left()
    assert sorted(it.runs()) == ["0", "1", "2"]
    assert "drained" in it.output()


@pytest.mark.parametrize(
    ("death", "how"), [("os.kill(os.getpid(), 9)", ", killed by signal 9"), ("os._exit(3)", "")], ids=str
)
@pytest.mark.parametrize("faithful", [(), ("--faithful",)], ids=["default", "faithful"])
def test_a_death(start: Start, home_app: str, faithful: tuple[str, ...], death: str, how: str) -> None:
    """It is told as a worker's, in uWSGI's words, and another one takes its place."""
    dies = f"uwsgi.register_signal(7, 'worker', lambda number: {death})\n"
    it = start(*STAND_IN, *faithful, app=home_app + dies)
    it.spawned.wait_output("spawned uWSGI worker 1 (pid: ")
    first = worker(it.output())
    it.put("uwsgi.signal(7)")
    it.spawned.wait_output("Respawned uWSGI worker 1 (new pid: ")
    assert f"DAMN ! worker 1 (pid: {first}) died{how} :( trying respawn ..." in it.output()
    assert "OOOPS" not in it.output()
    assert it.output().count("spawned uWSGI worker 1 (pid: ") == 1
    assert it.stop() == 0


@pytest.mark.parametrize("faithful", [(), ("--faithful",)], ids=["default", "faithful"])
def test_nice(start: Start, home: Path, home_app: str, faithful: tuple[str, ...]) -> None:
    """A spooler is nice only behind its hook and spooler-import; the stand-in worker never is."""
    nice = "note({!r}, uwsgi.worker_id(), os.getpriority(os.PRIO_PROCESS, 0))"
    (home / "late.py").write_text(f"from app import *\n{nice.format('late')}\n")
    it = start(
        *STAND_IN,
        *faithful,
        "--spooler-import",
        "late",
        app=home_app + f"uwsgi.post_fork_hook = lambda: {nice.format('hook')}\n",
    )
    it.put(nice.format("task"))
    base = os.nice(0)
    it.wait_runs(f"hook 0 {base}", f"late 0 {base}", "task 0 19", f"hook 1 {base}")
    assert it.stop() == 0
