"""The whole `uwsgi` module: every name that a real uWSGI has, its type, and what calling it does."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from spoolsim.emulate import surface
from spoolsim.work.app import SHIM
from tests.needs import left_out, uwsgi_features

DATA = Path(__file__).parents[2] / "data"

#: name -> "function", "type" or "TYPE = value", as recorded in a spooler of uWSGI 2.0.31
RECORDED = dict(
    line.split("\t", 1) for line in (DATA / "uwsgi-module.tsv").read_text().splitlines() if not line.startswith("#")
)
#: what an app sets itself
SET_BY_THE_APP = {"spooler"}

LOOK = """
import json, types, uwsgi
def h(env): pass
uwsgi.spooler = h
functions = (types.FunctionType, types.BuiltinFunctionType)
out = {}
for name in dir(uwsgi):
    if not name.startswith("_"):
        value = getattr(uwsgi, name)
        kind = "function" if isinstance(value, functions) else type(value).__name__
        out[name] = (kind, repr(value))
print(json.dumps(out))
"""


def python(code: str, cwd: Path, *options: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run code under `spoolsim exec` with a spool directory and these options."""
    command = [sys.executable, "-m", "spoolsim", "exec", "--spooler", "sp", *options, "--", sys.executable, "-c", code]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300, check=check)


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = json.loads(python(LOOK, tmp_path_factory.mktemp("look")).stdout)
    return found


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_each_recorded_name_is_there_with_its_type(names: dict[str, tuple[str, str]], name: str):
    """A name of the real module is one of ours, of the same type, and a constant of the same value."""
    kind, _, value = RECORDED[name].partition(" = ")
    assert name in names
    assert names[name][0] == kind
    if value:
        assert names[name][1] == value


def test_there_is_no_other_name(names: dict[str, tuple[str, str]]):
    """dir(uwsgi) holds nothing that the real module lacks."""
    assert set(names) == set(RECORDED)


def test_the_table_says_something_of_each_name():
    """Every recorded name stands once in the table of what becomes of it, and the table holds no other."""
    table = [*surface.WORKS, *(name for some in surface.EMULATED.values() for name in some), *surface.NOT_EMULATED]
    assert sorted(table) == sorted(RECORDED)


#: what a uWSGI with these options has besides
WITH_OPTIONS = ("--queue", "10", "--sharedarea", "10", "--snmp-community", "public")
OPTIONAL = [name for some in surface.OPTIONAL.values() for name in some]


@pytest.mark.parametrize("options", [(), WITH_OPTIONS], ids=["plain", "all options"])
def test_a_script_walks_each_name(tmp_path: Path, options: tuple[str, ...]):
    """`python -m spoolsim.emulate.surface` looks at each name: what it says to be NotEmulated was called and is."""
    words = [sys.executable, "-m", "spoolsim", "exec", "--spooler", "sp", *options, "--"]
    done = subprocess.run(
        [*words, sys.executable, "-m", "spoolsim.emulate.surface"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    rows = {name: (kind, seen) for name, kind, seen in (line.split("\t") for line in done.stdout.splitlines())}
    assert sorted(rows) == sorted((*RECORDED, *OPTIONAL))
    for name, (kind, seen) in rows.items():
        if name in SET_BY_THE_APP or (name in OPTIONAL and not options):
            assert seen == "absent", name
        elif kind == "NotEmulated":
            assert seen == "raises NotEmulated", name
        else:
            recorded = RECORDED.get(name, "int").partition(" = ")[0]
            assert seen == recorded, name
    assert rows["queue_size"] == ("works", "int" if options else "absent")


def test_a_script_walks_without_any_configuration(tmp_path: Path):
    """Outside of exec it finds the module, too; only what the spooler option makes is absent."""
    done = subprocess.run(
        [sys.executable, "-m", "spoolsim.emulate.surface"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "spool\tworks\tabsent\n" in done.stdout
    assert "sendfile\tNotEmulated\traises NotEmulated\n" in done.stdout


def test_the_number_of_queue_items_is_the_options(tmp_path: Path):
    """queue_size is an int, as in uWSGI."""
    assert python("import uwsgi; print(repr(uwsgi.queue_size))", tmp_path, "--queue", "10").stdout == "10\n"


@pytest.mark.oracle
def test_the_optional_names_are_those_of_uwsgi(tmp_path: Path, uwsgi_binary: str):
    """With the options the real module has exactly these names more, of these types."""
    (tmp_path / "sp").mkdir()
    (tmp_path / "app.py").write_text("import sys\n" + LOOK + "sys.stdout.flush(); import os; os._exit(0)\n")
    words = [uwsgi_binary, "--master", "--spooler", "sp", "--pythonpath", ".", "--import", "app", *WITH_OPTIONS]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    output = done.stdout + done.stderr
    real = json.loads(next(line for line in output.splitlines() if line.startswith("{")))
    routing = {"route"} & set(real) if "UWSGI_ROUTING" in uwsgi_features() else set()
    assert set(real) - set(RECORDED) - routing == set(OPTIONAL)
    assert {name for name in OPTIONAL if real[name][0] != "function"} == {"queue_size"}
    assert real["queue_size"] == ["int", "10"]


def test_the_reference_page_is_current():
    """`spoolsim help uwsgi-module` is what the table makes."""
    page = Path(SHIM).parent / "help" / "uwsgi-module.md"
    assert page.read_text() == surface.page(), "run `python -m spoolsim.cli.help`"


def test_what_is_not_emulated_says_so_at_the_call(tmp_path: Path):
    """Each such function raises NotEmulated, one sentence with its name and where uWSGI runs it."""
    code = (
        "import json, sys, uwsgi\nout = {}\nfor name in json.loads(sys.argv[1]):\n"
        "    try: out[name] = repr(getattr(uwsgi, name)())\n"
        "    except Exception as error: out[name] = [type(error).__name__, str(error)]\nprint(json.dumps(out))"
    )
    command = [sys.executable, "-m", "spoolsim", "exec", "--spooler", "sp", "--", sys.executable, "-c", code]
    done = subprocess.run(
        [*command, json.dumps(list(surface.NOT_EMULATED))], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    expected = {
        name: ["NotEmulated", f"uwsgi.{name}() is not emulated: uWSGI runs it in {where}"]
        for name, where in surface.NOT_EMULATED.items()
    }
    assert json.loads(done.stdout) == expected


def test_with_warn_it_returns_none_and_says_so_once(tmp_path: Path):
    """--not-emulated=warn: two calls give None twice and one line."""
    done = python("import uwsgi; print(uwsgi.sendfile('x'), uwsgi.sendfile('x'))", tmp_path, "--not-emulated=warn")
    assert done.stdout == "None None\n"
    assert done.stderr.count("uwsgi.sendfile() is not emulated") == 1


def test_optional_names_are_there_only_with_their_option(tmp_path: Path):
    """queue_push exists when the option queue is given, and raises NotEmulated; without it, it is no attribute."""
    code = "import uwsgi; print(hasattr(uwsgi, 'queue_push'), hasattr(uwsgi, 'nonsense'))"
    assert python(code, tmp_path).stdout == "False False\n"
    assert python(code, tmp_path, "--queue", "10").stdout == "True False\n"
    done = python("import uwsgi; uwsgi.queue_push('x')", tmp_path, "--queue", "10", check=False)
    assert "NotEmulated: uwsgi.queue_push() is not emulated" in done.stderr


def test_a_star_import_takes_all(tmp_path: Path):
    """`from uwsgi import *` binds emulated names and those of the spooler, none of our own."""
    code = "from uwsgi import *\nprint(cache_get.__name__, spool.__name__, 'os' in dir(), SPOOL_OK)"
    assert python(code, tmp_path).stdout == "cache_get spool False -2\n"


def test_importing_it_loads_no_emulation(tmp_path: Path):
    """`import uwsgi` alone imports nothing of the emulation, and no slow module of the standard library."""
    slow = ["sqlite3", "threading", "typing", "dataclasses", "json", "re", "enum", "click"]
    code = (
        "import sys; before = set(sys.modules)\nimport uwsgi\n"
        f"print([n for n in set(sys.modules) - before if n.startswith('spoolsim.emulate') or n in {slow!r}])"
    )
    assert python(code, tmp_path).stdout == "[]\n"


# --- the same calls, asked of both ---------------------------------------------------------------------------------

#: each is evaluated in the module's namespace; what it gives, or raises, is compared
CALLS = [
    *(f"cache_{verb}('k')" for verb in ("get", "exists", "del", "num", "inc", "dec", "mul", "div")),
    "cache_set('k', b'v')",
    "cache_update('k', b'v', 10)",
    "cache_clear()",
    "cache_keys()",
    "cache_get(5)",
    "cache_set('k', 5)",
    "lock()",
    "is_locked()",
    "unlock()",
    "is_locked()",
    "lock(1)",
    "metric_get('m')",
    "metric_set('m', 5)",
    "metric_inc('m', 3)",
    "metric_get(5)",
    "log('hello')",
    "log(b'hello')",
    "log_this_request()",
    "worker_id()",
    "mule_id()",
    "workers()",
    "[type(n) for n in mem()]",
    "setprocname('x')",
    "setprocname(b'x')",
    "parsefile('/nonexistent')",
    "register_rpc('late', len)",
    "rpc_list()",
    "rpc(b'', b'echo', b'a', b'b')",
    "rpc('', b'echo')",
    "rpc(None, b'echo')",
    "rpc(b'', b'text')",
    "rpc(b'', b'empty')",
    "rpc(b'', b'fails')",
    "rpc(b'', b'nope')",
    "rpc(b'', 'echo')",
    "rpc(b'', b'echo', 'a')",
    "rpc(b'')",
    "call(b'echo', b'a')",
    "call('echo')",
    "call()",
    "total_requests()",
    "type(micros())",
    "listen_queue()",
    "logsize()",
    "i_am_the_lord('x')",
    "in_farm()",
    "scrolls('x')",
    "lord_scroll('x')",
    "mule_msg('x')",
    "mule_msg(5)",
    "mule_get_msg()",
    "farm_msg('f', 'x')",
    "farm_get_msg()",
    "embedded_data('x')",
    "SymbolsZipImporter('x')",
    "ready()",
    "numproc",
    "cores",
    "sorted(magic_table)",
    "i_am_the_spooler()",
]
CALLS_WITH_ALL = [
    "cache_set('k', b'v')",
    "cache_set('k', b'w')",
    "cache_update('k', 'é', 100)",
    "cache_get('k')",
    "cache_exists('k')",
    "cache_inc('n', 5), cache_dec('n', 2), cache_mul('n', 7), cache_div('n', -2), cache_num('n'), cache_get('n')",
    "cache_set('s', b'abc'), cache_num('s')",
    "cache_del('s'), cache_del('s')",
    "sorted(cache_keys()), sorted(cache_keys('')), cache_keys('second')",
    "cache_set('k', b'v', 0, 'second'), cache_get('k', 'second'), cache_get('k', 'third')",
    "cache_keys('third')",
    "cache_set('long', b'x' * 65), cache_set('k' * 2049, b'x'), cache_set('', b'x'), cache_set('e', b'')",
    "cache_clear(), cache_keys()",
    "[cache_set('a%d' % i, b'x') for i in range(8)]",
    "cache_clear()",
    "metric_set('m', 10), metric_inc('m', 5), metric_dec('m'), metric_mul('m', 3), metric_div('m', 2), metric_get('m')",
    "metric_set_max('m', 3), metric_get('m'), metric_set_min('m', 4), metric_get('m')",
    "metric_div('m', 0), metric_get('m')",
    "metric_set('m', 2**63 - 1), metric_inc('m'), metric_get('m')",
    "metric_inc('m', 2**70)",
    "metric_get('i'), metric_set('unknown', 3), metric_get('unknown')",
    "len(workers()), sorted(workers()[0])",
    "listen_queue(), listen_queue(0)",
    "listen_queue(7)",
    "numproc",
]
APP = """
import json, os, sys, uwsgi
calls = json.load(open("calls.json"))
def ask(where):
    out = {}
    for number, call in enumerate(calls):
        try: out[f"{number} {call}"] = repr(eval(call, vars(uwsgi) | {n: getattr(uwsgi, n) for n in dir(uwsgi)}))
        except ValueError as error: out[f"{number} {call}"] = ["ValueError", str(error)]
        except Exception as error: out[f"{number} {call}"] = type(error).__name__
    with open(f"{where}.tmp", "w") as file: json.dump(out, file)
    os.rename(f"{where}.tmp", where)
uwsgi.register_rpc("echo", lambda *a: repr(a).encode())
uwsgi.register_rpc("text", lambda *a: "t")
uwsgi.register_rpc("empty", lambda *a: b"")
uwsgi.register_rpc("fails", lambda *a: 1 / 0)
uwsgi.register_signal(20, "spooler", lambda number: None)
here = os.getcwd()
if uwsgi.masterpid() == os.getpid(): ask(here + "/master")
def h(env):
    ask(here + "/spooler")
    return -2
uwsgi.spooler = h
"""


#: calls of functions that only a build with SSL has: legions
OF_LEGIONS = ("i_am_the_lord('x')", "scrolls('x')", "lord_scroll('x')")


def there(calls: list[str], item: pytest.Item) -> list[str]:
    """Those of the calls that the real uWSGI here has a function for; the others are named at the end of the run."""
    if "UWSGI_SSL" in uwsgi_features():
        return calls
    left_out(item, "legions: this uWSGI is built without SSL (uwsgi --cflags): build it with it")
    return [call for call in calls if call not in OF_LEGIONS]


#: what only a program does, which stands where a web worker is in uWSGI
CALLS_OF_A_WORKER = [
    "i_am_the_spooler()",
    "masterpid() > 1",
    "ready()",
    "signal_received()",
    "request_id()",
    "signal_registered(200)",
    "signal_registered(20)",
    "signal(20)",
    "signal(300)",
    "register_signal(201, 'spooler', len)",
    "add_timer(20, 600)",
    "add_rb_timer(20, 600)",
    "add_cron(20, 0, 0, 1, 1, -1)",
    "add_file_monitor(20, '/nonexistent')",
    "set_user_harakiri(0)",
    "set_user_harakiri(600)",
    "set_spooler_frequency(30)",
    "type(spool({b'at': b'4000000000'})), send_to_spooler({b'at': b'4000000000'})[:1], len(spooler_jobs()) > 1",
    "sorted(spooler_get_task(spool({b'at': b'4000000000', b'a': b'b'}).decode()), key=str)",
    "spooler_pid() > 0, [pid > 0 for pid in spooler_pids()]",
    "spool()",
    "cache_get('k', 'x@127.0.0.1:1')",
    "cache_set('k', b'v', 0, 'x@127.0.0.1:1')",
    "SymbolsImporter().find_module('x')",
]
#: call, up to its bracket -> what a program says of it, or raises; each gives another answer than a web worker
IN_A_PROGRAM = {
    "cache": "uwsgi.cache_*(): uWSGI would have returned None, because no cache is configured",
    "metric": "uwsgi.metric_*(): uWSGI would have done nothing, because metrics are not enabled",
    "cache_get('k', 'x@127.0.0.1:1')": "NotEmulated",
    "cache_set('k', b'v', 0, 'x@127.0.0.1:1')": "NotEmulated",
    "signal(300)": "300: uWSGI would have wrapped this signal number modulo 256",
    "worker_id()": "0",
    "workers()": "({'id': 1, 'pid': 0,",
}
#: what does nothing in a program, and says so
SAID_IN_A_PROGRAM = [
    "uwsgi.log_this_request(): there is no request log here",
    "uwsgi.set_user_harakiri(): nobody kills this process here",
    "uwsgi.rpc(): no function b'nope' is registered in this process",
    "uwsgi.farm_msg(): there is no farm 'f'",
]


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("calls", "options"),
    [
        pytest.param(CALLS, (), id="nothing configured"),
        pytest.param(
            CALLS_WITH_ALL,
            (
                *("--cache2", "name=first,items=6,blocksize=64", "--cache2", "name=second,items=9"),
                *("--enable-metrics", "--metric", "m", "--metric", "name=i,type=gauge,initial_value=5"),
                *("--socket", "u.sock", "--processes", "2"),
            ),
            id="cache and metrics",
            marks=pytest.mark.needs("long-64"),  # metrics are C longs
        ),
    ],
)
def test_it_answers_as_a_real_uwsgi(
    request: pytest.FixtureRequest,
    spawn: Any,
    wait_for: Any,
    uwsgi_binary: str,
    tmp_path: Path,
    calls: list[str],
    options: tuple[str, ...],
):
    """At import time and in a spooler every call gives the same value, or the same exception, on both sides."""
    calls = there(calls, request.node)
    ours = [sys.executable, "-m", "spoolsim", "run", "--faithful"]
    found: dict[str, dict[str, Any]] = {}
    for side, start in (("uwsgi", [uwsgi_binary]), ("spoolsim", ours)):
        home = tmp_path / side
        (home / "sp").mkdir(parents=True)
        (home / "sp" / "uwsgi_spoolfile_on_a").write_bytes(b"\x11\0\0\0")
        (home / "calls.json").write_text(json.dumps(calls))
        (home / "app.py").write_text(APP)
        environment = {**os.environ, "TMPDIR": str(home)}
        process = spawn(
            [*start, "--master", "--spooler", "sp", "--pythonpath", ".", "--import", "app", *options],
            cwd=home,
            env=environment,
        )
        wait_for((home / "spooler").exists, 20, f"the task under {side}; the output was:\n{process.output()}")
        if side == "spoolsim":  # a real one with workers and metrics does not always end; the fixture kills it
            process.stop()
        found[side] = {where: json.loads((home / where).read_text()) for where in ("master", "spooler")}
    assert len(found["uwsgi"]["spooler"]) == len(calls)
    assert found["spoolsim"] == found["uwsgi"]


IN_THE_WORKER = """
def hook():
    if uwsgi.worker_id() == 1: ask(here + "/worker")
uwsgi.post_fork_hook = hook
"""


def asked(spawn: Any, wait_for: Any, home: Path, calls: list[str], *command: str) -> tuple[dict[str, Any], str]:
    """What APP, run by this command, got of the calls in a web worker, or a program; and all that was printed."""
    (home / "sp").mkdir(parents=True)
    (home / "calls.json").write_text(json.dumps(calls))
    (home / "app.py").write_text(APP + IN_THE_WORKER)
    process = spawn(command, cwd=home, env={**os.environ, "TMPDIR": str(home)})
    wait_for((home / "worker").exists, 20, f"the answers; the output was:\n{process.output()}")
    if "dev" in command:
        assert process.wait_exit(20) == 0
    return json.loads((home / "worker").read_text()), process.output()


@pytest.mark.oracle
@pytest.mark.needs("long-64")  # an `at` beyond 2038
def test_a_program_answers_as_a_web_worker(
    request: pytest.FixtureRequest, spawn: Any, wait_for: Any, uwsgi_binary: str, tmp_path: Path
):
    """Under dev a program gets what a web worker of a real uWSGI gets; where not, it is told, or NotEmulated."""
    calls = there([*CALLS, *CALLS_OF_A_WORKER], request.node)
    options = ["--master", "--spooler", "sp", "--pythonpath", ".", "--import", "app", "--socket", "u.sock"]
    real, _ = asked(spawn, wait_for, tmp_path / "real", calls, uwsgi_binary, *options, "--processes", "1")
    web = [sys.executable, "-c", "import app; app.ask(app.here + '/worker')"]
    ours, output = asked(
        spawn, wait_for, tmp_path / "ours", calls, sys.executable, "-m", "spoolsim", "dev", *options, "--", *web
    )
    said = [line.partition("|")[2] for line in output.splitlines() if line.startswith("python")]
    for key, answer in ours.items():
        call = key.partition(" ")[2]
        if answer == real[key]:
            continue
        expected = IN_A_PROGRAM.get(call) or IN_A_PROGRAM[call.partition("_")[0]]
        assert expected in str(answer) or any(expected in line for line in said), (call, answer, real[key])
    for line in SAID_IN_A_PROGRAM:
        assert sum(line in one for one in said) == 1, line


def test_each_function_is_called_somewhere(tmp_path: Path):
    """Every function that works or is emulated is among the calls that are asked of both, or in a test named here."""
    elsewhere = {
        "get_logvar": "test_instance.py; uWSGI crashes outside of a request",
        "set_logvar": "likewise",
        "reload": "test_exec.py",
        "stop": "test_exec.py",
        "signal_wait": "the oracle's signal_wait_in_a_worker",
    }
    words = set(re.findall(r"\w+", " ".join([*CALLS, *CALLS_WITH_ALL, *CALLS_OF_A_WORKER])))
    functions = {name for name in RECORDED if RECORDED[name] == "function" and name not in surface.NOT_EMULATED}
    assert functions - words == set(elsewhere)
