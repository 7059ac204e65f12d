"""The tasks of spool directories: what state each is in, what it calls, how often it was tried, when it runs next.

Looking changes nothing: no lock is taken, nothing is written (I6).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from spoolsim import system
from spoolsim.errors import PacketError
from spoolsim.spool import look as found_as
from spoolsim.spool.look import look
from spoolsim.spool.packet import HEADER, MAX_VARIABLES, decode
from spoolsim.tasks import ids
from spoolsim.tasks.aside import Note, names_aside, note_of
from spoolsim.tasks.attempts import DEAD_LETTERED, DIED, RETRY
from spoolsim.tasks.describe import BODY, UNREADABLE, Call, call_of
from spoolsim.tasks.history import attempts_of
from spoolsim.tasks.processes import holders
from spoolsim.tasks.states import ASIDE, DELAYED, DONE, LIVE, NEVER, QUEUED, RETRY_DELAYED, RUNNING, UNFINISHED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Protocol

    from spoolsim.spool.directory import SpoolDir
    from spoolsim.tasks.attempts import Attempt
    from spoolsim.tasks.processes import Process

    class Known(Protocol):
        """Where past attempts come from."""

        def latest(self) -> Iterator[Attempt]:
            """Those that are quickly had, oldest first; the last one of each task that is there among them."""
            ...

        def all(self) -> Iterator[Attempt]:
            """Every one, oldest first."""
            ...


@dataclass(slots=True)
class Row:
    """One task.

    path: of its file, absolute, where it is now. task: its path below the spool directory, which for one that was set
    aside is where it came from. name: base name there. mtime, enqueued: epoch seconds. size: bytes.
    why: in words, for what is not simply waiting. attempts: all that are known, oldest first; `tries` counts them.
    holder: the process that has it, if it can be found. next_run: epoch seconds, None where it does not run by itself.
    """

    spool: SpoolDir
    path: str
    task: str
    state: str
    mtime: float = 0
    size: int = 0
    why: str = ""
    call: Call = field(default_factory=lambda: Call(UNREADABLE))
    attempts: list[Attempt] = field(default_factory=list)
    holder: Process | None = None
    next_run: float | None = None
    note: Note | None = None
    digest: str = ""
    id: str = ""

    @property
    def name(self) -> str:
        """The base name it has, or had, in its spool directory."""
        return os.path.basename(self.task)

    @property
    def origin(self) -> str:
        """The absolute path that it has, or had, in its spool directory."""
        return os.path.join(self.spool.path, self.task)

    @property
    def tries(self) -> int:
        """How often it was tried, as far as is known."""
        return self.attempts[-1].number if self.attempts else 0

    @property
    def last(self) -> Attempt | None:
        """The latest attempt."""
        return self.attempts[-1] if self.attempts else None

    @property
    def enqueued(self) -> float:
        """When it was made: its name says so if uWSGI or spoolsim made it, else its mtime."""
        return named_time(self.name) or self.mtime


def named_time(name: str) -> float:
    """The time in a name that uwsgi.spool() made, in epoch seconds; 0 where there is none."""
    parts = name.rsplit("_", 2)
    if len(parts) == 3 and all(part.isascii() and part.isdigit() for part in parts[1:]):
        seconds = int(parts[1][:12])
        return seconds + int(parts[2][:6]) / 1e6 if seconds > 10**8 else 0
    return 0


class Calls:
    """What tasks call. Each file is read once, and again when another one has its name, or its time or size changed."""

    def __init__(self) -> None:
        self._before: dict[str, tuple[tuple[int, float, int], Call]] = {}
        self._now: dict[str, tuple[tuple[int, float, int], Call]] = {}

    def of(self, path: str, inode: int, mtime: float, size: int) -> Call:
        """What the file with these marks calls."""
        marks = (inode, mtime, size)
        known = self._before.get(path)
        if known is None or known[0] != marks:
            known = marks, call_in(path)
        self._now[path] = known
        return known[1]

    def forget(self) -> None:
        """Forget those that were not asked for since this was called last."""
        self._before, self._now = self._now, {}


def survey(
    spools: Iterable[SpoolDir],
    *,
    ordered: bool,
    now: float,
    finished: bool = False,
    source: Callable[[SpoolDir], Known] = attempts_of,
    calls: Calls | None = None,
) -> list[Row]:
    """Every task of these directories at `now` (epoch seconds), newest first, with their ids.

    ordered: as spooler-ordered. finished: also those that are gone and known from past attempts. calls: what was read
    the last time, for whoever asks again and again.
    """
    rows: list[Row] = []
    calls = calls or Calls()
    for spool in spools:
        past: dict[str, list[Attempt]] = {}
        known = source(spool)
        for attempt in known.all() if finished else known.latest():
            past.setdefault(attempt.task, []).append(attempt)
        there = [*_queue(spool, ordered, now, calls), *_aside(spool, calls)]
        for row in there:
            row.attempts = _since_done(past.get(row.task, []))
            _settle_state(row, now)
        if finished:
            have = {row.task for row in there}
            there += [
                Row(
                    spool, os.path.join(spool.path, task), task, DONE, found[-1].ended, why="it is done", attempts=found
                )
                for task, found in past.items()
                if task not in have and found[-1].outcome == DONE
            ]
        rows += there
    calls.forget()
    running = holders(row.path for row in rows if row.state in (RUNNING, UNFINISHED))
    for row in rows:
        row.holder = running.get(row.path)
    identify(rows)
    rows.sort(key=lambda row: (-row.enqueued, row.task))
    return rows


def identify(rows: Sequence[Row]) -> None:
    """Give each row its hash and its id."""
    for row, whole in zip(rows, ids.digests((row.name, row.path) for row in rows), strict=True):
        row.digest = whole
    for row, short in zip(rows, ids.shorten([row.digest for row in rows]), strict=True):
        row.id = short


def _since_done(found: list[Attempt]) -> list[Attempt]:
    """The attempts at the task that has this name now: a name in a priority directory may come back."""
    for at in range(len(found) - 1, -1, -1):
        if found[at].outcome == DONE:
            return found[at + 1 :]
    return found


_STATES = {
    found_as.WAITING: QUEUED,
    found_as.FUTURE: DELAYED,
    found_as.CLAIMED: RUNNING,
    found_as.UNFINISHED: UNFINISHED,
    found_as.UNREACHED: NEVER,
}


def _queue(spool: SpoolDir, ordered: bool, now: float, calls: Calls) -> list[Row]:
    rows = []
    for found in look(spool, ordered=ordered, now=now):
        task = os.path.relpath(found.path, spool.path)
        row = Row(spool, found.path, task, _STATES[found.state], found.mtime, found.size, found.why)
        if row.state == RUNNING and found.size < HEADER:
            row.state, row.why = UNFINISHED, "a producer is writing it"
        if found.size >= HEADER:
            row.call = calls.of(found.path, found.inode, found.mtime, found.size)
        rows.append(row)
    return rows


def _aside(spool: SpoolDir, calls: Calls) -> list[Row]:
    rows = []
    for state, home in ASIDE.items():
        for name in names_aside(spool, home):
            path = spool.state_dir(home, name)
            try:
                status = os.stat(path, follow_symlinks=False)
            except OSError:
                continue  # gone meanwhile
            note = note_of(spool, home, name)
            task = os.path.relpath(note.origin, spool.path)
            call = calls.of(path, status.st_ino, status.st_mtime, status.st_size)
            rows.append(Row(spool, path, task, state, status.st_mtime, status.st_size, note.reason, call, note=note))
    return rows


def _settle_state(row: Row, now: float) -> None:
    last = row.last
    if row.state == DELAYED:
        row.next_run = row.mtime
        if last is not None and last.outcome in (RETRY, DIED):
            row.state = RETRY_DELAYED
    elif row.state == QUEUED:
        row.next_run = now
    if not row.why and last is not None and last.outcome not in (DONE, DEAD_LETTERED):
        row.why = last.why or "the handler asked for a retry (SPOOL_RETRY)"


def call_in(path: str) -> Call:
    """What a task's file calls; of a body no more than its beginning is read."""
    try:
        variables, body, size = read_head(path)
    except (OSError, PacketError):
        return Call(UNREADABLE)
    return call_of(variables, body, size)


def read_head(path: str) -> tuple[dict[bytes, bytes], bytes, int]:
    """A task's variables, the first `BODY` bytes of its body, and how long that is. Raises OSError or PacketError."""
    fd = os.open(path, os.O_RDONLY | system.O_NOFOLLOW | system.O_NONBLOCK | system.O_CLOEXEC)
    with open(fd, "rb") as file:
        size = os.fstat(fd).st_size
        data = file.read(HEADER + MAX_VARIABLES + BODY)
    found, body = decode(data)
    return found, body[:BODY], max(size - len(data), 0) + len(body)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which tasks: every condition must hold; an empty one holds for all.

    states: any of these; empty for all that `ls` shows. function: the whole name, or what follows its last dot.
    older: seconds since it was enqueued, at least. grep: a part of the call, name, id or reason, in any case.
    """

    states: frozenset[str] = frozenset()
    function: str = ""
    older: float = 0
    grep: str = ""

    def fits(self, row: Row, now: float) -> bool:
        """Whether a task is meant, at `now` in epoch seconds."""
        if row.state not in (self.states or LIVE):
            return False
        if self.function and self.function not in (row.call.function, row.call.function.rpartition(".")[2]):
            return False
        if self.older and now - row.enqueued < self.older:
            return False
        if not self.grep:
            return True
        wanted = self.grep.casefold()
        return any(wanted in text.casefold() for text in (row.call.line(10_000), row.task, row.id, row.why))


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def seconds_of(text: str) -> float:
    """A span such as `90`, `5m`, `2h` or `1.5d` in seconds. Raises ValueError."""
    number, unit = (text[:-1], _UNITS[text[-1]]) if text[-1:] in _UNITS else (text, 1)
    found = float(number) * unit
    if not 0 <= found < 1e12:
        raise ValueError(text)
    return found
