"""Past attempts as they are read: history and journal together, numbered, with their waits; each once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from spoolsim.spool.directory import SpoolDir
from spoolsim.spool.history import append, escaped
from spoolsim.spool.journal import Journal
from spoolsim.tasks.history import attempts_of
from spoolsim.tasks.stats import by_function
from tests.oracle.packets import packet

TASK = "uwsgi_spoolfile_on_a_1_1_1_1_1"
DATA = packet({b"ud_spool_func": b"mail", b"to": b"ann"})


@pytest.fixture
def spool(tmp_path: Path) -> SpoolDir:
    """An empty spool directory."""
    os.mkdir(tmp_path / "spool")
    return SpoolDir(str(tmp_path / "spool"))


def put(
    spool: SpoolDir, at: float, outcome: str = "done", *, due: float = 0, data: bytes = DATA, size: int = 0
) -> None:
    """A line of the history that ended at `at` seconds, after one."""
    fields = [b"%d" % (at * 1e6), b"1000000", b"%d" % (due * 1e6), b"7", b"2", b"0", outcome.encode()]
    fields += [b"%d" % (size or len(data)), TASK.encode(), b"raised x", b"trace\n", b"names", b"said\n"]
    append(spool, b"\n" + b"\t".join(map(escaped, fields)) + b"\t" + escaped(data) + b"\t\n", 1 << 20)


def test_attempts_are_numbered_and_their_waits_known(spool: SpoolDir) -> None:
    """The first waited from when it was due, the next from the end of the one before; a done one ends the count."""
    put(spool, 10, "retry", due=4)
    put(spool, 20, "died", due=4)
    put(spool, 23, due=4)
    put(spool, 30)
    found = [(each.number, each.outcome, each.started, each.wait) for each in attempts_of(spool).all()]
    assert found == [(1, "retry", 9, 5), (2, "died", 19, 9), (3, "done", 22, 2), (1, "done", 29, None)]


def test_lines_that_both_have_are_one_attempt(spool: SpoolDir) -> None:
    """One that the journal alone has is known, too; what was written twice is one."""
    journal = Journal(spool)
    journal.add(TASK, "retry", 5, "raised x")
    put(spool, journal.at / 1e6, "retry")
    put(spool, journal.at / 1e6, "retry")
    journal.add(TASK, "retry", 5, "raised y")
    recorded = attempts_of(spool)
    one, other = (recorded.detail(attempt) for attempt in recorded.all())
    assert (one.function, one.call, one.output, one.traceback, one.names) == (
        "mail",
        "mail(to='ann')",
        "said\n",
        "trace\n",
        "names",
    )
    assert (one.number, one.generation, one.pid) == (1, 2, 7)
    assert (other.number, other.why, other.output) == (2, "raised y", "")
    assert [each.why for each in attempts_of(spool).latest()] == ["raised x", "raised y"]


def test_what_is_added_is_given_once(spool: SpoolDir) -> None:
    """And a line of the journal not before that of the history may be there."""
    recorded = attempts_of(spool)
    put(spool, 10)
    assert [each.ended for each in recorded.added()] == [10]
    put(spool, 20)
    journal = Journal(spool)
    journal.add(TASK, "retry", 5)
    assert [each.ended for each in recorded.added(until=100)] == [20]
    put(spool, journal.at / 1e6, "retry")
    (last,) = recorded.added(until=100)
    assert recorded.detail(last).output == "said\n"
    assert list(recorded.added()) == []
    assert len(list(recorded.all())) == 3


def test_bytes_are_given_back_where_they_are_whole(spool: SpoolDir) -> None:
    """Those of the latest attempt whose file was kept in full."""
    assert attempts_of(spool).data(TASK) is None
    put(spool, 10, size=1000)
    assert attempts_of(spool).data(TASK) is None
    put(spool, 20, data=b"first")
    put(spool, 30, data=b"last")
    put(spool, 40, size=1000)
    assert attempts_of(spool).data(TASK) == b"last"


def test_waits_are_counted_by_function(spool: SpoolDir) -> None:
    """A handler without functions has a name, too, where the history has its task."""
    put(spool, 10, due=4)
    put(spool, 20, data=packet({b"k": b"v"}))
    recorded = attempts_of(spool)
    found = {each.name: each for each in by_function([], map(recorded.detail, recorded.all()), 100)}
    assert found.keys() == {"mail", "uwsgi.spooler"}
    assert (found["mail"].waits, found["uwsgi.spooler"].waits) == ([5], [])
