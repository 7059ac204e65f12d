"""Programs from PyPI that read a uWSGI's statistics, unmodified, at our stats socket."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pexpect
import pytest

from tests.conftest import Spawn, Spawned, poll_until

pytestmark = [pytest.mark.clients]

#: collects as the Agent does; the check and its base class are as they came, and what it submits is in their aggregator
DATADOG = """
import sys
from datadog_checks.base.stubs import aggregator
from datadog_checks.uwsgi_stats import UwsgiStatsCheck
UwsgiStatsCheck("uwsgi_stats", {}, [{}]).check({"stats_url": sys.argv[1]})
for name in aggregator.metric_names:
    for metric in aggregator.metrics(name):
        print(name, f"{metric.value:g}", *metric.tags, sep="|")
print("status", *(check.status for check in aggregator.service_checks("uwsgi.can_connect")), sep="|")
"""

#: what a scrape of uwsgi_exporter would answer
EXPORTER = """
import sys
from prometheus_client import CollectorRegistry, generate_latest
from uwsgi_exporter import build_prometheus_stats, get_stats_collector
registry = CollectorRegistry()
registry.register(get_stats_collector(lambda: build_prometheus_stats(sys.argv[1])))
print(generate_latest(registry).decode())
"""


@pytest.fixture(scope="module")
def readers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with uwsgitop, uwsgi_exporter, and datadog-uwsgi-stats with what its base class imports."""
    home = tmp_path_factory.mktemp("readers")
    venv.create(home, with_pip=False, symlinks=True)
    python = str(home / "bin" / "python")
    alone = ["--no-deps", "uwsgitop", "datadog-uwsgi-stats", "datadog-checks-base", "lazy_loader", "packaging"]
    for wanted in (alone, ["uwsgi-exporter", "setuptools"]):
        command = [sys.executable, "-m", "pip", "--python", python, "install", "-q", *wanted]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"{' '.join(wanted)} cannot be installed: {done.stderr.strip().splitlines()[-1]}")
    return home


@pytest.fixture
def served(spawn: Spawn, tmp_path: Path, request: pytest.FixtureRequest) -> tuple[Spawned, Path]:
    """An instance with a stats socket at `s` that has run three tasks, and its directory."""
    (tmp_path / "app.py").write_text("import uwsgi\nuwsgi.spooler = lambda env: uwsgi.SPOOL_OK\n")
    (tmp_path / "sp").mkdir()
    from tests.oracle.packets import packet
    from tests.process.conftest import file

    for _ in range(3):
        file.write(str(tmp_path / "sp"), file.next_name(), packet({b"k": b"v"}))
    options = ["--spooler", "sp", "--import", "app", "--stats", "s", "--stand-in-worker"]
    if request.function is test_uwsgi_exporter:
        options.append("--stats-http")
    process = spawn([sys.executable, "-m", "spoolsim", "run", *options], cwd=tmp_path)
    process.wait_output("done with task", n=3, timeout=20)
    return process, tmp_path


def test_uwsgitop(readers: Path, served: tuple[Spawned, Path]) -> None:
    """uwsgitop shows our master and the stand-in worker on a terminal, in each of its modes, and ends at `q`.

    It shows web workers; of spoolers it knows nothing.
    """
    process, home = served
    argv = [str(readers / "bin" / "uwsgitop"), str(home / "s")]
    # curses believes these two more than the terminal, and readline may have set them in our own environment
    environ = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES")} | {"TERM": "xterm"}
    screen = pexpect.spawn(argv[0], argv[1:], env=environ, dimensions=(40, 250), encoding="utf-8", timeout=300)
    try:
        screen.expect("uwsgi-2.0.31")
        screen.expect(f"masterpid: {process.pid}")
        screen.expect("WID")
        screen.expect("idle")
        for key in "aaaf":
            screen.send(key)
            screen.expect(r"\S")  # curses sends only what has changed on the screen
            assert "Traceback" not in screen.before + screen.after
        screen.send("q")
        screen.expect(pexpect.EOF)  # it ends curses twice, which a newer one takes for an error of its own
    finally:
        screen.close(force=True)
    assert screen.exitstatus == 0
    assert process.stop() == 0


def said(readers: Path, program: str, address: str) -> list[str]:
    """The lines that a program prints of the statistics at an address."""
    command = [str(readers / "bin" / "python"), "-c", program, address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_datadog_uwsgi_stats(readers: Path, served: tuple[Spawned, Path]) -> None:
    """datadog-uwsgi-stats reads our spoolers: the directory, three tasks, no respawn, none running."""
    process, home = served
    resting = f"uwsgi.spooler.running|0|spooler:{home / 'sp'}"

    def at_rest() -> list[str]:
        found = said(readers, DATADOG, f"unix://{home / 's'}")
        return found if resting in found else []

    lines = poll_until(at_rest, 30, "rest")
    assert f"uwsgi.spooler.tasks|3|spooler:{home / 'sp'}" in lines
    assert f"uwsgi.spooler.respawns|0|spooler:{home / 'sp'}" in lines
    assert "uwsgi.workers.total|1" in lines
    assert "status|0" in lines
    assert process.stop() == 0


def test_uwsgi_exporter(readers: Path, served: tuple[Spawned, Path]) -> None:
    """uwsgi_exporter, which asks over HTTP, makes Prometheus metrics of our spoolers."""
    process, home = served
    address = "http+unix://" + str(home / "s").replace("/", "%2F")
    poll_until(lambda: "uwsgi_spoolers_running 0.0" in said(readers, EXPORTER, address), 30, "rest")
    lines = said(readers, EXPORTER, address)
    assert "uwsgi_spoolers_tasks 3.0" in lines
    assert "uwsgi_spoolers_respawns 0.0" in lines
    assert process.stop() == 0
