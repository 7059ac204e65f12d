"""Gathering what `why` reasons about: the file, its past, the processes, the app's code. Changes nothing."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass

from spoolsim.config import code
from spoolsim.errors import PacketError
from spoolsim.spool import names
from spoolsim.spool.packet import HEADER
from spoolsim.tasks.attempts import DONE
from spoolsim.tasks.history import attempts_of
from spoolsim.tasks.listing import Row, identify, read_head
from spoolsim.tasks.processes import holders, servers
from spoolsim.tasks.why import Facts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from spoolsim.spool.directory import SpoolDir
    from spoolsim.tasks.processes import Process


@dataclass(frozen=True, slots=True)
class Setting:
    """What a configuration says that matters here; the defaults are those of no configuration.

    modules: what the app is loaded from, as module names or files; empty for not known. path: where modules are looked
    for. frequency: seconds.
    """

    ordered: bool = False
    modules: tuple[str, ...] = ()
    path: tuple[str, ...] = ()
    max_attempts: int = 0
    frequency: float = 30


def gather(row: Row, setting: Setting, now: float) -> Facts:
    """The facts of one task at `now`, epoch seconds."""
    spool = row.spool
    facts = Facts(row.name, row.task, row.path, row.state, now, row.mtime, row.size, row.why, ordered=setting.ordered)
    facts.attempts = row.attempts
    facts.holder = row.holder
    facts.directory = spool.path
    facts.external = spool.external
    facts.max_attempts = setting.max_attempts
    facts.frequency = setting.frequency
    facts.priority = tuple(os.path.dirname(row.task).split("/")) if "/" in row.task else ()
    facts.task_name = names.counts(row.name, True)
    if row.state != DONE:
        _file(facts, row)
    facts.servers = servers(spool.path)
    facts.refused = [server for server in facts.servers or () if _refuses(row.path, server)]
    facts.directory_due = _directory_due(spool, facts.priority)
    facts.call_kind, facts.function = row.call.kind, row.call.function
    if setting.modules:
        _app(facts, setting)
    return facts


def stray(spool: SpoolDir, path: str) -> Row | None:
    """A row for something in a spool directory that is no task, so that `why` can tell; None where there is nothing."""
    full = os.path.normpath(os.path.join(spool.path, path))
    if not full.startswith(spool.path + os.sep) or not os.path.lexists(full):
        return None
    status = os.lstat(full)
    row = Row(spool, full, os.path.relpath(full, spool.path), "never-runs", status.st_mtime, status.st_size)
    row.attempts = [attempt for attempt in attempts_of(spool).all() if attempt.task == row.task]
    row.holder = holders([full]).get(full)
    identify([row])
    return row


_KINDS = ((stat.S_ISREG, "file"), (stat.S_ISLNK, "symlink"), (stat.S_ISDIR, "directory"))


def _file(facts: Facts, row: Row) -> None:
    try:
        status = os.lstat(row.path)
    except OSError:
        facts.kind = "missing"
        return
    mode = status.st_mode
    facts.kind = next((kind for test, kind in _KINDS if test(mode)), "other")
    facts.owner = status.st_uid
    facts.size = status.st_size
    if facts.kind == "file" and status.st_size >= HEADER:
        try:
            facts.variables = read_head(row.path)[0]
        except PacketError as error:
            facts.problem = str(error)
        except OSError as error:
            facts.problem = f"it cannot be opened: {error.strerror}"


def _refuses(path: str, server: Process) -> bool:
    """True when the file's permissions keep a spooler from it, which has to open it for reading and writing."""
    if server.uid in (0, -1):
        return False
    try:
        status = os.lstat(path)
    except OSError:
        return False
    if status.st_uid == server.uid:
        return status.st_mode & 0o600 != 0o600
    return status.st_mode & 0o006 != 0o006 and status.st_mode & 0o060 != 0o060


def _directory_due(spool: SpoolDir, priority: tuple[str, ...]) -> float:
    due = 0.0
    path = spool.path
    for each in priority:
        path = f"{path}/{each}"
        try:
            due = max(due, os.stat(path).st_mtime)
        except OSError:
            break
    return due


def _app(facts: Facts, setting: Setting) -> None:
    """What the app's code registers, read and never imported, and the newest file of it."""
    found = code.Code().closure(list(setting.modules), list(setting.path))
    handlers = {name for module in found.values() for name, _ in module.handlers}
    facts.has_handler = "uwsgi.spooler" in handlers
    if found:
        facts.functions = tuple(sorted(handlers - {"uwsgi.spooler"}))
    times = [(os.path.relpath(path), os.stat(path).st_mtime) for path in found if os.path.exists(path)]
    facts.changed = max(times, key=lambda pair: pair[1], default=None)
