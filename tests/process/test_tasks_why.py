"""`spoolsim why` and the actions while spoolers run: ours, and real uWSGI where it says what uWSGI does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from spoolsim.spool import file
from spoolsim.tasks.ids import digest
from tests.conftest import Spawn, Spawned, poll_until
from tests.oracle.packets import packet
from tests.process.conftest import APP, Start, environment, noted, put, tasks

GATED = "note('begun'); gate('open'); note('ended')"


def spoolsim(spool: Path, *words: str, status: int = 0, cwd: Path | None = None) -> str:
    """What a command printed on both streams; it must have ended with this status."""
    command = [sys.executable, "-m", "spoolsim", words[0], "--spooler", str(spool), *words[1:]]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)
    assert done.returncode == status, done.stderr + done.stdout
    return done.stdout + done.stderr


def why(spool: Path, path: str, cwd: Path | None = None) -> list[dict[str, str]]:
    """The reasons for one task."""
    found: list[dict[str, str]] = json.loads(spoolsim(spool, "why", "--json", path, cwd=cwd))["reasons"]
    return found


def codes(spool: Path, path: str, cwd: Path | None = None) -> list[str]:
    return [reason["code"] for reason in why(spool, path, cwd)]


def records(spool: Path, *words: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in spoolsim(spool, *words, "--json").splitlines()]


def test_a_running_task_and_its_worker(start: Start) -> None:
    """While it runs: the pid of the worker, refused actions; then it is done, and known by its id."""
    i = start()
    (worker,) = i.wait_workers(1)
    path = i.put(GATED)
    i.wait_runs("begun")
    (row,) = records(i.spool, "ls")
    assert (row["state"], row["pid"]) == ("running", worker)
    (reason,) = why(i.spool, path)
    assert (reason["code"], f"process {worker} (spoolsim)" in reason["text"]) == ("running", True)
    assert f"runs now (process {worker}); nothing was changed" in spoolsim(i.spool, "hold", path, status=1)
    i.open_gate("open")
    i.wait_empty()
    poll_until(lambda: codes(i.spool, path) == ["done"], 30, "the journal's line")
    assert digest(os.path.basename(path))[:6] in spoolsim(i.spool, "log")


@pytest.mark.parametrize(
    ("code", "expected", "text"),
    [
        ("note('run'); result = None", "returned", "returned None"),
        ("note('run'); raise OSError('no route')", "raised", "raised OSError: no route"),
        ("note('run'); result = uwsgi.SPOOL_RETRY", "asked-retry", "SPOOL_RETRY"),
        ("note('run'); result = uwsgi.SPOOL_IGNORE", "ignored", "returned SPOOL_IGNORE (0)"),
    ],
)
def test_what_a_handler_did_is_told(start: Start, code: str, expected: str, text: str) -> None:
    """Two attempts by a running spooler, and why says what came of them."""
    i = start("--spooler-frequency", "1")
    path = i.put(code)
    i.wait_count(2)
    poll_until(lambda: len(records(i.spool, "log")) >= 2, 30, "the journal's lines")
    reasons = why(i.spool, path)
    assert [reason["code"] for reason in reasons] == [expected]
    assert text in reasons[0]["text"]


def test_set_aside_by_running_spoolers(start: Start) -> None:
    """Dead-lettered, quarantined, retry-delayed, poison: as the spooler leaves them."""
    i = start("--spooler-frequency", "1", "--max-attempts", "2", spools=("spool",))
    failed = i.put("raise ValueError('no')")
    broken = file.write(str(i.spool), file.next_name(), b"\x11\xff\xff\x00abc")
    poll_until(lambda: codes(i.spool, failed) == ["dead-lettered"], 60, "the failed task")
    poll_until(lambda: codes(i.spool, broken) == ["quarantined"], 60, "the broken task")
    assert "raised ValueError: no; tried 2 times" in why(i.spool, failed)[0]["text"]


def test_waiting_for_another_attempt(start: Start) -> None:
    """--retry-delay, and a task that kills its spooler."""
    i = start("--spooler-frequency", "1", "--retry-delay", "3600")
    delayed = i.put("note('run'); raise ValueError('no')")
    killer = i.put("note('dies'); os._exit(9)")
    poll_until(lambda: codes(i.spool, delayed) == ["retry-delay", "raised"], 60, "the delayed task")
    poll_until(lambda: codes(i.spool, killer) == ["poison-delay", "poison"], 60, "the killer")
    runs = i.runs().count("run")
    spoolsim(i.spool, "retry", delayed)
    poll_until(lambda: i.runs().count("run") > runs, 30, "another attempt")


def test_a_function_that_the_app_does_not_have(start: Start, home: Path) -> None:
    """uwsgidecorators' KeyError is explained, with the names that the app's code has, and mended by edit."""
    app = "from uwsgidecorators import spool\nimport os\n@spool\ndef mail(args):\n    open('ran', 'w').close()\n"
    (home / "uwsgi.ini").write_text("[uwsgi]\nspooler = spool\nimport = app\nchdir = .\n")
    i = start("--spooler-frequency", "1", app=app)
    path = file.write(str(i.spool), file.next_name(), packet({b"ud_spool_func": b"mial", b"ud_spool_ret": b"-2"}))
    poll_until(lambda: len(records(i.spool, "log")) >= 1, 30, "an attempt")
    # it runs each second: a look may meet it running
    (reason,) = poll_until(lambda: len(found := why(i.spool, path, cwd=home)) == 1 and found, 30, "one reason")
    assert reason["code"] == "function-missing"
    assert "It has: mail. The closest is mail." in reason["text"]
    spoolsim(i.spool, "edit", path, "--set", "ud_spool_func=mail")
    i.wait_empty()
    assert (i.spool / "ran").exists()


def test_held_tasks_do_not_run_until_they_are_released(start: Start) -> None:
    """hold, rm, mv while spoolers run; release and undo make them run."""
    i = start("--spooler-processes", "2")
    i.wait_workers(2)
    gates = [i.put("note('begun'); gate('open')") for _ in range(2)]
    i.wait_count(2)
    held, removed, edited = (i.put(f"note('{name}')") for name in ("held", "removed", "edited"))
    spoolsim(i.spool, "hold", held)
    spoolsim(i.spool, "rm", "--yes", removed)
    spoolsim(i.spool, "edit", edited, "--set", "code=note('changed')")
    i.open_gate("open")
    i.wait_runs("changed")
    i.put("note('after')")
    i.wait_runs("after")
    assert not {"held", "removed", "edited"} & set(i.runs())
    spoolsim(i.spool, "release", held)
    spoolsim(i.spool, "undo")
    i.wait_runs("held", "removed")
    i.wait_empty()
    assert not any(os.path.exists(path) for path in gates)


@pytest.fixture
def uwsgi(spawn: Spawn, uwsgi_binary: str, home: Path) -> Callable[..., Spawned]:
    """`uwsgi(*options)`: the real one on the same directory, with the same app."""

    def start(*options: str) -> Spawned:
        (home / "spool").mkdir(exist_ok=True)
        (home / "app.py").write_text(APP)
        argv = [uwsgi_binary, "--master", "--spooler", "spool", "--pythonpath", str(home), "--import", "app", *options]
        process = spawn(argv, cwd=home, env=environment(home))
        process.wait_output("spawned the uWSGI spooler")
        return process

    return start


@pytest.mark.oracle
def test_real_uwsgi_runs_it(uwsgi: Callable[..., Spawned], home: Path) -> None:
    """Locked by its spooler, which is named; idle, it is due and may wait for the poll; afterwards nothing is known."""
    uwsgi("--spooler-frequency", "1")
    spool = home / "spool"
    path = put(spool, GATED)
    poll_until(lambda: noted(home), 30, "the task to begin")
    (reason,) = why(spool, path)
    assert reason["code"] == "running"
    assert "(uWSGI) has it locked" in reason["text"]
    assert "runs now" in spoolsim(spool, "rm", "--yes", path, status=1)
    (home / "gates" / "open").touch()
    poll_until(lambda: tasks(spool) == [], 30, "the end")
    assert "there are no tasks" in spoolsim(spool, "why", os.path.basename(path), status=2)


@pytest.mark.oracle
def test_real_uwsgi_passes_over_it(uwsgi: Callable[..., Spawned], home: Path) -> None:
    """What why says of uWSGI is so: none of these is run, and a task put after them is."""
    spool = home / "spool"
    uwsgi("--spooler-frequency", "1")
    code = packet({b"code": b"note('run against')"})
    future = put(spool, "note('run against')")
    os.utime(future, (4_000_000_000, 4_000_000_000))
    (spool / "5").mkdir()
    (spool / "high").mkdir()
    prefix = "uwsgi_spoolfile_on_x"
    stages = {
        future: "at-far",
        file.write(str(spool), "17", code): "number-unordered",
        file.write(str(spool), "task1", code): "name",
        file.write(str(spool / "5"), f"{prefix}5", code): "priority-unordered",
        file.write(str(spool / "high"), f"{prefix}6", code): "priority-not-number",
        file.write(str(spool), f"{prefix}7", b""): "unfinished",
    }
    os.symlink("17", spool / f"{prefix}8")
    stages[str(spool / f"{prefix}8")] = "not-a-file"
    for number in range(3):  # three scans at least
        mark = f"mark {number}"
        put(spool, f"note('{mark}')")
        poll_until(lambda mark=mark: mark in noted(home), 30, "a scan")
    assert "run against" not in (home / "runs").read_text()
    for path, code_of in stages.items():
        assert codes(spool, path) == [code_of], path


@pytest.mark.oracle
def test_real_uwsgi_runs_no_held_task(uwsgi: Callable[..., Spawned], home: Path) -> None:
    """A task that was held, removed or changed while uWSGI was busy does not run as it was."""
    spool = home / "spool"
    uwsgi("--spooler-frequency", "1")
    put(spool, GATED)
    poll_until(lambda: noted(home), 30, "the task to begin")
    held, removed, edited = (put(spool, f"note('{name}')") for name in ("held", "removed", "edited"))
    spoolsim(spool, "hold", held)
    spoolsim(spool, "rm", "--yes", removed)
    spoolsim(spool, "edit", edited, "--set", "code=note('changed')")
    (home / "gates" / "open").touch()
    poll_until(lambda: "changed" in (home / "runs").read_text(), 30, "the changed task")
    put(spool, "note('after')")
    poll_until(lambda: "after" in (home / "runs").read_text(), 30, "another scan")
    assert sorted((home / "runs").read_text().split()) == ["after", "begun", "changed", "ended"]
    spoolsim(spool, "release", held)
    spoolsim(spool, "undo")
    poll_until(lambda: {"held", "removed"} <= set((home / "runs").read_text().split()), 30, "what came back")
