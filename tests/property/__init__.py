"""Rules that hold for whatever hypothesis draws."""

from __future__ import annotations

import os

#: set by `python -m tests --full`, as .ci/run calls it
FULL = bool(os.environ.get("SPOOLSIM_TESTS_FULL"))


def examples(count: int) -> int:
    """Return how many examples a property draws: `count` with --full, else a quarter of them, but at least ten."""
    return count if FULL else max(10, count // 4)
