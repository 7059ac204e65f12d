"""Every folder of examples/ does what it says."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from spoolsim.config.readers import gather
from spoolsim.options import build

EXAMPLES = Path(__file__).parents[2] / "examples"
SPOOLSIM = [sys.executable, "-m", "spoolsim"]
#: those that other tests run
ELSEWHERE = {"quickstart", "pytest_project"}


@pytest.fixture
def example(tmp_path: Path) -> Callable[[str], Path]:
    """`example(name)`: a fresh copy of a folder."""

    def copy(name: str) -> Path:
        home = tmp_path / name
        shutil.copytree(
            EXAMPLES / name, home, ignore=shutil.ignore_patterns("__pycache__", "spool", "*.db", "done.txt")
        )
        return home

    return copy


def environ() -> dict[str, str]:
    """Without what the test run itself has in its environment; the scripts of this Python first on the path."""
    keep = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "UWSGI_", "DJANGO_"))}
    return {**keep, "PATH": os.pathsep.join([os.path.dirname(sys.executable), keep["PATH"]])}


def run(home: Path, *words: str, status: int = 0) -> str:
    """What a command prints, both streams; fails unless it ends with `status`."""
    done = subprocess.run(
        words,
        cwd=home,
        env=environ(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == status, done.stdout
    return done.stdout


#: folder -> lines that enqueuing prints, lines that the drain prints in this order, exit status of the drain
DRAINED: dict[str, tuple[list[str], list[str], int]] = {
    "decorators": ([], ["hello world", "decided about lunch"], 0),
    "raw_handler": (
        ["spooler callable dictionary must contains only bytes"],
        ["mail to a@example.org", "not yet"],
        1,  # a task is left
    ),
    "large_bodies": (["unable to spool job"], [r"picture: 1048576 bytes, from b'\x00\x01\x02'"], 0),
    "priorities": ([], ["ran first", "ran second", "ran last: no priority"], 0),
    "pass_arguments": ([], ["Thursday: 6"], 0),
    "several_spoolers": ([], ["film ran in slow", "photo ran in fast"], 0),
}


@pytest.mark.parametrize("name", DRAINED)
def test_enqueue_and_drain(example: Callable[[str], Path], name: str):
    """`spoolsim exec uwsgi.ini -- python put.py`, then `spoolsim run uwsgi.ini --drain`: each task is seen to run."""
    said, expected, status = DRAINED[name]
    home = example(name)
    enqueued = run(home, *SPOOLSIM, "exec", "uwsgi.ini", "--", "python", "put.py")
    for line in said:
        assert line in enqueued
    drained = run(home, *SPOOLSIM, "run", "uwsgi.ini", "--drain", status=status).splitlines()
    found = [line for line in drained if line in expected]
    assert set(found) == set(expected)
    if name == "priorities":
        assert found == expected
        assert len(list((home / "spool").glob("uwsgi_spoolfile_on_*"))) == 1  # tomorrow's


def test_an_app_that_needs_no_uwsgi(example: Callable[[str], Path]):
    """Without spoolsim it does the work itself; under exec it spools, and the spooler works."""
    home = example("optional_uwsgi")
    assert run(home, "python", "app.py") == "worked for you\nrequested\n"
    assert "worked" not in run(home, *SPOOLSIM, "exec", "uwsgi.ini", "--", "python", "app.py")
    assert "worked for you" in run(home, *SPOOLSIM, "run", "uwsgi.ini", "--drain").splitlines()


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class Site:
    """A development server on loopback."""

    def __init__(self, port: int, wait_for: Any) -> None:
        self.base = f"http://127.0.0.1:{port}"
        self.wait_for = wait_for

    def get(self, path: str) -> Any:
        """The body of an answer, decoded when it is JSON; None without an answer."""
        return self._ask(path, None)

    def post(self, path: str, data: bytes) -> Any:
        """The same of a POST."""
        return self._ask(path, data)

    def _ask(self, path: str, data: bytes | None) -> Any:
        try:
            with urllib.request.urlopen(self.base + path, data, timeout=300) as answer:
                body = answer.read().decode()
                return json.loads(body) if answer.headers.get_content_type() == "application/json" else body
        except urllib.error.HTTPError as error:
            error.close()
            return error.code
        except (urllib.error.URLError, ConnectionError):
            return None

    def up(self, path: str) -> None:
        """Wait until it answers."""
        self.wait_for(lambda: self.get(path) is not None, 30, "an answer")


@pytest.mark.parametrize("name", ["flask", "django"])
def test_a_site_under_dev(example: Callable[[str], Path], spawn: Any, wait_for: Any, name: str):
    """`spoolsim dev`: a request enqueues, the task runs, the effect is seen over HTTP; Ctrl-C ends all of it."""
    home = example(name)
    port = free_port()
    command = {
        "flask": ["flask", "--app", "shop", "run", "--port", str(port)],
        "django": ["python", "manage.py", "runserver", str(port)],
    }[name]
    if name == "django":
        run(home, *SPOOLSIM, "exec", "uwsgi.ini", "--", "python", "manage.py", "migrate", "--verbosity", "0")
    process = spawn([*SPOOLSIM, "dev", "uwsgi.ini", "--", *command], cwd=home, env=environ())
    site = Site(port, wait_for)
    site.up("/nothing")
    process.wait_output("spawned the uWSGI spooler", timeout=20)
    number = site.post("/orders", urllib.parse.urlencode({"item": "book"}).encode())["id"]
    packed = {"item": "book", "state": "packed"}
    wait_for(lambda: site.get(f"/orders/{number}") == packed, 20, f"the packed order;\n{process.output()}")
    process.stop(signal.SIGINT, 15)
    assert site.get("/nothing") is None
    lines = process.output().splitlines()
    assert any(line.startswith("spooler") and "done with task" in line for line in lines)


def test_wsgi_under_dev(example: Callable[[str], Path], spawn: Any, wait_for: Any):
    """The same of the application without a framework."""
    home = example("wsgi")
    port = free_port()
    command = [*SPOOLSIM, "dev", "uwsgi.ini", "--", "python", "app.py", str(port)]
    process = spawn(command, cwd=home, env=environ())
    site = Site(port, wait_for)
    site.up("/")
    assert site.post("/", b"hello") == "spooled\n"
    wait_for(lambda: site.get("/") == "HELLO\n", 20, f"the effect;\n{process.output()}")
    process.stop(signal.SIGINT, 15)


def test_the_spooler_of_django_has_a_connection_of_its_own(example: Callable[[str], Path]):
    """A connection opened at import time is not the one that a task uses; without the hook it would be."""
    home = example("django")
    probe = (
        "\nfrom django.db import connections\nopened = id(connections['default'].connection)\n"
        "@spool\ndef compare(arguments):\n"
        "    connections['default'].ensure_connection()\n"
        "    print('same connection:', id(connections['default'].connection) == opened, flush=True)\n"
        "compare(a='b')\n"
    )
    tasks = home / "shop" / "tasks.py"
    tasks.write_text(tasks.read_text() + "kept = connections['default'].connection\n" + probe)
    assert "same connection: False" in run(home, *SPOOLSIM, "run", "uwsgi.ini", "--drain")
    shutil.rmtree(home / "spool")
    tasks.write_text(tasks.read_text().replace("    connections.close_all()\n", "    pass\n"))
    assert "same connection: True" in run(home, *SPOOLSIM, "run", "uwsgi.ini", "--drain")


def test_what_the_example_says_of_old_connections_is_true(example: Callable[[str], Path]):
    """close_old_connections() leaves a transaction its connection, as tests have one, and closes it elsewhere."""
    home = example("django")
    code = (
        "import shop.wsgi\nfrom django.db import close_old_connections, connection, transaction\n"
        "with transaction.atomic():\n"
        "    before = connection.connection\n    close_old_connections()\n"
        "    print('kept', connection.connection is before is not None)\n"
        "close_old_connections()\nprint('closed', connection.connection is None)\n"
    )
    said = run(home, *SPOOLSIM, "exec", "uwsgi.ini", "--", "python", "-c", code)
    assert said.splitlines() == ["kept True", "closed True"]


def test_the_compose_file_is_well_formed(example: Callable[[str], Path]):
    """Services have a command that spoolsim understands, share a declared volume, and map it where the app spools."""
    home = example("docker_compose")
    compose = yaml.safe_load((home / "compose.yaml").read_text())
    assert set(compose) == {"services", "volumes"}
    for service in compose["services"].values():
        assert service["build"] == "."
        assert set(service) <= {"build", "command", "init", "ports", "restart", "stop_grace_period", "volumes"}
        volume, target = service["volumes"][0].split(":")
        assert volume in compose["volumes"]
        words = service["command"].split()
        assert words[:1] == ["spoolsim"]
        ours = words[2 : words.index("--") if "--" in words else len(words)]
        before = os.getcwd()
        os.chdir(home)
        try:
            options = build(gather(ours, {}))
        finally:
            os.chdir(before)
        workdir = next(line.split()[1] for line in (home / "Dockerfile").read_text().splitlines() if "WORKDIR" in line)
        assert [path.replace(str(home), workdir) for path, _ in options.spoolers] == [target]


def test_the_launch_file_starts_the_spooler(example: Callable[[str], Path]):
    """VS Code's launch configurations run spoolsim inline, with options it understands; the task runs."""
    home = example("vscode")
    launch = json.loads((home / ".vscode" / "launch.json").read_text())
    assert [one["args"][:2] for one in launch["configurations"]] == [["run", "--inline"]] * 2
    (home / "spool").mkdir()
    run(home, *SPOOLSIM, "enqueue", "--spooler", "spool", "name=you")
    drain = launch["configurations"][1]
    assert "hello you" in run(home, sys.executable, "-m", drain["module"], *drain["args"]).splitlines()


def test_every_folder_has_a_test():
    """No example is without a test, and the list of them is complete."""
    folders = {path.name for path in EXAMPLES.iterdir() if path.is_dir() and path.name != "__pycache__"}
    tested = {*DRAINED, *ELSEWHERE, "optional_uwsgi", "flask", "django", "wsgi", "docker_compose", "vscode"}
    assert folders == tested
    listed = (EXAMPLES / "README.md").read_text()
    assert all(f"| `{folder}` |" in listed for folder in folders)
