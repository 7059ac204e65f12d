"""The line between master and fork server."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator

import pytest

from spoolsim.processes.wire import Wire

MESSAGES: list[tuple[object, ...]] = [
    ("spawn", 0, 1),
    ("died", 3, 4711, -9, True),
    ("ready", [("timer", 1, "spooler", 30)], ["import = nothing: \N{GREEK SMALL LETTER ALPHA}\udcff"]),
    ("setup", {"options": {"frequency": 0.5, "opt": {"spooler": b"x\0y"}}, "descriptors": [], "pipe": None}),
    (),
]


@pytest.fixture
def ends() -> Iterator[tuple[Wire, Wire]]:
    """Both ends of a line."""
    ours, theirs = socket.socketpair()
    pair = Wire(ours.detach()), Wire(theirs.detach())
    yield pair
    for wire in pair:
        wire.close()


def test_messages_arrive_whole_and_in_order(ends: tuple[Wire, Wire]) -> None:
    """What goes in at one end comes out at the other, equal and in order."""
    ours, theirs = ends
    assert all(ours.send(*message) for message in MESSAGES)
    received: list[tuple[object, ...]] = []
    while len(received) < len(MESSAGES):
        received += theirs.receive() or []
    assert received == MESSAGES


def test_a_message_cut_anywhere_is_put_together() -> None:
    """However the bytes are cut, each message comes out once, when its last byte is there."""
    probe, out = socket.socketpair()
    sender = Wire(out.detach())
    for message in MESSAGES:
        sender.send(*message)
    stream = probe.recv(1 << 16)
    probe.close()
    sender.close()
    for size in (1, 2, 3, 5, 7, len(stream) - 1):
        raw, theirs = socket.socketpair()
        receiver = Wire(theirs.detach())
        received: list[tuple[object, ...]] = []
        for at in range(0, len(stream), size):
            raw.sendall(stream[at : at + size])
            received += receiver.receive() or []
        assert received == MESSAGES
        raw.close()
        assert receiver.receive() is None
        receiver.close()


def test_a_message_larger_than_the_line_holds(ends: tuple[Wire, Wire]) -> None:
    """A megabyte passes, in pieces, while the other end reads."""
    ours, theirs = ends
    big = ("ready", "x" * 1_000_000)
    sending = threading.Thread(target=ours.send, args=big)
    sending.start()
    received: list[tuple[object, ...]] = []
    while not received:
        received += theirs.receive() or []
    sending.join(10)
    assert received == [big]


def test_the_end_of_the_other_side_is_told() -> None:
    """Sending to a closed line says False, receiving says None; neither raises."""
    ours, theirs = socket.socketpair()
    wire = Wire(ours.detach())
    theirs.close()
    assert wire.receive() is None
    assert wire.send("spawn", 0, 0) is False
    wire.close()
    assert wire.send("spawn", 0, 0) is False


def test_what_was_sent_before_the_end_arrives(ends: tuple[Wire, Wire]) -> None:
    """The last words of a process that ends are still read."""
    ours, theirs = ends
    ours.send("died", 0, 1, 0, False)
    os.close(os.dup(ours.fd))  # a copy that goes away is not the end
    ours.close()
    assert theirs.receive() == [("died", 0, 1, 0, False)]
    assert theirs.receive() is None
