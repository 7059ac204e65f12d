"""What a person does to tasks: retry, rerun, hold, release, edit, remove, undo, move.

    action    takes a task from            to                                      again
    retry     failed, broken, delayed,     the queue, due now                      a queued task is due already
              retry-delayed
    rerun     anywhere                     a new task with its bytes               makes another one
    hold      the queue                    .spoolsim/held/                         it is held already
    release   held                         the queue, its time as it was           it is not held
    edit      anywhere                     the same place, other bytes             -
    remove    anywhere                     .spoolsim/trash/                        it is in the trash already
    undo      the trash                    where it was                            it is not in the trash
    move      the queue, failed, broken    the queue of another directory          it is there already

Each takes the task's own lock first, without waiting: a task that runs is left alone, and is never interrupted. What
it did holds from the moment it returns: no spooler, real uWSGI included, runs what was held, removed or changed
(see spool/move.py). A crash in between leaves one whole file (I2).
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass

from spoolsim import printable
from spoolsim.errors import PacketError, SpoolsimError, UsageError
from spoolsim.spool import file, wake
from spoolsim.spool.claim import GONE, LOCKED
from spoolsim.spool.move import Grip, copy_to, drop, grip, move
from spoolsim.spool.names import is_number
from spoolsim.spool.packet import decode, encode
from spoolsim.spool.settle import free_name
from spoolsim.tasks.aside import QUEUE, SUFFIX, Note, note_of
from spoolsim.tasks.ids import SHORT, digest
from spoolsim.tasks.listing import Row
from spoolsim.tasks.states import (
    ASIDE,
    BROKEN,
    DELAYED,
    DONE,
    FAILED,
    HELD,
    IN_QUEUE,
    NEVER,
    QUEUED,
    REMOVED,
    RETRY_DELAYED,
    RUNNING,
    UNFINISHED,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from spoolsim.spool.directory import SpoolDir

#: what became of a task: changed, as it was already, refused, or failed
DID, ALREADY, REFUSED = "did", "already", "refused"


@dataclass(frozen=True, slots=True)
class Result:
    """What an action did to one task. outcome: DID, ALREADY or REFUSED. text: in words. path: where the task is now."""

    row: Row
    action: str
    outcome: str
    text: str
    path: str

    @property
    def well(self) -> bool:
        """Whether the task is now as was asked."""
        return self.outcome != REFUSED


@dataclass(frozen=True, slots=True)
class Change:
    """How `edit` and `rerun` change a task.

    set: variables to add or replace. unset: those to leave out. at: epoch seconds, for the variable `at` and the time
    before which it does not run; None to leave both. priority: for the variable, and the directory it is in; '' for
    none; None to leave it.
    """

    set: Mapping[bytes, bytes]
    unset: Sequence[bytes] = ()
    at: int | None = None
    priority: str | None = None

    def __bool__(self) -> bool:
        return bool(self.set or self.unset or self.at is not None or self.priority is not None)

    def apply(self, data: bytes) -> bytes:
        """The bytes of a task with this change; its body stays. Raises PacketError."""
        variables, body = decode(data)
        variables.update(self.set)
        if self.at is not None:
            variables[b"at"] = str(self.at).encode()
        if self.priority is not None:
            variables[b"priority"] = os.fsencode(self.priority)
        for key in (*self.unset, *([b"priority"] if self.priority == "" else [])):
            variables.pop(key, None)
        return encode(variables.items()) + body


def check_priority(text: str) -> None:
    """Raises UsageError for a priority that no spooler would ever enter, '' excepted."""
    if text and not is_number(text):
        raise UsageError(f"priority {text!r} is not a number; uWSGI enters only directories whose names are all digits")


class _Refused(Exception):
    """The task cannot be had, or is not in a state for this; the message tells."""


def retry(row: Row, now: float) -> Result:
    """Make a task due now, from wherever it waits."""

    def act() -> Result:
        if row.state in (QUEUED, RUNNING):
            return _already(row, "retry", f"is {row.state} already")
        if row.state in (DELAYED, RETRY_DELAYED):
            with _gripped(row) as task:
                task.stamp(now)
            wake.notify(row.spool)
            return _did(row, "retry", "is due now", row.path)
        if row.state not in (FAILED, BROKEN):
            raise _Refused(f"is {row.state}{_HINTS.get(row.state, '')}")
        return _did(row, "retry", "is queued again", _back(row, row.task, int(now * 1e9)))

    return _tried(row, "retry", act)


def hold(row: Row) -> Result:
    """Take a task out of the queue until it is released; no spooler sees it there."""

    def act() -> Result:
        if row.state == HELD:
            return _already(row, "hold", "is held already")
        if row.state not in IN_QUEUE:
            raise _Refused(f"is {row.state}, not in the queue; there is nothing to hold")
        note = Note(row.path, "`spoolsim hold` took it out of the queue")
        return _did(row, "hold", "is held", _set_aside(row, HELD, note))

    return _tried(row, "hold", act)


def release(row: Row) -> Result:
    """Bring a held task back; it runs when it would have run."""

    def act() -> Result:
        if row.state in IN_QUEUE:
            return _already(row, "release", f"is not held, it is {row.state}")
        if row.state != HELD:
            raise _Refused(f"is not held, it is {row.state}{_HINTS.get(row.state, '')}")
        return _did(row, "release", "is released", _back(row, row.task, None))

    return _tried(row, "release", act)


def remove(row: Row, now: float) -> Result:
    """Take a task to the trash. now: epoch seconds, the same for all that are removed together."""

    def act() -> Result:
        if row.state == REMOVED:
            return _already(row, "rm", "is in the trash already")
        if row.state == DONE:
            return _already(row, "rm", "is done; there is no file to remove")
        home = row.state if row.state in ASIDE else QUEUE
        origin = row.note.origin if row.note else row.path
        reason = row.note.reason if row.note else "it was in the queue"
        return _did(row, "rm", "is removed", _set_aside(row, REMOVED, Note(origin, reason, now, home)))

    return _tried(row, "rm", act)


def undo(row: Row) -> Result:
    """Bring a task back from the trash to where it was."""

    def act() -> Result:
        if row.state != REMOVED or row.note is None:
            if row.state == DONE:
                raise _Refused("is done; there is nothing to undo")
            return _already(row, "undo", f"is not in the trash, it is {row.state}")
        if row.note.home == QUEUE:
            return _did(row, "undo", "is back in the queue", _back(row, row.task, None))
        note = Note(row.note.origin, row.note.reason)
        return _did(row, "undo", f"is {row.note.home} again", _set_aside(row, row.note.home, note))

    return _tried(row, "undo", act)


def last_removed(rows: Sequence[Row]) -> list[Row]:
    """The tasks that the last `rm` took to the trash."""
    trash = [row for row in rows if row.state == REMOVED and row.note is not None]
    newest = max((row.note.removed for row in trash if row.note), default=0)
    return [row for row in trash if row.note and row.note.removed == newest]


def transfer(row: Row, target: SpoolDir) -> Result:
    """Move a task to the queue of another spool directory, into the same priority; its time stays."""

    def act() -> Result:
        if row.state == HELD:
            raise _Refused("is held; `spoolsim release` it first")
        if row.spool.path == target.path:
            if row.state in IN_QUEUE:
                return _already(row, "mv", f"is in {target.path} already")
            raise _Refused(f"is {row.state} in {target.path} itself{_HINTS.get(row.state, '')}")
        if row.state in (REMOVED, DONE):
            raise _Refused(f"is {row.state}{_HINTS.get(row.state, '')}")
        path = _room(target, row.task)
        try:
            move(_gripped(row), path)
            _drop_note(row)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _across(row, path)
        wake.notify(target)
        return _did(row, "mv", f"is in {target.path}", path)

    return _tried(row, "mv", act)


def edit(row: Row, change: Change) -> Result:
    """Change the variables of a task where it is."""

    def act() -> Result:
        if row.state in (DONE, UNFINISHED):
            raise _Refused(f"is {row.state}; there is nothing to edit")
        path = row.path
        if change.priority is not None and row.state in IN_QUEUE:
            path = _room(row.spool, os.path.join(change.priority, row.name))
        with _gripped(row) as task:
            move(task, path, None if change.at is None else change.at * 10**9, change.apply(task.read()))
        wake.notify(row.spool)
        return _did(row, "edit", "is changed", path)

    return _tried(row, "edit", act)


def rerun(row: Row, change: Change, recorded: bytes | None = None) -> Result:
    """Enqueue a new task with the bytes of this one, changed; this one stays as it is.

    recorded: the bytes of one whose file is gone; None where they were not recorded.
    """

    def act() -> Result:
        data = recorded if row.state == DONE else _bytes_of(row)
        if data is None:
            raise _Refused("is done and its bytes were not recorded; there is nothing to run again")
        data = change.apply(data) if change else data
        priority = os.path.dirname(row.task) if change.priority is None else change.priority
        home = _home(row.spool, priority)
        name = file.next_name()
        path = file.write(home, name, data, stamp=change.at or 0)
        wake.notify(row.spool)
        return _did(row, "rerun", f"runs again, as #{digest(name)[:SHORT]}", path)

    return _tried(row, "rerun", act)


def variables_of(row: Row) -> dict[bytes, bytes]:
    """The variables of a task, for an editor. Raises SpoolsimError."""
    try:
        return decode(_bytes_of(row))[0]
    except (OSError, PacketError, _Refused) as error:
        raise SpoolsimError(f"task {row.id} {error}") from None


_HINTS = {
    HELD: "; `spoolsim release` brings it back",
    REMOVED: "; `spoolsim undo` brings it back",
    FAILED: "; `spoolsim retry` brings it back",
    BROKEN: "; `spoolsim retry` brings it back",
    NEVER: "; `spoolsim why` tells the reason",
    DONE: "; `spoolsim rerun` enqueues it again, where its bytes were recorded",
}


def _did(row: Row, action: str, text: str, path: str) -> Result:
    return Result(row, action, DID, text, path)


def _already(row: Row, action: str, text: str) -> Result:
    return Result(row, action, ALREADY, text, row.path)


def _tried(row: Row, action: str, act: Act) -> Result:
    try:
        return act()
    except (_Refused, PacketError) as error:
        text = str(error) if isinstance(error, _Refused) else f"cannot be read as a task: {error}"
    except FileExistsError as error:
        text = f"cannot go to {error.filename}: something has that name; move it away first"
    except OSError as error:
        text = f"could not be changed: {error.strerror}"
    return Result(row, action, REFUSED, printable.value(text), row.path)


def _gripped(row: Row) -> Grip:
    """The task, locked. Raises _Refused when a spooler has it, or it has gone."""
    found = grip(row.path)
    if isinstance(found, Grip):
        return found
    if found == LOCKED:
        who = f" (process {row.holder.pid})" if row.holder else ""
        raise _Refused(f"runs now{who}; nothing was changed")
    if found == GONE:
        raise _Refused("is gone: it ran, or another command took it")
    raise _Refused("may not be opened for writing by this user")


def _bytes_of(row: Row) -> bytes:
    """All bytes of a task's file, which may be running: a spooler changes nothing in it."""
    try:
        with open(row.path, "rb") as data:
            return data.read()
    except FileNotFoundError:
        raise _Refused("is gone: it ran, or another command took it") from None


def _set_aside(row: Row, state: str, note: Note) -> str:
    """Move a task into our directory for `state`, the note beside it; returns its path."""
    task = _gripped(row)
    with task:
        target = free_name(row.spool.make_state_dir(ASIDE[state]), row.name)
        with open(target + SUFFIX, "x", encoding="utf-8", errors="surrogateescape") as written:
            written.write(note.text())
        try:
            move(task, target)
        except BaseException:
            if not os.path.lexists(target):
                os.unlink(target + SUFFIX)
            raise
    _drop_note(row)
    return target


def _back(row: Row, task: str, mtime_ns: int | None) -> str:
    """Move a task that was set aside back into the queue; returns its path."""
    path = os.path.join(row.spool.path, task)
    if not os.path.isdir(os.path.dirname(path)):
        raise _Refused(f"cannot go back to {path}: its directory is gone; make it, or use `spoolsim mv`")
    move(_gripped(row), path, mtime_ns)
    _drop_note(row)
    wake.notify(row.spool)
    return path


def _drop_note(row: Row) -> None:
    """The note of a task that was set aside and is not any more."""
    if row.note is not None:
        try:
            os.unlink(row.path + SUFFIX)
        except FileNotFoundError:
            pass  # it had none


def _room(target: SpoolDir, task: str) -> str:
    """The path that a task has in another directory, its priority directory made if it is missing."""
    home = _home(target, os.path.dirname(task))
    return os.path.join(home, os.path.basename(task))


def _home(spool: SpoolDir, priority: str) -> str:
    home = os.path.join(spool.path, priority) if priority else spool.path
    os.makedirs(home, exist_ok=True)
    return home


def _across(row: Row, path: str) -> None:
    """To another file system: held first, so that nobody runs it, then copied, then removed here."""
    held = row
    if row.state not in ASIDE:
        note = Note(row.path, f"being moved to {path}; if that is there, remove this one")
        held = _at(row, _set_aside(row, HELD, note))
    with _gripped(held) as task:
        copy_to(task, path)
        drop(task)
    _drop_note(held)


def _at(row: Row, path: str) -> Row:
    """The same task, held at another path."""
    note = note_of(row.spool, ASIDE[HELD], os.path.basename(path))
    return Row(row.spool, path, row.task, HELD, row.mtime, row.size, note=note, id=row.id, digest=row.digest)


if TYPE_CHECKING:
    from collections.abc import Callable

    Act = Callable[[], Result]
