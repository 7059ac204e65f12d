"""The tests of spoolsim; `python -m tests` prepares the oracle and runs them all."""

from __future__ import annotations

import os
from typing import TypeVar

T = TypeVar("T")

#: set by `python -m tests --full`, as .ci/run calls it
FULL = bool(os.environ.get("SPOOLSIM_TESTS_FULL"))


def size(full: T, short: T) -> T:
    """Return how much a storm, a race or a draw does: `full` with --full, else `short`."""
    return full if FULL else short
