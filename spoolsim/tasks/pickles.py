"""Reading the simple literals of a pickle without loading it: nothing that it names is imported or called.

`pickletools` takes the pickle apart, and a small stack machine puts numbers, texts, bytes, lists, tuples,
sets and dictionaries together. Everything else becomes an `Opaque` that carries a name. Bounded in steps; nothing
is hashed, and `text_of` is bounded too, as a pickle may hold an object that holds itself a billion times.
Pure: bytes in, values out.
"""

from __future__ import annotations

from spoolsim import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

#: instructions that are followed at most
STEPS = 20_000
#: how deep, how many members, and how many characters of a text are shown
_LEVEL, _MEMBERS, _LONG = 3, 6, 40


class Unreadable(ValueError):
    """The bytes are no pickle, or not one that can be followed."""


class Opaque:
    """Something that only loading could make; shown as its name, such as `datetime.date(...)`."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


class Pairs(list["tuple[Any, Any]"]):
    """A dictionary as a list of its pairs, so that no key need be hashed; later pairs win."""

    def get(self, key: str) -> Any:
        """The value of a text key, or None."""
        return next((value for name, value in reversed(self) if isinstance(name, str) and name == key), None)


class Members(list["Any"]):
    """A set, or a frozenset."""


_MARK = object()


def read(data: bytes) -> Any:
    """What a pickle would load to, as far as it is made of simple literals. Raises Unreadable."""
    from pickletools import genops

    machine = _Machine()
    try:
        for count, (code, argument, _) in enumerate(genops(data)):
            if code.name == "STOP":
                return machine.stack.pop()
            if count >= STEPS:
                break
            machine.step(code.name, argument)
    except Unreadable:
        raise
    except Exception as error:  # whatever broken bytes make of the parser
        raise Unreadable(str(error) or type(error).__name__) from None
    raise Unreadable(f"more than {STEPS} instructions")


class _Machine:
    """The stack and the memo of one pickle."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        """Follow one instruction."""
        stack = self.stack
        if name in _LITERALS:
            stack.append(argument)
        elif name in _MAKE:
            stack.append(_MAKE[name]())
        elif name in _SKIPPED:
            pass
        elif name in _PUT or name == "MEMOIZE":
            self.memo[len(self.memo) if name == "MEMOIZE" else argument] = stack[-1]
        elif name in _GET:
            stack.append(self.memo[argument])
        elif name in _TUPLES:
            count = _TUPLES[name]
            made = tuple(stack[-count:])
            del stack[-count:]
            stack.append(made)
        elif name in _FROM_MARK:
            stack.append(_FROM_MARK[name](self._to_mark()))
        elif name in _ADDING:
            self._extend(self._members(name))
        elif name in _OBJECTS:
            self._object(name, argument)
        else:
            self._shuffle(name)

    def _members(self, name: str) -> list[Any]:
        """What an instruction takes from the stack to put it into a list, a set or a dictionary."""
        stack = self.stack
        if name == "APPEND":
            return [stack.pop()]
        if name == "SETITEM":
            value = stack.pop()
            return [(stack.pop(), value)]
        return _paired(self._to_mark()) if name == "SETITEMS" else self._to_mark()

    def _shuffle(self, name: str) -> None:
        """Take from the stack without use, or repeat what is on it. Raises Unreadable for all else."""
        if name == "POP":
            self.stack.pop()
        elif name == "POP_MARK":
            self._to_mark()
        elif name == "DUP":
            self.stack.append(self.stack[-1])
        else:
            raise Unreadable(f"the instruction {name}")

    def _to_mark(self) -> list[Any]:
        at = len(self.stack) - 1
        while self.stack[at] is not _MARK:
            at -= 1
            if at < 0:
                raise Unreadable("no mark")
        found = self.stack[at + 1 :]
        del self.stack[at:]
        return found

    def _extend(self, more: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, list):
            target.extend(more)
        elif not isinstance(target, Opaque):
            raise Unreadable("members of something that has none")

    def _object(self, name: str, argument: Any) -> None:
        stack = self.stack
        if name == "GLOBAL":
            stack.append(Opaque(str(argument).replace(" ", ".")))
        elif name == "STACK_GLOBAL":
            attribute, module = stack.pop(), stack.pop()
            stack.append(Opaque(f"{module}.{attribute}" if isinstance(module, str) else "an object"))
        elif name == "BUILD":
            stack.pop()
        elif name == "OBJ":
            stack.append(_called(self._to_mark()[0]))
        elif name == "INST":
            self._to_mark()
            stack.append(Opaque(f"{str(argument).replace(' ', '.')}(...)"))
        elif name in ("REDUCE", "NEWOBJ", "NEWOBJ_EX"):
            del stack[-2 if name == "NEWOBJ_EX" else -1 :]
            stack.append(_called(stack.pop()))
        elif name == "BINPERSID":
            stack[-1] = Opaque("a persistent object")
        else:
            stack.append(Opaque("an object"))


def _called(what: Any) -> Opaque:
    return Opaque(f"{what.name}(...)" if isinstance(what, Opaque) else "an object")


def _paired(flat: list[Any]) -> list[tuple[Any, Any]]:
    return list(zip(flat[::2], flat[1::2], strict=True))


# fmt: off
_LITERALS = frozenset((
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT", "STRING", "BINSTRING",
    "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES",
    "BINBYTES8", "BYTEARRAY8",
))
# fmt: on
_MAKE: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": Pairs,
    "EMPTY_SET": Members,
    "MARK": lambda: _MARK,
}
_SKIPPED = frozenset(("PROTO", "FRAME", "READONLY_BUFFER"))
_PUT = frozenset(("PUT", "BINPUT", "LONG_BINPUT"))
_GET = frozenset(("GET", "BINGET", "LONG_BINGET"))
_ADDING = frozenset(("APPEND", "APPENDS", "ADDITEMS", "SETITEM", "SETITEMS"))
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_FROM_MARK: dict[str, Callable[[list[Any]], Any]] = {
    "TUPLE": tuple,
    "LIST": list,
    "DICT": lambda flat: Pairs(_paired(flat)),
    "FROZENSET": Members,
}
# fmt: off
_OBJECTS = frozenset((
    "GLOBAL", "STACK_GLOBAL", "REDUCE", "BUILD", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "PERSID", "BINPERSID", "EXT1",
    "EXT2", "EXT4", "NEXT_BUFFER",
))
# fmt: on


def text_of(value: Any, level: int = _LEVEL) -> str:
    """A value in one bounded line of printable characters, as Python would write it; cut where there is `...`."""
    if isinstance(value, Opaque):
        return printable.value(value.name, 2 * _LONG)
    if isinstance(value, Pairs):
        shown = [f"{text_of(k, level - 1)}: {text_of(v, level - 1)}" for k, v in value[:_MEMBERS]] if level else []
        return _enclosed("{", shown, len(value), "}")
    if isinstance(value, Members | list | tuple):
        begin, end = ("{", "}") if isinstance(value, Members) else ("[", "]") if isinstance(value, list) else ("(", ")")
        shown = [text_of(each, level - 1) for each in value[:_MEMBERS]] if level else []
        if isinstance(value, tuple) and len(value) == 1:
            end = ",)"
        return _enclosed(begin, shown, len(value), end)
    if isinstance(value, str | bytes | bytearray):
        return f"{value[:_LONG]!r}..." if len(value) > _LONG else repr(value)
    if isinstance(value, int) and value.bit_length() > 128:
        return f"<an int of {value.bit_length()} bits>"
    return repr(value)


def _enclosed(begin: str, shown: list[str], count: int, end: str) -> str:
    more = ["..."] if len(shown) < count else []
    return begin + ", ".join(shown + more) + end
