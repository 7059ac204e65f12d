"""The tree of `spoolsim run`: which processes there are, what each of them is, and where it looks."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pexpect
import pytest

from spoolsim.work.scoreboard import SPAWNS
from tests.conftest import Spawn, poll_until
from tests.oracle.packets import PREFIX, packet
from tests.process.conftest import Instance, Start, children, command, descriptors, environment, put, stat

#: notes what a process is; its name first
WHO = "note('who', os.getpid(), os.getppid(), os.getpriority(os.PRIO_PROCESS, 0), os.readlink('/proc/self/fd/0'), "
WHO += "os.getcwd(), uwsgi.i_am_the_spooler(), uwsgi.worker_id(), uwsgi.mule_id())"

POST_FORK = """
note('imported', os.getpid(), uwsgi.i_am_the_spooler(), uwsgi.spooler_pids())
def hook():
    note('hook', os.getpid(), uwsgi.i_am_the_spooler())
uwsgi.post_fork_hook = hook
"""


def run(spawn: Spawn, home: Path, *options: str) -> Instance:
    """An instance whose options are all given, in their order."""
    argv = [sys.executable, "-m", "spoolsim", "run", *options]
    return Instance(spawn(argv, cwd=home, env=environment(home)), home, [home / "spool"])


# ---- which processes ----


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (["--spooler", "spool"], 1),
        (["--spooler", "spool", "--spooler-processes", "3"], 3),
        (["--spooler-processes", "3", "--spooler", "spool"], 3),
        (["--spooler-processes", "0", "--spooler", "spool"], 1),
        (["--spooler", "spool", "--spooler-processes", "2", "--spooler", "second"], 4),
        (["--spooler", "spool", "--spooler", "spool"], 2),
        (["--spooler", "spool", "--spooler-external", "second"], 1),
        (["--spooler-external", "second", "--spooler-processes", "2", "--spooler", "spool"], 2),
    ],
    ids=str,
)
def test_process_count(spawn: Spawn, home: Path, options: list[str], count: int) -> None:
    """So many spoolers for each entry, wherever spooler-processes stands; none for an external one."""
    it = run(spawn, home, *options, "--import", "app")
    pids = it.wait_workers(count)
    (server,) = it.fork_servers()
    assert sorted(children(server)) == sorted(pids)
    assert it.stop() == 0


def test_what_a_spooler_is(start: Start) -> None:
    """Child of the fork server, nice 19, nothing on standard input, in the spool directory, spooler and no worker."""
    it = start()
    (pid,) = it.wait_workers(1)
    (server,) = it.fork_servers()
    it.put("os.chdir('/'); " + WHO.replace("os.getcwd()", "'-'"))
    it.put(WHO)
    it.wait_count(2)
    spool = str(it.spool.resolve())
    assert sorted(it.runs()) == sorted(f"who {pid} {server} 19 /dev/null {place} True 0 0" for place in ("-", spool))
    assert stat(it.pid)[16] == stat(server)[16] == str(os.nice(0)), "nice of master and fork server"
    assert it.stop() == 0


@pytest.mark.parametrize("prefix", ["", "mine: "])
def test_names_in_ps(start: Start, prefix: str) -> None:
    """--auto-procname names spoolers and worker as uWSGI does, behind procname-prefix; the others keep their name."""
    more = ("--procname-prefix", prefix) if prefix else ()
    it = start("--auto-procname", "--stand-in-worker", *more)
    (server,) = poll_until(it.fork_servers, 30, "the fork server")

    def names() -> set[bytes]:
        return {command(pid).rstrip(b"\0 ") for pid in children(server)}

    wanted = {f"{prefix}uWSGI spooler".encode(), f"{prefix}uWSGI worker 1".encode()}
    poll_until(lambda: names() == wanted, 30, "the names")
    assert b"uWSGI" not in command(server) + command(it.pid)
    assert it.stop() == 0


def test_pids(start: Start) -> None:
    """spooler_pid and spooler_pids name the living spoolers, entry by entry, in option order; 0 for an external one."""
    it = start("--spooler-processes", "2", "--spooler-external", "out", spools=("spool", "second"))
    it.wait_workers(4)
    it.put("note(*uwsgi.spooler_pids(), uwsgi.spooler_pid() == uwsgi.spooler_pids()[0], len(uwsgi.spoolers))")
    it.put("note('second', os.getpid())", it.spools[1])
    it.wait_count(2)
    by_name = {line.split()[0]: line.split() for line in it.runs()}
    second = by_name.pop("second")[1]
    (words,) = by_name.values()
    pids = [int(word) for word in words[:5]]
    assert pids[4] == 0
    assert pids[:4] == it.workers()
    assert int(second) in pids[2:4]
    assert words[5:] == ["True", "5"]
    assert it.stop() == 0


def test_the_hook_and_the_late_import_come_after_the_fork(start: Start, home: Path, home_app: str) -> None:
    """The app is imported once, in the fork server; the hook and then spooler-import run in each spooler."""
    (home / "late.py").write_text("from app import note\nimport os\nnote('late', os.getpid())\n")
    it = start("--spooler-processes", "2", "--spooler-import", "late", app=home_app + POST_FORK)
    pids = it.wait_workers(2)
    (server,) = it.fork_servers()
    lines = it.runs()
    assert lines[0] == f"imported {server} None [0, 0]"
    assert sorted(lines[1:]) == sorted([f"hook {p} True" for p in pids] + [f"late {p}" for p in pids])
    for pid in pids:
        assert lines.index(f"hook {pid} True") < lines.index(f"late {pid}")
    assert it.stop() == 0


def test_a_late_import_that_fails_is_no_end(start: Start, home: Path) -> None:
    """It is printed, and the spooler goes on without it."""
    (home / "late.py").write_text("raise RuntimeError('too late')\n")
    it = start("--spooler-import", "late")
    it.put("note('ran')")
    it.wait_runs("ran")
    assert "RuntimeError: too late" in it.output()
    assert "goes on without it" in it.output()
    assert it.seats()[0][SPAWNS] == 1
    assert it.stop() == 0


def test_no_descriptor_leaks_into_a_spooler(start: Start) -> None:
    """A spooler holds its own lifeline and watch, and neither the line to the master nor another spooler's lifeline."""
    it = start("--spooler-processes", "4")
    pids = it.wait_workers(4)
    (server,) = it.fork_servers()
    lines = {name for name in descriptors(it.pid) + descriptors(server) if name.startswith("socket")}
    held = [{name for name in descriptors(pid) if name.startswith(("pipe", "socket"))} for pid in pids]
    # what all share is the way uwsgi signals take, and the one on which they register their own; beside it each has
    # its lifeline and its wake-up pipe
    shared = set.intersection(*held)
    assert len(shared) <= 3
    assert lines - shared, "the line to the master"
    for n, mine in enumerate(held):
        others = set().union(*(theirs for m, theirs in enumerate(held) if m != n))
        assert mine & others == shared
        assert len(mine - shared) == 2
        assert not mine & (lines - shared)
    assert it.stop() == 0


def test_two_instances_share_a_directory(start: Start) -> None:
    """Both serve it, each task runs once, and each keeps its own scoreboard, also when the other ends."""
    first, second = start("--spooler-processes", "2"), start("--spooler-processes", "2")
    pids = first.wait_workers(2) + second.wait_workers(2)
    for n in range(4):
        first.put(f"note('begin', {n}, os.getpid()); gate('go')")
    first.wait_count(4)
    assert {int(line.split()[2]) for line in first.runs()} == set(pids)
    for n in range(300):
        first.put(f"note('task', {n})")
    first.open_gate("go")
    first.wait_empty()
    assert sorted(first.runs()[4:]) == sorted(f"task {n}" for n in range(300))
    assert first.stop() == 0
    assert len(second.wait_workers(2)) == 2
    second.put("note('after')")
    second.wait_runs("after")
    assert second.stop() == 0
    assert os.listdir(second.spool / ".spoolsim" / "run") == []


DIES_ONCE = """
died = os.path.join(os.environ["GATES"], "died")
if not os.path.exists(died):
    open(died, "w").close()
    os.kill(os.getpid(), 9)
note('task', 'last words')
"""


@pytest.mark.parametrize("quiet", [[], ["--spooler-quiet"]], ids=["told", "quiet"])
def test_several_spoolers_of_an_ordered_directory(start: Start, quiet: list[str]) -> None:
    """Each task runs once, begun in the order of the names, also what its spooler died in and what was to be retried.

    The next poll is hours away: nobody relies on it.
    """
    it = start("--spooler-ordered", "--spooler-processes", "3", "--spooler-frequency", "9999", *quiet)
    it.wait_workers(3)
    for n in range(3):
        it.put(f"note('begin', {n}); gate('go')")
    it.wait_count(3)  # all are busy: what comes now they scan together
    put(it.spool, DIES_ONCE, priority="4")
    for n in range(300):
        it.put(f"note('task', {n})", priority="5")
    it.open_gate("go")
    it.wait_empty()
    done = it.runs()[3:]
    assert sorted(done) == sorted(["task last words", *(f"task {n}" for n in range(300))])
    # three at a time, each with the turn of a busy processor: nearly in order
    numbers = [int(line.split()[1]) for line in done if line != "task last words"]
    assert sum(numbers[:100]) < sum(numbers[100:200]) < sum(numbers[200:])
    assert it.stop() == 0


# ---- where ----


def test_directory_of_a_priority(start: Start) -> None:
    """Each task begins in the directory its file is in, whatever the one before did."""
    it = start("--spooler-ordered", "--spooler-frequency", "1")
    for priority in ("5", "1", ""):
        it.put("note(os.getcwd()); os.chdir('/')", priority=priority)
    it.wait_count(3)
    spool = it.spool.resolve()
    assert sorted(it.runs()) == sorted(str(p) for p in (spool, spool / "1", spool / "5"))
    assert it.stop() == 0


@pytest.mark.parametrize(("option", "place"), [("deep", "spool/deep"), ("..", "."), ("{home}/gates", "gates")])
def test_chdir(start: Start, home: Path, option: str, place: str) -> None:
    """--spooler-chdir, a relative one taken from the spool directory, is where each task begins."""
    it = start("--spooler-chdir", option.format(home=home.resolve()))
    (it.spool / "deep").mkdir()
    for _ in range(2):
        it.put("note(os.getcwd()); os.chdir('/')")
    it.wait_count(2)
    assert it.runs() == [str((home / place).resolve())] * 2
    assert it.stop() == 0


def test_chdir_that_fails(start: Start) -> None:
    """It is logged, and the task runs anyway."""
    it = start("--spooler-chdir", "nowhere")
    it.put("note(os.getcwd())")
    it.wait_runs(str(it.spool.resolve()))
    assert "chdir(): No such file or directory" in it.output()
    assert it.stop() == 0


# ---- draining ----


def test_drain(start: Start, home: Path) -> None:
    """With processes too: all tasks of all directories run, the future one is named, and the status is 0."""
    for place in ("spool", "second"):
        (home / place).mkdir()
        for n in range(100):
            put(home / place, f"note({place!r}, {n})")
    later = Path(put(home / "spool", "note('later')"))
    os.utime(later, (4e9, 4e9))
    it = start("--drain", "--spooler-processes", "2", spools=("spool", "second"))
    assert it.spawned.wait_exit(60) == 0
    it.spawned.assert_nothing_left()
    assert sorted(it.runs()) == sorted(f"{place} {n}" for place in ("spool", "second") for n in range(100))
    assert it.tasks() == [later.name]
    assert f"future: {later.name}" in it.output() or f"future: {later}" in it.output()


def test_drain_with_tasks_that_stay(start: Start, home: Path) -> None:
    """What is retried is tried, listed with its reason, and makes the status 1; the others are done."""
    (home / "spool").mkdir()
    for n in range(10):
        put(home / "spool", f"note({n})")
    stays = {
        put(home / "spool", "result = uwsgi.SPOOL_RETRY"): "SPOOL_RETRY",
        put(home / "spool", "raise RuntimeError('not today')"): "not today",
        put(home / "spool", "result = None"): "returned None",
    }
    it = start("--drain", "--spooler-processes", "2")
    assert it.spawned.wait_exit(60) == 1
    assert sorted(map(int, it.runs())) == list(range(10))
    assert {os.path.join(it.spool, name) for name in it.tasks()} == set(stays)
    for path, why in stays.items():
        (line,) = (line for line in it.output().splitlines() if "left:" in line and os.path.basename(path) in line)
        assert why in line


def test_drain_on_a_terminal(home: Path) -> None:
    """A bar counts what is done and what is kept, from the scoreboard, and is gone in the end."""
    (home / "spool").mkdir()
    put(home / "spool", "raise RuntimeError")
    for n in range(3):
        put(home / "spool", f"gate({str(n)!r})")
    words = ["-m", "spoolsim", "run", "--drain", "--spooler", "spool", "--import", "app", "--spooler-ordered"]
    env = environment(home, {"TERM": "xterm"})
    env.pop("NO_COLOR", None)
    terminal = pexpect.spawn(sys.executable, words, cwd=str(home), env=env, timeout=300, encoding="utf-8")
    try:
        terminal.expect("drain .*0/4")
        for n in range(2):
            (home / "gates" / str(n)).touch()
            terminal.expect(f"{n + 1}/4.*1 kept")
        (home / "gates" / "2").touch()
        terminal.expect(pexpect.EOF)
        assert "left: " in terminal.before
        terminal.close()
        assert terminal.exitstatus == 1
    finally:
        terminal.close(force=True)


def test_drain_of_nothing(start: Start) -> None:
    """An empty directory is drained at once."""
    it = start("--drain", "--spooler-processes", "3")
    assert it.spawned.wait_exit(30) == 0


def test_drain_runs_what_its_tasks_enqueue(start: Start, home: Path) -> None:
    """Tasks that come while it drains, from the tasks themselves, are part of it."""
    (home / "spool").mkdir()
    code = "n = int(env[b'n']); note(n)\nif n < 25: uwsgi.spool({b'code': env[b'code'], b'n': str(n + 1).encode()})"
    put(home / "spool", code, n="0")
    it = start("--drain", "--spooler-processes", "2")
    assert it.spawned.wait_exit(60) == 0
    assert it.runs() == [str(n) for n in range(26)]


@pytest.mark.parametrize("tasks", [5, 6])
def test_drain_goes_on_after_a_recycle(start: Start, home: Path, tasks: int) -> None:
    """A process that has handled its spooler-max-tasks, or calls sys.exit(0), is replaced; the drain is not over."""
    (home / "spool").mkdir()
    for n in range(tasks):
        put(home / "spool", f"note({n})")
    exits = put(home / "spool", "sys.exit(0)")
    it = start("--drain", "--spooler-max-tasks", "2")
    assert it.spawned.wait_exit(60) == 1
    assert sorted(map(int, it.runs())) == list(range(tasks))
    assert it.tasks() == [os.path.basename(exits)]
    assert f"left: {it.tasks()[0]}: its spooler exited with status 0" in it.output()


def test_drain_keeps_the_reasons_of_recycled_processes(start: Start, home: Path) -> None:
    """Why a task stays is reported, also by a process that was replaced after it."""
    (home / "spool").mkdir()
    for n in range(5):
        put(home / "spool", f"raise RuntimeError('reason {n}')")
    it = start("--drain", "--spooler-max-tasks", "2")
    assert it.spawned.wait_exit(60) == 1
    left = [line for line in it.output().splitlines() if "left: " in line]
    for n in range(5):
        assert any(f"reason {n}" in line for line in left)


@pytest.mark.parametrize("way", ["os._exit(1)", "os.kill(os.getpid(), 9)", "sys.exit()", "time.sleep(600)"])
def test_drain_ends_with_a_task_that_ends_its_process(start: Start, home: Path, way: str) -> None:
    """The other tasks are done, this one is listed, the status is 1: a drain ends."""
    (home / "spool").mkdir()
    for n in range(10):
        put(home / "spool", f"note({n})")
    stays = put(home / "spool", way)
    it = start("--drain", "--spooler-harakiri", "1")
    assert it.spawned.wait_exit(60) == 1
    assert sorted(map(int, it.runs())) == list(range(10))
    assert it.tasks() == [os.path.basename(stays)]
    assert os.path.basename(stays) in it.output().split("left: ")[1]


def test_a_drain_that_is_stopped(start: Start, home: Path) -> None:
    """Ctrl-C ends a drain as it ends a run: the running task finishes, the others stay."""
    (home / "spool").mkdir()
    for _ in range(3):
        put(home / "spool", "note('begin'); gate('go'); note('end')")
    it = start("--drain")
    it.wait_runs("begin")
    it.send(2)
    it.spawned.wait_output("1 running")
    it.open_gate("go")
    it.spawned.wait_exit(30)
    assert it.runs() == ["begin", "end"]
    assert len(it.tasks()) == 2


# ---- a directory that goes and comes ----


def test_a_removed_directory_is_waited_for(start: Start) -> None:
    """That it is gone is said once, nobody dies, and when it is back it is served again, woken as before."""
    it = start("--spooler-processes", "2", "--spooler-frequency", "600")
    pids = it.wait_workers(2)
    shutil.rmtree(it.spool)
    it.spawned.wait_output("(directory-gone)", timeout=30)
    it.spool.mkdir()
    it.spawned.wait_output("is back", n=2, timeout=30)
    for n in range(5):
        it.put(f"note({n}, os.getpid())")
        it.wait_count(n + 1, timeout=20)
    assert {int(line.split()[1]) for line in it.runs()} <= set(pids)
    assert it.spawned.alive()
    assert "OOOPS" not in it.output()
    assert it.stop() == 0


def removed(path: Path) -> bool:
    """Remove a directory in which a spooler may be writing its journal just now; whether it is gone."""
    shutil.rmtree(path, ignore_errors=True)
    return not path.exists()


def test_a_directory_that_is_replaced_at_once(start: Start) -> None:
    """Removed and made again between two scans: the new one is watched as the old one was."""
    it = start("--spooler-processes", "2", "--spooler-frequency", "600")
    it.wait_workers(2)
    for n in range(5):
        poll_until(lambda: removed(it.spool), what="the removal of the directory")
        it.spool.mkdir()
        for m in range(4):
            it.put(f"note({n}, {m})")
            it.wait_runs(f"{n} {m}", timeout=20)
    assert it.stop() == 0


def test_a_directory_that_is_moved_away(start: Start, home: Path) -> None:
    """The path counts, not the directory that once was there: from the next poll on the new one is watched."""
    it = start("--spooler-frequency", "1")
    it.wait_workers(1)
    it.spool.rename(home / "old")
    it.spool.mkdir()
    it.put("note('new'); uwsgi.set_spooler_frequency(600)")
    it.wait_runs("new", timeout=20)
    it.put("note('woken')")
    it.wait_runs("woken", timeout=20)
    assert it.stop() == 0


def test_a_stop_while_the_directory_is_gone(start: Start) -> None:
    """Waiting for a directory is no reason not to end, and a removed one is not made again by us."""
    it = start()
    it.wait_workers(1)
    shutil.rmtree(it.spool)
    it.spawned.wait_output("(directory-gone)", timeout=30)
    assert it.stop() == 0
    assert not it.spool.exists()


@pytest.mark.parametrize("back", [False, True], ids=["gone", "back"])
def test_a_fork_server_that_dies_without_the_directory(start: Start, back: bool) -> None:
    """Gone, or there again without our state directory: the master lives on, and what comes is served."""
    it = start()
    it.wait_workers(1)
    (server,) = it.fork_servers()
    shutil.rmtree(it.spool)
    if back:
        it.spool.mkdir()
    os.kill(server, 9)
    it.spawned.wait_output("the fork server was killed")
    if not back:
        it.spawned.wait_output("(directory-gone)", timeout=30)
        it.spool.mkdir()
    it.put("note('served')")
    it.wait_runs("served", timeout=20)
    assert "Traceback" not in it.output()
    assert it.stop() == 0


# ---- when watching fails ----

_INJECT = [
    "strace",
    "-f",
    "-qq",
    "-o",
    "/dev/null",
    "-e",
    "trace=inotify_init1",
    "-e",
    "inject=inotify_init1:error=EMFILE",
]


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("strace"), reason="faults are injected by strace")
def test_without_watches_it_polls(start: Start) -> None:
    """Where the kernel gives no watch that is said, and the poll finds every task."""
    it = start("--spooler-frequency", "1", prefix=_INJECT)
    it.spawned.wait_output("Too many open files", timeout=30)
    for n in range(3):
        it.put(f"note({n})")
        it.wait_runs(str(n))
    assert it.output().count("found by polling, every 1 s") == 1
    name = f"{PREFIX}dropped"
    (it.home / "made").write_bytes(packet({b"code": b"note('dropped')"}))
    (it.home / "made").rename(it.spool / name)
    it.wait_runs("dropped")


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("strace"), reason="faults are injected by strace")
def test_forks_that_fail(start: Start) -> None:
    """A fork server that cannot fork says so and tries again, slower and slower; when it can, tasks are served."""
    inject = [
        "strace",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        "trace=clone",
        "-e",
        "inject=clone:error=EAGAIN:when=1..5",
    ]
    it = start(prefix=inject)
    it.spawned.wait_output("cannot fork: Resource temporarily unavailable", n=5, timeout=30)
    it.put("note('served')")
    it.wait_runs("served")
    assert "(crash-loop)" in it.output()


def no_process(when: str) -> list[str]:
    """A prefix under which the master cannot start so many processes, nor the fork server fork."""
    calls = "clone,clone3,vfork"
    return f"strace -f -qq -o /dev/null -e trace={calls} -e inject={calls}:error=EAGAIN:when={when}".split()


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("strace"), reason="faults are injected by strace")
def test_a_fork_server_that_cannot_be_started_for_a_reload(start: Start) -> None:
    """It is said, and the old code goes on; the next reload tries again."""
    it = start(prefix=no_process("2")).behind()
    it.wait_workers(1)
    before = it.fork_servers()
    it.send(1)
    it.spawned.wait_output("cannot start a fork server: Resource temporarily unavailable: the old code goes on")
    it.put("note('served')")
    it.wait_runs("served")
    assert it.fork_servers() == before
    it.send(1)
    poll_until(lambda: len(it.fork_servers()) == 1 and it.fork_servers() != before, 30, "another fork server")
    assert it.stop() == 0


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("strace"), reason="faults are injected by strace")
def test_a_fork_server_that_cannot_be_replaced_at_once(start: Start) -> None:
    """When nobody serves it is tried again, and a stop meanwhile is a stop."""
    it = start(prefix=no_process("2..3")).behind()
    it.wait_workers(1)
    os.kill(it.fork_servers()[0], 9)
    it.spawned.wait_output("cannot start a fork server: Resource temporarily unavailable: tried again in 1 s", n=2)
    it.put("note('served')")
    it.wait_runs("served")
    assert it.stop() == 0
    never = start(prefix=no_process("2+")).behind()
    never.wait_workers(1)
    os.kill(never.fork_servers()[0], 9)
    never.spawned.wait_output("tried again in 1 s", n=2)
    assert never.stop() == 0


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("strace"), reason="faults are injected by strace")
def test_no_fork_server_at_all(start: Start) -> None:
    """At the start it is an error of one line."""
    it = start(prefix=no_process("1+"))
    assert it.spawned.wait_exit() == 1
    assert "cannot start a fork server: Resource temporarily unavailable: nothing runs" in it.output()
    assert "Traceback" not in it.output()


def test_a_spool_that_cannot_be_written_to(start: Start, home: Path) -> None:
    """A spool directory that is a file is refused in one line that names it, with status 1."""
    (home / "file").touch()
    it = start("--spooler", "file")
    assert it.spawned.wait_exit(30) == 1
    lines = [line for line in it.output().splitlines() if line]
    assert len(lines) == 1
    assert "file" in lines[0]


def test_a_task_that_takes_the_name_of_a_running_one(start: Start) -> None:
    """Moved over its file while it runs, the new one is not removed with it, but run."""
    it = start("--spooler-quiet")
    path = it.put("note('first'); gate('go', 60)")
    it.wait_runs("first")
    other = put(it.home, "note('second')")
    os.rename(other, path)
    it.open_gate("go")
    it.wait_runs("second")
    it.wait_empty()
    assert "(own-file-replaced)" in it.output()
    assert it.stop() == 0
