"""touch-spoolers-reload: new code by touching a file, and nothing lost by it."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

import pytest

from tests import size
from tests.conftest import WaitFor, poll_until
from tests.process.conftest import Instance, Start, children, descriptors, state
from tests.process.test_stats import document

TOUCH = ("--touch-spoolers-reload", "touched")


def version(it: Instance, app: str, name: str) -> None:
    """The app's code becomes this version, or a broken one."""
    text = "VERSION = " + (repr(name) if name != "broken" else "no_such_name")
    new = it.home / f".app.{name}"
    new.write_text(f"{app}\n{text}\n")
    os.rename(new, it.home / "app.py")


def touch(it: Instance, name: str = "touched") -> None:
    """Write the file again."""
    (it.home / name).write_text(str(time.monotonic_ns()))


def answered_by(it: Instance, name: str, timeout: float = 30) -> None:
    """Wait until tasks are run by this version of the code."""

    def asked() -> bool:
        it.put("note('version', VERSION)")
        return f"version {name}" in it.runs()

    poll_until(asked, timeout, f"the version {name}; the output was:\n{it.output()[-2000:]}")


def settled(it: Instance, processes: int) -> None:
    """Wait until there is one fork server with so many spoolers, all of them alive and on the scoreboard."""

    def found() -> bool:
        servers = it.fork_servers()
        living = children(servers[0]) if len(servers) == 1 else []
        right = len(living) == processes and sorted(living) == sorted(it.workers())
        return right and all(state(pid) in "SR" for pid in (*living, *servers))

    try:
        poll_until(found, 30, f"one fork server and {processes} spoolers")
    except pytest.fail.Exception as error:
        servers = it.fork_servers()
        living = [(pid, state(pid)) for server in servers for pid in children(server)]
        pytest.fail(f"{error}; {servers=}, {living=}, {it.workers()=}; the output was:\n{it.output()[-3000:]}")


def test_an_idle_spooler_answers_a_touch(start: Start, home_app: str) -> None:
    """A touch is followed by new code in under half a second, in a process that waits for work.

    The best of ten: a busy machine has slow ones.
    """
    (it := start(*TOUCH, app=home_app + "VERSION = 'one'\n")).wait_workers(1)
    touch(it)  # it is made: a touch
    it.spawned.wait_output("touched has been touched")
    took = []
    while len(took) < 10 and min(took, default=1.0) >= 0.5:
        settled(it, 1)
        before = it.workers()
        version(it, home_app, f"v{len(took)}")
        began = time.monotonic()
        touch(it)
        answered_by(it, f"v{len(took)}")
        took.append(time.monotonic() - began)
        settled(it, 1)
        assert it.workers() != before
    assert min(took) < 0.5
    assert "unable to stat() touched" in it.output()
    assert it.stop() == 0


@pytest.mark.parametrize("way", ["written", "renamed", "removed", "made again", "mtime", "mtime back"])
def test_ways_to_touch(start: Start, home: Path, home_app: str, way: str) -> None:
    """Each way in which a file changes is a touch, reported once, and brings new code."""
    (home / "touched").write_text("before")
    it = start(*TOUCH, app=home_app + "VERSION = 'one'\n")
    it.wait_workers(1)
    file = it.home / "touched"
    if way == "made again":
        file.unlink()
        it.spawned.wait_output("has been touched", timeout=20)
    said = it.output().count("has been touched")
    version(it, home_app, "two")
    if way == "written":
        touch(it)
    elif way == "renamed":
        other = it.home / "touched.swp"
        other.write_text("after")
        os.utime(other, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns))  # only the inode tells
        os.rename(other, file)
    elif way == "removed":
        file.unlink()
    elif way == "made again":
        file.write_text("again")
    else:
        change = 5 if way == "mtime" else -5000
        os.utime(file, (time.time() + change, time.time() + change))
    answered_by(it, "two")
    assert it.output().count("has been touched") > said
    settled(it, 1)
    assert it.stop() == 0


def test_several_files_and_a_directory(start: Start, home_app: str) -> None:
    """Each of several files reloads, also one in a directory made later; so does an entry added to a directory."""
    names = ("a", "b", "later/c", "place")
    options = [word for name in names for word in ("--touch-spoolers-reload", name)]
    it = start(*options, app=home_app + "import os\nos.makedirs('place', exist_ok=True)\nVERSION = 'one'\n")
    it.wait_workers(1)
    for name in names:
        version(it, home_app, f"by {name}".replace("/", " "))
        if name == "place":
            (it.home / "place" / "entry").touch()
        else:
            (it.home / name).parent.mkdir(exist_ok=True)
            touch(it, name)
        it.spawned.wait_output(f"{name} has been touched", timeout=20)
        answered_by(it, f"by {name}".replace("/", " "))
    assert it.stop() == 0


def test_broken_code(start: Start, home_app: str) -> None:
    """Code that cannot be imported: its traceback is shown, the old code goes on, the next touch tries again."""
    it = start(*TOUCH, app=home_app + "VERSION = 'one'\n")
    (pid,) = it.wait_workers(1)
    version(it, home_app, "broken")
    touch(it)
    it.spawned.wait_output("still serving the old code", timeout=20)
    assert "NameError: name 'no_such_name' is not defined" in it.output()
    answered_by(it, "one")
    settled(it, 1)
    assert it.workers() == [pid]
    version(it, home_app, "three")
    touch(it)
    answered_by(it, "three")
    assert it.stop() == 0


def test_a_touch_while_broken_code_is_imported(start: Start, home_app: str) -> None:
    """The code is mended and touched again while its broken state is still being imported: the mended one serves."""
    it = start(*TOUCH, app=home_app + "VERSION = 'one'\n")
    it.wait_workers(1)
    (it.home / "app.py").write_text(home_app + "note('importing')\ngate('mended', 60)\nVERSION = no_such_name\n")
    touch(it)
    it.wait_runs("importing")
    version(it, home_app, "two")
    touch(it)
    it.spawned.wait_output("has been touched", n=2, timeout=20)
    it.open_gate("mended")
    it.spawned.wait_output("still serving the old code", timeout=20)
    answered_by(it, "two")
    assert it.stop() == 0


@pytest.mark.parametrize("end", ["VERSION = 'one'", "VERSION = no_such_name"])
def test_a_touch_while_the_first_import_runs(start: Start, home_app: str, end: str) -> None:
    """It counts, although nothing serves yet: the newer code does in the end, also when the first was broken."""
    it = start(*TOUCH, app=f"{home_app}note('importing')\ngate('first', 60)\n{end}\n")
    it.wait_runs("importing")
    version(it, home_app, "two")
    touch(it)
    it.open_gate("first")
    answered_by(it, "two")
    assert it.stop() == 0


@pytest.mark.parametrize("late", [False, True])
def test_an_import_that_hangs(start: Start, home_app: str, late: bool) -> None:
    """It does not keep the next touch from being answered, whenever that comes; the old code serves meanwhile."""
    it = start(*TOUCH, app=home_app + "VERSION = 'one'\n")
    it.wait_workers(1)
    (it.home / "app.py").write_text(home_app + "note('importing')\ngate('never', 600)\n")
    began = time.monotonic()
    touch(it)
    it.wait_runs("importing")
    answered_by(it, "one")
    if late:
        poll_until(lambda: time.monotonic() - began > 6, 20, "the import to be an old one")
    version(it, home_app, "two")
    touch(it)
    it.spawned.wait_output("gave up importing the new code", timeout=60)
    answered_by(it, "two")
    settled(it, 1)
    assert it.stop() == 0


def test_the_running_task_finishes(start: Start, home_app: str, wait_for: WaitFor) -> None:
    """A task that runs at the touch ends in its old process, while the new one already serves."""
    it = start(*TOUCH, app=home_app + "VERSION = 'one'\n")
    it.put("note('begin', os.getpid()); gate('long', 60); note('end', os.getpid(), VERSION)")
    it.wait_count(1)
    (old,) = it.workers()
    version(it, home_app, "two")
    touch(it)
    answered_by(it, "two")
    assert f"end {old} one" not in it.runs()
    it.open_gate("long")
    it.wait_runs(f"end {old} one")
    settled(it, 1)
    assert len([line for line in it.runs() if line.startswith("begin")]) == 1
    assert it.stop() == 0


def test_the_old_process_takes_no_task_when_the_new_one_serves(start: Start, home_app: str, wait_for: WaitFor) -> None:
    """An idle old process takes no task once the new one serves, also before its fork server has heard of it."""
    it = start(*TOUCH, app=home_app + "VERSION = 'old'\n")
    (old,) = it.wait_workers(1)
    touch(it)  # it is made: a touch
    it.spawned.wait_output("touched has been touched")
    wait_for(lambda: it.workers() not in ([], [old]), 30, "the end of the first reload")
    settled(it, 1)
    (server,) = it.fork_servers()
    (old,) = it.workers()
    os.kill(server, signal.SIGSTOP)
    try:
        version(it, home_app, "new")
        touch(it)
        # the stopped one cannot tell its process to go: both are there
        wait_for(lambda: len(it.fork_servers()) == 2 and any(pid != old for pid in it.workers()), 30, "the new process")
        it.wait_workers(2)
        for n in range(20):
            it.put(f"note('task', {n}, VERSION)")
        it.wait_count(20)
    finally:
        os.kill(server, signal.SIGCONT)
    assert {line.split()[2] for line in it.runs()} == {"new"}
    settled(it, 1)
    assert it.stop() == 0


def test_mercy_ends(start: Start, home_app: str, wait_for: WaitFor) -> None:
    """After reload-mercy the old process is killed, its task stays and is run by the new one without a poll."""
    options = (*TOUCH, "--reload-mercy", "1", "--spooler-frequency", "600", "--stats", "s")
    it = start(*options, app=home_app + "VERSION = 'one'\n")
    name = os.path.basename(it.put("note('begin', os.getpid()); gate('long', 60); note('end', os.getpid())"))
    it.wait_count(1)
    (old,) = it.workers()
    touch(it)
    wait_for(lambda: state(old) in ("", "Z"), 30, "the end of the old process")
    it.wait_count(2)
    it.open_gate("long")
    it.wait_empty()
    ends = [line.split()[1] for line in it.runs() if line.startswith("end")]
    assert len(ends) == 1
    assert ends != [str(old)]
    said = f"{it.spool}: spooler {old} is killed, reload-mercy (1 s) is over; its task {name} stays"
    assert it.output().count(said) == 1
    assert document(it)["spoolsim"]["tasks_killed_unfinished"] == 1
    assert it.stop() == 0


def test_two_reloads_over_two_long_tasks(start: Start, home_app: str) -> None:
    """There is no room for a third process: it is said how long new tasks may have to wait, and they run then."""
    it = start(*TOUCH, app=home_app + "VERSION = 'one'\n")
    for name in ("two", "three"):
        it.put(f"note('long', {name!r}); gate({name!r}, 60)")
        it.wait_runs(f"long {name}")
        version(it, home_app, name)
        (it.home / "touched").touch()  # one event: opening and writing it may be two
        it.spawned.wait_output(
            "(graceful-reload)" if name == "two" else "two processes from earlier reloads are still finishing"
        )
    it.put("note('waits', VERSION)")
    it.open_gate("two")
    it.wait_runs("waits three")
    it.open_gate("three")
    settled(it, 1)
    assert it.output().count("two processes from earlier reloads") == 1
    assert it.stop() == 0


def test_reload_and_stop_from_a_task(start: Start, home_app: str) -> None:
    """uwsgi.reload() in a task brings new code when the task is done; uwsgi.stop() stops the instance."""
    it = start(app=home_app + "VERSION = 'one'\n")
    it.wait_workers(1)
    version(it, home_app, "two")
    it.put("note(uwsgi.reload())")
    it.wait_runs("True")
    answered_by(it, "two")
    it.put("note('stops', uwsgi.stop())")
    assert it.spawned.wait_exit(30) == 0
    it.spawned.assert_nothing_left()
    assert "stops True" in it.runs()


def test_frequency_at_run_time(start: Start) -> None:
    """set_spooler_frequency() in a task changes the poll: a task that was retried is tried again soon, not in 600 s."""
    it = start("--spooler-frequency", "600")
    it.put(
        "note('try', uwsgi.set_spooler_frequency(1)); "
        "result = -2 if len(open(os.environ['RUNS']).readlines()) == 3 else -1"
    )
    it.wait_empty()
    assert it.runs() == ["try True"] * 3
    assert it.stop() == 0


# ---- the storm ----

TOUCHES, TASKS, SECONDS = size((200, 2000, 20.0), (40, 400, 4.0))
#: one task in so many takes longer than the mercy, when it is run for the first time
LONG = 250

STORM = """\
n = env[b"n"].decode()
note("begin", n, os.getpid())
mark = os.path.join(os.environ["GATES"], "long" + n)
if int(n) % 250 == 7 and not os.path.exists(mark):
    open(mark, "w").close()
    time.sleep(float(env.get(b"seconds", b"3")))
note("end", n, os.getpid())
"""


def test_a_storm_of_reloads(start: Start, home_app: str) -> None:
    """200 touches in 20 s (40 in 4 s without --full), every tenth with broken code, while ten times as many tasks flow:
    none lost, none run twice but those that mercy killed, the newest code serves in the end, and processes and
    descriptors are as before.
    """
    files = [word for n in range(3) for word in ("--touch-spoolers-reload", f"t{n}")]
    options = ("--spooler-processes", "3", "--reload-mercy", "1", "--spooler-frequency", "600", "--spooler-quiet")
    app = home_app + f"STORM = {STORM!r}\n"
    it = start(*options, *files, app=app + "VERSION = 'v'\n")
    it.wait_workers(3)
    before = descriptors(it.pid)
    began = time.monotonic()
    put = 0
    files_of: dict[str, int] = {}
    for n in range(TOUCHES):
        version(it, app, "broken" if n % 10 == 8 else f"v{n}")
        touch(it, f"t{n % 3}")
        if n == 8:  # the first broken code stays until it was read, as later ones may be replaced before
            it.spawned.wait_output("still serving the old code")
        until = began + SECONDS * (n + 1) / TOUCHES
        while put < TASKS * (n + 1) // TOUCHES:
            files_of[os.path.basename(it.put("exec(STORM)", n=str(put)))] = put
            put += 1
        poll_until(lambda until=until: time.monotonic() >= until, SECONDS, "the next touch")
    assert put == TASKS
    it.wait_empty(30)
    # on a busy machine a long task may have begun after the last reload: this one is there for another
    last = TASKS - TASKS % LONG + LONG + 7
    files_of[os.path.basename(it.put("exec(STORM)", n=str(last), seconds="120"))] = last
    poll_until(lambda: f"begin {last} " in "\n".join(it.runs()), 30, "the long task")
    version(it, app, f"v{TOUCHES}")
    touch(it, "t0")
    it.wait_empty(30)
    answered_by(it, f"v{TOUCHES}")
    settled(it, 3)
    lines = [tuple(line.split()) for line in it.runs() if line.startswith(("begin", "end"))]
    ends = [(int(n), pid) for what, n, pid in lines if what == "end"]
    begins = [(int(n), pid) for what, n, pid in lines if what == "begin"]
    tasks = {*range(TASKS), last}
    long = {n for n in tasks if n % LONG == 7}
    said = re.findall(
        r"spooler (\d+) is killed, reload-mercy \(1 s\) is over; its task (\S+) (?:stays|is no longer)", it.output()
    )
    # on a busy machine one may be killed before its handler's first line
    killed = {(files_of[file], pid) for pid, file in said} & set(begins)
    assert {n for n, _ in ends} == tasks
    again: set[tuple[int, str]] = set()
    for n in tasks:
        runners = [pid for number, pid in begins if number == n]
        assert len(set(runners)) == len(runners), (n, runners)
        again |= {(n, pid) for pid in runners[:-1]}
    assert len({*said}) == len(said)
    # of one that sleeps; or of one whose removal a busy machine held up for all of the mercy, and which perhaps went
    assert again <= killed and killed - again <= set(ends) and again
    unfinished = set(begins) - set(ends)  # a process that was killed in its sleep noted a begin and no end
    assert unfinished <= killed and {n for n, _ in unfinished} & long
    assert it.output().count("has been touched") >= TOUCHES / 10
    assert it.output().count("still serving the old code") >= 1
    assert [state(pid) for pid in children(it.pid)] == ["S"]
    assert descriptors(it.pid) == before or len(descriptors(it.pid)) == len(before)
    assert it.stop(signal.SIGINT) == 0
