"""Every scenario gives the same answer under the real uWSGI, in the recording, and under `spoolsim run --faithful`."""

from __future__ import annotations

import os

import pytest

from .compare import EXPECTED, recorded
from .harness import load_scenarios
from .pool import Pool, Verdict

SCENARIOS = load_scenarios()

#: So many lines of an instance's log are shown with a failure.
LOG_LINES = 80


def report(what: str, verdict: Verdict, others: Verdict) -> str:
    """Return what differs, key by key, and the logs of both sides."""
    out = [f"{what}:"]
    out += ["  " + p for p in verdict.problems]
    if verdict.first is not None:
        out.append("It differed in two runs, the second one alone. The first showed:")
        out += ["  " + p for p in verdict.first_problems]
    for v in (verdict, others):
        for n, log in enumerate(v.run.logs, 1):
            lines = log.splitlines()
            cut = [f"... {len(lines) - LOG_LINES} lines left out ..."] if len(lines) > LOG_LINES else []
            out += ["", f"--- log of {v.run.side}, instance {n}", *lines[:1], *cut, *lines[1:][-LOG_LINES:]]
    return "\n".join(out)


@pytest.mark.oracle
@pytest.mark.timeout(900)  # a test waits for its turn among all the others; each scenario has deadlines of its own
@pytest.mark.parametrize("scenario_name", list(SCENARIOS))
def test_conformance(scenario_name: str, conformance: Pool) -> None:
    """The recorded answer is what the real uWSGI gives now, and spoolsim gives it too."""
    want = recorded(scenario_name)
    real = conformance.verdict(SCENARIOS[scenario_name], "uwsgi", want)
    ours = conformance.verdict(SCENARIOS[scenario_name], "spoolsim", want)
    if real.problems:
        pytest.fail(report("the real uWSGI does not give the recorded answer", real, ours), pytrace=False)
    if ours.problems:
        pytest.fail(report("spoolsim does not give uWSGI's answer", ours, real), pytrace=False)


def test_every_recording_belongs_to_a_scenario() -> None:
    """No recorded answer is left over from a scenario that is gone, and none is missing."""
    assert {os.path.splitext(f)[0] for f in os.listdir(EXPECTED)} == set(SCENARIOS)
