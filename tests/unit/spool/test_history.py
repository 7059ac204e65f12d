"""The history's lines and files: no task forges a line, a torn one spoils no other, and the size is bounded."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spoolsim.spool import history
from spoolsim.spool.directory import SpoolDir
from spoolsim.spool.history import FIELDS, Record, append, escaped, numbers, plain, read, records

KIB = 1024


def line(*, at: int = 1, task: bytes = b"t", data: bytes = b"", printed: bytes = b"") -> bytes:
    """One whole line, as a worker writes it."""
    fields = [b"%d" % at, b"2000", b"0", b"7", b"1", b"0", b"done", b"%d" % len(data), escaped(task)]
    return b"\t".join([*fields, b"", b"", b"", escaped(printed), escaped(data)]) + b"\t\n"


def found(spool: SpoolDir) -> list[Record]:
    """All that is read back."""
    return [record for part in read(spool) for record in records(part)]


@given(st.binary(), st.binary(), st.binary(min_size=1))
def test_any_bytes_come_back(data: bytes, printed: bytes, task: bytes) -> None:
    """And they end no line and no field."""
    text = line(task=task, data=data, printed=printed)
    assert text.count(b"\n") == 1
    (record,) = records(text)
    assert (record.data, record.output, os.fsencode(record.task)) == (data, printed.decode(errors="replace"), task)


@given(st.lists(st.sampled_from([b"\\", b"\n", b"\t", b"n", b"t", b"\\n", b"\\\\"])))
def test_escapes_are_undone_in_their_order(parts: list[bytes]) -> None:
    """Also where backslashes meet letters."""
    assert plain(escaped(b"".join(parts))) == b"".join(parts)


def test_a_line_that_a_task_forges_is_data(spool: SpoolDir) -> None:
    """Whole lines of the format in what is printed and in the body stay what they are."""
    forged = line(at=99, task=b"forged")
    append(spool, b"\n" + line(data=forged, printed=b"\n" + forged, task=b"a\n" + forged), 1 << 20)
    (record,) = found(spool)
    assert record.data == forged
    assert record.task.startswith("a\n99\t")


@given(st.data())
def test_a_torn_line_spoils_no_other(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Wherever it was cut: nothing is read of it, unless only the end of its line is missing; what follows is."""
    spool = SpoolDir(str(tmp_path_factory.mktemp("spool")))
    whole = b"\n" + line(at=1, data=b"\n\\data")
    cut = data.draw(st.integers(0, len(whole) - 1))
    append(spool, whole[:cut], 1 << 20)
    append(spool, b"\n" + line(at=2, task=b"next", data=b"x"), 1 << 20)
    *torn, last = found(spool)
    assert (last.at, last.task, last.data, last.size) == (2, "next", b"x", 1)
    assert [each.data for each in torn] == ([b"\n\\data"] if cut == len(whole) - 1 else [])


def test_what_is_no_line_is_passed_over() -> None:
    """Numbers that are none, fields too few, bytes that are no text."""
    good = line()
    bad = [b"", b"x", b"\t" * FIELDS, b"\0" * 99]
    bad += [good.replace(b"2000", number) for number in (b"x", b"9" * 21, b"\xb2", b"")]
    bad += [good.replace(b"done", outcome) for outcome in (b"\xff", b"", b"won")]
    assert [record.task for record in records(b"\n".join([*bad, good, *bad]))] == ["t"]


def test_the_file_is_its_owners_alone(spool: SpoolDir) -> None:
    """It holds what tasks hold."""
    append(spool, b"\n" + line(), 1 << 20)
    assert stat.S_IMODE(os.stat(spool.state_dir(history.NAME)).st_mode) == 0o600


def test_it_is_bounded(spool: SpoolDir) -> None:
    """Never more than the limit, at least five eighths of it once it was reached, and the newest lines are there."""
    limit = 256 * KIB
    sizes = []
    for number in range(3000):
        append(spool, b"\n" + line(at=number, data=b"d" * 200), limit)
        sizes.append(sum(os.stat(spool.state_dir(name)).st_size for name in _files(spool)))
    assert max(sizes) <= limit
    assert min(sizes[1500:]) >= limit * 5 // 8
    kept = [record.at for record in found(spool)]
    assert kept == list(range(3000 - len(kept), 3000))
    assert len(numbers(spool)) <= history.PARTS


def test_what_is_read_while_a_file_gets_a_number(spool: SpoolDir) -> None:
    """Each line once, none missing."""
    limit = 64 * KIB
    append(spool, b"\n" + line(at=0), limit)
    parts = read(spool)
    for number in range(1, 100):
        append(spool, b"\n" + line(at=number, data=b"d" * 200), limit)
    assert numbers(spool)
    seen = [record.at for part in parts for record in records(part)]
    assert seen == sorted(set(seen))
    assert seen[0] == 0


def test_a_file_that_somebody_rotates_is_left_alone(spool: SpoolDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines go into it all the same."""
    monkeypatch.setattr(history, "try_lock", lambda fd: False)
    for number in range(40):
        append(spool, b"\n" + line(at=number, data=b"d" * 1000), 64 * KIB)
    assert len(found(spool)) == 40
    assert numbers(spool) == []


def test_what_lies_in_its_place_is_not_read(spool: SpoolDir, tmp_path: Path) -> None:
    """A link, a FIFO, a directory: nobody waits, nothing else is read."""
    secret = tmp_path / "secret"
    secret.write_bytes(line())
    spool.make_state_dir()
    (Path(spool.state_dir()) / "history.1").symlink_to(secret)
    os.mkfifo(spool.state_dir("history.2"))
    os.mkdir(spool.state_dir("history.3"))
    os.mkfifo(spool.state_dir("history"))
    assert found(spool) == []
    with pytest.raises(OSError):
        append(spool, b"\n" + line(), 1 << 20)


def _files(spool: SpoolDir) -> list[str]:
    return [name for name in os.listdir(spool.state_dir()) if name.startswith(history.NAME)]
