"""Which uwsgi signals are due by the clock: timers, rb timers, millisecond timers, crons.

    kind      spec                               fires
    timer     (seconds,)                         every so many seconds; 0 or less: never
    ms_timer  (milliseconds,)                    every so many milliseconds (uWSGI 2.1); 0 or less: never
    rb_timer  (seconds, iterations)              every so many seconds, iterations times; 0 or none: for ever, a
                                                 negative number: once. With 0 seconds or less uWSGI raises the
                                                 signal without any pause; here a tenth of a second lies between
    cron      (minute, hour, day, month, wday)   -1 any, -N where the value is a multiple of N, else equal;
                                                 wday 0 and 7 Sunday; day and wday both given: either suffices

A cron fires as soon as the minute matches, at the very first look too, then not again for 60 seconds; so not at
second 0, and an hour that the clocks repeat counts twice. The same registration made twice fires twice.

Pure: every moment is handed in. `now` is machine time (monotonic seconds), `epoch` is seconds since 1970.
Mirrors uwsgi.add_timer, add_ms_timer, add_rb_timer and add_cron.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from time import struct_time

    #: (kind, signal, spec, how many equal ones came before)
    Key = tuple[str, int, tuple[int, ...], int]
    #: (when it fired last: epoch for a cron, else machine time, which begins with the start; how often it fired)
    Firing = tuple[float, int]

TIMER, RB_TIMER, MS_TIMER, CRON = "timer", "rb_timer", "ms_timer", "cron"

#: a cron rests so long after it fired, in seconds
_REST = 60
#: seconds between two firings of an rb timer of 0 seconds
_NO_PAUSE = 0.1


class Registration:
    """One timer or cron that the app asked for: `kind`, the signal's number, `spec` as in the table above."""

    __slots__ = ("kind", "signum", "spec")

    def __init__(self, kind: str, signum: int, spec: Iterable[int]) -> None:
        self.kind = kind
        self.signum = signum
        self.spec = tuple(spec)

    def what(self) -> tuple[str, int, tuple[int, ...]]:
        """All of it, to compare."""
        return self.kind, self.signum, self.spec

    def __repr__(self) -> str:
        return f"Registration({self.kind!r}, {self.signum}, {self.spec})"


class Schedule:
    """What the app of one generation registered, and when each of it fired last.

    firings: the whole state, a plain dict; `carry` takes over an older schedule's, so that a reload fires nothing anew.
    Timers begin to count at the first look.
    """

    __slots__ = ("_entries", "_looked", "_same", "firings")

    def __init__(self, registrations: Iterable[Registration]) -> None:
        self.firings: dict[Key, Firing] = {}
        self._entries: list[Key] = []
        self._looked: float | None = None
        self._same: dict[tuple[str, int, tuple[int, ...]], int] = {}
        for r in registrations:
            self._enter(r)

    def _enter(self, r: Registration) -> Key:
        what = r.what()
        self._same[what] = nth = self._same.get(what, -1) + 1
        self._entries.append(key := (*what, nth))
        return key

    def add(self, registration: Registration, old: Schedule | None = None, *, again: bool = False) -> None:
        """One more; it goes on where `old` stood. One that is there already is another only if `again`."""
        if again or registration.what() not in self._same:
            key = self._enter(registration)
            if old is not None and key in old.firings:
                self.firings[key] = old.firings[key]

    def carry(self, old: Schedule) -> None:
        """Go on where `old` stood, for everything registered in both; what is gone is forgotten."""
        self.firings.update((key, old.firings[key]) for key in self._entries if key in old.firings)

    def due(self, now: float, epoch: float, local: struct_time) -> list[tuple[str, int]]:
        """What fires now, as (kind, signal) in the order of registration; counts as fired from here on.

        local: `epoch` as local time, as time.localtime gives it.
        """
        self._looked = epoch
        fired: list[tuple[str, int]] = []
        for key in self._entries:
            kind, signum, spec, _ = key
            if kind == CRON:
                if self._rests(key, epoch) or not cron_matches(spec, local):
                    continue
                last = epoch
            else:
                start, _ = self.firings.setdefault(key, (now, 0))
                moment = self._moment(key)
                if moment is None or now < moment:
                    continue
                last = _beat(start, _period(kind, spec), now)
            self.firings[key] = (last, self.firings.get(key, (0.0, 0))[1] + 1)
            fired.append((kind, signum))
        return fired

    def next_deadline(self, now: float, epoch: float) -> float | None:
        """The machine time at which something may be due; None: never. May lie in the past.

        With a cron at least once a minute, so a clock that is set is noticed.
        """
        return min(self._looks(now, epoch), default=None)

    def _looks(self, now: float, epoch: float) -> Iterator[float]:
        for key in self._entries:
            if key[0] == CRON:
                yield now + self._cron_wait(key, epoch)
            else:
                self.firings.setdefault(key, (now, 0))
                moment = self._moment(key)
                if moment is not None:
                    yield moment

    def _cron_wait(self, cron: Key, epoch: float) -> float:
        """Seconds until it may be due, its rest over or a minute begun since the last look; negative: since when."""
        if self._looked is None:
            return 0
        next_minute = (self._looked // 60 + 1) * 60
        rest_ends = self.firings[cron][0] + _REST if self._rests(cron, self._looked) else next_minute
        # the minute's turn comes in any case: the clock may have been set
        return min(rest_ends - epoch, 60 - epoch % 60)

    def _rests(self, cron: Key, epoch: float) -> bool:
        """Did it fire less than 60 seconds ago? One in the future, from before the clock was set back, is forgotten."""
        return cron in self.firings and 0 <= epoch - self.firings[cron][0] < _REST

    def _moment(self, timer: Key) -> float | None:
        """When a timer that has begun fires next; None: never."""
        kind, _, spec, _ = timer
        last, runs = self.firings[timer]
        if kind != RB_TIMER and spec[0] <= 0:
            return None
        iterations = spec[1] if len(spec) > 1 else 0
        if iterations and runs and runs >= iterations:
            return None
        return last + _period(kind, spec)


def cron_matches(spec: tuple[int, ...], local: struct_time) -> bool:
    """Does the minute `local` match a cron's (minute, hour, day, month, wday)?"""
    minute, hour, day, month, weekday = spec
    weekday = 0 if weekday == 7 else weekday
    by_day = _field(day, local.tm_mday)
    by_weekday = _field(weekday, (local.tm_wday + 1) % 7)
    either = day >= 0 and weekday >= 0
    return (
        _field(minute, local.tm_min)
        and _field(hour, local.tm_hour)
        and _field(month, local.tm_mon)
        and (by_day or by_weekday if either else by_day and by_weekday)
    )


def _field(wanted: int, value: int) -> bool:
    # a step of one, -1, divides every value: it is "any"
    return value % -wanted == 0 if wanted < 0 else wanted == value


def _period(kind: str, spec: tuple[int, ...]) -> float:
    """In seconds, more than 0."""
    return spec[0] / 1000 if kind == MS_TIMER else max(spec[0], _NO_PAUSE)


def _beat(start: float, period: float, now: float) -> float:
    """The last beat at or before `now`: beats that were slept through are not made up for."""
    return start + max(1, (now - start) // period) * period
