"""A production ini starts on a laptop, with --map for its paths."""

from __future__ import annotations

import os
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


#: what of it acts on tasks or their environment, and is not run here
NOT_RUN = "socket (prod.ini:7), daemonize (prod.ini:19)"


def run(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    (home / "tasks.py").write_text(APP)
    (home / "prod.ini").write_text(INI)
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("UWSGI_", "SPOOLSIM"))}
    command = [sys.executable, "-m", "spoolsim", "run", "prod.ini", "--drain", *words]
    return subprocess.run(command, cwd=home, env=environ, capture_output=True, text=True, timeout=300, check=False)


def test_a_production_ini_runs_with_its_paths_mapped(tmp_path: Path):
    """What is not run here is named in one line, with its places; what has no effect is not; the task runs."""
    done = run(tmp_path, "--map", f"/srv/shop={tmp_path}")
    assert done.returncode == 0, done.stderr
    assert "ran one" in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if "not run here" in line]
    names = line.partition("not run here: ")[2]
    assert sorted(names.split(", ")) == sorted(NOT_RUN.split(", "))
    assert f"virtualenv = {tmp_path}/venv: no such directory here; packages come from {sys.prefix}" in done.stderr
    assert done.stderr.count("(other-user)") == 2
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


def test_a_virtualenv_of_another_python_is_an_error(tmp_path: Path):
    """Its packages cannot be imported here, which is said with both versions; the one that runs spoolsim is taken."""
    home = tmp_path / "venv"
    home.mkdir()
    (home / "pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.8.1\n")
    done = run(tmp_path, "--map", f"/srv/shop={tmp_path}")
    ours = "{}.{}".format(*sys.version_info)
    assert done.returncode == 1
    assert (
        f"virtualenv = {home}: it has Python 3.8, and spoolsim runs on Python {ours}; install spoolsim there"
        in done.stderr
    )
    done = run(tmp_path, "--map", f"/srv/shop={tmp_path}", "--set", f"virtualenv={sys.prefix}")
    assert done.returncode == 0, done.stderr


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
