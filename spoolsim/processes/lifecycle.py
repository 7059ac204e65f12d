"""The life of one spooler slot: what the master does when something happens to it.

    state      meaning                               leaves it on
    CLOSED     no process, none wanted               start, wanted
    STARTING   a fork was asked for                  spawned, died, reload
    STALE      it was asked for before a reload      spawned, died
    SERVING    a process serves the directory        died, reload, stop
    BACKOFF    it died too often; waits              tick at `until`
    CROWDED    both seats are held by leavers        died (of one of them)

Beside its serving process a slot may have leaving ones, which finish their task after a reload or a stop and are
killed at their deadline. A slot has two seats on the scoreboard, so at most two processes.

Never two serving processes in a slot, never a spawn after stop; every death is answered by a spawn, a back-off with
its reason, or the end.

Pure: `step(slot, event, now, rules) -> (slot, actions)`. Times are seconds of one monotonic clock.
"""

from __future__ import annotations

from collections import namedtuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CLOSED, STARTING, STALE, SERVING, BACKOFF, CROWDED = "closed", "starting", "stale", "serving", "backoff", "crowded"

#: number: which slot. state, pid, seat: of the serving process. since: when it was spawned. until: end of a back-off.
#: failures: deaths in a row without a task done. spawns: processes so far. leaving: of (pid, seat, kill_at or None).
#: stopping: no process is wanted any more.
Slot = namedtuple("Slot", "number state pid seat since until failures spawns leaving stopping")

#: faithful: each death is answered after a second, however many there were, as uWSGI does.
#: mercy: seconds a leaving process has after a reload.
#: cheap: no process until one is wanted, and none after a death until one is wanted again.
Rules = namedtuple("Rules", "faithful mercy cheap", defaults=(False, 60.0, False))

#: how a spooler is said to have died that found nothing more to drain; no exit status is as large
DRAINED = 256
#: seconds until uWSGI's master, which looks once a second, answers a death
UWSGI_PAUSE = 1.0
#: so many deaths in a row without a task done are answered at once; then it gets slower
PATIENCE = 3
#: seconds: the first pause, and the longest
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0


def new(number: int) -> Any:
    """A slot before the start."""
    return Slot(number, CLOSED, 0, -1, 0.0, 0.0, 0, 0, (), False)


def step(slot: Any, event: tuple[Any, ...], now: float, rules: Any) -> tuple[Any, list[tuple[Any, ...]]]:
    """What becomes of a slot, and what to do.

    Events: ("start",), ("wanted",), ("spawned", pid), ("died", pid, worked), ("tick",), ("reload",),
    ("stop", kill_at), ("kill",).
    Actions: ("spawn", number, seat), ("leave", pid), ("kill", pid), ("died", pid), ("ended", pid),
    ("slow", seconds, failures).
    """
    return _STEPS[event[0]](slot, event, now, rules)


def _start(slot: Any, event: tuple[Any, ...], now: float, rules: Any) -> tuple[Any, list[tuple[Any, ...]]]:
    if rules.cheap:
        return slot, []
    return _wanted(slot, event, now, rules)


def _wanted(slot: Any, event: tuple[Any, ...], now: float, rules: Any) -> tuple[Any, list[tuple[Any, ...]]]:
    if slot.state != CLOSED or slot.stopping:
        return slot, []
    return _spawn(slot, now)


def _spawn(slot: Any, now: float) -> tuple[Any, list[tuple[Any, ...]]]:
    taken = {seat for _, seat, _ in slot.leaving}
    free = [seat for seat in (0, 1) if seat not in taken]
    if not free:
        return slot._replace(state=CROWDED, pid=0, seat=-1), []
    slot = slot._replace(state=STARTING, pid=0, seat=free[0], since=now, spawns=slot.spawns + 1)
    return slot, [("spawn", slot.number, free[0])]


def _spawned(slot: Any, event: tuple[Any, ...], now: float, rules: Any) -> tuple[Any, list[tuple[Any, ...]]]:
    if slot.state not in (STARTING, STALE):
        return slot, []
    stale = slot.state == STALE
    slot = slot._replace(state=SERVING, pid=event[1])
    if slot.stopping:
        return _leave(slot, slot.until)
    return _renew(slot, now, rules) if stale else (slot, [])


def _died(slot: Any, event: tuple[Any, ...], now: float, rules: Any) -> tuple[Any, list[tuple[Any, ...]]]:
    _, pid, worked = event
    if any(leaver == pid for leaver, _, _ in slot.leaving):
        slot = slot._replace(leaving=tuple(row for row in slot.leaving if row[0] != pid))
        if slot.state == CROWDED and not slot.stopping:
            return _spawn(slot, now)
        return slot, []
    if slot.state not in (SERVING, STARTING, STALE) or slot.pid != pid:  # the death of a fork that failed has pid 0
        return slot, []
    slot = slot._replace(pid=0, seat=-1)
    if slot.stopping:
        return slot._replace(state=CLOSED), []
    failures = 0 if worked else slot.failures + 1
    slot = slot._replace(failures=failures)
    if rules.cheap and failures <= PATIENCE:
        return slot._replace(state=CLOSED), [("ended", pid)]
    died = ("died", pid)
    if rules.faithful:
        return slot._replace(state=BACKOFF, until=now + UWSGI_PAUSE), [died]
    if failures <= PATIENCE:
        slot, actions = _spawn(slot, now)
        return slot, [died, *actions]
    pause = min(FIRST_PAUSE * 2 ** min(failures - PATIENCE - 1, 10), LONGEST_PAUSE)
    return slot._replace(state=BACKOFF, until=now + pause), [died, ("slow", pause, failures)]


def _tick(slot: Any, event: tuple[Any, ...], now: float, rules: Any) -> tuple[Any, list[tuple[Any, ...]]]:
    late = [(pid, seat, at) for pid, seat, at in slot.leaving if at is not None and now >= at]
    actions: list[tuple[Any, ...]] = [("kill", pid) for pid, _, _ in late]
    if late:  # killed once; its death will tell
        done = {pid for pid, _, _ in late}
        slot = slot._replace(leaving=tuple((p, s, None if p in done else at) for p, s, at in slot.leaving))
    if slot.state == BACKOFF and now >= slot.until and not slot.stopping:
        slot, more = _spawn(slot, now)
        actions += more
    return slot, actions


def _reload(slot: Any, event: tuple[Any, ...], now: float, rules: Any) -> tuple[Any, list[tuple[Any, ...]]]:
    if slot.stopping or slot.state in (CLOSED, CROWDED):
        return slot, []
    slot = slot._replace(failures=0)
    if slot.state in (STARTING, STALE):  # it will be of the old code
        return slot._replace(state=STALE), []
    if slot.state == BACKOFF:
        return _spawn(slot, now)
    return _renew(slot, now, rules)


def _renew(slot: Any, now: float, rules: Any) -> tuple[Any, list[tuple[Any, ...]]]:
    """A new process in the place of the serving one, which may finish its task."""
    slot, actions = _leave(slot, now + rules.mercy)
    slot, more = _spawn(slot, now)
    return slot, actions + more


def _stop(slot: Any, event: tuple[Any, ...], now: float, rules: Any) -> tuple[Any, list[tuple[Any, ...]]]:
    kill_at = event[1]
    leaving = tuple((pid, seat, None if at is None else min(at, kill_at)) for pid, seat, at in slot.leaving)
    slot = slot._replace(stopping=True, leaving=leaving, until=kill_at)
    if slot.state == SERVING:
        return _leave(slot, kill_at)
    if slot.state in (BACKOFF, CROWDED):
        slot = slot._replace(state=CLOSED)
    return slot, []


def _kill(slot: Any, event: tuple[Any, ...], now: float, rules: Any) -> tuple[Any, list[tuple[Any, ...]]]:
    slot, _ = _stop(slot, ("stop", now), now, rules)
    return slot._replace(leaving=tuple((pid, seat, None) for pid, seat, _ in slot.leaving)), [
        ("kill", pid) for pid, _, _ in slot.leaving
    ]


def _leave(slot: Any, kill_at: float) -> tuple[Any, list[tuple[Any, ...]]]:
    """The serving process becomes a leaving one."""
    leaving = (*slot.leaving, (slot.pid, slot.seat, kill_at))
    return slot._replace(state=CLOSED, pid=0, seat=-1, leaving=leaving), [("leave", slot.pid)]


_STEPS = {
    "start": _start,
    "wanted": _wanted,
    "spawned": _spawned,
    "died": _died,
    "tick": _tick,
    "reload": _reload,
    "stop": _stop,
    "kill": _kill,
}


def over(slot: Any) -> bool:
    """Is no process of this slot left?"""
    return slot.state == CLOSED and not slot.leaving


def next_look(slot: Any) -> float | None:
    """When this slot wants a tick."""
    times = [at for _, _, at in slot.leaving if at is not None]
    if slot.state == BACKOFF:
        times.append(slot.until)
    return min(times, default=None)
