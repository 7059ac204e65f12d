"""Spool files go both ways between real uWSGI and spoolsim, one after the other and at the same time."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import random
import stat
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from spoolsim.diagnose import Notes
from spoolsim.log import Log
from spoolsim.options import SAFER, UWSGI
from spoolsim.spool.directory import SpoolDir
from spoolsim.spool.enqueue import Producer
from spoolsim.spool.names import PREFIX
from tests.conftest import Spawn, Spawned, poll_until
from tests.oracle.packets import NAME_RE, packet, unpack

pytestmark = pytest.mark.oracle

COUNT = 2_000
#: due long after these tests
FUTURE = 4_000_000_000

#: the same jobs for every producer: number -> dictionary
JOBS = f"""
import random

def job(number):
    chance = random.Random(number)
    made = {{b"number": b"%d" % number, b"binary": chance.randbytes(chance.randrange(60)), b"empty": b""}}
    if number % 3:
        made[b"body"] = chance.randbytes(chance.choice((1, 100, 4000, 4096, 5000, 70_000 if number % 40 == 0 else 9)))
    if number % 4 == 0:
        made[b"priority"] = b"%d" % chance.choice((0, 1, 2, 7, 10))
    if number % 5 == 0:
        made[b"at"] = b"%d" % (1_000_000_000 + number)
    if number % 100 == 0:
        made[b"at"] = b"{FUTURE}"
    if number % 50 == 1:
        made[b"large"] = bytes(60_000)
    return made
"""

#: enqueues its jobs while it is imported, one by one when ONE_BY_ONE is set, and ends
PRODUCING_APP = """
import os, time, uwsgi
from jobs import job
failed = 0
for number in range(int(os.environ["FIRST"]), int(os.environ["LAST"])):
    try:
        uwsgi.spool(job(number))
    except ValueError as error:
        failed += 1
        print("FAILED", number, error, flush=True)
    if os.environ.get("PAUSE"):
        time.sleep(float(os.environ["PAUSE"]))
print("PRODUCED, failed:", failed, flush=True)
os._exit(0)
"""

#: notes each task: number or name, digest
RECORDING_APP = """
import hashlib, os, uwsgi
record = os.open(os.environ["RECORD"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
def spooler(env):
    whole = sorted((k, v) for k, v in env.items() if isinstance(k, bytes))
    digest = hashlib.md5(repr((whole, env.get("body", b""))).encode()).hexdigest()
    os.write(record, env["spooler_task_name"] + b" " + env.get(b"number", b"-") + b" " + digest.encode() + b"\\n")
    return uwsgi.SPOOL_OK
uwsgi.spooler = spooler
"""

_namespace: dict[str, object] = {}
exec(JOBS, _namespace)


def job(number: int) -> dict[object, object]:
    made = _namespace["job"](number)
    assert isinstance(made, dict)
    return made


def digest(variables: list[tuple[bytes, bytes]], body: bytes) -> str:
    return hashlib.md5(repr((sorted(dict(variables).items()), body)).encode()).hexdigest()


def expected(number: int) -> str:
    variables = job(number)
    body = variables.pop(b"body", b"")
    return digest(list(variables.items()), body)


def is_future(number: int) -> bool:
    return number % 100 == 0


def spooled(spool: Path) -> list[Path]:
    return [path for path in spool.rglob(f"{PREFIX}*") if ".spoolsim" not in path.parts]


def by_number(spool: Path) -> dict[int, Path]:
    return {int(dict(unpack(path.read_bytes())[1])[b"number"]): path for path in spooled(spool)}


class Home:
    """A directory with the apps, and how each side is started in it."""

    def __init__(self, path: Path, spawn: Spawn, uwsgi: str) -> None:
        self.path = path
        self._spawn = spawn
        self._uwsgi = uwsgi
        for name, text in (("jobs", JOBS), ("producing", PRODUCING_APP), ("recording", RECORDING_APP)):
            (path / f"{name}.py").write_text(text)

    def spool(self, name: str) -> Path:
        made = self.path / name
        made.mkdir()
        return made

    def _start(self, argv: list[str], **env: str) -> Spawned:
        return self._spawn([*argv, "--pythonpath", str(self.path)], cwd=self.path, env={**os.environ, **env})

    def uwsgi_producer(self, spool: Path, first: int, last: int, pause: str = "") -> Spawned:
        """Real uWSGI, which puts these jobs and ends."""
        argv = [self._uwsgi, "--master", "--spooler-external", str(spool), "--import", "producing"]
        return self._start(argv, FIRST=str(first), LAST=str(last), PAUSE=pause)

    def uwsgi(self, spool: Path, record: str, *options: str) -> Spawned:
        """Real uWSGI, which drains."""
        return self._drain([self._uwsgi, "--master"], spool, record, options)

    def spoolsim(self, spool: Path, record: str, *options: str) -> Spawned:
        """One process of ours, which drains."""
        return self._drain([sys.executable, "-m", "spoolsim", "run", "--inline"], spool, record, options)

    def _drain(self, argv: list[str], spool: Path, record: str, options: tuple[str, ...]) -> Spawned:
        common = ["--spooler", str(spool), "--spooler-ordered", "--spooler-frequency", "1", "--import", "recording"]
        return self._start([*argv, *common, *options], RECORD=str(self.path / f"{record}.record"))

    def noted(self, record: str) -> list[list[str]]:
        path = self.path / f"{record}.record"
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def home(tmp_path: Path, spawn: Spawn, uwsgi_binary: str) -> Home:
    return Home(tmp_path.resolve(), spawn, uwsgi_binary)


def produce(spool: Path, first: int, last: int, *, faithful: bool = False, ordered: bool = True) -> Counter[str]:
    """Put jobs as our side does; how often each error came."""
    log = Log(os.open(os.devnull, os.O_WRONLY))
    producer = Producer(
        [SpoolDir(str(spool), bare=faithful)],
        log=log,
        notes=Notes(lambda *said: None),
        ordered=ordered,
        policy=UWSGI if faithful else SAFER,
    )
    failed: Counter[str] = Counter()
    for number in range(first, last):
        try:
            producer.spool(job(number))
        except ValueError as error:
            failed[str(error)] += 1
    os.close(log.fd)
    return failed


def wait_for_count(home: Home, record: str, count: int, process: Spawned) -> None:
    poll_until(lambda: len(home.noted(record)) >= count or not process.alive(), 40, f"{count} tasks run")


def test_both_write_the_same_files(home: Home):
    """2,000 jobs with bodies, priorities and `at`: same place, name pattern, mode, mtime and bytes as real uWSGI's."""
    theirs, ours = home.spool("theirs"), home.spool("ours")
    process = home.uwsgi_producer(theirs, 0, COUNT)
    assert produce(ours, 0, COUNT) == {}
    assert process.wait_exit(40) == 0
    assert "PRODUCED, failed: 0" in process.output()
    status = {path: path.stat() for spool in (theirs, ours) for path in spooled(spool)}  # before a read moves atime
    their_files, our_files = by_number(theirs), by_number(ours)
    assert their_files.keys() == our_files.keys() == set(range(COUNT))
    for number, their in their_files.items():
        our = our_files[number]
        assert our.read_bytes() == their.read_bytes()
        assert our.parent.relative_to(ours) == their.parent.relative_to(theirs)
        assert stat.S_IMODE(status[our].st_mode) == stat.S_IMODE(status[their].st_mode) == 0o600
        assert all(NAME_RE.fullmatch(path.name) for path in (our, their))
        if b"at" in job(number):
            at = float(job(number)[b"at"])
            assert (status[our].st_mtime, status[our].st_atime) == (at, at)
            assert (status[their].st_mtime, status[their].st_atime) == (at, at)
    hosts = {path.name.split("_")[3] for path in (*their_files.values(), *our_files.values())}
    assert len(hosts) == 1
    assert {path.name for path in ours.iterdir() if path.is_dir()} == {p.name for p in theirs.iterdir() if p.is_dir()}
    assert not [path for path in ours.rglob("*") if path.name.startswith(".")]


def walk(directory: Path) -> Iterator[str]:
    """The tasks below a directory as spooler-ordered runs them: each level by version, as the C library has it."""
    strverscmp = ctypes.CDLL(None).strverscmp
    for name in sorted(os.listdir(os.fsencode(directory)), key=functools.cmp_to_key(strverscmp)):
        path = directory / os.fsdecode(name)
        if path.is_dir() and name.isdigit():
            yield from walk(path)
        elif path.name.startswith(PREFIX):
            yield path.name


@pytest.mark.parametrize("direction", ["theirs run here", "ours run there"])
def test_files_of_one_side_run_on_the_other(home: Home, direction: str):
    """2,000 files written by one side run on the other: each once, whole, in order; the future ones stay."""
    spool = home.spool("spool")
    numbers = [number for number in range(COUNT) if not is_future(number)]
    if direction == "theirs run here":
        process = home.uwsgi_producer(spool, 0, COUNT)
        assert process.wait_exit(40) == 0
        order = list(walk(spool))
        drain = home.spoolsim(spool, "record", "--drain")
        assert drain.wait_exit(60) == 0, drain.output()
    else:
        assert produce(spool, 0, COUNT) == {}
        order = list(walk(spool))
        drain = home.uwsgi(spool, "record")
        wait_for_count(home, "record", len(numbers), drain)
        drain.stop()
    noted = home.noted("record")
    assert {int(number): found for _, number, found in noted} == {number: expected(number) for number in numbers}
    assert len(noted) == len(numbers)
    left = by_number(spool)
    assert sorted(left) == [number for number in range(COUNT) if is_future(number)]
    names = {path.name for path in left.values()}
    assert [name for name, _, _ in noted] == [name for name in order if name not in names]


@pytest.mark.parametrize("faithful", [False, True], ids=["default", "faithful"])
def test_both_drain_while_both_produce(home: Home, faithful: bool):
    """Real uWSGI and we enqueue into one directory while real uWSGI and we drain it: none is lost, none runs twice."""
    spool = home.spool("spool")
    mode = ("--faithful",) if faithful else ()
    theirs = home.uwsgi(spool, "theirs", "--spooler-processes", "2", "--spooler-quiet")
    ours = home.spoolsim(spool, "ours", *mode, "--spooler-quiet")
    theirs.wait_output("spawned the uWSGI spooler", 2)
    ours.wait_output("spawned the uWSGI spooler")
    failed: list[Counter[str]] = []
    producer = home.uwsgi_producer(spool, 0, COUNT, pause="0.0005")
    thread = threading.Thread(target=lambda: failed.append(produce(spool, COUNT, 2 * COUNT, faithful=faithful)))
    thread.start()
    thread.join(300)
    assert failed == [{}]
    assert producer.wait_exit(40) == 0
    assert "PRODUCED, failed: 0" in producer.output(), producer.output()
    numbers = [number for number in range(2 * COUNT) if not is_future(number)]

    def done() -> bool:
        return len(home.noted("theirs")) + len(home.noted("ours")) >= len(numbers)

    poll_until(lambda: done() or not ours.alive() or not theirs.alive(), 40, "all tasks run")
    assert ours.alive() and theirs.alive(), ours.output() + theirs.output()
    poll_until(lambda: len(spooled(spool)) == 2 * COUNT - len(numbers), 10, "all tasks removed")
    ours.stop()
    theirs.stop()
    mine, its = home.noted("ours"), home.noted("theirs")
    runs = Counter(int(number) for _, number, _ in [*mine, *its])
    assert runs == dict.fromkeys(numbers, 1)
    assert {int(number): found for _, number, found in [*mine, *its]} == {
        number: expected(number) for number in numbers
    }
    assert mine and its
    assert not list(spool.rglob("*.why"))
    assert "OOOPS" not in theirs.output()


def arbitrary(count: int) -> dict[str, bytes]:
    """Files that are packets, nearly packets and no packets: name -> bytes; the same at every run."""
    chance = random.Random("interchange")
    made = {}
    for number in range(count):
        pairs = [
            (chance.randbytes(chance.randrange(1, 5)), chance.randbytes(chance.randrange(5)))
            for _ in range(chance.randrange(4))
        ]
        data = bytearray(
            packet(pairs, modifier1=chance.choice((17, 17, 0, 5, 255)), modifier2=chance.choice((0, 0, 9)))
        )
        for _ in range(chance.choice((0, 1, 1, 2, 4))):
            data[chance.randrange(len(data))] = chance.choice((0, 0, 1, 2, 3, 4, 255))
        data += chance.randbytes(chance.choice((0, 0, 1, 7)))
        if chance.random() < 0.3:
            del data[chance.randrange(len(data)) :]
        made[f"{PREFIX}{number:04d}"] = bytes(data)
    return made


@pytest.mark.parametrize("faithful", [False, True], ids=["default", "faithful"])
def test_arbitrary_files_are_judged_alike(home: Home, faithful: bool):
    """400 files of arbitrary bytes: the same ones run, with the same variables and body, and the same are left; what
    real uWSGI deletes without running is deleted, or set aside with its reason where that is safer.
    """
    made = arbitrary(400)
    theirs, ours = home.spool("theirs"), home.spool("ours")
    for spool in (theirs, ours):
        for name, data in made.items():
            (spool / name).write_bytes(data)
        (spool / f"{PREFIX}~").write_bytes(packet({b"k": b"the last"}))
    process = home.uwsgi(theirs, "theirs")
    poll_until(lambda: f"{PREFIX}~" in {name for name, _, _ in home.noted("theirs")}, 30, "the last task")
    poll_until(lambda: not (theirs / f"{PREFIX}~").exists(), 10, "its end")
    process.stop()
    assert "OOOPS" not in process.output()
    drain = home.spoolsim(ours, "ours", "--drain", *(("--faithful",) if faithful else ()))
    drain.wait_exit(30)
    assert home.noted("ours") == home.noted("theirs")
    assert {path.name for path in spooled(ours)} == {path.name for path in spooled(theirs)}
    gone = made.keys() - {name for name, _, _ in home.noted("theirs")} - {path.name for path in spooled(theirs)}
    assert len(gone) > 50
    assert len(home.noted("theirs")) > 50
    if faithful:
        assert sorted(path.name for path in ours.iterdir()) == sorted(path.name for path in theirs.iterdir())
    else:
        broken = ours / ".spoolsim" / "broken"
        assert {path.name: path.read_bytes() for path in broken.iterdir() if not path.name.endswith(".why")} == {
            name: made[name] for name in gone
        }
        for name in gone:
            path, reason, _ = (broken / f"{name}.why").read_text().split("\n")
            assert path == str(ours / name)
            assert reason
