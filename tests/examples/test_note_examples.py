"""The examples of the page on production notes bring the notes about."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from spoolsim.cli.note_examples import EXAMPLES
from spoolsim.diagnose import BY_CODE

#: examples that are calls in a program, and lines of a configuration
CALLS = (
    "value-cut",
    "priority-path",
    "empty-call",
    "pickle-cut",
    "signal-number",
    "no-cache",
    "no-metrics",
    "at-not-a-number",
    "arguments-dropped",
    "empty-key",
    "priority-unordered",
    "priority-not-number",
)
LINES = ("frequency-zero", "no-master", "version-2.1", "unknown-key", "option-value", "other-user")
SPOOLSIM = (sys.executable, "-m", "spoolsim")
APP = """\
import uwsgi
from uwsgidecorators import spool

@spool(pass_arguments=True)
def resize(data): ...
def handler(number): ...

for call in {calls!r}:
    try:
        exec(call)
    except ValueError as error:
        print(error)
"""


def part(code: str) -> str:
    """The first part of an example that is code."""
    found = re.match("`([^`]+)`", EXAMPLES[code])
    assert found, code
    return found[1]


def said(home: Path, *words: str) -> str:
    """What a command logs."""
    done = subprocess.run([*SPOOLSIM, *words], cwd=home, capture_output=True, text=True, timeout=300, check=True)
    return done.stderr


def test_each_note_has_an_example() -> None:
    """And no example is of a code that is gone."""
    assert set(EXAMPLES) == set(BY_CODE)


def test_calls_bring_their_notes_about(tmp_path: Path) -> None:
    """Of those that a program makes when it enqueues."""
    (tmp_path / "app.py").write_text(APP.format(calls=[part(code) for code in CALLS]))
    log = said(tmp_path, "exec", "--spooler", "spool", "--", sys.executable, "app.py")
    assert [code for code in CALLS if f"({code})" not in log] == []


def test_lines_of_a_configuration_bring_their_notes_about(tmp_path: Path) -> None:
    """Of those that are settings."""
    lines = ["[uwsgi]", "spooler = spool", *map(part, LINES)]
    (tmp_path / "uwsgi.ini").write_text("\n".join([*lines, ""]))
    log = said(tmp_path, "run", "--drain", "uwsgi.ini")
    assert [code for code in LINES if f"({code})" not in log] == []
