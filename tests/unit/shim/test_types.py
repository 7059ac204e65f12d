"""The types of our modules, held against the stubs of types-uwsgi."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from spoolsim.emulate import surface
from spoolsim.work.app import SHIM

DATA = Path(__file__).parents[2] / "data"
RECORDED = [line.partition("\t")[0] for line in (DATA / "uwsgi-module.tsv").read_text().splitlines() if line[:1] != "#"]


def stubs(name: str) -> Path:
    """Where a package of stubs of types-uwsgi is."""
    return Path(str(importlib.metadata.distribution("types-uwsgi").locate_file(name)))


def mypy(home: Path, *words: str) -> str:
    """What a run of mypy prints."""
    command = [sys.executable, "-m", "mypy", f"--cache-dir={home / 'cache'}", "--config-file=", *words]
    return subprocess.run(command, cwd=home, capture_output=True, text=True, timeout=300, check=False).stdout


def test_each_name_can_stand_where_that_of_the_stubs_does(tmp_path: Path):
    """A name of ours is assignable to a variable of the stub's type; the exceptions are those of the help page."""
    (tmp_path / "theirs.pyi").write_text(
        (stubs("uwsgi-stubs") / "__init__.pyi").read_text().replace("Literal[True]", "bool")
    )
    shutil.copy(Path(SHIM) / "uwsgi.py", tmp_path / "ours.py")
    lines = [f"{name} = theirs.{name}; {name} = ours.{name}" for name in RECORDED]
    (tmp_path / "check.py").write_text("\n".join(["import ours, theirs", *lines, ""]))
    printed = mypy(tmp_path, "check.py")
    assert "error: Incompatible types" in printed, printed
    different = {RECORDED[int(number) - 2] for number in re.findall(r"^check\.py:(\d+): error", printed, re.MULTILINE)}
    listed = {name for names, _, _ in surface.TYPES for name in names}
    assert different - set(surface.NOT_EMULATED) == listed - set(surface.NOT_EMULATED)
    assert not re.search(r'type "Any"', printed)


def test_no_name_is_any(tmp_path: Path):
    """What works or is emulated has a type."""
    shutil.copy(Path(SHIM) / "uwsgi.py", tmp_path / "ours.py")
    names = [name for name in RECORDED if name not in surface.NOT_EMULATED]
    (tmp_path / "check.py").write_text("\n".join(["import ours", *(f"reveal_type(ours.{name})" for name in names), ""]))
    printed = mypy(tmp_path, "check.py")
    assert printed.count("Revealed type is") == len(names), printed
    revealed = dict(zip(names, re.findall(r'Revealed type is "(.*)"', printed), strict=True))
    assert {name for name in names if revealed[name] in ("Any", "object", "builtins.object")} == {"spooler"}


def test_stubtest_finds_nothing_but_what_is_listed(tmp_path: Path):
    """mypy.stubtest, with our modules in the place of uWSGI's, reports just tests/data/stubtest.txt, and all of it."""
    for name in ("uwsgi", "uwsgidecorators"):
        shutil.copytree(stubs(f"{name}-stubs"), tmp_path / "stubs" / name)
    options = ["--spooler", "sp", "--queue", "10", "--sharedarea", "10", "--snmp"]
    command = [sys.executable, "-m", "spoolsim", "exec", *options, "--", sys.executable, "-m", "mypy.stubtest"]
    done = subprocess.run(
        [*command, "uwsgi", "uwsgidecorators", "--concise", "--allowlist", str(DATA / "stubtest.txt")],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(tmp_path / "stubs")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
