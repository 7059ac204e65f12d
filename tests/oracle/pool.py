"""Runs the selected scenarios of both sides at the same time, and one alone where a second look is needed.

Scenarios mostly wait, so several run at once (ORACLE_JOBS, default 6).
"""

from __future__ import annotations

import concurrent.futures
import os
from collections.abc import Iterable
from dataclasses import dataclass, field

from . import harness
from .compare import differences
from .harness import Facts, Run, Scenario
from .launchers import Launcher

#: After so many scenarios that differed twice, no more second looks: it is not the timing then.
MAX_DIFFERENT = 8


@dataclass
class Verdict:
    """How one side of one scenario compares with the wanted answer."""

    run: Run
    #: Empty: equal.
    problems: list[str]
    #: The first, parallel run, when it differed and a second one was made.
    first: Run | None = None
    first_problems: list[str] = field(default_factory=list)


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

    def __init__(self, launchers: Iterable[Launcher], scenarios: Iterable[Scenario]) -> None:
        jobs = int(os.environ.get("ORACLE_JOBS", "6"))
        self._launchers = {x.side: x for x in launchers}
        self._executor = concurrent.futures.ThreadPoolExecutor(jobs)
        self._different = 0
        #: "scenario (side)" of every second run that was right, with what the first one showed.
        self.second_runs: list[tuple[str, list[str]]] = []
        #: Scenarios that the real side could not show, with the reason.
        self.recording_only: dict[str, str] = {}
        self._futures = {
            (s.name, side): self._executor.submit(harness.run_scenario, s, launcher)
            for s in sorted(scenarios, key=lambda s: -s.seconds)
            for side, launcher in self._launchers.items()
        }

    def verdict(self, scenario: Scenario, side: str, want: Facts) -> Verdict:
        """Wait for a run and compare it; one that differs is run once more, alone, before it counts."""
        run = self._futures[scenario.name, side].result()
        if run.unavailable is not None:
            self.recording_only[scenario.name] = run.unavailable
            return Verdict(run, [])
        found = problems(run, want)
        if not found or self._different >= MAX_DIFFERENT or harness.ABORT.is_set():
            return Verdict(run, found)
        concurrent.futures.wait(self._futures.values())
        again = harness.run_scenario(scenario, self._launchers[side])
        verdict = Verdict(again, problems(again, want), run, found)
        if verdict.problems:
            self._different += 1
        else:
            self.second_runs.append((f"{scenario.name} ({side})", found))
        return verdict

    def close(self) -> None:
        """Break off what still runs; every instance is stopped when this returns."""
        harness.ABORT.set()
        self._executor.shutdown(wait=True, cancel_futures=True)
        harness.ABORT.clear()
