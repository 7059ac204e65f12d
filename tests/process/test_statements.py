"""Production notes about what only real processes show: the reload, the first descriptor, the end."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from tests.conftest import poll_until
from tests.process.conftest import Start

never = threading.Event()

APP = """
import atexit
import socket
import uwsgi

print('LOADED', flush=True)
server = socket.create_server(('127.0.0.1', 0))
connection = socket.create_connection(server.getsockname())


def bye():
    print('BYE', flush=True)


def opens():
    global kept
    kept = socket.socket()
    atexit.register(bye)


uwsgi.post_fork_hook = opens
"""


def test_connections_descriptors_and_the_end(start: Start, home_app: str) -> None:
    """Each is named with what uWSGI would do; the atexit function runs here."""
    it = start(app=home_app + APP)
    it.spawned.wait_output("(descriptor-zero)")
    assert it.output().count("(shared-connection)") == 1
    assert "to 127.0.0.1:" in it.output()
    it.put("note('task')")
    it.wait_runs("task")  # it serves: while it imports it is killed
    assert it.stop() == 0
    assert "(atexit-skipped)" in it.output()
    assert "BYE" in it.output()


def test_a_reload_by_sighup_keeps_no_old_code(start: Start, home_app: str) -> None:
    """uWSGI imports the app again as well, so no note says otherwise."""
    it = start(app=home_app + APP)
    it.spawned.wait_output("(descriptor-zero)")
    os.kill(it.pid, signal.SIGHUP)
    poll_until(lambda: it.output().count("LOADED") == 2, 30, "the second import")
    poll_until(lambda: it.output().count("spawned the uWSGI spooler") == 2, 30, "the new spooler")
    assert it.stop() == 0
    assert "(fresh-code)" not in it.output()


@pytest.mark.parametrize("faithful", [False, True])
def test_without_a_master(start: Start, home: Path, faithful: bool) -> None:
    """As under uWSGI no task runs, with --faithful; without it they run, and a note says so."""
    (home / "c.ini").write_text("[uwsgi]\nmaster = false\n")
    it = start("--ini", "c.ini", "--spooler-frequency", "1", *(["--faithful"] if faithful else []))
    it.put("note('task')")
    if faithful:
        it.spawned.wait_output("master = false (c.ini:2): uWSGI runs no task without a master, and --faithful does")
        it.spawned.wait_output("spawned the uWSGI spooler on dir")
        it.put("note('another')")
        never.wait(3)  # two scans of a spooler that served
        assert it.runs() == []
        assert len(it.tasks()) == 2
    else:
        it.wait_runs("task")
        assert "(no-master)" in it.output()
    it.stop()
