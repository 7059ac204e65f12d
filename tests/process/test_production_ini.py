"""A production ini starts on a laptop, with --map for its paths."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

APP = """\
import uwsgi

def handler(env):
    print("ran", env[b"n"].decode(), flush=True)
    return uwsgi.SPOOL_OK

uwsgi.spooler = handler
uwsgi.spool({b"n": b"one"})
"""

INI = """\
[uwsgi]
project = shop
base = /srv/%(project)
master = true
processes = 4
threads = 2
socket = /run/uwsgi/%(project).sock
chmod-socket = 660
uid = www-data
gid = www-data
plugins = python3,syslog
virtualenv = %(base)/venv
chdir = %(base)
pythonpath = %(base)
import = tasks
spooler = %(base)/spool
spooler-processes = 2
spooler_max_tasks = 50
daemonize = /var/log/uwsgi/%(project).log
logto = /var/log/uwsgi/%(project).log
pidfile = /run/uwsgi/%(project).pid
vacuum = true
die-on-term = true
max-requests = 5000
"""


#: what of it a laptop has not, or the spooler does not need
LEFT_OUT = [
    *("chmod-socket", "daemonize", "gid", "logto", "max-requests", "pidfile", "plugins", "socket", "threads", "uid"),
    *("vacuum", "virtualenv (missing)"),
]


def run(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    (home / "tasks.py").write_text(APP)
    (home / "prod.ini").write_text(INI)
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("UWSGI_", "SPOOLSIM"))}
    command = [sys.executable, "-m", "spoolsim", "run", "prod.ini", "--drain", *words]
    return subprocess.run(command, cwd=home, env=environ, capture_output=True, text=True, timeout=300, check=False)


def test_a_production_ini_runs_with_its_paths_mapped(tmp_path: Path):
    """What a laptop has not (users, logs, sockets, plugins, a virtualenv) is left out in one line; the task runs."""
    done = run(tmp_path, "--map", f"/srv/shop={tmp_path}")
    assert done.returncode == 0, done.stderr
    assert "ran one" in done.stderr
    left_out = [line for line in done.stderr.splitlines() if "do not concern the spooler" in line]
    assert len(left_out) == 1
    count, names = re.fullmatch(r".*\] (\d+) options of uWSGI do not concern .*: (.*)", left_out[0]).groups()
    assert names.split(", ") == LEFT_OUT and int(count) == len(LEFT_OUT)
    assert {path.name for path in tmp_path.iterdir()} <= {"__pycache__", "prod.ini", "spool", "tasks.py"}


def test_only_a_key_that_looks_like_an_option_is_noted(tmp_path: Path):
    """spooler_max_tasks has no effect in uWSGI, which is said; placeholders of one's own are nobody's business."""
    notes = [
        line for line in run(tmp_path, "--map", f"/srv/shop={tmp_path}").stderr.splitlines() if "unknown-key" in line
    ]
    assert len(notes) == 1 and "spooler_max_tasks (prod.ini:18)" in notes[0]


def test_set_overrides_the_file(tmp_path: Path):
    """--set key=value wins over the ini."""
    (tmp_path / "other").mkdir()
    done = run(tmp_path, "--map", f"/srv/shop={tmp_path}", "--set", "spooler-processes=1")
    assert done.stderr.count("spawned the uWSGI spooler") == 1


def test_a_virtualenv_that_is_there_is_named_unless_it_is_ours(tmp_path: Path):
    """The app runs in spoolsim's own environment: another one is left out, and said."""
    (tmp_path / "venv").mkdir()
    for home, left_out in ((tmp_path / "venv", True), (Path(sys.prefix), False)):
        done = run(tmp_path, "--map", f"/srv/shop={tmp_path}", "--set", f"virtualenv={home}")
        assert ("virtualenv (missing)" in done.stderr, ", virtualenv\n" in done.stderr) == (False, left_out)


def test_a_map_of_pyproject_holds_for_its_table(tmp_path: Path):
    """`map` in [tool.spoolsim] rewrites the paths of the configuration that the table includes."""
    (tmp_path / "tasks.py").write_text(APP)
    (tmp_path / "prod.ini").write_text(INI)
    table = f'[tool.spoolsim]\nmap = ["/srv/shop={tmp_path}"]\nini = "prod.ini"\ndrain = true\n'
    (tmp_path / "pyproject.toml").write_text(table)
    command = [sys.executable, "-m", "spoolsim", "run"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert "ran one" in done.stderr
