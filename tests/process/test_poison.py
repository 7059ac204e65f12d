"""Tasks that fail or kill again and again, in running instances; what `--max-attempts` and `spoolsim retry` do."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from spoolsim.spool.directory import SpoolDir
from spoolsim.spool.journal import read
from spoolsim.tasks.ids import digest
from tests.conftest import poll_until
from tests.process.conftest import Start

DIE = "note('died', env[b'code'] and os.path.basename(env['spooler_task_name'].decode())); os._exit(9)"


def history(spool: Path) -> list[tuple[str, int]]:
    """Outcome and attempt of each line of the journal."""
    return [(line.outcome, line.attempt) for line in read(SpoolDir(str(spool)))]


def command(*words: str) -> str:
    """What a command of ours printed; it must have ended well."""
    done = subprocess.run([sys.executable, "-m", "spoolsim", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def failed(spool: Path) -> list[str]:
    """The tasks in .spoolsim/failed/."""
    home = spool / ".spoolsim" / "failed"
    return sorted(p.name for p in home.iterdir() if p.suffix != ".why") if home.is_dir() else []


def test_a_task_that_kills_is_named_and_slowed_and_others_run(start: Start) -> None:
    """From the third death on it waits, by its mtime; a task sorted after it is not starved; the file stays whole."""
    i = start("--spooler-ordered", "--spooler-frequency", "1")
    path = Path(i.put(DIE))
    before = path.read_bytes()
    other = i.put("note('other')")
    i.wait_runs("other")
    i.spawned.wait_output("(poison-task)")
    poll_until(lambda: not os.path.exists(other), 30, "the end of the other task")
    assert path.read_bytes() == before
    poll_until(lambda: path.stat().st_mtime > time.time(), 60, "the task to wait")
    assert f"the spooler of task {path.name} exited with status 9 while it ran (3x); the task stays" in i.output()
    assert [found for found in history(i.spool) if found[0] == "died"][:3] == [("died", n) for n in (1, 2, 3)]
    assert f"#{digest(path.name)[:6]} spooler(code=" in command("why", "--spooler", str(i.spool), path.name)


def test_a_signal_that_kills_is_no_task(start: Start, home_app: str) -> None:
    """The task that was done before a signal's handler killed the spooler is not taken for the killer."""
    app = home_app + "uwsgi.register_signal(17, 'spooler', lambda number: (note('killed'), os._exit(9)))\n"
    i = start("--spooler-frequency", "600", app=app)
    i.put("[uwsgi.signal(17) for _ in range(3)]")
    i.wait_count(3)
    i.put("note('after')")
    i.wait_runs("after")
    assert i.stop() == 0
    assert "while it ran" not in i.output()
    poll_until(lambda: len(history(i.spool)) == 2, 30, "the journal")
    assert history(i.spool) == [("done", 1), ("done", 1)]


def test_after_max_retries_it_is_moved_and_comes_back_whole(start: Start) -> None:
    """A task that always asks to be retried: N runs, then failed/, with its reason; `retry` brings it back."""
    code = (
        "note('run'); result = uwsgi.SPOOL_OK if os.path.exists(os.environ['GATES'] + '/well') else uwsgi.SPOOL_RETRY"
    )
    i = start("--spooler-frequency", "1", "--max-retries", "3")
    path = Path(i.put(code))
    before = path.read_bytes()
    poll_until(lambda: failed(i.spool) == [path.name], 60, "the task in failed/")
    assert not path.exists()
    assert i.runs() == ["run"] * 3
    home = i.spool / ".spoolsim" / "failed"
    assert (home / path.name).read_bytes() == before
    assert (home / f"{path.name}.why").read_text().splitlines()[1].endswith("tried 3 times")
    assert "asked to be retried" in command("ls", "--spooler", str(i.spool))
    i.open_gate("well")
    assert command("retry", "-v", "--spooler", str(i.spool)).strip().endswith(f"is queued again: {path}")
    i.wait_empty()
    i.wait_count(4)
    assert failed(i.spool) == []
    assert list(home.iterdir()) == []
    poll_until(lambda: len(history(i.spool)) == 5, 30, "the journal")
    assert history(i.spool) == [("retry", 1), ("retry", 2), ("retry", 3), ("failed", 3), ("done", 1)]


def test_max_attempts_leaves_those_alone_that_ask(start: Start, home: Path) -> None:
    """SPOOL_RETRY and SPOOL_IGNORE on purpose are no failures, however often; what fails is moved all the same."""
    i = start("--spooler-frequency", "1", "--max-attempts", "2")
    asks = [Path(i.put("note('asks'); result = uwsgi.SPOOL_RETRY")), Path(i.put("result = uwsgi.SPOOL_IGNORE"))]
    bad = {
        Path(i.put("raise ValueError('no such user')")).name: "raised ValueError: no such user; tried 2 times",
        Path(i.put("result = None")).name: "returned None",
        Path(i.put("os.kill(os.getpid(), 11)")).name: "its spooler was killed by SIGSEGV; tried 2 times",
        Path(i.put("uwsgi.set_user_harakiri(1); time.sleep(600)")).name: "killed by its harakiri; tried 2 times",
    }
    poll_until(lambda: failed(i.spool) == sorted(bad), 90, "the bad ones in failed/")
    for name, why in bad.items():
        assert why in (i.spool / ".spoolsim" / "failed" / f"{name}.why").read_text()
    poll_until(lambda: i.runs().count("asks") >= 4, 60, "more tries than failures are allowed")
    assert all(path.exists() for path in asks)


def test_a_task_that_kills_is_moved_after_max_attempts(start: Start) -> None:
    """Its deaths count as attempts, a harakiri's too."""
    i = start("--spooler-frequency", "1", "--max-attempts", "2", "--spooler-harakiri", "1")
    killer = Path(i.put(DIE))
    poll_until(lambda: failed(i.spool) == [killer.name], 60, "the killer in failed/")
    hanging = Path(i.put("note('hang'); time.sleep(600)"))
    poll_until(lambda: hanging.name in failed(i.spool), 60, "the hanging one in failed/")
    assert len([line for line in i.runs() if line == "hang"]) == 2
    assert len([line for line in i.runs() if line.startswith("died")]) == 2


def test_without_the_option_nothing_is_moved(start: Start) -> None:
    """Off by default: a task is retried as often as uWSGI would; the journal counts on."""
    i = start("--spooler-frequency", "1")
    path = Path(i.put("note('run'); result = uwsgi.SPOOL_RETRY"))
    for _ in range(6):
        count = len(i.runs())
        i.put("pass")  # it wakes the spooler
        i.wait_count(count + 1)
    assert path.exists()
    assert failed(i.spool) == []


def test_retry_delay(start: Start) -> None:
    """A task that is retried waits by its mtime, though others wake the spooler; its bytes stay."""
    i = start("--spooler-frequency", "1", "--retry-delay", "3600")
    path = Path(i.put("note('run'); result = uwsgi.SPOOL_RETRY"))
    before = path.read_bytes()
    i.wait_count(1)
    poll_until(lambda: path.stat().st_mtime > path.stat().st_ctime + 3000, 30, "its mtime in an hour")
    for _ in range(5):
        i.put("note('other')")
    poll_until(lambda: i.tasks() == [path.name], 30, "the others to be done")
    assert i.runs().count("run") == 1
    assert path.read_bytes() == before


def test_no_journal(start: Start) -> None:
    """None is written: not by the spoolers, not by the fork server."""
    i = start("--no-journal", "--spooler-frequency", "1")
    first = "seen = os.path.exists(os.environ['RUNS'] + '.{0}'); open(os.environ['RUNS'] + '.{0}', 'w'); "
    i.put("note('done')")
    i.put(first.format("retry") + "result = uwsgi.SPOOL_OK if seen else uwsgi.SPOOL_RETRY; note('again')")
    i.put(first.format("die") + "note('died'); seen or os._exit(1)")
    i.wait_empty()
    assert sorted(i.runs()) == ["again", "again", "died", "died", "done"]
    i.stop()
    assert not list((i.spool / ".spoolsim").glob("journal*"))


@pytest.mark.parametrize("fault", ["a directory in its place", "a link in its place"])
def test_a_journal_that_cannot_be_written_fails_no_task(start: Start, home: Path, fault: str) -> None:
    """Done, retried and killing tasks end as they would with it."""
    state = home / "spool" / ".spoolsim"
    state.mkdir(parents=True, mode=0o700)
    outside = home / "outside"
    outside.write_text("kept")
    if fault == "a link in its place":
        (state / "journal").symlink_to(outside)
    else:
        (state / "journal").mkdir()
    i = start("--spooler-frequency", "1", "--max-attempts", "2")
    for number in range(20):
        i.put(f"note({number})")
    i.wait_runs(*map(str, range(20)))
    i.wait_empty()
    bad = Path(i.put("raise ValueError('bad')"))
    poll_until(lambda: failed(i.spool) == [bad.name], 60, "the bad one in failed/")
    assert outside.read_text() == "kept"
