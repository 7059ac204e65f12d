"""`spoolsim enqueue` and `tasks` where standard output takes nothing; `--durable`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from spoolsim.cli.enqueue import enqueue
from spoolsim.spool import file
from spoolsim.spool.names import PREFIX

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    (tmp_path / "spool").mkdir()
    return tmp_path / "spool"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
@pytest.mark.parametrize("command", ["enqueue", "tasks"])
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
    result = CliRunner().invoke(enqueue, ["--spooler", str(spool), *(["--durable"] if durable else []), "a=b"])
    assert result.exit_code == 0
    assert synced == [str(spool)] * durable
