"""Running one claimed task: its environment, its directory, its handler, and what came of it."""

from __future__ import annotations

import os

from spoolsim.errors import PacketError
from spoolsim.spool.packet import decode
from spoolsim.work import outcome as outcomes
from spoolsim.work.app import print_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from spoolsim.spool.claim import Claim
    from spoolsim.work.outcome import Outcome


def environment(claim: Claim) -> dict[str | bytes, bytes]:
    """What the handler is called with: every variable as bytes, and the str keys that uWSGI adds.

    Raises PacketError.
    """
    found: dict[str | bytes, bytes] = {"spooler_task_name": claim.name.encode("utf-8", "surrogateescape")}
    _, body = decode(claim.data, found)
    if body:
        found["body"] = body
    return found


def call(handler: Any, env: dict[str | bytes, bytes]) -> Outcome:
    """Call the handler; what it raised has been printed without our own frames.

    SystemExit is not an outcome and passes through: it ends the worker.
    """
    try:
        result = handler(env)
    except SystemExit:
        raise
    except BaseException as error:
        print_error()
        return outcomes.raised(error)
    return outcomes.returned(result)


def title(handler: Any, env: dict[str | bytes, bytes]) -> str:
    """The function that a task is for, as a person would name it."""
    decorated = env.get(b"ud_spool_func")
    if decorated:
        return os.fsdecode(decorated)
    return getattr(handler, "__qualname__", None) or getattr(handler, "__name__", None) or type(handler).__name__


def broken(claim: Claim) -> str:
    """Why the variables of a claimed file cannot be read; '' when they can."""
    try:
        decode(claim.data)
    except PacketError as error:
        return str(error)
    return ""
