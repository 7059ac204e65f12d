"""What is counted under valgrind does its work, without it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from benchmarks.instructions import WORK


@pytest.mark.parametrize("name", WORK)
def test_the_work(name: str) -> None:
    """Each kind ends well on a few tasks, as the long runs do that are counted."""
    subprocess.run([sys.executable, "-m", "benchmarks.instructions", name, "20"], check=True, timeout=60)
