"""Running one claimed task: its environment, its directory, its handler, and what came of it."""

from __future__ import annotations

import os
from collections import defaultdict
from types import FunctionType, MethodType

from spoolsim.errors import PacketError
from spoolsim.spool.packet import decode
from spoolsim.work import diagnosis, intact
from spoolsim.work import outcome as outcomes
from spoolsim.work.app import OURS
from spoolsim.work.installed import print_error
from spoolsim.work.outcome import FINISHED, SPOOL_OK, returned

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from spoolsim.spool.claim import Claim
    from spoolsim.work.outcome import Outcome


class Ended(Exception):
    """This worker's process must end now, with this exit status."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


def read(claim: Claim, env: dict[str | bytes, bytes]) -> str:
    """Put into `env` what the handler is called with: every variable as bytes, and the str keys that uWSGI adds.

    Returns why the task cannot be decoded; '' when it can.
    """
    env["spooler_task_name"] = claim.name.encode("utf-8", "surrogateescape")
    try:
        _, body = decode(claim.data, env)
    except PacketError as error:
        return str(error)
    if body:
        env["body"] = body
    return ""


class _Late:
    """What was raised when a handler had returned already: by a handler of a signal, or set by a thread."""

    __slots__ = ("error",)

    def __init__(self) -> None:
        self.error: BaseException | None = None


#: the last one, until it is told of
late = _Late()
#: tries to see what a handler has returned while exceptions strike
_STRIKES = 200
#: the class of what a handler of a signal has raised may have anything under this name
_traceback = BaseException.__dict__["__traceback__"].__get__
#: a task before may have broken the builtins: this one is called all the same
_callable, _type = callable, type
#: what a handler has returned before it has
_NOTHING: Any = object()


#: a dictionary whose missing value is what a call gives
_Called = defaultdict[None, Any] if TYPE_CHECKING else defaultdict


def call(handler: Any, env: dict[str | bytes, bytes]) -> Outcome:
    """Call the handler; what it raised has been printed without our own frames.

    SystemExit is not an outcome and passes through: it ends the worker. What is raised once the handler has returned
    changes nothing for its task: it is kept in `late`. One that strikes again and again ends the worker.
    """
    result = _NOTHING
    strikes = 0
    while True:
        try:
            if result is _NOTHING:
                # Python runs handlers of signals at the beginning of a function and at the end of a call of C, where
                # the result would be lost; but at no end of a function, and nowhere in a subscript
                if _type(handler) is FunctionType or not _callable(handler):
                    result = handler(env)
                else:
                    result = _Called(MethodType(handler, env))[None]
            return FINISHED if result is SPOOL_OK else returned(result)
        except SystemExit as error:
            if result is _NOTHING:
                raise
            late.error = error
        except BaseException as error:
            intact.kept.mend()
            if result is _NOTHING:
                cause, advice = diagnosis.of(error, handler, env)  # before our own frames are taken off its traceback
                print_error(_about(handler, env))
                return outcomes.raised(error, cause, advice)
            strikes += 1
            if strikes > _STRIKES:
                raise SystemExit(1) from error
            late.error = error


def is_end(error: BaseException) -> bool:
    """Whether it is our own order to end the process."""
    return type(error) is Ended


def is_ours(error: BaseException) -> bool:
    """Whether it was raised in our own code, and not by the app's handler of a signal that came amid it."""
    trace = _traceback(error)
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is None or trace.tb_frame.f_code.co_filename.startswith(OURS)


def _about(handler: Any, env: dict[str | bytes, bytes]) -> str:
    try:
        return f"task {os.fsdecode(env['spooler_task_name'])} (function {title(handler, env)})"
    except Exception:  # the handler has put something else into its dictionary
        return "a task"


def title(handler: Any, env: dict[str | bytes, bytes]) -> str:
    """The function that a task is for, as a person would name it.

    The environment is the handler's to change: there may be anything in it by now.
    """
    try:
        decorated: object = env.get(b"ud_spool_func")
        if type(decorated) is bytes and decorated:
            return os.fsdecode(decorated)
        name = getattr(handler, "__qualname__", None) or getattr(handler, "__name__", None)
        if type(name) is str and name:
            return name
    except Exception:
        pass
    return outcomes.class_name(handler)


def broken(claim: Claim) -> str:
    """Why the variables of a claimed file cannot be read; '' when they can."""
    try:
        decode(claim.data)
    except PacketError as error:
        return str(error)
    return ""
