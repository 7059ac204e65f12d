"""What one harness shares with its child processes: caches, locks and metrics of an instance of its own."""

from __future__ import annotations

import os
import sys
from itertools import count

from spoolsim import system
from spoolsim.work import program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from spoolsim.work.app import App

_count = count(1)


def describe(app: App, *, master: int = 0, served: bool = False) -> str:
    """The description of an instance that nobody had before; its name does not come from a clock that may be frozen."""
    before = os.environ.get(program.INSTANCE)
    started = system.clock_gettime_ns(system.CLOCK_MONOTONIC)
    os.environ[program.INSTANCE] = f"{os.getpid()}-{started:x}-{next(_count):x}"
    try:
        return program.describe(app.options, app.directories, master=master, served=served)
    finally:
        if before is not None:
            os.environ[program.INSTANCE] = before


def forget(directory: str) -> None:
    """Close what this process has open of an instance whose spool directories are in `directory`."""
    inside = os.path.join(directory, "")
    store: Any = sys.modules.get("spoolsim.emulate.store")
    if store is not None:
        for path in [path for path in store._stores if path.startswith(inside)]:
            store._stores.pop(path).close()
    locks: Any = sys.modules.get("spoolsim.emulate.locks")
    if locks is not None and locks._locks is not None and not locks._locks.owners:
        os.close(locks._locks.fd)
        locks._locks = None
