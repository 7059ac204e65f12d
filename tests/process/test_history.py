"""The history of a real run: what tasks held, printed and raised, seen by show, log, stats and rerun."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from spoolsim.spool import history
from spoolsim.spool.directory import SpoolDir
from tests.conftest import poll_until
from tests.process.conftest import Instance, Start, put

PRINTS = "print('to out'); print('to err', file=sys.stderr); os.write(2, b'past Python'); {}"


def records(it: Instance) -> list[history.Record]:
    """What is recorded of the first directory's tasks."""
    spool = SpoolDir.resolve(str(it.spool), start="/")
    return [record for data in history.read(spool) for record in history.records(data)]


def spoolsim(it: Instance, *words: str) -> str:
    """What a command prints."""
    command = [sys.executable, "-m", "spoolsim", words[0], "--spooler", str(it.spool), *words[1:]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_a_task_printed_and_raised(start: Start) -> None:
    """A done task, a failing one, one without a word: each with its own output and traceback, and shown by id."""
    it = start("--spooler-frequency", "600")
    it.wait_workers(1)
    it.put(PRINTS.format("note('one')"))
    it.wait_runs("one")
    it.put(PRINTS.format("note('two'); 1 / 0"))
    it.wait_runs("two")
    it.put("note('three')")
    it.wait_runs("three")
    assert it.stop() == 0
    one, two, three = (
        next(each for each in records(it) if word in each.data) for word in (b"'one'", b"'two'", b"'three'")
    )
    assert (one.output, one.traceback) == ("to out\nto err\n", "")
    assert two.output == "to out\nto err\n"
    assert two.traceback.startswith("Traceback (most recent call last):\n")
    assert two.traceback.endswith("ZeroDivisionError: division by zero\n")
    assert (three.output, three.traceback) == ("", "")
    assert "to out\n" in it.output()
    shown = spoolsim(it, "show", os.path.basename(two.task))
    assert "printed  to out" in shown and "ZeroDivisionError: division by zero" in shown
    gone = spoolsim(it, "show", os.path.basename(one.task))
    assert "content    from the history" in gone and "note('one')" in gone
    lines = [json.loads(line) for line in spoolsim(it, "log", "--json").splitlines()]
    assert {line["outcome"]: line["output"] for line in lines[:2]} == dict.fromkeys(("done", "retry"), one.output)
    assert all(line["call"].startswith("spooler(code=") for line in lines)


def test_rerun_of_a_task_that_is_gone(start: Start) -> None:
    """A new task with the recorded bytes runs as the first one did."""
    it = start()
    it.wait_workers(1)
    it.put("note('ran')")
    it.wait_runs("ran")
    assert it.stop() == 0
    (record,) = records(it)
    assert "spooler(code=" in spoolsim(it, "ls", "--state", "done")
    assert "spooler(code=" in spoolsim(it, "why", os.path.basename(record.task))
    assert "spooler(code=" in spoolsim(it, "rerun", os.path.basename(record.task))
    (file,) = it.tasks()
    assert (it.spool / file).read_bytes() == record.data


@pytest.mark.parametrize("words", [["--history-size", "0"], ["--no-journal"], ["--faithful"]])
def test_none_is_kept(start: Start, words: list[str]) -> None:
    """Where nobody wants one, and under --faithful, there is no file."""
    it = start(*words)
    it.put(PRINTS.format("note('ran')"))
    it.wait_runs("ran")
    it.wait_empty()
    it.stop()
    assert not (it.spool / ".spoolsim" / "history").exists()


def test_a_full_disk_fails_no_task(start: Start, home: Path) -> None:
    """The history cannot be written: tasks run, and the log says nothing of it."""
    (home / "spool" / ".spoolsim" / "history").mkdir(parents=True)
    it = start()
    it.put("note('ran')")
    it.wait_runs("ran")
    it.wait_empty()
    assert it.stop() == 0


def test_what_a_killed_task_leaves(start: Start) -> None:
    """Its output, how it died, and all that its process had gathered of the tasks before it."""
    it = start("--spooler-harakiri", "3", "--spooler-ordered", "--spooler-frequency", "600")
    it.wait_workers(1)
    it.put("note('held'); gate('all are there')")  # then the others come in one scan
    it.wait_runs("held")
    for number in range(20):
        it.put(f"note('quick{number}')")
    it.put("print('last words'); gate('never')")
    it.open_gate("all are there")
    poll_until(lambda: any(each.outcome == "died" for each in records(it)), 60, "the record of the death")
    found = records(it)
    dead = next(each for each in found if each.outcome == "died")
    assert (dead.why, dead.output) == ("its spooler was killed by its harakiri", "last words\n")
    assert b"last words" in dead.data
    assert dead.due > 0
    assert dead.pid in {each.pid for each in found if each.outcome == "done"}
    for number in range(20):
        assert any(f"'quick{number}'".encode() in each.data for each in found), number
    assert "last words" in spoolsim(it, "show", os.path.basename(dead.task))


def test_a_reload_is_seen_in_the_next_record(start: Start) -> None:
    """Which load of the code an attempt ran: the first, the second."""
    it = start()
    it.wait_workers(1)
    it.put("note('one')")
    it.wait_runs("one")
    before = set(it.workers())
    it.send(signal.SIGHUP)
    poll_until(lambda: it.workers() and not before & set(it.workers()), 60, "another worker")
    it.put("note('two')")
    it.wait_runs("two")
    it.wait_empty()
    assert it.stop() == 0
    loads = {word: next(each for each in records(it) if word in each.data).generation for word in (b"'one'", b"'two'")}
    assert loads == {b"'one'": 1, b"'two'": 2}


@pytest.mark.parametrize(("words", "shown"), [([], ": secret"), (["--history-locals"], ": secret='hidden'")])
def test_values_of_local_variables_on_request(start: Start, home_app: str, words: list[str], shown: str) -> None:
    """With --history-locals; else the names alone."""
    failing = "def fail():\n    secret = 'hid' + 'den'\n    return 1 / 0\n"
    it = start("--spooler-frequency", "600", *words, app=home_app + failing)
    it.wait_workers(1)
    it.put("fail()")
    poll_until(lambda: records(it), 60, "a record")
    assert it.stop() == 0
    assert records(it)[0].names.splitlines()[-1].endswith(f" fail{shown}")


def test_inline_keeps_output_too(start: Start, home: Path) -> None:
    """And passes it on."""
    (home / "spool").mkdir()
    put(home / "spool", "print('said inline')")
    it = start("--inline", "--drain")
    assert it.spawned.wait_exit(60) == 0
    assert [each.output for each in records(it)] == ["said inline\n"]
    assert "said inline\n" in it.output()
