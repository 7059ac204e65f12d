"""The order of names: uWSGI's version sort."""

from __future__ import annotations

import random
from typing import Any

from spoolsim.spool.names import PREFIX, version_key


def names(count: int) -> list[str]:
    """Names of one producer process, in an arbitrary order."""
    found = [f"{PREFIX}host_4242_{n}_{n * 7919 % 2147483647}_1767225600_{n % 1000000}" for n in range(1, count + 1)]
    random.Random(1).shuffle(found)
    return found


def test_version_key(benchmark: Any) -> None:
    """The key of one name sorts its counter as a number."""
    low, high = (f"{PREFIX}host_1_{n}_1_1_1" for n in (9, 10))
    assert benchmark(version_key, low) < version_key(high)


def test_version_sort(benchmark: Any, size: int) -> None:
    """A whole directory sorts by the producer's counter."""
    found = benchmark(sorted, names(size), key=version_key)
    assert [int(name.split("_")[5]) for name in found] == list(range(1, size + 1))
