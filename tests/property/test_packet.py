"""Properties of the codec: the bytes of a spool file."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spoolsim.errors import PacketError
from spoolsim.spool.packet import HEADER, MAX_VARIABLES, decode, encode
from tests.oracle import packets
from tests.property import examples

KEYS = st.binary(min_size=1, max_size=40)
PAIRS = st.lists(st.tuples(KEYS, st.binary(max_size=40)), max_size=8)


def reference(data: bytes) -> tuple[dict[bytes, bytes], bytes] | None:
    """The format's own words, one byte at a time: the variables and the body, None for what is no packet."""
    if len(data) < 4:
        return None
    stream = iter(data[4:])
    left = data[1] + 256 * data[2]

    def take(count: int) -> bytes | None:
        nonlocal left
        if count > left:
            return None
        left -= count
        found = bytes(byte for _, byte in zip(range(count), stream, strict=False))
        return found if len(found) == count else None

    def sized() -> bytes | None:
        size = take(2)
        return None if size is None else take(size[0] + 256 * size[1])

    if left > len(data) - 4:
        return None
    variables = {}
    while left:
        key = sized()
        value = sized() if key else None
        if key is None or value is None:
            return None
        variables[key] = value
    return variables, bytes(stream)


@given(PAIRS, st.binary(max_size=100))
def test_what_is_written_is_read_back(pairs: list[tuple[bytes, bytes]], body: bytes):
    """Any variables and any body survive; of a key that comes twice the last value stays."""
    assert decode(encode(pairs) + body) == (dict(pairs), body)


@given(PAIRS, st.lists(st.binary(min_size=0, max_size=330), min_size=1, max_size=4), st.data())
def test_packets_of_one_length_that_are_cut_otherwise(
    pairs: list[tuple[bytes, bytes]], others: list[bytes], data: st.DataObject
):
    """Whatever was decoded before, also with the same header: each packet is read as if it were the first."""
    first = encode(pairs)
    seen = [first, first]  # what is known of a header now
    for other in others:
        rest = (other + bytes(len(first)))[: len(first) - HEADER]
        seen.append(first[:HEADER] + rest)
    if len(pairs) > 1:
        moved = data.draw(st.permutations(pairs))
        seen.append(encode(moved))
        key, value = moved[0]
        seen.append(encode([(key + value[:1], value[1:]), *moved[1:]]))
    for packet in data.draw(st.permutations(seen)):
        try:
            found: object = decode(packet + b"body")
        except PacketError:
            found = None
        assert found == reference(packet + b"body")


@given(PAIRS)
def test_the_bytes_are_those_of_an_independent_encoder(pairs: list[tuple[bytes, bytes]]):
    """Header and variables equal those of the tests' own encoder, the order of the pairs included."""
    assert encode(pairs) == packets.packet(pairs)


#: bytes that are often nearly a packet: an honest one with a few bytes replaced, cut or added
NEARLY = st.builds(
    lambda pairs, at, value, cut, body: (bytes([*(d := packets.packet(pairs))[:at], value, *d[at + 1 :]]) + body)[:cut],
    st.lists(st.tuples(st.binary(max_size=4), st.binary(max_size=4)), max_size=4),
    st.integers(0, 40),
    st.sampled_from((0, 1, 2, 3, 4, 255)),
    st.integers(0, 60) | st.none(),
    st.binary(max_size=8),
)


@settings(max_examples=examples(500))
@given(st.binary(max_size=64) | NEARLY)
@example(b"\x11\x01\x00\x00\x01")
@example(b"\x11\x05\x00\x00\x01\x00k\x01\x00v")
@example(b"\x11\x03\x00\x00\x01\x00k\x00\x00")
@example(b"\x11\x02\x00\x00\x00\x00")
@example(b"\x11\x04\x00\x00\x00\x00\x00\x00")
@example(b"\x11\x05\x00\x00\x01\x00k\x00\x00")
@example(b"\x11\x04\x00\x00\x01\x00k\x00\x00")
def test_arbitrary_bytes_are_a_packet_or_a_packet_error(data: bytes):
    """Arbitrary bytes never give anything but the reference decoder's answer, or PacketError where it has none."""
    expected = reference(data)
    if expected is None:
        with pytest.raises(PacketError):
            decode(data)
    else:
        assert decode(data) == expected


@given(st.integers(0, 65_540), st.integers(1, 20))
def test_all_variables_together_are_limited_to_64_kib(size: int, key_size: int):
    """What takes up to 65,535 bytes encoded is written, one byte more is a PacketError."""
    pairs = [(b"k" * key_size, b""), (b"v", b"x" * max(size - key_size - 9, 0))]
    total = sum(4 + len(k) + len(v) for k, v in pairs)
    if total > MAX_VARIABLES:
        with pytest.raises(PacketError):
            encode(pairs)
    else:
        assert len(encode(pairs)) == HEADER + total


@given(st.integers(65_536, 200_000), st.booleans())
def test_a_variable_of_64_kib_is_refused_or_cut_as_uwsgi_does(size: int, long_key: bool):
    """A key or value of 64 KiB or more is a PacketError, or its length modulo 65,536 where uWSGI is followed."""
    pair = (b"k" * size, b"v") if long_key else (b"k", b"v" * size)
    with pytest.raises(PacketError, match=f"has {size} bytes"):
        encode([pair])
    rest = size % 65_536
    try:
        data = encode([pair], truncate=True)
    except PacketError as error:
        assert rest + 5 > MAX_VARIABLES, error
    else:
        _, found, body = packets.unpack(data)
        assert (found, body) == ([(b"k" * rest, b"v") if long_key else (b"k", b"v" * rest)], b"")
