"""Systems that lack what spoolsim likes to have: Python without `_ctypes`, no /proc, no inotify. It polls instead.

A `sitecustomize` in every Python of the run hides each of them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import poll_until
from tests.process.conftest import Instance, Start

HIDE = {
    "_ctypes": """
import sys
class NoCtypes:
    def find_spec(self, name, path=None, target=None):
        if name == "_ctypes":
            raise ModuleNotFoundError("No module named '_ctypes'", name=name)
sys.meta_path.insert(0, NoCtypes())
""",
    "proc": """
import builtins, io, os
real_open, real_os_open = builtins.open, os.open
def missing(path):
    if isinstance(path, (str, bytes)) and os.fsdecode(path).startswith("/proc"):
        raise FileNotFoundError(2, "No such file or directory", path)
def no_open(file, *rest, **more):
    missing(file)
    return real_open(file, *rest, **more)
def no_os_open(path, *rest, **more):
    missing(path)
    return real_os_open(path, *rest, **more)
builtins.open = io.open = no_open
os.open = no_os_open
""",
    "inotify": """
import _ctypes
real = _ctypes.dlsym
def dlsym(library, name):
    if name.startswith("inotify"):
        raise OSError("undefined symbol: " + name)
    return real(library, name)
_ctypes.dlsym = dlsym
""",
}


@pytest.fixture(params=HIDE)
def system(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """The environment in which every Python lacks it."""
    place = tmp_path / "system"
    place.mkdir()
    (place / "sitecustomize.py").write_text(HIDE[request.param])
    return {"PYTHONPATH": str(place)}


@pytest.fixture
def home_app(home_app: str) -> str:
    """The app without its own use of ctypes."""
    return home_app.replace("import ctypes, ", "import ")


def answered_by(it: Instance, version: str) -> None:
    """Wait until a task is run by this version of the code."""

    def asked() -> bool:
        it.put("note('version', VERSION)")
        return f"version {version}" in it.runs()

    poll_until(asked, 60, f"the version {version}; the output was:\n{it.output()[-2000:]}")


@pytest.mark.parametrize(
    "options", [("--touch-spoolers-reload", "touched"), ("--watch", "."), ("--py-autoreload", "1")], ids=lambda o: o[0]
)
def test_tasks_run_and_code_is_reloaded(
    start: Start, home_app: str, system: dict[str, str], options: tuple[str, ...]
) -> None:
    """Tasks are found, and each way to reload brings the new code."""
    it = start(*options, "--spooler-frequency", "1", app=home_app + "VERSION = 'one'\n", env=system)
    answered_by(it, "one")
    (it.home / ".app.new").write_text(home_app + "VERSION = 'two'\n")
    os.rename(it.home / ".app.new", it.home / "app.py")
    (it.home / "touched").touch()
    answered_by(it, "two")
    assert "Traceback" not in it.output()
    assert it.stop() == 0


def test_a_file_monitor_fires(start: Start, home_app: str, system: dict[str, str]) -> None:
    """uwsgi.add_file_monitor() works too."""
    app = home_app + (
        "(lambda: open('seen', 'w').close())()\n"
        "uwsgi.register_signal(7, 'spooler', lambda number: note('signal', number))\n"
        "uwsgi.add_file_monitor(7, os.path.abspath('seen'))\n"
    )
    it = start("--spooler-frequency", "1", app=app, env=system)

    def fired() -> bool:
        (it.home / "seen").write_text(os.urandom(8).hex())
        return "signal 7" in it.runs()

    poll_until(fired, 60, "the signal")
    assert it.stop() == 0


def test_enqueue_tasks_and_inline(tmp_path: Path, system: dict[str, str]) -> None:
    """The other commands do without it."""
    (tmp_path / "app.py").write_text(
        "import uwsgi\nuwsgi.spooler = lambda env: (print(env[b'n'], uwsgi.mem(), flush=True), uwsgi.SPOOL_OK)[1]\n"
    )

    def command(*argv: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "spoolsim", *argv],
            cwd=tmp_path,
            env={**os.environ, **system},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
        return done.stdout

    (tmp_path / "spool").mkdir()
    command("enqueue", "--spooler", "spool", "n=1")
    assert command("ls", "--spooler", "spool").strip()
    command("run", "--inline", "--drain", "--spooler", "spool", "--import", "app")
    assert list((tmp_path / "spool").glob("uwsgi*")) == []
