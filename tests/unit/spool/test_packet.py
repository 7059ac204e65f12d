"""The bytes of a spool file: the edges of what fits, and what is said of bytes that are no packet."""

from __future__ import annotations

import pytest

from spoolsim.errors import PacketError
from spoolsim.spool.packet import decode, encode

#: variables of 5 and of 10 bytes: behind them another one begins at byte 9, 14 or 19
_SHORT = b"\x01\x00k\x00\x00"
_LONGER = b"\x03\x00key\x03\x00val"


def whole(variables: bytes, body: bytes = b"") -> bytes:
    """A spool file with these bytes as its variables, whatever they are."""
    return b"\x11" + len(variables).to_bytes(2, "little") + b"\x00" + variables + body


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "a header takes 4 bytes, the file has 0"),
        (b"\x11\x00\x00", "a header takes 4 bytes, the file has 3"),
        (b"\x11\x01\x00\x00", "the header announces 1 bytes of variables, only 0 follow"),
        (b"\x11\x06\x00\x00" + _SHORT, "the header announces 6 bytes of variables, only 5 follow"),
        (b"\x11\x04\x03\x00" + b"x" * 258, "the header announces 772 bytes of variables, only 258 follow"),
        (whole(b"\x01"), "a key size is cut off at byte 4"),
        (whole(_SHORT + b"\x01"), "a key size is cut off at byte 9"),
        (whole(_SHORT + b"\x01", b"\x00k\x00\x00"), "a key size is cut off at byte 9"),
        (whole(_LONGER + b"\x01", b"\x00k\x00\x00"), "a key size is cut off at byte 14"),
        (whole(b"\x00\x00"), "an empty key at byte 4"),
        (whole(_SHORT + b"\x00\x00"), "an empty key at byte 9"),
        (whole(_SHORT + b"\x00\x00\x01\x00v"), "an empty key at byte 9"),
        (whole(_LONGER + b"\x00\x00\x01\x00v"), "an empty key at byte 14"),
        (whole(_LONGER * 30 + b"\x00\x00\x01\x00v"), "an empty key at byte 304"),
    ],
)
def test_what_is_no_packet_is_named(data: bytes, why: str):
    """Where the fault is and how much is missing; bytes of the body are never taken for the variables'."""
    with pytest.raises(PacketError) as caught:
        decode(data)
    assert str(caught.value) == why


@pytest.mark.parametrize("before", [b"", _SHORT, _LONGER, _SHORT + _LONGER])
@pytest.mark.parametrize("body", [b"", b"\x00" * 9, b"\x01\x00" * 500])
@pytest.mark.parametrize(
    ("variable", "why"),
    [
        (b"\x01\x00", "the key at byte {at} is 1 bytes long and leaves no room for a value"),
        (b"\x01\x00k", "the key at byte {at} is 1 bytes long and leaves no room for a value"),
        (b"\x01\x00k\x00", "the key at byte {at} is 1 bytes long and leaves no room for a value"),
        (b"\x02\x01" + b"k" * 258, "the key at byte {at} is 258 bytes long and leaves no room for a value"),
        (b"\xff\xff" + b"k" * 300, "the key at byte {at} is 65535 bytes long and leaves no room for a value"),
        (b"\x01\x00k\x01\x00", "the value at byte {value} runs 1 bytes past the variables"),
        (b"\x01\x00k\x05\x00vv", "the value at byte {value} runs 3 bytes past the variables"),
        (b"\x01\x00k\x04\x03" + b"v" * 4, "the value at byte {value} runs 768 bytes past the variables"),
        (b"\x02\x01" + b"k" * 258 + b"\x03\x00v", "the value at byte {long} runs 2 bytes past the variables"),
    ],
)
def test_a_variable_that_does_not_fit_is_named(before: bytes, variable: bytes, body: bytes, why: str):
    """Wherever it begins, and whatever body follows: its byte, its size, and by how much it is too long."""
    at = 4 + len(before)
    with pytest.raises(PacketError) as caught:
        decode(whole(before + variable, body))
    assert str(caught.value) == why.format(at=at, value=at + 3, long=at + 260)


def test_sizes_of_more_than_a_byte_are_little_endian():
    """A key of 258 bytes, a value of 772."""
    key, value = b"k" * 0x0102, b"v" * 0x0304
    assert decode(whole(b"\x02\x01" + key + b"\x04\x03" + value, b"body")) == ({key: value}, b"body")
    assert encode([(key, value)]) == whole(b"\x02\x01" + key + b"\x04\x03" + value)


def test_variables_are_put_into_the_dictionary_that_is_given():
    """What stood in it stays, but for a key that comes again."""
    given: dict[object, bytes] = {"spooler_task_name": b"t", b"k": b"old"}
    variables, body = decode(whole(_SHORT + _LONGER, b"body"), given)
    assert variables is given
    assert (given, body) == ({"spooler_task_name": b"t", b"k": b"", b"key": b"val"}, b"body")


@pytest.mark.parametrize(
    ("pairs", "why"),
    [
        ([(b"k" * 65_536, b"")], f"the key {b'k' * 40!r} has 65536 bytes; a variable holds at most 65535"),
        ([(b"k" * 65_536, b"v" * 70_000)], f"the key {b'k' * 40!r} has 65536 bytes; a variable holds at most 65535"),
        ([(b"key", b"v" * 65_536)], "the value of b'key' has 65536 bytes; a variable holds at most 65535"),
        (
            [(b"k" * 65_535, b"v" * 70_000)],
            f"the value of {b'k' * 40!r} has 70000 bytes; a variable holds at most 65535",
        ),
        ([(b"k" * 65_535, b"")], "the variables take 65539 bytes together; at most 65535 fit"),
        ([(b"k", b"v" * 65_535)], "the variables take 65540 bytes together; at most 65535 fit"),
        ([(b"k", b"v" * 65_530), (b"", b"")], "the variables take 65539 bytes together; at most 65535 fit"),
        ([(b"k", b"v" * 65_531)], "the variables take 65536 bytes together; at most 65535 fit"),
    ],
    ids=["key", "key first", "value", "value of a long key", "one key", "one value", "two", "one byte"],
)
def test_what_does_not_fit_is_refused_with_its_size(pairs: list[tuple[bytes, bytes]], why: str):
    """One variable of 64 KiB, or all of them together: each says what was too large, and how large."""
    with pytest.raises(PacketError) as caught:
        encode(pairs)
    assert str(caught.value) == why


def test_the_most_that_fits_is_written():
    """65,535 bytes of variables."""
    data = encode([(b"k", b"v" * 65_530)])
    assert data[:9] == b"\x11\xff\xff\x00\x01\x00k\xfa\xff"
    assert decode(data) == ({b"k": b"v" * 65_530}, b"")


@pytest.mark.parametrize(("size", "left"), [(65_536, 0), (65_537, 1), (131_072 + 300, 300)])
def test_uwsgis_cut_is_made_only_when_it_is_asked_for(size: int, left: int):
    """A key or value of 64 KiB or more loses all but its length modulo 65,536."""
    assert encode([(b"k" * size, b"v")], truncate=True) == encode([(b"k" * left, b"v")])
    assert encode([(b"k", b"v" * size)], truncate=True) == encode([(b"k", b"v" * left)])
    with pytest.raises(PacketError, match=f"has {size} bytes"):
        encode([(b"k", b"v" * size)])


def test_packets_of_more_shapes_than_are_remembered():
    """Of each shape two packets in a row, then all again: each is read as it is."""
    for size in [*range(400, 600), *range(400, 600)]:
        for value in (b"a" * size, b"b" * size):
            assert decode(encode([(b"k", value)]) + b"body") == ({b"k": value}, b"body")


def test_a_packet_of_many_variables_twice():
    """More than are taken apart at once."""
    pairs = [(b"k%d" % number, b"%d" % number) for number in range(100)]
    for _ in range(2):
        assert decode(encode(pairs)) == (dict(pairs), b"")
