"""Tasks that were set aside (`.spoolsim/held`, `failed`, `broken`, `trash`): their names, and the notes beside them.

A note is `NAME.why`: the path that the task came from, then the reason. In the trash a line stands between that tells
when it was removed, and from where; the reason below is that of before.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from spoolsim.spool import regular
from spoolsim.spool.directory import TRASH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from spoolsim.spool.directory import SpoolDir

SUFFIX = ".why"
#: where a task of the trash came from, if it was not set aside before
QUEUE = "queue"
_REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Note:
    """What stands beside a task that was set aside.

    origin: where it goes back to, an absolute path in its spool directory. reason: one line.
    removed: when `rm` took it, epoch seconds; 0 for never. home: where it was before that.
    """

    origin: str
    reason: str
    removed: float = 0
    home: str = QUEUE

    def text(self) -> str:
        """As it is written."""
        between = f"{_REMOVED} {self.removed!r} {self.home}\n" if self.removed else ""
        origin = self.origin.replace("\n", "?")  # such a name goes back as it is called
        return f"{origin}\n{between}{self.reason}\n"


def names_aside(spool: SpoolDir, home: str) -> list[str]:
    """The names of the tasks in one of our directories; not their notes, nor what is being written."""
    try:
        there = set(os.listdir(spool.state_dir(home)))
    except OSError:
        return []
    return sorted(name for name in there if name[0] != "." and not _is_note(spool, home, name, there))


def _is_note(spool: SpoolDir, home: str, name: str, there: set[str]) -> bool:
    """A task's own name may end in .why, too; a note alone was left by a process that died before it moved the task."""
    if not name.endswith(SUFFIX):
        return False
    if name.removesuffix(SUFFIX) in there:
        return True
    try:
        return regular.read(spool.state_dir(home, name))[:1] in (b"/", b"")  # empty: somebody writes it just now
    except OSError:
        return True


def note_of(spool: SpoolDir, home: str, name: str) -> Note:
    """What stands beside a task that was set aside; for one without a note, where it would go by its name."""
    try:
        lines = regular.read(spool.state_dir(home, name + SUFFIX)).decode("utf-8", "surrogateescape").split("\n")
    except OSError:
        lines = []
    origin = _origin(spool, name, lines[0] if lines else "")
    rest = lines[1:]
    removed, before = 0.0, QUEUE
    if home == TRASH and rest and rest[0].startswith(f"{_REMOVED} "):
        words = rest.pop(0).split(" ")
        try:
            removed, before = float(words[1]), words[2]
        except (ValueError, IndexError):
            pass  # somebody wrote into it: it goes back to the queue
    return Note(origin, " ".join(rest).strip() or "the reason is not known", removed, before)


def _origin(spool: SpoolDir, name: str, path: str) -> str:
    """The path that a note names, if it is inside the directory and no name of ours; else the top level.

    A name with a line break in it, which the note's first line cannot hold, is what it is called now.
    """
    home, base = os.path.split(path)
    home = os.path.realpath(home or "/")
    inside = home == spool.path or home.startswith(spool.path + os.sep)
    if base in ("", ".", "..") or not inside or "/." in home[len(spool.path) :]:
        return os.path.join(spool.path, name)
    return os.path.join(home, name if "\n" in name else base)
