"""Walking a spool directory: which names, in which order.

Unordered, the names come as the directory gives them, in batches. Ordered (`spooler-ordered`), each level is read
whole and sorted by version, and directories of all digits (priorities) are walked where they sort, DEPTH deep.
"""

from __future__ import annotations

import os
from itertools import islice

from spoolsim import system
from spoolsim.spool import names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from spoolsim.spool.directory import SpoolDir

#: priority directories inside one another that are entered; each costs a descriptor while the walk is in it
DEPTH = 64
TOO_DEEP = f"a directory inside {DEPTH} others, which is not entered"

#: names in the first batch of an unordered walk, and in a later one at most
_FIRST_BATCH, _BATCH = 1, 8192

#: how a priority directory is opened, and the spool directory of a test
OPEN_DIR = os.O_RDONLY | system.O_DIRECTORY | system.O_CLOEXEC | system.O_NOFOLLOW
#: the spool directory itself: a link that has taken its place since the start leads to it, as in uWSGI
_OPEN_ROOT = OPEN_DIR & ~system.O_NOFOLLOW


class Level:
    """One directory of a walk: the spool directory itself, or a priority directory below it.

    fd: open while the walk is in it. path: absolute. below: what goes before a name for its path below the spool
    directory: '' or such as '5/'.
    """

    __slots__ = ("below", "fd", "path", "spool")

    def __init__(self, spool: SpoolDir, path: str, fd: int) -> None:
        self.spool = spool
        self.path = path
        self.fd = fd
        self.below = path[len(spool.path) + 1 :] + "/" if len(path) > len(spool.path) else ""


def scan(
    spool: SpoolDir,
    *,
    ordered: bool = False,
    share: tuple[int, int] | None = None,
    alone: str = "",
    now: Callable[[], float],
    skipped: Callable[[str, str], None] | None = None,
    failed: Callable[[OSError], None] | None = None,
) -> Generator[tuple[Level, str]]:
    """The names that may be tasks, as (level, name), each directory's descriptor open while it is walked.

    share: (index, count), which worker of how many on this directory we are: unordered, each begins with the names
        of its own share, so that they do not all try the same files, and then helps the others.
    alone: this name, unless it is another one's share, and no look into the directory: an event told of it.
    now: epoch seconds; a directory with an mtime in the future is skipped whole, as uWSGI does.
    skipped: called with (path, why) for an entry whose name counts but that can never run.
    failed: called with the error that ends the walk early, of the disk or for want of descriptors; without it, raised.

    Raises FileNotFoundError when the spool directory is gone: also when something else is in its place, or nobody
    may enter it any more.
    """
    try:
        fd = system.open_directory(spool.path, _OPEN_ROOT)
    except (NotADirectoryError, PermissionError) as error:
        raise FileNotFoundError(error.errno, error.strerror, spool.path) from None
    except OSError as error:
        if failed is None or isinstance(error, FileNotFoundError):
            raise
        failed(error)
        return
    try:
        level = Level(spool, spool.path, fd)
        if alone:
            index, count = share or (0, 1)
            if alone.startswith(names.PREFIX) and hash(alone) % count == index:
                yield level, alone
        elif ordered:
            yield from _ordered(level, now, skipped)
        else:
            yield from unordered(level, share, skipped)
    except OSError as error:
        if failed is None:
            raise
        failed(error)
    finally:
        system.close_directory(fd)


def unordered(
    level: Level, share: tuple[int, int] | None, skipped: Callable[[str, str], None] | None
) -> Generator[tuple[Level, str]]:
    """The names of one directory as it gives them: a spooler's own share first, then those of others; as `scan`."""
    index, count = share or (0, 1)
    others = 0
    for batch in _batches(level, share, skipped):
        own = batch if count == 1 else [name for name in batch if hash(name) % count == index]
        others += len(batch) - len(own)
        for name in own:
            yield level, name
    if others:
        for batch in _batches(level, share, None):
            for name in reversed(batch):  # from the far end: whose share they are comes from the near one
                if hash(name) % count != index:
                    yield level, name


def _batches(
    level: Level, share: tuple[int, int] | None, skipped: Callable[[str, str], None] | None
) -> Generator[list[str]]:
    """The names of files, as the directory gives them, read in batches.

    Who reads on in a directory keeps its lock from those who remove tasks from it, so many are read at once; but the
    first ones are not kept waiting for that.
    """
    index, count = share or (0, 1)
    prefix = names.PREFIX
    size = _FIRST_BATCH
    with system.scan_directory(level.fd) as entries:
        entry: object = True
        while entry:
            entry = None
            batch = []
            for entry in islice(entries, size):
                name = entry.name
                if name.startswith(prefix):
                    if entry.is_file(follow_symlinks=False):
                        batch.append(name)
                    elif skipped and hash(name) % count == index:
                        skipped(f"{level.path}/{name}", _kind(entry))
            if batch:
                yield batch
                size = min(2 * size, _BATCH)


def _ordered(
    level: Level, now: Callable[[], float], skipped: Callable[[str, str], None] | None, depth: int = 0
) -> Generator[tuple[Level, str]]:
    found: list[str] = []
    directories = set()
    with system.scan_directory(level.fd) as entries:
        for entry in entries:
            name = entry.name
            if not names.counts(name, True):
                continue
            if entry.is_file(follow_symlinks=False):
                found.append(name)
            elif entry.is_dir(follow_symlinks=False):
                directories.add(name)
                found.append(name)
            elif skipped:
                skipped(f"{level.path}/{name}", _kind(entry))
    found.sort(key=names.version_key)
    for name in found:
        if name not in directories:
            yield level, name
            continue
        if depth == DEPTH:
            if skipped:
                skipped(f"{level.path}/{name}", TOO_DEEP)
            continue
        try:
            fd = system.open_directory(name, OPEN_DIR, dir_fd=level.fd)
        except OSError:
            continue  # gone, or no longer a directory
        try:
            if names.due(system.stat_directory(fd).st_mtime, now()):
                yield from _ordered(Level(level.spool, f"{level.path}/{name}", fd), now, skipped, depth + 1)
        finally:
            system.close_directory(fd)


def _kind(entry: os.DirEntry[str]) -> str:
    if entry.is_symlink():
        return "a symbolic link"
    if entry.is_dir(follow_symlinks=False):
        return "a directory"
    return "not a regular file"
