"""Programs from PyPI that read a uWSGI's statistics, unmodified, at our stats socket."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.conftest import Spawn, Spawned, poll_until

pexpect = pytest.importorskip("pexpect")

pytestmark = [pytest.mark.clients, pytest.mark.timeout(300)]

#: reads the document with datadog-uwsgi-stats' own parser and collects with its own collectors. The Agent's base
#: package, datadog-checks-base, is stood in for by two names; the check's own code, parser and all, is as it came
DATADOG = """
import sys, types
base = types.ModuleType("datadog_checks.base")
class AgentCheck:
    OK, WARNING, CRITICAL, UNKNOWN = range(4)
    def __init__(self, name, init_config, instances): self.instance = instances[0]
    def gauge(self, name, value, tags=()): print("gauge", name, value, *tags, sep="|")
    def monotonic_count(self, name, value, tags=()): print("count", name, value, *tags, sep="|")
    def service_check(self, name, status, tags=(), message=None): print("status", name, status, message, sep="|")
base.AgentCheck = AgentCheck
base.ConfigurationError = type("ConfigurationError", (Exception,), {})
sys.modules["datadog_checks.base"] = base
from datadog_checks.uwsgi_stats import UwsgiStatsCheck
for url in sys.argv[1:]:
    UwsgiStatsCheck("uwsgi_stats", {}, [{}]).check({"stats_url": url})
"""


@pytest.fixture(scope="module")
def readers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with uwsgitop and datadog-uwsgi-stats, without the latter's dependency."""
    home = tmp_path_factory.mktemp("readers")
    venv.create(home, with_pip=False, symlinks=True)
    python = str(home / "bin" / "python")
    wanted = ["--no-deps", "uwsgitop", "datadog-uwsgi-stats", "setuptools"]
    command = [sys.executable, "-m", "pip", "--python", python, "install", "-q", *wanted]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"uwsgitop, datadog-uwsgi-stats cannot be installed: {done.stderr.strip().splitlines()[-1]}")
    return home


@pytest.fixture
def served(spawn: Spawn, tmp_path: Path) -> tuple[Spawned, Path]:
    """An instance with a stats socket at `s` that has run three tasks, and its directory."""
    (tmp_path / "app.py").write_text("import uwsgi\nuwsgi.spooler = lambda env: uwsgi.SPOOL_OK\n")
    (tmp_path / "sp").mkdir()
    from tests.oracle.packets import packet
    from tests.process.conftest import file

    for _ in range(3):
        file.write(str(tmp_path / "sp"), file.next_name(), packet({b"k": b"v"}))
    options = ["--spooler", "sp", "--import", "app", "--stats", "s", "--stand-in-worker"]
    process = spawn([sys.executable, "-m", "spoolsim", "run", *options], cwd=tmp_path)
    process.wait_output("done with task", n=3, timeout=20)
    return process, tmp_path


def test_uwsgitop(readers: Path, served: tuple[Spawned, Path]) -> None:
    """uwsgitop shows our master and the stand-in worker on a terminal, in each of its modes, and ends at `q`.

    It shows web workers; of spoolers it knows nothing.
    """
    process, home = served
    argv = [str(readers / "bin" / "uwsgitop"), str(home / "s")]
    environ = {**os.environ, "TERM": "xterm"}
    screen = pexpect.spawn(argv[0], argv[1:], env=environ, dimensions=(40, 250), encoding="utf-8", timeout=20)
    try:
        screen.expect("uwsgi-2.0.31")
        screen.expect(f"masterpid: {process.pid}")
        screen.expect("WID")
        screen.expect("idle")
        for key in "aaaf":
            screen.send(key)
            screen.expect(r"\d\d:\d\d:\d\d")
        screen.send("q")
        screen.expect(pexpect.EOF)
        assert "Traceback" not in screen.before
    finally:
        screen.close(force=True)
    assert screen.exitstatus == 0
    assert process.stop() == 0


def test_datadog_uwsgi_stats(readers: Path, served: tuple[Spawned, Path]) -> None:
    """datadog-uwsgi-stats reads our spoolers: the directory, three tasks, no respawn, none running."""
    process, home = served
    command = [str(readers / "bin" / "python"), "-c", DATADOG, f"unix://{home / 's'}"]

    def said() -> list[str]:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    tag = f"spooler:{home / 'sp'}"
    lines = poll_until(lambda: (found := said()) and f"gauge|spooler.running|0|{tag}" in found and found, 20, "rest")
    assert f"count|spooler.tasks|3|{tag}" in lines
    assert f"count|spooler.respawns|0|{tag}" in lines
    assert "status|can_connect|0|None" in lines
    assert "gauge|workers.total|1" in lines
    assert process.stop() == 0
