"""Spool files: put, scan, claim, settle, and the journal's line."""

from __future__ import annotations

import os
import time
from itertools import count
from typing import Any

import pytest

from benchmarks.rooms import Room
from spoolsim.spool import file, settle
from spoolsim.spool.claim import Claim, take
from spoolsim.spool.directory import SpoolDir
from spoolsim.spool.journal import Journal, read
from spoolsim.spool.packet import encode
from spoolsim.spool.scan import Level, scan
from spoolsim.spool.verdicts import KEEP, REMOVE, Remove

DATA = encode([(b"task", b"noop"), (b"n", b"1")])


@pytest.mark.parametrize(
    ("body", "at"), [(b"", 0), (b"x" * 1024, 0), (b"x" * (1 << 20), 0), (b"", 2_000_000_000)],
    ids=["empty", "1KiB", "1MiB", "at"],
)  # fmt: skip
def test_put(benchmark: Any, room: Room, body: bytes, at: int) -> None:
    """Every put makes one whole file."""
    calls = count()

    def put() -> str:
        next(calls)
        return file.write(room.spool, file.next_name(), DATA, body, at)

    path = benchmark.pedantic(put, rounds=200, iterations=1, warmup_rounds=5)
    assert os.stat(path).st_size == len(DATA) + len(body)
    assert len(os.listdir(room.spool)) == next(calls)


@pytest.mark.parametrize("ordered", [False, True], ids=["unordered", "ordered"])
def test_scan(benchmark: Any, room: Room, size: int, ordered: bool) -> None:
    """A scan gives each name once."""
    room.fill(size)
    spool = SpoolDir(room.spool)

    def names() -> list[str]:
        return [name for _, name in scan(spool, ordered=ordered, now=time.time)]

    found = benchmark(names)
    assert sorted(found) == sorted(os.listdir(room.spool))


def test_scan_shared(benchmark: Any, room: Room, size: int) -> None:
    """Of two workers each begins with its own share, and meets every name in the end."""
    room.fill(size)
    spool = SpoolDir(room.spool)

    def names() -> list[str]:
        return [name for _, name in scan(spool, share=(0, 2), now=time.time)]

    assert len(set(benchmark(names))) == size


def test_claim(benchmark: Any, room: Room) -> None:
    """A due task is had, with its bytes."""
    room.fill(1)
    (name,) = os.listdir(room.spool)
    fd = os.open(room.spool, os.O_RDONLY)
    level = Level(SpoolDir(room.spool), room.spool, fd)

    def claim() -> Claim:
        found = take(level, name, time.time())
        assert isinstance(found, Claim)
        settle.apply(found, KEEP)
        return found

    try:
        assert benchmark(claim).data.endswith(b"noop\x01\x00n\x01\x001")
    finally:
        os.close(fd)


def test_settle(benchmark: Any, room: Room) -> None:
    """A task that is done is gone."""
    fd = os.open(room.spool, os.O_RDONLY)
    level = Level(SpoolDir(room.spool), room.spool, fd)

    def claimed() -> tuple[tuple[Claim, Remove], dict[str, Any]]:
        path = file.write(room.spool, file.next_name(), DATA)
        found = take(level, os.path.basename(path), time.time())
        assert isinstance(found, Claim)
        return (found, REMOVE), {}

    try:
        benchmark.pedantic(settle.apply, setup=claimed, rounds=500)
        assert os.listdir(room.spool) == []
    finally:
        os.close(fd)


def test_journal_done(benchmark: Any, room: Room) -> None:
    """A task that is done is one line, its writing shared by many."""
    journal = Journal(SpoolDir(room.spool))
    benchmark(journal.done, "uwsgi_spoolfile_on_host_1_1_1_1_1", 12_000)
    journal.flush()
    assert all(line.outcome == "done" for line in read(SpoolDir(room.spool)))
    assert os.path.getsize(f"{room.spool}/.spoolsim/journal")


def test_journal_retry(benchmark: Any, room: Room) -> None:
    """A task that stays is a line that is written at once, with its number."""
    journal = Journal(SpoolDir(room.spool))
    attempt = benchmark.pedantic(journal.add, args=("uwsgi_spoolfile_on_h_1", "retry", 12_000), rounds=100)
    assert attempt == len(list(read(SpoolDir(room.spool))))
