"""File events for the master: touch reload and file monitors. The only import of watchdog.

An event is a hint; whoever is told looks at the file.
"""

from __future__ import annotations

import os

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
from watchdog.observers import Observer
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
]


class FileWatch:
    """Calls `tell(path)` from a thread of its own when something happened to one of `paths` (absolute).

    polling: look every second instead of waiting for events, for file systems that send none (container mounts).
    """

    def __init__(self, paths: Iterable[str], tell: Callable[[str], None], *, polling: bool = False) -> None:
        self._observer = PollingObserver() if polling else Observer()
        handler = _Handler(tell)
        for path in paths:
            handler.paths[path] = path
            for directory in {os.path.dirname(path), path}:
                if os.path.isdir(directory) and directory not in handler.directories:
                    handler.directories.add(directory)
                    self._observer.schedule(handler, directory, recursive=False, event_filter=_CHANGES)
        self._observer.daemon = True
        self._observer.start()

    def close(self) -> None:
        """Stop the thread."""
        self._observer.stop()
        self._observer.join(2)


class SourceWatch:
    """Calls `tell()` from a thread of its own when Python source below one of `paths` changed.

    polling: as for FileWatch.
    """

    def __init__(self, paths: Iterable[str], tell: Callable[[], None], *, polling: bool = False) -> None:
        self._observer = PollingObserver() if polling else Observer()
        handler = _SourceHandler(tell)
        for path in paths:
            self._observer.schedule(handler, path, recursive=os.path.isdir(path), event_filter=_CHANGES)
        self._observer.daemon = True
        self._observer.start()

    def close(self) -> None:
        """Stop the thread."""
        self._observer.stop()
        self._observer.join(2)


def is_source(path: str) -> bool:
    """Is it Python source, and not a cache or what an editor drops beside it?"""
    *directories, name = path.split(os.sep)
    return name.endswith(".py") and not name.startswith((".", "#")) and "__pycache__" not in directories


class _SourceHandler(FileSystemEventHandler):
    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell = tell

    def on_any_event(self, event: FileSystemEvent) -> None:
        if not event.is_directory and any(
            is_source(os.fsdecode(name)) for name in (event.src_path, event.dest_path or "") if name
        ):
            self._tell()


class _Handler(FileSystemEventHandler):
    def __init__(self, tell: Callable[[str], None]) -> None:
        self.paths: dict[str, str] = {}
        self.directories: set[str] = set()
        self._tell = tell

    def on_any_event(self, event: FileSystemEvent) -> None:
        for name in (os.fsdecode(event.src_path), os.fsdecode(event.dest_path or "")):
            for path in (name, os.path.dirname(name)):
                if path in self.paths:
                    self._tell(path)
