"""Production notes about what only real processes show: the reload, the first descriptor, the end."""

from __future__ import annotations

import os
import signal

from tests.conftest import poll_until
from tests.process.conftest import Start

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
