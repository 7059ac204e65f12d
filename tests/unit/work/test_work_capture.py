"""What a task prints is kept, its begin and its end, and passed on as it is."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from spoolsim.work.capture import HEAD, TAIL, Capture, replacement


@given(st.lists(st.binary(min_size=1, max_size=2000), max_size=20))
def test_little_is_kept_whole(texts: list[bytes]) -> None:
    """And only once."""
    capture = Capture()
    for text in texts:
        capture.printed(text)
    assert capture.take() == b"".join(texts)
    assert capture.take() == b""


@given(st.lists(st.integers(1, 60_000), min_size=5, max_size=20))
def test_of_much_the_begin_and_the_end(sizes: list[int]) -> None:
    """How much is missing between them is said."""
    capture = Capture()
    whole = b"".join(bytes([65 + n]) * size for n, size in enumerate(sizes))
    at = 0
    for size in sizes:
        capture.printed(whole[at : at + size])
        at += size
    kept = capture.take()
    if len(whole) <= HEAD + TAIL:
        assert kept == whole
    else:
        missing = b"\n... %d bytes ...\n" % (len(whole) - HEAD - TAIL)
        assert kept == whole[:HEAD] + missing + whole[-TAIL:]


def test_a_stream_in_place_of_another(tmp_path: Path) -> None:
    """Text and bytes arrive in order; descriptor, encoding and terminal are those of the first."""
    came: list[bytes] = []
    with (tmp_path / "log").open("w", encoding="latin-1", errors="strict") as before:
        stream = replacement(before, came.append, lambda: came.append(b"|"))
        print("é", 1, file=stream)
        stream.buffer.write(b"\xff")
        stream.flush()
        assert (stream.fileno(), stream.encoding, stream.isatty()) == (before.fileno(), "latin-1", False)
    assert b"".join(came).replace(b"|", b"") == "é 1\n".encode("latin-1") + b"\xff"
    assert os.path.getsize(tmp_path / "log") == 0
