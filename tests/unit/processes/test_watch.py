"""What watchdog tells, whichever its version; and what is watched when the kernel has no watches left."""

from __future__ import annotations

import errno
import os
import queue
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from spoolsim.options import Options
from spoolsim.processes.reload import Touch
from spoolsim.processes.watch import FileWatch, SourceWatch
from tests.conftest import poll_until

CHANGES: dict[str, Callable[[Path], object]] = {
    "written": lambda path: path.write_text("x"),
    "times": lambda path: os.utime(path, (1, 1)),
    "mode": lambda path: path.chmod(0o640),
    "removed": lambda path: path.unlink(),
    "renamed over": lambda path: path.with_name("other.py").rename(path),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changes_of_a_file(tmp_path: Path, change: str) -> None:
    """Each is told, by both kinds of watch."""
    file = tmp_path / "file.py"
    file.touch()
    (tmp_path / "other.py").touch()
    told: queue.Queue[str] = queue.Queue()
    watches = [FileWatch([str(file)], told.put), SourceWatch([str(tmp_path)], lambda: told.put("source"))]
    try:
        CHANGES[change](file)
        assert {told.get(timeout=300), told.get(timeout=300)} <= {str(file), "source"}
    finally:
        for watch in watches:
            watch.close()


def test_directories_that_are_other_ones(tmp_path: Path) -> None:
    """A watch knows when its directory is gone, or another one; not when something changes in it."""
    place = tmp_path / "place"
    place.mkdir()
    watches = [FileWatch([str(place / "file")], lambda path: None), SourceWatch([str(place)], lambda: None)]
    try:
        (place / "file").touch()
        assert [watch.moved() for watch in watches] == [False, False]
        place.rename(tmp_path / "old")
        assert [watch.moved() for watch in watches] == [True, True]
        place.mkdir()
        assert [watch.moved() for watch in watches] == [True, True]
    finally:
        for watch in watches:
            watch.close()


def test_a_directory_that_is_made_again(tmp_path: Path) -> None:
    """Its inode may be the old one's; the watch knows."""
    place = tmp_path / "place"
    place.mkdir()
    watches = [FileWatch([str(place / "file")], lambda path: None), SourceWatch([str(place)], lambda: None)]
    try:
        place.rmdir()
        place.mkdir()
        poll_until(lambda: all(watch.moved() for watch in watches), 20, "both to know")
    finally:
        for watch in watches:
            watch.close()


def test_a_directory_that_is_not_there_yet(tmp_path: Path) -> None:
    """It is no error, and the watch knows when it comes."""
    watch = SourceWatch([str(tmp_path / "later")], lambda: None)
    try:
        assert not watch.moved()
        (tmp_path / "later").mkdir()
        assert watch.moved()
    finally:
        watch.close()


def test_no_watches_left(tmp_path: Path) -> None:
    """Then the files are looked at, and that is said."""
    said: list[str] = []
    log: Any = SimpleNamespace(say=said.append)
    unused: Any = None
    touch = Touch(Options(), log, unused, unused)
    ways = []

    def make(polling: bool) -> FileWatch:
        ways.append(polling)
        if not polling:
            raise OSError(errno.ENOSPC, "inotify watch limit reached")
        return FileWatch([], lambda path: None, polling=True)

    touch.begin(make, [], "monitored files are").close()
    assert ways == [False, True]
    assert said == ["no file events (inotify watch limit reached): monitored files are looked at every second"]
