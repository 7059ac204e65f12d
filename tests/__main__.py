"""`python -m tests [groups] [pytest arguments]`: install the real uWSGI where it is missing, and run the tests.

    python -m tests                  all groups, side by side
    python -m tests unit -k names    one group; the other words go to pytest
    python -m tests --groups         the groups: what they hold, how many tests, how long they took
    python -m tests --full           as many examples and faults as .ci/run draws
    python -m tests --live           every scenario under the real uWSGI too, recorded or not
    python -m tests --record [NAME]  record the real uWSGI's answers again, each the same in three runs

uWSGI is built beside the tests that do not need it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.groups import GROUPS, ROOT, describe, load
from tests.oracle.install import install_oracle
from tests.oracle.launchers import BUILDING, NoOracle, find_uwsgi

#: most tests wait for processes, so more run at the same time than there are processors
WORKERS_PER_CPU = 4
#: words of pytest's that mean one process: it talks to the terminal, or it was said how many
ALONE = (
    "-n",
    "--numprocesses",
    "--pdb",
    "--trace",
    "-s",
    "--capture=no",
    "--co",
    "--collect-only",
    "-x",
    "--help",
    "-h",
)


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
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=300, check=False)
        return done.returncode == 0
    except subprocess.TimeoutExpired:
        return False


@contextlib.contextmanager
def oracle_being_built() -> Iterator[None]:
    """Build the real uWSGI meanwhile, where it is missing; tests that need it wait for the end of the build."""
    try:
        find_uwsgi()
        yield
        return
    except NoOracle:
        pass
    with tempfile.TemporaryDirectory() as home:
        building = Path(home) / "building"
        building.touch()
        process = subprocess.Popen([sys.executable, "-m", "tests.oracle.install"], cwd=ROOT)

        def end() -> None:
            process.wait()
            building.unlink()

        ending = threading.Thread(target=end, daemon=True)
        ending.start()
        os.environ[BUILDING] = str(building)
        try:
            yield
        finally:
            process.terminate()
            ending.join(30)


def pytest_words(words: list[str]) -> list[str]:
    """Return pytest's arguments: groups become their folders, and workers are added unless the words forbid it."""
    words = [f"tests/{word}" if word in GROUPS else word for word in words]
    if any(
        word == a or word.startswith(a + "=") or (a == "-n" and word.startswith(a)) for word in words for a in ALONE
    ):
        return words
    return ["-n", str(WORKERS_PER_CPU * (os.cpu_count() or 1)), *words]


def main() -> int:
    """Prepare, run pytest with the arguments given, return its exit status."""
    words = sys.argv[1:]
    os.chdir(ROOT)
    if words[:1] == ["--groups"]:
        print(describe(load()))
        return 0
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # a reload must not take stale bytecode: so there has to be some
    if words[:1] == ["--record"]:
        install_oracle()
        return subprocess.run([sys.executable, "-m", "tests.oracle", *words], check=False).returncode
    if "--full" in words:
        words.remove("--full")
        os.environ["SPOOLSIM_TESTS_FULL"] = "1"
    install_strace()
    with oracle_being_built():
        import pytest

        words = pytest_words(words)
        if words[:1] == ["-n"] and os.environ.get(BUILDING):  # a fresh clone
            # compiled once here, and not by every worker: that takes each of them ten seconds of a processor
            collect = [sys.executable, "-m", "pytest", "--collect-only", "-qq", "-p", "no:cacheprovider", *words[2:]]
            subprocess.run(collect, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        return int(pytest.main(words))


if __name__ == "__main__":
    sys.exit(main())
