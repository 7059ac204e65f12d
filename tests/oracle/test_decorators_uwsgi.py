"""Our uwsgidecorators under the real uWSGI, and beside uWSGI's own file: the same answers."""

from __future__ import annotations

import collections
import contextlib
import io
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import spoolsim
from tests.fake_uwsgi import FakeUwsgi, decorators_over

from .compare import differences
from .harness import Bench, Facts, Scenario, load_scenarios, run_scenario
from .launchers import UwsgiLauncher
from .recording import recorded

pytestmark = [pytest.mark.oracle]

SHIM = Path(spoolsim.__file__).parent / "shim"
SCENARIOS = {name: s for name, s in load_scenarios().items() if name.startswith("deco_")}


def which_module(h: Bench) -> Facts:
    """Whose `uwsgidecorators` and whose `uwsgi` an app imports."""
    app = (
        "import uwsgi, uwsgidecorators\nfrom oracleobs import *\n"
        "obs('module', file=uwsgidecorators.__file__, ours=hasattr(uwsgi, '_spoolsim'))\n"
    )
    instance = h.start([("spooler", h.mkdir("sp"))], app)
    assert instance.wait_obs("module"), instance.log()
    seen = instance.obs("module")[0]
    return {"file": seen["file"], "ours": seen["ours"]}


class OurDecorators(UwsgiLauncher):
    """The real uWSGI with the directory of our module before every other one."""

    def __init__(self, binary: str) -> None:
        super().__init__(binary)
        self.pythonpath = (str(SHIM), *self.pythonpath)


@pytest.fixture(scope="module")
def original(uwsgi_binary: str) -> str:
    """The path of uWSGI's own uwsgidecorators.py."""
    run = run_scenario(Scenario("which_module", which_module, "2.0", 1), UwsgiLauncher(uwsgi_binary))
    assert run.error is None, run.error
    path = str(run.facts["file"])
    assert not path.startswith(str(SHIM))
    return path


def test_the_app_imports_our_decorators_over_the_real_uwsgi(uwsgi_binary: str):
    """With our directory first, an app under the real uWSGI gets our decorators and the real `uwsgi`."""
    run = run_scenario(Scenario("which_module", which_module, "2.0", 1), OurDecorators(uwsgi_binary))
    assert run.error is None, run.error
    assert run.facts == {"file": str(SHIM / "uwsgidecorators.py"), "ours": False}


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_same_answers_under_the_real_uwsgi(name: str, uwsgi_binary: str):
    """Each scenario of the decorators gives, with our module in uWSGI, what it gives with uWSGI's own."""
    run = run_scenario(SCENARIOS[name], OurDecorators(uwsgi_binary))
    assert run.error is None, run.error
    assert differences(recorded(name), run.facts) == [], "\n".join(run.logs)


# --- beside the original, over a fake uwsgi -------------------------------------------------------------------------

Program = Callable[[Any, FakeUwsgi], Any]


def work(*args: Any, **kwargs: Any) -> Any:
    """What the programs decorate."""
    return ("ran", args, kwargs)


def fail(*args: Any) -> None:
    raise LookupError(args)


def own(f: Callable[..., Any]) -> Callable[..., Any]:
    """A function that a decorator may write attributes to, without a trace for the next program."""

    def work(*args: Any, **kwargs: Any) -> Any:
        return f(*args, **kwargs)

    return work


def enqueue(name: str, *args: Any, pass_arguments: bool = False, **kwargs: Any) -> Program:
    return lambda m, u: getattr(m, name)(own(work), pass_arguments)(*args, **kwargs)


def handle(name: str, returned: Any, *, body: bytes | None = None, **fields: bytes) -> Program:
    def program(m: Any, u: FakeUwsgi) -> Any:
        getattr(m, name)(own(lambda *args, **kwargs: u.log(args, kwargs) or returned))
        task: dict[Any, Any] = {key.encode(): value for key, value in fields.items()}
        return u.spooler(
            {b"ud_spool_func": b"work", "spooler_task_name": b"n"} | task | ({"body": body} if body else {})
        )

    return program


def spooled(**task: Any) -> Program:
    def program(m: Any, u: FakeUwsgi) -> Any:
        m.spool(own(lambda *args, **kwargs: u.log(args, kwargs)))
        return u.spooler({(k[1:].encode() if k.startswith("_") else k): v for k, v in task.items()})

    return program


def armed(name: str, *args: Any, taken: int = 0, **kwargs: Any) -> Program:
    def program(m: Any, u: FakeUwsgi) -> Any:
        u.answers["signal_registered"] = lambda n: True if n < taken else None
        decorator = getattr(m, name)(*args, **kwargs)
        return decorator(work) is work, sorted(vars(decorator).items())

    return program


def forked(decorate: Callable[[Any], Any], **answers: Any) -> Program:
    def program(m: Any, u: FakeUwsgi) -> Any:
        messages = [b"one", b"", None, b"two"]

        def message() -> Any:
            if not messages:
                raise EOFError
            return messages.pop(0)

        left = decorate(m)
        u.answers |= {"mule_get_msg": message, "farm_get_msg": message} | answers
        return left is None, len(m.postfork_chain), u.post_fork_hook()

    return program


def twice(m: Any, u: FakeUwsgi) -> Any:
    decorator = m.harakiri(5)
    first, second = decorator(lambda: "first"), decorator(lambda: "second")
    return first(), second()


def positional_worker(m: Any, u: FakeUwsgi) -> Any:
    hook = m.postfork(2)
    return hook(work), hook(fail), u.worker_id(), hook()


def mule_call(m: Any, u: FakeUwsgi, *target: Any) -> Any:
    call = m.mulefunc(*target)(own(work)) if target else m.mulefunc(own(work))
    call(1, k=2)
    message = u.calls[-1][1]
    return pickle.loads(message), u.calls[-1][2], u.mule_msg_hook(message)


P = pickle.dumps
PAIR = {"args": P((1,)), "kwargs": P({"k": 2})}
SPECIAL = {"body": "b", "at": b"5", "priority": "1", "spooler": "/s", "message_dict": {"a": "b"}}

MULES: dict[str, Callable[[Any], Any]] = {
    "mule": lambda m: m.mule(1)(m.uwsgi.log),
    "mule leaving": lambda m: m.mule(1)(lambda: sys.exit(3)),
    "mule failing": lambda m: m.mule(1)(fail),
    "muleloop": lambda m: m.muleloop(1)(fail),
    "mulemsg": lambda m: m.mulemsg(1)(m.uwsgi.log),
    "mulemsg failing": lambda m: m.mulemsg(1)(fail),
    "farm": lambda m: m.farm("f")(m.uwsgi.log),
    "farm nameless": lambda m: m.farm(x=1)(m.uwsgi.log),
}
PROGRAMS: dict[str, Program] = {
    **{
        f"{n} {a!r}": enqueue(n, *a, x="é") for n in ("spool", "spoolraw", "spoolforever") for a in ((), ({"a": b"1"},))
    },
    **{
        f"{n} passed": enqueue(n, 1, z=2, pass_arguments=True, **SPECIAL) for n in ("spool", "spoolraw", "spoolforever")
    },
    **{
        f"spool of {a!r}": enqueue("spool", a)
        for a in (
            "x",
            0,
            None,
            False,
            [],
            (),
            [("a", "b")],
            {1: "a"},
            {b"a": "1", "a": "2"},
            {"a": None},
            {"a": "\udc80"},
        )
    },
    "spool of an ordered dict": enqueue("spool", collections.OrderedDict(b="1", a=bytearray(b"2"))),
    "spool of two": enqueue("spool", {"a": "1"}, {"b": "1"}),
    "spool with ud keys": enqueue("spool", ud_spool_func="other", ud_spool_ret="5"),
    "passed, nothing": enqueue("spool", pass_arguments=True),
    "passed, a lambda": enqueue("spool", lambda: 1, pass_arguments=True),
    "passed, big": enqueue("spool", "x" * 70000, pass_arguments=True),
    "passed, None for all": enqueue("spool", pass_arguments=True, **dict.fromkeys(SPECIAL)),
    "a method": lambda m, u: m.spool([].append),
    "an object": lambda m, u: m.spool(5),
    "without parentheses and with": lambda m, u: [
        type(m.spool(own(work))).__name__,
        m.spool()(own(work)).pass_arguments,
    ],
    "attributes": lambda m, u: sorted(vars(m.spool(own(work)))),
    "no spooler": lambda m, u: setattr(u, "opt", {}) or m.spool(own(work)),
    "no spooler, raw": lambda m, u: setattr(u, "opt", {}) or m.spoolraw(pass_arguments=True)(own(work)),
    **{
        f"{n} returning {r!r}": handle(n, r, **({} if n == "spoolraw" else {"ud_spool_ret": b"-2"}))
        for n in ("spool", "spoolraw")
        for r in (None, -2, "-2", b"-1", 0, 5.7, "x", True)
    },
    "handled, with body": handle("spool", None, body=b"text", a=b"\xc3\xa9", ud_spool_ret=b"7"),
    "handled, result no number": handle("spool", None, ud_spool_ret=b""),
    "handled, binary": handle("spool", -2, a=b"\xff"),
    "handled, binary body": handle("spool", -2, body=b"\xff"),
    "handled, pair": handle("spool", -2, ud_spool_ret=b"-2", body=b"dropped", other=b"dropped", **PAIR),
    "handled, pair and binary": handle("spool", -2, other=b"\xff", **PAIR),
    "handled, args alone": handle("spool", -2, args=P(())),
    "handled, kwargs alone": handle("spool", -2, kwargs=P({"k": 1})),
    "handled, junk args alone": handle("spool", -2, args=b"junk"),
    "handled, cut args": handle("spool", -2, args=P((1,))[:-2], kwargs=P({})),
    "handled, args None": handle("spool", -2, args=P(None), kwargs=P({})),
    "handled, args list": handle("spool", -2, args=P([1]), kwargs=P({})),
    "task without function": spooled(_x=b"y"),
    "task of unknown function": spooled(_ud_spool_func=b"gone"),
    "task of unknown function, binary": spooled(_ud_spool_func=b"gone", _x=b"\xff"),
    "task of unknown function, junk args": spooled(_ud_spool_func=b"gone", _args=b"junk", _kwargs=b"junk"),
    "task in text": spooled(ud_spool_func="work", ud_spool_ret="-2", x=5),
    "task with both bodies": spooled(_ud_spool_func=b"work", _ud_spool_ret=b"-2", body=b"one", _body=b"two"),
    **{
        f"{name} {kw}": armed(name, *args, taken=taken, **kw)
        for name, args in (
            ("timer", (3,)),
            ("rbtimer", (3,)),
            ("cron", (1, -2, 3, 4, 7)),
            ("filemon", ("/x",)),
            ("signal", (17,)),
        )
        for taken, kw in ((0, {}), (3, {"target": "spooler"}), (2, {"signum": 50, "x": 1}), (255, {"iterations": 2}))
    },
    "no signal free": armed("timer", 3, taken=256, signum=3),
    "cron too short": armed("cron", 1, 2, 3),
    "rpc": armed("rpc", "name"),
    "erlang": armed("erlang", "name"),
    "postfork": forked(lambda m: m.postfork(own(work))),
    "postfork failing": forked(lambda m: m.postfork(fail)),
    **{
        f"postfork({w!r}) in {i}": forked(lambda m, w=w: m.postfork(w)(m.uwsgi.log), worker_id=i)
        for w in (2, 0, -1, "2")
        for i in (1, 2)
    },
    "postfork twice": positional_worker,
    "postfork called empty": lambda m, u: m.postfork(2)(),
    "lock": lambda m, u: m.lock(work)(1, k=2),
    "lock failing": lambda m, u: m.lock(fail)(1),
    "lock in a spooler": lambda m, u: u.answers.update(i_am_the_spooler=True) or m.lock(work)(1),
    "harakiri": lambda m, u: m.harakiri(5)(work)(1, k=2),
    "harakiri failing": lambda m, u: m.harakiri(5)(fail)(1),
    "harakiri twice": twice,
    "thread with keywords": lambda m, u: m.thread(work)(k=1),
    "mulefunc": mule_call,
    "mulefunc(3)": lambda m, u: mule_call(m, u, 3),
    "mulefunc('farm')": lambda m, u: mule_call(m, u, "farm"),
    **{
        f"mule message {x!r}": lambda m, u, x=x: u.mule_msg_hook(x)
        for x in (b"", b"junk", "x", P([1]), P({"service": "x"}))
    },
    **{
        f"{name} in mule {i}, in the farm: {inside}": forked(decorate, mule_id=i, in_farm=inside)
        for name, decorate in MULES.items()
        for i in (0, 1, 2)
        for inside in (False, True)
    },
}


def answer(path: str, program: Program) -> dict[str, Any]:
    """What a program gives or raises over the decorators in the file `path`, and what it asked of uwsgi."""
    uwsgi = FakeUwsgi()
    with decorators_over(uwsgi, path) as module, contextlib.redirect_stderr(io.StringIO()):
        try:
            given = program(module, uwsgi)
        except (Exception, SystemExit) as e:
            given = f"{type(e).__name__}: {e}"
    return {"given": given, "calls": uwsgi.calls}


@pytest.mark.parametrize("label", PROGRAMS)
def test_the_same_answer_as_the_original(label: str, original: str):
    """A decorated call, or a task handed over, gives, raises and asks of uwsgi the same with both modules."""
    want = answer(original, PROGRAMS[label])
    assert answer(str(SHIM / "uwsgidecorators.py"), PROGRAMS[label]) == want


def test_every_public_name_of_the_original_is_there(original: str):
    """What a star import of the original gives, ours gives too; nothing but mstimer comes on top."""

    def names(path: str) -> set[str]:
        got: dict[str, Any] = {}
        with decorators_over(FakeUwsgi(), path):
            exec("from uwsgidecorators import *", got)
        return set(got) - {"__builtins__"}

    assert names(str(SHIM / "uwsgidecorators.py")) - names(original) == {"mstimer"}
    assert names(original) - names(str(SHIM / "uwsgidecorators.py")) == set()
