"""A spool directory, and every state a task can have in it.

    state          on disk                                              who leaves it, how
    absent         nothing                                              producer: put
    being written  a temporary file with a dot, or a file that is       producer: rename, or close;
                   empty or locked by its producer                      its death leaves an empty file at most
    waiting        a spool file, mtime due, no lock                     worker: claim
    future         a spool file, mtime later than now                   time
    claimed        a spool file, locked by the worker that runs it      worker: settle; its death: waiting again
    broken         in .spoolsim/broken/, with its reason beside it      a person
    failed         in .spoolsim/failed/, likewise: --max-attempts       a person: spoolsim retry
    held           in .spoolsim/held/, likewise: a person held it       a person: spoolsim release
    removed        in .spoolsim/trash/, likewise: a person removed it   a person: spoolsim undo
    moving         a spool file, locked by a person's command, and a    that command: rename; its death: waiting
                   whole copy with a dot (see move.py)                  again, or moved already
    done           nothing                                              -

Invariants, cited by the tests:
    I1  A spool file under its own name is empty, or whole.
    I2  A task is one file at every instant, from put to settle; it is unlinked only after its handler said done.
    I3  A claim is held by one process at a time, real uWSGI's included.
    I4  What cannot be parsed is moved, never deleted (except under --faithful, as uWSGI does).
    I5  Nothing outside the directory is written, whatever a packet says.
    I6  Looking at a directory changes nothing in it.
"""

from __future__ import annotations

import errno
import os
import stat

from spoolsim import system
from spoolsim.errors import SpoolDirError

#: our state directory in a spool directory; real uWSGI ignores names that begin with a dot
CORNER = ".spoolsim"
BROKEN = "broken"
FAILED = "failed"
HELD = "held"
TRASH = "trash"


class SpoolDir:
    """One spool directory.

    path: its resolved absolute path, which is also the spooler's name (uWSGI option `spooler`).
    external: enqueued to, but served by somebody else (`spooler-external`).
    bare: leave nothing of ours in it (--faithful): our state directory is in the system's temporary directory.
    """

    __slots__ = ("bare", "bpath", "external", "path")

    def __init__(self, path: str, *, external: bool = False, bare: bool = False) -> None:
        self.path = path
        self.bpath = os.fsencode(path)
        self.external = external
        self.bare = bare

    @classmethod
    def resolve(
        cls, path: str, *, start: str, external: bool = False, bare: bool = False, make: bool = True
    ) -> SpoolDir:
        """The directory that an option names, made with mode 0750 if it is missing (one level only).

        path: as typed; a relative one is taken from `start`, the directory we were started in (not from `chdir`).
        Raises SpoolDirError, its cause the OSError that says why it cannot be used.
        """
        if not path:  # joined to the start it would be the start itself
            raise SpoolDirError("spooler directory: its name is empty; name a directory") from FileNotFoundError(
                errno.ENOENT, os.strerror(errno.ENOENT)
            )
        full = os.path.join(start, path)
        try:
            if make:
                try:
                    os.mkdir(full, 0o750)
                except FileExistsError:
                    if not os.path.isdir(full):
                        raise
            elif not os.path.isdir(full):
                os.stat(full)  # says why there is none
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            full = os.path.realpath(full, strict=True)
            if make and not os.access(full, os.R_OK | os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        except OSError as error:
            raise SpoolDirError(
                f"spooler directory {path}: {_why_not(full, error, absolute=os.path.isabs(path))}"
            ) from error
        return cls(full, external=external, bare=bare)

    def state_dir(self, *parts: str) -> str:
        """The path of something in our state directory; nothing is made."""
        return os.path.join(*self._way(), *parts)

    def _way(self) -> tuple[str, ...]:
        """A directory that is there, and the steps from it to our state directory.

        That of a bare one is in the temporary directory, where every process of this user finds it again.
        """
        if not self.bare:
            return self.path, CORNER
        status = os.stat(self.path)
        home = _temporary()
        return home, f"spoolsim-{system.getuid()}", f"{status.st_dev:x}-{status.st_ino:x}", CORNER

    def make_state_dir(self, *parts: str) -> str:
        """The same, as a directory that exists, readable by its owner only.

        Raises PermissionError when it is a link or a file, or another user's.
        """
        path, *steps = self._way()  # never the spool directory itself, which somebody has perhaps removed just now
        for step in (*steps, *parts):
            path = os.path.join(path, step)
            made = _make(path)
            own(path, root_may=not self.bare)
            if made and step == CORNER:
                with open(os.path.join(path, ".gitignore"), "wb") as ignore:
                    ignore.write(b"*\n")
        return path

    def __repr__(self) -> str:
        return f"SpoolDir({self.path!r})"


def _temporary() -> str:
    """Where every process of this user finds the same place again."""
    return os.environ.get("TMPDIR") or ("/tmp" if system.POSIX else os.environ.get("TEMP", "."))


def _make(path: str) -> bool:
    """Was it missing?"""
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        return False
    return True


def own(path: str, *, root_may: bool) -> None:
    """What others laid out in our place, a link above all, leads where they want it to.

    root_may: root may use anybody's, as it looks after everybody's spool directories.
    """
    status = os.lstat(path)
    ours = system.getuid() in ((status.st_uid, 0) if root_may else (status.st_uid,))
    if not stat.S_ISDIR(status.st_mode):
        raise PermissionError(errno.EPERM, f"{path} is not a directory of ours, but a file or a link; move it away")
    if not ours:
        whose = f"{path} is not a directory of ours, but of user {status.st_uid}"
        raise PermissionError(errno.EPERM, f"{whose}; run this as that user, or chown -R it")


def _why_not(full: str, error: OSError, *, absolute: bool) -> str:
    """What is wrong with a spooler directory, and what to do. absolute: it was named by a path from the root."""
    from shlex import quote

    if isinstance(error, PermissionError):
        return f"Permission denied: this user has to read, write and enter it; chown or chmod {quote(full)}"
    if isinstance(error, FileExistsError | NotADirectoryError) and os.path.exists(full):
        return "this is a file, and a directory is needed; name another one, or move the file away"
    if isinstance(error, FileNotFoundError):
        parent = os.path.dirname(full.rstrip("/")) or "."
        if os.path.isdir(parent):
            return "there is no such directory; spoolsim run makes it, or: mkdir -m 750 " + quote(full)
        here = f"; or, if that is a path of another machine, --map {quote(parent)}=DIR" if absolute else ""
        return f"{parent} is missing, and only the last directory of a path is made; mkdir -p {quote(parent)}{here}"
    return f"{error.strerror}; spoolsim has to read and write it"
