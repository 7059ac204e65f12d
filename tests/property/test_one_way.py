"""The one way of a task comes to what the tables of outcome.py and verdict.py say, whatever the tasks are."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spoolsim.log import Log
from spoolsim.options import Options
from spoolsim.spool.directory import SpoolDir
from spoolsim.spool.journal import read
from spoolsim.spool.names import PREFIX
from spoolsim.work import installed
from spoolsim.work.app import SPOOLER, App
from spoolsim.work.installed import install
from spoolsim.work.outcome import BROKEN, Outcome, raised, returned
from spoolsim.work.scoreboard import (
    DONE,
    HARAKIRI,
    IDLE,
    KEPT,
    LAST_OUTCOME,
    OUTCOME,
    SERIAL,
    STARTED,
    STATE,
    TASKS,
    read_task,
)
from spoolsim.work.status import Status
from spoolsim.work.worker import Worker
from tests.oracle.packets import packet
from tests.property import examples

GARBAGE = b"\x11\x05\0\0\xff\xff\xff\xff\xff"
BODIES = {"body": b"b" * 9, "big": b"b" * 40_000}
#: those that matter on the way of a task
OPTIONS: list[dict[str, Any]] = [
    {},
    {"quiet": False},
    {"max_tasks": 2},
    {"harakiri": 5},
    {"no_journal": True},
    {"retry_delay": 60.0},
    {"max_attempts": 2},
    {"max_body": 10_000},
    {"chdir_task": "/"},
]
WORDS = (DONE, KEPT, OUTCOME, SERIAL, STARTED, STATE, TASKS, HARAKIRI)

#: what the handler does with a task: return this, or raise
ANSWERS = st.sampled_from(
    [-2, -2, -2, -1, 0, 1, True, None, "text", 2**70, -2.0, 2**32 - 2, ValueError("no"), KeyError()]
)
TASKS_DRAWN = st.lists(
    st.tuples(
        st.sampled_from(
            ["plain", "plain", "body", "big", "empty", "short", "garbage", "future", "link", "fifo", "none"]
        ),
        ANSWERS,
    ),
    max_size=7,
)


def name_of(number: int) -> str:
    return f"{PREFIX}h_1_{number}_0_0_0"


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """A worker changes directory, and its app the environment."""
    environ, path, cwd, current = dict(os.environ), list(sys.path), os.getcwd(), installed.current
    yield
    installed.current = current
    os.chdir(cwd)
    sys.path[:] = path
    os.environ.clear()
    os.environ.update(environ)
    sys.modules.pop("uwsgi", None)


def seen(home: Path, tasks: list[tuple[str, Any]], options: dict[str, Any]) -> tuple[Any, ...]:
    """Everything that can be told after two scans: calls, files, scoreboard, journal; and the open descriptors."""
    os.chdir("/")
    (home / "spool").mkdir(parents=True)
    spool = SpoolDir(os.path.realpath(home / "spool"))
    for number, (kind, _) in enumerate(tasks):
        path = Path(spool.path, name_of(number))
        data = packet({b"n": b"%d" % number})
        if kind == "link":
            path.symlink_to("nowhere")
        elif kind == "fifo":
            os.mkfifo(path)
        elif kind != "none":
            broken = {"empty": b"", "short": data[:-1], "garbage": GARBAGE}
            path.write_bytes(broken.get(kind, data + BODIES.get(kind, b"")))
        if kind == "future":
            os.utime(path, (time.time() + 10**7,) * 2)
    log = os.open(home / "log", os.O_RDWR | os.O_CREAT)
    app = install(App(Options(**{"quiet": True, "ordered": True, **options}), [(spool, 0)], Log(log)))
    app.prepare()
    app.become(SPOOLER)
    calls = []

    def handler(env: dict[Any, bytes]) -> object:
        calls.append((dict(env), os.getcwd() == options.get("chdir_task", spool.path)))
        answer = tasks[int(env[b"n"])][1]
        if isinstance(answer, Exception):
            raise answer
        return answer

    sys.modules["uwsgi"].__dict__["spooler"] = handler
    place = memoryview(bytearray(512))
    worker = Worker(app, spool, status=Status(app, place=place))
    stderr = os.dup(2)
    os.dup2(log, 2)  # the tracebacks
    before = descriptors()
    runs = []
    try:
        for _ in range(2):
            runs.append((worker.cycle(), sorted(worker.unfinished), worker.recycled))
            worker.renew()
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
    assert descriptors() == before - 1
    left = sorted(str(path.relative_to(home / "spool")) for path in home.rglob(f"{PREFIX}*") if path.suffix != ".why")
    journal = [(line.task, line.outcome, line.attempt) for line in read(spool)]
    os.close(log)
    return calls, runs, left, journal, [worker.words[word] for word in WORDS], read_task(place)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


class Model:
    """What should come of the same, by the tables of outcome.py and verdict.py alone."""

    def __init__(self, tasks: list[tuple[str, Any]], options: dict[str, Any]) -> None:
        self.options = options
        self.there = {number: kind for number, (kind, _) in enumerate(tasks) if kind != "none"}
        self.answers = [answer for _, answer in tasks]
        self.aside: list[str] = []
        self.calls: list[tuple[dict[Any, bytes], bool]] = []
        self.journal: list[tuple[str, str, int]] = []
        self.attempts = dict.fromkeys(self.there, 0)
        self.done = self.kept = self.outcome = self.counted = 0
        self.last = ""

    def scan(self) -> tuple[int, list[str], bool]:
        ran, counted, unfinished = 0, 0, []
        for number, kind in list(self.there.items()):
            if kind == "empty":
                unfinished.append(name_of(number))
            if kind in ("empty", "future", "link", "fifo", "postponed"):
                continue
            if kind == "short" or (kind == "big" and self.options.get("max_body", 0)):
                self.move(number, "broken")
                continue
            ran += 1
            outcome = self.run(number, kind)
            counted += outcome.counted
            self.counted = counted or self.counted
            if self.options.get("max_tasks") and counted >= self.options["max_tasks"]:
                return ran, unfinished, True
        return ran, unfinished, False

    def run(self, number: int, kind: str) -> Outcome:
        self.last = name_of(number)
        answer = self.answers[number]
        if kind == "garbage":
            outcome = BROKEN
            self.move(number, "broken")
        else:
            env = {"spooler_task_name": name_of(number).encode(), b"n": b"%d" % number}
            self.calls.append((env | ({"body": BODIES[kind]} if kind in BODIES else {}), True))
            outcome = raised(answer) if isinstance(answer, Exception) else returned(answer)
        self.attempts[number] += 1
        self.note(number, outcome.state)
        self.outcome = LAST_OUTCOME[outcome.state]
        if outcome.state == "done":
            self.done += 1
            self.there.pop(number, None)
            return outcome
        self.kept += 1
        if outcome.why and self.attempts[number] == self.options.get("max_attempts") and outcome.state == "retry":
            self.move(number, "failed")
            self.note(number, "failed")
        elif outcome.state == "retry" and self.options.get("retry_delay"):
            self.there[number] = "postponed"
        return outcome

    def move(self, number: int, home: str) -> None:
        del self.there[number]
        self.aside.append(f".spoolsim/{home}/{name_of(number)}")

    def note(self, number: int, outcome: str) -> None:
        if not self.options.get("no_journal"):
            self.journal.append((name_of(number), outcome, self.attempts[number]))


@settings(max_examples=examples(120))
@given(TASKS_DRAWN, st.sampled_from(OPTIONS))
def test_a_worker_does_what_the_tables_say(tasks: list[tuple[str, Any]], options: dict[str, Any]) -> None:
    """Small tasks, big and broken ones, links and FIFOs; done, kept, raising; with the options that matter here."""
    with tempfile.TemporaryDirectory() as home:
        calls, runs, left, journal, words, last = seen(Path(os.path.realpath(home)) / "home", tasks, options)
    model = Model(tasks, options)
    assert runs == [model.scan(), model.scan()]
    assert calls == model.calls
    assert left == sorted([*map(name_of, model.there), *model.aside])
    assert sorted(journal) == sorted(model.journal)
    done, kept, outcome, serial, started, state, counted, harakiri = words
    assert (done, kept, outcome) == (model.done, model.kept, model.outcome)
    assert serial == 2 * (done + kept)
    assert (started, state, counted, harakiri) == (0, IDLE, model.counted, 0)
    assert last == model.last
