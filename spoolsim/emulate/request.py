"""What belongs to a web request, served here by a web server of the app's own choice."""

from __future__ import annotations

from _thread import _local

from spoolsim.emulate import missing, say
from spoolsim.emulate.arguments import text_or_bytes
from spoolsim.work import app as apps


class _Variables(_local):
    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}


_variables = _Variables()


def set_logvar(key: str | bytes, value: str | bytes, /) -> None:
    """Set a variable of the request's log line; here one of the thread, which uwsgi.get_logvar() gives back."""
    name, content = text_or_bytes(key), text_or_bytes(value)
    if not _outside("set_logvar"):
        _variables.values[name] = content


def get_logvar(key: str | bytes, /) -> bytes | None:
    """A variable set with set_logvar(), or None."""
    name = text_or_bytes(key)
    return None if _outside("get_logvar") else _variables.values.get(name)


def log_this_request() -> None:
    """Log this request though logging is off; here the web server that runs the app writes its own log."""
    say.once("log_this_request", "there is no request log here: the server that runs the app writes its own")


def _outside(name: str) -> bool:
    """Are we where uWSGI has no request, and crashes?"""
    if apps.in_this_process().role in (apps.WORKER, apps.PROGRAM):
        return False
    missing.refuse(name, "a web worker, during a request; outside of one it crashes the process")
    return True
