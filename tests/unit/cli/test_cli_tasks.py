"""`spoolsim tasks`, `retry` and `sweep`: each state is shown, what was set aside comes back, names do no harm."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from spoolsim.cli.tasks import retry, sweep, tasks
from spoolsim.spool import settle
from spoolsim.spool.claim import Claim, take
from spoolsim.spool.directory import FAILED, SpoolDir
from spoolsim.spool.journal import Journal
from spoolsim.spool.lock import lock
from spoolsim.spool.names import PREFIX
from spoolsim.spool.scan import Level
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


def set_aside(spool: SpoolDir, name: str, corner: str = FAILED) -> str:
    """Claim a task and move it to a corner, as a spooler does."""
    home, base = os.path.split(f"{spool.path}/{name}")
    fd = os.open(home, os.O_RDONLY)
    try:
        claim = take(Level(spool, home, fd), base, time.time())
        assert isinstance(claim, Claim)
        return settle.set_aside(claim, "raised ValueError: no", home=corner)
    finally:
        os.close(fd)


def test_each_state_is_told(spool: SpoolDir) -> None:
    """Waiting, future, claimed, empty, unreached, failed; with what the journal knows; and nothing is changed."""
    put(spool, f"{PREFIX}waiting")
    put(spool, f"{PREFIX}future", age=-3600)
    put(spool, f"{PREFIX}empty", b"")
    put(spool, f"5/{PREFIX}deep")
    put(spool, f"{PREFIX}failed")
    set_aside(spool, f"{PREFIX}failed")
    held = os.open(put(spool, f"{PREFIX}held"), os.O_RDWR)
    lock(held)
    journal = Journal(spool)
    for _ in range(3):
        journal.add(f"{PREFIX}waiting", "retry", 5, "returned None")
    journal.flush()
    before = sorted(os.listdir(spool.path))
    output = run(tasks, spool, "--variables").output
    os.close(held)
    told = {line.split()[0]: line for line in output.splitlines() if PREFIX in line}
    assert "waiting; retry 3x: returned None" in told[f"{PREFIX}waiting"]
    assert "future (in 3" in told[f"{PREFIX}future"]
    assert "claimed" in told[f"{PREFIX}held"]
    assert "unfinished" in told[f"{PREFIX}empty"]
    assert "unreached" in told[f"5/{PREFIX}deep"]
    assert "failed: raised ValueError: no" in told[f"{PREFIX}failed"]
    assert "b'user': b'42'" in output
    assert "body: 8 bytes" in output
    assert output.endswith(": 6 tasks\n")
    assert sorted(os.listdir(spool.path)) == before


def test_ordered_reaches_the_priorities(spool: SpoolDir) -> None:
    """Looked at as a spooler with spooler-ordered does, a task in a numbered directory waits like any other."""
    put(spool, f"5/{PREFIX}deep")
    assert f"5/{PREFIX}deep  {len(TASK)} bytes  waiting" in run(tasks, spool, "--spooler-ordered").output


@pytest.mark.parametrize("name", [f"{PREFIX}one", f"7/{PREFIX}deep", f"{PREFIX}a line\nbreak", f"{PREFIX}tab\there"])
def test_what_failed_comes_back_whole(spool: SpoolDir, name: str) -> None:
    """To where it came from, under its own name, due at once, and without its note."""
    path = put(spool, name, age=1000)
    set_aside(spool, name)
    assert not os.path.exists(path)
    result = run(retry, spool)
    assert result.exit_code == 0
    assert len(result.output.splitlines()) == 1
    assert Path(path).read_bytes() == TASK
    assert os.stat(path).st_mtime > time.time() - 500
    assert os.listdir(spool.corner(FAILED)) == []


def test_one_of_several_comes_back(spool: SpoolDir) -> None:
    """Those that are named; a name that is not there is an error that lists what is."""
    for name in ("a", "b"):
        put(spool, PREFIX + name)
        set_aside(spool, PREFIX + name)
    wrong = run(retry, spool, f"{PREFIX}c")
    assert wrong.exit_code != 0
    assert f"there are: {PREFIX}a, {PREFIX}b" in str(wrong.exception)
    assert run(retry, spool, f"{PREFIX}b").exit_code == 0
    assert sorted(name for name in os.listdir(spool.path) if name.startswith(PREFIX)) == [f"{PREFIX}b"]


def test_a_task_is_not_brought_back_over_another(spool: SpoolDir) -> None:
    """Where its name was taken meanwhile, both stay as they are."""
    put(spool, f"{PREFIX}a")
    aside = set_aside(spool, f"{PREFIX}a")
    put(spool, f"{PREFIX}a", b"another")
    result = run(retry, spool)
    assert "exists; move it away first" in str(result.exception)
    assert Path(aside).read_bytes() == TASK
    assert Path(spool.path, f"{PREFIX}a").read_bytes() == b"another"


def test_a_note_leads_nowhere_else(spool: SpoolDir, tmp_path: Path) -> None:
    """Whatever the note beside a failed task says, it comes back inside of its spool directory."""
    (tmp_path / "spool-not").mkdir()
    put(spool, f"{PREFIX}a")
    aside = set_aside(spool, f"{PREFIX}a")
    Path(f"{aside}.why").write_text(f"{tmp_path}/spool-not/{PREFIX}a\nwhy\n")
    assert run(retry, spool).exit_code == 0
    assert os.listdir(tmp_path / "spool-not") == []
    assert Path(spool.path, f"{PREFIX}a").read_bytes() == TASK


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
    assert sorted(os.listdir(spool.corner("broken"))) == [f"{PREFIX}empty", f"{PREFIX}empty.why"]
    assert f"{PREFIX}empty  broken: 0 bytes: being written" in run(tasks, spool).output


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


def test_a_name_like_a_reason_is_a_task(spool: SpoolDir) -> None:
    """A task that ends in .why is listed when it was set aside, and comes back; the reasons of tasks are not listed."""
    for name in (f"{PREFIX}a", f"{PREFIX}b.why"):
        put(spool, name)
        set_aside(spool, name)
    output = run(tasks, spool).output
    assert [line.split()[0] for line in output.splitlines()[:-1]] == [f"{PREFIX}a", f"{PREFIX}b.why"]
    assert run(retry, spool).exit_code == 0
    assert Path(spool.path, f"{PREFIX}b.why").read_bytes() == TASK
    assert os.listdir(spool.corner(FAILED)) == []


@pytest.mark.parametrize(
    ("data", "size", "told"),
    [
        (TASK, 1 << 41, f"body: {(1 << 41) - len(TASK) + 8} bytes"),
        (TASK, len(TASK) - 8, ""),
        (packet({b"user": b"v" * 65_000}), 80_000, f"body: {80_000 - 65_012} bytes"),
        (b"\x11\xff\xff\x00", 1 << 41, "an empty key"),
    ],
    ids=["sparse", "no body", "much", "broken"],
)
def test_a_body_is_not_read_for_its_size(spool: SpoolDir, data: bytes, size: int, told: str) -> None:
    """More than memory holds: the variables are shown all the same, and how long the body is."""
    os.truncate(put(spool, f"{PREFIX}big", data), size)
    result = run(tasks, spool, "--variables")
    assert result.exit_code == 0
    assert "b'user'" in result.output or "empty key" in told
    assert (told or f"{PREFIX}big") in result.output
    assert ("    body: " in result.output) == told.startswith("body")
