"""`spoolsim tasks`, `retry` and `sweep`: what is in a spool directory, and what was set aside."""

from __future__ import annotations

import os
import time
from stat import S_ISREG

import click

from spoolsim.cli.out import out
from spoolsim.errors import SpoolsimError, UsageError
from spoolsim.log import printable
from spoolsim.spool import settle
from spoolsim.spool.claim import OPEN, Claim
from spoolsim.spool.directory import BROKEN, FAILED, SpoolDir
from spoolsim.spool.journal import Line, read
from spoolsim.spool.lock import try_lock
from spoolsim.spool.look import FUTURE, UNFINISHED, look
from spoolsim.spool.names import PREFIX, counts
from spoolsim.spool.packet import HEADER, MAX_VARIABLES, decode
from spoolsim.spool.scan import DEPTH, Level

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

#: `sweep` takes no younger temporary or empty file: its producer may still write, seconds
_OLD = 60

#: how the names of files begin that are renamed when they are whole
_HIDDEN = f".{PREFIX}"

_directory = click.option(
    "--spooler", "directories", multiple=True, required=True, metavar="DIR", help="The directory."
)


def _open(directories: tuple[str, ...]) -> list[SpoolDir]:
    return [SpoolDir.resolve(path, start=os.getcwd(), make=False) for path in directories]


@click.command()
@_directory
@click.option("--spooler-ordered", "ordered", is_flag=True, help="Look as a spooler with this option does.")
@click.option("--variables", is_flag=True, help="Show what each task carries; pickles are never loaded.")
def tasks(directories: tuple[str, ...], ordered: bool, variables: bool) -> None:
    """List every task: its state, how often it was tried, and why it is not done. Changes nothing."""
    for spool in _open(directories):
        history: dict[str, Line] = {line.task: line for line in read(spool)}
        now = time.time()
        count = 0
        for found in look(spool, ordered=ordered, now=now):
            count += 1
            name = os.path.relpath(found.path, spool.path)
            words = [found.state if found.state != FUTURE else f"future (in {found.mtime - now:.0f} s)"]
            line = history.get(name)
            if line is not None and line.outcome != "done":
                words.append(f"{line.outcome} {line.attempt}x: {line.why or 'asked to be retried (SPOOL_RETRY)'}")
            if found.why:
                words.append(found.why)
            out(f"{printable(name)}  {found.size} bytes  {printable('; '.join(words))}")
            if variables:
                _show_variables(found.path)
        for corner in (BROKEN, FAILED):
            for name in aside(spool, corner):
                count += 1
                out(f"{printable(name)}  {corner}: {printable(_why(spool, corner, name))}")
        out(f"{spool.path}: {count} tasks")


def _show_variables(path: str) -> None:
    """The variables, and how long the body is, which is not read: it may be longer than memory."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(fd, "rb") as file:
            size = os.fstat(fd).st_size
            found, start = decode(file.read(HEADER + MAX_VARIABLES))
            body = size - min(size, file.tell()) + len(start)
    except (OSError, SpoolsimError) as error:
        out(f"    {error}")
        return
    for key, value in found.items():
        out(f"    {key!r}: {value[:200]!r}{' ...' if len(value) > 200 else ''}")
    if body:
        out(f"    body: {body} bytes")


def aside(spool: SpoolDir, corner: str) -> list[str]:
    """The names of the tasks that were moved to a corner of a directory; a reason is none, with its task or without."""
    try:
        there = set(os.listdir(spool.corner(corner)))
    except OSError:
        return []
    return sorted(name for name in there if not name.endswith(".why") or f"{name}.why" in there)


def _why(spool: SpoolDir, corner: str, name: str) -> str:
    try:
        with open(spool.corner(corner, f"{name}.why"), encoding="utf-8", errors="replace") as file:
            return " ".join(file.read().splitlines()[1:])
    except OSError:
        return "the reason is not known"


@click.command()
@_directory
@click.option("--broken", "from_broken", is_flag=True, help="From .spoolsim/broken/ instead of .spoolsim/failed/.")
@click.argument("names", nargs=-1)
def retry(directories: tuple[str, ...], from_broken: bool, names: tuple[str, ...]) -> None:
    """Bring tasks back that were moved to .spoolsim/failed/: all of them, or those named. Running spoolers wake."""
    corner = BROKEN if from_broken else FAILED
    for spool in _open(directories):
        there = aside(spool, corner)
        for name in names:
            if name not in there:
                raise UsageError(f"{name} is not in {spool.corner(corner)}; there are: {', '.join(there) or 'none'}")
        for name in names or there:
            out(printable(bring_back(spool, corner, name)))


def bring_back(spool: SpoolDir, corner: str, name: str) -> str:
    """Move one task back to where it came from; returns its path. Raises SpoolsimError when the name is taken."""
    source = spool.corner(corner, name)
    target = _origin(spool, corner, name)
    if os.path.lexists(target):
        raise SpoolsimError(f"{target} exists; move it away first")
    try:
        os.utime(source)
        os.rename(source, target)
        os.unlink(f"{source}.why")
    except FileNotFoundError:
        if not os.path.exists(target):
            raise SpoolsimError(f"{source} cannot go back to {target}: its directory is gone") from None
    return target


def _origin(spool: SpoolDir, corner: str, name: str) -> str:
    """The path it had, if the note beside it names one inside the directory; else the top level.

    A name with a line break in it, which the note's first line cannot hold, is what it is called now.
    """
    try:
        with open(spool.corner(corner, f"{name}.why"), encoding="utf-8", errors="surrogateescape") as file:
            path = file.readline().rstrip("\n")
    except OSError:
        path = ""
    home, base = os.path.split(path)
    home = os.path.realpath(home or "/")
    if base in (".", "..") or (home != spool.path and not home.startswith(spool.path + os.sep)):
        return os.path.join(spool.path, name)
    return os.path.join(home, name if "\n" in name else base or name)


@click.command()
@_directory
@click.option("--yes", is_flag=True, help="Do it; without this it is only listed.")
def sweep(directories: tuple[str, ...], yes: bool) -> None:
    """Clear what dead producers left: old empty files (to .spoolsim/broken/) and old temporary files (removed)."""
    for spool in _open(directories):
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
        fd = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return  # gone meanwhile
    try:
        claim = _abandoned(Level(spool, home, fd), name)
        if claim is None:
            return
        out(f"{printable(path)}: {why}")
        if not yes:
            settle.release(claim)
        elif name.startswith(_HIDDEN):
            settle.remove(claim)
        else:
            settle.set_aside(claim, why)
    except OSError as error:
        raise SpoolsimError(f"{printable(path)}: {error.strerror}") from None
    finally:
        os.close(fd)


def _abandoned(level: Level, name: str) -> Claim | None:
    """A claim to a file that is old and has no writer, so that none comes back to it and no spooler takes it."""
    try:
        fd = os.open(name, OPEN, dir_fd=level.fd)
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
