"""File events for the master: touch reload and file monitors. The only import of watchdog.

An event is a hint; whoever is told looks at the file.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod

from watchdog import events
from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirModifiedEvent,
    DirMovedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.utils import platform

try:
    from watchdog.observers import Observer

    #: are there file events?
    EVENTS = True
except ImportError:  # this Python was built without ctypes, which watchdog takes for granted on Linux
    platform.__platform__ = platform.PLATFORM_UNKNOWN  # so it polls, as on a system that it does not know
    from watchdog.observers import Observer

    EVENTS = False
from watchdog.observers.polling import PollingObserver

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: never opened and closed: reading a file is no change
_CHANGES: list[type[FileSystemEvent]] = [
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileDeletedEvent,
    DirCreatedEvent,
    DirModifiedEvent,
    DirMovedEvent,
    DirDeletedEvent,
    # times and mode alone: watchdog 7 tells these apart, an older one does not
    *(getattr(events, name) for name in ("FileAttribEvent", "DirAttribEvent") if hasattr(events, name)),
]


class _Watch(FileSystemEventHandler, ABC):
    """An observer that goes on with the directories it was given, though other ones may have come under their names.

    polling: look every second instead of waiting for events, for file systems that send none (container mounts).
    """

    def __init__(self, *, polling: bool) -> None:
        self._observer = PollingObserver() if polling else Observer()
        self._observer.daemon = True
        #: path -> inode
        self._roots: dict[str, int] = {}
        #: the same paths, free of links: FSEvents of macOS tells of real paths alone (/tmp is /private/tmp there)
        self._real: set[str] = set()
        #: one of them was removed; the next one made may have its inode
        self._removed = False

    def _add(self, path: str, *, recursive: bool = False) -> None:
        """Watch a path, if it is there."""
        self._roots[path] = _inode(path)
        self._real.add(os.path.realpath(path))
        if self._roots[path]:
            self._observer.schedule(self, path, recursive=recursive, event_filter=_CHANGES)

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Called by watchdog."""
        if isinstance(event, DirDeletedEvent) and os.fsdecode(event.src_path) in {*self._roots, *self._real}:
            self._removed = True
        self._happened(event)

    @abstractmethod
    def _happened(self, event: FileSystemEvent) -> None:
        """Something happened at one of the paths, or below it."""

    def moved(self) -> bool:
        """Is one of the paths gone, or there now, or another one than when the watch began? It is not watched, then."""
        return self._removed or any(_inode(path) != inode for path, inode in self._roots.items())

    def close(self) -> None:
        """Stop the thread."""
        self._observer.stop()
        self._observer.join(2)


def _real(path: str) -> str:
    """A path with its directory free of links; itself may be one, that is replaced."""
    return os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))


def _inode(path: str) -> int:
    """0 when it is not there."""
    try:
        return os.stat(path).st_ino
    except OSError:
        return 0


class FileWatch(_Watch):
    """Calls `tell(path)` from a thread of its own when something happened to one of `paths` (absolute)."""

    def __init__(self, paths: Iterable[str], tell: Callable[[str], None], *, polling: bool = False) -> None:
        super().__init__(polling=polling)
        #: what an event may call a path -> the path
        self._paths = {name: path for path in paths for name in (path, _real(path))}
        self._tell = tell
        given = set(self._paths.values())
        for place in {os.path.dirname(path) for path in given} | set(filter(os.path.isdir, given)):
            self._add(place)
        self._observer.start()

    def _happened(self, event: FileSystemEvent) -> None:
        for name in (os.fsdecode(event.src_path), os.fsdecode(event.dest_path or "")):
            for path in (name, os.path.dirname(name)):
                if path in self._paths:
                    self._tell(self._paths[path])


class SourceWatch(_Watch):
    """Calls `tell()` from a thread of its own when Python source below one of `paths` changed."""

    def __init__(self, paths: Iterable[str], tell: Callable[[], None], *, polling: bool = False) -> None:
        super().__init__(polling=polling)
        self._tell = tell
        for path in paths:
            self._add(path, recursive=os.path.isdir(path))
        self._observer.start()

    def _happened(self, event: FileSystemEvent) -> None:
        names = [os.fsdecode(name) for name in (event.src_path, event.dest_path) if name]
        if not event.is_directory and any(map(is_source, names)):
            self._tell()


def is_source(path: str) -> bool:
    """Is it Python source, and not a cache or what an editor drops beside it?"""
    *directories, name = path.split(os.sep)
    return name.endswith(".py") and not name.startswith((".", "#")) and "__pycache__" not in directories
