"""A spool directory, as it is and as a scan has it open; a producer, and what it says."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from spoolsim.diagnose import Notes
from spoolsim.log import Log
from spoolsim.options import SAFER, UWSGI
from spoolsim.spool import keep, lock
from spoolsim.spool.directory import SpoolDir
from spoolsim.spool.enqueue import Producer
from spoolsim.spool.scan import Level


@pytest.fixture
def spool(tmp_path: Path) -> SpoolDir:
    """An empty spool directory."""
    path = tmp_path.resolve() / "spool"
    path.mkdir()
    return SpoolDir(str(path))


@pytest.fixture
def level(spool: SpoolDir) -> Iterator[Level]:
    """The spool directory, as a scan has it open."""
    fd = os.open(spool.path, os.O_RDONLY | os.O_DIRECTORY)
    yield Level(spool, spool.path, fd)
    os.close(fd)


@pytest.fixture
def record_locks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A system that has record locks alone, and nothing kept yet."""
    files: dict[str, tuple[int, tuple[int, int]]] = {}
    monkeypatch.setattr(lock, "OFD_SETLK", None)
    monkeypatch.setattr(lock, "_OFD_SETLKW", None)
    monkeypatch.setattr(keep, "_mine", {})
    monkeypatch.setattr(keep, "_files", files)
    yield
    for fd, _ in files.values():
        os.close(fd)


class Said:
    """What a producer logged and which notes it gave."""

    def __init__(self, log: Path) -> None:
        self.codes: list[str] = []
        self._log = log

    @property
    def lines(self) -> list[str]:
        return self._log.read_text().splitlines()


@pytest.fixture
def make(spool: SpoolDir, tmp_path: Path) -> Iterator[Callable[..., tuple[Producer, Said]]]:
    """`make(faithful=, ordered=, quiet=, directories=)`: a producer, and what it says."""
    open_: list[int] = []

    def producer(
        *, directories: list[SpoolDir] | None = None, faithful: bool = False, **options: bool
    ) -> tuple[Producer, Said]:
        said = Said(tmp_path / f"log{len(open_)}")
        open_.append(os.open(tmp_path / f"log{len(open_)}", os.O_WRONLY | os.O_CREAT, 0o600))
        notes = Notes(lambda code, _: said.codes.append(code), enabled=not faithful)
        where = [spool] if directories is None else directories
        return Producer(where, log=Log(open_[-1]), notes=notes, policy=UWSGI if faithful else SAFER, **options), said

    yield producer
    for fd in open_:
        os.close(fd)
