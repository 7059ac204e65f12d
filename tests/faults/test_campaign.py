"""The kill campaign's short form; that it would see what it looks for; and that strace kills at the same calls."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from spoolsim.spool import claim, file, settle
from spoolsim.spool.verdicts import KEEP, REMOVE
from spoolsim.work import worker
from tests import size
from tests.conftest import poll_until
from tests.faults import ptrace
from tests.faults.campaign.__main__ import FEW, KILLED, InTurn
from tests.faults.campaign.forked import Bench
from tests.faults.campaign.ledger import Ledger, Point, Verdict
from tests.faults.campaign.meddle import ERRORS, Race, Refusal
from tests.faults.strace import available

ROOT = Path(__file__).resolve().parents[2]
KILLS = size(2000, 150)

pytestmark = pytest.mark.skipif(bool(ptrace.unavailable()), reason=ptrace.unavailable() or "ptrace works")


def test_two_thousand_kills(tmp_path: Path, record_property: pytest.RecordProperty) -> None:
    """Nothing is lost, half-written, or run twice without a reason; the seed is a new one each time, and printed."""
    counts = tmp_path / "counts.json"
    command = [sys.executable, "-m", "tests.faults.campaign", "--points", str(KILLS), "--json", str(counts)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(counts.read_text())
    assert found["kills"] >= KILLS
    assert found["tasks_acknowledged"] >= KILLS
    assert found["lost_or_half_written_or_unexplained"] == 0
    assert {kind: found["kills_by_kind"][kind] >= FEW for kind in KILLED} == dict.fromkeys(KILLED, True)
    if KILLS > 1000:  # of few, all but the fewest of each kind may be of one
        assert max(found["kills_by_kind"].values()) < 0.75 * found["kills"]
    print(done.stdout)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A bench of this process's; what it put into this process goes with it."""
    environ, path, cwd = dict(os.environ), list(sys.path), os.getcwd()
    yield Bench(tmp_path)
    os.environ.clear()
    os.environ.update(environ)
    sys.path[:] = path
    os.chdir(cwd)
    sys.modules.pop("uwsgi", None)


def series(bench: Bench, kind: str, seeds: int, first: int = 0) -> list[str]:
    """What was wrong when each system call of some drawn circumstances was the last, or was disturbed."""
    wrong = []
    for seed in range(first, first + seeds):
        verdict, at = Verdict(struck=True), 0
        while verdict.struck and not wrong:
            at += 1
            verdict = getattr(bench, kind)(seed, at)
            wrong += verdict.wrong
    return wrong


def keep_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have tasks kept that are done."""
    real = settle.apply
    monkeypatch.setattr(
        settle, "apply", lambda claimed, verdict, took=0: real(claimed, KEEP if verdict is REMOVE else verdict)
    )


def test_a_task_removed_too_early_is_seen(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were a task unlinked before its handler ran, the campaign would say: lost."""
    assert series(bench, "spooler", 1) == []

    def take(*args: object, **options: object) -> object:
        claimed = claim.take(*args, **options)
        if isinstance(claimed, claim.Claim) and b"number" in claimed.data:
            os.unlink(claimed.path)
        return claimed

    monkeypatch.setattr(worker, "take", take)
    keep_done(monkeypatch)
    assert any("lost" in what for what in series(bench, "spooler", 3))


def test_a_task_written_in_place_is_seen(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were a big task written under its own name in pieces, the campaign would say: half."""

    def fill(path: str, data: object, durable: bool, rename_to: str = "", stamp: float = 0) -> None:
        fd = os.open(rename_to or path, os.O_CREAT | os.O_WRONLY, 0o600)
        for part in data if isinstance(data, tuple) else (data,):
            os.write(fd, part[: len(part) // 2])
            os.write(fd, part[len(part) // 2 :])
        os.close(fd)

    monkeypatch.setattr(file, "_fill", fill)
    assert any("half a task" in what for what in series(bench, "producer", 6))


def test_a_task_that_is_not_removed_is_seen(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were a task kept that is done, the campaign would say so."""
    keep_done(monkeypatch)
    assert series(bench, "spooler", 1) != []


@pytest.mark.skipif(not ptrace.CAN_REFUSE, reason="a system call is made to fail on x86-64 Linux only")
@pytest.mark.parametrize("error", size(ERRORS, (errno.EIO, errno.EACCES)), ids=errno.errorcode.get)
@pytest.mark.parametrize("kind", ["failing_producer", "failing_spooler"])
def test_each_call_may_fail_with_each_error(bench: Bench, kind: str, error: int) -> None:
    """Of one enqueue, and of one scan, in circumstances of its own."""
    seed = ERRORS.index(error)
    assert Refusal(seed).error == error
    assert series(bench, kind, 1, seed) == []


@pytest.mark.skipif(not ptrace.CAN_REFUSE, reason="a system call is made to fail on x86-64 Linux only")
def test_what_befalls_between_two_steps_harms_no_other_task(bench: Bench) -> None:
    """Somebody is at the files between any two calls."""
    assert series(bench, "raced_spooler", size(3, 1)) == []


@pytest.mark.skipif(not ptrace.CAN_REFUSE, reason="a system call is made to fail on x86-64 Linux only")
def test_a_failure_that_ends_the_spooler_is_seen(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were an error of the disk not caught, the campaign would say so."""

    def take(*args: object, **options: object) -> object:
        found = claim.take(*args, **options)
        if found is claim.UNREADABLE:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return found

    monkeypatch.setattr(worker, "take", take)
    assert any("ended with" in what for what in series(bench, "failing_spooler", 3))


@pytest.mark.skipif(not ptrace.CAN_REFUSE, reason="a system call is made to fail on x86-64 Linux only")
def test_a_newcomer_that_is_removed_unrun_is_seen(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were a task removed by name alone, the one that was laid in its place meanwhile would be missed."""

    real = settle.apply

    def apply(claimed: claim.Claim, verdict: object, took: int = 0) -> str:
        if verdict is REMOVE:
            os.unlink(claimed.path)
            verdict = KEEP
        return real(claimed, verdict, took)

    monkeypatch.setattr(settle, "apply", apply)
    # which task is run when is up to the file system, so one series alone may never strike at the running one
    replacing = (seed for seed in range(1000) if str(Race(random.Random(seed), bench.spool)) == "replace")
    assert any("in another's place" in what for seed in replacing for what in series(bench, "raced_spooler", 1, seed))


def test_calls_go_in_turn() -> None:
    """From the first one; after the last, with new circumstances, again from the first; a miss is tried again."""
    turn = InTurn(random.Random(1))
    first = turn.point("master")
    struck = [True, False, True, False, False, False, True]
    points = []
    for each in struck:
        points.append(turn.point("master"))
        turn.done(each)
    assert [point.at for point in points] == [1, 2, 2, 3, 3, 3, 1]
    assert {point.seed for point in points[:-1]} == {first.seed}
    assert points[-1].seed != first.seed


def test_which_calls_were_struck_is_told() -> None:
    """By kind, from the first to the last, and those that were left out; what was not struck does not count."""
    ledger = Ledger(1)
    for at, struck in ((1, True), (2, True), (4, True), (4, True), (5, False)):
        ledger.enter(Point("master", 7, at), Verdict(struck))
    told = json.loads(ledger.to_json())["system_calls_struck_at"]
    assert told == {"master": {"first": 1, "last": 4, "missed": [3], "missed_count": 1}}


PROGRAM = """
import os, sys
os.getppid()
fd = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY, 0o600)
os.write(fd, b"one")
os.write(fd, b"two")
os.rename(sys.argv[1], sys.argv[1] + ".whole")
os.close(fd)
os.getppid()
"""


def test_strace_kills_at_the_same_calls(tmp_path: Path) -> None:
    """Killed at each of its calls by strace and by us, a program leaves the same behind."""
    from tests.faults.strace import disturbed, trace

    strace = available()
    target = tmp_path / "target"
    dry = trace(strace, PROGRAM, [str(target)], tmp_path / "log")

    def left() -> list[tuple[str, bytes]]:
        found = sorted((path.name, path.read_bytes()) for path in tmp_path.glob("target*"))
        for name, _ in found:
            (tmp_path / name).unlink()
        return found

    def program() -> None:
        sys.argv[1:] = [str(target)]
        exec(PROGRAM, {})

    left()
    ours, theirs = [], []
    for at in range(len(dry.calls)):
        disturbed(strace, PROGRAM, [str(target)], tmp_path / "log", dry, at, "signal=KILL")
        theirs.append(left())
    at = 1
    while os.WIFSIGNALED(ptrace.Child(program).run(at)[1]):
        ours.append(left())
        at += 1
    left()
    once = [found for n, found in enumerate(ours) if n == 0 or found != ours[n - 1]]
    assert once == [found for n, found in enumerate(theirs) if n == 0 or found != theirs[n - 1]]
    assert len(once) == 5  # nothing, empty, one word, two words, renamed


def test_a_living_process_is_killed_at_a_call_of_its_own(tmp_path: Path) -> None:
    """A process of somebody else's that is seized dies at the call that was chosen; one that is let go lives on."""
    beat = tmp_path / "beat"
    program = f"import os, time\nwhile True:\n    open({str(beat)!r}, 'a').write('x'); time.sleep(0.01)"
    with subprocess.Popen([sys.executable, "-c", program]) as process:
        try:
            poll_until(beat.exists, 30, "the first beat")
            with ptrace.Seized(process.pid) as seized:
                assert seized.run(0, 0.1) > 0
            size = beat.stat().st_size
            poll_until(lambda: beat.stat().st_size > size, 30, "another beat")
            assert process.poll() is None
            with ptrace.Seized(process.pid) as seized:
                assert seized.run(7, 30) == 7
            assert seized.dead
            assert not Path(f"/proc/{process.pid}").exists()
        finally:
            process.kill()


def test_strace_is_here_where_it_can_be() -> None:
    """The fault tests lean on it: where it could be installed, it was."""
    assert shutil.which("strace") or os.geteuid() != 0 or not shutil.which("apt-get")
