"""Printing what the app's code raised: in one write, and what was printed before in one line."""

from __future__ import annotations

import io
import os
import sys

from spoolsim.log import Log
from spoolsim.work.outcome import class_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any, Protocol, TextIO

    from spoolsim.work.capture import Capture
    from spoolsim.work.said import Said

    class Host(Protocol):
        """What an App has of what is needed here: its log, and what was said and is kept."""

        log: Log
        capture: Capture | None
        folds: bool
        said: Said
        born: int


#: how the paths of our own source files begin
OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
#: causes and contexts of an exception that are compared with those of another one
_CHAIN = 8
#: what Python itself looks at: a class of the app's may have anything under these names
_trace, _cause, _context, _hides = (
    BaseException.__dict__[f"__{name}__"].__get__ for name in ("traceback", "cause", "context", "suppress_context")
)
#: characters of an error's text that are repeated
_LONG = 200


class _Gathered(io.StringIO):
    """Takes what sys.excepthook writes; to it we look like the stream that the text goes to."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override] # the class has it as a plain attribute that is None
        return getattr(self._stream, "encoding", None) or "utf-8"


def show(app: Host | None, about: str = "") -> None:
    """Print the exception being handled as Python would, through sys.excepthook, less our own frames at its top.

    about: what raised it, for the line that takes the place of a traceback which was printed before.
    """
    kind, error, trace = sys.exc_info()
    if kind is None or error is None:
        return
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith((OURS, "<frozen importlib")):
        trace = trace.tb_next
    BaseException.with_traceback(error, trace)
    if app is not None and app.capture is not None and about:
        app.capture.raised(error, _plainly(error))
    if app is not None and app.folds and not app.said.first("traceback", str(app.born), _signature(error)):
        if app.log.story is None or not about:  # a story of the task says so
            app.log.say(f"{about or 'again'}: {_named(error)}; the traceback is the same as before")
        return
    stream = sys.stderr
    if getattr(stream, "closed", stream is None):
        stream = None
        text = _plainly(error)
    else:
        text = _hooked(kind, error, trace, stream)
    if stream is not None:
        try:
            if stream is not sys.__stderr__:  # the app's own
                stream.write(text)
                text = ""
            stream.flush()
        except Exception:
            pass  # it fails: the log is still there
    if text:
        (Log() if app is None else app.log).traceback(text)


def _hooked(kind: type[BaseException], error: BaseException, trace: TracebackType | None, stream: TextIO) -> str:
    """What sys.excepthook prints; one that fails is followed by Python's own. Raises SystemExit if the hook does."""
    gathered: Any = _Gathered(stream)
    sys.stderr = gathered
    try:
        sys.excepthook(kind, error, trace)
    except SystemExit:
        raise  # it ends the process, as in Python
    except BaseException as failure:
        ours = _trace(failure)
        BaseException.__dict__["__context__"].__set__(failure, None)
        BaseException.with_traceback(failure, ours and ours.tb_next)
        gathered.write(f"Error in sys.excepthook:\n{_plainly(failure)}")
        gathered.write(f"\nOriginal exception was:\n{_plainly(error)}")
    finally:
        if sys.stderr is gathered:
            sys.stderr = stream
    text: str = gathered.getvalue()
    return text


def _plainly(error: BaseException) -> str:
    """The traceback as Python would print it, through nothing that the app has set."""
    try:
        from traceback import format_exception

        return "".join(format_exception(error))
    except BaseException:  # of its own methods, which may also end the process or interrupt; or no file can be opened
        return f"{class_name(error)}\n"


def _signature(error: BaseException) -> str:
    """The same for two exceptions of the same types from the same lines, whatever their texts."""
    parts: list[str] = []
    one: BaseException | None = error
    for _ in range(_CHAIN):
        if one is None:
            break
        parts.append(class_name(one))
        trace = _trace(one)
        while trace is not None:
            parts.append(f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}")
            trace = trace.tb_next
        cause = _cause(one)
        one = cause if cause is not None or _hides(one) else _context(one)
    return "\n".join(parts)


def _named(error: BaseException) -> str:
    try:
        text = str(error).partition("\n")[0][:_LONG]
    except BaseException:
        text = ""  # an error that cannot even say what it is
    name = class_name(error)
    return f"{name}: {text}" if text else name
