"""What is fuzzed: functions of bytes that raise AssertionError where spoolsim does not do as it must."""

from __future__ import annotations

import ctypes
import os
import shutil
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

from spoolsim.errors import PacketError
from spoolsim.spool.names import PREFIX, version_key
from spoolsim.spool.packet import decode, encode
from tests.faults.campaign.forked import Bench
from tests.property.test_packet import reference

_LIBC = ctypes.CDLL(None)


def packet(data: bytes) -> None:
    """Decoding gives what an independent decoder gives, or PacketError; what was decoded is encoded to the same."""
    expected = reference(data)
    try:
        found = decode(data)
    except PacketError:
        assert expected is None, f"refused, but it means {expected}"
        return
    assert found == expected
    variables, body = found
    assert decode(encode(list(variables.items())) + body) == found


def names(data: bytes) -> None:
    """Two names, of 255 bytes at most as file systems have them, compare as glibc's strverscmp compares them."""
    left, _, right = data.replace(b"\0", b"0").replace(b"/", b".").partition(b"\n")
    left, right = left[:255], right[:255]
    keys = [version_key(name.decode("utf-8", "surrogateescape")) for name in (left, right)]
    order: int = _LIBC.strverscmp(left, right)
    assert (keys[0] > keys[1]) - (keys[0] < keys[1]) == (order > 0) - (order < 0)


class Directory:
    """A spool directory filled as the input says, and scanned by a spooler in this process."""

    def __init__(self) -> None:
        home = "/dev/shm" if os.path.isdir("/dev/shm") else None
        self._home = Path(tempfile.mkdtemp(prefix="fuzz-", dir=home))
        self._bench = Bench(self._home)
        self._spool = self._bench.spool

    def close(self) -> None:
        shutil.rmtree(self._home, ignore_errors=True)

    def __call__(self, data: bytes) -> None:
        """No crash, no hang; every task is run once, the broken are set aside whole, the rest is left alone."""
        runs: list[bytes] = []
        self._bench.seen = runs.append
        there = self._fill(data)
        try:
            self._bench.scan(ordered=bool(data) and data[0] % 2 == 1)
            self._judge(there, runs)
        finally:
            self._bench.clear()

    def _fill(self, data: bytes) -> dict[str, bytes]:
        """Make entries: a byte for the kind, one for the name's length, the name, two for the size, the content."""
        there: dict[str, bytes] = {}
        at = 1
        while at + 2 < len(data) and len(there) < 12:
            kind, size = data[at] % 8, data[at + 1] % 40
            name = data[at + 2 : at + 2 + size].replace(b"\0", b"0").replace(b"/", b".")
            at += 2 + size
            length = int.from_bytes(data[at : at + 2], "little") % 300
            content = data[at + 2 : at + 2 + length]
            at += 2 + length
            text = (PREFIX if kind else "") + os.fsdecode(name)
            path = self._spool / text
            if text in ("", ".spoolsim") or os.path.lexists(path):
                continue
            if kind == 1:
                os.symlink(os.fsdecode(content.replace(b"\0", b"") or b"x"), path)
            elif kind == 2:
                os.mkfifo(path)
            elif kind == 3:
                path.mkdir()
            else:
                path.write_bytes(content)
                if kind == 4:
                    path.chmod(0o400)
                elif kind == 5:
                    os.utime(path, (2**33, 2**33))
                there[text] = content
        return there

    def _judge(self, there: dict[str, bytes], runs: list[bytes]) -> None:
        left = {
            entry.name: Path(entry.path).read_bytes()
            for entry in os.scandir(self._spool)
            if stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode)
        }
        aside = [path.read_bytes() for path in self._spool.glob(".spoolsim/broken/*") if path.suffix != ".why"]
        for name, content in there.items():
            if name in left:
                assert left[name] == content, f"{name!r} has changed"
                continue
            meant = reference(content)
            if meant is None:
                assert content in aside, f"{name!r} is broken, and gone"
            else:
                assert os.fsencode(name) in runs, f"{name!r} is lost"
        assert len(runs) == len(set(runs)), "a task was run twice"
        assert len(left) + len(set(runs)) + len(aside) == len(there)


def make(name: str) -> Callable[[bytes], None]:
    """A target by its name: `packet`, `names` or `directory`."""
    return {"packet": lambda: packet, "names": lambda: names, "directory": Directory}[name]()
