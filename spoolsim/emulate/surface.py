"""Every name of the `uwsgi` module of uWSGI 2.0.31, and what becomes of it here.

One table: the module looks its names up in it, the reference page is made of it, a test holds it against the names
that a real uWSGI has. Read at the first use of a name, never at the start of a process.
"""

from __future__ import annotations

from spoolsim.emulate.stand_ins import SCHEMES, function

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_REQUEST = "a web worker, during a request"
_ASYNC = "a web worker with an async loop"
_MULE = "a mule"

_FIRES = "fired by the master of `spoolsim run`; elsewhere it only logs where it would fire"

#: names that the module itself has: name -> what is to be known
WORKS: dict[str, str] = {
    "SPOOL_IGNORE": "",
    "SPOOL_OK": "",
    "SPOOL_RETRY": "",
    "add_cron": _FIRES,
    "add_file_monitor": _FIRES,
    "add_rb_timer": _FIRES,
    "add_timer": _FIRES,
    "applications": "None: there is no web worker",
    "buffer_size": "4096, uWSGI's default",
    "cores": "1",
    "has_threads": "1",
    "hostname": "",
    "i_am_the_spooler": "True, or None",
    "is_a_reload": "False",
    "log": "",
    "loop": "None",
    "masterpid": "",
    "mule_id": "0: there are no mules",
    "numproc": "the option `processes`; 0 without a socket",
    "opt": "as uWSGI shows it: the last value of each option",
    "ready": "True in spoolers and workers, None in the master",
    "register_signal": "while the app is imported; the handlers of a run are those that it imports itself",
    "send_to_spooler": "",
    "set_spooler_frequency": "in a program, that of the dev behind it; without one says that nothing changes",
    "set_user_harakiri": "in a spooler; elsewhere says once that nobody kills the process",
    "signal": "to this machine only; a program's goes to the run on its spool directory, without one NotEmulated",
    "signal_received": "",
    "signal_registered": "in a program, also what the run on its spool directory has",
    "signal_wait": "in a spooler and in the stand-in worker; elsewhere NotEmulated",
    "sockets": "empty: no socket is opened",
    "spool": "",
    "spooler": "as the app sets it",
    "spooler_get_task": "",
    "spooler_jobs": "",
    "spooler_pid": "0 in a program that no dev has started",
    "spooler_pids": "0 in a program that no dev has started",
    "spoolers": "",
    "started_on": "",
    "unbit": "None",
    "version": "of the uWSGI that is emulated",
    "version_info": "of the uWSGI that is emulated",
    "worker_id": "1 in the stand-in worker, else 0",
}

_SHARED = "shared by all processes of one run, exec or dev"
_CACHE = "shared by all processes of one run, exec or dev; a remote one NotEmulated"
_METRIC = _SHARED

#: module of this wing -> name -> what is to be known
EMULATED: dict[str, dict[str, str]] = {
    "cache": {
        "cache_clear": _CACHE,
        "cache_dec": _CACHE,
        "cache_del": _CACHE,
        "cache_div": _CACHE,
        "cache_exists": _CACHE,
        "cache_get": _CACHE + "; an item is gone when its time has come, in uWSGI up to 3 s later",
        "cache_inc": _CACHE,
        "cache_keys": _SHARED + "; in the order of the keys",
        "cache_mul": _CACHE,
        "cache_num": _CACHE,
        "cache_set": _CACHE,
        "cache_update": _CACHE,
    },
    "metrics": {
        "metric_dec": _METRIC,
        "metric_div": _METRIC,
        "metric_get": _METRIC + "; uWSGI's own metrics are 0",
        "metric_inc": _METRIC,
        "metric_mul": _METRIC,
        "metric_set": _METRIC,
        "metric_set_max": _METRIC,
        "metric_set_min": _METRIC,
    },
    "locks": {
        "is_locked": "between processes and threads; not in a spooler, as in uWSGI",
        "lock": "between processes and threads; not in a spooler, as in uWSGI",
        "unlock": "between processes and threads; not in a spooler, as in uWSGI",
    },
    "rpc": {
        "call": "functions of this process, and those registered before it was forked",
        "register_rpc": "in this process; not in a spooler, as in uWSGI",
        "rpc": "functions of this process, and those registered before it was forked; no remote node",
        "rpc_list": "",
    },
    "instance": {
        "listen_queue": "0, or the error, as with an idle socket or none",
        "magic_table": "the placeholders that hold for every configuration file",
        "logsize": "0, as without a log file",
        "mem": "of this process",
        "micros": "",
        "parsefile": "",
        "request_id": "0: no request is served",
        "reload": "under run with processes",
        "setprocname": "with setproctitle, else the short name that Linux knows",
        "stop": "under run with processes",
        "total_requests": "0: no request is served",
        "workers": "the configured workers, idle; a process only for the stand-in worker",
    },
    "stand_ins": {
        "get_logvar": "of this thread; in the master and in a spooler, where uWSGI crashes, NotEmulated",
        "log_this_request": "says once that there is no request log",
        "set_logvar": "of this thread; in the master and in a spooler, where uWSGI crashes, NotEmulated",
        "embedded_data": "nothing is embedded here",
        "farm_get_msg": "as in a uWSGI without mules; with them NotEmulated",
        "farm_msg": "as in a uWSGI without mules; with them NotEmulated",
        "i_am_the_lord": "False, as without legions; with them NotEmulated",
        "in_farm": "None, as in a uWSGI without mules",
        "lord_scroll": "None, as without legions; with them NotEmulated",
        "mule_get_msg": "as in a uWSGI without mules",
        "mule_msg": "as in a uWSGI without mules; with them NotEmulated",
        "scrolls": "None, as without legions; with them NotEmulated",
        "SymbolsImporter": "finds nothing: nothing is embedded here",
        "SymbolsZipImporter": "nothing is embedded here",
    },
}

#: name -> where uWSGI would run it; here the call raises NotEmulated
NOT_EMULATED: dict[str, str] = {
    "accepting": "a web worker that says when it accepts requests",
    "add_var": _REQUEST,
    "alarm": "any process: it hands the message to the alarms of the option `alarm`",
    "async_connect": _ASYNC,
    "async_sleep": _ASYNC,
    "chunked_read": _REQUEST,
    "chunked_read_nb": _REQUEST,
    "cl": _REQUEST,
    "close": _ASYNC,
    "connect": _ASYNC,
    "connection_fd": _REQUEST,
    "disconnect": _REQUEST,
    "extract": SCHEMES,
    "green_schedule": _ASYNC,
    "is_connected": _ASYNC,
    "offload": "a web worker with offload threads",
    "ready_fd": _ASYNC,
    "recv": _ASYNC,
    "send": _REQUEST,
    "sendfile": _REQUEST,
    "set_warning_message": "the master, which shows the message on its error page",
    "start_response": _REQUEST,
    "suspend": _ASYNC,
    "wait_fd_read": _ASYNC,
    "wait_fd_write": _ASYNC,
    "websocket_handshake": _REQUEST,
    "websocket_recv": _REQUEST,
    "websocket_recv_nb": _REQUEST,
    "websocket_send": _REQUEST,
    "websocket_send_binary": _REQUEST,
    "ZipImporter": SCHEMES,
}

_SNMP = ("counter32", "counter64", "gauge")
_WIDTHS = ("8", "16", "32", "64")

#: options -> the names that only a uWSGI with one of these has; here they are there then, and raise NotEmulated
OPTIONAL: dict[tuple[str, ...], tuple[str, ...]] = {
    ("queue",): (
        *(f"queue_{verb}" for verb in ("get", "set", "last", "push", "pull", "pop", "slot", "pull_slot")),
        "queue_size",
    ),
    ("sharedarea",): (
        *(f"sharedarea_{verb}{width}" for verb in ("read", "write") for width in ("", "byte", "long", *_WIDTHS)),
        *(f"sharedarea_{verb}" for verb in ("inclong", "inc64", "inc32", "dec64", "dec32")),
        *(f"sharedarea_{verb}" for verb in ("rlock", "wlock", "unlock", "object", "memoryview")),
    ),
    ("snmp", "snmp-community"): (
        "snmp_set_community",
        *(f"snmp_{verb}_{kind}" for verb in ("set", "incr", "decr") for kind in _SNMP),
    ),
}

_HOME = {name: home for home, names in EMULATED.items() for name in names} | {"ZipImporter": "stand_ins"}


def find(name: str, opt: Mapping[str, object]) -> object:
    """The object behind a name that the module itself does not have; `opt` is uwsgi.opt.

    Raises AttributeError for a name that uWSGI has not either, or only with another option.
    """
    home = _HOME.get(name)
    if home is not None:
        from importlib import import_module

        return getattr(import_module(f"spoolsim.emulate.{home}"), name)
    where = NOT_EMULATED.get(name, "")
    if not where:
        options = next((options for options, names in OPTIONAL.items() if name in names), ())
        if not options:
            raise AttributeError(f"module 'uwsgi' has no attribute {name!r}")
        option = options[0]
        if not opt.keys() & set(options):
            raise AttributeError(f"module 'uwsgi' has no attribute {name!r}: uWSGI has it only with option {option}")
        if name == "queue_size":
            return _number(opt["queue"])
        where = f"any process, on what option {option} makes"
    return function(name, where)


def _number(value: object) -> int:
    """The number that uWSGI reads in an option's value."""
    digits = value.decode() if isinstance(value, bytes) else ""
    return int(digits) if digits.isdigit() else 0


def names(opt: Mapping[str, object]) -> list[str]:
    """The names that `find` knows."""
    optional = (name for options, some in OPTIONAL.items() if opt.keys() & set(options) for name in some)
    return [*dict.fromkeys((*_HOME, *NOT_EMULATED)), *optional]


def table() -> list[tuple[str, str, str]]:
    """(name, "works", "emulated" or "NotEmulated", what is to be known), by name."""
    rows = [(name, "works", remark) for name, remark in WORKS.items()]
    rows += [(name, "emulated", remark) for some in EMULATED.values() for name, remark in some.items()]
    rows += [(name, "NotEmulated", f"uWSGI runs it in {where}") for name, where in NOT_EMULATED.items()]
    return sorted(rows, key=lambda row: row[0].lower())


def page() -> str:
    """The reference page: each name and what becomes of it."""
    rows = table()
    counts = {kind: sum(row[1] == kind for row in rows) for kind in ("works", "emulated", "NotEmulated")}
    lines = ["# The `uwsgi` module", "", _ABOUT, ""]
    lines += [f"{len(rows)} names: " + ", ".join(f"{count} {kind}" for kind, count in counts.items()) + ".", ""]
    lines += ["| name | here | |", "|---|---|---|"]
    lines += [f"| `{name}` | {kind} | {remark} |" for name, kind, remark in rows]
    lines += ["", "## Only with an option", "", _OPTIONAL, "", "| option | names |", "|---|---|"]
    for options, some in OPTIONAL.items():
        shown = " or ".join(f"`{option}`" for option in options)
        lines.append(f"| {shown} | {', '.join(f'`{name}`' for name in some)} |")
    lines += ["", _TYPING, "", "| name | types-uwsgi | here |", "|---|---|---|"]
    lines += [f"| {', '.join(f'`{name}`' for name in some)} | {theirs} | {ours} |" for some, theirs, ours in TYPES]
    return "\n".join([*lines, ""])


_ABOUT = """\
What `import uwsgi` gives to an app under spoolsim, name by name. *works*: as in uWSGI, by spoolsim's own processes.
*emulated*: what it answers is true here. *NotEmulated*: calling it raises `spoolsim.NotEmulated`, a sentence that says
where uWSGI would run it; with `--not-emulated=warn` it returns None and says so once. Importing never fails."""

_OPTIONAL = """\
A uWSGI without the option does not have these names at all, and neither has spoolsim. With the option they are there
and NotEmulated; but `queue_size` is a number, the option's."""

#: names whose types differ from those of types-uwsgi, so that ours cannot stand where its stand: (names, theirs, ours)
TYPES: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (("SPOOL_IGNORE", "SPOOL_OK", "SPOOL_RETRY"), "`Literal`", "`int`"),
    (("SymbolsImporter", "SymbolsZipImporter", "ZipImporter"), "classes of the stubs", "classes of spoolsim's own"),
    (
        ("cache_set", "cache_update", "farm_msg"),
        "any buffer that is read-only",
        "`str` or `bytes`, as most callers have",
    ),
    (("mule_msg",), "overloads; `bool`", "one signature; `bool`, or None (with `--not-emulated=warn`)"),
    (("register_rpc",), "the count decides the function's type", "any function: uWSGI does not hold it to the count"),
    (("signal",), "all arguments may be left out", "the number is needed, as in uWSGI"),
    (("signal_wait",), '`Literal[b""]`', "`bytes`, or None (with `--not-emulated=warn`)"),
    (("spooler_get_task",), "keys are bytes", "`'spooler_task_name'` and `'body'` are str"),
    (("workers",), "keys are bytes; may be None", "keys are str; a tuple, empty without a socket"),
    (("spooler",), "always there", "there once the app sets it"),
)

_TYPING = """\
## Types

The module is typed, and agrees with the stubs `types-uwsgi` but for these, where a running uWSGI 2.0.31 decided. What
is NotEmulated is `object`: the call raises. What returns True, or None, is `bool` here, and `Literal[True]` there. Two
names of the stubs are not in the build on PyPI, and not here: `decorators` and `route()`."""


def walk() -> list[tuple[str, str, str]]:
    """(name, what the table says, what is seen) of every name in this process, the optional ones included.

    Seen is the type, "raises NotEmulated" of what was called and did, or "absent" without the option it needs. Only
    what the table says to be NotEmulated is called: nobody stops an instance to see whether that works.
    """
    import sys
    from importlib import import_module

    from spoolsim.work.app import SHIM

    sys.path.insert(0, SHIM)
    module = import_module("uwsgi")
    rows = [(name, kind) for name, kind, _ in table()]
    rows += [(name, "works" if name == "queue_size" else "NotEmulated") for some in OPTIONAL.values() for name in some]
    return [(name, kind, _seen(module, name, kind)) for name, kind in rows]


def _seen(module: object, name: str, kind: str) -> str:
    from spoolsim.errors import NotEmulated

    try:
        found: Any = getattr(module, name)
    except AttributeError:
        return "absent"
    if kind == "NotEmulated":
        try:
            found()
        except NotEmulated:
            return "raises NotEmulated"
    return type(found).__name__


def main() -> None:
    """Walk every name and print what the table says and what is seen."""
    for row in walk():
        print("\t".join(row))


if __name__ == "__main__":
    main()
