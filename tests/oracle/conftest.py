"""The runs of the selected scenarios, shared by the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .harness import load_scenarios
from .launchers import SpoolsimLauncher
from .pool import Pool
from .recording import stands
from .sessions import signals_not_ignored


@pytest.fixture(scope="session")
def conformance(request: pytest.FixtureRequest) -> Iterator[Pool]:
    """The pool that runs the selected scenarios under spoolsim; under the real uWSGI too where its recorded answer was
    given to another scenario than that of today, and all of them with --live.
    """
    everything = load_scenarios()
    specs = [getattr(item, "callspec", None) for item in request.session.items]
    selected = [everything[s.params["scenario_name"]] for s in specs if s and "scenario_name" in s.params]
    live = request.config.getoption("--live")
    asked = [one for one in selected if live or not stands(one)]
    with signals_not_ignored():
        pool = Pool(selected, SpoolsimLauncher(), asked)
        yield pool
        pool.close()
