"""Properties of names: the order they run in, and which of them count."""

from __future__ import annotations

import ctypes
import functools
import os
import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spoolsim.spool.names import PREFIX, counts, due, is_number, task_name, version_key
from tests.property import examples

LIBC = ctypes.CDLL(None)

#: what strverscmp tells apart: zeros, other digits, bytes below and above the digits, letters, not ASCII
_TELLING = st.lists(
    st.sampled_from(list(b"000019ab-_:/ ~\x01\xc3\xa9\xff".replace(b"/", b"."))), min_size=1, max_size=8
)
NAMES = st.one_of(
    _TELLING.map(bytes),
    st.binary(min_size=1, max_size=12).map(lambda name: name.replace(b"\0", b"0").replace(b"/", b".")),
    st.integers(0, 10**30).map(lambda number: b"%d" % number),
    st.builds(lambda zeros, number: b"0" * zeros + b"%d" % number, st.integers(0, 4), st.integers(0, 1000)),
    st.builds(
        lambda *parts: os.fsencode(task_name("host", *parts)), *[st.integers(0, 10**6)] * 3, *[st.integers(0, 10)] * 2
    ),
)

needs_glibc = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="versionsort is glibc's")


def sign(number: int) -> int:
    return (number > 0) - (number < 0)


@needs_glibc
@settings(max_examples=examples(1500))
@given(NAMES, NAMES, NAMES)
@example(b"x", b"00", b"0")
@example(b"1", b"01", b"001")
@example(b"a", b"0b", b"01")
@example(b"a", b"00\xff", b"00:")
def test_two_names_are_in_the_order_of_strverscmp(common: bytes, left: bytes, right: bytes):
    """The keys of any two names, with and without a common beginning, compare as glibc's strverscmp does."""
    for a, b in ((left, right), (common + left, common + right), (common, common + left)):
        keys = version_key(a.decode("utf-8", "surrogateescape")), version_key(b.decode("utf-8", "surrogateescape"))
        assert (keys[0] > keys[1]) - (keys[0] < keys[1]) == sign(LIBC.strverscmp(a, b)), (a, b)


@needs_glibc
@given(st.lists(NAMES, max_size=30))
def test_many_names_are_sorted_as_versionsort_sorts_them(names: list[bytes]):
    """A whole directory's names come in the order that strverscmp gives."""
    texts = [name.decode("utf-8", "surrogateescape") for name in names]
    expected = sorted(names, key=functools.cmp_to_key(LIBC.strverscmp))
    assert [text.encode("utf-8", "surrogateescape") for text in sorted(texts, key=version_key)] == expected


@given(st.text(max_size=12) | st.sampled_from(["0", "007", "-1", "+3", "1a", "1.5", "٣", "²", PREFIX, PREFIX[:-1]]))
def test_a_name_counts_by_its_prefix_or_its_digits(name: str):
    """Unordered only the prefix counts; ordered so does a name of ASCII digits alone, and nothing else."""
    digits = name != "" and set(name) <= set("0123456789")
    assert is_number(name) == digits
    assert counts(name, False) == (name[: len(PREFIX)] == PREFIX)
    assert counts(name, True) == (digits or counts(name, False))
    assert counts(PREFIX + name, False)


@given(st.integers(1, 2**33), st.integers(-3, 3), st.integers(0, 999_999), st.integers(0, 999_999))
def test_a_task_is_due_from_its_whole_second_on(second: int, later: int, mtime_usec: int, now_usec: int):
    """Only the whole seconds of mtime and clock are compared."""
    assert due(second + later + mtime_usec / 1e6, second + now_usec / 1e6) == (later <= 0)
