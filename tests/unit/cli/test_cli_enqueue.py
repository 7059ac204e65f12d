"""`spoolsim enqueue`: which times it takes; `--durable`; and where standard output takes nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from spoolsim.cli.commands import commands
from spoolsim.cli.enqueue import when
from spoolsim.errors import UsageError
from spoolsim.spool import file
from spoolsim.spool.names import PREFIX

ROOT = Path(__file__).resolve().parents[3]
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


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    (tmp_path / "spool").mkdir()
    return tmp_path / "spool"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
@pytest.mark.parametrize("command", ["enqueue", "ls"])
def test_a_standard_output_that_takes_nothing_is_one_line(spool: Path, command: str) -> None:
    """No traceback; a task that was spooled is said to be, so that nobody puts it twice."""
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "spoolsim", command, "--spooler", str(spool)],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    if command == "enqueue":
        (task,) = spool.glob(f"{PREFIX}*")
        assert line == f"[spoolsim] spooled, as {task}; but standard output: No space left on device"
    else:
        assert line == "[spoolsim] standard output: No space left on device"


@pytest.mark.parametrize("durable", [True, False])
def test_durable_is_synced(spool: Path, durable: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only when it is asked for."""
    synced: list[str] = []
    monkeypatch.setattr(file, "sync", synced.append)
    result = CliRunner().invoke(
        commands, ["enqueue", "--spooler", str(spool), *(["--durable"] if durable else []), "a=b"]
    )
    assert result.exit_code == 0
    assert synced == [str(spool)] * durable
