"""Spans of time in words. Pure."""

from __future__ import annotations

#: up to so many seconds in this unit
_UNITS = ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h"), (63_072_000, 86400, "days"))


def span(seconds: float) -> str:
    """A span of time for people: 200 ms, 5 s, 3 min, 2 h, 4 days, 51 years."""
    seconds = max(seconds, 0)
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    for limit, unit, name in _UNITS:
        if seconds < limit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds / 31_536_000:.0f} years"


def took(seconds: float) -> str:
    """How long a task took, in at most 8 characters: `31.0 ms`, `1.20 s`, `4 min`."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.1f} ms"
    if seconds < 120:
        return f"{seconds:.2f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
