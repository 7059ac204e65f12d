"""Whose process this is, and in which root directory: what a handler may change and nobody can change back.

After os.setuid() or os.chroot() a process finds, or may read, other files than before.
"""

from __future__ import annotations

import os


def here() -> tuple[int, int, int, int]:
    """Return the effective user and group of this process, and the device and inode of its root directory.

    Only root can change the root directory: for others it is (0, 0), which spares a system call for each task.
    """
    user = os.geteuid()
    if user:
        return user, os.getegid(), 0, 0
    root = os.stat("/")
    return user, os.getegid(), root.st_dev, root.st_ino


def changed(before: tuple[int, int, int, int] | None) -> str:
    """Return what has changed since `here()` returned `before`, in words; '' for nothing, or without `before`."""
    if before is None:
        return ""
    now = here()
    if now == before:
        return ""
    if now[:2] != before[:2]:
        return "user or group"
    return "root directory"
