"""A spool directory with tasks in every state, and commands run on it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from spoolsim.cli.commands import commands
from spoolsim.spool.directory import SpoolDir

Run = Callable[..., Result]


@pytest.fixture
def spool(tmp_path: Path) -> SpoolDir:
    """An empty spool directory, in an empty working directory."""
    (tmp_path / "spool").mkdir()
    return SpoolDir.resolve("spool", start=str(tmp_path))


@pytest.fixture
def run(spool: SpoolDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run(command, *arguments)`: a command on that directory, as the command line calls it."""
    monkeypatch.chdir(tmp_path)

    def call(command: str, *arguments: str) -> Result:
        words = [command, "--spooler", spool.path, *arguments]
        return CliRunner().invoke(commands, words, standalone_mode=True, catch_exceptions=False)

    return call


def put(spool: SpoolDir, name: str, data: bytes, age: float = 0) -> str:
    """A file of a task, enqueued `age` seconds ago; returns its path."""
    path = f"{spool.path}/{name}"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    Path(path).write_bytes(data)
    os.utime(path, (time.time() - age,) * 2)
    return path
