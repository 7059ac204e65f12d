"""Giving a claimed task up: removed, kept for the next scan, or set aside.

The file is unlinked while its lock is held, so that nobody can claim it in between.
"""

from __future__ import annotations

import errno
import os
import stat

from spoolsim import system
from spoolsim.log import encoded
from spoolsim.spool import claim as claims
from spoolsim.spool import keep, lock
from spoolsim.spool.directory import BROKEN
from spoolsim.spool.lock import close, unlock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from spoolsim.spool.claim import Claim
    from spoolsim.spool.scan import Level


#: a handler that took no longer, in nanoseconds, had no time to put another file in the place of its own: one rename
#: takes five microseconds where calling a handler takes one
GLIMPSE = 1_500


#: bytes that a name may have, so that `.why`, and a number before it, fit behind it
_LONGEST = 240


class Replaced(OSError):
    """Another file has taken the name of a task while it was run."""


def remove(claim: Claim, took: int = GLIMPSE) -> None:
    """Done, after `took` nanoseconds: unlink, then unlock. Raises as `unlink`."""
    try:
        unlink(claim, took)
    finally:
        give_up(claim)


def unlink(claim: Claim, took: int = GLIMPSE) -> bool:
    """Remove the file of a task that ran `took` nanoseconds.

    Returns False where that took another way than our own descriptor of the directory, as the handler has closed it.
    Raises FileNotFoundError when the handler removed the file itself, Replaced when there is another one in its place:
    that is a task of its own.
    """
    try:
        if took >= GLIMPSE and not claim.record:
            _look(claim)
        if not system.AT:
            give_up(claim)  # an open file cannot be removed there
            os.unlink(claim.path)
            return True
        os.unlink(claim.name, dir_fd=claim.level.fd)
        return True
    except OSError:
        if not system.AT or not lost(claim.level):
            raise
    if not claim.record and os.lstat(claim.path).st_ino != claim.inode:
        raise Replaced(errno.EEXIST, os.strerror(errno.EEXIST), claim.path) from None
    os.unlink(claim.path)
    return False


def give_up(claim: Claim) -> None:
    """Close, and so unlock, the file of a task that is settled."""
    if claim.fd < 0:
        return  # done already
    claims.held.fd = -1
    close(claim.fd)
    if not system.AT:
        claim.fd = -1
    if lock.OFD_SETLK is None:
        keep.let_go(claim.level.spool, claim.inode)


def lost(level: Level) -> bool:
    """Whether the descriptor of a directory is another file's by now, or none: the handler closed what is ours."""
    try:
        found, there = os.fstat(level.fd), os.stat(level.path)
    except OSError as error:
        return error.errno == errno.EBADF
    return (found.st_dev, found.st_ino) != (there.st_dev, there.st_ino) and not stat.S_ISDIR(found.st_mode)


def _look(claim: Claim) -> None:
    if system.AT:
        there = os.stat(claim.name, dir_fd=claim.level.fd, follow_symlinks=False)
    else:
        there = os.stat(claim.path, follow_symlinks=False)
    if there.st_ino != claim.inode:
        raise Replaced(errno.EEXIST, os.strerror(errno.EEXIST), claim.path)


def release(claim: Claim) -> bool:
    """Kept: unlock at once, also for a child of the handler that still holds the descriptor.

    Returns False where the descriptor was gone: the handler has closed what is ours.
    """
    try:
        unlock(claim.fd, record=claim.record)
    except OSError as error:  # closing it is all that can be done
        return error.errno != errno.EBADF
    finally:
        give_up(claim)
    return True


def abandon() -> None:
    """Give up the claim that this process holds, if any, where nothing else is known of it any more."""
    fd, claims.held.fd = claims.held.fd, -1
    if fd >= 0:
        try:
            unlock(fd)
        except OSError:
            pass
        close(fd)
    if lock.OFD_SETLK is None:
        keep.let_all_go()


def postpone(claim: Claim, until: float) -> None:
    """Kept, but not to be run before `until` (epoch seconds): its mtime says so, to real uWSGI too.

    Raises OSError when its time cannot be set; it is released all the same.
    """
    try:
        make_due(claim.fd if os.utime in os.supports_fd else claim.path, until)
    finally:
        release(claim)


def make_due(file: int | str, until: float, *, home: int | None = None) -> None:
    """Set the mtime of a descriptor or path, or of a path below the descriptor `home`, to `until` (epoch seconds).

    A symbolic link below `home` is not followed. Raises OSError, also for a time after 2038 where the C library has 32
    bits for it.
    """
    try:
        os.utime(file, (until, until), dir_fd=home, follow_symlinks=home is None)
    except OverflowError as error:
        raise OSError(errno.EOVERFLOW, str(error)) from None


def set_aside(claim: Claim, reason: str, *, home: str = BROKEN) -> str:
    """Moved to `.spoolsim/broken/` (or `failed/`) of its spool directory, the reason in a `.why` file beside it.

    Returns the new path. Raises OSError when it cannot be moved, Replaced when another file has taken its name; what
    is there is then left there, and released.
    """
    why = ""
    try:
        target = free_name(claim.level.spool.make_corner(home), claim.name)
        with open(f"{target}.why", "xb") as reasons:
            why = f"{target}.why"
            reasons.write(b"%b\n%b\n" % (encoded(claim.path), encoded(reason)))
        _look(claim)
        if system.AT:
            os.rename(claim.name, target, src_dir_fd=claim.level.fd)
        else:
            give_up(claim)  # an open file cannot be renamed there
            os.rename(claim.path, target)
    except BaseException:
        release(claim)
        if why:
            os.unlink(why)
        raise
    give_up(claim)
    return target


def free_name(home: str, name: str) -> str:
    """`home/name`, with a number behind it when that, or its `.why`, is taken: what was set aside stays as it is."""
    if len(os.fsencode(name)) > _LONGEST:
        name = os.fsdecode(os.fsencode(name)[:_LONGEST])
    target = os.path.join(home, name)
    number = 1
    while os.path.lexists(target) or os.path.lexists(f"{target}.why"):
        target = os.path.join(home, f"{name}.{number}")
        number += 1
    return target
