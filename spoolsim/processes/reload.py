"""The master's part of touch-spoolers-reload, --watch and py-autoreload: which files, when to look, and what a touch
sets off.
"""

from __future__ import annotations

import os
import select
import sys
import time

from spoolsim.processes.mounts import silent_type
from spoolsim.processes.touch import touched

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeVar

    from spoolsim.processes.master import Master
    from spoolsim.processes.touch import Seen
    from spoolsim.processes.watch import FileWatch, SourceWatch

    W = TypeVar("W", FileWatch, SourceWatch)

#: how often the files are looked at, in seconds; uWSGI's master looks as often. Events make it sooner.
_LOOK = 1.0
#: faithful: seconds from the touch to the kill; uWSGI gives spoolers no mercy and looks once a second
_NO_MERCY = 1.0
#: an editor writes several times: seconds without a change before a reload
_QUIET = 0.1
#: but some programs never stop writing: so long after the first change it comes in any case
_LOUD = 2.0


class Touch:
    """Watches the files of touch-spoolers-reload for a master."""

    def __init__(self, master: Master) -> None:
        self.master = master
        self.faithful = master.options.faithful
        start = os.getcwd()
        #: path as given -> absolute
        options = master.options
        self.paths = {path: os.path.join(start, path) for path in (*options.touch_all, *options.touch_reload)}
        #: what was there before the app is imported: a touch amid the import is one. uWSGI looks after it
        self.seen: dict[str, Seen] = {} if self.faithful else {path: _look(full) for path, full in self.paths.items()}
        self.look_at: float | None = None
        self.kill_at: float | None = None
        self.hinted = False
        self._watch: FileWatch | None = None
        self.fd = -1
        self._sources: SourceWatch | None = None
        #: py-autoreload: the files of the app's modules, and what watches them
        self._modules: set[str] = set()
        self._module_watch: FileWatch | None = None
        #: source changed: when it has been quiet for so long, reload; and at the latest then
        self.quiet_at: float | None = None
        self.latest_at = 0.0
        self._changed = False

    def watches(self) -> bool:
        """Is there anything whose change reloads?"""
        options = self.master.options
        return bool(self.paths or options.watch or options.py_autoreload)

    def start(self) -> None:
        """From now on; imports watchdog, so it is called when the fork server is there."""
        if self.look_at is not None or not self.watches():
            return
        self.look_at = _now() + _LOOK
        options = self.master.options
        if options.py_autoreload and not (options.sockets or options.web_sockets):
            self.master.notes.give("autoreload-no-worker", "py-autoreload")
        for path in options.watch:
            if not os.path.exists(path):
                self.master.log.say(f"--watch {path}: there is no such file or directory", error=True)
        self._watch_sources()
        if not self.paths:
            return
        if self.faithful:
            self.seen = {path: _look(full) for path, full in self.paths.items()}
        for path, full in self.paths.items():
            if _look(full) is None:
                self.master.log.line(
                    f"unable to stat() {path}, events will be triggered as soon as the file is created"
                )
        if not self.faithful:
            self.hinted = True
            try:
                self._watch_files()
            except OSError as error:
                self.master.log.say(f"no file events ({error.strerror}): touched files are noticed within a second")

    def forget(self) -> None:
        """No touch is known, and none is being answered; it begins anew."""
        self.seen = {}
        self.look_at = self.kill_at = None

    def _watch_sources(self) -> None:
        """--watch."""
        paths = list(dict.fromkeys(map(os.path.abspath, self.master.options.watch)))
        if not paths:
            return
        from spoolsim.processes.watch import SourceWatch

        if self._sources is not None:
            self._sources.close()
        self._sources = self.begin(
            lambda polling: SourceWatch(paths, self._source_changed, polling=polling), paths, "source is"
        )
        if any(_newer(path, self.master.import_began) for path in paths):  # written while the watch was not there yet
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
        if any(_newer(path, self.master.import_began) for path in self._modules):
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
            self.master.log.say(f"no file events ({error.strerror}): {what} looked at every second")
            return make(True)

    def polling(self, paths: Iterable[str]) -> bool:
        """Must the files be looked at, because nobody tells of their changes? The reason is said."""
        if self.master.options.watch_polling:
            return True
        from spoolsim.processes.watch import EVENTS

        if not EVENTS:
            self.master.log.say("this Python was built without ctypes: watched files are looked at every second")
            return True
        try:
            with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as table:
                mounts = table.read()
        except OSError:  # no Linux
            return False
        for path in paths:
            silent = silent_type(os.path.realpath(path), mounts)
            if silent:
                self.master.notes.give("no-file-events", path, f"{silent} does not tell of changes from outside")
                return True
        return False

    def _module_changed(self, path: str) -> None:
        self._source_changed()

    def _source_changed(self) -> None:
        self._changed = True
        self.master.wake()

    def _watch_files(self) -> None:
        """Where the kernel tells it directly, a touch is known at once; watchdog holds events half a second."""
        if sys.platform != "linux":
            from spoolsim.processes.watch import FileWatch

            self._watch = FileWatch(self.paths.values(), self._hint)
            return
        from spoolsim.spool import inotify

        self.fd = inotify.open()
        self.master.poll.register(self.fd, select.POLLIN)
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
        self.master.wake()

    def next_look(self) -> float | None:
        """When to tick."""
        times = [at for at in (self.look_at, self.kill_at, self.quiet_at) if at is not None]
        return min(times, default=None)

    def tick(self) -> None:
        """Look at the files if it is time, or if an event said so."""
        now = _now()
        if self.kill_at is not None and now >= self.kill_at:
            self.kill_at = None
            self._no_mercy()
        if self._changed:
            self._changed = False
            if self.quiet_at is None:
                self.latest_at = now + _LOUD
            self.quiet_at = min(now + _QUIET, self.latest_at)
        if self.quiet_at is not None and now >= self.quiet_at:
            self.quiet_at = None
            self.master.reload("source changed: reloading")
        if self.look_at is None or not (self.hinted or now >= self.look_at):
            return
        if now >= self.look_at:
            self._watch_moved()
        self.hinted = False
        self.look_at = now + _LOOK
        for path, full in self.paths.items():
            found = _look(full)
            before, self.seen[path] = self.seen[path], found
            if touched(before, found, faithful=self.faithful):
                self._fire(path)

    def _fire(self, path: str) -> None:
        if path in self.master.options.touch_all:
            self.master.log.dated(f"*** {path} has been touched... grace them all !!! ***")
            if self.faithful:
                self.master.restart("...gracefully killing workers...")
            else:
                self.master.reload("")
            return
        self.master.log.dated(f"*** {path} has been touched... spoolers reload !!! ***")
        if self.faithful:
            self.kill_at = _now() + _NO_MERCY
        else:
            self.master.reload("", touched=True)

    def _no_mercy(self) -> None:
        master = self.master
        for generation in master.generations:
            for pid, number in sorted(generation.pids.items(), key=lambda item: item[1]):
                if number < master.served:
                    master.log.dated(f"spooler {number + 1} (pid: {pid}) is taking too much time to die...NO MERCY !!!")
                    generation.wire.send("kill", pid)

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


def _now() -> float:
    return time.clock_gettime(time.CLOCK_MONOTONIC)
