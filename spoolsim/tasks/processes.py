"""Which processes serve a spool directory, and which one holds a task: asked from /proc, where there is one.

A spooler of ours watches its directory (inotify) or stands in it; one of real uWSGI stands in it. On a system
without /proc nothing is known, and nothing is claimed.
"""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_PROC = "/proc"
OURS, UWSGI = "spoolsim", "uWSGI"


@dataclass(frozen=True, slots=True)
class Process:
    """A process. kind: OURS, UWSGI, or its command's name. uid: its effective user."""

    pid: int
    kind: str
    uid: int


def known() -> bool:
    """True where processes can be looked at."""
    return os.path.exists(f"{_PROC}/self/fdinfo")


def servers(path: str) -> list[Process] | None:
    """The spoolers of a directory; None where that cannot be known."""
    if not known():
        return None
    status = os.stat(path)
    found = []
    for pid in _pids():
        kind = _kind(pid)
        if kind in (OURS, UWSGI) and (_stands_in(pid, status) or (kind == OURS and _watches(pid, status))):
            found.append(Process(pid, kind, _uid(pid)))
    return found


def holders(paths: Iterable[str]) -> dict[str, Process]:
    """Path -> the process that holds the lock of that file, for those that can be found."""
    wanted: dict[tuple[int, int], str] = {}
    for path in paths:
        try:
            status = os.stat(path, follow_symlinks=False)
        except OSError:
            continue  # gone meanwhile
        wanted[status.st_dev, status.st_ino] = path
    found: dict[str, Process] = {}
    for pid in _pids() if wanted and known() else ():
        for fd, status in _descriptors(pid):
            path = wanted.get((status.st_dev, status.st_ino), "")
            if path and path not in found and "\nlock:" in _text(pid, "fdinfo", fd):
                found[path] = Process(pid, _kind(pid), _uid(pid))
        if len(found) == len(wanted):
            break
    return found


def _pids() -> Iterator[int]:
    own = os.getpid()
    for name in os.listdir(_PROC):
        if name.isdigit() and int(name) != own:
            yield int(name)


def _kind(pid: int) -> str:
    return kind_of(_text(pid, "cmdline").split("\0")) or _text(pid, "comm").strip() or "a process"


def kind_of(words: list[str]) -> str:
    """Return OURS or UWSGI by the words of a process's command line; "" for any other program.

    The program counts, and never the directories that the words name.
    """
    programs = [os.path.basename(word) for word in words[:2]]
    if not programs[0].startswith(("python", "pypy")):
        del programs[1:]  # no interpreter that runs a script
    if any(program.lower().startswith(("uwsgi", "pyuwsgi")) for program in programs):
        return UWSGI
    # a worker has its fork server's words: python -P -c "... spoolsim ..."
    options = list(itertools.pairwise(words[1:]))
    if "spoolsim" in programs or ("-m", "spoolsim") in options:
        return OURS
    return OURS if any(option == "-c" and "spoolsim" in code for option, code in options) else ""


def _uid(pid: int) -> int:
    try:
        return os.stat(f"{_PROC}/{pid}").st_uid
    except OSError:
        return -1


def _stands_in(pid: int, directory: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.stat(f"{_PROC}/{pid}/cwd"), directory)
    except OSError:
        return False  # gone, or another user's


def _watches(pid: int, directory: os.stat_result) -> bool:
    wanted = f" ino:{directory.st_ino:x} "
    try:
        return any(wanted in _text(pid, "fdinfo", fd) for fd in os.listdir(f"{_PROC}/{pid}/fdinfo"))
    except OSError:
        return False


def _descriptors(pid: int) -> Iterator[tuple[str, os.stat_result]]:
    try:
        names = os.listdir(f"{_PROC}/{pid}/fd")
    except OSError:
        return
    for name in names:
        try:
            yield name, os.stat(f"{_PROC}/{pid}/fd/{name}")
        except OSError:
            continue


def _text(pid: int, *parts: str) -> str:
    try:
        with open("/".join((_PROC, str(pid), *parts)), encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
