"""The short way of a plain task and the general one come to the same, whatever the tasks are."""

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
from spoolsim.work import plain
from spoolsim.work.app import SPOOLER, App, install
from spoolsim.work.scoreboard import DONE, HARAKIRI, KEPT, OUTCOME, SERIAL, STARTED, STATE, TASKS, read_task
from spoolsim.work.worker import Worker
from tests.oracle.packets import packet
from tests.property import examples

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


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """A worker changes directory, and its app the environment."""
    environ, path, cwd = dict(os.environ), list(sys.path), os.getcwd()
    yield
    os.chdir(cwd)
    sys.path[:] = path
    os.environ.clear()
    os.environ.update(environ)
    sys.modules.pop("uwsgi", None)


def seen(home: Path, tasks: list[tuple[str, Any]], options: dict[str, Any], *, short: bool) -> tuple[Any, ...]:
    """Everything that can be told apart after two scans: calls, files, reasons, scoreboard, journal, log."""
    os.chdir("/")
    (home / "spool").mkdir(parents=True)
    spool = SpoolDir(os.path.realpath(home / "spool"))
    for number, (kind, _) in enumerate(tasks):
        path = Path(spool.path, f"{PREFIX}h_1_{number}_0_0_0")
        data = packet({b"n": b"%d" % number})
        if kind == "link":
            path.symlink_to("nowhere")
        elif kind == "fifo":
            os.mkfifo(path)
        elif kind != "none":
            body = {"body": b"b" * 9, "big": b"b" * 40_000}.get(kind, b"")
            broken = {"empty": b"", "short": data[:-1], "garbage": b"\x11\x05\0\0\xff\xff\xff\xff\xff"}
            path.write_bytes(broken.get(kind, data + body))
        if kind == "future":
            os.utime(path, (time.time() + 10**7,) * 2)
    log = os.open(home / "log", os.O_RDWR | os.O_CREAT)
    app = install(App(Options(quiet=True, ordered=True, **options), [(spool, 0)], Log(log)))
    app.prepare()
    app.become(SPOOLER)
    calls = []

    def handler(env: dict[Any, bytes]) -> object:
        calls.append((dict(env), os.getcwd() == spool.path))
        answer = tasks[int(env[b"n"])][1]
        if isinstance(answer, Exception):
            raise answer
        return answer

    sys.modules["uwsgi"].__dict__["spooler"] = handler
    place = memoryview(bytearray(512))
    worker = Worker(app, spool, place=place)
    used = []
    stderr = os.dup(2)
    os.dup2(log, 2)  # the tracebacks
    try:
        with pytest.MonkeyPatch.context() as patch:
            way = plain.way if short else lambda worker: None
            patch.setattr(plain, "way", lambda worker: used.append(found := way(worker)) or found)
            runs = []
            for _ in range(2):
                runs.append((worker.cycle(), worker.fresh, sorted(worker.unfinished), worker.recycled))
                worker.recycled = False
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
    assert all((found is not None) == short for found in used)
    left = sorted((str(path.relative_to(home)), path.lstat().st_size) for path in home.rglob(f"{PREFIX}*"))
    journal = [(line.task, line.outcome, line.attempt, line.why) for line in read(spool)]
    text = os.pread(log, 1 << 20, 0).decode("utf-8", "replace").replace(str(home), "HOME")
    os.close(log)
    descriptors = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    return calls, runs, left, journal, text, [worker.words[word] for word in WORDS], read_task(place), descriptors


@settings(max_examples=examples(60))
@given(
    TASKS_DRAWN, st.sampled_from([{}, {"max_tasks": 2}, {"harakiri": 5}, {"no_journal": True}, {"retry_delay": 60.0}])
)
def test_both_ways_come_to_the_same(tasks: list[tuple[str, Any]], options: dict[str, Any]) -> None:
    """Plain tasks, big and broken ones, links and FIFOs; done, kept, raising; with the options that matter here."""
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        short = seen(Path(os.path.realpath(one)) / "home", tasks, options, short=True)
        general = seen(Path(os.path.realpath(other)) / "home", tasks, options, short=False)
    for mine, theirs in zip(short, general, strict=True):
        assert mine == theirs


@pytest.mark.parametrize(
    "options",
    [{"quiet": False}, {"faithful": True}, {"max_attempts": 3}, {"max_body": 9}, {"chdir_task": "/"}],
    ids=lambda options: next(iter(options)),
)
def test_what_each_task_must_be_asked_about_goes_the_general_way(tmp_path: Path, options: dict[str, Any]) -> None:
    """Under these options there is no short way."""
    (tmp_path / "spool").mkdir()
    spool = SpoolDir(str(tmp_path / "spool"))
    app = install(App(Options(**{"quiet": True, **options}), [(spool, 0)], Log()))
    assert plain.way(Worker(app, spool)) is None
