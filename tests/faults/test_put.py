"""A producer that is killed, or whose disk fails, at every system call of an enqueue in turn."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from spoolsim.diagnose import Notes
from spoolsim.log import Log
from spoolsim.spool.directory import SpoolDir
from spoolsim.spool.enqueue import Producer
from spoolsim.spool.names import PREFIX
from tests import FULL
from tests.conftest import Spawn, poll_until
from tests.faults.strace import Run, available, disturbed, trace
from tests.oracle.packets import packet, unpack

PRODUCER = """
import os
from spoolsim.diagnose import Notes
from spoolsim.log import Log
from spoolsim.spool.directory import SpoolDir
from spoolsim.spool.enqueue import Producer

job = eval(sys.argv[2])
durable = job.pop("durable", False)
producer = Producer(
    [SpoolDir(sys.argv[1])], log=Log(), notes=Notes(lambda *said: None), ordered=True, durable=durable
)
status = 0
os.getppid()
try:
    producer.spool(job)
except ValueError as error:
    status = 3 if str(error) == "unable to spool job" and error.__notes__ else 4
os.getppid()
sys.exit(status)
"""
SPOOLED, REFUSED = 0, 3

#: an expression each, for the producer and for us; `durable` is the option
JOBS = {
    "small": "{b'k': b'small' * 100}",
    "body": "{b'k': b'v', b'body': b'0123456789' * 20_000}",
    "variables": "{b'k': b'v' * 60_000}",
    "at": "{b'k': b'v', b'at': b'1000000000'}",
    "priority": "{b'k': b'v', b'priority': b'3'}",
    "all": "{b'k': b'v', b'at': b'1000000000', b'priority': b'4', b'body': b'x' * 9_000}",
    "durable small": "{b'k': b'v', 'durable': True}",
    "durable priority": "{b'k': b'v', b'priority': b'5', 'durable': True}",
    "durable body": "{b'k': b'v', b'body': b'x' * 9_000, 'durable': True}",
}

#: notes of each task its name and what it was
APP = """
import hashlib, os, uwsgi
def spooler(env):
    whole = sorted((k, v) for k, v in env.items() if isinstance(k, bytes))
    digest = hashlib.md5(repr((whole, env.get("body", b""))).encode()).hexdigest()
    fd = os.open(os.environ["RECORD"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(fd, env["spooler_task_name"] + b" " + digest.encode() + b"\\n")
    os.close(fd)
    return uwsgi.SPOOL_OK
uwsgi.spooler = spooler
"""
LAST = f"{PREFIX}~"


def whole(job: str) -> bytes:
    """The bytes of the complete task."""
    variables = eval(job)
    variables.pop("durable", None)
    body = variables.pop(b"body", b"")
    return packet(variables) + body


def digest(data: bytes) -> str:
    """What the app notes of a task of these bytes."""
    _, variables, body = unpack(data)
    return hashlib.md5(repr((sorted(variables), body)).encode()).hexdigest()


def files(spool: Path) -> list[Path]:
    """All files below a spool directory, ours left out."""
    return [path for path in spool.rglob("*") if path.is_file() and ".spoolsim" not in path.parts]


def under_a_tasks_name(spool: Path) -> list[Path]:
    return [path for path in files(spool) if path.name.startswith(PREFIX)]


@pytest.fixture(scope="module")
def strace() -> str:
    return available()


@pytest.fixture(scope="module")
def killed(strace: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, int]]:
    """A spool directory in which a producer was killed before each of its system calls; and how many those were."""
    home = tmp_path_factory.mktemp("killed")
    spool = home / "spool"

    def kill_everywhere(name: str) -> int:
        job = JOBS[name]
        below = spool / name
        below.mkdir(parents=True)
        arguments = [str(below), job]
        dry = trace(strace, PRODUCER, arguments, home / f"{name}.strace")
        assert dry.status == SPOOLED
        for path in under_a_tasks_name(below):
            path.unlink()
        for at in range(len(dry.calls)):
            run = disturbed(strace, PRODUCER, arguments, home / f"{name}.strace", dry, at, "signal=KILL")
            assert run.status == -signal.SIGKILL
            assert len(run.calls) == at + 1
        return len(dry.calls)

    with ThreadPoolExecutor(2) as pool:
        return spool, dict(zip(JOBS, pool.map(kill_everywhere, JOBS), strict=True))


@pytest.mark.parametrize("name", JOBS)
def test_a_killed_producer_leaves_an_empty_or_a_whole_task(killed: tuple[Path, dict[str, int]], name: str):
    """I1: killed before any of its system calls, it leaves nothing, an empty file, or the whole task under its name."""
    spool, counts = killed
    assert counts[name] >= 5  # open, lock, write, close, and the mark behind them
    found = [path.read_bytes() for path in under_a_tasks_name(spool / name)]
    expected = whole(JOBS[name])
    assert expected in found  # killed after the task was there
    assert set(found) <= {b"", expected}
    if name not in ("small", "priority", "durable small", "durable priority"):
        assert b"" not in found  # those come by rename


def _drained(spawn: Spawn, home: Path, spools: list[Path], argv: list[str]) -> tuple[str, list[str], int]:
    """Run the leftovers until the sentinel behind all others ran; the output, the app's notes, the exit status."""
    (home / "app.py").write_text(APP)
    record = home / "record"
    for spool in spools:
        (spool / LAST).write_bytes(packet({b"k": b"last"}))
    options = [word for spool in spools for word in ("--spooler", str(spool))]
    options += ["--spooler-ordered", "--spooler-frequency", "1", "--import", "app", "--pythonpath", str(home)]
    process = spawn([*argv, *options], cwd=home, env={**os.environ, "RECORD": str(record)})

    def all_at_the_end() -> bool:
        return record.exists() and record.read_text().count(f"{LAST} ") == len(spools)

    poll_until(lambda: all_at_the_end() or not process.alive(), 30, "the last task")
    assert all_at_the_end(), process.output()
    status = process.wait_exit(30) if "--drain" in argv else process.stop()
    return process.output(), record.read_text().splitlines(), status


def _leftovers(killed: tuple[Path, dict[str, int]], home: Path) -> list[Path]:
    shutil.copytree(killed[0], home / "spool")
    return [home / "spool" / name for name in JOBS]


def _judge(spools: list[Path], noted: list[str], before: dict[str, bytes]) -> None:
    """Each whole task ran once, as it was; nothing else ran; what is left under a task's name is empty."""
    expected = sorted(f"{name} {digest(data)}" for name, data in before.items() if data)
    assert sorted(line for line in noted if not line.startswith(f"{LAST} ")) == expected
    for spool in spools:
        assert {path.read_bytes() for path in under_a_tasks_name(spool)} <= {b""}


def test_no_partial_task_is_run_or_set_aside(killed: tuple[Path, dict[str, int]], tmp_path: Path, spawn: Spawn):
    """What killed producers left is drained: whole tasks run, empty files are reported and kept, nothing is broken."""
    spools = _leftovers(killed, tmp_path)
    before = {path.name: path.read_bytes() for spool in spools for path in under_a_tasks_name(spool)}
    empty = [name for name, data in before.items() if not data]
    assert empty and len(empty) < len(before)
    argv = [sys.executable, "-m", "spoolsim", "run", "--inline", "--drain"]
    output, noted, status = _drained(spawn, tmp_path, spools, argv)
    _judge(spools, noted, before)
    assert status == 1
    for name in empty:
        (line,) = [line for line in output.splitlines() if "left: " in line and name in line]
        assert "being written, or its producer died" in line
    assert not list(tmp_path.rglob("*.why"))


@pytest.mark.oracle
def test_no_partial_task_is_run_by_real_uwsgi(
    killed: tuple[Path, dict[str, int]], tmp_path: Path, spawn: Spawn, uwsgi_binary: str
):
    """The same leftovers under real uWSGI: it runs the whole tasks alone, and passes over the rest."""
    spools = _leftovers(killed, tmp_path)
    before = {path.name: path.read_bytes() for spool in spools for path in under_a_tasks_name(spool)}
    _, noted, _ = _drained(spawn, tmp_path, spools, [uwsgi_binary, "--master"])
    _judge(spools, noted, before)


#: the calls that a disk can refuse
_REFUSABLE = ("openat", "mkdir", "fcntl", "write", "writev", "fsync", "utimensat", "rename", "close")


@pytest.mark.parametrize("name", JOBS)
def test_a_refused_system_call_leaves_nothing_or_the_whole_task(strace: str, tmp_path: Path, name: str):
    """ENOSPC, EDQUOT or EIO at each call: uWSGI's error with a note and not one file, or success and the whole task."""
    job = JOBS[name]
    arguments = [str(tmp_path / "dry"), job]
    (tmp_path / "dry").mkdir()
    dry = trace(strace, PRODUCER, arguments, tmp_path / "dry.strace")
    assert dry.status == SPOOLED
    every = [(at, _errors(call)) for at, call in enumerate(dry.calls) if call in _REFUSABLE]
    # each call with each error takes ten seconds of a processor: without --full, each with one of them in turn
    faults = [(at, error) for at, errors in every for n, error in enumerate(errors) if FULL or n == at % len(errors)]

    def fail(fault: tuple[int, str]) -> tuple[str, Run, list[Path], set[bytes]]:
        at, error = fault
        spool = tmp_path / f"{at}-{error}"
        spool.mkdir()
        log = tmp_path / f"{at}-{error}.strace"
        run = disturbed(strace, PRODUCER, [str(spool), job], log, dry, at, f"error={error}")
        left = files(spool)
        return dry.calls[at], run, left, {path.read_bytes() for path in left}

    refused = set()
    with ThreadPoolExecutor(2) as pool:
        for call, run, left, contents in pool.map(fail, faults):
            assert run.status in (SPOOLED, REFUSED), (call, run.calls)
            if run.status == REFUSED:
                refused.add(call)
                assert left == [], call
            else:
                assert (len(left), contents) == (1, {whole(job)}), call
    data = next(call for call in dry.calls if call.startswith("write"))  # the later one is for the log
    assert refused >= {"openat", "fcntl", data, "close", *({"rename", "utimensat", "fsync"} & set(dry.calls))}


def _errors(call: str) -> tuple[str, ...]:
    return ("EIO", "ENOLCK") if call == "fcntl" else ("ENOSPC", "EDQUOT", "EIO")


# ---- a disk that is really full --------------------------------------------------------------------------------------


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB and 40 files."""
    home = tmp_path / "tiny"
    home.mkdir()
    options = "size=256k,nr_inodes=40,mode=0700"
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(home)]
    mount = subprocess.run(command, capture_output=True, text=True, check=False) if shutil.which("mount") else None
    if mount is None or mount.returncode:
        reason = f"a tmpfs cannot be mounted here: {mount.stderr.strip() if mount else 'there is no mount'}"
        print(reason)
        pytest.skip(reason)
    try:
        yield home.resolve()
    finally:
        subprocess.run(["umount", "-l", str(home)], check=True)


def _producer(spool: Path) -> Producer:
    return Producer([SpoolDir(str(spool))], log=Log(os.open(os.devnull, os.O_WRONLY)), notes=Notes(lambda *said: None))


def _fill(producer: Producer, size: int, extra: dict[object, object]) -> list[bytes]:
    """Put tasks of this size until the disk is full; their paths."""
    put = []
    while True:
        try:
            put.append(producer.spool({b"k": b"v", b"body": b"x" * size, **extra}))
        except ValueError as error:
            assert str(error) == "unable to spool job"
            assert os.strerror(errno.ENOSPC) in error.__notes__[0]
            return put


@pytest.mark.parametrize("size", [0, 3000, 4097, 10_000, 100_000])
@pytest.mark.parametrize("extra", [{}, {b"at": b"1000000000"}], ids=["now", "at"])
def test_on_a_full_disk_every_task_is_whole_or_not_there(tiny: Path, size: int, extra: dict[object, object]):
    """Puts until blocks or files run out: what was accepted is there, whole; what was refused left no trace."""
    spool = tiny / "spool"
    spool.mkdir()
    producer = _producer(spool)
    put = _fill(producer, size, extra)
    assert put
    expected = packet({b"k": b"v", **extra}) + b"x" * size
    assert sorted(os.fsencode(path) for path in files(spool)) == sorted(put)
    assert all(path.read_bytes() == expected for path in files(spool))
    os.unlink(put.pop())
    put.append(producer.spool({b"k": b"v", b"body": b"x" * size, **extra}))
    assert sorted(os.fsencode(path) for path in files(spool)) == sorted(put)


def _to_the_last_byte(home: Path) -> None:
    """No byte is left, but files without content can still be made."""
    fd = os.open(home / "filler", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        for size in (50_000, 4096, 1):
            with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
                while True:
                    os.write(fd, b"x" * size)
    finally:
        os.close(fd)


def test_processes_start_on_a_disk_full_to_the_last_byte(tiny: Path, tmp_path: Path, spawn: Spawn):
    """The scoreboard needs no room on the disk; no process dies of it, and the task is done."""
    spool = tiny / "spool"
    spool.mkdir()
    run = Path(SpoolDir(str(spool)).make_state_dir("run"))
    good = _producer(spool).spool({b"k": b"v"})
    _to_the_last_byte(tiny)
    (tmp_path / "app.py").write_text(APP)
    record = tmp_path / "record"
    argv = [sys.executable, "-m", "spoolsim", "run", "--drain", "--spooler", str(spool), "--import", "app"]
    environ = {**os.environ, "RECORD": str(record)}
    process = spawn([*argv, "--pythonpath", str(tmp_path)], cwd=tmp_path, env=environ)
    assert process.wait_exit(60) == 0, process.output()
    assert "Traceback" not in process.output()
    assert record.read_text().split()[0] == os.path.basename(os.fsdecode(good))
    assert list(run.iterdir()) == []


def test_a_spooler_on_a_full_disk_loses_nothing(tiny: Path, tmp_path: Path, spawn: Spawn):
    """With no room left the good tasks run, and a broken one that cannot be set aside stays and is named."""
    spool = tiny / "spool"
    spool.mkdir()
    good = _producer(spool).spool({b"k": b"v"})
    bad = spool / f"{PREFIX}bad"
    bad.write_bytes(b"\x11\xff\x00\x00cut")
    names = iter(range(100))
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        while True:
            (tiny / f"filler{next(names)}").write_bytes(b"x" * 50_000)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        while True:
            (tiny / f"filler{next(names)}").write_bytes(b"x")
    (tmp_path / "app.py").write_text(APP)
    record = tmp_path / "record"
    argv = [sys.executable, "-m", "spoolsim", "run", "--inline", "--drain", "--spooler", str(spool)]
    process = spawn(
        [*argv, "--import", "app", "--pythonpath", str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "RECORD": str(record)},
    )
    status = process.wait_exit(30)
    output = process.output()
    assert "Traceback" not in output
    assert record.read_text().split()[0] == os.path.basename(os.fsdecode(good))
    if bad.exists():
        assert status == 1
        assert any(str(bad) in line and "cannot be moved" in line for line in output.splitlines()), output
        assert bad.read_bytes() == b"\x11\xff\x00\x00cut"
    else:  # the good task, removed, made room
        (moved,) = [path for path in spool.rglob(bad.name) if path.is_file()]
        assert moved.read_bytes() == b"\x11\xff\x00\x00cut"
