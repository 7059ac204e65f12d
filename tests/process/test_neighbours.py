"""Hostile neighbours: who may write a spool directory, what a packet can reach, who can connect, what is unpickled."""

from __future__ import annotations

import os
import pickle
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from spoolsim.log import Log
from spoolsim.processes import start
from spoolsim.spool import file
from spoolsim.spool.directory import SpoolDir
from tests.conftest import poll_until
from tests.oracle.packets import packet
from tests.process.conftest import Start


class Registrations(Log):
    """A log that keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def _emit(self, text: str) -> None:
        self.texts.append(text)


@pytest.mark.parametrize(
    ("mode", "uid", "gid", "said"),
    [
        (0o750, 0, 0, ""),
        (0o777, 0, 0, "everybody"),
        (0o702, 0, 0, "everybody"),
        (0o770, 0, 0, ""),
        (0o770, 0, 1, "group"),
        (0o770, 0, 2, ""),
        (0o750, 0, 1, ""),
        (0o750, 1, 0, "another user"),
    ],
)
def test_directories_of_others_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, uid: int, gid: int, said: str
) -> None:
    """By mode and by owner; the numbers are how far its owner and group are from ours, 2 is another group of ours."""
    place = tmp_path / "spool"
    place.mkdir()
    real = os.stat(place)
    us, group = (real.st_uid + 5, real.st_gid + 5)  # not root, whose directories are nobody's danger
    monkeypatch.setattr(os, "getuid", lambda: us)
    monkeypatch.setattr(os, "getgid", lambda: group)
    monkeypatch.setattr(os, "getgroups", lambda: [group + 2])
    fields = [stat.S_IFDIR | mode, *real[1:4], us + uid, group + gid, *real[6:]]
    monkeypatch.setattr(os, "stat", lambda path: os.stat_result(fields))
    log = Registrations()
    start.warn_of_neighbours(str(place), log, ordered=True)
    monkeypatch.undo()
    assert len(log.texts) == bool(said)
    assert said in "".join(log.texts)


@pytest.mark.parametrize(
    ("modes", "said"),
    [
        ({"": 0o755, "5": 0o777, "5/6": 0o757, "7": 0o755, "x": 0o777}, ["5", "5/6"]),
        ({"": 0o755, "5": 0o750, "5/6": 0o777}, []),
        ({"": 0o750, "5": 0o777}, []),
        ({"": 0o711, "5": 0o733}, ["5"]),
    ],
    ids=["entered", "not below", "not entered", "known by name"],
)
def test_priority_directories_that_others_can_write_to_are_named(
    tmp_path: Path, modes: dict[str, int], said: list[str]
) -> None:
    """Where a spooler looks into them, and where others get that far; not those that are no priorities."""
    place = tmp_path / "spool"
    for name in modes:
        (place / name).mkdir()
    for name in reversed(modes):
        (place / name).chmod(modes[name])
    for ordered in (True, False):
        log = Registrations()
        start.warn_of_neighbours(str(place), log, ordered=ordered)
        named = [text.split()[1] for text in log.texts]
        assert named == [f"{place}/{name}" for name in said if ordered]


def test_a_shared_directory_is_named_at_the_start(start: Start, home: Path) -> None:
    """And served: uWSGI would serve it, too."""
    (home / "spool").mkdir()
    (home / "spool").chmod(0o777)
    i = start()
    i.spawned.wait_output("can be written to by everybody, who can make it run code: chmod o-w")
    i.put("note('ran')")
    i.wait_runs("ran")


STEERED = [
    {b"priority": b"../out"},
    {b"priority": b"/tmp"},
    {b"priority": b".."},
    {b"priority": b"."},
    {b"priority": b".spoolsim"},
    {b"priority": b"1/../../out"},
    {b"priority": b"1\0/../out"},
    {b"spooler": b"/"},
    {b"spooler": b"../out"},
    {b"spooler": b"SPOOL/../out"},
    {b"spooler": b"SPOOL/.spoolsim"},
]


@pytest.mark.parametrize("way", ["spool", "network"])
@pytest.mark.parametrize("steering", STEERED, ids=repr)
def test_no_path_of_a_packet_leaves_the_spool(tmp_path: Path, way: str, steering: dict[bytes, bytes]) -> None:
    """From a program or from the network alike; nothing is written (I5)."""
    from spoolsim.diagnose import Notes
    from spoolsim.spool.enqueue import Producer

    place = tmp_path / "spool"
    (tmp_path / "out").mkdir()
    place.mkdir()
    log = Registrations()
    producer = Producer([SpoolDir(str(place))], log=log, notes=Notes(log.note), ordered=True)
    job = {key: value.replace(b"SPOOL", os.fsencode(place)) for key, value in steering.items()}
    with pytest.raises(ValueError, match="unable to spool job"):
        if way == "spool":
            producer.spool(dict(job))
        else:
            producer.packet(packet(job)[4:])
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["out", "spool"]


def listening(pids: list[int]) -> list[str]:
    """Local addresses that these processes listen at, of any kind: `tcp HEX`, `unix PATH`."""
    inodes = set()
    for pid in pids:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            try:
                target = os.readlink(f"/proc/{pid}/fd/{fd}")
            except OSError:
                continue
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    found = []
    for kind in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/{pids[0]}/net/{kind}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[9] in inodes:
                found.append(f"{kind} {fields[1].split(':')[0]}")
    for line in Path(f"/proc/{pids[0]}/net/unix").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[6] in inodes and int(fields[3], 16) & 0x10000:
            found.append(f"unix {' '.join(fields[7:])}")
    return sorted(found)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="reads /proc")
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], []),
        (["--socket", ":0", "--http-socket", ":0"], []),
        (["--stats", ":0"], ["tcp 0100007F"]),
        (["--stats", "stats.sock"], ["unix stats.sock"]),
        (["--stand-in-worker", "--socket", ":0"], ["tcp 0100007F"]),
        (["--stand-in-worker", "--socket", "worker.sock"], ["unix worker.sock"]),
    ],
    ids=lambda value: " ".join(value) or "nothing",
)
def test_what_listens(start: Start, options: list[str], expected: list[str]) -> None:
    """Nothing by default; the loopback where no host is named; a unix socket for its owner alone."""
    i = start(*options)
    workers = 2 if "--stand-in-worker" in options else 1
    poll_until(lambda: len(i.workers()) == workers, 60, "the processes")
    poll_until(lambda: sorted(set(listening(i.spawned.members()))) == expected, 30, f"{expected}")
    for address in expected:
        if address.startswith("unix"):
            status = os.stat(i.home / address.split()[1])
            assert stat.S_IMODE(status.st_mode) == 0o600
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(i.home / address.split()[1]))


class Evil:
    """A pickle of it makes a directory when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (self.path,)


@pytest.mark.parametrize(
    "words",
    [["ls"], ["ls", "--json"], ["show", "TASK"], ["why", "TASK"], ["rerun", "TASK"], ["sweep", "--yes"], ["retry"]],
    ids=" ".join,
)
def test_commands_that_look_load_no_pickle(tmp_path: Path, words: list[str]) -> None:
    """Whatever is in the file, in the top level, among the broken or the failed."""
    spool = tmp_path / "spool"
    spool.mkdir()
    evil = pickle.dumps(Evil(tmp_path / "made"))
    job = packet({b"ud_spool_func": b"f", b"args": evil, b"kwargs": evil}) + evil
    name = os.path.basename(file.write(str(spool), file.next_name(), job))
    for state in ("broken", "failed"):
        file.write(SpoolDir(str(spool)).make_state_dir(state), file.next_name(), job)
    rest = [name if word == "TASK" else word for word in words[1:]]
    command = [sys.executable, "-m", "spoolsim", words[0], "--spooler", str(spool), *rest]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "made").exists()
    with pytest.raises(TypeError):
        list(pickle.loads(evil))  # it does what it says, when it is loaded
    assert (tmp_path / "made").exists()


def test_retry_leads_nowhere_else(tmp_path: Path) -> None:
    """The note beside a failed task names a place outside, whose path begins like the spool's: it goes to the top."""
    spool, beside = tmp_path / "spool", tmp_path / "spool-beside"
    spool.mkdir()
    beside.mkdir()
    home = Path(SpoolDir(str(spool)).make_state_dir("failed"))
    for number, origin in enumerate([f"{beside}/x", f"{spool}/../x", "/x", "", f"{spool}/..", f"{spool}/1/../../x"]):
        (home / f"uwsgi_spoolfile_on_{number}").write_bytes(packet({}))
        (home / f"uwsgi_spoolfile_on_{number}.why").write_text(f"{origin}\nx\n")
    (spool / "1").mkdir()
    command = [sys.executable, "-m", "spoolsim", "retry", "--spooler", str(spool)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert sorted(p.name for p in spool.iterdir() if p.is_file()) == [f"uwsgi_spoolfile_on_{n}" for n in range(6)]
    assert list(beside.iterdir()) == []
