"""What a test sees of tasks: one that was spooled, and one run of it."""

from __future__ import annotations

import os

from spoolsim.errors import PacketError
from spoolsim.spool.packet import decode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: a run that did not end: the process was killed in it
KILLED = "killed"
#: its file could not be read, and was moved away
BROKEN = "broken"


class Task:
    """One task.

    path: absolute, of its file. name: the file's name. data: the file's bytes. at: epoch seconds, 0 for now.
    priority: text, "" for none. state: where it was when it was looked at ("waiting", "future", ...); why: in words.
    """

    __slots__ = ("_decoded", "at", "data", "name", "path", "priority", "state", "why")

    def __init__(
        self, path: str, data: bytes, *, at: int = 0, priority: str = "", state: str = "", why: str = ""
    ) -> None:
        self.path = path
        self.name = os.path.basename(path)
        self.data = data
        self.at = at
        self.priority = priority
        self.state = state
        self.why = why
        self._decoded: tuple[dict[bytes, bytes], bytes] | None = None

    def _parts(self) -> tuple[dict[bytes, bytes], bytes]:
        if self._decoded is None:
            try:
                self._decoded = decode(self.data)
            except PacketError:
                self._decoded = {}, b""
        return self._decoded

    @property
    def variables(self) -> dict[bytes, bytes]:
        """The variables as they are in the file; none where it cannot be read."""
        return self._parts()[0]

    @property
    def body(self) -> bytes:
        """The body, b"" without one."""
        return self._parts()[1]

    @property
    def function(self) -> str:
        """The name of the decorated function it is for; "" for a task of a bare handler."""
        return os.fsdecode(self.variables.get(b"ud_spool_func", b""))

    @property
    def arguments(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """(args, kwargs) of a function with pass_arguments; unpickles them."""
        import pickle

        found = self.variables
        if b"args" not in found:
            return (), {}
        return pickle.loads(found[b"args"]), pickle.loads(found.get(b"kwargs", pickle.dumps({})))

    @property
    def exists(self) -> bool:
        """Is its file still in the spool?"""
        return os.path.exists(self.path)

    def _named_arguments(self) -> dict[str, Any]:
        """The arguments of a function with pass_arguments by name; those given by position too, if it is known."""
        import inspect
        import sys

        if b"args" not in self.variables:
            return {}
        args, kwargs = self.arguments
        functions = getattr(sys.modules.get("uwsgidecorators"), "spooler_functions", {})
        try:
            return {**inspect.signature(functions[self.function]).bind(*args, **kwargs).arguments, **kwargs}
        except (KeyError, TypeError, ValueError):
            return dict(kwargs)

    def holds(self, wanted: dict[Any, Any]) -> bool:
        """Does it hold all of these variables? Keys and values as bytes or as text; "body" is the body.

        For a function with pass_arguments its arguments are compared by name, as the values they are.
        """
        found = self.variables
        keywords = self._named_arguments() if wanted else {}
        for key, value in wanted.items():
            if key in ("body", b"body"):
                if self.body != as_bytes(value):
                    return False
            elif key in keywords:
                if keywords[key] != value:
                    return False
            elif as_bytes(key) not in found or found[as_bytes(key)] != as_bytes(value):
                return False
        return True

    def __repr__(self) -> str:
        shown = {
            os.fsdecode(key): _short(value)
            for key, value in self.variables.items()
            if key not in (b"ud_spool_func", b"ud_spool_ret", b"args", b"kwargs")
        }
        if self.body:
            shown["body"] = _short(self.body)
        if b"args" in self.variables:
            try:
                args, kwargs = self.arguments
                inside = ", ".join([*map(repr, args), *(f"{key}={value!r}" for key, value in kwargs.items())])
                return f"{self.function}({inside})"
            except Exception:
                return f"{self.function}(<cannot be unpickled>)"
        inside = ", ".join(f"{key}={value}" for key, value in shown.items())
        return f"{self.function or 'task'}({inside})"


class Ran:
    """One run of a task.

    task: the task. handler: what uwsgi.spooler was.
    state: "done", "retry", "ignored", "broken" for a file that cannot be read, or "killed" when the process died in it.
    why: for a task that is not done, what happened, in words. error: what the handler raised, or None.
    fault: what the test had ordered to happen here, in words; "" for nothing.
    """

    __slots__ = ("error", "fault", "handler", "state", "task", "why")

    def __init__(self, task: Task) -> None:
        self.task = task
        self.handler: object = None
        self.state = ""
        self.why = ""
        self.error: BaseException | None = None
        self.fault = ""

    @property
    def name(self) -> str:
        """The name of the task's file."""
        return self.task.name

    @property
    def function(self) -> str:
        """The name of the decorated function, else of the handler; "" for none."""
        if self.task.function or self.handler is None:
            return self.task.function
        return getattr(self.handler, "__qualname__", "") or type(self.handler).__name__

    def __repr__(self) -> str:
        return f"<{self.task!r}: {self.state}{': ' + self.why if self.why else ''}>"


def as_bytes(value: Any) -> Any:
    """Text as uwsgidecorators encode it; anything else as it is."""
    return value.encode() if isinstance(value, str) else value


def _short(value: bytes) -> str:
    text = value.decode("utf-8", "backslashreplace")
    return repr(text if len(text) <= 40 else f"{text[:37]}...")
