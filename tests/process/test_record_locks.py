"""Where the system has record locks alone (macOS until 2024, gVisor, BSD), a claim is still one process's (I3).

A `sitecustomize` in every Python of the run plays such a system: it hides the names, or refuses as the kernel does.
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.process.conftest import Start

SYSTEMS = {
    "hidden": """
import fcntl
for name in [name for name in dir(fcntl) if name.startswith("F_OFD_")]:
    delattr(fcntl, name)
""",
    "EINVAL": f"""
import fcntl, os
known = fcntl.fcntl
def refuse(fd, command, *rest):
    if command in (36, 37, 38):
        raise OSError({errno.EINVAL}, os.strerror({errno.EINVAL}))
    return known(fd, command, *rest)
fcntl.fcntl = refuse
""",
}
SYSTEMS["ENOSYS"] = SYSTEMS["EINVAL"].replace(str(errno.EINVAL), str(errno.ENOSYS))
#: a handler that reads its own task file, which costs this process its record lock on it
READS = "open(env['spooler_task_name'], 'rb').close()"


@pytest.fixture(params=SYSTEMS)
def system(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """The environment that makes every Python such a system."""
    place = tmp_path / "system"
    place.mkdir()
    (place / "sitecustomize.py").write_text(SYSTEMS[request.param])
    return {"PYTHONPATH": str(place)}


def test_a_handler_that_reads_its_own_file(start: Start, system: dict[str, str]) -> None:
    """The record lock is gone when the handler has read its file; the other spooler still leaves the task alone."""
    it = start("--spooler-processes", "2", "--spooler-frequency", "1", env=system)
    it.wait_workers(2)
    it.put(f"{READS}; note('begun'); gate('go')")
    it.wait_runs("begun")
    for number in range(3):  # each is run by the other spooler, whose scan meets the first task again
        it.put(f"note('other {number}')")
        it.wait_runs(f"other {number}")
    it.open_gate("go")
    it.wait_empty()
    assert it.runs().count("begun") == 1
    assert it.stop() == 0


def test_a_reload_and_a_second_instance_while_a_task_runs(start: Start, system: dict[str, str]) -> None:
    """The next generation's spoolers, and those of another run on the same directory, leave it alone too."""
    it = start("--touch-spoolers-reload", "touched", env=system)
    (old,) = it.wait_workers(1)
    it.put(f"{READS}; note('begun', os.getpid()); gate('go', 60)")
    it.wait_runs(f"begun {old}")
    second = start("--spooler-frequency", "1", env=system)
    second.put("note('other')")
    second.wait_runs("other")
    (it.home / "touched").touch()
    it.spawned.wait_output("has been touched")
    second.put("note('another')")
    second.wait_runs("another")
    it.open_gate("go")
    it.wait_empty()
    assert it.runs().count(f"begun {old}") == 1
    assert len([line for line in it.runs() if line.startswith("begun")]) == 1
    assert second.stop() == 0
    assert it.stop() == 0


def test_a_killed_spooler_holds_nothing(start: Start, system: dict[str, str]) -> None:
    """What a killed spooler had claimed is run again."""
    it = start("--spooler-harakiri", "1", env=system)
    it.wait_workers(1)
    it.put(f"{READS}; note('tried'); gate('go', 60)")
    it.wait_count(2)
    it.open_gate("go")
    it.wait_empty()
    assert it.stop() == 0


_ENGINE = """
import os
from spoolsim.spool import claim, lock, settle
from spoolsim.spool.directory import SpoolDir
from spoolsim.spool.scan import Level
from spoolsim.spool.verdicts import KEEP, REMOVE
os.mkdir("spool")
path = os.path.abspath("spool")
level = Level(SpoolDir(path), path, os.open(path, os.O_RDONLY))
name = "uwsgi_spoolfile_on_h_1_1_0_0_0"
open(f"spool/{name}", "wb").write(bytes((17, 0, 0, 0)))
first = claim.take(level, name, 2e9)
assert lock.OFD_SETLK is None
assert claim.take(level, name, 2e9) == claim.LOCKED, "twice in one process"
settle.apply(first, KEEP)
second = claim.take(level, name, 2e9)
settle.apply(second, REMOVE)
assert os.listdir("spool") == [".spoolsim"], os.listdir("spool")
"""


def test_one_process_claims_a_task_once(tmp_path: Path, system: dict[str, str]) -> None:
    """Record locks never exclude their own process: it remembers what it holds."""
    done = subprocess.run(
        [sys.executable, "-c", _ENGINE],
        cwd=tmp_path,
        env={**os.environ, **system},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_command_leaves_a_running_task_alone(start: Start, system: dict[str, str]) -> None:
    """`spoolsim rm` cannot have a task that is running, though its record lock is lost."""
    it = start(env=system)
    it.wait_workers(1)
    path = it.put(f"{READS}; note('begun'); gate('go')")
    it.wait_runs("begun")
    done = subprocess.run(
        [sys.executable, "-c", _GRIP, path],
        env={**os.environ, **system},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("locked\n", "")
    it.open_gate("go")
    it.wait_empty()
    assert it.stop() == 0


_GRIP = """
import sys
from spoolsim.spool import move
print(move.grip(sys.argv[1]))
"""
