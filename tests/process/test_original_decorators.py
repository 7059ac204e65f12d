"""The `uwsgidecorators` of PyPI's uwsgi package, unmodified, over our `uwsgi`."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

APP = """\
import os
import uwsgi
from original import *

def note(*words):
    with open(os.path.join(HOME, "notes"), "a") as file:
        file.write(" ".join(map(str, words)) + chr(10))
HOME = os.getcwd()

@spool
def plain(arguments):
    note("plain", arguments["word"], arguments.get("body"), "spooler_task_name" in arguments)

@spoolraw
def raw(arguments):
    note("raw", arguments["word"])
    return uwsgi.SPOOL_OK

@spool(pass_arguments=True)
def passed(first, *rest, **named):
    note("passed", first, rest, sorted(named.items()))

@spoolforever
def again(arguments):
    note("again")

@spool
def fails(arguments):
    note("fails")
    raise KeyError("on purpose")

@postfork
def forked():
    if uwsgi.i_am_the_spooler():
        note("postfork")

@timer(1, target="spooler")
def tick(number):
    note("tick", number)

@lock
def locked():
    return "locked"

note("locked", locked())
note("kinds", type(plain(word="one", body=b"text")).__name__, type(raw.spool({"word": "two"})).__name__)
passed(1, 2.5, named={"x": None})
again()
fails()
try: plain(word=5)
except Exception as error: note("error", repr(error))
"""


@pytest.mark.oracle
def test_it_does_the_same_under_uwsgi_and_here(spawn: Any, wait_for: Any, uwsgi_binary: str, tmp_path: Path):
    """Tasks of all kinds, retries, arguments, hooks, timers and locks note the same lines on both sides."""
    places = (Path(uwsgi_binary).parent, Path(sysconfig.get_path("purelib")))
    original = next(path for place in places if (path := place / "uwsgidecorators.py").exists())
    ours = [sys.executable, "-m", "spoolsim", "run", "--faithful"]
    notes: dict[str, set[str]] = {}
    for side, start in (("uwsgi", [uwsgi_binary]), ("spoolsim", ours)):
        home = tmp_path / side
        (home / "sp").mkdir(parents=True)
        (home / "app.py").write_text(APP)
        (home / "original.py").write_bytes(original.read_bytes())
        options = ("--master", "--spooler", "sp", "--spooler-frequency", "1", "--pythonpath", ".", "--import", "app")
        process = spawn([*start, *options], cwd=home)

        def lines(home: Path = home) -> list[str]:
            return (home / "notes").read_text().splitlines() if (home / "notes").exists() else []

        wait_for(lambda: min(map(lines().count, ("again", "fails", "tick 0"))) >= 2, 20, "two rounds")
        process.stop()
        notes[side] = set(lines())
    assert notes["spoolsim"] == notes["uwsgi"]
    assert len(notes["uwsgi"]) == 10
