"""`run --drain`: it always ends, tries each task once, and its last line is true."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.process.conftest import Instance, Start, put

ENDS = 60


def drained(it: Instance) -> tuple[int, str]:
    """Its exit status and its last line, when it has ended."""
    status = it.spawned.wait_exit(ENDS)
    it.spawned.assert_nothing_left()
    return status, it.output().splitlines()[-1].removeprefix("[spoolsim] ")


def left(it: Instance) -> dict[str, str]:
    """Path below the spool -> reason, as listed."""
    rows = (line.partition("left: ")[2].partition(": ") for line in it.output().splitlines() if "left: " in line)
    return {path: why for path, _, why in rows if why}


FAILS = {
    "raises": ("raise ValueError('no')", "raised ValueError: no"),
    "none": ("result = None", "returned None"),
    "retry": ("result = uwsgi.SPOOL_RETRY", "asked to be retried (SPOOL_RETRY)"),
    "ignored": ("result = 0", "returned SPOOL_IGNORE (0)"),
    "exits": ("sys.exit(3)", "its spooler exited with status 3"),
    "exits as a drained one": ("os._exit(100)", "its spooler exited with status 100"),
    "killed": ("os.kill(os.getpid(), 9)", "its spooler was killed by SIGKILL"),
    "harakiri": ("uwsgi.set_user_harakiri(1); time.sleep(600)", "its spooler was killed by its harakiri"),
}


@pytest.mark.parametrize("options", [[], ["--faithful"], ["--spooler-ordered"], ["--spooler-max-tasks", "3"]])
def test_each_failing_task_is_tried_once(start: Start, home: Path, options: list[str]) -> None:
    """By one of four processes, whichever way it fails and whatever is done meanwhile; the others are done."""
    (home / "spool").mkdir()
    expected = {}
    for number in range(4):
        for name, (code, why) in FAILS.items():
            path = put(home / "spool", f"note({name!r}, {number}); {code}")
            expected[os.path.basename(path)] = why
            put(home / "spool", f"note('good {name}', {number})")
    it = start("--drain", "--spooler-processes", "4", *options)
    status, last = drained(it)
    assert status == 1
    assert last == f"drained: {len(expected)} due left, 0 for later"
    good = [f"{kind}{name} {number}" for name in FAILS for number in range(4) for kind in ("", "good ")]
    assert sorted(it.runs()) == sorted(good)
    assert it.tasks() == sorted(expected)
    found = left(it)
    assert found.keys() == expected.keys()
    for name, why in expected.items():
        assert why in found[name]


def test_with_spooler_cheap_it_ends(start: Start, home: Path) -> None:
    """Also where nothing is due, and no process would ever be wanted."""
    it = start("--drain", "--spooler-cheap", "--uwsgi", "2.1")
    assert drained(it) == (0, "drained: 0 due left, 0 for later")


@pytest.mark.parametrize("watch", [["--watch", "."], ["--touch-spoolers-reload", "touched"], ["--py-autoreload", "1"]])
def test_a_broken_import_ends_it_at_once(start: Start, home: Path, watch: list[str]) -> None:
    """Though what is watched could mend it: nobody waits for that in a drain. Nothing is called drained."""
    (home / "spool").mkdir()
    put(home / "spool", "pass")
    it = start("--drain", *watch, app="import nowhere_to_be_found\n")
    assert drained(it) == (1, "not drained, the app could not be imported: 1 due left, 0 for later")


@pytest.mark.parametrize("mode", [[], ["--faithful"]])
@pytest.mark.parametrize("end", ["os._exit(0)", "os._exit(100)"])
def test_a_spooler_that_dies_before_its_first_task_ends_it(
    start: Start, home: Path, home_app: str, end: str, mode: list[str]
) -> None:
    """The hook after the fork ends each process: it is given up, and nothing is called drained."""
    (home / "spool").mkdir()
    put(home / "spool", "pass")
    it = start("--drain", *mode, app=home_app + f"uwsgi.post_fork_hook = lambda: {end}\n")
    status, last = drained(it)
    assert (status, last.partition(", ")[0]) == (1, "not drained")
    assert last.endswith(": 1 due left, 0 for later")


def test_a_task_that_kills_fork_servers_ends_it(start: Start, home: Path) -> None:
    """Each time the fork server is gone, and with it what was known of the tasks: it is not tried forever."""
    (home / "spool").mkdir()
    put(home / "spool", "os.kill(os.getppid(), 9); result = None")
    status, last = drained(start("--drain"))
    assert (status, last.partition(", ")[0]) == (1, "not drained")


def test_an_exit_handler_that_hangs_ends_it(start: Start, home: Path, home_app: str) -> None:
    """Its process has the stop-grace, and no longer; what was done is done."""
    app = home_app + "import atexit; atexit.register(lambda: time.sleep(600) if uwsgi.i_am_the_spooler() else None)\n"
    it = start("--drain", "--stop-grace", "1", app=app)
    assert drained(it) == (0, "drained: 0 due left, 0 for later")


def test_what_waits_for_its_retry_delay_is_left(start: Start, home: Path) -> None:
    """It failed: it is not merely early."""
    (home / "spool").mkdir()
    name = os.path.basename(put(home / "spool", "raise ValueError('no')"))
    it = start("--drain", "--retry-delay", "3600")
    assert drained(it) == (1, "drained: 1 due left, 0 for later")
    assert left(it)[name].startswith("raised ValueError: no; it waits another 3")


@pytest.mark.parametrize("how", ["broken", "failed", "deleted"])
def test_what_was_moved_out_of_the_way_is_counted(start: Start, home: Path, how: str) -> None:
    """It was not done: the status is 1, and the last line is not that of a spool that was drained well."""
    (home / "spool").mkdir()
    task = Path(put(home / "spool", "raise ValueError('no')"))
    if how != "failed":
        task.write_bytes(b"\x11\xff\x00\x00")
    it = start("--drain", *{"failed": ["--max-attempts", "1"], "broken": [], "deleted": ["--faithful"]}[how])
    status, last = drained(it)
    assert status == 1
    what = "deleted without being run, as uWSGI does" if how == "deleted" else "moved into .spoolsim/"
    assert last.startswith(f"drained: 1 {what}")
    assert not task.exists()


def test_what_can_never_run_is_left(start: Start, home: Path) -> None:
    """Links, and tasks below a directory from the future: each with its own reason."""
    spool = home / "spool"
    spool.mkdir()
    real = Path(put(spool, "pass"))
    real.rename(home / "real")
    real.symlink_to(home / "real")
    later = put(spool, "pass", priority="5")
    os.utime(spool / "5", (time.time() + 3600,) * 2)
    it = start("--drain", "--spooler-ordered")
    assert drained(it) == (1, "drained: 1 due left, 1 for later")
    assert "symbolic link" in left(it)[real.name]
    assert os.path.exists(later)


def test_a_done_task_that_cannot_be_removed_ends_it(start: Start, home: Path) -> None:
    """It is run once, and listed as done and still there."""
    (home / "spool").mkdir()
    inner = "import shutil; t = env['spooler_task_name'].decode(); note('run'); real = os.unlink\n"
    inner += "def refuse(path, *a, **k):\n    raise PermissionError(13, 'Permission denied')\nos.unlink = refuse\n"
    name = os.path.basename(put(home / "spool", inner))
    it = start("--drain")
    assert drained(it) == (1, "drained: 1 due left, 0 for later")
    assert it.runs() == ["run"]
    assert "is done, but could not be removed" in left(it)[name]


def test_a_drain_that_is_stopped_says_so(start: Start, home: Path) -> None:
    """Ctrl-C lets the running task finish; what was not tried is counted, and nothing is called drained."""
    (home / "spool").mkdir()
    for number in range(3):
        put(home / "spool", f"note('begun'); gate('go'); note({number})")
    it = start("--drain")
    it.wait_count(1)
    it.send(signal.SIGINT)
    it.spawned.wait_output("SIGINT: 1 running")
    it.open_gate("go")
    assert drained(it) == (1, "not drained, stopped by SIGINT: 2 due left, 0 for later")
