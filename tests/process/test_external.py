"""An external spooler: enqueued to here, served by another instance, of ours or of the real uWSGI."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.conftest import Spawn
from tests.process.conftest import Start, environment


@pytest.mark.oracle
@pytest.mark.parametrize("server", ["spoolsim", "uwsgi"])
def test_served_by_another_instance(
    start: Start, spawn: Spawn, home: Path, request: pytest.FixtureRequest, server: str
) -> None:
    """The task stays until the other instance serves the directory, and is run there, once, never here."""
    it = start("--spooler-external", "out")
    out = home / "out"
    code = f"uwsgi.spool({{b'spooler': {os.fsencode(out)!r}, b'code': b'note(\"ran\", os.getppid())'}})"
    it.put(f"{code}; note(len(uwsgi.spoolers), uwsgi.spooler_pids().count(0))")
    it.wait_runs("2 1")
    assert len(it.tasks(out)) == 1
    if server == "spoolsim":
        other = start(spools=("out",))
        other.wait_empty()
        (parent,) = other.fork_servers()
        assert other.stop() == 0
    else:
        uwsgi = request.getfixturevalue("uwsgi_binary")
        argv = [uwsgi, "--master", "--spooler", "out", "--import", "app", "--pythonpath", str(home)]
        process = spawn(argv, cwd=home, env=environment(home))
        it.wait_count(2)
        parent = process.pid
        process.wait_output("done with task", timeout=20)
        process.stop()
    assert [line for line in it.runs() if line.startswith("ran")] == [f"ran {parent}"]
    assert it.tasks(out) == []
    assert it.stop() == 0
