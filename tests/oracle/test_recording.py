"""A recording stands for the real uWSGI only while what was asked is unchanged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from . import recording
from .harness import Scenario, load_scenarios

SCENARIOS = """\
APP = "app"
OTHER = "other"

def helper():
    return APP

def one(h):
    return {"a": helper()}

def two(h):
    return {"b": OTHER}
"""


def closure(tmp_path: Path, text: str, name: str) -> list[str]:
    """The texts that a scenario of a file with this text is made of."""
    path = tmp_path / f"{len(list(tmp_path.iterdir()))}.py"
    path.write_text(text)
    return recording._Parts(str(path)).closure(name)


def test_what_a_scenario_uses_counts_and_nothing_else(tmp_path: Path) -> None:
    """The text of a helper's constant changes the one scenario that uses it, not its neighbour."""
    changed = SCENARIOS.replace('APP = "app"', 'APP = "new"')
    assert closure(tmp_path, SCENARIOS, "one") != closure(tmp_path, changed, "one")
    assert closure(tmp_path, SCENARIOS, "two") == closure(tmp_path, changed, "two")


def test_a_name_that_code_makes_is_the_whole_file(tmp_path: Path) -> None:
    """A scenario that no statement of the file names changes with any text of it."""
    assert closure(tmp_path, SCENARIOS, "<lambda>") == [SCENARIOS]


def test_a_recording_of_another_text_stands_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hash that differs, an older form without one, and no file at all: the real uWSGI is asked."""
    monkeypatch.setattr(recording, "EXPECTED", tmp_path)
    known = next(iter(load_scenarios().values()))

    def written(**more: object) -> bool:
        recording._read.cache_clear()
        (tmp_path / f"{known.name}.json").write_text(json.dumps({"facts": {"a": 1}, **more}))
        return recording.stands(known)

    try:
        assert not recording.stands(Scenario("nowhere", known.run, "2.0", 1))
        assert written(scenario=recording.fingerprint(known), uwsgi={})
        assert recording.recorded(known.name) == {"a": 1}
        assert not written(scenario="another", uwsgi={})
        assert not written()
        assert recording.recorded(known.name) == {"facts": {"a": 1}}
    finally:
        recording._read.cache_clear()


def test_every_recording_names_the_uwsgi_that_answered() -> None:
    """All but those that no uWSGI here could give (a release to come, a library it lacks) name version and build."""
    for scenario in load_scenarios().values():
        if recording.stands(scenario):
            binary = recording._read(scenario.name)["uwsgi"]
            assert binary["version"].startswith("2.0.")
            assert len(binary["binary"]) == len(binary["cflags"]) == 16
