"""`spoolsim sweep`: what dead producers left is cleared, what somebody writes is not."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from spoolsim.cli.sweep import sweep
from spoolsim.spool import settle
from spoolsim.spool.claim import Claim, take
from spoolsim.spool.directory import FAILED, SpoolDir
from spoolsim.spool.lock import lock
from spoolsim.spool.names import PREFIX
from spoolsim.spool.scan import Level
from spoolsim.spool.verdicts import Aside
from tests.oracle.packets import packet
from tests.unit.spool.elsewhere import another_could_lock

TASK = packet({b"user": b"42"}) + b"the body"


@pytest.fixture
def spool(tmp_path: Path) -> SpoolDir:
    (tmp_path / "spool").mkdir()
    return SpoolDir.resolve("spool", start=str(tmp_path))


def put(spool: SpoolDir, name: str, data: bytes = TASK, age: float = 0) -> str:
    path = f"{spool.path}/{name}"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    Path(path).write_bytes(data)
    os.utime(path, (time.time() - age,) * 2)
    return path


def run(command: object, spool: SpoolDir, *arguments: str) -> Result:
    return CliRunner().invoke(command, ["--spooler", spool.path, *arguments])


def set_aside(spool: SpoolDir, name: str, state: str = FAILED) -> str:
    """Claim a task and move it to the state directory, as a spooler does."""
    home, base = os.path.split(f"{spool.path}/{name}")
    fd = os.open(home, os.O_RDONLY)
    try:
        claim = take(Level(spool, home, fd), base, time.time())
        assert isinstance(claim, Claim)
        return settle.apply(claim, Aside(state, "raised ValueError: no"))
    finally:
        os.close(fd)


def test_what_dead_producers_left_is_swept(spool: SpoolDir) -> None:
    """Old empty files are moved, old temporary ones removed, when it is said so; young ones and tasks stay."""
    put(spool, f"{PREFIX}empty", b"", age=1000)
    put(spool, f"{PREFIX}young", b"")
    put(spool, f"{PREFIX}task", age=1000)
    put(spool, f".{PREFIX}temporary", b"half", age=1000)
    put(spool, f".{PREFIX}fresh", b"half")
    listed = run(sweep, spool).output
    assert len(listed.splitlines()) == 2
    assert os.path.exists(f"{spool.path}/{PREFIX}empty")
    run(sweep, spool, "--yes")
    left = sorted(name for name in os.listdir(spool.path) if PREFIX in name)
    assert left == [f".{PREFIX}fresh", f"{PREFIX}task", f"{PREFIX}young"]
    assert sorted(os.listdir(spool.state_dir("broken"))) == [f"{PREFIX}empty", f"{PREFIX}empty.why"]
    assert "0 bytes: being written" in Path(spool.state_dir("broken", f"{PREFIX}empty.why")).read_text()


def test_sweeping_leaves_what_was_set_aside(spool: SpoolDir) -> None:
    """An empty file of the same name gets another one among the broken; the task there stays as it is."""
    put(spool, f"{PREFIX}a")
    aside = set_aside(spool, f"{PREFIX}a", "broken")
    put(spool, f"{PREFIX}a", b"", age=1000)
    assert run(sweep, spool, "--yes").exit_code == 0
    assert Path(aside).read_bytes() == TASK
    assert Path(f"{aside}.1").read_bytes() == b""
    assert not os.path.exists(f"{spool.path}/{PREFIX}a")


def test_priority_directories_are_swept_too(spool: SpoolDir) -> None:
    """Temporary files below numbered directories; none below those that are no priorities, and no directory."""
    old = put(spool, f"5/7/.{PREFIX}temporary", b"half", age=1000)
    other = put(spool, f"other/.{PREFIX}temporary", b"half", age=1000)
    os.mkdir(f"{spool.path}/.{PREFIX}directory")
    result = run(sweep, spool, "--yes")
    assert result.output == f"{old}: a temporary file without a producer\n"
    assert not os.path.exists(old)
    assert os.path.exists(other)


@pytest.mark.parametrize("name", [f"{PREFIX}empty", f".{PREFIX}temporary"])
def test_what_somebody_writes_is_not_swept(spool: SpoolDir, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its lock is held by its writer; and while it is taken away the lock is ours."""
    path = put(spool, name, b"", age=1000)
    fd = os.open(path, os.O_RDWR)
    lock(fd)
    assert run(sweep, spool, "--yes").output == ""
    os.close(fd)
    seen = []

    def watched(real: Callable[..., None]) -> Callable[..., None]:
        def call(first: str, *rest: object, **how: object) -> None:
            if os.path.basename(first) == name:
                seen.append(os.path.exists(path) and another_could_lock(path))
            real(first, *rest, **how)

        return call

    monkeypatch.setattr(os, "unlink", watched(os.unlink))
    monkeypatch.setattr(os, "rename", watched(os.rename))
    assert run(sweep, spool, "--yes").exit_code == 0
    assert seen == [False]
    assert not os.path.exists(path)


@pytest.mark.parametrize("gone", ["file", "directory"])
def test_what_goes_while_it_is_swept_is_no_matter(spool: SpoolDir, gone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A producer renames its file, or somebody removes the directory, after it was listed."""
    path = put(spool, f"5/.{PREFIX}temporary", b"half", age=1000)
    home, name = os.path.split(path)
    real = os.open

    def opened(place: str, *rest: int, **how: int) -> int:
        if place == (name if gone == "file" else home):
            os.unlink(path)
            os.rmdir(home)
        return real(place, *rest, **how)

    monkeypatch.setattr(os, "open", opened)
    result = run(sweep, spool, "--yes")
    assert (result.exit_code, result.output) == (0, "")
