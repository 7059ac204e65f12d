"""Actions on tasks: what the commands' own tests do not reach."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest

from spoolsim.spool.directory import SpoolDir
from spoolsim.spool.names import PREFIX
from spoolsim.tasks import actions
from spoolsim.tasks.actions import ALREADY, DID, REFUSED, Change
from spoolsim.tasks.listing import Row, survey
from spoolsim.tasks.text import from_text, to_text
from tests.oracle.packets import packet

TASK = packet({b"user": b"42"}) + b"the body"
NAME = f"{PREFIX}a"


@pytest.fixture
def spools(tmp_path: Path) -> tuple[SpoolDir, SpoolDir]:
    """Two directories, a task in the first."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    (tmp_path / "one" / NAME).write_bytes(TASK)
    one, two = (SpoolDir.resolve(name, start=str(tmp_path)) for name in ("one", "two"))
    return one, two


def row(spool: SpoolDir) -> Row:
    (found,) = survey([spool], ordered=True, now=time.time())
    return found


def test_to_another_file_system(spools: tuple[SpoolDir, SpoolDir], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a rename does not reach, the task is held, copied, and removed here; bytes and time stay."""
    one, two = spools
    real = actions.move

    def elsewhere(task: actions.Grip, target: str, *rest: object) -> None:
        if target.startswith(two.path):
            task.close()
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        real(task, target)

    monkeypatch.setattr(actions, "move", elsewhere)
    os.utime(f"{one.path}/{NAME}", (1_000_000, 1_000_000))
    result = actions.transfer(row(one), two)
    assert (result.outcome, result.path) == (DID, f"{two.path}/{NAME}")
    assert Path(result.path).read_bytes() == TASK
    assert os.stat(result.path).st_mtime == 1_000_000
    assert survey([one], ordered=True, now=time.time()) == []
    assert os.listdir(one.state_dir("held")) == []


def test_what_ran_meanwhile_is_gone(spools: tuple[SpoolDir, SpoolDir]) -> None:
    """Each action says so and does nothing."""
    one, two = spools
    stale = row(one)
    os.unlink(stale.path)
    for result in (
        actions.hold(stale),
        actions.remove(stale, 1.0),
        actions.transfer(stale, two),
        actions.edit(stale, Change({b"a": b"b"})),
        actions.rerun(stale, Change({})),
    ):
        assert (result.outcome, result.text) == (REFUSED, "is gone: it ran, or another command took it")
    assert [path for path in Path(one.path).rglob("*") if path.is_file() and path.name != ".gitignore"] == []


def test_two_at_once_on_one_task(spools: tuple[SpoolDir, SpoolDir]) -> None:
    """The second knows the task by what it was: it changes nothing."""
    one, _ = spools
    first, second = row(one), row(one)
    assert actions.hold(first).outcome == DID
    assert actions.remove(second, 1.0).outcome == REFUSED
    assert Path(row(one).path).read_bytes() == TASK


def test_a_delayed_task_is_due(spools: tuple[SpoolDir, SpoolDir]) -> None:
    """retry sets its time, in place."""
    one, _ = spools
    os.utime(f"{one.path}/{NAME}", (time.time() + 5000,) * 2)
    assert row(one).state == "delayed"
    now = time.time()
    assert actions.retry(row(one), now).outcome == DID
    assert row(one).state == "queued"
    assert actions.retry(row(one), now).outcome == ALREADY


def test_a_held_task_is_not_moved(spools: tuple[SpoolDir, SpoolDir]) -> None:
    """It would run there."""
    one, two = spools
    assert actions.hold(row(one)).well
    result = actions.transfer(row(one), two)
    assert (result.outcome, "release" in result.text) == (REFUSED, True)


def test_a_held_task_is_edited_where_it_is(spools: tuple[SpoolDir, SpoolDir]) -> None:
    """And comes back changed."""
    one, _ = spools
    actions.hold(row(one))
    assert actions.edit(row(one), Change({b"user": b"7"})).outcome == DID
    assert row(one).state == "held"
    actions.release(row(one))
    assert Path(one.path, NAME).read_bytes() == packet({b"user": b"7"}) + b"the body"


def test_its_priority_directory_is_gone(spools: tuple[SpoolDir, SpoolDir]) -> None:
    """A held task whose directory was removed stays held, and is told what to do."""
    one, _ = spools
    os.mkdir(f"{one.path}/5")
    os.rename(f"{one.path}/{NAME}", f"{one.path}/5/{NAME}")
    actions.hold(row(one))
    os.rmdir(f"{one.path}/5")
    result = actions.release(row(one))
    assert (result.outcome, "its directory is gone" in result.text) == (REFUSED, True)
    assert Path(row(one).path).read_bytes() == TASK


def test_too_many_variables_change_nothing(spools: tuple[SpoolDir, SpoolDir]) -> None:
    """What does not fit a packet is refused."""
    one, _ = spools
    result = actions.edit(row(one), Change({b"big": b"x" * 70_000}))
    assert (result.outcome, "70000 bytes" in result.text) == (REFUSED, True)
    assert Path(one.path, NAME).read_bytes() == TASK


def test_variables_as_text_and_back() -> None:
    """What an editor is shown reads back as the same; a change is what differs."""
    before = {b"to": "é".encode(), b"raw": b"\xff\x00", b"line": b"a\nb"}
    text = to_text("Task", before)
    assert not from_text(text, before)
    changed = from_text(text.replace("'é'", "'ann'").replace("    'line': 'a\\nb',\n", ""), before)
    assert (changed.set, list(changed.unset)) == ({b"to": b"ann"}, [b"line"])
