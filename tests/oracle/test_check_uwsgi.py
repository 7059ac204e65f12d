"""What `spoolsim check` says that uWSGI does: the real one does it."""

from __future__ import annotations

from pathlib import Path

import pytest

from spoolsim.config.check import check
from spoolsim.config.readers import gather
from spoolsim.spool.packet import encode
from tests.conftest import Spawn, poll_until
from tests.oracle.sessions import sleeps

JOB = """\
import uwsgi
from uwsgidecorators import spool

@spool
def job(arguments):
    print("job ran", flush=True)
    return uwsgi.SPOOL_OK
"""
TIMED = "from uwsgidecorators import timer\n\n@timer(60, target='spooler')\ndef tick(number): ...\n\n" + JOB
MULE = JOB + "\nfrom uwsgidecorators import mule\n\n@mule(1)\ndef producer():\n    print('producer ran', flush=True)\n"

#: code of the finding -> configuration, tasks.py, what the real one prints, what it never prints
STAGED: dict[str, tuple[str, str, str, str]] = {
    "import-missing a module": (
        "spooler = %dsp\nimport = nosuchmodule\nspooler-import = tasks",
        JOB,
        "No module named 'nosuchmodule'",
        "",
    ),
    "import-missing a path without .py": (
        "spooler = %dsp\nspooler-import = %dtasks",
        JOB,
        "failed to open python file",
        "job ran",
    ),
    "no-spooler": (
        "spooler-external = %dsp\nimport = tasks",
        JOB,
        "you have to enable the uWSGI spooler",
        "job ran",
    ),
    "registers-in-spooler": (
        "spooler = %dsp\nlazy-apps = true\nspooler-import = tasks",
        TIMED,
        "unable to register signal",
        "job ran",
    ),
    "mule-missing": ("spooler = %dsp\nimport = tasks", MULE, "job ran", "producer ran"),
    "comment-in-value a module": (
        "spooler = %dsp\nspooler-import = tasks  # the handlers",
        JOB,
        "No module named 'tasks  # the handlers'",
        "job ran",
    ),
    "comment-in-value a directory": (
        "spooler = %dsp  ; the tasks\nimport = tasks",
        JOB,
        "sp  ; the tasks with pid",
        "job ran",  # the task waits in `sp`
    ),
}


@pytest.mark.oracle
@pytest.mark.parametrize("name", STAGED)
def test_what_a_finding_says_is_what_uwsgi_does(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uwsgi_binary: str, spawn: Spawn
):
    """The finding is made, and the real uWSGI shows it; a task that waits runs or does not, as it says."""
    config, tasks, printed, never = STAGED[name]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sp").mkdir()
    (tmp_path / "sp" / "uwsgi_spoolfile_on_test_1_1_1_1_1").write_bytes(encode([(b"ud_spool_func", b"job")]))
    (tmp_path / "tasks.py").write_text(tasks)
    (tmp_path / "u.ini").write_text(f"[uwsgi]\nmaster = true\ndie-on-term = true\nspooler-frequency = 1\n{config}\n")
    assert name.partition(" ")[0] in {finding.code for finding in check(gather(["u.ini"], {}), str(tmp_path))}

    real = spawn([uwsgi_binary, "u.ini"], cwd=tmp_path)
    real.wait_output(printed)
    real.wait_output("spawned uWSGI master")
    poll_until(lambda: sleeps(real.pid), what="its master's loop: a signal that comes before is lost")
    if "spooler-external" not in config:
        # the first scan is over when the task is done, or refused
        refused = ("KeyError", "unable to find the spooler function", "job ran")
        if "directory" not in name:
            poll_until(lambda: any(text in real.output() for text in refused), what=f"a scan; {real.output()}")
    real.stop()
    assert not never or never not in real.output()
