"""The bytes of a spool file.

A spool file is a uwsgi packet followed by the body:

    offset  size  what
    0       1     modifier1 (17 when written; not checked when read)
    1       2     size of the variables in bytes, little-endian
    3       1     modifier2 (0 when written; not checked when read)
    4       n     variables: uint16 key size, key, uint16 value size, value, repeated
    4+n     rest  the body, up to the end of the file

Pure: bytes in, bytes out.
"""

from __future__ import annotations

from struct import Struct

from spoolsim.errors import PacketError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TypeAlias

    #: where the variables end, how to read all their sizes at once, what they must be, where keys and values are then
    _Shape: TypeAlias = tuple[int, Callable[[bytes], tuple[Any, ...]], tuple[int, ...], list[tuple[slice, slice]]]

#: bytes of the header
HEADER = 4
#: what uWSGI writes as modifier1: "this is a spool request"
MODIFIER1 = 17
#: all variables together, encoded, in bytes
MAX_VARIABLES = 0xFFFF

#: tasks of one kind look alike: header -> what is known of the last such packet
_shapes: dict[bytes, _Shape] = {}
#: headers that packets of different sizes have; so many are remembered of either kind
_various: set[bytes] = set()
_REMEMBERED = 128
#: variables and bytes of a packet whose shape is worth remembering
_FEW, _SHORT = 24, 1024

_header = Struct("<BHB")
_size = Struct("<H")
_pack_header = _header.pack
_pack_size = _size.pack


def encode(variables: Iterable[tuple[bytes, bytes]], *, truncate: bool = False) -> bytes:
    """The header and the variables, in the order given; the body is appended by whoever writes the file.

    `truncate` does what uWSGI does with a key or value of 65,536 bytes or more: it cuts it to its length
    modulo 65,536, in silence. Without it such a key or value is refused.

    Raises PacketError when a key or value, or all of them together, do not fit.
    """
    parts = [b""]
    total = 0
    for key, value in variables:
        k, v = len(key), len(value)
        if k > 0xFFFF or v > 0xFFFF:
            if not truncate:
                what, size = ("key", k) if k > 0xFFFF else ("value of", v)
                raise PacketError(f"the {what} {key[:40]!r} has {size} bytes; a variable holds at most 65535")
            key, value = key[: k & 0xFFFF], value[: v & 0xFFFF]  # noqa: PLW2901 - uWSGI's own cut
            k, v = len(key), len(value)
        total += k + v + 4
        parts += (_pack_size(k), key, _pack_size(v), value)
    if total > MAX_VARIABLES:
        raise PacketError(f"the variables take {total} bytes together; at most {MAX_VARIABLES} fit")
    parts[0] = _pack_header(MODIFIER1, total, 0)
    return b"".join(parts)


def decode(data: bytes, into: dict[Any, bytes] | None = None) -> tuple[dict[Any, bytes], bytes]:
    """The variables and the body of a whole spool file.

    into: put the variables into this dictionary.
    A key that comes twice keeps its last value. Raises PacketError with the reason when the bytes are no packet.
    """
    header = data[:HEADER]
    shape = _shapes.get(header)
    if shape is not None:
        end, sizes_of, sizes, places = shape
        if len(data) >= end:
            if sizes_of(data) == sizes:
                variables = {} if into is None else into
                for key_at, value_at in places:
                    variables[data[key_at]] = data[value_at]
                return variables, data[end:]
            _shapes.pop(header, None)  # another thread may have been here
            _various.add(header)
    if len(data) < HEADER:
        raise PacketError(f"a header takes {HEADER} bytes, the file has {len(data)}")
    end = HEADER + (data[1] | data[2] << 8)
    if len(data) < end:
        raise PacketError(f"the header announces {end - HEADER} bytes of variables, only {len(data) - HEADER} follow")
    variables = {} if into is None else into
    at = HEADER
    try:
        while at < end:
            key = at + 2
            key_end = key + (data[at] | data[at + 1] << 8)
            value = key_end + 2
            value_end = value + (data[key_end] | data[key_end + 1] << 8)
            if value_end > end or key == key_end:  # whatever is wrong shows here: hot, once for each variable
                break
            variables[data[key:key_end]] = data[value:value_end]
            at = value_end
        else:
            if header not in _various and end <= _SHORT:
                _remember(header, data, end)
            return variables, data[end:]
    except IndexError:
        pass  # a size that is cut off, and nothing behind it
    raise PacketError(_fault(data, at, end))


def _remember(header: bytes, data: bytes, end: int) -> None:
    """Remember the shape of this packet, which is a sound one."""
    if len(_shapes) >= _REMEMBERED or len(_various) >= _REMEMBERED:
        _shapes.clear()
        _various.clear()
    sizes = []
    places = []
    at = HEADER
    while at < end:
        size = data[at] | data[at + 1] << 8
        places.append(slice(at + 2, at + 2 + size))
        sizes.append(size)
        at += 2 + size
    if len(sizes) <= 2 * _FEW:
        layout = Struct(f"<{HEADER}x" + "".join(f"H{size}x" for size in sizes))
        _shapes[header] = end, layout.unpack_from, tuple(sizes), list(zip(places[::2], places[1::2], strict=True))


def _fault(data: bytes, at: int, end: int) -> str:
    """What is wrong with the variable at `at`."""
    if at + 2 > end:
        return f"a key size is cut off at byte {at}"
    size = data[at] | data[at + 1] << 8
    if not size:
        return f"an empty key at byte {at}"
    key_end = at + 2 + size
    if key_end + 2 > end:
        return f"the key at byte {at} is {size} bytes long and leaves no room for a value"
    value_end = key_end + 2 + (data[key_end] | data[key_end + 1] << 8)
    return f"the value at byte {key_end} runs {value_end - end} bytes past the variables"
