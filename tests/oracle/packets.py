"""Spool file bytes made and taken apart by the tests' own code, so that spoolsim's codec is not its own judge."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Mapping

PREFIX = "uwsgi_spoolfile_on_"
NAME_RE = re.compile(r"uwsgi_spoolfile_on_[^/\s]*?_\d+_\d+_\d+_\d+_\d+")

Pairs = Iterable[tuple[bytes, bytes]]


def packet(
    pairs: Pairs | Mapping[bytes, bytes] = (), modifier1: int = 17, modifier2: int = 0, pktsize: int | None = None
) -> bytes:
    """Return header and variables; `pktsize` overrides the size that the header claims."""
    buf = b""
    for k, v in pairs.items() if isinstance(pairs, Mapping) else pairs:
        buf += struct.pack("<H", len(k)) + k + struct.pack("<H", len(v)) + v
    return struct.pack("<BHB", modifier1, len(buf) if pktsize is None else pktsize, modifier2) + buf


def unpack(data: bytes) -> tuple[tuple[int, int, int], list[tuple[bytes, bytes]], bytes]:
    """Return the header's three numbers, the variables in order, and the body."""
    modifier1, size, modifier2 = struct.unpack("<BHB", data[:4])
    buf, out = data[4 : 4 + size], []
    while buf:
        pair = []
        for _ in range(2):
            (n,) = struct.unpack("<H", buf[:2])
            pair.append(buf[2 : 2 + n])
            buf = buf[2 + n :]
        out.append((pair[0], pair[1]))
    return (modifier1, size, modifier2), out, data[4 + size :]
