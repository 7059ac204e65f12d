"""The journal: one line for each outcome, bounded, and never in the way of a task."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from spoolsim.spool import journal
from spoolsim.spool.directory import SpoolDir
from spoolsim.spool.journal import DIED, FAILED, Journal, parse, read

TASK = "uwsgi_spoolfile_on_a_1_1_1_1_1"


def lines(spool: SpoolDir) -> list[tuple[str, int, str, str]]:
    """What is written."""
    return [(line.outcome, line.attempt, line.task, line.why) for line in read(spool)]


def test_each_outcome_is_one_line(spool: SpoolDir) -> None:
    """With the attempt it was, how long it took, and why; the file is the owner's alone."""
    written = Journal(spool)
    assert written.add(TASK, "retry", 2_000_000, "raised\tValueError:\nx") == 1
    assert written.add(TASK, "retry", 0) == 2
    written.done(TASK, 5_000_000)
    written.flush()
    assert lines(spool) == [
        ("retry", 1, TASK, "raised ValueError: x"),
        ("retry", 2, TASK, ""),
        ("done", 3, TASK, ""),
    ]
    assert [line.seconds for line in read(spool)] == [0.002, 0.0, 0.005]
    assert stat.S_IMODE(os.stat(spool.state_dir(journal.NAME)).st_mode) == 0o600


def test_attempts_are_counted_over_all_processes(spool: SpoolDir) -> None:
    """A retry by one, a death told by another: the third knows of both; done and failed begin again."""
    one, two, three = (Journal(spool) for _ in range(3))
    one.add(TASK, "retry", 0)
    assert two.add(TASK, DIED, 0, "its spooler was killed") == 2
    assert three.attempts(TASK) == 2
    three.add(TASK, FAILED, 0, "tried 2 times")
    assert (one.attempts(TASK), two.attempts(TASK), Journal(spool).attempts(TASK)) == (0, 0, 0)
    assert one.add(TASK, "retry", 0) == 1


def test_it_is_bounded_and_rotated(spool: SpoolDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two files of LIMIT bytes at most, and what was gathered; attempts are known across the rotation."""
    monkeypatch.setattr(journal, "LIMIT", 20_000)
    written = Journal(spool)
    written.add("the first", "retry", 0)
    sizes = []
    for number in range(3000):
        written.done(f"{TASK}{number}", 0)
        sizes.append(sum(os.stat(spool.state_dir(name)).st_size for name in _there(spool)))
    written.flush()
    written.done(f"{TASK}3000", 0)
    written.flush()
    assert _there(spool) == [journal.NAME, journal.OLDER]
    assert max(sizes) < 2 * (20_000 + 128 * 100)
    kept = [line.task for line in read(spool)]
    assert kept == [f"{TASK}{number}" for number in range(3001 - len(kept), 3001)]
    assert len(kept) > 100


def test_the_last_lines_before_a_rotation_are_read(spool: SpoolDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a process that had read the file so far: what came then has another name now, and is carried only if there."""
    monkeypatch.setattr(journal, "LIMIT", 300)
    there, other = Journal(spool), Journal(spool)
    other.add(TASK, "retry", 0)
    assert there.attempts(TASK) == 1
    other.add(TASK, "retry", 0, "x" * 300)
    assert _there(spool) == [journal.OLDER]
    other.add("another", "retry", 0)
    assert _there(spool) == [journal.NAME, journal.OLDER]
    assert there.attempts(TASK) == 2


def test_attempts_outlive_a_rotation(spool: SpoolDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """The older file is read too, by a process that begins after the rotation, and by one that was there."""
    monkeypatch.setattr(journal, "LIMIT", 100)
    there = Journal(spool)
    there.add(TASK, "retry", 0, "x" * 100)
    assert _there(spool) == [journal.OLDER]
    assert (there.attempts(TASK), Journal(spool).attempts(TASK)) == (1, 1)


@pytest.mark.parametrize(
    "fault", ["no directory", "a directory in its place", "a link in its place", "state directory is a file"]
)
def test_what_cannot_be_written_is_left_out(spool: SpoolDir, tmp_path: Path, fault: str) -> None:
    """Never an error for the task; and never through a link."""
    outside = tmp_path / "outside"
    outside.write_text("kept")
    if fault == "no directory":
        os.rmdir(spool.path)
    elif fault == "state directory is a file":
        Path(spool.state_dir()).touch()
    elif fault == "a link in its place":
        os.symlink(outside, os.path.join(spool.make_state_dir(), journal.NAME))
    else:
        spool.make_state_dir(journal.NAME)
    written = Journal(spool)
    for attempt in (1, 2, 3):
        assert written.add(TASK, "retry", 0) == attempt
    written.done(TASK, 0)
    written.flush()
    assert outside.read_text() == "kept"


def test_a_full_disk_is_no_matter(spool: SpoolDir) -> None:
    """ENOSPC at the write, as /dev/full gives it."""
    full = Journal(spool)
    path = os.path.join(spool.make_state_dir(), journal.NAME)
    real = os.open

    def opened(name: str, *rest: int, **more: int) -> int:
        return real("/dev/full" if name == path else name, *rest, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", opened)
        assert full.add(TASK, "retry", 0) == 1
    assert full.add(TASK, "retry", 0) == 2


@pytest.mark.parametrize(
    "text",
    ["", "\n", "x", "1\t2\tdone\t1\t1\tname", "1\t2\tdone\tx\t1\tname\t", "\t\t\t\t\t\t", "1\t2\t3\t4\t5\t6\t7\t8"],
)
def test_what_is_no_line_is_passed_over(spool: SpoolDir, text: str) -> None:
    """Half a line of a killed process, or a person's edit."""
    assert parse(text) is None
    written = Journal(spool)
    written.add(TASK, "retry", 0)
    with open(spool.state_dir(journal.NAME), "a", encoding="utf-8") as file:
        file.write(f"{text}\n")
    assert Journal(spool).add(TASK, "retry", 0) == 2


def test_names_that_are_no_text(spool: SpoolDir) -> None:
    """A name of bytes that are no UTF-8 is written and read back as it is."""
    name = os.fsdecode(b"uwsgi_spoolfile_on_\xff\xfe")
    Journal(spool).add(name, "retry", 0)
    assert Journal(spool).attempts(name) == 1


@pytest.mark.parametrize("ending", ["\n", "\r", "\t", "\x1c", "\u2028", "\x85"])
def test_names_with_ends_of_lines(spool: SpoolDir, ending: str) -> None:
    """A name may hold anything but a slash: it is still one task, its attempts are counted, and no line is forged."""
    name = f"uwsgi_spoolfile_on_a{ending}1\t1\tdone\t1\t1\tother\t"
    Journal(spool).add("other", "retry", 0)
    Journal(spool).add(name, "retry", 0)
    assert Journal(spool).attempts(name) == 1
    assert Journal(spool).attempts("other") == 1


def _there(spool: SpoolDir) -> list[str]:
    return (
        sorted(name for name in os.listdir(spool.state_dir()) if name.startswith("journal"))
        if os.path.isdir(spool.state_dir())
        else []
    )


def test_two_that_rotate_at_once_lose_nothing(spool: SpoolDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process rotates between our write and our look at the size: its older file is not overwritten."""
    monkeypatch.setattr(journal, "LIMIT", 100)
    real = os.write

    def slow(fd: int, data: bytes) -> int:
        written = real(fd, data)
        monkeypatch.setattr(os, "write", real)
        os.rename(spool.state_dir(journal.NAME), spool.state_dir(journal.OLDER))
        monkeypatch.setattr(journal, "LIMIT", 100_000)
        Journal(spool).add("another", "retry", 0)
        monkeypatch.setattr(journal, "LIMIT", 100)
        return written

    monkeypatch.setattr(os, "write", slow)
    Journal(spool).add(TASK, "retry", 0, "x" * 100)
    assert [line.task for line in read(spool)] == [TASK, "another"]


def test_attempts_outlive_any_number_of_rotations(spool: SpoolDir) -> None:
    """45,000 other tasks later it is known how often those that are there were tried; those gone are forgotten."""
    there = [f"{TASK}{number}" for number in range(3)]
    for name in (*there, "done", "failed"):
        Path(spool.path, name).touch()
    one = Journal(spool)
    for name in (*there, *there[1:], "gone", "done", "failed"):
        one.add(name, "retry", 0, "as a\rtest")
    one.add(there[2], DIED, 0)
    one.done("done", 0)
    one.add("failed", FAILED, 0)
    other = Journal(spool)
    for number in range(45_000):
        other.done(f"uwsgi_spoolfile_on_b_1_1_1_1_{number}", 0)
    other.flush()
    fresh = Journal(spool)
    assert [fresh.attempts(name) for name in (*there, "gone", "done", "failed")] == [1, 2, 3, 0, 0, 0]
    (last,) = [line for line in _last_of(spool) if line.task == there[0]]
    assert (last.outcome, last.why) == ("retry", "as a\rtest")


def _last_of(spool: SpoolDir) -> list[journal.Line]:
    return list({line.task: line for line in read(spool)}.values())


def test_the_newest_are_carried_where_all_are_too_many(spool: SpoolDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a file at most, so that the new one does not begin full."""
    monkeypatch.setattr(journal, "LIMIT", 20_000)
    names = [f"{TASK}{number:04}" for number in range(1000)]
    written = Journal(spool)
    for name in names:
        Path(spool.path, name).touch()
        written.add(name, "retry", 0)
        assert sum(os.stat(spool.state_dir(each)).st_size for each in _there(spool)) < 45_000
    fresh = Journal(spool)
    known = [name for name in names if fresh.attempts(name)]
    assert known == names[-len(known) :]
    assert len(known) > 100


def test_a_rotation_that_died_halfway_is_made_good(spool: SpoolDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it had not carried yet, the next one carries."""
    Path(spool.path, TASK).touch()
    written = Journal(spool)
    written.add(TASK, "retry", 0)
    os.rename(spool.state_dir(journal.NAME), spool.state_dir(journal.OLDER))
    monkeypatch.setattr(journal, "LIMIT", 1000)
    for number in range(100):
        written.done(f"other{number}", 0)
    written.flush()
    for number in range(100):
        written.done(f"other{number}", 0)
    written.flush()
    assert Journal(spool).attempts(TASK) == 1


def test_failures_in_a_row_are_counted(spool: SpoolDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """Apart from retries that were asked for, which end a row; over all processes, and across a rotation."""
    one, two = Journal(spool), Journal(spool)
    for _ in range(5):
        one.add(TASK, "retry", 0)
    two.add(TASK, "retry", 0, "raised ValueError")
    assert two.row(TASK) == (1, False, "raised ValueError")
    one.add(TASK, DIED, 0, "its spooler was killed by SIGKILL")
    two.attempts(TASK)
    assert two.row(TASK) == (2, False, "its spooler was killed by SIGKILL")
    Path(spool.path, TASK).touch()
    monkeypatch.setattr(journal, "LIMIT", 100)
    one.done("another", 0)
    one.flush()
    three = Journal(spool)
    assert three.attempts(TASK) == 7
    assert three.row(TASK) == (2, False, "its spooler was killed by SIGKILL")
    three.add(TASK, "ignored", 0, "returned SPOOL_IGNORE (0)")
    assert three.row(TASK) == (1, True, "returned SPOOL_IGNORE (0)")
    three.add(TASK, FAILED, 0)
    assert three.row(TASK) == (0, False, "")
