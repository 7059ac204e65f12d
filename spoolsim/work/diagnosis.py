"""Why a handler failed, in words that help: the cause behind the exception, and what to do about it.

The exception of a task often does not say what is wrong: KeyError: 'send' means that the spooler has not imported the
module of send(). Read only after a handler has raised, never on the way of a task that is done.
"""

from __future__ import annotations

import os

from spoolsim.work import installed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

#: how many names of functions a sentence lists
_LISTED = 5

#: what a decorator writes into its tasks as ud_spool_ret; @spoolraw leaves it to the function's result
_OUTCOMES = {"spool": -2, "spoolforever": -1}

RETURNS = "return uwsgi.SPOOL_OK (-2) when done, uwsgi.SPOOL_RETRY (-1) to retry"


def of(error: BaseException, handler: Any, env: dict[str | bytes, bytes], directory: str = "") -> tuple[str, str]:
    """Return (cause, advice) for what a handler raised; ("", "") when the exception says it all.

    env: what the handler was called with. directory: the task's own, where the working directory is another one.
    """
    try:
        return _of(error, handler, env, directory or _here())
    except BaseException:
        return "", ""  # an exception whose own methods raise


def _of(error: BaseException, handler: Any, env: dict[str | bytes, bytes], directory: str) -> tuple[str, str]:
    if type(error).__name__ == "BdbQuit":
        return "a debugger started in a process without a terminal", "debug it with `spoolsim run --inline`"
    if isinstance(error, FileNotFoundError) and error.filename is not None:
        return _relative(os.fsdecode(error.filename))
    if isinstance(error, ModuleNotFoundError) and error.name:
        return _late_import(error.name, directory)
    functions = getattr(handler, "__globals__", {}).get("spooler_functions")
    if not isinstance(functions, dict) or getattr(handler, "__name__", "") != "manage_spool_request":
        return "", ""  # it is not the handler of uwsgidecorators
    if isinstance(error, KeyError) and _raised_in(handler, error.__traceback__):
        return _unknown_function(functions, env)
    if isinstance(error, TypeError | ValueError) and _raised_in(handler, error.__traceback__):
        return _bad_result(error, env, functions)
    return "", ""


def _raised_in(handler: Any, trace: TracebackType | None) -> bool:
    """Whether the exception comes from the handler's own code, not from a function that it called."""
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_code is handler.__code__


def closest(name: str, known: list[str]) -> str:
    """Return the known name that is most like `name`; '' when none is."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(name, known, n=1, cutoff=0.6)), "")


def listed(known: list[str]) -> str:
    """Return the first names of a list, as a sentence has them."""
    shown = ", ".join(known[:_LISTED])
    return f"{shown}, ..." if len(known) > _LISTED else shown


def _unknown_function(functions: dict[str, Any], env: dict[str | bytes, bytes]) -> tuple[str, str]:
    known = sorted(str(name) for name in functions)
    function = env.get(b"ud_spool_func")
    if function is None:
        cause = (
            "the task names no function, as a plain uwsgi.spool() writes it, but the handler is that of uwsgidecorators"
        )
        functions_ = f" ({listed(known)})" if known else ""
        return cause, (
            f"enqueue it by calling a decorated function{functions_}, "
            "or set uwsgi.spooler to your own handler after uwsgidecorators is imported"
        )
    name = function.decode("utf-8", "replace")
    near = closest(name, known)
    there = f"it knows {listed(known)}" if known else "it knows no function at all"
    hint = f"did you mean {near}? Else import" if near else "import"
    return (
        f"the spooler has not imported a decorated function {name}(); {there}",
        f"{hint} the module of {name}() in the spooler: add import = MODULE, or spooler-import = MODULE",
    )


def _bad_result(error: BaseException, env: dict[str | bytes, bytes], functions: dict[str, Any]) -> tuple[str, str]:
    """int(result) of the decorators' handler failed."""
    text = str(error)
    value = text.rpartition(": ")[2] if isinstance(error, ValueError) else "None" if "'NoneType'" in text else ""
    if b"ud_spool_ret" in env:
        return f"the task's variable ud_spool_ret is {env[b'ud_spool_ret']!r}, not an int", "leave ud_spool_ret out"
    name = env.get(b"ud_spool_func", b"").decode("utf-8", "replace")
    returned = value or "something that is not an int"
    decorator = _decorator(functions.get(name))
    if decorator in _OUTCOMES:
        cause = f"{name}() is decorated with @{decorator} and returned {returned}, and the task has no variable"
        advice = f"enqueue it by calling {name}() or with `spoolsim enqueue --function {name}`; by hand, put"
        by_hand = f"ud_spool_ret={_OUTCOMES[decorator]} beside ud_spool_func={name}"
        return f"{cause} ud_spool_ret, which a call of the function writes", f"{advice} {by_hand}"
    return (
        f"{name}() is decorated with @spoolraw and returned {returned}",
        f"{RETURNS}; or decorate it with @spool, whose tasks are done when the function returns",
    )


def _decorator(function: Any) -> str:
    """Return what a function is decorated with, spool, spoolraw or spoolforever; '' where that is not known."""
    # the decorators, uWSGI's own too, set the attribute `spool` to the call of their object
    return type(getattr(getattr(function, "spool", None), "__self__", None)).__name__.removeprefix("_")


def _relative(path: str) -> tuple[str, str]:
    if os.path.isabs(path) or not path:
        return "", ""
    return (
        "the path is relative, and the working directory of a task is its spool directory",
        "use an absolute path, such as os.path.join(os.path.dirname(__file__), ...), or set spooler-chdir",
    )


def _late_import(name: str, directory: str) -> tuple[str, str]:
    """An import within a task failed; uWSGI would have found a file of that name in the spool directory."""
    app = installed.current
    top = name.partition(".")[0]
    there = os.path.join(directory, top)
    if app is not None and (os.path.isfile(f"{there}.py") or os.path.isfile(os.path.join(there, "__init__.py"))):
        app.note("late-import", f"import {name}", directory)
    return "", ""


def _here() -> str:
    try:
        return os.getcwd()
    except OSError:
        return ""
