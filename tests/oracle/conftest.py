"""The runs of the selected scenarios, shared by the tests of this folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

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


CASES = Path(__file__).with_name("config_cases")
ENVIRON = {"FOO": "bar", "EMPTY": "", "NEST": "$(FOO)%(var)@(parts/one.txt)", "NUMBER": "4", "COMMON": "plain"}


@pytest.fixture(scope="session")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One copy of the configuration cases for all tests of a process: one for each test took most of its time."""
    return shutil.copytree(CASES, tmp_path_factory.mktemp("config") / "cases")


@pytest.fixture
def cwd(cases: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The copy of the cases, in which both sides run; what a test adds beside them is removed after it."""
    monkeypatch.chdir(cases)
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    yield cases
    for path in cases.iterdir():
        if not (CASES / path.name).exists():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
