"""The life of one spooler slot: what the master does when something happens to it.

    state      meaning                               leaves it on
    CLOSED     no process, none wanted               Started, Wanted
    STARTING   a fork was asked for                  Spawned, Died, ReloadAsked
    STALE      it was asked for before a reload      Spawned, Died
    SERVING    a process serves the directory        Died, ReloadAsked, StopAsked
    BACKOFF    it died too often; waits              Tick at `until`, ReloadAsked
    CROWDED    both seats are held by leavers        Died (of one of them)

Beside its serving process a slot may have leaving ones, which finish their task after a reload or a stop and are
killed at their deadline. A slot has two seats on the scoreboard, so at most two processes.

Never two serving processes in a slot, never a spawn after stop; every death is answered by a spawn, a back-off with
its reason, or the end. `_TABLE` has a cell for each state and event; an event that cannot happen in a state has none,
and raises.

Pure: `step(slot, event, now, rules) -> (slot, actions)`. Times are seconds of one monotonic clock.
"""

from __future__ import annotations

from collections import namedtuple

from spoolsim.processes.events import (
    BackingOff,
    Crowding,
    Died,
    Ended,
    Kill,
    KillAsked,
    Leave,
    ReloadAsked,
    Respawning,
    Spawn,
    Spawned,
    Started,
    StopAsked,
    Tick,
    Wanted,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from spoolsim.processes.events import Action, Event

    #: pid, seat, and when it is killed; None for never, or for done already
    Leaver: TypeAlias = tuple[int, int, float | None]
    Step: TypeAlias = tuple["Slot", list[Action]]

CLOSED, STARTING, STALE, SERVING, BACKOFF, CROWDED = "closed", "starting", "stale", "serving", "backoff", "crowded"


class Slot(namedtuple("Slot", "number state pid seat since until failures spawns leaving stopping")):
    """One slot.

    number: which. state, pid, seat: of the serving process. since: when it was spawned. until: end of a back-off, or
    of the time of what is still being forked at a stop. failures: deaths in a row without a task done. spawns:
    processes so far. stopping: no process is wanted any more.
    """

    __slots__ = ()
    number: int
    state: str
    pid: int
    seat: int
    since: float
    until: float
    failures: int
    spawns: int
    leaving: tuple[Leaver, ...]
    stopping: bool


class Rules(namedtuple("Rules", "mercy cheap at_once backs_off", defaults=(60.0, False, True, True))):
    """What a run was asked for.

    mercy: seconds that a leaving process has after a reload. cheap: no process until one is wanted, and none after a
    death until one is wanted again. at_once: a death is answered at once, and not after a second. backs_off: when
    there were many in a row, after a pause.
    """

    __slots__ = ()
    mercy: float
    cheap: bool
    at_once: bool
    backs_off: bool


#: how a spooler is said to have died that found nothing more to drain; no exit status is as large
DRAINED = 256
#: seconds until uWSGI's master, which looks once a second, answers a death
UWSGI_PAUSE = 1.0
#: so many deaths in a row without a task done are answered at once; then it gets slower
PATIENCE = 3
#: seconds: the first pause, and the longest
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0


class Impossible(AssertionError):
    """An event came in a state in which it cannot happen: a fault of ours."""


def new(number: int) -> Slot:
    """A slot before the start."""
    return Slot(number, CLOSED, 0, -1, 0.0, 0.0, 0, 0, (), False)


def step(slot: Slot, event: Event, now: float, rules: Rules) -> Step:
    """What becomes of a slot, and what to do. Raises Impossible."""
    cell = _TABLE[type(event)].get(slot.state)
    if cell is None:
        raise Impossible(f"{event} cannot happen to {slot}")
    return cell(slot, event, now, rules)


def _nothing(slot: Slot, event: Event, now: float, rules: Rules) -> Step:
    return slot, []


def _started(slot: Slot, event: Started, now: float, rules: Rules) -> Step:
    return (slot, []) if rules.cheap else _wanted(slot, event, now, rules)


def _wanted(slot: Slot, event: Started | Wanted, now: float, rules: Rules) -> Step:
    return (slot, []) if slot.stopping else _spawn(slot, now)


def _spawn(slot: Slot, now: float) -> Step:
    taken = {seat for _, seat, _ in slot.leaving}
    free = [seat for seat in (0, 1) if seat not in taken]
    if not free:
        ends = [at for _, _, at in slot.leaving if at is not None]
        return slot._replace(state=CROWDED, pid=0, seat=-1), [Crowding(min(ends, default=now))]
    slot = slot._replace(state=STARTING, pid=0, seat=free[0], since=now, spawns=slot.spawns + 1)
    return slot, [Spawn(slot.number, free[0])]


def _spawned(slot: Slot, event: Spawned, now: float, rules: Rules) -> Step:
    serving = slot._replace(state=SERVING, pid=event.pid)
    if slot.stopping:
        return _leave(serving, slot.until)
    return _renew(serving, now, rules) if slot.state == STALE else (serving, [])


def _died(slot: Slot, event: Died, now: float, rules: Rules) -> Step:
    """One of the slot's processes, or a fork that failed: its pid is 0, as that of a slot that waits for one."""
    if any(pid == event.pid for pid, _, _ in slot.leaving):
        return _leaver_died(slot, event, now, rules)
    if slot.pid != event.pid:
        return slot, []
    slot = slot._replace(pid=0, seat=-1)
    if slot.stopping:
        return slot._replace(state=CLOSED), []
    slot = slot._replace(failures=0 if event.worked else slot.failures + 1)
    if rules.cheap and slot.failures <= PATIENCE:
        return slot._replace(state=CLOSED), [Ended(event.pid)]
    died = Respawning(event.pid)
    if not rules.at_once:
        return slot._replace(state=BACKOFF, until=now + UWSGI_PAUSE), [died]
    if slot.failures <= PATIENCE or not rules.backs_off:
        slot, actions = _spawn(slot, now)
        return slot, [died, *actions]
    pause = min(FIRST_PAUSE * 2 ** min(slot.failures - PATIENCE - 1, 10), LONGEST_PAUSE)
    return slot._replace(state=BACKOFF, until=now + pause), [died, BackingOff(pause, slot.failures)]


def _leaver_died(slot: Slot, event: Died, now: float, rules: Rules) -> Step:
    """Of a process that is none of the slot's any more nothing is to be done: a restart had forgotten it."""
    left = tuple(leaver for leaver in slot.leaving if leaver[0] != event.pid)
    came_free = left != slot.leaving
    slot = slot._replace(leaving=left)
    return _spawn(slot, now) if slot.state == CROWDED and came_free else (slot, [])


def _tick(slot: Slot, event: Tick, now: float, rules: Rules) -> Step:
    """Kill what is late, once; its death will tell."""
    late = {pid for pid, _, at in slot.leaving if at is not None and now >= at}
    actions: list[Action] = [Kill(pid) for pid, _, _ in slot.leaving if pid in late]
    if late:
        slot = slot._replace(leaving=tuple((pid, seat, None if pid in late else at) for pid, seat, at in slot.leaving))
    if slot.state == BACKOFF and now >= slot.until:
        slot, more = _spawn(slot, now)
        actions += more
    return slot, actions


def _stale(slot: Slot, event: ReloadAsked, now: float, rules: Rules) -> Step:
    """What is being forked will be of the old code."""
    return (slot, []) if slot.stopping else (slot._replace(state=STALE, failures=0), [])


def _reload(slot: Slot, event: ReloadAsked, now: float, rules: Rules) -> Step:
    return _renew(slot._replace(failures=0), now, rules)


def _end_pause(slot: Slot, event: ReloadAsked, now: float, rules: Rules) -> Step:
    return _spawn(slot._replace(failures=0), now)


def _renew(slot: Slot, now: float, rules: Rules) -> Step:
    """A new process in the place of the serving one, which may finish its task."""
    slot, actions = _leave(slot, now + rules.mercy)
    slot, more = _spawn(slot, now)
    return slot, actions + more


def _stop(slot: Slot, event: StopAsked, now: float, rules: Rules) -> Step:
    kill_at = event.kill_at
    leaving = tuple((pid, seat, None if at is None else min(at, kill_at)) for pid, seat, at in slot.leaving)
    slot = slot._replace(stopping=True, leaving=leaving, until=kill_at)
    if slot.state == SERVING:
        return _leave(slot, kill_at)
    if slot.state in (BACKOFF, CROWDED):
        slot = slot._replace(state=CLOSED)
    return slot, []


def _kill(slot: Slot, event: KillAsked, now: float, rules: Rules) -> Step:
    slot, _ = _stop(slot, StopAsked(now), now, rules)
    kills: list[Action] = [Kill(pid) for pid, _, _ in slot.leaving]
    return slot._replace(leaving=tuple((pid, seat, None) for pid, seat, _ in slot.leaving)), kills


def _leave(slot: Slot, kill_at: float) -> Step:
    """The serving process becomes a leaving one."""
    leaving = (*slot.leaving, (slot.pid, slot.seat, kill_at))
    return slot._replace(state=CLOSED, pid=0, seat=-1, leaving=leaving), [Leave(slot.pid)]


def _everywhere(cell: Callable[..., Step], **others: Callable[..., Step]) -> dict[str, Callable[..., Step]]:
    return dict.fromkeys((CLOSED, STARTING, STALE, SERVING, BACKOFF, CROWDED), cell) | others


#: event -> state -> what becomes of it; what has no cell cannot happen
_TABLE: dict[type[Event], dict[str, Callable[..., Step]]] = {
    Started: {CLOSED: _started},
    Wanted: _everywhere(_nothing, closed=_wanted),
    # in CLOSED: it was asked for before a restart, which ends all fork servers and so this process, too
    Spawned: {CLOSED: _nothing, STARTING: _spawned, STALE: _spawned},
    Died: _everywhere(_leaver_died, starting=_died, stale=_died, serving=_died),
    Tick: _everywhere(_tick),
    ReloadAsked: {
        CLOSED: _nothing,
        STARTING: _stale,
        STALE: _stale,
        SERVING: _reload,
        BACKOFF: _end_pause,
        CROWDED: _nothing,
    },
    StopAsked: _everywhere(_stop),
    KillAsked: _everywhere(_kill),
}


def over(slot: Slot) -> bool:
    """Is no process of this slot left?"""
    return slot.state == CLOSED and not slot.leaving


def next_deadline(slot: Slot) -> float | None:
    """When this slot wants a tick."""
    times = [at for _, _, at in slot.leaving if at is not None]
    if slot.state == BACKOFF:
        times.append(slot.until)
    return min(times, default=None)
