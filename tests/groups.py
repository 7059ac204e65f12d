"""The groups of tests, one for each folder: what they hold, how long they took, and in which order they are run.

`python -m tests --groups` prints them; the times are those of the last run here, else those of tests/records.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
RECORD = ROOT / "tests" / "records" / "times.json"
#: of the last run here
LAST = "spoolsim/times"

#: folder below tests/ -> what is in it
GROUPS = {
    "unit": "each module of the package alone; the folders mirror the package",
    "property": "rules that hold for whatever hypothesis draws",
    "testing": "spoolsim.testing, the pytest plugin, as its users have it",
    "process": "`spoolsim run`, `exec` and `dev` as processes, with signals, reloads and stops",
    "actions": "what a person does to a task from the command line, beside running and dying spoolers",
    "oracle": "the same scenarios, options and files under the real uWSGI (or its recorded answers) and under spoolsim",
    "faults": "kills and failing calls at every step of a task; the short form of the campaign",
    "clients": "third-party packages from PyPI that use the spooler, unmodified",
    "examples": "every folder of examples/ does what it says",
    "package": "the sdist and the wheel, built and tried in a clean environment",
    "fuzz": "the corpus of hostile inputs; the short form of the fuzzer",
    "soak": "two thousand tasks during kills and reloads; the short form of the soak",
}

#: the long campaigns, each a command of its own
CAMPAIGNS = {
    "python -m tests.faults.campaign --minutes 30": "SIGKILL and failing calls at drawn steps",
    "python -m tests.fuzz --inputs 10000000": "hostile inputs, guided by coverage",
    "python -m tests.soak --minutes 60": "one instance for an hour during kills and reloads",
    "python -m tests.actions": "random actions on tasks while four spoolers and a real uWSGI serve them",
    "python -m tests.mutation": "changed code that the tests must notice",
    "python -m tests --record": "every scenario under the real uWSGI, three times, recorded",
    "python -m tests --live": "all tests, every scenario under the real uWSGI too",
    "python -m tests.coverage": "every branch of what puts, finds, claims, settles and decides",
}

#: Files whose tests share what is expensive (instances that are staged all at once), or are so quick that to send them
#: to a worker one by one costs more than to run them: each file is one unit of work.
TOGETHER = re.compile(
    r"tests/(unit|fuzz|soak|package|clients)/|testing/test_testing_example_project\.py|"
    r"oracle/test_(conformance|security_table|decorators_uwsgi)\.py"
)
#: The tests of one fixture, which kills a producer at each of its system calls.
KILLED = re.compile(r"test_put\.py::test_(a_killed|no_partial)_")
#: A test that took at least this many seconds is remembered by its own name, so that it is begun early.
LONG = 2.0


@dataclass
class Times:
    """How long tests took, in seconds: each file with the number of its tests, and the long tests by their names."""

    files: dict[str, tuple[int, float]]
    long: dict[str, float]

    def of(self, unit: str) -> float:
        """Return about how long a unit of work takes; one never seen counts as long."""
        if unit in self.long:
            return self.long[unit]
        path, _, test = unit.partition("::")
        known = [of for file, of in self.files.items() if file == path or file.startswith(path + "/")]
        count, seconds = sum(n for n, _ in known), sum(s for _, s in known)
        if not known:
            return LONG
        return seconds / max(count, 1) if test else seconds


def group_of(nodeid: str) -> str:
    """Return the group that a test or file belongs to."""
    return nodeid.partition("tests/")[2].partition("/")[0]


def unit_of_work(nodeid: str) -> str:
    """Return what a worker is given as a whole: a folder, a file, or a single test."""
    path = nodeid.partition("::")[0]
    if KILLED.search(nodeid):
        return "tests/faults/test_put.py::killed"
    return path if TOGETHER.search(path) else nodeid


def in_order(items: list[pytest.Item], times: Times) -> list[pytest.Item]:
    """Return the tests with the longest units of work first; the same order on every worker.

    What asks the real uWSGI live comes last, as it is perhaps still being built.
    """

    def key(nodeid: str) -> tuple[bool, float, str]:
        unit = unit_of_work(nodeid)
        return "tests/oracle/" in unit and "test_conformance" not in unit, -times.of(unit), unit

    return sorted(items, key=lambda item: key(item.nodeid))


def load() -> Times:
    """Return the times recorded with the project, those of the last runs here in their place."""
    times = Times({}, {})
    for source in (RECORD, ROOT / ".pytest_cache" / "v" / LAST):
        if source.exists():
            read = json.loads(source.read_text())
            times.long = {n: s for n, s in times.long.items() if n.partition("::")[0] not in read["files"]} | read[
                "long"
            ]
            times.files |= {path: (count, seconds) for path, (count, seconds) in read["files"].items()}
    return times


class Clock:
    """Sums up the tests and the seconds of each file, and keeps them for the next run."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.tests: dict[str, float] = defaultdict(float)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Add the time of a test's set-up, call or tear-down."""
        self.tests[report.nodeid] += report.duration

    def pytest_sessionfinish(self) -> None:
        """Keep the times of the files that were run; a selection of tests is not the time of a file."""
        option = self.config.option
        selected = option.keyword or option.markexpr or any("::" in word for word in self.config.args)
        cache = getattr(self.config, "cache", None)
        if selected or cache is None or not self.tests:
            return
        new, before = self.times(), load()
        files = {path: of for path, of in before.files.items() if (ROOT / path).exists()} | new.files
        long = {name: s for name, s in before.long.items() if name.partition("::")[0] not in new.files} | new.long
        cache.set(LAST, {"files": files, "long": long})

    def times(self) -> Times:
        """Return what was measured in this run."""
        files: dict[str, tuple[int, float]] = {}
        for name, seconds in self.tests.items():
            path = name.partition("::")[0]
            count, before = files.get(path, (0, 0.0))
            files[path] = (count + 1, round(before + seconds, 2))
        return Times(files, {name: round(s, 1) for name, s in self.tests.items() if s >= LONG})


def rows(times: Times) -> dict[str, str]:
    """Return for each group that has times: its tests, and the seconds summed over them."""
    tests: dict[str, int] = defaultdict(int)
    seconds: dict[str, float] = defaultdict(float)
    for path, (count, took) in times.files.items():
        tests[group_of(path)] += count
        seconds[group_of(path)] += took
    names = [*GROUPS, *sorted(set(tests) - set(GROUPS))]
    return {name: f"{name:<10} {tests[name]:>5} tests {seconds[name]:>7.1f} s" for name in names if tests[name]}


def describe(times: Times) -> str:
    """Return what `python -m tests --groups` prints."""
    measured = rows(times)
    out = ["python -m tests GROUP [pytest arguments] runs one group. Seconds are summed over its tests:", ""]
    out += [f"  {measured.get(name, f'{name:<10}     ? tests       ? s')}  {what}" for name, what in GROUPS.items()]
    out += ["", "Longer than the tests, and commands of their own (.ci/run has short forms of them):", ""]
    out += [f"  {command:<46} {what}" for command, what in CAMPAIGNS.items()]
    return "\n".join(out)


def scheduling(config: pytest.Config, log: Any) -> Any:
    """Return what hands out the work to the workers of xdist: unit by unit, in the order of the collection."""
    from xdist.scheduler.loadscope import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return unit_of_work(nodeid)

    config.option.loadscopereorder = False
    return Scheduling(config, log)
