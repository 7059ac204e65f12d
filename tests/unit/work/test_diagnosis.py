"""The cause behind a handler's exception, and what to do about it."""

from __future__ import annotations

import bdb
from collections.abc import Callable
from typing import Any

import pytest

from spoolsim.work import run
from spoolsim.work.diagnosis import of

#: the handler of uwsgidecorators, as far as a diagnosis can tell
DECORATORS = """
spooler_functions = {}
def manage_spool_request(vars):
    function = spooler_functions[vars[b'ud_spool_func'].decode() if b'ud_spool_func' in vars else vars['ud_spool_func']]
    return int(vars.get(b'ud_spool_ret', function(vars)))
"""


def decorated(**functions: Callable[[Any], Any]) -> Any:
    """The decorators' handler of an app with these functions."""
    names: dict[str, Any] = {}
    exec(DECORATORS, names)
    names["spooler_functions"].update(functions)
    return names["manage_spool_request"]


def failed(handler: Any, env: dict[Any, bytes]) -> str:
    """The sentence about a task that this handler fails."""
    outcome = run.call(handler, env)
    assert outcome.state == "retry"
    return f"{outcome.why}; {outcome.advice}"


def test_a_function_that_is_not_imported() -> None:
    """The known ones, the closest, and how to import it."""
    said = failed(decorated(sendd=len, other=len), {b"ud_spool_func": b"send"})
    assert "has not imported a decorated function send(); it knows other, sendd" in said
    assert "did you mean sendd?" in said
    assert "spooler-import = MODULE" in said


def test_a_plain_task_for_the_decorators_handler() -> None:
    """uwsgi.spool() wrote it: which function shall run, nobody knows."""
    said = failed(decorated(send=len), {b"data": b"x"})
    assert "the task names no function, as a plain uwsgi.spool() writes it" in said
    assert "calling a decorated function (send)" in said


@pytest.mark.parametrize(("value", "shown"), [(None, "returned None"), ("ok", "returned 'ok'"), ([], "not an int")])
def test_spoolraw_that_returns_no_int(value: object, shown: str) -> None:
    """What to return, or that @spool needs nothing returned."""
    said = failed(decorated(raw=lambda env: value), {b"ud_spool_func": b"raw"})
    assert f"raw() is decorated with @spoolraw and {shown}" in said or shown in said
    assert "return uwsgi.SPOOL_OK (-2) when done" in said
    assert "decorate it with @spool" in said


def test_an_error_of_the_function_itself_is_its_own() -> None:
    """A KeyError or a TypeError in the app's code gets no cause of ours."""

    def fails(env: dict[Any, Any]) -> object:
        return env["missing"]

    said = failed(decorated(send=fails), {b"ud_spool_func": b"send"})
    assert said.startswith("raised KeyError: 'missing'; handle the exception")


def test_true_is_asked_about() -> None:
    """int(True) is 1, which means retry."""
    assert failed(decorated(raw=lambda env: True), {b"ud_spool_func": b"raw"}).startswith("returned 1 (is it True?)")


def test_a_relative_path() -> None:
    """The working directory is the spool directory; an absolute path that is missing needs no words."""

    def reads(path: str) -> Callable[[object], object]:
        return lambda env: open(path).read()

    said = failed(reads("no-such-data.txt"), {})
    assert "the path is relative, and the working directory of a task is its spool directory" in said
    assert "spooler-chdir" in said
    assert "relative" not in failed(reads("/no/such/data.txt"), {})


def test_a_debugger_without_a_terminal() -> None:
    """Where a debugger works."""

    def debugs(env: object) -> object:
        raise bdb.BdbQuit

    assert "spoolsim run --inline" in failed(debugs, {})


def test_an_exception_that_cannot_be_looked_at() -> None:
    """It gets no cause, and does no harm."""

    class Hostile(FileNotFoundError):
        @property
        def filename(self) -> str:  # type: ignore[override]  # that is the point
            raise KeyboardInterrupt

    assert of(Hostile(), None, {}) == ("", "")
