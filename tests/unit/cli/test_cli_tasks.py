"""`spoolsim tasks`, `retry` and `sweep`: each state is shown, what was set aside comes back, names do no harm."""

from __future__ import annotations

import os
import time
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
    return CliRunner().invoke(command, ["--spooler", spool.path, *arguments])  # type: ignore[arg-type]  # a command


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
    assert os.listdir(spool.corner("broken")) == [f"{PREFIX}empty"]
