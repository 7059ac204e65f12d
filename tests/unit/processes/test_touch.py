"""What counts as a touch, and when changes of source files are over."""

from __future__ import annotations

import pytest

from spoolsim.processes.touch import Quiet, touched

SECOND = 1_000_000_000
T = 1_700_000_000 * SECOND


@pytest.mark.parametrize("every", [False, True])
def test_a_file_that_comes_or_goes(every: bool) -> None:
    """Made and removed are touches under both; absent and still absent is none."""
    assert touched(None, (T, 1), every=every)
    assert touched((T, 1), None, every=every)
    assert not touched(None, None, every=every)
    assert not touched((T, 1), (T, 1), every=every)


@pytest.mark.parametrize(
    ("now", "ours", "uwsgis"),
    [
        ((T + SECOND, 1), True, True),
        ((T + 5, 1), True, False),
        ((T - SECOND, 1), True, False),
        ((T, 2), True, False),
        ((T + SECOND - 1, 2), True, False),
    ],
)
def test_what_changed(now: tuple[int, int], ours: bool, uwsgis: bool) -> None:
    """Ours sees any change and a replaced file; uWSGI whole seconds of the mtime, and only upwards."""
    assert touched((T, 1), now, every=True) is ours
    assert touched((T, 1), now, every=False) is uwsgis


def reloads(changes: list[float], asked: list[float]) -> list[float]:
    """When a reload comes, of a clock that stands at these moments: changes are told first, then it is asked."""
    quiet, found = Quiet(), []
    for now in sorted({*changes, *asked}):
        if now in changes:
            quiet.changed(now)
        if quiet.over(now):
            found.append(now)
    return found


def test_several_writes_are_one_reload():
    """An editor's writes, then a tenth of a second without one."""
    assert reloads([1.0, 1.05, 1.125], [1.1, 1.2, 1.25, 1.5, 9.0]) == [1.25]
    assert reloads([], [1.0, 2.0]) == []


def test_a_program_that_never_stops_writing_delays_it_for_a_while_not_forever():
    """A write each twentieth of a second for ten seconds: a reload each two seconds."""
    writes = [number / 20 for number in range(200)]
    assert reloads(writes, []) == [2.0, 4.05, 6.1, 8.15]
