"""The log of several processes: tracebacks whole, repeated ones folded, warnings once in a run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import poll_until
from tests.process.conftest import Start, environment, put

#: each task raises from a place of its own, so nothing is folded; most through so many functions that the traceback is
#: more than a pipe takes in one piece
DEEP = """
def fail(n):
    depth = 200 if n % 4 else 1
    text = "".join("def f%d():\\n    f%d()\\n" % (i, i + 1) for i in range(depth))
    names = {}
    exec(compile(text + "def f%d():\\n    raise ValueError('end %d')\\n" % (depth, n), "place%d" % n, "exec"), names)
    names["f0"]()
"""
HEAD = "Traceback (most recent call last):\n"


def traces(output: str) -> list[tuple[str, str]]:
    """Of each traceback, its place and its last line, where it is whole; fails where one is torn."""
    found = []
    lines = output.split("\n")
    for at, line in enumerate(lines):
        if line != HEAD.strip():
            continue
        places = set()
        row = at + 1
        while lines[row].startswith("  "):
            places.update(re.findall(r'File "(place\d+)"', lines[row]))
            row += 1
        assert len(places) == 1, "\n".join(lines[at : row + 1])
        assert re.fullmatch(r"ValueError: end \d+", lines[row]), "\n".join(lines[at : row + 1])
        found.append((places.pop(), lines[row]))
    return found


@pytest.mark.parametrize("into", ["pipe", "file"])
def test_tracebacks_of_four_processes_are_whole(home: Path, home_app: str, into: str) -> None:
    """Four processes raise at the same time; a reader that is slow makes the pipe full all the time."""
    (home / "app.py").write_text(home_app + DEEP)
    (home / "spool").mkdir()
    count = 80
    for n in range(1, count + 1):
        put(home / "spool", f"fail({n})")
    command = [sys.executable, "-m", "spoolsim", "run", "--drain", "--spooler", "spool", "--import", "app"]
    command += ["--spooler-processes", "4"]
    if into == "file":
        with (home / "log").open("wb") as log:
            done = subprocess.run(command, cwd=home, env=environment(home), stderr=log, timeout=300, check=False)
        status, output = done.returncode, (home / "log").read_text()
    else:
        process = subprocess.Popen(command, cwd=home, env=environment(home), stderr=subprocess.PIPE, bufsize=0)
        assert process.stderr is not None
        chunks = []
        while chunk := process.stderr.read(1000):
            chunks.append(chunk)
            time.sleep(0)  # others run
        status, output = process.wait(300), b"".join(chunks).decode()
        process.stderr.close()
    assert status == 1
    assert len(output) > count // 2 * 4096
    assert sorted(traces(output)) == sorted((f"place{n}", f"ValueError: end {n}") for n in range(1, count + 1))


def test_a_repeated_traceback_is_one_line(start: Start, home: Path) -> None:
    """Of the same task and of others of its function, in any of the processes; under --faithful all are printed."""
    (home / "spool").mkdir()
    names = [os.path.basename(put(home / "spool", f"raise ValueError('number {n}')")) for n in range(12)]
    it = start("--drain", "--spooler-processes", "4", "--spooler-max-tasks", "2")
    assert it.spawned.wait_exit(60) == 1
    assert it.output().count(HEAD) == 1
    folded = [line for line in it.output().splitlines() if "the traceback is the same as before" in line]
    assert len(folded) == 11
    for line in folded:
        name, number = re.search(r"task (\S+) \(function spooler\): ValueError: number (\d+);", line).groups()
        assert names[int(number)] == name
    it = start("--drain", "--spooler-processes", "4", "--faithful")
    assert it.spawned.wait_exit(60) == 1
    assert it.output().count(HEAD) == 12


def test_a_warning_is_given_once_in_a_run(start: Start, home: Path, home_app: str) -> None:
    """Not once in each of four processes, nor again after a recycle or a reload."""
    i = start("--spooler-processes", "4", "--spooler-max-tasks", "1", "--touch-spoolers-reload", "touched")
    for _ in range(8):
        i.put("uwsgi.spool({b'code': b'pass', b'priority': b'high'}); note('ran')")
    i.wait_count(8)
    i.wait_workers(4)
    (home / "touched").touch()
    i.spawned.wait_output("(fresh-code)")
    i.wait_workers(4)
    i.put("uwsgi.spool({b'code': b'pass', b'priority': b'high'}); note('ran')")
    i.wait_count(9)
    poll_until(lambda: len(list((i.spool / "high").iterdir())) == 9, 30, "the tasks of the tasks")
    i.stop()
    assert i.output().count("(priority-not-number)") == 1
