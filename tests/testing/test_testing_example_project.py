"""The sample project, examples/pytest_project: its tests pass in a venv of its own, with and without xdist."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2] / "examples" / "pytest_project"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(python of its own venv, a copy of the project).

    The venv sees the packages of the one that runs the tests, which has all that the project needs: nothing is
    fetched, and yet sys.prefix, scripts and environment are its own.
    """
    home = tmp_path_factory.mktemp("sample")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home / "venv"], check=True)
    packages = next((home / "venv").glob("lib*/python*/site-packages"))
    ours = sysconfig.get_path("purelib")
    (packages / "ours.pth").write_text(f"import site; site.addsitedir({ours!r})\n")
    shutil.copytree(
        PROJECT, home / "project", ignore=shutil.ignore_patterns("*.sqlite3*", "__pycache__", ".pytest_cache")
    )
    return home / "venv" / "bin" / "python", home / "project"


@pytest.mark.timeout(180)
@pytest.mark.parametrize("arguments", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_the_sample_project_passes(project: tuple[Path, Path], arguments: tuple[str, ...]) -> None:
    """All of its 15 and more tests pass; its production directories were not made."""
    python, directory = project
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "SPOOLSIM", "DJANGO"))}
    env.pop("PYTHONPATH", None)
    env["PYTHONDONTWRITEBYTECODE"] = "1"
    done = subprocess.run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=directory,
        env=env,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    summary = re.search(r"^(\d+) passed in", done.stdout, re.MULTILINE)
    assert summary is not None, done.stdout + done.stderr
    assert int(summary[1]) >= 15
    assert done.returncode == 0
    assert not (directory / "spool").exists() and not (directory / "mail").exists()
    assert not list(directory.glob("*.sqlite3*"))


def test_the_sample_project_uses_everything() -> None:
    """Its tests use every fixture of the plugin, and every public method of the harness."""
    from spoolsim.testing import LiveSpooler, SpoolerHarness

    text = "".join(path.read_text() for path in (PROJECT / "tests").glob("*.py"))
    for fixture in ("spooler", "live_spooler", "spool_dir"):
        assert re.search(rf"def test_\w+\(.*\b{fixture}\b", text)
    public = [name for name in dir(SpoolerHarness) if not name.startswith("_")]
    assert {"run_one", "drain", "advance", "explore", "assert_spooled", "full_disk"} <= set(public)
    unused = [
        name
        for name in public
        if name not in ("close", "tick", "report") and not re.search(rf"spooler\.{name}\b", text)
    ]
    assert unused == []
    live = ["drain", "kill_worker", "reload", "wait_log"]
    assert [name for name in live if f"live_spooler.{name}(" not in text] == []
    assert all(hasattr(LiveSpooler, name) for name in live)
