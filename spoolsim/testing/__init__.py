"""Tests for spooler jobs: an in-process engine, fixtures for pytest, frozen time, faults on demand.

    from spoolsim.testing import SpoolerHarness

    def test_charge():
        with SpoolerHarness("shop.tasks") as spooler:
            shop.order(7)
            spooler.assert_spooled(shop.tasks.charge, times=1)
            spooler.drain()

The pytest plugin gives the same as the fixture `spooler`. Importing this package costs nothing: names load when used.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from spoolsim.errors import HarnessError, RetriedForever, ScheduleBroken, TaskTimeout
    from spoolsim.testing.engine import SpoolerHarness
    from spoolsim.testing.explore import Explored
    from spoolsim.testing.live import LiveSpooler
    from spoolsim.testing.task import Ran, Task

__all__ = [
    "Explored",
    "HarnessError",
    "LiveSpooler",
    "Ran",
    "RetriedForever",
    "ScheduleBroken",
    "SpoolerHarness",
    "Task",
    "TaskTimeout",
]

_HOME = {
    "Explored": "spoolsim.testing.explore",
    "LiveSpooler": "spoolsim.testing.live",
    "Ran": "spoolsim.testing.task",
    "SpoolerHarness": "spoolsim.testing.engine",
    "Task": "spoolsim.testing.task",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'spoolsim.testing' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME.get(name, "spoolsim.errors")), name)
