"""Which function a task calls, and with what: `mail(to='xeno')` instead of an 80-character file name.

    written by          recognised by                    function           arguments
    uwsgidecorators     ud_spool_func                    its value          the variables; with pass_arguments the
                                                                            pickles `args` and `kwargs`
    uwsgi-tasks         function_name, setup             its value          the same two pickles, or those of the body
    uwsgiconf           msg = ucfg_fcall                 `func` of the      `arg` and `kwg` of the payload
                                                         pickled body
    anything else       -                                uwsgi.spooler      the variables

Pickles are never loaded (see pickles.py). Pure: bytes in, text out. Everything shown is bounded and printable.
"""

from __future__ import annotations

from spoolsim import printable
from spoolsim.errors import PacketError
from spoolsim.spool.packet import decode
from spoolsim.tasks import pickles

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

#: who wrote a task
DECORATORS, TASKS, CONF, HANDLER, UNREADABLE = "uwsgidecorators", "uwsgi-tasks", "uwsgiconf", "handler", "unreadable"
#: variables that steer, and are no arguments
STEERING = frozenset((b"at", b"priority", b"spooler", b"ud_spool_func", b"ud_spool_ret"))
#: bytes of a body that are looked at for a pickle; more is not needed to show a call
BODY = 65536
#: characters of a call in a line
LINE = 60
#: characters of a variable's value, and of a name
_VALUE, _NAME = 40, 60
#: positional, or named, arguments that are shown
_MOST = 12


class Call:
    """What a task calls.

    kind: one of the words above. function: '' for a plain handler's. args: positional arguments, as text.
    kwargs: (name, text) pairs. All of it printable.
    """

    __slots__ = ("args", "function", "kind", "kwargs")

    def __init__(
        self, kind: str, function: str = "", args: tuple[str, ...] = (), kwargs: tuple[tuple[str, str], ...] = ()
    ) -> None:
        self.kind = kind
        self.function = function
        self.args = args
        self.kwargs = kwargs

    def line(self, limit: int = LINE) -> str:
        """In at most `limit` characters, such as `mail(to='xeno')`."""
        if self.kind == UNREADABLE:
            return "(not readable)"
        inner = ", ".join([*self.args, *(f"{name}={value}" for name, value in self.kwargs)])
        text = f"{self.function or 'spooler'}({inner})"
        return text if len(text) <= limit else f"{text[: max(limit - 4, 1)]}...)"

    def __repr__(self) -> str:
        return f"Call({self.kind!r}, {self.line(200)!r})"


def call_of(variables: Mapping[bytes, bytes], body: bytes = b"", body_size: int | None = None) -> Call:
    """The call of a task with these variables.

    body: its beginning, of up to `BODY` bytes. body_size: bytes of all of it.
    """
    size = len(body) if body_size is None else body_size
    if b"ud_spool_func" in variables:
        function = name_of(variables[b"ud_spool_func"])
        if b"args" in variables:
            return Call(DECORATORS, function, *_pickled(variables.get(b"args"), variables.get(b"kwargs")))
        return Call(DECORATORS, function, (), _variables(variables, size))
    if b"function_name" in variables and b"setup" in variables:
        return _of_uwsgi_tasks(variables, body)
    if variables.get(b"msg") == b"ucfg_fcall" and body:
        payload = _get(_read(body), "payload")
        function = _get(payload, "func")
        if isinstance(function, str):
            args, kwargs = _arguments(_get(payload, "arg"), _get(payload, "kwg"))
            return Call(CONF, printable.value(function, _NAME), args, kwargs)
    return Call(HANDLER, "", (), _variables(variables, size))


def call_in(data: bytes, body: bytes = b"") -> Call:
    """What a task calls. data: its bytes, or those before `body`."""
    try:
        variables, behind = decode(data)
    except PacketError:
        return Call(UNREADABLE)
    body = body or behind
    return call_of(variables, bytes(body[:BODY]), len(body))


def _of_uwsgi_tasks(variables: Mapping[bytes, bytes], body: bytes) -> Call:
    function = name_of(variables[b"function_name"])
    big = _read(body) if body else None
    if isinstance(big, pickles.Pairs):
        args, kwargs = _arguments(big.get("args"), big.get("kwargs"))
    elif body:  # its beginning alone is no pickle
        args, kwargs = ("...",), ()
    else:
        args, kwargs = _pickled(variables.get(b"args"), variables.get(b"kwargs"))
    return Call(TASKS, function, args, kwargs)


def _pickled(args: bytes | None, kwargs: bytes | None) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    return _arguments(() if args is None else _read(args), pickles.Pairs() if kwargs is None else _read(kwargs))


def _read(data: bytes) -> Any:
    try:
        return pickles.read(data)
    except pickles.Unreadable:
        return None


def _get(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, pickles.Pairs) else None


def _arguments(args: Any, kwargs: Any) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    shown = tuple(pickles.text_of(each) for each in args[:_MOST]) if isinstance(args, tuple | list) else ("...",)
    if isinstance(args, tuple | list) and len(args) > _MOST:
        shown += ("...",)
    if not isinstance(kwargs, pickles.Pairs):
        return (*shown, "**..."), ()
    pairs = [(_keyword(key), pickles.text_of(value)) for key, value in kwargs[:_MOST]]
    return shown, tuple(pairs)


def _keyword(key: Any) -> str:
    return printable.value(key, _NAME) if isinstance(key, str) else pickles.text_of(key)


def _variables(variables: Mapping[bytes, bytes], body_size: int) -> tuple[tuple[str, str], ...]:
    pairs = [(name_of(key), value_of(value)) for key, value in variables.items() if key not in STEERING]
    if body_size:
        pairs.append(("body", f"<{printable.counted(body_size, 'byte')}>"))
    return tuple(pairs)


def name_of(data: bytes) -> str:
    """A key, or a function's name: printable text."""
    return printable.value(data.decode("utf-8", "backslashreplace"), _NAME)


def value_of(data: bytes, limit: int = _VALUE) -> str:
    """A value as a Python literal: text where it is UTF-8, else bytes; cut after `limit` of them."""
    head = data[:limit]
    more = "..." if len(data) > limit else ""
    try:
        return f"{head.decode()!r}{more}"
    except UnicodeDecodeError as error:
        if more and error.reason == "unexpected end of data":  # the cut went through a character
            return f"{head[: error.start].decode()!r}{more}"
    return f"{head!r}{more}"
