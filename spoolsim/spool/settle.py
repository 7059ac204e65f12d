"""Ending a claim as a verdict says: `apply` is the only place where one ends.

The file is unlinked while its lock is held, so that nobody can claim it in between.
"""

from __future__ import annotations

import errno
import os
import stat

from spoolsim import system
from spoolsim.log import encoded
from spoolsim.spool import keep, lock
from spoolsim.spool.claim import held
from spoolsim.spool.lock import close, unlock
from spoolsim.spool.verdicts import REMOVE, Aside, Postpone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from spoolsim.spool.claim import Claim
    from spoolsim.spool.scan import Level
    from spoolsim.spool.verdicts import Verdict

#: a handler that took no longer, in nanoseconds, had no time to put another file in the place of its own: one rename
#: takes five microseconds where calling a handler takes one
GLIMPSE = 1_500

#: in the place of the nanoseconds: whatever lies at the task's name is removed, as uWSGI does
UNCHECKED = -1

#: bytes that a name may have, so that `.why`, and a number before it, fit behind it
_LONGEST = 240


class Replaced(OSError):
    """Another file has taken the name of a task while it was run."""


class Lost(Exception):
    """A claim has ended, but the handler had closed descriptors that are our own: this process is of no use anymore."""


def apply(claim: Claim, verdict: Verdict, took: int = GLIMPSE) -> str:
    """End a claim; returns the new path of a task that is set aside, '' otherwise.

    took: nanoseconds that its handler ran, or UNCHECKED.
    Raises Lost when the claim has ended, but this process must end, too. Raises OSError when the verdict cannot be
    carried out: Replaced when another file has taken the task's name, which is then left alone, FileNotFoundError when
    the handler removed the file itself. The claim is still ours then, for another verdict.
    """
    if verdict is REMOVE:
        try:
            if took >= GLIMPSE:
                _check_identity(claim)
            if system.AT:
                os.unlink(claim.name, dir_fd=claim.level.fd)
            else:
                _give_up(claim)  # an open file cannot be removed there
                os.unlink(claim.path)
        except OSError as error:
            _unlink_by_path(claim, error, took)
            _give_up(claim)
            raise Lost from None
        _give_up(claim)
        return ""
    if isinstance(verdict, Aside):
        target = _set_aside(claim, verdict.home, verdict.reason)
        _give_up(claim)
        return target
    if isinstance(verdict, Postpone):
        make_due(claim.fd if os.utime in os.supports_fd else claim.path, verdict.until)
        _release(claim)
    elif not _release(claim):
        raise Lost
    return ""


def _unlink_by_path(claim: Claim, refused: OSError, took: int) -> None:
    """Remove the file of a task where our own descriptor of its directory is gone, as the handler has closed it."""
    if not system.AT or not lost(claim.level):
        raise refused
    if took > UNCHECKED and os.lstat(claim.path).st_ino != claim.inode:
        raise Replaced(errno.EEXIST, os.strerror(errno.EEXIST), claim.path) from None
    os.unlink(claim.path)


def _give_up(claim: Claim) -> None:
    """Close, and so unlock, the file of a task."""
    if claim.fd < 0:
        return  # done already
    held.fd = -1
    try:
        os.close(claim.fd)
    except OSError:
        pass  # nothing was written through it
    if lock.OFD_SETLK is None or not system.AT:
        claim.fd = -1
        keep.let_go(claim.level.spool, claim.inode)


def lost(level: Level) -> bool:
    """Whether the descriptor of a directory is another file's by now, or none: the handler closed what is ours."""
    try:
        found, there = os.fstat(level.fd), os.stat(level.path)
    except OSError as error:
        return error.errno == errno.EBADF
    return (found.st_dev, found.st_ino) != (there.st_dev, there.st_ino) and not stat.S_ISDIR(found.st_mode)


def _check_identity(claim: Claim) -> None:
    """Raise Replaced when the name is another file's by now."""
    if system.AT:
        there = os.stat(claim.name, dir_fd=claim.level.fd, follow_symlinks=False)
    else:
        there = os.stat(claim.path, follow_symlinks=False)
    if there.st_ino != claim.inode:
        raise Replaced(errno.EEXIST, os.strerror(errno.EEXIST), claim.path)


def _release(claim: Claim) -> bool:
    """Unlock at once, also for a child of the handler that still holds the descriptor.

    Returns False where the descriptor was gone: the handler has closed what is ours.
    """
    if claim.fd < 0:
        return True  # closed already, in vain
    try:
        unlock(claim.fd, record=claim.record)
    except OSError as error:  # closing it is all that can be done
        return error.errno != errno.EBADF
    finally:
        _give_up(claim)
    return True


def abandon() -> None:
    """Give up the claim that this process holds, if any, where nothing else is known of it any more."""
    fd, held.fd = held.fd, -1
    if fd >= 0:
        try:
            unlock(fd)
        except OSError:
            pass
        close(fd)
    if lock.OFD_SETLK is None:
        keep.let_all_go()


def make_due(file: int | str, until: float, *, home: int | None = None) -> None:
    """Set the mtime of a descriptor or path, or of a path below the descriptor `home`, to `until` (epoch seconds).

    A symbolic link below `home` is not followed. Raises OSError, also for a time after 2038 where the C library has 32
    bits for it.
    """
    try:
        os.utime(file, (until, until), dir_fd=home, follow_symlinks=home is None)
    except OverflowError as error:
        raise OSError(errno.EOVERFLOW, str(error)) from None


def _set_aside(claim: Claim, home: str, reason: str) -> str:
    """Move a task's file to a directory below `.spoolsim/`; returns its new path."""
    why = ""
    try:
        target = free_name(claim.level.spool.make_state_dir(home), claim.name)
        with open(f"{target}.why", "xb") as reasons:
            why = f"{target}.why"
            reasons.write(b"%b\n%b\n" % (encoded(claim.path), encoded(reason)))
        _check_identity(claim)
        if system.AT:
            os.rename(claim.name, target, src_dir_fd=claim.level.fd)
        else:
            _give_up(claim)  # an open file cannot be renamed there
            os.rename(claim.path, target)
    except BaseException:
        if why:
            os.unlink(why)
        raise
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
