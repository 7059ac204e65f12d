"""Why a task that moves gets a new inode: a real uWSGI that has opened it, and will lock it only later."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from spoolsim.spool.move import Grip, grip, move
from tests.conftest import Spawn, Spawned, poll_until
from tests.faults.strace import available
from tests.process.conftest import APP, children, environment, noted, put

#: microseconds between the opening of the task's file and its lock
DELAY = 5_000_000


def opened(process: Spawned, path: str) -> int:
    """The spooler that has the file open; 0 for none."""
    for pid in process.members():
        for child in (pid, *children(pid)):
            try:
                if any(os.readlink(f"/proc/{child}/fd/{fd}") == path for fd in os.listdir(f"/proc/{child}/fd")):
                    return child
            except OSError:
                continue
    return 0


@pytest.mark.oracle
@pytest.mark.parametrize("how", ["replaced", "moved", "changed"])
def test_real_uwsgi_between_open_and_lock(
    spawn: Spawn, uwsgi_binary: str, home: Path, tmp_path: Path, how: str
) -> None:
    """Replaced by a mere rename, uWSGI runs the old bytes and deletes the new file; moved or changed our way, not."""
    spool = (home / "spool").resolve()
    spool.mkdir()
    (home / "app.py").write_text(APP)
    path = put(spool, "note('run as it was')")
    slow = [available(), "-f", "-qq", "-o", "/dev/null", "-P", path, "-e", f"inject=fcntl:delay_enter={DELAY}"]
    argv = [*slow, uwsgi_binary, "--master", "--spooler", "spool", "--import", "app", "--spooler-frequency", "1"]
    process = spawn([*argv, "--pythonpath", str(home)], cwd=home, env=environment(home), orphans_ok=True)
    poll_until(lambda: opened(process, path), 60, "uWSGI to open the task")
    task = grip(path)
    assert isinstance(task, Grip)
    away = str(tmp_path / "away")
    changed = Path(path).read_bytes().replace(b"run as it was", b"run as it is!")
    if how == "replaced":
        Path(away).write_bytes(changed)
        os.rename(away, path)
        task.close()
    elif how == "moved":
        move(task, away)
    else:
        move(task, path, time.time_ns(), changed)
    if how == "changed":
        poll_until(lambda: noted(home), 60, "the changed task")
        assert noted(home) == ["run as it is!"]
    elif how == "replaced":
        poll_until(lambda: not os.path.exists(path), 60, "the end of the task")
        assert noted(home) == ["run as it was"]
    else:
        later = put(spool, "note('later')")
        poll_until(lambda: not os.path.exists(later), 60, "the next task")
        assert noted(home) == ["later"]
        assert Path(away).read_bytes().endswith(b"note('run as it was')")
        assert "something horrible" not in process.output()
