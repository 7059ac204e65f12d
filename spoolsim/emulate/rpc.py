"""uwsgi.register_rpc(), rpc(), call(), rpc_list(): functions called by name, in this process.

What fails in a function (an exception, an unknown name, a node that does not answer) is None; arguments and names that
are no bytes are uWSGI's ValueError.
"""

from __future__ import annotations

from spoolsim.emulate import stand_ins
from spoolsim.emulate.arguments import text
from spoolsim.work import app as apps
from spoolsim.work import installed, program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

UNABLE = "unable to call rpc function"


class Functions(apps.Part):
    """The functions that were registered, by name."""

    def __init__(self, app: apps.App) -> None:
        super().__init__(app)
        self.by_name: dict[bytes, Callable[..., Any]] = {}


def _functions() -> dict[bytes, Callable[..., Any]]:
    return program.in_this_process().part(Functions).by_name


def register_rpc(name: str, function: Callable[..., Any], argc: int = 0, /) -> bool:
    """Make a function callable by name. Raises ValueError in a spooler, as uWSGI does."""
    key = text("register_rpc", name).encode("utf-8")
    app = program.in_this_process()
    if app.role == apps.SPOOLER:
        raise ValueError("unable to register rpc function")
    if app.role == apps.MASTER:
        app.log.line(f'registered shared/inherited RPC function "{name}"')
    elif app.role == apps.WORKER:
        app.log.line(f'registered RPC function "{name}" on worker {app.worker_id}')
    app.part(Functions).by_name[key] = function
    return True


def rpc_list() -> tuple[bytes, ...]:
    """The names, in the order of their registration."""
    return tuple(_functions())


def rpc(*arguments: Any) -> bytes | None:
    """rpc(node, name, *arguments): what the function of that name returns; node is '', b'' or None: this process."""
    if len(arguments) < 2 or not all(isinstance(argument, bytes) for argument in arguments[1:]):
        raise ValueError(UNABLE)
    node, name, *rest = arguments
    if node not in ("", b"", None):
        stand_ins.refuse("rpc", f"a server at {node!r}; spoolsim calls no other node")
        return None
    return _call(name, rest)


def call(*arguments: Any) -> bytes | None:
    """call(name, *arguments): as rpc() on this process."""
    if not arguments or not all(isinstance(argument, bytes) for argument in arguments):
        raise ValueError(UNABLE)
    return _call(arguments[0], arguments[1:])


def _call(name: bytes, arguments: Any) -> bytes | None:
    function = _functions().get(name)
    if function is None:
        stand_ins.say_once("rpc", f"no function {name!r} is registered in this process: None, as in uWSGI")
        return None
    try:
        result = function(*arguments)
    except Exception:
        installed.print_error()
        return None
    return result if isinstance(result, bytes) and result else None
