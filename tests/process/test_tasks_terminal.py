"""`ls --watch`, `log --follow` and the question of `rm`, on a terminal."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pytest

from spoolsim.spool import file
from spoolsim.spool.directory import SpoolDir
from spoolsim.spool.journal import Journal
from spoolsim.tasks.ids import digest
from tests.oracle.packets import packet

HOSTILE = packet({b"ud_spool_func": b"mail", b"to": b"\x1b[31mxeno\x07\n"})
Terminal = Callable[..., "pexpect.spawn[str]"]


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """An empty spool directory."""
    (tmp_path / "spool").mkdir()
    return tmp_path / "spool"


@pytest.fixture
def terminal(spool: Path) -> Iterator[Terminal]:
    """`terminal(*words, size=)`: a command on a pseudo-terminal."""
    started = []

    def start(*words: str, size: tuple[int, int] = (24, 80)) -> pexpect.spawn[str]:
        arguments = ["-m", "spoolsim", words[0], "--spooler", str(spool), *words[1:]]
        child = pexpect.spawn(sys.executable, arguments, dimensions=size, encoding="utf-8", timeout=60)
        started.append(child)
        return child

    yield start
    for child in started:
        child.close(force=True)


def put(spool: Path, data: bytes = HOSTILE) -> str:
    """The id of a new task."""
    return digest(os.path.basename(file.write(str(spool), file.next_name(), data)))[:6]


@pytest.mark.parametrize("size", [(24, 80), (40, 120), (50, 200)])
def test_ls_watch(spool: Path, terminal: Terminal, size: tuple[int, int]) -> None:
    """New tasks appear; no line is wider than the terminal; what a task holds commands nothing; Ctrl-C ends well."""
    first = put(spool)
    child = terminal("ls", "--watch", size=size)
    child.expect(f"{first}.*1 task: 1 queued")
    for _ in range(60):
        second = put(spool)
    child.expect(f"{second}.*61 tasks: 61 queued")
    screens = (child.before + child.after).replace("\r", "").split("\x1b[H\x1b[J")
    assert len(screens) > 1
    for screen in screens:
        assert "\x1b" not in screen
        assert len(screen.split("\n")) <= size[0]
        assert all(len(line) < size[1] for line in screen.split("\n"))
    child.sendintr()
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def test_log_follow(spool: Path, terminal: Terminal) -> None:
    """Each new attempt once, as it comes."""
    journal = Journal(SpoolDir(str(spool.resolve())))
    journal.add("uwsgi_spoolfile_on_a", "retry", 5, "raised X")
    child = terminal("log", "--follow")
    child.expect("retry +1 .*raised X")
    journal.add("uwsgi_spoolfile_on_a", "retry", 5, "raised Y")
    child.expect("retry +2 .*raised Y")
    assert "raised X" not in child.before
    child.sendintr()
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


@pytest.mark.parametrize(("answer", "status", "left"), [("y", 0, 0), ("n", 1, 1), ("", 1, 1)])
def test_rm_asks_on_a_terminal(spool: Path, terminal: Terminal, answer: str, status: int, left: int) -> None:
    """What it would remove is shown; nothing happens without a yes."""
    task = put(spool)
    child = terminal("rm", "--all")
    child.expect(re.escape(f"#{task} mail(to="))
    child.expect(r"Remove 1 task\? \[y/N\]")
    child.sendline(answer)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == status
    assert len([name for name in os.listdir(spool) if name.startswith("uwsgi")]) == left
