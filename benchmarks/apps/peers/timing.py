"""What every peer's program shares: it gets a directory and a count, and prints what it measured."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable


def main(measure: Callable[[str, int], float]) -> None:
    """Print the rate: tasks a second, of `measure(directory, count)` seconds."""
    count = int(sys.argv[2])
    print(json.dumps({"rate": count / measure(sys.argv[1], count)}))


def timed(call: Callable[[], None]) -> float:
    """Seconds that a call takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began
