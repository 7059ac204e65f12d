"""What becomes of a task by what its handler did.

    the handler                         the task
    returned -2 (SPOOL_OK)              done, removed
    returned 0 (SPOOL_IGNORE), False    ignored: kept, not counted
    returned any other int              retry: kept, counted
    returned anything else              retry, in silence under uWSGI
    raised                              retry (but SystemExit ends the worker: it is no outcome)
    is missing                          ignored
    the file is broken                  done without running

Pure: what happened is handed in.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

SPOOL_OK = -2
SPOOL_RETRY = -1
SPOOL_IGNORE = 0

DONE, RETRY, IGNORED = "done", "retry", "ignored"
#: how many characters of an exception's text are kept
_LONG = 200


class Outcome:
    """What becomes of a task.

    state: DONE, RETRY or IGNORED. why: for a task that stays, what the handler did, in words; '' when all is well.
    advice: what to return instead. overflow: the int did not fit a C long, which uWSGI prints as an OverflowError.
    counted: it counts towards spooler-max-tasks.
    """

    __slots__ = ("advice", "counted", "overflow", "state", "why")

    def __init__(self, state: str, why: str = "", advice: str = "", *, overflow: bool = False) -> None:
        self.state = state
        self.why = why
        self.advice = advice
        self.overflow = overflow
        self.counted = state != IGNORED

    def __repr__(self) -> str:
        return f"Outcome({self.state!r}, {self.why!r})"


#: what nearly all tasks come to
FINISHED = Outcome(DONE)
_ASKED = Outcome(RETRY)
_IGNORE = Outcome(IGNORED, "returned SPOOL_IGNORE (0)", "return uwsgi.SPOOL_OK (-2) when the task is done")
_MEANT = "return uwsgi.SPOOL_OK (-2) when done, SPOOL_RETRY (-1) to retry"

MISSING = Outcome(
    IGNORED,
    "has no handler: uwsgi.spooler was never set in this process",
    "set it in a module that the spooler imports (import, shared-import or spooler-import)",
)

#: the variables cannot be read: it counts as a task that is done
BROKEN = Outcome(DONE, "is broken")


def returned(value: object) -> Outcome:
    """The outcome of a handler that returned `value`."""
    if type(value) is int:
        if value == SPOOL_OK:
            return FINISHED
        if value == SPOOL_RETRY:
            return _ASKED
        if value == SPOOL_IGNORE:
            return _IGNORE
    if not issubclass(type(value), int):  # isinstance() would believe a proxy that calls itself one (its __class__)
        return Outcome(RETRY, f"returned {show(value)} instead of an int", _MEANT)
    number = int.__index__(value)  # type: ignore[arg-type]  # it is an int: the number itself, whatever operators a subclass has
    if not -(2**63) <= number < 2**63:
        return Outcome(RETRY, f"returned {show(value)}, too big for a C long", _MEANT, overflow=True)
    code = (number + 2**31) % 2**32 - 2**31
    if code == SPOOL_OK:
        return FINISHED
    if code == SPOOL_IGNORE:
        return Outcome(IGNORED, f"returned {show(value)}, which means SPOOL_IGNORE", _MEANT)
    if code == SPOOL_RETRY:
        return _ASKED
    shown = f"{show(value)} (is it True?)" if type(value) is int and value == 1 else show(value)
    return Outcome(RETRY, f"returned {shown}", _MEANT)


def raised(error: BaseException, cause: str = "", advice: str = "") -> Outcome:
    """The outcome of a handler that raised `error`.

    cause: what is behind the exception, where that is known; advice: what to do about it.
    """
    text = _text(str, error).partition("\n")[0][:_LONG]
    name = class_name(error)
    why = f"raised {name}: {text}" if text else f"raised {name}"
    return Outcome(
        RETRY, f"{why} ({cause})" if cause else why, advice or "handle the exception, or let the task be retried"
    )


def show(value: object) -> str:
    """An object in few words, whatever its own methods do."""
    text = _text(repr, value) or f"<{class_name(value)}>"
    return text if len(text) <= 60 else f"{text[:57]}..."


def _text(make: Callable[[Any], str], value: object) -> str:
    """What `str` or `repr` makes of an object; '' where its own methods fail, or raise whatever they like."""
    try:
        return str.__getitem__(make(value), slice(None))  # a plain str, where they gave one of a class of their own
    except BaseException:
        return ""


def class_name(value: object) -> str:
    """The name of an object's class, which the class itself cannot change."""
    return str(_NAME(type(value)))


_NAME = type.__dict__["__name__"].__get__


def exited(code: object) -> Outcome:
    """The outcome where a handler called sys.exit and the process must not end (inline, tests)."""
    return Outcome(
        RETRY,
        f"called sys.exit({'' if code is None else show(code)}), which ends a spooler process; it is restarted at once",
        "return from the handler instead",
    )
