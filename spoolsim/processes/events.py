"""What can happen to a spooler's slot, and what the master does then: small values that do not change.

Pure. Times are seconds of one monotonic clock.
"""

from __future__ import annotations

from collections import namedtuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeAlias


class _Fact(tuple[object, ...]):
    """Equal to another of its own kind alone, whatever their fields: a leave is no kill of the same process."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and tuple.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other  # a tuple has its own

    __hash__ = tuple.__hash__


# ---- events: what happens ----


class Started(_Fact, namedtuple("Started", "")):
    """The app is loaded: the slots may have processes."""

    __slots__ = ()


class Wanted(_Fact, namedtuple("Wanted", "")):
    """There is work, and spooler-cheap waits for it. A hint, which may come at any time."""

    __slots__ = ()


class Spawned(_Fact, namedtuple("Spawned", "pid")):
    """The fork that was asked for has a pid."""

    __slots__ = ()
    pid: int


class Died(_Fact, namedtuple("Died", "pid worked")):
    """A process has ended; pid 0: a fork that was asked for could not be made. worked: it had done a task."""

    __slots__ = ()
    pid: int
    worked: bool


class Tick(_Fact, namedtuple("Tick", "")):
    """Time has passed."""

    __slots__ = ()


class ReloadAsked(_Fact, namedtuple("ReloadAsked", "")):
    """A fork server with new code is ready."""

    __slots__ = ()


class StopAsked(_Fact, namedtuple("StopAsked", "kill_at")):
    """No process is wanted any more; what runs then has until `kill_at`."""

    __slots__ = ()
    kill_at: float


class KillAsked(_Fact, namedtuple("KillAsked", "")):
    """The same, at once."""

    __slots__ = ()


# ---- actions: what to do ----


class Spawn(_Fact, namedtuple("Spawn", "number seat")):
    """Fork a process for this slot and seat of the scoreboard."""

    __slots__ = ()
    number: int
    seat: int


class Leave(_Fact, namedtuple("Leave", "pid")):
    """Ask a process to end after its task."""

    __slots__ = ()
    pid: int


class Kill(_Fact, namedtuple("Kill", "pid")):
    """End a process at once."""

    __slots__ = ()
    pid: int


class Respawning(_Fact, namedtuple("Respawning", "pid")):
    """Say that a process died, and that another comes."""

    __slots__ = ()
    pid: int


class Ended(_Fact, namedtuple("Ended", "pid")):
    """Say that a process ended, and that none comes until there is work."""

    __slots__ = ()
    pid: int


class BackingOff(_Fact, namedtuple("BackingOff", "pause failures")):
    """Say that the next one comes after a pause of so many seconds, for so many deaths in a row without a task."""

    __slots__ = ()
    pause: float
    failures: int


class Crowding(_Fact, namedtuple("Crowding", "until")):
    """Say that the next process waits for a seat, until then at the latest."""

    __slots__ = ()
    until: float


Event: TypeAlias = Started | Wanted | Spawned | Died | Tick | ReloadAsked | StopAsked | KillAsked
Action: TypeAlias = Spawn | Leave | Kill | Respawning | Ended | BackingOff | Crowding

TICK = Tick()
