"""What the processes of a run have said, and their turns at the log."""

from __future__ import annotations

import os
import select

from spoolsim.log import Log
from spoolsim.work import said
from spoolsim.work.said import Said, Turn


def test_it_is_said_once_by_all_together():
    """Whoever asks first; another key, also one whose parts only run together alike, is another thing."""
    fd = said.create()
    one, other, alone = Said(fd), Said(fd), Said()
    assert one.first("a", "b")
    assert not one.first("a", "b")
    assert not other.first("a", "b")
    assert other.first("ab")
    assert other.first("a\udcff")
    assert alone.first("a", "b")
    assert not alone.first("a", "b")
    os.close(fd)


def test_a_full_table_begins_anew():
    """Things may be said again then; none is swallowed, and no search runs forever."""
    fd = said.create()
    one = Said(fd)
    count = said._FULL + 10
    assert all(one.first(str(number)) for number in range(count))
    assert Said(fd).first("0")
    assert not Said(fd).first(str(count - 1))
    os.close(fd)


def test_an_app_that_closes_our_descriptor_loses_nothing():
    """What it says is said, and its log is written, without the lock."""
    fd = said.create()
    reader, writer = os.pipe()
    log = Log(writer)
    known = said.share(fd, log)
    os.close(fd)
    assert known.first("a")
    log.raw("x" * 5000)
    assert os.read(reader, 10_000) == b"x" * 5000
    os.close(reader)
    os.close(writer)


def test_a_short_line_waits_for_a_big_text():
    """A line written meanwhile by another process comes behind it."""
    fd = said.create()
    reader, writer = os.pipe()
    met, meets = os.pipe()
    big, small = Log(writer), Log(writer)
    big.turn = Turn(fd)
    child = os.fork()
    if not child:
        small.turn = Turn(fd)
        while not small.turn.taken():
            select.select((), (), (), 0.001)
        os.write(meets, b"1")
        small.raw("line")
        os._exit(0)
    text = "x" * 200_000  # more than the pipe holds
    writing = os.fork()
    if not writing:
        big.raw(text)
        os._exit(0)
    os.close(writer)
    os.close(meets)
    assert os.read(met, 1)  # the pipe is full, so the big text is held up until the other one has met it
    data = b""
    while chunk := os.read(reader, 4096):
        data += chunk
    assert data == text.encode() + b"line"
    for pid in (child, writing):
        os.waitpid(pid, 0)
    os.close(reader)
    os.close(met)
    os.close(fd)
