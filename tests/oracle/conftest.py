"""The runs of the selected scenarios, shared by the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .harness import load_scenarios
from .launchers import SpoolsimLauncher, UwsgiLauncher
from .pool import Pool
from .sessions import signals_not_ignored

POOL = pytest.StashKey[Pool]()


@pytest.fixture(scope="session")
def conformance(request: pytest.FixtureRequest, uwsgi_binary: str) -> Iterator[Pool]:
    """The pool that runs every selected scenario under the real uWSGI and under spoolsim."""
    everything = load_scenarios()
    specs = [getattr(item, "callspec", None) for item in request.session.items]
    names = dict.fromkeys(s.params["scenario_name"] for s in specs if s and "scenario_name" in s.params)
    with signals_not_ignored():
        pool = Pool([UwsgiLauncher(uwsgi_binary), SpoolsimLauncher()], [everything[n] for n in names])
        request.config.stash[POOL] = pool
        yield pool
        pool.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say which scenarios needed a second run, and which were compared with the recording alone."""
    pool = config.stash.get(POOL, None)
    if pool is None or not (pool.second_runs or pool.recording_only):
        return
    terminalreporter.section("oracle")
    for name, reason in pool.recording_only.items():
        terminalreporter.write_line(f"compared with the recording alone: {name} ({reason})")
    for name, found in pool.second_runs:
        terminalreporter.write_line(f"needed a second run, alone: {name}; the first one showed:")
        for problem in found:
            terminalreporter.write_line("    " + problem.replace("\n", "\n    "))
