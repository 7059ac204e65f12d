"""Runs scenarios of both sides at the same time, each once.

Scenarios mostly wait, so several run at once (ORACLE_JOBS, default 8), the longest first.
"""

from __future__ import annotations

import concurrent.futures
import os
from collections.abc import Iterable

from . import harness
from .compare import differences
from .harness import Facts, Run, Scenario
from .launchers import Launcher


def problems(run: Run, want: Facts) -> list[str]:
    """Return what is wrong with a run: the program's failure, or the differing keys, or processes left behind."""
    if run.error is not None:
        return [f"the scenario's program failed on this side:\n{run.error}"]
    found = differences(want, run.facts)
    if run.left_after_stop and run.side != "uwsgi":  # the real one does leave spoolers when it is stopped in mid-start
        found.append("left alive after the stop: " + "; ".join(run.left_after_stop))
    return found


class Pool:
    """All runs of one test session."""

    def __init__(self, wanted: Iterable[tuple[Scenario, Launcher]]) -> None:
        self._executor = concurrent.futures.ThreadPoolExecutor(int(os.environ.get("ORACLE_JOBS", "8")))
        self._futures = {
            (scenario.name, launcher.side): self._executor.submit(harness.run_scenario, scenario, launcher)
            for scenario, launcher in sorted(wanted, key=lambda one: -one[0].seconds)
        }

    def runs(self, scenario: Scenario, side: str) -> bool:
        """Whether this side of a scenario is among the runs."""
        return (scenario.name, side) in self._futures

    def run(self, scenario: Scenario, side: str) -> Run:
        """Wait for a run and return it."""
        return self._futures[scenario.name, side].result()

    def close(self) -> None:
        """Break off what still runs; every instance is stopped when this returns."""
        harness.ABORT.set()
        self._executor.shutdown(wait=True, cancel_futures=True)
        harness.ABORT.clear()
