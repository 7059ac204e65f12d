"""What `top` shows and its keys do, with everything that was seen handed in."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from spoolsim.processes.boardfile import BoardFile
from spoolsim.spool.directory import SpoolDir
from spoolsim.spool.journal import Journal
from spoolsim.tasks import listing, spoolers
from spoolsim.tasks.actions import DID, Result
from spoolsim.tasks.attempts import DEAD_LETTERED, DIED, DONE, IGNORED, RETRY, Attempt
from spoolsim.tasks.describe import HANDLER, Call
from spoolsim.tasks.history import Recent
from spoolsim.tasks.listing import Calls, Row, identify, survey
from spoolsim.tasks.observer import Observer
from spoolsim.tasks.processes import OURS, UWSGI, Process
from spoolsim.tasks.spoolers import IDLES, RUNS, Spooler
from spoolsim.tasks.states import DELAYED, FAILED, QUEUED, RETRY_DELAYED, RUNNING
from spoolsim.tasks.top import Top
from spoolsim.work.scoreboard import BUSY, HARAKIRI, PID, SERIAL, STARTED, STATE
from tests.oracle.packets import packet

SPOOL = SpoolDir("/spool")
NOW = 1_000_000.5
MAIL = packet({b"ud_spool_func": b"mail", b"to": b"ann"})


def row(name: str, state: str = QUEUED, **more: object) -> Row:
    """A task."""
    found = Row(SPOOL, f"/spool/{name}", name, state, NOW - 5, call=Call(HANDLER, "", (), (("n", name),)))
    for key, value in more.items():
        setattr(found, key, value)
    return found


def tried(name: str, outcome: str = RETRY, ago: float = 1, why: str = "raised X: y", number: int = 1) -> Attempt:
    """An attempt at it."""
    return Attempt("/spool", name, number, outcome, NOW - ago, 0.1, 7, why)


def fed(*rows: Row, runs: Iterable[Spooler] = (), attempts: Iterable[Attempt] = (), top: Top | None = None) -> Top:
    """What is shown of these."""
    found = Top() if top is None else top
    identify(rows)
    found.feed(rows, list(runs), sorted(attempts, key=lambda each: each.ended), NOW)
    return found


def test_the_rate_is_of_the_last_ten_seconds() -> None:
    """By outcome; what is older does not count, and a task that was set aside is no run of its own."""
    top = fed(
        attempts=[
            tried("old", DONE, 10.1),
            *[tried(f"a{number}", DONE, number) for number in range(10)],
            tried("b", RETRY),
            tried("b", DIED),
            tried("b", DEAD_LETTERED),
            tried("c", IGNORED),
        ]
    )
    seconds = 9.5  # nine whole ones and the half of this one
    assert top.rates() == {
        "runs": 13 / seconds,
        "done": 10 / seconds,
        "retries": 1 / seconds,
        "ignored": 1 / seconds,
        "died": 1 / seconds,
        "failed": 1 / seconds,
    }
    top.feed([], [], [], NOW + 60)
    assert set(top.rates().values()) == {0}


def test_what_waits_is_counted_by_state() -> None:
    """The depth of the queue is one number for each look: what is due."""
    top = fed(row("a"), row("b"), row("c", RUNNING), row("d", "removed"))
    fed(row("a"), top=top)
    assert (top.counts, list(top.depths)) == ({QUEUED: 1}, [2, 1])


def test_failures_come_first_the_latest_on_top() -> None:
    """Then what is delayed, the next to run first; a retry that was asked for is none, nor is a queued task."""
    top = fed(
        row("queued"),
        row("asked"),
        row("later", DELAYED, next_run=NOW + 90),
        row("sooner", RETRY_DELAYED, next_run=NOW + 9),
        row("dead", FAILED, why="tried 2 times"),
        row("again", attempts=[tried("again", number=3)]),
        attempts=[
            tried("again", ago=9),
            tried("asked", why=""),
            tried("dead", DEAD_LETTERED, 5),
            tried("again", ago=2, number=3),
        ],
    )
    assert [each.key[1] for each in top.troubles] == ["again", "dead", "sooner", "later"]
    again, dead, sooner, _ = top.troubles
    assert (again.state, again.tries, again.at, again.why) == (QUEUED, 3, NOW - 2, "raised X: y")
    assert (dead.state, sooner.next_run) == (FAILED, NOW + 9)


def test_a_failure_of_a_task_that_is_gone_is_shown_for_a_while() -> None:
    """With the call that was seen while it was there; one that was never seen has the name of its file."""
    top = fed(row("a"), attempts=[tried("a"), tried("never", ago=2), tried("long ago", ago=700)])
    fed(top=top)
    assert [(each.call, each.state, each.row) for each in top.troubles] == [
        ("spooler(n=a)", "done", None),
        ("never", "done", None),
    ]
    top.feed([], [], [], NOW + 700)
    assert top.troubles == []


def test_no_more_is_remembered_than_is_shown() -> None:
    """However many fail or are delayed."""
    rows = [row(f"d{number}", DELAYED, next_run=NOW + number) for number in range(1000)]
    top = fed(*rows, attempts=[tried(f"a{number}") for number in range(1000)])
    assert len(top.troubles) == 200
    fed(*rows, top=top)
    assert [each.key[1] for each in top.troubles[:2]] == ["a999", "a998"]


def test_a_spooler_of_ours_tells_since_when_it_runs() -> None:
    """A real uWSGI does not: it runs since it was first seen, at least."""
    ours, theirs = Spooler("/spool", 1, OURS, RUNS, "a", 4.5, 30), Spooler("/spool", 2, UWSGI, RUNS, "5/gone")
    top = fed(row("a"), runs=[ours, theirs])
    assert top.has_uwsgi
    top.feed([row("a")], [ours, theirs], [], NOW + 3)
    found = [top.run_of(each) for each in (ours, theirs)]
    assert [(each.call, each.seconds, each.exact) for each in found if each] == [
        ("spooler(n=a)", 4.5, True),
        ("gone", 3, False),
    ]
    assert top.run_of(Spooler("/spool", 3, OURS, IDLES)) is None


def _retried(row: Row) -> Result:
    return Result(row, "retry", DID, "is queued again", row.path)


def test_the_keys() -> None:
    """Nothing is selected at first; a selection stays with its task, and goes with it."""
    top = fed(row("a", FAILED), row("b", FAILED), attempts=[tried("a"), tried("b")])
    assert top.press("r", _retried)
    assert top.message == "select a task first, with the up and down keys"
    for key, name in (("down", "b"), ("up", "b"), ("down", "a"), ("down", "a")):
        top.press(key, _retried)
        assert top.selected
        assert (top.selected.key[1], top.message) == (name, "")
    fed(row("a", FAILED), row("b", FAILED), row("c", FAILED), attempts=[tried("c")], top=top)
    assert top.selected
    assert top.selected.key[1] == "a"
    top.press("r", _retried)
    assert top.message.endswith("spooler(n=a) is queued again")
    fed(top=top)
    top.press("r", _retried)
    assert top.message.endswith("spooler(n=a) is gone: it ran, or another command took it")
    top.feed([], [], [], NOW + 700)
    assert top.selected is None
    top.press("down", _retried)
    assert top.message == "no task is listed"
    for key in "p?xp":
        assert top.press(key, _retried)
    assert (top.paused, top.helping) == (False, True)
    assert not top.press("q", _retried)


@pytest.fixture
def spool(tmp_path: Path) -> SpoolDir:
    """An empty spool directory."""
    (tmp_path / "spool").mkdir()
    return SpoolDir(str(tmp_path / "spool"))


def test_a_file_is_read_once(spool: SpoolDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """And again when another one has its name, also of the same size and time."""
    read = []
    monkeypatch.setattr(listing, "call_in", lambda path: read.append(path) or Call(HANDLER, "f"))
    path = Path(spool.path, "uwsgi_spoolfile_on_a")
    path.write_bytes(MAIL)
    os.utime(path, (1000, 1000))
    calls = Calls()
    for _ in range(3):
        (found,) = survey([spool], ordered=False, now=NOW * 2, calls=calls)
        assert found.call.function == "f"
    assert len(read) == 1
    Path(spool.path, "other").write_bytes(MAIL)
    os.utime(Path(spool.path, "other"), (1000, 1000))
    os.replace(Path(spool.path, "other"), path)
    survey([spool], ordered=False, now=NOW * 2, calls=calls)
    assert len(read) == 2


def test_ten_thousand_tasks_are_looked_at_without_reading_them_again(
    spool: SpoolDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second look opens no file for its content; neither does it read the journal's old lines."""
    for number in range(10_000):
        Path(spool.path, f"uwsgi_spoolfile_on_a_{number}").write_bytes(MAIL)
    Journal(spool).add("uwsgi_spoolfile_on_a_7", RETRY, 5, "raised X: y")
    observer, top = Observer([spool], ordered=False), Top()
    observer.feed(top, NOW * 1e6)
    monkeypatch.setattr(listing, "call_in", lambda path: pytest.fail(f"{path} was read again"))
    began = os.times()
    observer.feed(top, NOW * 1e6)
    ended = os.times()
    assert (top.counts[QUEUED], list(top.depths)) == (10_000, [10_000] * 2)
    assert [each.call for each in top.troubles] == ["mail(to='ann')"]
    assert ended.user + ended.system - began.user - began.system < 5


def test_the_journal_is_read_on(spool: SpoolDir) -> None:
    """Each line once; the last attempt at a task stays known while it is there and not done."""
    journal, recent = Journal(spool), Recent(spool)
    assert recent.added() == []
    journal.add("a", RETRY, 5, "raised X")
    journal.add("b", RETRY, 5, "raised X")
    assert [each.task for each in recent.added()] == ["a", "b"]
    journal.add("a", DIED, 5, "its spooler died")
    journal.done("b", 5)
    journal.flush()
    assert [each.outcome for each in recent.added()] == [DIED, DONE]
    assert [(each.task, each.number) for each in recent.latest()] == [("a", 2)]
    recent.keep({"c"})
    assert list(recent.all()) == recent.added() == []


def test_what_a_scoreboard_tells(spool: SpoolDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """Task, time and limit of each process of ours that serves; others are known by the lock that they hold."""
    made = BoardFile(spool, 4)
    for number, pid in enumerate((11, 12, 13)):
        made.board.slot(number)[PID] = pid
    made.board.task(0)[:8] = b"\6\0taskA!"
    words = made.board.slot(0)
    words[STATE], words[STARTED], words[HARAKIRI], words[SERIAL] = BUSY, 5_000_000_000, 35_000_000_000, 2
    there = [Process(11, OURS, 0), Process(12, OURS, 0), Process(20, OURS, 0), Process(30, UWSGI, 0)]
    monkeypatch.setattr(spoolers, "servers", lambda path: there)
    rows = [row("b", RUNNING, spool=spool, holder=there[3])]
    found = spoolers.spoolers([spool], rows, 7_000_000_000)
    assert found == [
        Spooler(spool.path, 11, OURS, RUNS, "taskA!", 2.0, 30.0),
        Spooler(spool.path, 12, OURS, IDLES),
        Spooler(spool.path, 30, UWSGI, RUNS, "b"),  # and 20 is a master, or a command, that was started there
    ]
    monkeypatch.setattr(spoolers, "servers", lambda path: None)
    assert [each.pid for each in spoolers.spoolers([spool], rows, 7_000_000_000) or ()] == [11, 12, 13]
    made.close()
    assert spoolers.spoolers([spool], rows, 7_000_000_000) is None
    monkeypatch.setattr(spoolers, "servers", lambda path: there[2:3])
    assert [each.pid for each in spoolers.spoolers([spool], rows, 7_000_000_000) or ()] == [20]
