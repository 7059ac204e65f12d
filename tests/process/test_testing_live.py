"""LiveSpooler: a real instance for tests, and what it leaves behind: nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from spoolsim.errors import HarnessError, TaskTimeout
from spoolsim.testing import LiveSpooler

APP = """
import os, time
import uwsgi

def handler(env):
    if b"wait" in env:
        time.sleep(float(env[b"wait"]))
    with open(os.path.join(HERE, "ran"), "a") as file:
        file.write(f"{os.getpid()} {env[b'n'].decode()}\\n")
    return uwsgi.SPOOL_OK

uwsgi.spooler = handler
"""


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (tmp_path / "live_app.py").write_text(f"HERE = {str(tmp_path)!r}\n{APP}")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "live_app"
    sys.modules.pop("live_app", None)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_tasks_run_in_real_processes(app: str, tmp_path: Path) -> None:
    """Tasks spooled in the test run in other processes; after `stop` none of these is alive, and the status is 0."""
    with LiveSpooler(app, {"spooler_processes": 2}, directory=tmp_path / "spool") as live:
        for n in range(5):
            live.spool({"n": str(n)})
        live.assert_spooled(times=5)
        live.drain()
        pids = live.pids
        assert len(pids) == 2
        ran = [line.split() for line in (tmp_path / "ran").read_text().splitlines()]
        assert sorted(n for _, n in ran) == list("01234")
        assert {int(pid) for pid, _ in ran} <= set(pids)
        assert os.getpid() not in pids
        assert live.stop() == 0
    assert not any(alive(pid) for pid in [*pids, live.process.pid])
    assert "uwsgi" not in sys.modules


def test_waiting_in_vain_shows_the_state(app: str, tmp_path: Path) -> None:
    """A wait that ends at its limit raises an error that holds the tasks that are left and the log."""
    with LiveSpooler(app, directory=tmp_path / "spool") as live:
        live.spool({"n": "1", "wait": "30"})
        live.wait_log("managing request")
        with pytest.raises(TaskTimeout, match=r"(?s)in vain for the end of all tasks.*task\(n='1'.*managing request"):
            live.drain(timeout=0.5)
        live.stop(timeout=0)


def test_an_instance_that_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An app that cannot be imported is an error with the log of the instance, or the import's own."""
    (tmp_path / "live_bad.py").write_text(
        "import uwsgi\nif uwsgi.worker_id() == 0: raise RuntimeError('no such table')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises((HarnessError, RuntimeError), match="no such table"):
        LiveSpooler("live_bad", directory=tmp_path / "spool")
    assert "uwsgi" not in sys.modules


def test_a_handler_is_no_app_for_processes(tmp_path: Path) -> None:
    """A function of the test cannot be handed to real processes: the error says what can."""
    with pytest.raises(HarnessError, match="give a module or its name"):
        LiveSpooler(lambda env: -2, directory=tmp_path / "spool")


def test_new_code_after_reload(app: str, tmp_path: Path) -> None:
    """`reload` returns when processes with the new code serve."""
    with LiveSpooler(app, directory=tmp_path / "spool") as live:
        text = (tmp_path / "live_app.py").read_text()
        (tmp_path / "live_app.py").write_text(text.replace("{env[b'n'].decode()}", "new"))
        live.reload()
        live.spool({"n": "old"})
        live.drain()
    assert (tmp_path / "ran").read_text().split()[1] == "new"


def test_an_app_that_only_its_processes_cannot_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error comes at once, not after the time-out, with the log; what the app prints is not taken for it."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "half_app.py").write_text("import sys\nprint('nothing runs yet; ')\nsys.modules['pytest']\n")
    with pytest.raises(HarnessError, match=r"the instance does not start(.|\n)*KeyError: 'pytest'"):
        LiveSpooler("half_app", directory=tmp_path / "bad", timeout=300)
    (tmp_path / "whole_app.py").write_text("print('nothing runs yet; ')\n")
    with LiveSpooler("whole_app", directory=tmp_path / "good") as live:
        assert "nothing runs yet; " in live.output
