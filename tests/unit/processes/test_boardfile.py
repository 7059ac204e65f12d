"""What masters leave in `.spoolsim/run`, and what the next one makes of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from spoolsim.processes import boardfile
from spoolsim.spool.lock import try_lock


def free_for_others(path: Path) -> bool:
    """Whether another process gets the lock of a file; record locks do not bar the one that holds them."""
    child = os.fork()
    if not child:
        fd = os.open(path, os.O_RDWR)
        os._exit(0 if try_lock(fd, record=True) else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_what_the_dead_left_goes(tmp_path: Path) -> None:
    """The lock that nobody holds, and its scoreboard; a scoreboard without a lock."""
    (tmp_path / "11.lock").touch()
    (tmp_path / "11").symlink_to("/proc/11/fd/3")
    (tmp_path / "12").symlink_to("/proc/12/fd/3")
    (tmp_path / "notes").touch()
    boardfile.sweep(str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


def test_a_name_cannot_be_taken_while_it_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a master that starts in that moment would lose its scoreboard, and its lock."""
    lock = tmp_path / "11.lock"
    lock.touch()
    (tmp_path / "11").symlink_to("/proc/11/fd/3")
    assert free_for_others(lock)
    seen: list[tuple[str, bool]] = []
    unlink = boardfile._unlink

    def watched(path: str) -> None:
        seen.append((os.path.basename(path), free_for_others(lock)))
        unlink(path)

    monkeypatch.setattr(boardfile, "_unlink", watched)
    boardfile.sweep(str(tmp_path))
    assert seen == [("11", False), ("11.lock", False)]
