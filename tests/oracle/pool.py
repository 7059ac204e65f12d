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
from .launchers import Launcher, UwsgiLauncher, find_uwsgi


def problems(run: Run, want: Facts) -> list[str]:
    """Return what is wrong with a run: the program's failure, or the differing keys, or processes left behind."""
    if run.error is not None:
        return [f"the scenario's program failed on this side:\n{run.error}"]
    found = differences(want, run.facts)
    if run.left_after_stop and run.side != "uwsgi":  # the real one does leave spoolers when it is stopped in mid-start
        found.append("left alive after the stop: " + "; ".join(run.left_after_stop))
    return found


def _longest_first(scenario: Scenario) -> float:
    return -scenario.seconds


def _run_real(scenario: Scenario) -> Run:
    return harness.run_scenario(scenario, UwsgiLauncher(find_uwsgi()))


class Pool:
    """All runs of one test session."""

    def __init__(self, ours: Iterable[Scenario], launcher: Launcher, real: Iterable[Scenario] = ()) -> None:
        self._executor = concurrent.futures.ThreadPoolExecutor(int(os.environ.get("ORACLE_JOBS", "8")))
        self._futures = {
            (scenario.name, launcher.side): self._executor.submit(harness.run_scenario, scenario, launcher)
            for scenario in sorted(ours, key=_longest_first)
        }
        for scenario in sorted(real, key=_longest_first):  # behind ours: perhaps uWSGI is still being built
            self._futures[scenario.name, UwsgiLauncher.side] = self._executor.submit(_run_real, scenario)

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
