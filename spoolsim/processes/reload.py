"""The master's part of touch-spoolers-reload, --watch and py-autoreload: which files, when to look, and what a touch
sets off.
"""

from __future__ import annotations

import os
import sys
from collections import namedtuple

from spoolsim.processes.mounts import silent_type
from spoolsim.processes.touch import Quiet, touched

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import TypeAlias, TypeVar

    from spoolsim.diagnose import Notes
    from spoolsim.log import Log
    from spoolsim.options import Options
    from spoolsim.processes.loop import Loop
    from spoolsim.processes.touch import Seen
    from spoolsim.processes.watch import FileWatch, SourceWatch

    W = TypeVar("W", FileWatch, SourceWatch)

#: how often the files are looked at, in seconds; uWSGI's master looks as often. Events make it sooner.
_LOOK = 1.0
#: seconds from the touch to the kill under --faithful; uWSGI gives spoolers no mercy and looks once a second
_NO_MERCY = 1.0


class ReloadWanted(namedtuple("ReloadWanted", "why touched", defaults=("", False))):
    """Import the app again. why: the line that says so; "" where it was said.

    touched: touch-spoolers-reload asks for it, for which uWSGI imports nothing again but spooler-import.
    """

    __slots__ = ()
    why: str
    touched: bool


class RestartWanted(namedtuple("RestartWanted", "")):
    """Kill everything, and begin anew."""

    __slots__ = ()


class NoMercy(namedtuple("NoMercy", "")):
    """Kill the spoolers: they had their second."""

    __slots__ = ()


if TYPE_CHECKING:
    Asked: TypeAlias = ReloadWanted | RestartWanted | NoMercy


class Touch:
    """Watches the files of touch-spoolers-reload for a master."""

    def __init__(self, options: Options, log: Log, notes: Notes, loop: Loop) -> None:
        self._options = options
        self._policy = options.policy
        self._log = log
        self._notes = notes
        self._loop = loop
        #: when the app that is imported now, or was, began to be imported: what is newer was perhaps not read
        self.import_began = 0.0
        start = os.getcwd()
        #: path as given -> absolute
        self.paths = {path: os.path.join(start, path) for path in (*options.touch_all, *options.touch_reload)}
        #: what was there before the app is imported: a touch amid the import is one. uWSGI looks after it
        self.seen: dict[str, Seen] = self._look_at_all() if self._policy.notices_every_touch else {}
        self.look_at: float | None = None
        self.kill_at: float | None = None
        self.hinted = False
        self._watch: FileWatch | None = None
        self.fd = -1
        self._sources: SourceWatch | None = None
        #: py-autoreload: the files of the app's modules, and what watches them
        self._modules: set[str] = set()
        self._module_watch: FileWatch | None = None
        self._quiet = Quiet()
        self._changed = False

    def _look_at_all(self) -> dict[str, Seen]:
        return {path: _look(full) for path, full in self.paths.items()}

    def watches(self) -> bool:
        """Is there anything whose change reloads?"""
        options = self._options
        return bool(self.paths or options.watch or options.py_autoreload)

    def start(self) -> None:
        """From now on; imports watchdog, so it is called when the fork server is there."""
        if self.look_at is not None or not self.watches():
            return
        self.look_at = self._loop.now() + _LOOK
        options = self._options
        if options.py_autoreload and not (options.sockets or options.web_sockets):
            self._notes.give("autoreload-no-worker", "py-autoreload")
        for path in options.watch:
            if not os.path.exists(path):
                self._log.say(f"--watch {path}: there is no such file or directory", error=True)
        self._watch_sources()
        if not self.paths:
            return
        if not self._policy.notices_every_touch:
            self.seen = self._look_at_all()
        for path, full in self.paths.items():
            if _look(full) is None:
                self._log.line(f"unable to stat() {path}, events will be triggered as soon as the file is created")
        if self._policy.notices_every_touch:
            self.hinted = True
            try:
                self._watch_files()
            except OSError as error:
                self._log.say(f"no file events ({error.strerror}): touched files are noticed within a second")

    def forget(self) -> None:
        """No touch is known, and none is being answered; it begins anew."""
        self.seen = {}
        self.look_at = self.kill_at = None

    def _watch_sources(self) -> None:
        """--watch."""
        paths = list(dict.fromkeys(map(os.path.abspath, self._options.watch)))
        if not paths:
            return
        from spoolsim.processes.watch import SourceWatch

        if self._sources is not None:
            self._sources.close()
        self._sources = self.begin(
            lambda polling: SourceWatch(paths, self._source_changed, polling=polling), paths, "source is"
        )
        if any(_newer(path, self.import_began) for path in paths):  # written while the watch was not there yet
            self._source_changed()

    def modules(self, files: Iterable[str]) -> None:
        """py-autoreload: the files of the modules that the app has imported, as a fork server found them.

        One that is imported no more stays watched: it may be the one whose import failed.
        """
        if not self._modules.issuperset(files):
            self._modules.update(files)
            self._watch_modules()

    def _watch_modules(self) -> None:
        from spoolsim.processes.watch import FileWatch

        if self._module_watch is not None:
            self._module_watch.close()
        self._module_watch = self.begin(
            lambda polling: FileWatch(self._modules, self._module_changed, polling=polling), self._modules, "source is"
        )
        if any(_newer(path, self.import_began) for path in self._modules):
            self._source_changed()

    def _watch_moved(self) -> None:
        """A watched directory was removed, made again, or renamed: the kernel goes on with the one that it was."""
        if self._sources is not None and self._sources.moved():
            self._watch_sources()
            self._source_changed()
        if self._module_watch is not None and self._module_watch.moved():
            self._watch_modules()
            self._source_changed()

    def begin(self, make: Callable[[bool], W], paths: Iterable[str], what: str) -> W:
        """A watch made by `make(polling)`; where the kernel has none left for us, one that looks, and that is said.

        what: "source is", for the sentence.
        """
        try:
            return make(self.polling(paths))
        except OSError as error:
            self._log.say(f"no file events ({error.strerror}): {what} looked at every second")
            return make(True)

    def polling(self, paths: Iterable[str]) -> bool:
        """Must the files be looked at, because nobody tells of their changes? The reason is said."""
        if self._options.watch_polling:
            return True
        from spoolsim.processes.watch import EVENTS

        if not EVENTS:
            self._log.say("this Python was built without ctypes: watched files are looked at every second")
            return True
        try:
            with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
                mounts = table.read()
        except OSError:  # no Linux
            return False
        for path in paths:
            silent = silent_type(os.path.realpath(path), mounts)
            if silent:
                self._notes.give("no-file-events", path, f"{silent} does not tell of changes from outside")
                return True
        return False

    def _module_changed(self, path: str) -> None:
        self._source_changed()

    def _source_changed(self) -> None:
        self._changed = True
        self._loop.wake()

    def _watch_files(self) -> None:
        """Where the kernel tells it directly, a touch is known at once; watchdog holds events half a second."""
        if sys.platform != "linux":
            from spoolsim.processes.watch import FileWatch

            self._watch = FileWatch(self.paths.values(), self._hint)
            return
        from spoolsim.spool import inotify

        self.fd = inotify.open()
        self._loop.watch(self.fd)
        for path in {part for full in self.paths.values() for part in (full, os.path.dirname(full))}:
            if os.path.isdir(path):
                inotify.add(self.fd, path, inotify.ANY_CHANGE)

    def collect(self, ready: set[int]) -> None:
        """The descriptors that are readable: something happened to one of the files, or beside it."""
        if self.fd in ready:
            try:
                while os.read(self.fd, 65536):
                    self.hinted = True
            except BlockingIOError:
                pass

    def _hint(self, path: str) -> None:
        self.hinted = True
        self._loop.wake()

    def next_deadline(self) -> float | None:
        """When to tick."""
        times = [at for at in (self.look_at, self.kill_at, self._quiet.at) if at is not None]
        return min(times, default=None)

    def tick(self) -> Iterator[Asked]:
        """Look at the files if it is time, or if an event said so; what their changes ask for."""
        now = self._loop.now()
        if self.kill_at is not None and now >= self.kill_at:
            self.kill_at = None
            yield NoMercy()
        if self._changed:
            self._changed = False
            self._quiet.changed(now)
        if self._quiet.over(now):
            yield ReloadWanted("source changed: reloading")
        if self.look_at is None or not (self.hinted or now >= self.look_at):
            return
        if now >= self.look_at:
            self._watch_moved()
        self.hinted = False
        self.look_at = now + _LOOK
        for path, full in self.paths.items():
            found = _look(full)
            before, self.seen[path] = self.seen[path], found
            if touched(before, found, every=self._policy.notices_every_touch):
                yield from self._fire(path, now)

    def _fire(self, path: str, now: float) -> Iterator[Asked]:
        if path in self._options.touch_all:
            self._log.dated(f"*** {path} has been touched... grace them all !!! ***")
            yield ReloadWanted() if self._policy.finishes_tasks_on_reload else RestartWanted()
            return
        self._log.dated(f"*** {path} has been touched... spoolers reload !!! ***")
        if self._policy.reload_imports_anew:
            yield ReloadWanted(touched=True)
        else:
            self.kill_at = now + _NO_MERCY

    def close(self) -> None:
        """Stop watching."""
        if self._watch is not None:
            self._watch.close()
        if self.fd >= 0:
            os.close(self.fd)
        if self._sources is not None:
            self._sources.close()
        if self._module_watch is not None:
            self._module_watch.close()


def _newer(path: str, when: float) -> bool:
    """Was Python source below `path` changed after `when` (epoch seconds)?

    By ctime, too: an mtime is what the program that copied the file has set.
    """
    from spoolsim.processes.watch import is_source

    files = (
        [path]
        if os.path.isfile(path)
        else (os.path.join(home, name) for home, _, names in os.walk(path) for name in names)
    )
    for file in files:
        try:
            if is_source(file):
                status = os.stat(file)
                if max(status.st_mtime, status.st_ctime) > when:
                    return True
        except OSError:
            continue  # gone meanwhile
    return False


def _look(path: str) -> Seen:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino
