"""`python -m tests [pytest arguments]`: put the oracle into this Python environment if it is missing, run the tests.

The oracle is uWSGI 2.0.31, built by pip where there is a C compiler, else the ready-made wheel `pyuwsgi`.
"""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys

from tests.oracle.launchers import NoOracle, find_uwsgi, uwsgi_version


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


def install_strace() -> None:
    """Make strace available where root and apt-get can do it; the tests that need it say so when it is missing."""
    if shutil.which("strace") or not shutil.which("apt-get") or os.geteuid() != 0:
        return
    print("tests: installing strace through apt-get, for the tests that inject faults ...", flush=True)
    install = ["install", "-qq", "-y", "--no-install-recommends", "strace"]
    if not _apt_get(*install):  # perhaps the package lists were never fetched
        _apt_get("update", "-qq")
        _apt_get(*install)
    if not shutil.which("strace"):
        print("tests: strace could not be installed; the tests that need it say so")


def _apt_get(*arguments: str) -> bool:
    command = ["apt-get", *arguments]
    try:
        # noninteractive on a terminal too; a mirror that does not answer must not hold up the tests
        return (
            subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=300, check=False).returncode
            == 0
        )
    except subprocess.TimeoutExpired:
        return False


def main() -> int:
    """Prepare, run pytest with the arguments given, return its exit status."""
    install_oracle()
    install_strace()
    import pytest

    os.chdir(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return int(pytest.main(sys.argv[1:]))


if __name__ == "__main__":
    sys.exit(main())
