"""What macOS does differently, as far as it can be played on another system."""

from __future__ import annotations

import os
import queue
import select
import sys
from pathlib import Path
from typing import Any

import pytest
from watchdog.events import FileModifiedEvent

from spoolsim.processes.generation import Generation
from spoolsim.processes.watch import FileWatch
from spoolsim.spool import wake
from spoolsim.spool.directory import SpoolDir


class Kqueue:
    """select.kqueue, which the system that runs the tests may lack: it remembers what it was given."""

    def __init__(self) -> None:
        self.fd, self._writer = os.pipe()
        self.watched: list[int] = []

    def control(self, changes: list[int] | None, limit: int, timeout: float = 0) -> list[object]:
        """Register, or take events."""
        self.watched += changes or []
        return []

    def fileno(self) -> int:
        """The descriptor to wait on."""
        return self.fd

    def close(self) -> None:
        """As the real one."""
        os.close(self.fd)
        os.close(self._writer)


def test_a_kqueue_watch_gives_all_its_descriptors_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kqueue watches by descriptors of its own; none is left open when the watch is closed."""
    names = ("KQ_FILTER_VNODE", "KQ_EV_ADD", "KQ_EV_CLEAR", "KQ_NOTE_WRITE", "KQ_NOTE_DELETE", "KQ_NOTE_RENAME")
    for name in names:
        monkeypatch.setattr(select, name, 0, raising=False)
    monkeypatch.setattr(select, "kqueue", Kqueue, raising=False)
    monkeypatch.setattr(select, "kevent", lambda fd, *rest: fd, raising=False)
    monkeypatch.setattr(sys, "platform", "darwin")
    before = len(os.listdir("/dev/fd"))
    watch = wake.Watch(SpoolDir(str(tmp_path)))
    assert watch.why == ""
    assert len(os.listdir("/dev/fd")) == before + 4  # the directory, the wake-up file, and the queue's two
    watch.close()
    assert len(os.listdir("/dev/fd")) == before


def test_events_by_real_paths(tmp_path: Path) -> None:
    """FSEvents reports real paths; a file that is watched by a path with a link in it is told by the path as given."""
    real = tmp_path / "private"
    real.mkdir()
    link = tmp_path / "tmp"
    link.symlink_to(real)
    told: queue.Queue[str] = queue.Queue()
    watch = FileWatch([str(link / "file")], told.put)
    try:
        watch.on_any_event(FileModifiedEvent(os.path.realpath(real / "file")))
        assert told.get_nowait() == str(link / "file")
        watch.on_any_event(FileModifiedEvent(str(link / "file")))
        assert told.get_nowait() == str(link / "file")
    finally:
        watch.close()


@pytest.mark.parametrize(
    ("platform", "given", "expected"),
    [("darwin", None, "YES"), ("darwin", "NO", "NO"), ("linux", None, None)],
    ids=["macOS", "macOS, decided by the user", "Linux"],
)
def test_the_fork_server_may_fork_after_frameworks_were_imported(
    monkeypatch: pytest.MonkeyPatch, platform: str, given: str | None, expected: str | None
) -> None:
    """OBJC_DISABLE_INITIALIZE_FORK_SAFETY is set for it on macOS, unless the user has said otherwise."""
    name = "OBJC_DISABLE_INITIALIZE_FORK_SAFETY"
    seen: list[dict[str, str]] = []

    def spawn(path: str, argv: list[str], environment: dict[str, str], **masked: object) -> int:
        seen.append(environment)
        raise OSError("not today")

    monkeypatch.delenv(name, raising=False)
    if given is not None:
        monkeypatch.setenv(name, given)
    monkeypatch.setattr(os, "posix_spawn", spawn)
    monkeypatch.setattr(sys, "platform", platform)
    fd = os.open(os.devnull, os.O_RDONLY)
    with pytest.raises(OSError, match="not today"):
        Generation.spawn(1, fd, {"descriptors": [], "options": {"optimize": 0}})
    os.close(fd)
    assert seen[0].get(name) == expected


def test_another_python_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """PyPy, say: the command ends with status 2 and one line."""
    from spoolsim import __main__ as program

    implementation: Any = type(sys.implementation)(**{**vars(sys.implementation), "name": "pypy"})
    monkeypatch.setattr(sys, "implementation", implementation)
    with pytest.raises(SystemExit) as end:
        program.main()
    assert end.value.code == 2
    assert capsys.readouterr().err == "[spoolsim] spoolsim runs on CPython alone; this is pypy\n"
