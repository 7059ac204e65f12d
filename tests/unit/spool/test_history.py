"""The history: what is written is read back, what is torn is passed over, and it is bounded."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spoolsim.spool import history
from spoolsim.spool.directory import SpoolDir
from spoolsim.spool.history import History, read, records

BYTES = st.binary(max_size=300) | st.just(b"\xf5sp1" * 20)
RECORDS = st.lists(st.tuples(st.integers(0, 2**62), st.text(max_size=20), BYTES, BYTES, BYTES), max_size=6)


@pytest.fixture
def spool(tmp_path: Path) -> SpoolDir:
    """An empty spool directory."""
    return SpoolDir.resolve(str(tmp_path / "spool"), start=str(tmp_path))


def bytes_of(rows: list[tuple[int, str, bytes, bytes, bytes]], tmp_path: Path) -> bytes:
    """What a history writes of these."""
    home = SpoolDir.resolve(str(tmp_path), start="/")
    writer = History(home, 1 << 30)
    Path(home.corner(history.NAME)).unlink(missing_ok=True)
    for row in rows:
        writer.add(*row)
    writer.flush()
    return Path(home.corner(history.NAME)).read_bytes() if rows else b""


@given(RECORDS)
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, rows) -> None:
    """Every byte, whatever it is, the mark of a record among them; lone surrogates in a name too."""
    found = list(records(bytes_of(rows, tmp_path_factory.getbasetemp())))
    assert [(each.ended, each.task, each.data) for each in found] == [
        (ended, task.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape"), data)
        for ended, task, data, _, _ in rows
    ]
    assert [each.output for each in found] == [output.decode("utf-8", "replace") for *_, output in rows]


@given(RECORDS, st.data())
def test_torn_records_are_passed_over(tmp_path_factory: pytest.TempPathFactory, rows, data) -> None:
    """Bytes that were cut out, or put in, cost the records that they hit and no other; nothing is made up."""
    whole = bytes_of(rows, tmp_path_factory.getbasetemp())
    begin = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(begin, len(whole)))
    torn = whole[:begin] + data.draw(st.binary(max_size=40)) + whole[end:]
    keys = {(row[0], row[2]) for row in rows}
    before = sum(1 for each in records(whole[:begin]))
    found = list(records(torn))
    assert len(found) >= before
    assert {(each.ended, each.data) for each in found[:before]} <= keys


def test_it_is_bounded(spool: SpoolDir) -> None:
    """At half of its limit the file becomes the older one; both together stay below the limit and one batch."""
    writer = History(spool, 200_000)
    for n in range(5_000):
        writer.add(n, f"task{n}", b"x" * 100)
    writer.flush()
    sizes = [os.path.getsize(spool.corner(name)) for name in (history.NAME, history.OLDER)]
    assert sum(sizes) < 200_000 + 2 * history.GATHERED * 150
    found = [record.ended for record in read(spool)]
    assert found == list(range(found[0], 5_000))
    assert len(found) > 600


def test_a_big_task_is_cut(spool: SpoolDir) -> None:
    """Its variables and the begin of its body are kept."""
    writer = History(spool, 1 << 30)
    writer.add(1, "big", b"x" * 1_000_000)
    writer.flush()
    assert [len(record.data) for record in read(spool)] == [history.DATA]


@pytest.mark.parametrize("place", ["fifo", "directory", "link"])
def test_what_lies_in_its_place_neither_blocks_nor_misleads(spool: SpoolDir, tmp_path: Path, place: str) -> None:
    """A FIFO without a reader, a directory, a link to somebody's file: nothing is written, nothing read."""
    spool.make_corner()
    path = spool.corner(history.NAME)
    other = tmp_path / "other"
    other.write_bytes(b"mine")
    if place == "fifo":
        os.mkfifo(path)
    elif place == "directory":
        os.mkdir(path)
    else:
        os.symlink(other, path)
    writer = History(spool, 1 << 30)
    writer.add(1, "task", b"x")
    writer.flush()
    assert list(read(spool)) == []
    assert other.read_bytes() == b"mine"


def test_a_directory_that_is_gone_is_no_error(spool: SpoolDir) -> None:
    """The tasks matter more."""
    writer = History(spool, 1 << 30)
    os.rmdir(spool.path)
    writer.add(1, "task", b"x")
    writer.flush()
    assert list(read(spool)) == []
