"""As process 1 of a container: the kernel drops each signal for which process 1 has no handler."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from tests.conftest import Spawn, Spawned, poll_until
from tests.needs import PROCESS_ONE
from tests.process.conftest import children, environment, noted, put

pytestmark = pytest.mark.needs("pid-namespace")

#: stops the start of a command at the import of one of its modules, until the gate is open
STOPS_AT_IMPORT = """\
import os, sys, time

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            open("importing", "w").close()
            while not os.path.exists("gates/go"):
                time.sleep(0.005)

sys.meta_path.insert(0, Finder())
"""


def process_one(spawned: Spawned) -> int:
    """The pid, out here, of what is process 1 in there."""
    return poll_until(lambda: (children(spawned.pid) or [0])[0], what="process 1")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("spoolsim.cli.run", ["run", "--spooler", "spool"]),
        ("spoolsim.cli.run", ["run", "--inline", "--spooler", "spool"]),
        ("spoolsim.cli.exec", ["dev", "--spooler", "spool", "--", "sleep", "600"]),
    ],
)
def test_a_stop_while_it_starts(spawn: Spawn, home: Path, module: str, words: list[str], number: int) -> None:
    """A SIGTERM, or Ctrl-C, that arrives before the command is imported ends it."""
    (home / "site").mkdir()
    (home / "site" / "sitecustomize.py").write_text(STOPS_AT_IMPORT.format(module=module))
    spawned = spawn(
        [*PROCESS_ONE, sys.executable, "-m", "spoolsim", *words],
        cwd=home,
        env=environment(home, {"PYTHONPATH": str(home / "site")}),
    )
    poll_until((home / "importing").exists, what="the import")
    pid = process_one(spawned)

    os.kill(pid, number)
    assert spawned.wait_exit() == 128 + number, spawned.output()
    spawned.assert_nothing_left()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM])
def test_inline_ends_in_a_task(spawn: Spawn, home: Path, number: int) -> None:
    """As `run --inline` does anywhere else; its task stays."""

    (home / "spool").mkdir()
    put(home / "spool", "note('in'); gate('never')")
    words = ["run", "--inline", "--spooler", "spool", "--import", "app"]
    spawned = spawn([*PROCESS_ONE, sys.executable, "-m", "spoolsim", *words], cwd=home, env=environment(home))
    poll_until(lambda: noted(home), what="the task")
    os.kill(process_one(spawned), number)
    assert spawned.wait_exit() == 128 + number, spawned.output()
    spawned.assert_nothing_left()
    assert len(list((home / "spool").glob("uwsgi_spoolfile_on_*"))) == 1
