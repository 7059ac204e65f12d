"""Looking at a spool directory without touching it: uwsgi.spooler_jobs() and uwsgi.spooler_get_task()."""

from __future__ import annotations

import os
from stat import S_ISREG

from spoolsim import system
from spoolsim.errors import PacketError
from spoolsim.spool.lock import held
from spoolsim.spool.names import PREFIX
from spoolsim.spool.packet import decode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from spoolsim.spool.directory import SpoolDir


def jobs(spool: SpoolDir) -> list[bytes]:
    """Absolute paths of the regular files with the task prefix in the top level; also future and broken ones."""
    try:
        with os.scandir(spool.path) as entries:
            return [
                os.fsencode(f"{spool.path}/{entry.name}")
                for entry in entries
                if entry.name.startswith(PREFIX) and entry.is_file(follow_symlinks=False)
            ]
    except OSError:
        return []


def get_task(path: str, limit: int = 0) -> dict[str | bytes, bytes] | None:
    """A spool file as its handler would get it, but the path as given in place of the name.

    limit: what has more bytes is set aside and never run (--max-body); 0 for none.

    None for what is missing, no regular file, empty, broken, beyond the limit or the memory, or claimed by somebody.
    """
    try:
        fd = os.open(path, os.O_RDONLY | system.O_NOFOLLOW | system.O_NONBLOCK | system.O_CLOEXEC)
    except OSError:
        return None
    task: dict[str | bytes, bytes] = {"spooler_task_name": os.fsencode(path)}
    try:
        status = os.fstat(fd)
        if not S_ISREG(status.st_mode) or (limit and status.st_size > limit) or held(fd):
            return None
        with os.fdopen(fd, "rb", closefd=False) as file:
            _, body = decode(file.read(), task)
    except (PacketError, MemoryError, OverflowError, OSError):
        return None
    finally:
        os.close(fd)
    if body:
        task["body"] = body
    return task
