"""`spoolsim enqueue`: which times it takes."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from spoolsim.cli.commands import commands
from spoolsim.cli.enqueue import when
from spoolsim.errors import UsageError

NOW = 1_000_000_000.75


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("1767225600", 1_767_225_600),
        ("253402300799", 253_402_300_799),
        ("+60", 1_000_000_060),
        ("+0.5", 1_000_000_001),
        ("2026-01-01T12:30", int(time.mktime((2026, 1, 1, 12, 30, 0, 0, 0, -1)))),
    ],
)
def test_a_time(text: str, seconds: int):
    """Epoch seconds, seconds from now, or a local date and time."""
    assert when(text, NOW) == seconds


@pytest.mark.parametrize("text", ["", "soon", "12x", "+", "+nan", "+inf", "9999-99-99", "\u0663"])
def test_what_is_no_time_is_refused(text: str):
    """The error says what is accepted."""
    with pytest.raises(UsageError, match="write epoch seconds"):
        when(text, NOW)


@pytest.mark.parametrize("text", ["253402300800", "1767225600000", "99999999999999999999", "+1e12"])
def test_a_time_that_never_comes_is_refused(tmp_path: Path, text: str):
    """Milliseconds, and what 64 bits cannot hold, which uWSGI reads as now: refused, and nothing is written."""
    with pytest.raises(UsageError, match="behind the year 9999"):
        when(text, NOW)
    result = CliRunner().invoke(commands, ["enqueue", "--spooler", str(tmp_path), "--at", text, "a=1"])
    assert (result.exit_code, os.listdir(tmp_path)) == (2, [])
