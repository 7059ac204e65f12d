"""Running one claimed task: what its handler gets, and what becomes of what it does."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from spoolsim.errors import PacketError
from spoolsim.spool.claim import Claim
from spoolsim.spool.directory import SpoolDir
from spoolsim.spool.packet import decode
from spoolsim.spool.scan import Level
from spoolsim.work import run
from spoolsim.work.outcome import DONE, RETRY
from tests.oracle.packets import packet


def claim(data: bytes, name: str = "uwsgi_spoolfile_on_x") -> Claim:
    return Claim(Level(SpoolDir("/spool"), "/spool/5", -1), name, -1, data, 0.0, 0, False)


def environment(task: Claim) -> dict[str | bytes, bytes]:
    env: dict[str | bytes, bytes] = {}
    assert run.read(task, env) == ""
    return env


def test_the_environment_has_uwsgis_keys_and_types():
    """Variables: bytes to bytes. Name and body: str keys, bytes values; the name is the base name."""
    env = environment(claim(packet({b"k": b"v", b"empty": b""}) + b"B"))
    assert env == {"spooler_task_name": b"uwsgi_spoolfile_on_x", b"k": b"v", b"empty": b"", "body": b"B"}


def test_no_body_is_no_key():
    """Without a body there is no 'body'."""
    assert environment(claim(packet())) == {"spooler_task_name": b"uwsgi_spoolfile_on_x"}


def test_variables_named_like_our_keys_do_not_clash():
    """b'body' and b'spooler_task_name' are beside the str keys; of duplicates the last wins."""
    env = environment(claim(packet([(b"body", b"1"), (b"spooler_task_name", b"2"), (b"k", b"3"), (b"k", b"4")]) + b"B"))
    assert env[b"body"] == b"1"
    assert env["body"] == b"B"
    assert env[b"spooler_task_name"] == b"2"
    assert env["spooler_task_name"] == b"uwsgi_spoolfile_on_x"
    assert env[b"k"] == b"4"


def test_a_name_that_is_not_utf8_is_its_own_bytes():
    """The name comes back as the bytes on the disk."""
    assert environment(claim(packet(), "x\udcff"))["spooler_task_name"] == b"x\xff"


@pytest.mark.parametrize("data", [b"\x11\x01\x00\x00\xff", b"\x11\x02\x00\x00\x00\x00", b"\x11\xff\x00\x00"])
def test_broken_variables_have_a_reason(data: bytes):
    """That of PacketError; and broken() has its words."""
    with pytest.raises(PacketError) as caught:
        decode(data)
    assert run.read(claim(data), {}) == run.broken(claim(data)) == str(caught.value)
    assert run.broken(claim(packet())) == ""


def _raise(error: BaseException) -> Callable[[object], object]:
    def handler(env: object) -> object:
        raise error

    return handler


def test_a_handler_is_called_once_with_the_environment():
    """One positional argument; what it returns is the outcome."""
    seen = []

    def handler(*args: object, **kwargs: object) -> int:
        seen.append((args, kwargs))
        return -2

    env: dict[str | bytes, bytes] = {b"k": b"v"}
    assert run.call(handler, env).state == DONE
    assert seen == [((env,), {})]


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), GeneratorExit()], ids=repr)
def test_what_a_handler_raises_is_printed_from_its_own_frame(error: BaseException, capsys: pytest.CaptureFixture[str]):
    """The traceback on standard error has the handler's frames alone, and the outcome is retry."""
    assert run.call(_raise(error), {}).state == RETRY
    printed = capsys.readouterr().err
    assert printed.count("  File ") == 1
    assert ", in handler" in printed
    assert type(error).__name__ in printed


@pytest.mark.parametrize("handler", [None, 5, "name", object()], ids=["None", "int", "str", "object"])
def test_a_handler_that_cannot_be_called_is_retried(handler: object, capsys: pytest.CaptureFixture[str]):
    """Not callable: the TypeError is printed, the task retried."""
    assert run.call(handler, {}).state == RETRY
    assert "not callable" in capsys.readouterr().err


def test_system_exit_passes_through():
    """sys.exit ends the process: it is not an outcome."""
    with pytest.raises(SystemExit):
        run.call(_raise(SystemExit(3)), {})


def test_the_title_names_the_function():
    """The decorated function's name, else the handler's own, else its type."""

    class Handler:
        def __call__(self, env: object) -> int:
            return -2

    assert run.title(len, {b"ud_spool_func": b"send_mail"}) == "send_mail"
    assert run.title(len, {}) == "len"
    assert run.title(Handler(), {}) == "Handler"
    assert run.title(None, {}) == "NoneType"
