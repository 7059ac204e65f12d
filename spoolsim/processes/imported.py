"""The app's import in the fork server: where its prints go, and what it leaves: files, threads, shared connections."""

from __future__ import annotations

import os
import stat
import sys

from spoolsim.errors import OptionError, SpoolsimError
from spoolsim.processes import bytecode, forked
from spoolsim.processes.lifeline import DieWithParent
from spoolsim.work import atexits
from spoolsim.work.capture import replacement

TYPE_CHECKING = False
if TYPE_CHECKING:
    from spoolsim.log import Story
    from spoolsim.processes.messages import Ready
    from spoolsim.processes.wire import Wire
    from spoolsim.work.app import App

#: how a database file of SQLite begins
_SQLITE = b"SQLite format 3\0"
#: the handler that the import of uwsgidecorators sets
_DECORATORS = "manage_spool_request"


def take_prints(story: Story | None) -> None:
    """What the app prints stands below its task in the log, where people read it."""
    if story is None:
        return
    sys.stdout, sys.stderr = (replacement(stream, story.printed, story.flush) for stream in (sys.stdout, sys.stderr))
    sys.__dict__["__stderr__"] = sys.stderr  # no stream of the app's own: a traceback in it goes to the log


def functions() -> list[str]:
    """The names of the spooler functions that the app has decorated; `uwsgi.spooler` for a handler of its own."""
    decorated = getattr(sys.modules.get("uwsgidecorators"), "spooler_functions", None)
    handler = getattr(sys.modules.get("uwsgi"), "spooler", None)  # no module yet, where the options are wrong
    if isinstance(decorated, dict) and (decorated or getattr(handler, "__name__", "") == _DECORATORS):
        return sorted(map(str, decorated))
    return [] if handler is None else ["uwsgi.spooler"]


def source_files(app: App, before: list[str]) -> list[str]:
    """The files of the app, where py-autoreload wants to know them."""
    if not (app.options.py_autoreload and app.policy.reloads_without_worker):
        return []
    from spoolsim.work import sources

    return [*sources.of_modules(before, app.options.spooler_imports), *app.loader.failed_in]


def warn_of_shared(app: App, before: set[int]) -> None:
    """Name what the app has started or opened and forked processes lack, or share. before: open_descriptors() then."""
    _warn_of_threads(app)
    _warn_of_connections(app, before)


def _warn_of_threads(app: App) -> None:
    """Name the threads that the app has started: a fork takes none of them along."""
    threading = sys.modules.get("threading")
    if threading is not None and threading.active_count() > 1:
        names = ", ".join(thread.name for thread in threading.enumerate()[1:])
        if app.said.first("threads", names):
            app.log.say(f"the app started threads while it was imported ({names}): they do not live on in the spoolers")


def open_descriptors() -> set[int]:
    """The numbers of the open descriptors; empty where the system does not list them."""
    try:
        return {int(name) for name in os.listdir("/dev/fd")}
    except OSError:
        return set()


def _warn_of_connections(app: App, before: set[int]) -> None:
    """Name the connections and databases that the app has opened: all processes forked from us share them."""
    if not (before and app.policy.explains):
        return
    for fd in sorted(open_descriptors() - before):
        if what := _shared(fd):
            app.notes.give("shared-connection", f"descriptor {fd}", what)


def _shared(fd: int) -> str:
    """What a descriptor is connected to; "" for what may well be shared: files, listening sockets, unnamed pairs."""
    try:
        kind = os.fstat(fd).st_mode
        if stat.S_ISREG(kind):
            # not opened again: closing it would drop the locks that this process has on it
            found = os.pread(fd, len(_SQLITE), 0) == _SQLITE
            return f"the SQLite database {os.path.realpath(f'/dev/fd/{fd}')}" if found else ""
        if not stat.S_ISSOCK(kind):
            return ""
        import socket  # loaded: the app has opened one

        with socket.socket(fileno=os.dup(fd)) as copy:
            if copy.type != socket.SOCK_STREAM:
                return ""
            peer = copy.getpeername()
    except OSError:
        return ""
    if isinstance(peer, tuple):
        return f"to {peer[0]}:{peer[1]}"
    return f"to {os.fsdecode(peer)}" if peer else ""


def load(app: App, wire: Wire) -> Ready:
    """Import the app in the fork server; returns what the master is to know. What calls sys.exit ends this process.

    Raises OptionError for a limit that is too low, MemoryError or OSError where the system refuses what we need.
    """
    before = list(sys.modules)
    descriptors = open_descriptors()
    if app.policy.runs_atexit:
        atexits.watch()
    bytecode.distrust()
    try:
        with DieWithParent(wire.fd):
            app.prepare()
            failures = app.loader.load_in_master()
    except OptionError:
        raise
    except SpoolsimError as error:
        failures = [str(error)]
    except SystemExit as end:
        wire.send("exit", forked.exit_status(end))
        forked.leave(0)
    warn_of_shared(app, descriptors)
    targets = {number: target for number, (target, _) in app.signals.handlers.items()}
    return "ready", app.signals.report(), failures, source_files(app, before), targets, functions()
