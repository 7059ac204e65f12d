"""No stale bytecode after a reload.

Python believes a cached `.pyc` when the size of its source and the whole second of its mtime are those of the source it
was compiled from. Two edits of one size within a second, or with the mtime that a copying program set, look the same to
it; then the new code would be on the disk and the old code would run. So, in a fork server and all that it forks:

    read     a `.pyc` only if it was written two seconds or more after the source last changed, by mtime and by ctime,
             which no program can set; otherwise the source is compiled
    written  a `.pyc` only of source that has been at rest for as long, so that no other Python is misled either

Bytecode by hash (PEP 552) is left to Python. Installed packages and Python's own library are as always: nobody edits
them between two reloads, and compiling them anew would make every start slow.
"""

from __future__ import annotations

import os
import time
from importlib.machinery import SourceFileLoader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

#: seconds; the coarsest time stamps of a file system (FAT) are two seconds apart
REST = 2.0

_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_OURS = (os.path.dirname(os.__file__) + os.sep, os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep)
#: bytes of a .pyc: its magic number, then its flags, 0 for bytecode that is held against mtime and size
_FLAGS = slice(4, 8)

_path_stats = SourceFileLoader.path_stats
_get_data = SourceFileLoader.get_data


def distrust() -> None:
    """From now on, in this process and its forks, imports follow the rule above."""
    SourceFileLoader.path_stats = _stats_of_rest  # type: ignore[method-assign]  # for every finder's loader
    SourceFileLoader.get_data = _trusted_data  # type: ignore[assignment,method-assign]  # likewise


def _stats_of_rest(self: SourceFileLoader, path: str) -> Mapping[str, Any]:
    """What importlib holds the bytecode against. Raises OSError, on which it neither reads nor writes any."""
    stats: Mapping[str, Any] = _path_stats(self, path)
    if not _installed(path) and time.time() < _changed(path) + REST:
        raise OSError(f"{path} was changed just now")
    return stats


def _trusted_data(self: SourceFileLoader, path: str) -> bytes:
    """A file's bytes. Raises OSError for bytecode that may be stale: importlib compiles the source instead."""
    data = _get_data(self, path)
    timed = path.endswith(".pyc") and not any(data[_FLAGS])
    if timed and not _installed(self.path) and os.stat(path).st_mtime < _changed(self.path) + REST:
        raise OSError(f"{path} may be older than its source")
    return data


def _changed(path: str) -> float:
    """When a file last changed, in epoch seconds."""
    status = os.stat(path)
    return max(status.st_mtime, status.st_ctime)


def _installed(path: str) -> bool:
    return path.startswith(_OURS) or any(part in path for part in _INSTALLED)
