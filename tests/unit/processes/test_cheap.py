"""Is there work for a spooler that does not run?"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from spoolsim.processes.cheap import has_work
from spoolsim.spool.directory import SpoolDir
from spoolsim.spool.names import PREFIX

NOW = 1_700_000_000.5
TASK = b"\x11\x00\x00\x00"


@pytest.fixture
def spool(tmp_path: Path) -> SpoolDir:
    """A spool directory."""
    return SpoolDir(str(tmp_path))


def make(spool: SpoolDir, name: str, mtime: float, content: bytes = TASK) -> None:
    """A file of this name and time."""
    path = Path(spool.path) / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (mtime, mtime))


def test_nothing_there(spool: SpoolDir) -> None:
    """An empty directory, and one that is gone, hold no work and no time."""
    assert has_work(spool, ordered=True, now=NOW) == (False, None)
    os.rmdir(spool.path)
    assert has_work(spool, ordered=True, now=NOW) == (False, None)


def test_a_due_task(spool: SpoolDir) -> None:
    """A task whose second has come is work; a future one beside it does not matter."""
    make(spool, f"{PREFIX}later", NOW + 50)
    make(spool, f"{PREFIX}now", NOW)
    assert has_work(spool, ordered=False, now=NOW) == (True, None)


def test_the_first_future_one(spool: SpoolDir) -> None:
    """Without a due task it is said when the first one becomes due, in whole seconds."""
    make(spool, f"{PREFIX}a", NOW + 50)
    make(spool, f"{PREFIX}b", NOW + 9)
    assert has_work(spool, ordered=False, now=NOW) == (False, int(NOW + 9))


@pytest.mark.parametrize("ordered", [False, True])
def test_priorities_and_numbers(spool: SpoolDir, ordered: bool) -> None:
    """Priority directories and numeric names are work only where they would be run."""
    make(spool, f"5/{PREFIX}a", NOW)
    assert has_work(spool, ordered=ordered, now=NOW)[0] is ordered
    (Path(spool.path) / "5" / f"{PREFIX}a").unlink()
    make(spool, "12", NOW)
    assert has_work(spool, ordered=ordered, now=NOW)[0] is ordered


def test_what_is_no_task(spool: SpoolDir) -> None:
    """Other names, symlinks and our state directory are no work."""
    make(spool, "task1", NOW)
    make(spool, f".spoolsim/{PREFIX}x", NOW)
    os.symlink(Path(spool.path) / "task1", Path(spool.path) / f"{PREFIX}link")
    assert has_work(spool, ordered=True, now=NOW) == (False, None)


def test_a_file_that_is_being_written(spool: SpoolDir) -> None:
    """A new file without content is looked at again soon, the later the older it is; an old one not at all."""
    make(spool, f"{PREFIX}empty", NOW - 0.1, b"")
    found, later = has_work(spool, ordered=False, now=NOW)
    assert not found
    assert later is not None
    assert NOW < later < NOW + 0.2
    make(spool, f"{PREFIX}empty", NOW - 60, b"")
    assert has_work(spool, ordered=False, now=NOW) == (False, None)
