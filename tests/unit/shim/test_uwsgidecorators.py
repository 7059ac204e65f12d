"""Our uwsgidecorators over a fake uwsgi: what a decorated call passes on, and what a task runs."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import spoolsim
from spoolsim.options import SAFER, UWSGI, Policy
from tests.fake_uwsgi import FakeUwsgi, decorators_over

OURS = str(Path(spoolsim.__file__).parent / "shim" / "uwsgidecorators.py")
VALUE_ERROR = "unable to spool job"


class Runtime:
    """What our own uwsgi module offers as `_spoolsim`."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.notes: list[tuple[str, str]] = []

    def note(self, code: str, detail: str) -> None:
        self.notes.append((code, detail))


@pytest.fixture
def uwsgi() -> FakeUwsgi:
    return FakeUwsgi()


@pytest.fixture
def deco(uwsgi: FakeUwsgi) -> Iterator[Any]:
    with decorators_over(uwsgi, OURS) as module:
        yield module


def task(name: str, **fields: bytes) -> dict[Any, Any]:
    """A task as uWSGI hands it over."""
    out: dict[Any, Any] = {key.encode(): value for key, value in fields.items()}
    return out | {b"ud_spool_func": name.encode(), "spooler_task_name": b"uwsgi_spoolfile_on_x"}


def pickled(*args: Any, **kwargs: Any) -> dict[str, bytes]:
    return {"args": pickle.dumps(args), "kwargs": pickle.dumps(kwargs)}


# --- importing ---


def test_importing_sets_the_three_hooks(uwsgi: FakeUwsgi, deco: Any):
    """uwsgi.spooler, uwsgi.post_fork_hook and uwsgi.mule_msg_hook are set by the import alone."""
    assert uwsgi.spooler is deco.manage_spool_request
    assert uwsgi.post_fork_hook is deco.postfork_chain_hook
    assert uwsgi.mule_msg_hook is deco.mule_msg_dispatcher


def test_importing_without_master_fails(uwsgi: FakeUwsgi):
    """Without a master process the import raises uWSGI's sentence and sets nothing."""
    uwsgi.answers["masterpid"] = 0
    sentence = r"^you have to enable the uWSGI master process to use this module$"
    with pytest.raises(Exception, match=sentence), decorators_over(uwsgi, OURS):
        pass
    assert "spooler" not in uwsgi.__dict__


def test_importing_needs_uwsgi_and_little_else():
    """Without a `uwsgi` module the import fails; with one it loads no typing, dataclasses, pickle or threading."""
    code = (
        f"import sys; sys.path.insert(0, {str(Path(OURS).parent)!r}); sys.modules['uwsgi'] = None\n"
        "try: import uwsgidecorators; print('imported')\n"
        "except ImportError: print('refused')\n"
        "class Fake:\n    opt = {}; SPOOL_OK = -2; SPOOL_RETRY = -1\n    masterpid = staticmethod(lambda: 1)\n"
        "sys.modules['uwsgi'] = Fake(); import uwsgidecorators\n"
        "print(sorted({'typing', 'dataclasses', 'pickle', 'threading', 're', 'json'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, timeout=300, check=True)
    assert done.stdout.splitlines() == ["refused", "[]"]


def test_star_import_gives_every_public_name(deco: Any):
    """`from uwsgidecorators import *` gives the decorators, and the modules it has always given beside them."""
    names: dict[str, Any] = {}
    exec("from uwsgidecorators import *", names)
    assert names["uwsgi"] is deco.uwsgi
    assert (names["pickle"], names["sys"], names["Thread"]) == (pickle, sys, threading.Thread)
    wanted = "spool spoolraw spoolforever timer rbtimer mstimer cron filemon signal postfork lock thread harakiri"
    assert [n for n in wanted.split() if names.get(n) is not getattr(deco, n)] == []
    assert "annotations" not in names
    with pytest.raises(AttributeError, match="no attribute 'nosuch'"):
        deco.nosuch


def test_mstimer_exists_where_the_function_does(uwsgi: FakeUwsgi, deco: Any):
    """Under a uWSGI without add_ms_timer (2.0) the name mstimer cannot be imported, as in production."""
    deco.mstimer(250, target="spooler", signum=9)(len)
    assert uwsgi.calls[-1] == ("add_ms_timer", 9, 250)
    uwsgi.absent.add("add_ms_timer")
    with decorators_over(uwsgi, OURS) as without, pytest.raises(AttributeError, match="mstimer"):
        without.mstimer


# --- enqueueing ---


@pytest.mark.parametrize("name", ["spool", "spoolraw", "spoolforever"])
def test_no_spooler_option_no_decorator(uwsgi: FakeUwsgi, deco: Any, name: str):
    """Without a spooler option (an external one does not count) decorating raises, naming the class."""
    uwsgi.opt = {"spooler-external": b"/sp"}
    with pytest.raises(Exception, match=f"^you have to enable the uWSGI spooler to use @_{name} decorator$"):
        getattr(deco, name)(lambda args: None)
    later = getattr(deco, name)(pass_arguments=True)
    with pytest.raises(Exception, match=f"@_{name} decorator$"):
        later(lambda args: None)


@pytest.mark.parametrize(
    ("name", "outcome"),
    [("spool", {b"ud_spool_ret": b"-2"}), ("spoolraw", {}), ("spoolforever", {b"ud_spool_ret": b"-1"})],
)
def test_a_call_enqueues_bytes(uwsgi: FakeUwsgi, deco: Any, name: str, outcome: dict[bytes, bytes]):
    """A call passes the function's name, its outcome and the text of the call, as bytes, to uwsgi.spool."""

    def resize(args: Any) -> None: ...

    decorated = getattr(deco, name)(resize)
    assert type(decorated).__name__ == "_" + name
    assert decorated.f is resize
    assert resize.spool == decorated.__call__
    assert decorated(x="é", at=b"5") == b"/sp/file"
    expected = {b"ud_spool_func": b"resize"} | outcome | {b"x": "é".encode(), b"at": b"5"}
    assert uwsgi.calls == [("spool", expected)]
    assert list(uwsgi.calls[0][1]) == list(expected), "the order in the file is the order of the call"


def test_every_way_to_call_is_the_same(uwsgi: FakeUwsgi, deco: Any):
    """f(...), f.spool(...) and f.f.spool(...) enqueue; keywords win over the dict; more positionals are dropped."""

    @deco.spool
    def work(args: Any) -> None: ...

    given = {"a": "1", "body": "text"}
    work(given, {"dropped": "1"}, a="2")
    work.spool(given, a="2")
    work.f.spool(given, a="2")
    assert [call[1] for call in uwsgi.calls] == [
        {b"ud_spool_func": b"work", b"ud_spool_ret": b"-2", b"a": b"2", b"body": b"text"}
    ] * 3
    assert given == {"a": "1", "body": "text"}


def test_values_that_are_not_text_go_on_as_they_are(uwsgi: FakeUwsgi, deco: Any):
    """An int, None or list is left to uwsgi.spool to refuse."""

    @deco.spool
    def work(args: Any) -> None: ...

    work({1: None}, a=5, b=[b"x"])
    assert uwsgi.calls[0][1].items() >= {1: None, b"a": 5, b"b": [b"x"]}.items()


@pytest.mark.parametrize(
    ("argument", "error"),
    [
        ("x", "ValueError: dictionary update sequence element #0 has length 1; 2 is required"),
        (None, "TypeError: 'NoneType' object is not iterable"),
        ({"a": "\udc80"}, "UnicodeEncodeError: 'utf-8' codec can't encode"),
    ],
)
def test_a_wrong_argument_is_refused_at_the_call(uwsgi: FakeUwsgi, deco: Any, argument: Any, error: str):
    """What is no dict, or no UTF-8, raises what uWSGI raises and enqueues nothing."""

    @deco.spool
    def work(args: Any) -> None: ...

    with pytest.raises(Exception) as e:
        work(argument)
    assert f"{type(e.value).__name__}: {e.value}".startswith(error)
    assert uwsgi.calls == []


def test_pass_arguments_pickles_them_beside_the_fields_of_the_task(uwsgi: FakeUwsgi, deco: Any):
    """spooler, priority, at, body and message_dict are taken out of the keywords; the rest is pickled."""

    @deco.spool(pass_arguments=True)
    def work(*args: Any, **kwargs: Any) -> None: ...

    fields = {"spooler": "/s", "priority": b"3", "at": 5, "body": "b", "message_dict": None}
    work(1, "two", at_all="k", **fields)
    sent = uwsgi.calls[0][1]
    assert pickle.loads(sent.pop(b"args")) == (1, "two")
    assert pickle.loads(sent.pop(b"kwargs")) == {"at_all": "k"}
    assert {k: sent[k] for k in (b"spooler", b"priority", b"at", b"body", b"message_dict")} == {
        b"spooler": b"/s",
        b"priority": b"3",
        b"at": 5,
        b"body": b"b",
        b"message_dict": None,
    }


@pytest.mark.parametrize("runtime", [None, Runtime(UWSGI)], ids=["real uWSGI", "--faithful"])
def test_big_pickles_go_to_be_cut_as_in_uwsgi(uwsgi: FakeUwsgi, runtime: Runtime | None):
    """Over the real uWSGI, and under --faithful, a pickle of 64 KiB and more is passed on without a word."""
    if runtime is not None:
        uwsgi._spoolsim = runtime
    with decorators_over(uwsgi, OURS) as deco:
        deco.spool(pass_arguments=True)(lambda text: None)("x" * 70000)
    assert len(uwsgi.calls[0][1][b"args"]) > 70000
    assert runtime is None or runtime.notes == []


@pytest.mark.parametrize("field", ["args", "kwargs"])
def test_big_pickles_are_refused(uwsgi: FakeUwsgi, field: str):
    """Otherwise such a call raises ValueError, enqueues nothing, and says which function and how many bytes."""
    uwsgi._spoolsim = runtime = Runtime(SAFER)
    with decorators_over(uwsgi, OURS) as deco:
        work = deco.spool(pass_arguments=True)(lambda *args, **kwargs: None)
        smallest = 65536 - len(pickle.dumps(("x" * 60000,) if field == "args" else {"k": "x" * 60000})) + 60000
        with pytest.raises(ValueError, match=VALUE_ERROR) as e:
            work("x" * smallest) if field == "args" else work(k="x" * smallest)
        assert uwsgi.calls == []
        work("x" * (smallest - 1)) if field == "args" else work(k="x" * (smallest - 1))
    assert len(uwsgi.calls[0][1][field.encode()]) == 65535
    assert runtime.notes == [("pickle-cut", f"{field} of <lambda>(): 65536 bytes pickled")]
    assert str(e.value) == VALUE_ERROR
    assert e.value.__notes__ == [
        f"{field} of <lambda>(): 65536 bytes pickled, and at most 65535 fit: hand big data over in a file, by its path"
    ]


# --- running ---


@pytest.mark.parametrize(
    ("name", "returned", "outcome"),
    [
        ("spool", None, -2),
        ("spool", -1, -2),
        ("spoolforever", -2, -1),
        ("spoolraw", -2, -2),
        ("spoolraw", "-2", -2),
        ("spoolraw", b"-1", -1),
        ("spoolraw", True, 1),
        ("spoolraw", 5.7, 5),
    ],
)
def test_the_outcome(uwsgi: FakeUwsgi, deco: Any, name: str, returned: Any, outcome: int):
    """@spool is done and @spoolforever retried whatever f returns; @spoolraw's result is taken as an int."""
    for pass_arguments in (False, True):
        getattr(deco, name)(pass_arguments=pass_arguments)(lambda *args, **kwargs: returned)()
        assert uwsgi.spooler(uwsgi.calls.pop()[1]) == outcome


@pytest.mark.parametrize("returned", [None, "x", [1]])
def test_a_raw_result_that_is_no_int_raises(uwsgi: FakeUwsgi, deco: Any, returned: Any):
    """@spoolraw without a result, or with one int() refuses, raises: uWSGI prints it and retries."""

    @deco.spoolraw
    def work(args: Any) -> Any:
        return returned

    with pytest.raises((TypeError, ValueError), match=r"int\(\)"):
        uwsgi.spooler(task("work"))


def test_the_function_gets_text(uwsgi: FakeUwsgi, deco: Any):
    """Variables, body and task name reach the function as one dict of text, with the two ud_ keys."""
    got: list[Any] = []

    @deco.spool
    def work(args: Any) -> None:
        got.append(args)

    uwsgi.spooler(task("work", a="é".encode(), ud_spool_ret=b"-2") | {"body": b"text"})
    assert got == [
        {
            "a": "é",
            "ud_spool_ret": "-2",
            "ud_spool_func": "work",
            "spooler_task_name": "uwsgi_spoolfile_on_x",
            "body": "text",
        }
    ]


def test_the_function_gets_its_arguments_back(uwsgi: FakeUwsgi, deco: Any):
    """With pickled arguments the function gets these alone, and the variables are not changed for the caller."""
    got: list[Any] = []

    @deco.spool(pass_arguments=True)
    def work(*args: Any, **kwargs: Any) -> None:
        got.append((args, kwargs))

    given = task("work", ud_spool_ret=b"-2", **pickled(1, [b"two"], k=None))
    before = dict(given)
    assert uwsgi.spooler(given) == -2
    assert got == [((1, [b"two"]), {"k": None})]
    assert given == before


def test_the_task_overrides_the_result_even_late(uwsgi: FakeUwsgi, deco: Any):
    """A ud_spool_ret in the task wins over the result, also when the function itself sets or removes it."""

    @deco.spoolraw
    def plain(args: Any) -> int:
        return -1

    @deco.spoolraw
    def change(args: dict[str, str]) -> int:
        args.update(ud_spool_ret="0")
        return -1

    @deco.spool
    def clear(args: dict[str, str]) -> int:
        args.clear()
        return -1

    assert uwsgi.spooler(task("plain", ud_spool_ret=b"-2")) == -2
    assert uwsgi.spooler(task("change")) == 0
    assert uwsgi.spooler(task("clear", ud_spool_ret=b"-2")) == -1


def test_functions_are_found_by_bare_name(uwsgi: FakeUwsgi, deco: Any):
    """The last function of a name runs; an unknown name, or none, is a KeyError."""
    ran = []

    def define(number: int) -> None:
        @deco.spool
        def same(args: Any) -> None:
            ran.append(number)

    define(1)
    define(2)
    uwsgi.spooler(task("same", ud_spool_ret=b"-2"))
    assert ran == [2]
    with pytest.raises(KeyError, match="gone"):
        uwsgi.spooler(task("gone"))
    with pytest.raises(KeyError, match="ud_spool_func"):
        uwsgi.spooler({b"x": b"y"})


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"args": pickle.dumps(())}, KeyError),
        ({"args": pickle.dumps((1, 2))[:-2], "kwargs": pickle.dumps({})}, pickle.UnpicklingError),
        ({"kwargs": pickle.dumps({"k": 1})}, UnicodeDecodeError),
        ({"x": b"\xff"}, UnicodeDecodeError),
    ],
)
def test_what_cannot_be_read_raises_and_runs_nothing(
    uwsgi: FakeUwsgi, deco: Any, fields: dict[str, bytes], error: type[Exception]
):
    """A cut pickle, a pickle alone, bytes that are no text: an error before the function is called."""
    ran = []
    deco.spool(lambda *args, **kwargs: ran.append(args))
    with pytest.raises(error):
        uwsgi.spooler(task("<lambda>", **fields))
    assert ran == []


def test_binary_is_noted(uwsgi: FakeUwsgi):
    """Where a variable is not UTF-8, spoolsim is told which one of which function."""
    uwsgi._spoolsim = runtime = Runtime(SAFER)
    with decorators_over(uwsgi, OURS) as deco:
        deco.spool(lambda args: None)
        with pytest.raises(UnicodeDecodeError):
            uwsgi.spooler(task("f") | {"body": b"\xff"})
    assert runtime.notes == [("not-utf8", "'body' of a task for f")]


# --- signals ---


@pytest.mark.parametrize(
    ("name", "args", "armed"),
    [
        ("timer", (3,), ("add_timer", 2, 3)),
        ("rbtimer", (3,), ("add_rb_timer", 2, 3)),
        ("mstimer", (3,), ("add_ms_timer", 2, 3)),
        ("cron", (0, -2, 31, 12, 7), ("add_cron", 2, 0, -2, 31, 12, 7)),
        ("filemon", ("/path",), ("add_file_monitor", 2, "/path")),
    ],
)
def test_a_handler_takes_the_first_free_signal(
    uwsgi: FakeUwsgi, deco: Any, name: str, args: tuple[Any, ...], armed: tuple[Any, ...]
):
    """The function is registered under the lowest free number for the target, then armed, and stays itself."""
    uwsgi.answers["signal_registered"] = lambda number: True if number < 2 else None

    def handler(number: int) -> None: ...

    assert getattr(deco, name)(*args, target="spooler", iterations=5)(handler) is handler
    assert uwsgi.calls[-2:] == [("register_signal", 2, "spooler", handler), armed]
    uwsgi.calls.clear()
    getattr(deco, name)(*args, signum=77)(handler)
    assert uwsgi.calls[-2:] == [("register_signal", 77, "", handler), (armed[0], 77, *armed[2:])]


def test_signal_registers_its_own_number(uwsgi: FakeUwsgi, deco: Any):
    """@signal(n) registers n, asking for no free number."""
    assert deco.signal(17, target="spooler")(len) is len
    assert uwsgi.calls == [("register_signal", 17, "spooler", len)]


def test_no_signal_left(uwsgi: FakeUwsgi, deco: Any):
    """With all 256 taken a timer cannot be made, even with a number given, as in uWSGI."""
    uwsgi.answers["signal_registered"] = True
    with pytest.raises(Exception, match=r"^No free uwsgi signal available$"):
        deco.timer(1, signum=3)
    assert [call[1] for call in uwsgi.calls] == list(range(256))


# --- when and how a function runs ---


def test_postfork_runs_in_order_and_by_worker(uwsgi: FakeUwsgi, deco: Any):
    """Hooks run in the order of their decoration; @postfork(N) only in worker N, and its name becomes None."""
    ran = []
    first = deco.postfork(lambda: ran.append("first"))
    second = deco.postfork(2)(lambda: ran.append("worker 2"))
    uwsgi.post_fork_hook()
    uwsgi.answers["worker_id"] = 2
    uwsgi.post_fork_hook()
    assert ran == ["first", "first", "worker 2"]
    assert (type(first).__name__, second) == ("postfork", None)


def test_lock_holds_the_lock_except_in_a_spooler(uwsgi: FakeUwsgi, deco: Any):
    """@lock locks, runs and unlocks, an exception included; in a spooler it gives None without running."""
    ran = []

    @deco.lock
    def work(x: int) -> float:
        ran.append(x)
        return 1 / x

    assert work(2) == 0.5
    with pytest.raises(ZeroDivisionError):
        work(0)
    assert [call[0] for call in uwsgi.calls] == ["i_am_the_spooler", "lock", "unlock"] * 2
    uwsgi.answers["i_am_the_spooler"] = True
    uwsgi.calls.clear()
    assert work(3) is None
    assert ([call[0] for call in uwsgi.calls], ran) == (["i_am_the_spooler"], [2, 0])


def test_harakiri_arms_and_disarms(uwsgi: FakeUwsgi, deco: Any):
    """@harakiri sets the deadline, and takes it back unless the function raises, as in uWSGI."""
    assert deco.harakiri(5)(lambda x: x + 1)(1) == 2
    assert uwsgi.calls == [("set_user_harakiri", 5), ("set_user_harakiri", 0)]
    uwsgi.calls.clear()
    with pytest.raises(ZeroDivisionError):
        deco.harakiri(5)(lambda: 1 / 0)()
    assert uwsgi.calls == [("set_user_harakiri", 5)]


def test_thread_starts_a_daemon(deco: Any):
    """@thread runs the function in a daemon thread with the arguments, and gives the function back."""
    seen: list[Any] = []
    ran = threading.Event()

    def work(*args: Any) -> None:
        seen.append((args, threading.current_thread().daemon, threading.current_thread() is threading.main_thread()))
        ran.set()

    assert deco.thread(work)(1, 2) is work
    assert ran.wait(10)
    assert seen == [((1, 2), True, False)]


# --- mules ---


def test_mulefunc_sends_a_call_that_the_dispatcher_runs(uwsgi: FakeUwsgi, deco: Any):
    """The message of @mulefunc, given to the mule's hook, runs the function; other messages are left alone."""
    ran = []

    def work(*args: Any, **kwargs: Any) -> str:
        ran.append((args, kwargs))
        return "done"

    deco.mulefunc("farm")(work)(1, k=2)
    name, message, target = uwsgi.calls[0]
    assert (name, target) == ("mule_msg", "farm")
    assert uwsgi.mule_msg_hook(message) == "done"
    assert ran == [((1,), {"k": 2})]
    assert uwsgi.mule_msg_hook(pickle.dumps({"service": "other"})) is None


def test_without_mules_a_mulefunc_fails_at_the_call(uwsgi: FakeUwsgi, deco: Any):
    """Where uwsgi has no mule_msg, decorating works and the call raises."""
    uwsgi.absent.add("mule_msg")
    work = deco.mulefunc(len)
    with pytest.raises(AttributeError, match="mule_msg"):
        work("x")


def test_mule_and_farm_functions_run_in_their_mule_only(
    uwsgi: FakeUwsgi, deco: Any, capsys: pytest.CaptureFixture[str]
):
    """In a spooler (mule 0) none of them runs; in its mule each does, and what a brain raises ends the mule."""
    ran: list[Any] = []

    messages: list[bytes] = []
    assert deco.mule(1)(lambda: ran.append("mule")) is None
    deco.mulemsg(2)(ran.append)
    deco.farm("fields")(ran.append)
    deco.muleloop(3)(lambda: 1 / 0)
    uwsgi.post_fork_hook()
    assert ran == []
    uwsgi.answers["mule_id"] = 1
    uwsgi.post_fork_hook()
    assert ran == ["mule"]

    class NoMore(Exception):
        pass

    def next_message() -> bytes:
        if not messages:
            raise NoMore
        return messages.pop(0)

    uwsgi.answers |= {"mule_id": 2, "mule_get_msg": next_message}
    messages[:] = [b"one", b"", b"two"]
    with pytest.raises(NoMore):
        uwsgi.post_fork_hook()
    assert ran == ["mule", b"one", b"two"]
    uwsgi.answers |= {"mule_id": 3, "in_farm": lambda name: name == "fields", "farm_get_msg": next_message}
    messages[:] = [b"three"]
    with pytest.raises(NoMore):
        uwsgi.post_fork_hook()
    assert ran[3:] == [b"three"]
    uwsgi.answers["in_farm"] = False
    with pytest.raises(SystemExit) as e:
        uwsgi.post_fork_hook()
    assert e.value.code == 1
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_rpc_and_erlang_register(uwsgi: FakeUwsgi, deco: Any):
    """@rpc and @erlang register the function under the name and leave it as it is."""
    assert deco.rpc("r")(len) is len
    assert deco.erlang("e")(len) is len
    assert uwsgi.calls == [("register_rpc", "r", len), ("erlang_register_process", "e", len)]
