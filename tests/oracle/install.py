"""`python -m tests.oracle.install`: put the real uWSGI into this Python environment.

The oracle is uWSGI 2.0.31, built by pip where there is a C compiler, else the ready-made wheel `pyuwsgi`.
"""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys

from .launchers import NoOracle, find_uwsgi, uwsgi_version


def install_oracle() -> None:
    """Make the real uWSGI available; say in one line what was done, or what failed."""
    try:
        find_uwsgi()
        return
    except NoOracle as e:
        if os.environ.get("ORACLE_UWSGI"):
            print(f"tests: {e}")
            return
    compiler = next((c for c in ("cc", "gcc", "clang") if shutil.which(c)), None)
    built = bool(compiler) and _pip("uwsgi==2.0.31", f"tests: building uWSGI 2.0.31 with {compiler}: the oracle ...")
    if not built:
        why = "could not be built" if compiler else "needs a C compiler, and there is none"
        _pip("pyuwsgi", f"tests: uWSGI {why}: taking the wheel pyuwsgi as the oracle ...", "--only-binary=:all:")
    importlib.invalidate_caches()
    try:
        binary = find_uwsgi()
        print(f"tests: the oracle is {binary}, uWSGI {uwsgi_version(binary)}")
    except NoOracle as e:
        print(f"tests: {e}")


def _pip(requirement: str, said: str, *options: str) -> bool:
    print(said, flush=True)
    command = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", *options, requirement]
    return subprocess.run(command, check=False).returncode == 0


if __name__ == "__main__":
    install_oracle()
