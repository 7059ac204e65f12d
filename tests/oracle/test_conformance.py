"""Every scenario gives the same answer under `spoolsim run --faithful` as the real uWSGI gave, or gives now.

The real uWSGI runs beside where its recorded answer was given to a scenario of another text, and always with --live.
"""

from __future__ import annotations

import os

import pytest

from tests.needs import left_out

from .harness import Run, load_scenarios
from .pool import Pool, problems
from .recording import EXPECTED, recorded

SCENARIOS = load_scenarios()

#: So many lines of an instance's log are shown with a failure.
LOG_LINES = 80


def report(what: str, found: list[str], *runs: Run) -> str:
    """Return what differs, key by key, and the logs of the runs."""
    out = [f"{what}:", *("  " + p for p in found)]
    for run in runs:
        for n, log in enumerate(run.logs, 1):
            lines = log.splitlines()
            cut = [f"... {len(lines) - LOG_LINES} lines left out ..."] if len(lines) > LOG_LINES else []
            out += ["", f"--- log of {run.side}, instance {n}", *lines[:1], *cut, *lines[1:][-LOG_LINES:]]
    return "\n".join(out)


@pytest.mark.oracle
@pytest.mark.timeout(1200)  # a test waits for its turn among all the others; each scenario has deadlines of its own
@pytest.mark.parametrize("scenario_name", list(SCENARIOS))
def test_conformance(scenario_name: str, conformance: Pool, request: pytest.FixtureRequest) -> None:
    """The recorded answer is what spoolsim gives, and the real uWSGI where it is asked again."""
    scenario, want = SCENARIOS[scenario_name], recorded(scenario_name)
    runs = {}
    for side in ("uwsgi", "spoolsim"):
        if not conformance.runs(scenario, side):
            continue
        run = runs[side] = conformance.run(scenario, side)
        if run.unavailable is not None:
            left_out(request.node, f"compared with the recording alone: {run.unavailable}")
        elif found := problems(run, want):
            what = (
                "the real uWSGI does not give the recorded answer" if side == "uwsgi" else "spoolsim answers otherwise"
            )
            pytest.fail(report(what, found, *runs.values()), pytrace=False)


def test_every_recording_belongs_to_a_scenario() -> None:
    """No recorded answer is left over from a scenario that is gone, and none is missing."""
    assert {os.path.splitext(f)[0] for f in os.listdir(EXPECTED)} == set(SCENARIOS)
