"""Looking at a spool directory: what is told, and that nothing is touched."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest
from elsewhere import held_by_another

from spoolsim.spool import jobs, settle
from spoolsim.spool.claim import Claim, take
from spoolsim.spool.directory import SpoolDir
from spoolsim.spool.look import CLAIMED, FUTURE, UNFINISHED, UNREACHED, WAITING, look
from spoolsim.spool.names import PREFIX
from spoolsim.spool.scan import Level
from spoolsim.spool.verdicts import KEEP
from tests.oracle.packets import packet

NOW = 2_000_000_000.0
OLD = 1_000_000_000


@pytest.fixture
def full(spool: SpoolDir) -> SpoolDir:
    """A task in every state, and things that are no tasks."""
    home = Path(spool.path)
    (home / "5" / "6").mkdir(parents=True)
    (home / f"{PREFIX}dir").mkdir()
    (home / "high" / "below").mkdir(parents=True)
    (home / "5" / "low").mkdir()
    spool.make_state_dir("broken")
    for name, data in {
        f"{PREFIX}waiting": packet({b"k": b"v"}) + b"body",
        f"{PREFIX}future": packet(),
        f"{PREFIX}claimed": packet(),
        f"{PREFIX}empty": b"",
        f"{PREFIX}short": b"\x11\0\0",
        f"{PREFIX}broken": b"\x11\xff\x00\x00",
        "12": packet(),
        f"5/{PREFIX}deep": packet(),
        f"5/6/{PREFIX}deeper": packet(),
        "ztask": packet(),
        f".{PREFIX}making": packet(),
        f"high/{PREFIX}never": packet(),
        f"high/below/{PREFIX}no": packet(),
        "high/5": packet(),
        f"5/low/{PREFIX}never": packet(),
        f".spoolsim/broken/{PREFIX}was": b"",
    }.items():
        (home / name).write_bytes(data)
    os.utime(home / f"{PREFIX}future", (NOW + 5, NOW + 5))
    (home / f"{PREFIX}link").symlink_to(f"{PREFIX}waiting")
    os.mkfifo(home / f"{PREFIX}fifo")
    return spool


def states(spool: SpoolDir, *, ordered: bool) -> dict[str, str]:
    found = list(look(spool, ordered=ordered, now=NOW))
    named = {os.path.relpath(task.path, spool.path): task.state for task in found}
    assert len(named) == len(found)
    return named


COMMON = {
    f"{PREFIX}waiting": WAITING,
    f"{PREFIX}future": FUTURE,
    f"{PREFIX}claimed": CLAIMED,
    f"{PREFIX}empty": UNFINISHED,
    f"{PREFIX}short": UNFINISHED,
    f"{PREFIX}broken": WAITING,
}
#: in directories that no spooler enters, or not a file
NEVER = (f"high/{PREFIX}never", f"5/low/{PREFIX}never", f"{PREFIX}link")
NUMBERED = ("12", f"5/{PREFIX}deep", f"5/6/{PREFIX}deeper")


def test_every_task_has_its_state(full: SpoolDir):
    """Ordered, tasks with numbers and in priority directories wait too; without, uWSGI never reaches them.

    A directory of another name may be a priority, or somebody's own: its tasks are told, and not what is below it.
    """
    with held_by_another(f"{full.path}/{PREFIX}claimed"):
        assert states(full, ordered=True) == COMMON | dict.fromkeys(NUMBERED, WAITING) | dict.fromkeys(NEVER, UNREACHED)
        assert states(full, ordered=False) == COMMON | dict.fromkeys((*NUMBERED, *NEVER), UNREACHED)
        for task in look(full, ordered=False, now=NOW):
            assert bool(task.why) == (task.state in (UNREACHED, CLAIMED, UNFINISHED))


@pytest.mark.parametrize("how", ["gone", "a file"])
def test_a_directory_that_cannot_be_read_is_told(spool: SpoolDir, how: str):
    """In place of the tasks that nobody can see stands the directory, with the reason: it is not an empty one."""
    os.rmdir(spool.path)
    if how == "a file":
        Path(spool.path).touch()
    (found,) = look(spool, ordered=True, now=NOW)
    assert (found.path, found.state) == (spool.path, UNREACHED)
    assert "the directory cannot be read: " in found.why


def test_our_own_claim_is_seen_by_another_look(full: SpoolDir, level: Level):
    """A task that a worker of ours runs is claimed, and waiting again when it is released."""
    claim = take(level, f"{PREFIX}waiting", NOW)
    assert isinstance(claim, Claim)
    assert states(full, ordered=True)[f"{PREFIX}waiting"] == CLAIMED
    settle.apply(claim, KEEP)
    assert states(full, ordered=True)[f"{PREFIX}waiting"] == WAITING


def snapshot(home: str) -> dict[str, tuple[object, ...]]:
    """Everything that stat and the content tell of everything below a directory, itself included.

    The times of access are set to something old and newer than the rest first, so that reading would move them.
    """
    found: dict[str, tuple[object, ...]] = {}
    for path in [Path(home), *sorted(Path(home).rglob("*"))]:
        status = path.lstat()
        found[str(path)] = tuple(getattr(status, name) for name in dir(status) if name.startswith("st_"))
    return found


def test_looking_changes_nothing(full: SpoolDir):
    """I6: look, jobs and get_task leave names, kinds, modes, owners, sizes and times as they were; of the times of
    access those of the files that were not read.
    """
    for path in Path(full.path).rglob("*"):
        if path.is_file() and not path.is_symlink():
            mtime = path.stat().st_mtime
            os.utime(path, (OLD, mtime))  # older than the mtime: a read would set it, also under relatime
    before = snapshot(full.path)
    list(look(full, ordered=True, now=NOW))
    list(look(full, ordered=False, now=NOW))
    jobs.jobs(full)
    files = {path for path, status in before.items() if stat.S_ISREG(os.lstat(path).st_mode)}
    after = snapshot(full.path)
    assert after.keys() == before.keys()
    for path in files:
        assert after[path] == before[path]
    read = f"{full.path}/{PREFIX}waiting"
    content = os.stat(read).st_ctime_ns, os.stat(read).st_mtime_ns
    jobs.get_task(read)
    jobs.get_task(f"{full.path}/{PREFIX}empty")
    assert (os.stat(read).st_ctime_ns, os.stat(read).st_mtime_ns) == content
    assert set(snapshot(full.path)) == set(before)


def test_jobs_are_the_regular_files_of_the_top_level(full: SpoolDir):
    """spooler_jobs(): bytes, absolute; future, empty and broken ones too; no numbers, links, FIFOs, directories."""
    assert sorted(jobs.jobs(full)) == sorted(os.fsencode(f"{full.path}/{name}") for name in COMMON)


def test_jobs_of_a_directory_that_is_gone_are_none(spool: SpoolDir):
    """No error where there is no directory."""
    os.rmdir(spool.path)
    assert jobs.jobs(spool) == []


def test_get_task_is_what_the_handler_would_get(full: SpoolDir, monkeypatch: pytest.MonkeyPatch):
    """Variables and body, the path as given in place of the name; relative to the working directory."""
    path = f"{full.path}/{PREFIX}waiting"
    assert jobs.get_task(path) == {b"k": b"v", "body": b"body", "spooler_task_name": os.fsencode(path)}
    monkeypatch.chdir(full.path)
    assert jobs.get_task(f"./{PREFIX}future") == {"spooler_task_name": f"./{PREFIX}future".encode()}


def test_a_task_whose_status_cannot_be_had_hides_no_other(full: SpoolDir, monkeypatch: pytest.MonkeyPatch):
    """A time after 2038 where the C library has 32 bits for it, say: that file is told of, and so are all others."""
    path, fstat = f"{full.path}/{PREFIX}waiting", os.fstat
    inode = os.stat(path).st_ino
    before = states(full, ordered=True)

    def refuse(fd: int) -> os.stat_result:
        if (status := fstat(fd)).st_ino == inode:
            raise OSError(errno.EOVERFLOW, os.strerror(errno.EOVERFLOW))
        return status

    monkeypatch.setattr(os, "fstat", refuse)
    assert states(full, ordered=True) == before | {f"{PREFIX}waiting": UNREACHED}
    (found,) = (found for found in look(full, ordered=True, now=NOW) if found.path == path)
    assert found.why == f"cannot be looked at: {os.strerror(errno.EOVERFLOW)}"
    assert jobs.get_task(path) is None


@pytest.mark.parametrize("name", ["absent", "dir", "link", "fifo", "empty", "short", "broken"])
def test_get_task_of_anything_else_is_none(full: SpoolDir, name: str):
    """Missing, a directory, a link, a FIFO, empty or broken: None, without an error and without hanging."""
    assert jobs.get_task(f"{full.path}/{PREFIX}{name}") is None


def test_get_task_of_a_claimed_one_is_none(full: SpoolDir):
    """While somebody runs it a task cannot be had; the lock is asked for, not taken."""
    path = f"{full.path}/{PREFIX}waiting"
    with held_by_another(path):
        assert jobs.get_task(path) is None
    assert jobs.get_task(path) is not None


def test_get_task_reads_no_more_than_a_spooler_would(full: SpoolDir):
    """What is larger than --max-body, or than the memory there is, cannot be had."""
    path = f"{full.path}/{PREFIX}waiting"
    size = os.stat(path).st_size
    assert jobs.get_task(path, size) is not None
    assert jobs.get_task(path, size - 1) is None
    os.truncate(path, 1 << 43)
    assert jobs.get_task(path) is None


def test_a_task_that_this_user_may_not_write_to_says_so(full: SpoolDir, monkeypatch: pytest.MonkeyPatch):
    """It can be read, and looks as if it waited, but a spooler of this user could not lock it."""
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    (task,) = [task for task in look(full, ordered=True, now=NOW) if task.path.endswith("waiting")]
    assert task.state == WAITING
    assert task.why == "a spooler must write to it, and this user may not"
