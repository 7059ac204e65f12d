"""The in-process engine: what it runs, in which order, and how it tells a test what went wrong."""

from __future__ import annotations

import asyncio
import importlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import spoolsim
from spoolsim.errors import HarnessError, RetriedForever, TaskTimeout
from spoolsim.testing import SpoolerHarness, imports
from spoolsim.testing.limit import Interrupted, Limit
from spoolsim.work.app import SHIM
from tests.conftest import poll_until

OK, RETRY, IGNORE = -2, -1, 0


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., SpoolerHarness]]:
    """Harnesses that are closed when the test ends."""
    made: list[SpoolerHarness] = []

    def one(app: Any = None, options: Any = None, **more: Any) -> SpoolerHarness:
        made.append(SpoolerHarness(app, options, directory=tmp_path / f"spool-{len(made)}", **more))
        return made[-1]

    yield one
    for harness in reversed(made):
        harness.close()


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], str]]:
    """Writes importable modules, which are forgotten when the test ends."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(name: str, text: str) -> str:
        (tmp_path / f"{name}.py").write_text(text)
        importlib.invalidate_caches()
        return name

    yield write
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def test_a_handler_gets_what_uwsgi_would_give_it(make: Callable[..., SpoolerHarness]) -> None:
    """A task spooled in the test reaches the handler with uWSGI's keys and types, and its file is gone afterwards."""
    seen: list[dict[Any, Any]] = []

    def handler(env: dict[Any, Any]) -> int:
        seen.append(env)
        return OK

    harness = make(handler)
    import uwsgi

    path = uwsgi.spool({b"k": b"v", b"body": b"B"})
    assert os.path.dirname(os.fsdecode(path)) == harness.directory
    (ran,) = harness.drain()
    assert seen == [{"spooler_task_name": os.path.basename(path), b"k": b"v", "body": b"B"}]
    assert (ran.state, ran.function, ran.error) == ("done", handler.__qualname__, None)
    assert not os.path.exists(path)
    assert harness.tasks() == []


def test_tasks_run_in_the_order_of_spooling(make: Callable[..., SpoolerHarness]) -> None:
    """Unordered, where uWSGI promises nothing, the engine runs tasks in the order in which they were spooled."""
    seen: list[bytes] = []
    harness = make(lambda env: seen.append(env[b"n"]) or OK)
    for n in range(30):
        harness.spool({"n": str(n)})
    harness.drain()
    assert seen == [str(n).encode() for n in range(30)]


def test_ordered_runs_priorities_first(make: Callable[..., SpoolerHarness]) -> None:
    """With spooler-ordered, tasks of priority directories come before the plain ones, by their number."""
    seen: list[bytes] = []
    harness = make(lambda env: seen.append(env[b"n"]) or OK, {"spooler-ordered": True})
    for n, priority in enumerate(("", "10", "2", "")):
        harness.spool({"n": str(n), "priority": priority} if priority else {"n": str(n)})
    harness.drain()
    assert seen == [b"2", b"1", b"0", b"3"]


def test_a_priority_without_ordered_stays(make: Callable[..., SpoolerHarness]) -> None:
    """Without spooler-ordered a task with a priority never runs, as in uWSGI, and `tasks` says why."""
    harness = make(lambda env: OK)
    harness.spool({"priority": "1"})
    assert harness.drain() == []
    (task,) = harness.tasks()
    assert task.state == "unreached"
    assert "spooler-ordered" in task.why


def test_run_one_runs_one(make: Callable[..., SpoolerHarness]) -> None:
    """`run_one` runs the first due task and leaves the rest; None says that nothing is due."""
    harness = make(lambda env: OK)
    for n in "ab":
        harness.spool({"n": n})
    first = harness.run_one()
    assert first is not None
    assert first.task.variables == {b"n": b"a"}
    assert [task.variables for task in harness.tasks()] == [{b"n": b"b"}]
    assert harness.run_one() is not None
    assert harness.run_one() is None


def test_drain_stops_at_max_tasks(make: Callable[..., SpoolerHarness]) -> None:
    """`max_tasks` ends a drain after that many runs, also of one task that always comes back."""
    harness = make(lambda env: RETRY)
    harness.spool({"n": "1"})
    assert [ran.state for ran in harness.drain(max_tasks=25)] == ["retry"] * 25


def test_a_tasks_exception_is_raised_in_the_test(make: Callable[..., SpoolerHarness]) -> None:
    """What a handler raises comes out of `drain` itself, its traceback ending in the handler; the task stays."""
    error = ValueError("no such order")

    def charge(env: dict[Any, Any]) -> int:
        raise error

    harness = make(charge)
    harness.spool({"n": "1"})
    with pytest.raises(ValueError) as caught:
        harness.drain()
    assert caught.value is error
    frames = [entry.name for entry in caught.traceback]
    assert frames[-1] == "charge"
    assert "__call__" not in frames
    assert [task.state for task in harness.tasks()] == ["waiting"]
    assert [ran.state for ran in harness.outcomes] == ["retry"]


def test_collected_exceptions_are_printed_and_kept(
    make: Callable[..., SpoolerHarness], capsys: pytest.CaptureFixture[str]
) -> None:
    """With errors="collect" a task's exception is in `outcomes` and its traceback on stderr, as uWSGI prints it."""

    def charge(env: dict[Any, Any]) -> int:
        if len(harness.outcomes) < 2:
            raise ValueError("not yet")
        return OK

    harness = make(charge, errors="collect")
    harness.spool({"n": "1"})
    ran = harness.drain()
    assert [(one.state, type(one.error)) for one in ran] == [
        ("retry", ValueError),
        ("retry", ValueError),
        ("done", type(None)),
    ]
    printed = capsys.readouterr().err
    assert printed.count("ValueError: not yet") == 2
    assert os.path.dirname(spoolsim.__file__) not in printed  # no frame of ours


@pytest.mark.parametrize(
    ("value", "why"), [(None, "returned None"), (True, "returned True"), (RETRY, "asked to be retried"), ("x", "'x'")]
)
def test_a_task_that_is_retried_for_ever_stops_the_drain(
    make: Callable[..., SpoolerHarness], value: Any, why: str
) -> None:
    """A drain that can never end raises an error that names the task, its function and what it returned."""

    def charge(env: dict[Any, Any]) -> Any:
        return value

    harness = make(charge)
    path = os.fsdecode(harness.spool({"order": "7"}))
    with pytest.raises(RetriedForever) as caught:
        harness.drain()
    text = str(caught.value)
    assert os.path.basename(path) in text
    assert "charge" in text
    assert why in text
    assert "retried forever" in text
    assert "SPOOL_OK" in text


def test_an_ignored_task_stops_the_drain(make: Callable[..., SpoolerHarness]) -> None:
    """SPOOL_IGNORE keeps a task forever: the drain says so."""
    harness = make(lambda env: IGNORE)
    harness.spool({"n": "1"})
    with pytest.raises(RetriedForever, match="again on every scan: it returned SPOOL_IGNORE"):
        harness.drain()


def test_a_missing_handler_is_said_at_once(make: Callable[..., SpoolerHarness]) -> None:
    """Where uwsgi.spooler was never set, the drain says so after one pass and what to do."""
    harness = make()
    harness.spool({"n": "1"})
    with pytest.raises(RetriedForever, match=r"has no handler.*import"):
        harness.drain()
    assert len(harness.outcomes) == 1


def test_a_task_that_succeeds_later_is_no_loop(make: Callable[..., SpoolerHarness]) -> None:
    """A task that is retried a few times and then done does not stop the drain."""
    harness = make(lambda env: OK if len(harness.outcomes) == 5 else RETRY)
    harness.spool({"n": "1"})
    assert [ran.state for ran in harness.drain()] == ["retry"] * 5 + ["done"]


def test_sys_exit_is_explained(make: Callable[..., SpoolerHarness]) -> None:
    """A task that calls sys.exit, which would end the spooler's process, fails the test with what uWSGI would do."""
    harness = make(lambda env: sys.exit(3))
    harness.spool({"n": "1"})
    with pytest.raises(HarnessError, match=r"called sys.exit\(3\).*is restarted at once") as caught:
        harness.drain()
    assert isinstance(caught.value.__cause__, SystemExit)


def test_a_stuck_task_is_interrupted(make: Callable[..., SpoolerHarness]) -> None:
    """A task that blocks is interrupted at the time limit; the error names it and ends in the line where it hung."""
    never = threading.Event()

    def hang(env: dict[Any, Any]) -> int:
        never.wait(60)
        return OK

    harness = make(hang)
    harness.spool({"n": "1"})
    began = time.clock_gettime(time.CLOCK_MONOTONIC)
    with pytest.raises(TaskTimeout, match=r"task\(n='1'\) was still running after 0.2 s") as caught:
        harness.drain(timeout=0.2)
    assert time.clock_gettime(time.CLOCK_MONOTONIC) - began < 30
    assert "hang" in [entry.name for entry in caught.traceback]


def test_a_stuck_task_is_interrupted_in_a_thread(make: Callable[..., SpoolerHarness]) -> None:
    """The time limit holds where no signal can be used: in a thread that is not the main one."""
    harness = make(_spin)
    harness.spool({"n": "1"})
    caught: list[BaseException] = []

    def drain() -> None:
        try:
            harness.drain(timeout=0.2)
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=drain)
    thread.start()
    thread.join(30)
    assert [type(error) for error in caught] == [TaskTimeout]


def _spin(env: object) -> int:
    while True:
        pass


def _hang(number: int) -> None:
    threading.Event().wait(60)


def test_a_stuck_signal_handler_is_interrupted(make: Callable[..., SpoolerHarness]) -> None:
    """The time limit holds for the handler of a uwsgi signal, and names it."""
    harness = make(lambda env: OK)
    import uwsgi

    uwsgi.register_signal(3, "spooler", _hang)
    uwsgi.signal(3)
    with pytest.raises(TaskTimeout, match=r"the handler of signal 3 was still running after 0\.2 s") as caught:
        harness.drain(timeout=0.2)
    assert "_hang" in [entry.name for entry in caught.traceback]
    harness.spool({})
    assert [ran.state for ran in harness.drain()] == ["done"]


@pytest.mark.parametrize("where", ["test", "task"])
def test_a_stuck_task_is_interrupted_beside_asyncio(make: Callable[..., SpoolerHarness], where: str) -> None:
    """The time limit ends a blocking call while asyncio has SIGINT for itself, and leaves its handler in place."""

    async def block() -> None:
        _hang(0)

    harness = make((lambda env: asyncio.run(block())) if where == "task" else _hang)
    harness.spool({})

    async def main() -> None:
        before = signal.getsignal(signal.SIGINT)
        with pytest.raises(TaskTimeout, match=r"still running after 0\.2 s"):
            harness.drain(timeout=0.2)
        assert signal.getsignal(signal.SIGINT) is before
        await asyncio.sleep(0)  # nobody cancelled us

    began = time.clock_gettime(time.CLOCK_MONOTONIC)
    if where == "test":
        asyncio.run(main())
    else:
        with pytest.raises(TaskTimeout):
            harness.drain(timeout=0.2)
    assert time.clock_gettime(time.CLOCK_MONOTONIC) - began < 30


def test_a_task_that_begins_as_the_time_is_over_is_interrupted() -> None:
    """Whoever looked just before saw that there was time."""
    with Limit(0.01) as limit:
        poll_until(lambda: limit.expired, 30, "the time to be over")
        with pytest.raises(Interrupted) as held:
            limit.busy = True
            threading.Event().wait(60)
        assert limit.end()
        assert held.type is not None


def test_a_time_limit_that_strikes_while_an_error_is_printed(
    make: Callable[..., SpoolerHarness], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the task's as well, and the task is given up: a later drain can have it."""
    monkeypatch.setattr("spoolsim.testing.worker.print_error", lambda: threading.Event().wait(60))

    def fails(env: object) -> int:
        raise ValueError

    harness = make(fails, errors="collect")
    harness.spool({"n": "1"})
    with pytest.raises(TaskTimeout, match=r"task\(n='1'\) was still running after 0.2 s"):
        harness.drain(timeout=0.2)
    monkeypatch.undo()
    harness.app.module().__dict__["spooler"] = lambda env: OK
    assert [ran.state for ran in harness.drain()] == ["done"]


def test_endless_spooling_ends_at_the_time_limit(make: Callable[..., SpoolerHarness]) -> None:
    """Tasks that each spool another never end by themselves: the drain ends at its limit and shows the state."""
    harness = make(lambda env: harness.spool({"n": "again"}) and OK)
    harness.spool({"n": "1"})
    with pytest.raises(TaskTimeout, match=r"still running after 0.2 s(, when \d+ runs|; spooled)"):
        harness.drain(timeout=0.2)


def test_spool_from_a_task(make: Callable[..., SpoolerHarness]) -> None:
    """A task spooled by a task runs in the same drain, after it."""
    seen: list[bytes] = []

    def handler(env: dict[Any, Any]) -> int:
        seen.append(env[b"n"])
        if env[b"n"] == b"1":
            harness.spool({"n": "2"})
        return OK

    harness = make(handler)
    harness.spool({"n": "1"})
    harness.drain()
    assert seen == [b"1", b"2"]


def test_roles(make: Callable[..., SpoolerHarness]) -> None:
    """Outside of tasks the process is web worker 1, inside the spooler, as the app can see."""
    seen: list[Any] = []

    def handler(env: dict[Any, Any]) -> int:
        seen.append((uwsgi.i_am_the_spooler(), uwsgi.worker_id()))
        return OK

    harness = make(handler)
    import uwsgi

    seen.append((uwsgi.i_am_the_spooler(), uwsgi.worker_id()))
    harness.spool({})
    harness.drain()
    seen.append((uwsgi.i_am_the_spooler(), uwsgi.worker_id()))
    assert seen == [(None, 1), (True, 0), (None, 1)]


def test_spool_errors_are_uwsgis(make: Callable[..., SpoolerHarness]) -> None:
    """uwsgi.spool() in a test raises what production raises, with a note that names the value."""
    make(lambda env: OK)
    import uwsgi

    with pytest.raises(ValueError, match="must contains only bytes") as caught:
        uwsgi.spool({b"n": 1})
    assert "b'n'" in caught.value.__notes__[0]


def test_modules_app(make: Callable[..., SpoolerHarness], module: Callable[[str, str], str]) -> None:
    """An app given by name is imported with `import uwsgi` and uwsgidecorators working; its functions become tasks."""
    module(
        "shop_one",
        "from uwsgidecorators import spool\nsent = []\n"
        "@spool\ndef mail(arguments):\n    sent.append(arguments['to'])\n",
    )
    harness = make("shop_one")
    shop = sys.modules["shop_one"]
    shop.mail(to="ann")
    harness.assert_spooled(shop.mail, times=1, to="ann")
    harness.drain()
    assert shop.sent == ["ann"]


def test_successive_harnesses_share_one_module(
    make: Callable[..., SpoolerHarness], module: Callable[[str, str], str]
) -> None:
    """A module imported once works in every later harness: its `uwsgi`, handler, hook and signals are put back."""
    module(
        "shop_two",
        "import uwsgi\nfrom uwsgi import spool\ncalls = []\n"
        "def handler(env):\n    calls.append('task')\n    return uwsgi.SPOOL_OK\n"
        "uwsgi.spooler = handler\n"
        "uwsgi.post_fork_hook = lambda: calls.append('hook')\n"
        "uwsgi.register_signal(7, 'spooler', lambda n: calls.append(n))\n",
    )
    for _ in range(3):
        harness = make("shop_two")
        shop = sys.modules["shop_two"]
        shop.calls.clear()
        assert shop.uwsgi is sys.modules["uwsgi"]
        path = shop.spool({b"a": b"b"})
        assert os.fsdecode(path).startswith(harness.directory + "/")
        shop.uwsgi.signal(7)
        harness.drain()
        assert shop.calls == ["task", 7]
        harness.close()


def test_what_a_test_assigns_is_gone(make: Callable[..., SpoolerHarness], module: Callable[[str, str], str]) -> None:
    """A handler that a test assigns lasts as long as its harness; what the app assigned when imported stays."""
    module("shop_three", "import uwsgi\nuwsgi.spooler = lambda env: -2\nuwsgi.colour = 'red'\n")
    harness = make("shop_three")
    import uwsgi

    uwsgi.spooler = lambda env: RETRY
    uwsgi.size = 5
    harness.close()
    make("shop_three")
    assert uwsgi.colour == "red"
    assert not hasattr(uwsgi, "size")
    assert uwsgi.spooler({}) == OK


def test_each_app_has_its_own_handler(make: Callable[..., SpoolerHarness], module: Callable[[str, str], str]) -> None:
    """Two apps that both set uwsgi.spooler are told apart, whichever was imported last."""
    for name in ("shop_a", "shop_b"):
        module(name, f"import uwsgi\nseen = []\nuwsgi.spooler = lambda env: seen.append({name!r}) or -2\n")
    for name in ("shop_a", "shop_b", "shop_a", "shop_b"):
        with make(name) as harness:
            sys.modules[name].seen.clear()
            harness.spool({})
            harness.drain()
            assert sys.modules[name].seen == [name]


def test_an_app_that_fails_to_import_raises_its_own_error(
    make: Callable[..., SpoolerHarness], module: Callable[[str, str], str]
) -> None:
    """The import's own exception comes out, and nothing is left behind."""
    module("shop_bad", "import uwsgi\nraise RuntimeError('no database')\n")
    with pytest.raises(RuntimeError, match="no database"):
        make("shop_bad")
    assert "uwsgi" not in sys.modules


def test_configured_directories_are_never_touched(make: Callable[..., SpoolerHarness], tmp_path: Path) -> None:
    """Directories of a configuration are replaced: tasks for them by their configured name land in the test's own."""
    production = [tmp_path / "srv" / "mail", tmp_path / "srv" / "bills"]
    ini = tmp_path / "uwsgi.ini"
    ini.write_text("[uwsgi]\n" + "".join(f"spooler = {path}\n" for path in production) + "spooler-processes = 2\n")
    seen: list[Any] = []
    harness = make(lambda env: seen.append(env[b"n"]) or OK, ini)
    import uwsgi

    assert len(uwsgi.spoolers) == 4
    for n, path in enumerate(production):
        harness.spool({"spooler": str(path), "n": str(n)})
    harness.spool({"spooler": uwsgi.spoolers[-1], "n": "2"})
    assert os.path.dirname(uwsgi.opt["spooler"]) == os.fsencode(harness.directory)
    assert sorted(os.path.basename(os.path.dirname(task.path)) for task in harness.tasks()) == [
        "bills",
        "bills",
        "mail",
    ]
    harness.drain()
    assert sorted(seen) == [b"0", b"1", b"2"]
    assert not (tmp_path / "srv").exists()


def test_options_of_no_meaning_are_refused(make: Callable[..., SpoolerHarness]) -> None:
    """A misspelt option is an error that names it."""
    with pytest.raises(HarnessError, match="spooler_odered"):
        make(None, {"spooler_odered": True})


def test_assert_spooled_by_variables(make: Callable[..., SpoolerHarness]) -> None:
    """`assert_spooled` compares variables as text or bytes, counts, and its failure lists what was spooled."""
    harness = make(lambda env: OK)
    harness.spool({"to": "ann", "body": "hello"})
    harness.spool({"to": "bob"})
    harness.drain()
    assert [task.variables[b"to"] for task in harness.assert_spooled({"to": b"ann"}, times=1, body="hello")] == [b"ann"]
    assert len(harness.spooled()) == 2
    harness.assert_spooled({"to": "eve"}, times=0)
    with pytest.raises(AssertionError, match=r"spooled 2 times, it was 1 times; .*\n  task\(to='ann', body='hello'\)"):
        harness.assert_spooled({"to": "ann"}, times=2)
    with pytest.raises(AssertionError, match="at least once"):
        harness.assert_spooled({"missing": None})


def test_assert_spooled_with_pickled_arguments(
    make: Callable[..., SpoolerHarness], module: Callable[[str, str], str]
) -> None:
    """For a function with pass_arguments its arguments are compared by name, as the values they are."""
    module(
        "shop_four",
        "from uwsgidecorators import spool\n@spool(pass_arguments=True)\ndef ship(order, express=False): pass\n",
    )
    harness = make("shop_four")
    ship = sys.modules["shop_four"].ship
    ship(7, express=True)
    (task,) = harness.assert_spooled(ship, times=1, express=True)
    assert task.arguments == ((7,), {"express": True})
    assert repr(task) == "ship(7, express=True)"
    harness.assert_spooled(ship, times=0, express=False)
    harness.assert_spooled(ship, times=1, order=7)
    harness.assert_spooled(ship, times=0, order=8)
    harness.drain()


def test_eager_runs_at_spool_time(make: Callable[..., SpoolerHarness]) -> None:
    """In `eager` a task has run when spool() returns; one spooled by it has too, and a future one waits."""
    seen: list[bytes] = []

    def handler(env: dict[Any, Any]) -> int:
        seen.append(env[b"n"])
        if env[b"n"] == b"1":
            harness.spool({"n": "inner"})
            seen.append(b"after inner was spooled")
        return OK

    harness = make(handler)
    harness.spool({"n": "before"})
    with harness.eager():
        harness.spool({"n": "1"})
        assert seen == [b"1", b"after inner was spooled", b"inner"]
        harness.spool({"n": "later", "at": str(int(time.time()) + 3600)})
        assert len(seen) == 3
    harness.spool({"n": "2"})
    assert len(seen) == 3
    harness.drain()
    assert seen[3:] == [b"before", b"2"]


def test_eager_and_run_twice_run_their_own_task_when_ordered(make: Callable[..., SpoolerHarness]) -> None:
    """With spooler-ordered too, only the named task runs, though others come before it."""
    seen: list[bytes] = []
    harness = make(lambda env: seen.append(env[b"n"]) or OK, {"spooler_ordered": True})
    harness.spool({"n": "before"})
    with harness.eager():
        harness.spool({"n": "eager"})
        harness.spool({"n": "priority", "priority": "5"})
    assert seen == [b"eager", b"priority"]
    harness.spool({"n": "two"})
    harness.run_twice(harness.tasks()[-1])
    assert seen[2:] == [b"two", b"two"]
    harness.drain()
    assert seen[4:] == [b"before"]


def test_eager_says_what_never_runs(make: Callable[..., SpoolerHarness]) -> None:
    """A priority without spooler-ordered, which uWSGI never reaches, is an error in `eager`, with the reason."""
    harness = make(lambda env: OK)
    with harness.eager(), pytest.raises(HarnessError, match=r"task\(priority='5'\) never runs: .*spooler-ordered"):
        harness.spool({"priority": "5"})


def test_a_task_may_change_the_directory(make: Callable[..., SpoolerHarness], tmp_path: Path) -> None:
    """A task that calls os.chdir leaves the test where it was."""
    here = os.getcwd()
    harness = make(lambda env: os.chdir(tmp_path) or OK)
    harness.spool({})
    harness.drain()
    assert os.getcwd() == here


def test_what_a_test_registers_is_gone(make: Callable[..., SpoolerHarness], module: Callable[[str, str], str]) -> None:
    """@spool, @postfork and register_rpc inside a test last as long as its harness; those of imports stay."""
    module(
        "shop_five",
        "import uwsgi\nfrom uwsgidecorators import postfork, spool\ncalls = []\n"
        "@spool\ndef mail(env): calls.append('mail')\n"
        "@postfork\ndef forked(): calls.append('forked')\n"
        "uwsgi.register_rpc('shop', lambda: b'')\n",
    )
    harness = make("shop_five")
    calls = sys.modules["shop_five"].calls
    import uwsgi
    from uwsgidecorators import postfork, spool

    @spool
    def mail(env: dict[str, str]) -> None:
        calls.append("mail of the test")

    postfork(lambda: calls.append("forked by the test"))
    uwsgi.register_rpc("test", lambda: b"")
    mail(to="ann")
    harness.drain()
    assert calls.count("mail of the test") == 1
    harness.close()
    harness = make("shop_five")
    calls.clear()
    assert uwsgi.rpc_list() == (b"shop",)
    sys.modules["shop_five"].mail(to="ann")
    harness.kill_next("before")
    harness.drain()
    assert calls == ["forked", "mail"]


def test_eager_raises_from_spool(make: Callable[..., SpoolerHarness]) -> None:
    """In `eager` the exception of a task comes out of spool(), and the engine works on afterwards."""
    harness = make(lambda env: 1 / int(env[b"n"]) and OK)
    with harness.eager():
        with pytest.raises(ZeroDivisionError):
            harness.spool({"n": "0"})
        harness.spool({"n": "1"})
    assert [ran.state for ran in harness.outcomes] == ["retry", "done"]


def test_uwsgi_signals_run_in_a_drain(make: Callable[..., SpoolerHarness]) -> None:
    """A raised uwsgi signal for the spooler is handled once for each time it was raised; its exception is raised."""
    seen: list[int] = []
    harness = make(lambda env: OK)
    import uwsgi

    uwsgi.register_signal(3, "spooler", seen.append)
    uwsgi.register_signal(4, "spooler", lambda n: 1 / 0)
    uwsgi.signal(3)
    uwsgi.signal(3)
    harness.drain()
    assert seen == [3, 3]
    uwsgi.signal(4)
    with pytest.raises(ZeroDivisionError):
        harness.drain()
    assert any("error managing signal 4" in line for line in harness.log.lines)


def test_max_tasks_recycles(make: Callable[..., SpoolerHarness]) -> None:
    """spooler-max-tasks brings a new spooler, whose post-fork hook is called, and no task is lost."""
    hooks: list[int] = []
    harness = make(lambda env: OK, {"spooler_max_tasks": 2})
    import uwsgi

    uwsgi.post_fork_hook = lambda: hooks.append(1)
    for n in range(5):
        harness.spool({"n": str(n)})
    assert len(harness.drain()) == 5
    assert len(hooks) == 2
    assert sum("maximum number of tasks reached (2)" in line for line in harness.log.lines) == 2


def test_the_process_is_as_before(tmp_path: Path) -> None:
    """After a harness: the same directory, umask, niceness, signal handlers, path, environment, threads."""

    def state() -> dict[str, Any]:
        umask = os.umask(0o22)
        os.umask(umask)
        handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
        return {
            "cwd": os.getcwd(),
            "umask": umask,
            "nice": os.nice(0),
            "handlers": handlers,
            "path": list(sys.path),
            "environ": dict(os.environ),
            "uwsgi": sys.modules.get("uwsgi"),
            "threads": threading.active_count(),
            "stdin": (sys.stdin, os.fstat(0).st_ino),
            "trace": (sys.gettrace(), sys.getprofile()),
            "wakeup": signal.set_wakeup_fd(-1),
        }

    before = state()
    for options in ({"spooler_chdir": str(tmp_path), "env": "SHOP=1"}, {"faithful": True}):
        with SpoolerHarness(lambda env: OK, options, directory=tmp_path / "spool") as harness:
            harness.spool({"n": "1"})
            harness.kill_next(1)
            harness.drain()
            assert os.getcwd() == before["cwd"]
            assert sys.path[0] == SHIM
    assert state() == before


def test_descriptors_are_given_back(make: Callable[..., SpoolerHarness]) -> None:
    """A hundred tasks, some killed, some failing, leave no descriptor open."""

    def handler(env: dict[Any, Any]) -> int:
        if env[b"n"] == b"13":
            raise ValueError
        return OK

    harness = make(handler, errors="collect")
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for n in range(100):
        harness.spool({"n": str(n)})
        if n % 10 == 0:
            harness.kill_next()
    harness.drain(max_tasks=120)
    after = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    assert after == before


def test_caches_are_each_harnesss_own(make: Callable[..., SpoolerHarness]) -> None:
    """What one test puts into uWSGI's cache the next does not find, not even in one frozen moment."""
    from freezegun import freeze_time

    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    with freeze_time("2024-05-01"):
        for _ in range(3):
            with make(None, {"cache2": "name=x,items=10"}):
                import uwsgi

                assert uwsgi.cache_get("k", "x") is None
                uwsgi.cache_set("k", b"v", 0, "x")
                assert uwsgi.cache_get("k", "x") == b"v"
                uwsgi.lock()
                uwsgi.unlock()
    after = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    assert after == before


def test_another_uwsgi_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where something else is called `uwsgi`, a harness says what it is instead of taking its place."""
    monkeypatch.setitem(sys.modules, "uwsgi", type(sys)("uwsgi"))
    with pytest.raises(HarnessError, match=r"sys.modules\['uwsgi'\]"):
        SpoolerHarness(directory=tmp_path / "spool")


def test_report(make: Callable[..., SpoolerHarness]) -> None:
    """The report names what was spooled, run and left, with states and reasons."""
    harness = make(lambda env: OK if env[b"n"] == b"1" else None)
    harness.spool({"n": "1"})
    harness.spool({"n": "2"})
    harness.drain(max_tasks=2)
    text = harness.report()
    assert "spooled: 2" in text
    assert "task(n='1') done" in text
    assert "task(n='2') retry: returned None" in text
    assert "left in the spool: 1\n  task(n='2') waiting" in text


def test_a_relative_path_fails_as_in_production(
    make: Callable[..., SpoolerHarness], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A task runs in its spool directory, the test where it was; the error says why the file is not found."""
    (tmp_path / "data.txt").write_text("x")
    monkeypatch.chdir(tmp_path)
    harness = make(lambda env: open("data.txt").read())  # noqa: SIM115 - it fails
    harness.spool({"n": "1"})
    with pytest.raises(FileNotFoundError) as caught:
        harness.drain()
    assert "the working directory of a task is its spool directory" in caught.value.__notes__[0]
    assert os.getcwd() == str(tmp_path)


def test_a_task_of_an_async_test_has_no_event_loop(make: Callable[..., SpoolerHarness]) -> None:
    """asyncio.run() works in it, as in production; the test's own loop goes on."""
    ran: list[str] = []

    def handler(env: dict[Any, Any]) -> int:
        asyncio.run(asyncio.sleep(0))
        ran.append("task")
        return OK

    async def test() -> None:
        harness = make(handler)
        harness.spool({"n": "1"})
        harness.drain()
        await asyncio.sleep(0)
        ran.append("test")

    asyncio.run(test())
    assert ran == ["task", "test"]


TWO_APPS = """
import uwsgi
import uwsgidecorators

ran = []

@uwsgidecorators.spool
def mail(arguments):
    ran.append((arguments["to"], uwsgi.call(b"name"), uwsgi.cache_get("who"), uwsgi.opt["spooler"]))
    if arguments["to"] == "ann":
        mail.spool(to="bob")

uwsgi.register_rpc("name", lambda: b"NAME")
uwsgi.register_signal(5, "spooler", lambda number: ran.append("NAME"))
uwsgi.add_timer(5, 3)
"""


def test_two_engines_in_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Each runs its own app, of whose functions some have the same names, in its own directory, with its own cache."""
    monkeypatch.syspath_prepend(tmp_path)
    # what a harness without an app's name takes, too: not in the tests that follow
    monkeypatch.setattr(imports, "registrations", list(imports.registrations))
    for name in ("two_of_one", "two_of_other"):
        (tmp_path / f"{name}.py").write_text(TWO_APPS.replace("NAME", name))
    options = {"cache2": "name=c,items=9"}
    with (
        SpoolerHarness("two_of_one", options, directory=tmp_path / "a") as one,
        SpoolerHarness("two_of_other", options, directory=tmp_path / "b") as other,
    ):
        import two_of_one
        import two_of_other
        import uwsgi

        uwsgi.cache_set("who", b"the last one made")
        two_of_other.mail.spool(to="ann")
        one.spool({"ud_spool_func": "mail", "ud_spool_ret": "-2", "to": "carol"})
        assert [len(harness.drain()) for harness in (one, other, one)] == [1, 2, 0]
        assert two_of_one.ran == [("carol", b"two_of_one", None, os.fsencode(tmp_path / "a"))]
        second = (b"two_of_other", b"the last one made", os.fsencode(tmp_path / "b"))
        assert two_of_other.ran == [("ann", *second), ("bob", *second)]
        uwsgi.signal(5)
        other.drain()
        assert two_of_other.ran[2:] == ["two_of_other"]
        assert [len(harness.spooled("mail")) for harness in (one, other)] == [1, 2]
        assert [len(harness.app.signals.timed) for harness in (one, other)] == [1, 1]
        other.close()
        assert uwsgi.spoolers == (os.fsencode(tmp_path / "a"),)
        assert uwsgi.call(b"name") == b"two_of_one"


def test_an_engine_that_is_closed_first_takes_nothing_of_the_later_one(tmp_path: Path):
    """What a test has set for the one that goes on stays; in the end all is as before."""
    before = dict(os.environ), list(sys.path)
    ran: list[bytes] = []
    one = SpoolerHarness(lambda env: OK, directory=tmp_path / "a")
    with SpoolerHarness(directory=tmp_path / "b") as other:
        import uwsgi

        uwsgi.spooler = lambda env: ran.append(env[b"n"]) or OK
        one.close()
        other.spool({"n": "1"})
        other.drain()
        assert ran == [b"1"]
        assert program_of(os.environ["SPOOLSIM"]) == str(tmp_path / "b")
        assert SHIM in sys.path  # which both need
    assert (dict(os.environ), sys.path) == before


def program_of(described: str) -> str:
    """The directory of a described instance."""
    import marshal

    path: str = marshal.loads(bytes.fromhex(described))["directories"][0][0]
    return path
