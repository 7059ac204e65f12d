"""Where a measurement happens: a fresh directory on a memory or a disk file system, filled with tasks.

ext4 makes creating files up to 40 times slower for minutes after many were removed: it looks for an inode that was not
removed of late. So what is measured for its creating gets a directory in a part of the disk of its own, where nothing
is removed before the end of the run, and which is tried out first; if it is slow there, another part is taken.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import struct
import tempfile
import time
from collections.abc import Iterator

from benchmarks.apps import marks
from benchmarks.contestants import Missing
from spoolsim.spool.packet import encode

MEMORY, DISK = "memory", "disk"
#: parts of the disk that are tried out at most, and how near to the fastest one has to come
_TRIES, _FAST = 12, 0.7
#: ext4 directory flag: lay sub-directories out far from each other; FS_IOC_GETFLAGS, FS_IOC_SETFLAGS of 64-bit Linux
_TOP, _GET_FLAGS, _SET_FLAGS = 0x00020000, 0x80086601, 0x40086602


class Room:
    """One measurement's directories. spool: the spool directory. marks: where the processes leave their marks."""

    def __init__(self, home: str, place: str, marks_home: str) -> None:
        self.home = home
        self.place = place
        self.spool = os.path.join(home, "spool")
        self.marks = marks_home
        os.mkdir(self.spool)
        os.mkdir(self.marks)
        self.reader = marks.Reader(self.marks)

    def fill(self, count: int) -> None:
        """Put so many small tasks in, under names as one producer process makes them."""
        host = os.uname().nodename
        prefix = f"{self.spool}/uwsgi_spoolfile_on_{host}_4242_"
        for number in range(1, count + 1):
            data = encode([(b"task", b"noop"), (b"n", b"%d" % number)])
            name = f"{prefix}{number}_{number * 7919 % 2147483647}_1767225600_{number % 1000000}"
            fd = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            os.write(fd, data)
            os.close(fd)

    def put(self, number: int) -> None:
        """Drop one task the way another program does: written elsewhere, renamed into place."""
        hidden = f"{self.spool}/.dropping"
        with open(hidden, "wb") as file:
            file.write(encode([(b"n", b"%d" % number)]))
        os.rename(hidden, f"{self.spool}/uwsgi_spoolfile_on_elsewhere_1_{number}_1_1767225600_1")


class Places:
    """The two file systems of a run, each with a directory of ours that goes at the end."""

    def __init__(self, memory: str | None = None, disk: str | None = None) -> None:
        self.why_missing: dict[str, str] = {}
        self._homes: dict[str, str] = {}
        self._count = 0
        self._spread = ""
        self._ground: str | None = None
        self._grounded = False
        self._fastest = 0.0
        self._claim(MEMORY, memory or _first_of_kind(["/dev/shm", tempfile.gettempdir()], memory=True), "--memory")
        self._claim(DISK, disk or _first_of_kind([tempfile.gettempdir(), os.getcwd()], memory=False), "--disk")

    def _claim(self, place: str, parent: str | None, option: str) -> None:
        if parent is None:
            self.why_missing[place] = f"no {place} file system found: pass {option} DIR"
            return
        self._homes[place] = home = tempfile.mkdtemp(prefix="spoolsim-bench-", dir=parent)
        if place == DISK:
            self._spread = os.path.join(home, "created")
            os.mkdir(self._spread)
            _spread(self._spread)

    def kind(self, place: str) -> str:
        """The file system's type, such as tmpfs or ext4."""
        return file_system(self._homes[place]) if place in self._homes else "none"

    @contextlib.contextmanager
    def room(self, place: str, *, creating: bool = False) -> Iterator[Room]:
        """A fresh room, everything written before on the disk.

        creating: many files will be made in it and timed. Raises Missing.
        """
        if place not in self._homes:
            raise Missing(self.why_missing[place])
        self._count += 1
        parent = self._homes[place]
        if place == DISK:
            os.sync()
            if creating:
                parent = self._fast_ground()
        home = os.path.join(parent, str(self._count))
        os.mkdir(home)
        # the marks are in memory whatever is measured
        marks_home = os.path.join(self._homes.get(MEMORY, parent), f"{self._count}.marks")
        try:
            yield Room(home, place, marks_home)
        finally:
            shutil.rmtree(marks_home, ignore_errors=True)
            if not (creating and place == DISK):
                shutil.rmtree(home, ignore_errors=True)

    def _fast_ground(self) -> str:
        """A directory in whose part of the disk creating files is about as fast as it ever was in this run."""
        tried: list[tuple[float, str]] = []
        while len(tried) < _TRIES:
            if self._ground is None or tried:
                self._ground = tempfile.mkdtemp(dir=self._spread)
            rate = _try_out(tempfile.mkdtemp(dir=self._ground))
            self._fastest = max(self._fastest, rate)
            tried.append((rate, self._ground))
            if rate >= _FAST * self._fastest and (len(tried) > 1 or self._grounded):
                break
        self._grounded = True
        self._ground = max(tried)[1]
        return self._ground

    def close(self) -> None:
        """Remove everything."""
        for home in self._homes.values():
            shutil.rmtree(home, ignore_errors=True)


def file_system(path: str) -> str:
    """The type of the file system that a path is on; 'unknown' where the system does not tell."""
    best, kind = "", "unknown"
    try:
        with open("/proc/mounts", encoding="utf-8") as mounts:
            for line in mounts:
                _, point, found, *_ = line.split()
                inside = f"{os.path.realpath(path)}/".startswith(f"{point.rstrip('/')}/")
                if inside and len(point) >= len(best):
                    best, kind = point, found
    except OSError:
        pass
    return kind


def _first_of_kind(candidates: list[str], *, memory: bool) -> str | None:
    for path in candidates:
        if os.path.isdir(path) and os.access(path, os.W_OK):
            kind = file_system(path)
            if kind != "unknown" and (kind in ("tmpfs", "ramfs")) is memory:
                return path
    return None


def _try_out(directory: str, count: int = 400) -> float:
    """How many files a second can be created there; they stay."""
    began = 0.0
    for number in range(count):
        if number == count // 4:  # the directory's own blocks are there now
            began = time.perf_counter()
        fd = os.open(f"{directory}/{number}", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        os.write(fd, b"x" * 64)
        os.close(fd)
    return (count - count // 4) / (time.perf_counter() - began)


def _spread(path: str) -> None:
    """Have the file system lay the directory's sub-directories out far from each other."""
    try:
        import fcntl

        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            flags = struct.unpack("L", fcntl.ioctl(fd, _GET_FLAGS, struct.pack("L", 0)))[0]
            fcntl.ioctl(fd, _SET_FLAGS, struct.pack("L", flags | _TOP))
        finally:
            os.close(fd)
    except (OSError, ImportError):
        pass  # not ext: nothing to spread
