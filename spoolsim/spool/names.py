"""The names of spool files, which of them count, and the order they run in.

Pure: names, numbers and times are handed in.
"""

from __future__ import annotations

#: every spool file made by uwsgi.spool() begins so
PREFIX = "uwsgi_spoolfile_on_"


def task_name(host: str, pid: int, counter: int, random: int, sec: int, usec: int) -> str:
    """uWSGI's name for a new spool file; `counter` is per process and begins at 1."""
    return f"{PREFIX}{host}_{pid}_{counter}_{random}_{sec}_{usec}"


def is_number(name: str) -> bool:
    """All ASCII digits: a priority directory, or a task of that name, under spooler-ordered."""
    return name.isdigit() and name.isascii()


def counts(name: str, ordered: bool) -> bool:
    """Does uWSGI look at a directory entry of this name at all?"""
    return name.startswith(PREFIX) or (ordered and is_number(name))


def due(mtime: float, now: float) -> bool:
    """A task runs from the whole second of its mtime on, not before."""
    return int(mtime) <= int(now)


def version_key(name: str) -> bytes:
    """A key that sorts names as glibc's versionsort (strverscmp) does.

    The rule, for the run of digits in which two names first differ:
    - runs without a leading zero compare as numbers: the shorter first, then digit by digit;
    - a run with leading zeros comes before one without, and compares as a fraction: more zeros first
      ("00" before "01" before "0"), then byte by byte;
    - everything else compares byte by byte.

    So a number is written as "1", its length, its digits; and a run of nothing but zeros is closed by a byte
    above all digits.
    """
    head, *numbers = name.rsplit("_", 5)
    if len(numbers) == 5 and head in _HEADS and name.isascii():
        parts = [_HEADS[head]]
        for number in numbers:
            if not number.isdigit() or number[0] == "0":
                break
            parts.append(f"1{_SIZES[len(number)]}{number}")
        else:
            return "_".join(parts).encode("latin-1")
    if len(numbers) == 5 and len(_HEADS) < _REMEMBERED:
        _HEADS[head] = _slow_key(head).decode("latin-1")
    return _slow_key(name)


#: a size as it stands in a key, for numbers that a name of ours can hold
_SIZES = [size.to_bytes(4, "big").decode("latin-1") for size in range(256)]
#: "uwsgi_spoolfile_on_<host>" -> its key: nearly all names of a directory have the same one
_HEADS: dict[str, str] = {}
_REMEMBERED = 1000


def _slow_key(name: str) -> bytes:
    """The key of any name, byte by byte."""
    data = name.encode("utf-8", "surrogateescape")
    key = bytearray()
    at, end = 0, len(data)
    while at < end:
        byte = data[at]
        if not 48 <= byte <= 57:
            key.append(byte)
            at += 1
            continue
        start = at
        while at < end and 48 <= data[at] <= 57:
            at += 1
        run = data[start:at]
        if byte != 48:
            key += b"1" + len(run).to_bytes(4, "big") + run
        elif run.strip(b"0"):
            key += run
        else:
            key += run + b":"
    return bytes(key)
