"""What counts as a touch."""

from __future__ import annotations

import pytest

from spoolsim.processes.touch import touched

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
