"""A reload never runs stale bytecode.

Python believes a cached `.pyc` whose source has the same size and the same whole second of mtime as the one it was made
from. Here both edits of a module are given the very same mtime, which is what two edits within one second come to.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import poll_until
from tests.process.conftest import Instance, Start

#: any whole second of the past
SECOND = 1_700_000_000
APP = "\nimport part\nVERSION = part.VERSION\n"


def edit(home: Path, version: str, module: str = "part") -> None:
    """Write a version of the module, always of one size and one mtime."""
    new = home / f".{module}.new"
    new.write_text(f"VERSION = {version!r}\n")
    os.utime(new, (SECOND, SECOND))
    os.rename(new, home / f"{module}.py")


def answered_by(it: Instance, version: str) -> None:
    """Wait until a task is run by this version of the code."""

    def asked() -> bool:
        it.put("note('version', VERSION)")
        return f"version {version}" in it.runs()

    poll_until(asked, 30, f"the version {version}; noted were {set(it.runs())}; the output was:\n{it.output()[-2000:]}")


def touch(it: Instance) -> None:
    """Touch the file of touch-spoolers-reload."""
    (it.home / "touched").write_text(os.urandom(8).hex())


WAYS: dict[str, tuple[tuple[str, ...], Callable[[Instance], None]]] = {
    "touch": (("--touch-spoolers-reload", "touched"), touch),
    "SIGHUP": ((), lambda it: it.send(signal.SIGHUP)),
    "watch": (("--watch", "."), lambda it: None),
    "py-autoreload": (("--py-autoreload", "1"), lambda it: None),
}


@pytest.mark.parametrize("way", WAYS)
def test_edits_of_one_size_within_a_second(start: Start, home: Path, home_app: str, way: str) -> None:
    """Each of five edits within one second is what runs after its reload."""
    options, reload = WAYS[way]
    edit(home, "v0")
    it = start(*options, app=home_app + APP)
    it.wait_workers(1)
    answered_by(it, "v0")
    for number in range(1, 6):
        edit(it.home, f"v{number}")
        reload(it)
        answered_by(it, f"v{number}")
    assert it.stop() == 0


def test_bytecode_that_a_task_s_program_left(start: Start, home: Path, home_app: str) -> None:
    """A program that a task starts writes bytecode, as every Python does: it does not mislead the next reload."""
    edit(home, "v0")
    it = start("--touch-spoolers-reload", "touched", app=home_app + "\nimport subprocess\nHOME = os.getcwd()" + APP)
    it.wait_workers(1)
    it.put("subprocess.run([sys.executable, '-c', 'import part'], check=True, cwd=HOME); note('compiled')")
    it.wait_runs("compiled")
    (cached,) = (it.home / "__pycache__").glob("part.*.pyc")
    assert b"v0" in cached.read_bytes()
    edit(it.home, "v1")
    touch(it)
    answered_by(it, "v1")
    assert it.stop() == 0


def test_a_late_import_in_a_task(start: Start, home: Path, home_app: str) -> None:
    """A module that a handler imports, and no reload knows of, is the newest too."""
    edit(home, "v0", "late")
    it = start("--touch-spoolers-reload", "touched", app=home_app)
    it.wait_workers(1)
    it.put("import late; note('late', late.VERSION)")
    it.wait_runs("late v0")
    edit(it.home, "v1", "late")
    touch(it)

    def asked() -> bool:
        it.put("import late; note('late', late.VERSION)")
        return "late v1" in it.runs()

    poll_until(asked, 30, "the late module's new version")
    assert it.stop() == 0


def test_source_that_has_been_at_rest_is_cached(start: Start, home: Path, home_app: str) -> None:
    """What nobody is editing is compiled once: the bytecode of an old file is written, and used by the next start.

    The file's ctime is the machine's: the test waits until it is old enough.
    """
    edit(home, "v0")
    changed = (home / "part.py").stat().st_ctime
    poll_until(lambda: _clock(home) > changed + 2.1, what="the file to be two seconds old")
    it = start(app=home_app + APP)
    it.wait_workers(1)
    assert it.stop() == 0
    (cached,) = (home / "__pycache__").glob("part.*.pyc")
    written = cached.stat()
    it = start(app=home_app + APP)
    it.wait_workers(1)
    assert it.stop() == 0
    assert cached.stat().st_mtime_ns == written.st_mtime_ns
    assert cached.stat().st_ino == written.st_ino
    assert sys.flags.dont_write_bytecode == 0


def _clock(home: Path) -> float:
    """The file system's time now."""
    path = home / "clock"
    path.touch()
    return path.stat().st_mtime
