"""Arguments as the C functions of uWSGI take them."""

from __future__ import annotations

from spoolsim.spool.enqueue import NOT_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_LONG = 1 << 63


def text_or_bytes(value: str | bytes) -> bytes:
    """Bytes of a text (UTF-8) or of bytes; nothing else, not even a bytearray. Raises TypeError."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode("utf-8")
    if isinstance(value, bytearray):
        raise TypeError("argument must be read-only bytes-like object, not bytearray")
    if isinstance(value, memoryview) and value.readonly:
        return value.tobytes()
    raise TypeError(f"a bytes-like object is required, not '{type(value).__name__}'")


def text(function: str, value: str) -> str:
    """A text. Raises TypeError."""
    if not isinstance(value, str):
        raise TypeError(f"{function}() argument 1 must be str, not {type(value).__name__}")
    return value


def long(value: int) -> int:
    """A whole number of 64 bits. Raises TypeError or OverflowError."""
    import operator

    number = operator.index(value)
    if not -_LONG <= number < _LONG:
        raise OverflowError("Python int too large to convert to C long")
    return number


def wrapped(number: int) -> int:
    """A number as 64 bits hold it."""
    return (number + _LONG) % (2 * _LONG) - _LONG


def quotient(number: int, divisor: int) -> int:
    """C's division: towards zero."""
    found = abs(number) // abs(divisor)
    return wrapped(found if (number < 0) is (divisor < 0) else -found)


def refused_keywords(given: Mapping[str, object]) -> ValueError:
    """The error for keyword arguments of uwsgi.spool(), which cannot work on Python 3: their names are str."""
    shown = ", ".join(
        f"{name.encode()!r}: {value if isinstance(value, bytes) else '...'!r}" for name, value in given.items()
    )
    error = ValueError(NOT_BYTES)
    error.add_note(
        "keyword arguments never work on Python 3, because their names are str and uWSGI takes bytes only; "
        f"pass one dictionary: uwsgi.spool({{{shown}}})"
    )
    return error
