"""What a task calls: recognised for each library, pickles never loaded, everything shown bounded and printable."""

from __future__ import annotations

import datetime
import os
import pickle
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spoolsim import printable
from spoolsim.tasks import pickles
from spoolsim.tasks.describe import BODY, call_of, value_of


def arguments(*args: object, **kwargs: object) -> dict[bytes, bytes]:
    return {b"args": pickle.dumps(args), b"kwargs": pickle.dumps(kwargs)}


def test_one_thing_is_counted_in_the_singular() -> None:
    """With its own plural where an s is not enough."""
    said = [printable.counted(number, "process", "processes") for number in (0, 1, 2)]
    assert said == ["0 processes", "1 process", "2 processes"]
    assert call_of({b"ud_spool_func": b"f"}, b"x").line() == "f(body=<1 byte>)"
    assert call_of({b"ud_spool_func": b"f"}, b"xx").line() == "f(body=<2 bytes>)"


def test_uwsgidecorators() -> None:
    """The function by name, the variables as keywords, without those that steer; the body by its size."""
    task = {b"ud_spool_func": b"mail", b"ud_spool_ret": b"-2", b"to": b"xeno", b"at": b"1", b"priority": b"3"}
    assert call_of(task).line() == "mail(to='xeno')"
    assert call_of(task, b"12345").line() == "mail(to='xeno', body=<5 bytes>)"


def test_uwsgidecorators_with_pass_arguments() -> None:
    """The pickled arguments are shown as they were passed."""
    task = {b"ud_spool_func": b"mail", **arguments("xeno", 3, None, times=2.5, tags=["a", ("b",)], raw=b"\0")}
    expected = r"mail('xeno', 3, None, times=2.5, tags=['a', ('b',)], raw=b'\x00')"
    assert call_of(task).line(200) == expected


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_protocol_is_read(protocol: int) -> None:
    """What pickle writes in any protocol reads as the literal that it was."""
    value = {"a": [1, -2, 2**40, True, None, 1.5], "b": (), "c": ("x",), "d": {"k": "v"}, "e": "é\n", "f": [[], {}]}
    shown = pickles.text_of(pickles.read(pickle.dumps(value, protocol)))
    assert eval(shown) == value


def test_uwsgi_tasks() -> None:
    """uwsgi-tasks: function_name is a dotted path; big arguments are in the body."""
    setup = {b"function_name": b"app.jobs.mail", b"setup": pickle.dumps({"working_dir": "/"})}
    assert call_of({**setup, **arguments("ann", times=2)}).line() == "app.jobs.mail('ann', times=2)"
    body = pickle.dumps({"args": ("x" * 100,), "kwargs": {}})
    assert call_of({**setup, **arguments()}, body).line(80) == f"app.jobs.mail('{'x' * 40}'...)"
    big = pickle.dumps({"args": ("x" * 100_000,), "kwargs": {}})
    assert call_of({**setup, **arguments()}, big[:BODY], len(big)).line() == "app.jobs.mail(...)"


def test_uwsgiconf() -> None:
    """uwsgiconf: function and arguments are in the pickled body."""
    payload = {"spooler": None, "priority": None, "postpone": None, "func": "run_me", "arg": ("a",), "kwg": {"b": 1}}
    call = call_of({b"msg": b"ucfg_fcall"}, pickle.dumps({"payload": payload}))
    assert (call.kind, call.line()) == ("uwsgiconf", "run_me('a', b=1)")


def test_a_plain_handler_shows_its_variables() -> None:
    """Whatever names no function goes to uwsgi.spooler; values are text where they are UTF-8."""
    call = call_of({b"user": b"42", b"raw": b"\xff\x00", b"name": "é".encode()}, b"", 2**33)
    assert call.function == ""
    assert dict(call.kwargs) == {"user": "'42'", "raw": r"b'\xff\x00'", "name": "'é'", "body": "<8589934592 bytes>"}
    assert len(call.line()) == 60


def test_the_line_is_bounded() -> None:
    """However much there is, the line has at most as many characters as it may."""
    call = call_of({b"ud_spool_func": b"f" * 5000, **{b"k%d" % n: b"v" * 1000 for n in range(50)}})
    assert len(call.line(40)) == 40
    assert call.line(40).endswith("...)")


class Bomb:
    """Loading this would make a directory."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, ("loaded-by-a-pickle",)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_is_never_loaded(protocol: int, tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """What only loading could make is shown by its name, and nothing of it is called."""
    monkeypatch.chdir(str(tmp_path))
    data = pickle.dumps((Bomb(), datetime.date(2026, 1, 2)), protocol)
    call = call_of({b"ud_spool_func": b"f", b"args": data, b"kwargs": pickle.dumps({})})
    assert call.line(100).replace("os.mkdir", "posix.mkdir") == "f(posix.mkdir(...), datetime.date(...))"
    assert os.listdir(".") == []


def test_an_object_that_holds_itself_a_billion_times_is_cheap() -> None:
    """Nested references are cut by depth and number, and no key is hashed."""
    value: object = "lol"
    for _ in range(64):
        value = [value] * 10
    key: object = ()
    for _ in range(64):
        key = (key, key)
    assert len(pickles.text_of(pickles.read(pickle.dumps(value)))) < 5000
    dictionary = b"\x80\x04}" + pickle.dumps(key)[2:-1].replace(b"\x95", b"\x95", 1) + b"K\x01s."
    try:
        pickles.text_of(pickles.read(dictionary))
    except pickles.Unreadable:
        pytest.fail("the dictionary was to be read")
    itself: list[object] = []
    itself.append(itself)
    assert pickles.text_of(pickles.read(pickle.dumps(itself))) == "[[[[...]]]]"


@pytest.mark.parametrize("data", [b"", b".", b"no pickle", b"\x80\x04", b"(((", b"u.", b"\x80\x04\x8c\xff", b"h\x09."])
def test_what_is_no_pickle_is_shown_as_not_known(data: bytes) -> None:
    """Broken arguments are three dots, and no error."""
    call = call_of({b"ud_spool_func": b"f", b"args": data, b"kwargs": b""})
    assert call.line() == "f(..., **...)"


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """Nothing but Unreadable comes out of the reader, and its text is bounded and printable."""
    try:
        value = pickles.read(data)
    except pickles.Unreadable:
        return
    assert pickles.text_of(value).isprintable()


def test_a_pickle_of_too_many_steps_is_refused() -> None:
    """A long one is left alone."""
    with pytest.raises(pickles.Unreadable, match="20000"):
        pickles.read(pickle.dumps(list(range(30_000))))


HOSTILE = "\x1b[31m\n\r\x07\u202e\u2066\u200f\x9b\ud800"


def test_hostile_text_is_escaped_everywhere() -> None:
    """Escape sequences, line ends and right-to-left marks in names and values are shown as escapes."""
    raw = HOSTILE.encode("utf-8", "surrogatepass")
    task = {b"ud_spool_func": raw, b"key" + raw: raw, b"text": HOSTILE[:-1].encode()}
    assert call_of(task).line(1000).isprintable()
    assert call_of({b"ud_spool_func": b"f", **arguments(HOSTILE[:-1], **{HOSTILE[:-1]: 1})}).line(1000).isprintable()
    opaque = b"c" + HOSTILE[0:4].encode() + b"\nname\n."
    assert pickles.text_of(pickles.read(opaque)).isprintable()
    assert printable.value(HOSTILE) == r"\x1b[31m\x0a\x0d\x07\u202e\u2066\u200f\x9b\ud800"


def test_a_value_is_cut_between_characters() -> None:
    """The cut of a long text leaves no half character, and bytes stay bytes."""
    assert value_of("é".encode() * 30, 41) == repr("é" * 20) + "..."
    assert value_of(b"\xff" * 50, 10) == repr(b"\xff" * 10) + "..."
    assert value_of(b"ok") == "'ok'"
