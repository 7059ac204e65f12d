"""Third-party packages that use the spooler, unmodified, from PyPI, in a fresh environment with spoolsim installed.

The environment is made once for the session; what cannot be installed is named with its reason at the end.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Spawn, Spawned, poll_until
from tests.needs import note

ROOT = Path(__file__).parents[2]
APPS = Path(__file__).parent / "apps"

#: client -> what is installed for it. Without their own dependencies: those of two ask for uWSGI itself, and one for
#: psycopg2, which have to be compiled; what they need besides, said or not (pytz), is named
CLIENTS = {
    "uwsgi-tasks": ("six",),
    "uwsgiconf": (),
    "django-uwsgi-taskmanager": ("django", "asgiref", "sqlparse", "pytz", "file-read-backwards"),
    "djcall": ("django", "asgiref", "sqlparse", "django-picklefield", "jsonlight", "psycopg2-binary"),
    "django-uwsgi-mail": ("django", "asgiref", "sqlparse"),
    "django-uwsgi-ng": ("django", "asgiref", "sqlparse", "six"),
}


#: client -> the Django application it is
APPLICATIONS = {"django-uwsgi-taskmanager": "taskmanager", "djcall": "djcall", "django-uwsgi-ng": "django_uwsgi"}

#: client -> why none of its own tasks runs, for the summary
REASONS = {
    "django-uwsgi-mail": "it imports cPickle, or else Pickle, and no Python 3 has either",
    "django-uwsgi-ng": "that is a task of the test's own; its mail fails on Python 3, under uWSGI too",
}


class Environment:
    """A fresh virtual environment with spoolsim and the clients. missing: client -> why it is not there."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.python = home / "bin" / "python"
        self.missing: dict[str, str] = {}
        self.versions: dict[str, str] = {}
        venv.create(home, with_pip=False, symlinks=True)
        self._pip(str(ROOT))
        wanted = {*CLIENTS, *(name for names in CLIENTS.values() for name in names)}
        if self._pip("--no-deps", *sorted(wanted)):
            for client, names in CLIENTS.items():
                if why := self._pip("--no-deps", client, *names):
                    self.missing[client] = why
        code = "import importlib.metadata as m\nfor d in m.distributions(): print(d.name, d.version)"
        listed = subprocess.run([self.python, "-c", code], capture_output=True, text=True, check=True)
        self.versions = dict(line.split() for line in listed.stdout.lower().replace("_", "-").splitlines())

    def _pip(self, *words: str) -> str:
        """Install; returns '' or the last line that pip said."""
        command = [sys.executable, "-m", "pip", "--python", str(self.python), "install", "-q", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
        return "" if not done.returncode else (errors or ["pip failed"])[-1]


class Client:
    """One client's own working directory, with the spool directory `sp`."""

    def __init__(self, name: str, environment: Environment, home: Path, spawn: Spawn) -> None:
        self.name = name
        self.environment = environment
        self.home = home
        self.spawn = spawn
        self.running: Spawned | None = None
        #: tasks that ran to their end
        self.done = 0

    def _words(self, *words: str) -> list[str]:
        return [str(self.environment.python), "-m", "spoolsim", *words]

    def environ(self) -> dict[str, str]:
        """The environment of its programs."""
        keep = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "UWSGI_"))}
        django = {"DJANGO_SETTINGS_MODULE": "settings", "APPLICATION": APPLICATIONS.get(self.name, "")}
        return {**keep, **django, "PYTHONPATH": str(self.home)}

    def run(self, *options: str) -> Spawned:
        """`spoolsim run` of the client's app."""
        words = self._words("run", "--spooler", "sp", "--pythonpath", str(self.home), *options)
        self.running = self.spawn(words, cwd=self.home, env=self.environ())
        self.running.wait_output("spawned the uWSGI spooler", timeout=300)
        return self.running

    def execute(self, code: str) -> str:
        """What a program prints under `spoolsim exec`; fails the test when it fails."""
        python = str(self.environment.python)
        words = self._words("exec", "--spooler", "sp", "--spooler-ordered", "--", python, "-c", code)
        done = subprocess.run(
            words, cwd=self.home, env=self.environ(), capture_output=True, text=True, timeout=300, check=False
        )
        if done.returncode:
            pytest.fail(f"{code}\nended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def notes(self) -> list[str]:
        """What the tasks wrote down."""
        try:
            return (self.home / "notes").read_text().splitlines()
        except FileNotFoundError:
            return []

    def wait_notes(self, *expected: str, timeout: float = 20) -> None:
        """Wait until the tasks have written exactly these lines down, in any order."""
        poll_until(
            lambda: len(self.notes()) >= len(expected), timeout, f"{len(expected)} notes; there are {self.notes()}"
        )
        assert sorted(self.notes()) == sorted(expected)

    def summary(self) -> str:
        """The client's name and version, and how many of its tasks ran."""
        versions = self.environment.versions
        django = f" on Django {versions['django']}" if "django" in CLIENTS[self.name] else ""
        tasks = f"{self.done} task{'' if self.done == 1 else 's'} run"
        return (
            f"{self.name} {versions[self.name]}{django}: {tasks}{f': {why}' if (why := REASONS.get(self.name)) else ''}"
        )

    def finish(self) -> None:
        """Stop it, and count; a client that ran nothing must have a reason."""
        if self.running is not None:
            self.running.stop()
            done = self.running.output().count("done with task")
            assert done or self.name in REASONS, f"{self.name}: no task ran"
            self.done = done


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """The environment of all clients."""
    return Environment(tmp_path_factory.mktemp("clients"))


@pytest.fixture
def client(
    environment: Environment, tmp_path: Path, spawn: Spawn, request: pytest.FixtureRequest
) -> Iterator[Callable[[str], Client]]:
    """`client(name)`: the client in a directory of its own, with the files of `apps/`; skipped when it is missing."""
    made: list[Client] = []

    def make(name: str) -> Client:
        if name in environment.missing:
            pytest.skip(f"{name} cannot be installed: {environment.missing[name]}")
        home = tmp_path / "home"
        shutil.copytree(APPS, home)
        (home / "sp").mkdir()
        made.append(Client(name, environment, home, spawn))
        return made[-1]

    yield make
    for one in made:
        one.finish()
        note(request.node, "clients", one.summary())
