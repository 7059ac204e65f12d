"""Unix sockets at the paths that options name: only a socket is ever removed or replaced there."""

from __future__ import annotations

import errno
import os
import socket
import stat


def bind_unix(path: str, *, replace: bool) -> socket.socket:
    """A socket with mode 0600 at a path, not listening yet.

    replace: in place of a socket there, even one that somebody listens at, as a process that takes over does; without,
    only of one that nobody listens at any more. Raises OSError, for anything else than a socket at the path, too.
    """
    try:
        there = os.lstat(path)
    except FileNotFoundError:
        there = None
    if there is not None:
        if not stat.S_ISSOCK(there.st_mode):
            raise OSError(errno.EEXIST, "there is something else than a socket, which is left alone; name another path")
        if replace or _is_stale(path):
            os.unlink(path)
    server = socket.socket(socket.AF_UNIX)
    umask = os.umask(0o177)
    try:
        server.bind(path)
    except BaseException:
        server.close()
        raise
    finally:
        os.umask(umask)
    return server


def remove(path: str, inode: int) -> None:
    """Remove a socket of ours, unless something else has its path by now."""
    try:
        if os.lstat(path).st_ino == inode:
            os.unlink(path)
    except OSError:
        pass


def _is_stale(path: str) -> bool:
    """Whether nobody listens at a socket any more."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return True
        except OSError:
            pass
    return False


def why_not_bound(error: Exception) -> str:
    """Why an address cannot be listened at, and what to do."""
    why = getattr(error, "strerror", None) or str(error)
    if getattr(error, "errno", None) == errno.EADDRINUSE:
        return f"{why}: another program listens there; end it, or choose another port or path"
    if getattr(error, "errno", None) == errno.EEXIST:
        return why
    return f"{why}; write HOST:PORT, :PORT or the path of a socket"
