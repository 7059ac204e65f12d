"""`spoolsim sweep`: clearing what dead producers left in a spool directory."""

from __future__ import annotations

import os
import time
from stat import S_ISREG

import click

from spoolsim import system
from spoolsim.cli.out import out
from spoolsim.cli.spools import file_argument
from spoolsim.errors import SpoolsimError
from spoolsim.printable import printable
from spoolsim.spool import settle
from spoolsim.spool.claim import OPEN, Claim
from spoolsim.spool.directory import BROKEN, SpoolDir
from spoolsim.spool.lock import try_lock
from spoolsim.spool.look import UNFINISHED, look
from spoolsim.spool.names import PREFIX, counts
from spoolsim.spool.packet import HEADER
from spoolsim.spool.scan import DEPTH, Level
from spoolsim.spool.verdicts import KEEP, REMOVE, Aside
from spoolsim.tasks.where import find

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

#: `sweep` takes no younger temporary or empty file: its producer may still write, seconds
_OLD = 60

#: how the names of files begin that are renamed when they are whole
_HIDDEN = f".{PREFIX}"


@click.command()
@file_argument
@click.option(
    "--spooler", "directories", multiple=True, metavar="DIR", help="A spool directory; may be given several times."
)
@click.option("--config", default="", metavar="FILE", help="A uWSGI configuration file that names them.")
@click.option("--yes", is_flag=True, help="Do it; without --yes the files are only listed.")
def sweep(directories: tuple[str, ...], config: str, yes: bool) -> None:
    """Clear what dead producers left: move old empty files to .spoolsim/broken/, remove old temporary files."""
    for spool in find(directories, config, ordered=True, cwd=os.getcwd(), environ=os.environ).spools:
        for found in look(spool, ordered=True, now=time.time()):
            if found.state == UNFINISHED:
                _clear(spool, found.path, found.why, yes)
        for path in _temporary(spool.path):
            _clear(spool, path, "a temporary file without a producer", yes)


def _temporary(home: str, depth: int = 0) -> Iterator[str]:
    """The files that producers of ours write under a name with a dot, in priority directories too."""
    try:
        with os.scandir(home) as entries:
            found = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries)
    except OSError:
        return  # gone meanwhile, or not ours to look into
    for name, is_directory in found:
        if not is_directory and name.startswith(_HIDDEN):
            yield f"{home}/{name}"
        elif is_directory and counts(name, True) and depth < DEPTH:
            yield from _temporary(f"{home}/{name}", depth + 1)


def _clear(spool: SpoolDir, path: str, why: str, yes: bool) -> None:
    """Name a file that nobody writes any more; if `yes`, also remove it, or set it aside when it has a task's name."""
    home, name = os.path.split(path)
    try:
        fd = system.open_directory(home, os.O_RDONLY | system.O_DIRECTORY | system.O_CLOEXEC)
    except OSError:
        return  # gone meanwhile
    try:
        claim = _abandoned(Level(spool, home, fd), name)
        if claim is None:
            return
        out(f"{printable(path)}: {why}")
        if not yes:
            settle.apply(claim, KEEP)
        elif name.startswith(_HIDDEN):
            settle.apply(claim, REMOVE)
        else:
            settle.apply(claim, Aside(BROKEN, why))
    except OSError as error:
        raise SpoolsimError(f"{printable(path)}: {error.strerror}") from None
    finally:
        system.close_directory(fd)


def _abandoned(level: Level, name: str) -> Claim | None:
    """A claim to a file that is old and has no writer, so that none comes back to it and no spooler takes it."""
    try:
        fd = system.open_at(name, OPEN, dir_fd=level.fd)
    except OSError:
        return None  # gone meanwhile, or not ours to take
    free = False
    try:
        status = os.fstat(fd)
        unfinished = status.st_size < HEADER or name.startswith(_HIDDEN)
        old = time.time() - status.st_mtime > _OLD
        free = S_ISREG(status.st_mode) and status.st_nlink > 0 and old and unfinished and try_lock(fd)
    finally:
        if not free:
            os.close(fd)
    return Claim(level, name, fd, b"", status.st_mtime, status.st_ino, False) if free else None
