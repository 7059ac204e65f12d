"""How an instance is started: the real uWSGI, or spoolsim with the same long options."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import threading
import time
from collections.abc import Iterable

#: One uWSGI option: a flag, or a name with its value.
Option = str | tuple[str, object]


_never = threading.Event()


class NoOracle(Exception):
    """No usable uWSGI was found; the message says in one line what to do."""


def find_uwsgi() -> str:
    """Return the path of the real uWSGI: $ORACLE_UWSGI, else beside this Python, else on PATH.

    Waits while `python -m tests` builds it beside the tests. Raises NoOracle where there is none, or one that is not
    of the 2.0 line.
    """
    _await_build()
    named = os.environ.get("ORACLE_UWSGI")
    beside = os.path.join(os.path.dirname(sys.executable), "uwsgi")
    scripts = os.path.join(sysconfig.get_path("scripts"), "uwsgi")
    found = named or next((p for p in (beside, scripts) if os.access(p, os.X_OK)), None) or shutil.which("uwsgi")
    hint = "run `python -m tests`, which installs it, or `pip install uwsgi==2.0.31`, or set ORACLE_UWSGI"
    if not found or not os.access(found, os.X_OK):
        raise NoOracle(f"no real uWSGI to compare with{f' at {found}' if found else ''}: {hint}")
    version = uwsgi_version(found)
    if not re.match(r"2\.0\.\d+", version):
        raise NoOracle(f"{found} is uWSGI {version or '(no version printed)'}, the recorded answers are of 2.0: {hint}")
    return found


#: The environment variable with the path of a file that is there while the oracle is built.
BUILDING = "ORACLE_BUILDING"


def _await_build() -> None:
    """Wait while the oracle is built; raises NoOracle where that has no end."""
    path = os.environ.get(BUILDING)
    end = time.monotonic() + 480
    while path and os.path.exists(path):
        if time.monotonic() > end:
            raise NoOracle("the build of uWSGI has no end: see above what pip said")
        _never.wait(0.1)


def uwsgi_version(binary: str) -> str:
    """Return the first line that `binary --version` prints, without the line end."""
    # a copy of the environment: a thread that changes that of the process meanwhile would take it away amid the start
    command, environment = [binary, "--version"], dict(os.environ)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    out = done.stdout
    return out.partition("\n")[0].strip()


def flat(opts: Iterable[Option]) -> list[str]:
    """Return the options as command line arguments."""
    out: list[str] = []
    for o in opts:
        out += ["--" + o] if isinstance(o, str) else ["--" + o[0], str(o[1])]
    return out


class UwsgiLauncher:
    """Starts the real uWSGI."""

    side = "uwsgi"

    def __init__(self, binary: str) -> None:
        self.binary = binary
        self.pythonpath = _pyuwsgi_home(binary)

    def argv(self, opts: list[Option], need: str) -> list[str]:
        """Return the command line for `opts`; `need` is the uWSGI release the scenario belongs to."""
        return [self.binary, *flat(opts)]


class SpoolsimLauncher:
    """Starts spoolsim, as faithful as it can be, by uWSGI's long options ($ORACLE_SPOOLSIM: another command)."""

    side = "spoolsim"
    pythonpath: tuple[str, ...] = ()

    def __init__(self) -> None:
        named = os.environ.get("ORACLE_SPOOLSIM")
        self.command = named.split() if named else [sys.executable, "-m", "spoolsim", "run", "--faithful"]

    def argv(self, opts: list[Option], need: str) -> list[str]:
        """Return the command line for `opts`; `need` is the uWSGI release the scenario belongs to."""
        extra = [] if need == "2.0" else ["--uwsgi", need]
        if any(o[0] == "socket" for o in opts if not isinstance(o, str)):
            extra.append("--stand-in-worker")  # the web worker that a socket gives the real uWSGI
        return [*self.command, *extra, *flat(opts)]


Launcher = UwsgiLauncher | SpoolsimLauncher


def _pyuwsgi_home(binary: str) -> tuple[str, ...]:
    """The directory of the pyuwsgi module, where `binary` is its console script.

    On a reload that script executes the Python a virtual environment was made from, which knows nothing of the
    environment's packages.
    """
    with open(binary, "rb") as f:
        script = f.read(2) == b"#!"
        if not script:
            return ()
        interpreter = f.readline().decode().strip()
    code = "import os, pyuwsgi; print(os.path.dirname(pyuwsgi.__file__))"
    done = subprocess.run([interpreter, "-c", code], capture_output=True, text=True, check=False, timeout=300)
    return (done.stdout.strip(),) if done.returncode == 0 else ()
