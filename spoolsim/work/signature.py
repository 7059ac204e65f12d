"""How the C functions of uWSGI's module take their arguments: number, kinds, and CPython's own sentences for errors."""

from __future__ import annotations

import operator

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, ParamSpec, TypeVar

    P = ParamSpec("P")
    R = TypeVar("R")

_INT = 1 << 31
#: stands for the function's own name
_OWN = "own name"


def takes(kinds: str, name: str | None = _OWN, *, optional: int = 0) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorates a function that takes just positional arguments of these kinds, the last `optional` of them not always.

    kinds: a letter each: i an int of 32 bits, s text, O any object.
    name: as errors call the function; by default its own without leading underscores; None for "function"; some C
        functions have an empty one.
    The decorated function raises TypeError, ValueError or OverflowError as CPython's argument parser does.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        untyped: Callable[..., R] = function
        called = function.__name__.lstrip("_") if name == _OWN else name
        prefix = "function" if called is None else f"{called}()"

        def call(*arguments: Any) -> R:
            if not len(kinds) - optional <= len(arguments) <= len(kinds):
                raise TypeError(_count(prefix, len(kinds), optional, len(arguments)))
            return untyped(*(_TAKE[kinds[n]](value, prefix, n + 1) for n, value in enumerate(arguments)))

        call.__name__ = call.__qualname__ = function.__name__.lstrip("_")
        call.__doc__ = function.__doc__
        call.__wrapped__ = function  # type: ignore[attr-defined]  # help() shows its parameters
        return call  # type: ignore[return-value]  # it looks like the function, and takes what C code would

    return decorate


def _count(prefix: str, most: int, optional: int, given: int) -> str:
    if not optional:
        word, number = "exactly", most
    else:
        word, number = ("at least", most - optional) if given < most else ("at most", most)
    return f"{prefix} takes {word} {number} argument{'' if number == 1 else 's'} ({given} given)"


def _int(value: Any, prefix: str, number: int) -> int:
    found = operator.index(value)
    if found >= _INT:
        raise OverflowError("signed integer is greater than maximum")
    if found < -_INT:
        raise OverflowError("signed integer is less than minimum")
    return found


def _text(value: Any, prefix: str, number: int) -> str:
    if not isinstance(value, str):
        what = "None" if value is None else type(value).__name__
        raise TypeError(f"{prefix} argument {number} must be str, not {what}")
    if "\0" in value:
        raise ValueError("embedded null character")
    return value


def _object(value: Any, prefix: str, number: int) -> Any:
    return value


_TAKE: dict[str, Callable[[Any, str, int], Any]] = {"i": _int, "s": _text, "O": _object}
