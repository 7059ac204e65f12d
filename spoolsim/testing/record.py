"""What was spooled in a test, and the assertions about it; shared by the in-process engine and the live one."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager

from spoolsim.log import Log
from spoolsim.spool.enqueue import Producer
from spoolsim.spool.look import FUTURE, UNFINISHED, UNREACHED, WAITING, look
from spoolsim.testing.task import Task, as_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from spoolsim.spool.directory import SpoolDir
    from spoolsim.testing.script import Spooled
    from spoolsim.work.app import App

#: lines of the log that a report shows
_TAIL = 20


class MemoryLog(Log):
    """A log that is kept, for the report of a failing test."""

    __slots__ = ("lines",)

    def __init__(self) -> None:
        super().__init__(colour=False)
        self.lines: list[str] = []

    def _emit(self, text: str) -> None:
        self.lines.append(text.rstrip("\n"))


class RecordingProducer(Producer):
    """A producer that knows a test's directories by their configured names too, and tells what it wrote.

    aliases: configured path -> the test's own. wrote: called with each Task.
    """

    __slots__ = ("_aliases", "_wrote")

    def __init__(self, plain: Producer, aliases: dict[bytes, bytes], wrote: Callable[[Task], None]) -> None:
        super().__init__(
            plain.directories,
            log=plain.log,
            notes=plain.notes,
            ordered=plain.ordered,
            policy=plain.policy,
            quiet=plain.quiet,
            stamp=plain.stamp,
        )
        self._aliases = aliases
        self._wrote = wrote

    def _directory(self, name: bytes) -> SpoolDir:
        return super()._directory(self._aliases.get(name, name))

    def _write(self, directory: SpoolDir, data: bytes, body: bytes, at: int, priority: bytes) -> bytes:
        path = super()._write(directory, data, body, at, priority)
        self._wrote(Task(os.fsdecode(path), data + body, at=at, priority=os.fsdecode(priority), state=WAITING))
        return path


class Record:
    """What was spooled, what is left."""

    app: App
    served: list[SpoolDir]

    def __init__(self, spooled: Spooled) -> None:
        self._spooled = spooled
        self.log = MemoryLog()

    def spool(self, job: dict[Any, Any]) -> bytes:
        """As uwsgi.spool(), but keys and values may be text too. Returns the file's path."""
        return self.app.producer.spool({as_bytes(key): as_bytes(value) for key, value in job.items()})

    def spooled(self, what: Any = None, **expected: Any) -> list[Task]:
        """The tasks spooled so far in this test, in order, run or not.

        what: a decorated function (or its name), or a dict of variables, bytes or text; None for all.
        expected: variables, or keyword arguments of a function with pass_arguments, that a task must hold.
        """
        if isinstance(what, dict):
            expected = {**what, **expected}
            name = ""
        else:
            name = "" if what is None else function_name(what)
        return [task for task in self._spooled.tasks if (not name or task.function == name) and task.holds(expected)]

    def assert_spooled(self, what: Any = None, times: int | None = None, **expected: Any) -> list[Task]:
        """Assert that such a task was spooled, `times` times (None: at least once); returns what `spooled` does."""
        __tracebackhide__ = True
        found = self.spooled(what, **expected)
        if (not found) if times is None else len(found) != times:
            number = "at least once" if times is None else f"{times} times"
            described = repr(what) if isinstance(what, dict) else "a task" if what is None else function_name(what)
            with_what = f" with {expected}" if expected else ""
            lines = "".join(f"\n  {task!r}" for task in self._spooled.tasks) or "\n  nothing"
            wanted = f"expected {described}{with_what} to be spooled {number}"
            raise AssertionError(f"{wanted}, it was {len(found)} times; spooled were:{lines}")
        return found

    def tasks(self) -> list[Task]:
        """The tasks that are in the spool now, with their state, in the order in which they were spooled."""
        found = []
        for directory in self.served:
            for seen in look(directory, ordered=self.app.options.ordered, now=time.time()):
                try:
                    with open(seen.path, "rb") as file:
                        data = file.read()
                except OSError:
                    continue
                at = int(seen.mtime) if seen.state == FUTURE else 0
                found.append(Task(seen.path, data, at=at, state=seen.state, why=seen.why))
        number = self._spooled.number
        found.sort(key=lambda task: (number(task.path), task.path))
        return found

    @contextmanager
    def full_disk(self) -> Iterator[None]:
        """A context in which no spool file can be written: uwsgi.spool() fails as it does on a full disk."""
        import errno

        def full(*args: object, **kwargs: object) -> str:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        producer = self.app.producer
        producer.write_file, before = full, producer.write_file
        try:
            yield
        finally:
            producer.write_file = before

    def report(self) -> str:
        """What was spooled and what is left, and the end of the log, as text."""
        spooled = self._spooled.tasks
        lines = [f"spooled: {len(spooled)}", *(f"  {task!r}" for task in spooled[-_TAIL:])]
        left = Record.tasks(self)  # also where a frozen clock bars a live one
        lines += [f"left in the spool: {len(left)}"]
        for task in left[:_TAIL]:
            what = task.state + (f" until {time.ctime(task.at)}" if task.state == FUTURE else "")
            why = f": {task.why}" if task.state in (UNREACHED, UNFINISHED) else ""
            lines.append(f"  {task!r} {what}{why}")
        return "\n".join(lines)


def function_name(what: Any) -> str:
    """The name under which uwsgidecorators know a function, however it is given."""
    if isinstance(what, str):
        return what
    function = getattr(what, "f", what)
    return getattr(function, "__name__", None) or repr(what)
