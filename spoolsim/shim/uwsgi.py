"""The `uwsgi` module, as an app imports it outside uWSGI.

Found through a directory on PYTHONPATH, never installed. Names, types and exceptions are those of uWSGI 2.0.31's
module; what an app assigns (`uwsgi.spooler`, `uwsgi.post_fork_hook`) are plain attributes, as there.
"""

from __future__ import annotations

import os
import sys
import time

try:
    import spoolsim as _package
except ModuleNotFoundError:  # a program of another environment, under exec: the package is around this file
    from importlib import util as _util

    _home = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    _spec = _util.spec_from_file_location("spoolsim", f"{_home}/__init__.py", submodule_search_locations=[_home])
    assert _spec is not None and _spec.loader is not None
    sys.modules["spoolsim"] = _package = _util.module_from_spec(_spec)
    _spec.loader.exec_module(_package)

from spoolsim import system as _system
from spoolsim.spool import jobs as _jobs
from spoolsim.tasks import people as _people
from spoolsim.work import app as _app
from spoolsim.work import outcome as _outcome
from spoolsim.work import program as _program
from spoolsim.work import scoreboard as _board
from spoolsim.work.signature import takes as _takes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from spoolsim.emulate.cache import (  # noqa: F401 - for type checkers
        cache_clear,
        cache_dec,
        cache_del,
        cache_div,
        cache_exists,
        cache_get,
        cache_inc,
        cache_keys,
        cache_mul,
        cache_num,
        cache_set,
        cache_update,
    )
    from spoolsim.emulate.instance import (  # noqa: F401 - for type checkers
        listen_queue,
        logsize,
        magic_table,
        mem,
        micros,
        parsefile,
        reload,
        request_id,
        setprocname,
        stop,
        total_requests,
        workers,
    )
    from spoolsim.emulate.locks import is_locked, lock, unlock  # noqa: F401 - for type checkers
    from spoolsim.emulate.metrics import (  # noqa: F401 - for type checkers
        metric_dec,
        metric_div,
        metric_get,
        metric_inc,
        metric_mul,
        metric_set,
        metric_set_max,
        metric_set_min,
    )
    from spoolsim.emulate.rpc import call, register_rpc, rpc, rpc_list  # noqa: F401 - for type checkers
    from spoolsim.emulate.stand_ins import (  # noqa: F401 - for type checkers
        SymbolsImporter,
        SymbolsZipImporter,
        ZipImporter,
        embedded_data,
        farm_get_msg,
        farm_msg,
        get_logvar,
        i_am_the_lord,
        in_farm,
        log_this_request,
        lord_scroll,
        mule_get_msg,
        mule_msg,
        scrolls,
        set_logvar,
    )

#: names that uWSGI has only where a spooler is configured
# fmt: off
_NEED_A_SPOOLER = frozenset((
    "send_to_spooler", "set_spooler_frequency", "spool", "spooler_get_task", "spooler_jobs", "spooler_pid",
    "spooler_pids", "spoolers",
))
# fmt: on
#: names here that are none of uWSGI's
_PRIVATE = frozenset(("annotations", "os", "sys", "time", "TYPE_CHECKING"))
#: what this module talks to; its presence tells our module from uWSGI's
_spoolsim = _program.in_this_process()
_people.tell(_spoolsim.log)

SPOOL_OK = _outcome.SPOOL_OK
SPOOL_RETRY = _outcome.SPOOL_RETRY
SPOOL_IGNORE = _outcome.SPOOL_IGNORE

version: bytes
version_info: tuple[int, int, int, int, bytes]
if _spoolsim.options.uwsgi == "2.1":
    version, version_info = b"2.1-dev", (2, 1, 0, 0, b"dev")
else:
    version, version_info = b"2.0.31", (2, 0, 31, 0, b"")
hostname = os.fsencode(_system.nodename())
opt: dict[str, bytes | bool | list[bytes | bool]] = _spoolsim.options.opt
numproc = max(1, _spoolsim.options.web_processes) if _spoolsim.options.sockets else 0
cores = 1
buffer_size = 4096
has_threads = 1
is_a_reload = False
started_on = int(time.time())
applications = unbit = loop = None
sockets: list[int] = []


# ---- the spooler ------------------------------------------------------------------------------------------------


def _spool(*args: dict[bytes, bytes], **kwargs: bytes) -> bytes:
    """uwsgi.spool(dict) -> absolute path of the spool file; ValueError with uWSGI's sentence."""
    job: object = None
    if args:
        job = args[0]
        if len(args) > 1 or kwargs:
            _spoolsim.note("arguments-dropped")
    elif kwargs:
        from spoolsim.emulate.arguments import refused_keywords

        raise refused_keywords(kwargs)
    elif _empty_keywords():
        job = kwargs
    if not isinstance(job, dict):
        error = ValueError("The argument of spooler callable must be a dictionary")
        error.add_note(f"got {'nothing' if not args else type(job).__name__}; call uwsgi.spool({{b'key': b'value'}})")
        raise error
    return _spoolsim.producer.spool(job)


def _empty_keywords() -> bool:
    """Was the call one with an expanded, empty keyword dictionary? uWSGI takes that for an empty task."""
    caller = sys._getframe(2)
    import opcode

    if caller.f_code.co_code[caller.f_lasti] != opcode.opmap["CALL_FUNCTION_EX"]:
        return False
    _spoolsim.note("empty-call")
    return not _spoolsim.policy.refuses_empty_call


def _spooler_jobs(*ignored: Any) -> list[bytes]:
    """The spool files in the top level of the first spooler, as absolute paths."""
    return _jobs.jobs(_spoolsim.directories[0][0])


@_takes("s")
def _spooler_get_task(path: str, /) -> dict[str | bytes, bytes] | None:
    """A spool file as its handler would get it, the path in place of its name; None when it cannot be had."""
    return _jobs.get_task(path, _spoolsim.options.max_body)


def _spooler_pids() -> list[int]:
    """One pid for each entry of uwsgi.spoolers; 0 for an external one, or before it is there."""
    board = _spoolsim.board
    if _spoolsim.role == _app.PROGRAM:
        from spoolsim.work import program

        return program.spooler_pids(_spoolsim)
    if board is None:
        return [0 if slot < 0 or _spoolsim.role == _app.MASTER else os.getpid() for _, slot in _spoolsim.directories]
    return [0 if slot < 0 else board.serving(slot)[_board.PID] for _, slot in _spoolsim.directories]


def _spooler_pid() -> int:
    """The first spooler's pid."""
    return _spooler_pids()[0]


@_takes("i", None)
def _set_spooler_frequency(value: int, /) -> bool:
    """Change the wait of every spooler, in seconds, from its next wait on; 0 goes back to the option's value."""
    board = _spoolsim.board
    if _spoolsim.role == _app.PROGRAM:
        from spoolsim.work import program

        if not program.set_frequency(_spoolsim, value):
            from spoolsim.emulate.stand_ins import say_once

            say_once("set_spooler_frequency", "no spooler runs behind this program: nothing changes")
    elif board is None:
        _spoolsim.set_frequency = value
    else:
        board.words[_board.FREQUENCY] = value & 0xFFFFFFFF
    return True


if _spoolsim.directories:
    spool = send_to_spooler = _spool
    spooler_jobs = _spooler_jobs
    spooler_get_task = _spooler_get_task
    spooler_pid = _spooler_pid
    spooler_pids = _spooler_pids
    set_spooler_frequency = _set_spooler_frequency
    spoolers = tuple(_directory.bpath for _directory, _slot in _spoolsim.directories)
    for _function in (spool, spooler_jobs, spooler_get_task, spooler_pid, spooler_pids, set_spooler_frequency):
        _function.__name__ = _function.__name__.lstrip("_")


def i_am_the_spooler() -> bool | None:
    """True in a spooler; None, not False, elsewhere."""
    return True if _spoolsim.role == _app.SPOOLER else None


def set_user_harakiri(seconds: int, /) -> None:
    """Kill this process when it is still there after so many seconds; 0 disarms."""
    if _spoolsim.harakiri_word is not None:
        _spoolsim.harakiri_word(int(seconds))
    elif _spoolsim.role != _app.MASTER:  # there it is without effect in uWSGI, too
        from spoolsim.emulate import stand_ins

        stand_ins.set_user_harakiri(int(seconds))


# ---- who am I ---------------------------------------------------------------------------------------------------


def masterpid() -> int:
    """The pid of the process the spoolers were forked from; signals sent to it reach the master."""
    return _spoolsim.master_pid


def worker_id() -> int:
    """1 in the stand-in worker, 0 elsewhere."""
    return _spoolsim.worker_id


def mule_id() -> int:
    """0: there are no mules."""
    return 0


@_takes("s")
def log(line: str, /) -> bool:
    """Write one line to the log."""
    _spoolsim.logged(line)
    return True


def ready() -> bool | None:
    """Is the app loaded? True in spoolers and workers, None in the master."""
    return None if _spoolsim.role == _app.MASTER else True


# ---- signals ----------------------------------------------------------------------------------------------------


@_takes("isO")
def register_signal(number: int, target: str, handler: Callable[[int], Any], /) -> None:
    """Register a handler for a uwsgi signal; only while the app is imported. ValueError as in uWSGI."""
    _spoolsim.signals.register(number, target, handler)


@_takes("is", optional=1)
def signal(number: int, node: str = "", /) -> None:
    """Raise a uwsgi signal; in a program under dev or exec, in the run that serves its spool directory.

    Raises NotEmulated for one to another node, and in a program for whose directory there is no run.
    """
    if node:
        from spoolsim.emulate.stand_ins import refuse

        refuse("signal", f"a server at {node!r}; spoolsim signals no other node")
    elif _spoolsim.role == _app.PROGRAM:
        from spoolsim.emulate import stand_ins

        stand_ins.signal(number)
    else:
        _spoolsim.signals.send(number)


@_takes("i")
def signal_registered(number: int, /) -> bool | None:
    """True when a signal has a handler, in a program also when the run has one for it; else None."""
    if _spoolsim.role == _app.PROGRAM:
        from spoolsim.emulate import stand_ins

        return stand_ins.signal_registered(number)
    return True if _spoolsim.signals.number(number) in _spoolsim.signals.handlers else None


@_takes("i", "", optional=1)
def signal_wait(number: int = -1) -> bytes | None:
    """Wait for a signal to processes of this kind (a certain one, if given), and run the handlers of what comes.

    In a spooler and in the stand-in worker; returns b'', as uWSGI does. Raises NotEmulated elsewhere.
    """
    signals = _spoolsim.signals
    pipe, who = {
        _app.SPOOLER: (signals.spoolers, f"spooler {os.getpid()}"),
        _app.WORKER: (signals.workers, "worker 1"),
    }.get(_spoolsim.role, (None, ""))
    if pipe is None:
        from spoolsim.emulate.stand_ins import refuse

        refuse("signal_wait", "a spooler or a web worker; with --stand-in-worker, there")
        return None
    signals.wait(pipe, number, who, _spoolsim.print_error)
    return b""


def signal_received() -> int:
    """The number of the last signal this process got."""
    return _spoolsim.signals.received


def _add(name: str, kind: str, number: int, *spec: int | str) -> None:
    """Have the master raise a signal; a program has none, and says where it is raised."""
    _spoolsim.signals.add(kind, number, *spec)
    if _spoolsim.role == _app.PROGRAM:
        from spoolsim.emulate import stand_ins

        stand_ins.timed(name, number)


@_takes("ii")
def add_timer(number: int, seconds: int, /) -> None:
    """Raise a signal every so many seconds."""
    _add("add_timer", "timer", number, seconds)


@_takes("iii", optional=1)
def add_rb_timer(number: int, seconds: int, iterations: int = 0, /) -> None:
    """Raise a signal every so many seconds, so many times; 0 forever."""
    _add("add_rb_timer", "rb_timer", number, seconds, iterations)


@_takes("iiiiii")
def add_cron(number: int, minute: int, hour: int, day: int, month: int, weekday: int, /) -> bool:
    """Raise a signal when the local time matches; -1 any, -N every N."""
    _add("add_cron", "cron", number, minute, hour, day, month, weekday)
    return True


@_takes("is")
def add_file_monitor(number: int, path: str, /) -> None:
    """Raise a signal when a file is written to."""
    _add("add_file_monitor", "file", number, os.path.abspath(path))


if version_info >= (2, 1):

    @_takes("ii")
    def add_ms_timer(number: int, milliseconds: int, /) -> None:
        """Raise a signal every so many milliseconds (uWSGI 2.1)."""
        _add("add_ms_timer", "ms_timer", number, milliseconds)


# ---- all else ---------------------------------------------------------------------------------------------------


def __getattr__(name: str) -> object:
    """A name that is emulated, or not: found at its first use, so that the start of a process does not pay for it."""
    if name == "__all__":  # asked for by `from uwsgi import *`
        return [known for known in __dir__() if not known.startswith("_")]
    if name.startswith("_"):
        raise AttributeError(f"module 'uwsgi' has no attribute {name!r}")
    if name in _NEED_A_SPOOLER:
        error = AttributeError(f"module 'uwsgi' has no attribute {name!r}")
        error.add_note(
            f"no spooler is configured, and uWSGI has {name} only with one; add spooler = DIRECTORY to the "
            "configuration (or spooler-external, if another instance serves the directory)"
        )
        raise error
    from spoolsim.emulate import surface

    found = surface.find(name, opt)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    from spoolsim.emulate import surface

    # no private name: Python's "Did you mean" would suggest it
    own = (name for name in globals() if name not in _PRIVATE and (name[0] != "_" or name.startswith("__")))
    return sorted({*own, *surface.names(opt)})
