"""Rules that hold for whatever hypothesis draws."""

from __future__ import annotations

from tests import size


def examples(count: int) -> int:
    """Return how many examples a property draws: `count` with --full, else a quarter of them, but at least ten."""
    return size(count, max(10, count // 4))
