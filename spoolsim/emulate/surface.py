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

_FIRES = "the master of `spoolsim run` fires it; in other programs the call only logs that it would"

#: names that the module itself has: name -> what is to be known
WORKS: dict[str, str] = {
    "SPOOL_IGNORE": "",
    "SPOOL_OK": "",
    "SPOOL_RETRY": "",
    "add_cron": _FIRES,
    "add_file_monitor": _FIRES,
    "add_rb_timer": _FIRES,
    "add_timer": _FIRES,
    "applications": "None, because there is no web worker",
    "buffer_size": "4096, uWSGI's default",
    "cores": "1",
    "has_threads": "1",
    "hostname": "",
    "i_am_the_spooler": "True in a spooler, None elsewhere",
    "is_a_reload": "False",
    "log": "",
    "loop": "None",
    "masterpid": "",
    "mule_id": "0, because there are no mules",
    "numproc": "the option `processes`; 0 without a socket",
    "opt": "the last value of each option, as in uWSGI",
    "ready": "True in spoolers and workers, None in the master",
    "register_signal": "works while the app is imported; a run has only the handlers that its own imports register",
    "send_to_spooler": "",
    "set_spooler_frequency": "in a program under `spoolsim dev`; under `exec` it logs that nothing changes",
    "set_user_harakiri": "in a spooler; elsewhere it logs once that nothing kills the process",
    "signal": "on this machine only; from a program, to the run on its spool directory; without one NotEmulated",
    "signal_received": "",
    "signal_registered": "in a program, also the signals of the run on its spool directory",
    "signal_wait": "in a spooler and in the stand-in worker; elsewhere NotEmulated",
    "sockets": "empty, because no socket is opened",
    "spool": "",
    "spooler": "what the app sets",
    "spooler_get_task": "",
    "spooler_jobs": "",
    "spooler_pid": "0 in a program that was not started by `spoolsim dev`",
    "spooler_pids": "0 in a program that was not started by `spoolsim dev`",
    "spoolers": "",
    "started_on": "",
    "unbit": "None",
    "version": "that of the emulated uWSGI",
    "version_info": "that of the emulated uWSGI",
    "worker_id": "1 in the stand-in worker, 0 elsewhere",
}

_SHARED = "shared by all processes of one run, exec or dev"
_CACHE = "shared by all processes of one run, exec or dev; a remote cache is NotEmulated"
_METRIC = _SHARED

#: module of this wing -> name -> what is to be known
EMULATED: dict[str, dict[str, str]] = {
    "cache": {
        "cache_clear": _CACHE,
        "cache_dec": _CACHE,
        "cache_del": _CACHE,
        "cache_div": _CACHE,
        "cache_exists": _CACHE,
        "cache_get": _CACHE + "; an item disappears at its expiry, in uWSGI up to 3 s later",
        "cache_inc": _CACHE,
        "cache_keys": _SHARED + "; sorted by key",
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
        "is_locked": "works between processes and threads; not in a spooler, as in uWSGI",
        "lock": "works between processes and threads; not in a spooler, as in uWSGI",
        "unlock": "works between processes and threads; not in a spooler, as in uWSGI",
    },
    "rpc": {
        "call": "calls functions of this process and those registered before the fork",
        "register_rpc": "registers in this process; not in a spooler, as in uWSGI",
        "rpc": "calls functions of this process and those registered before the fork; no remote nodes",
        "rpc_list": "",
    },
    "instance": {
        "listen_queue": "0, as with an idle socket; without a socket uWSGI's error",
        "magic_table": "the placeholders that are valid in every configuration file",
        "logsize": "0, as without a log file",
        "mem": "of this process",
        "micros": "",
        "parsefile": "",
        "request_id": "0, because no request is served",
        "reload": "works under `spoolsim run`, but not with `--inline`",
        "setprocname": "uses setproctitle if installed, else sets the short name that Linux shows",
        "stop": "works under `spoolsim run`, but not with `--inline`",
        "total_requests": "0, because no request is served",
        "workers": "the configured workers, all idle; only the stand-in worker is a process",
    },
    "stand_ins": {
        "get_logvar": "the variable of this thread; NotEmulated in the master and in a spooler, where uWSGI crashes",
        "log_this_request": "logs once that there is no request log",
        "set_logvar": "the variable of this thread; NotEmulated in the master and in a spooler, where uWSGI crashes",
        "embedded_data": "as in a uWSGI with nothing embedded",
        "farm_get_msg": "as in a uWSGI without mules; NotEmulated if mules are configured",
        "farm_msg": "as in a uWSGI without mules; NotEmulated if mules are configured",
        "i_am_the_lord": "False, as without legions; NotEmulated if legions are configured",
        "in_farm": "None, as in a uWSGI without mules",
        "lord_scroll": "None, as without legions; NotEmulated if legions are configured",
        "mule_get_msg": "as in a uWSGI without mules",
        "mule_msg": "as in a uWSGI without mules; NotEmulated if mules are configured",
        "scrolls": "None, as without legions; NotEmulated if legions are configured",
        "SymbolsImporter": "finds nothing, as in a uWSGI with nothing embedded",
        "SymbolsZipImporter": "as in a uWSGI with nothing embedded",
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
    lines += ["| name | here | remarks |", "|---|---|---|"]
    lines += [f"| `{name}` | {kind} | {remark} |" for name, kind, remark in rows]
    lines += ["", "## Only with an option", "", _OPTIONAL, "", "| option | names |", "|---|---|"]
    for options, some in OPTIONAL.items():
        shown = " or ".join(f"`{option}`" for option in options)
        lines.append(f"| {shown} | {', '.join(f'`{name}`' for name in some)} |")
    lines += ["", _TYPING, "", "| name | types-uwsgi | here |", "|---|---|---|"]
    lines += [f"| {', '.join(f'`{name}`' for name in some)} | {theirs} | {ours} |" for some, theirs, ours in TYPES]
    return "\n".join([*lines, ""])


_ABOUT = """\
What an app gets from `import uwsgi` under spoolsim, name by name. Importing never fails. The second column says what a
call does:

- *works*: it does what it does in uWSGI.
- *emulated*: it gives the answer that is true here, without the part of uWSGI behind it.
- *NotEmulated*: it raises `spoolsim.NotEmulated`, whose message says where uWSGI would run it. With
  `--not-emulated=warn` it returns None and logs that once."""

_OPTIONAL = """\
Without the option neither uWSGI nor spoolsim has these names. With the option they exist and are NotEmulated, except
`queue_size`, which is the number that the option sets."""

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
    (("register_rpc",), "the count decides the function's type", "any function; uWSGI does not check the count"),
    (("signal",), "all arguments may be left out", "the number is required, as in uWSGI"),
    (("signal_wait",), '`Literal[b""]`', "`bytes`, or None (with `--not-emulated=warn`)"),
    (("spooler_get_task",), "keys are bytes", "`'spooler_task_name'` and `'body'` are str"),
    (("workers",), "keys are bytes; may be None", "keys are str; a tuple, empty without a socket"),
    (("spooler",), "always there", "exists once the app sets it"),
)

_TYPING = """\
## Types

The module is typed. It agrees with the stubs of `types-uwsgi` except in this table, where a running uWSGI 2.0.31
decided. What is NotEmulated has the type `object`. Functions that return True or None have the type `bool`; in the
stubs it is `Literal[True]`. Of the names in the stubs, `decorators` and `route()` are missing in spoolsim and in the
build on PyPI."""


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
