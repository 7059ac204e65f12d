"""No function and no file is too long to be read at once, and none too branchy."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

import spoolsim

PACKAGE = Path(spoolsim.__file__).parent
LINES_OF_A_FUNCTION, LINES_OF_A_FILE = 60, 400

#: files that are one table
TABLES = {"options/table.py"}
#: takes the place of one file that uWSGI installs, and is imported by its path alone
WHOLE = {"shim/uwsgidecorators.py"}


def functions(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """The name and the number of lines of each function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or 0) - node.lineno + 1


def test_nothing_is_too_long():
    """At most 60 lines a function and 400 a file, tables excepted."""
    found = set()
    for path in sorted(PACKAGE.rglob("*.py")):
        name, text = path.relative_to(PACKAGE).as_posix(), path.read_text()
        if len(text.splitlines()) > LINES_OF_A_FILE and name not in TABLES | WHOLE:
            found.add(name)
        found |= {f"{name}:{one}" for one, lines in functions(ast.parse(text)) if lines > LINES_OF_A_FUNCTION}
    assert found == set()


def test_an_exception_for_a_file_is_needed():
    """A table that is not long needs none."""
    for name in TABLES | WHOLE:
        assert len((PACKAGE / name).read_text().splitlines()) > LINES_OF_A_FILE


@pytest.mark.skipif(find_spec("ruff") is None, reason="needs ruff")
def test_an_exception_from_ruffs_limit_is_needed():
    """A file that is excepted from C901 in pyproject.toml has a function that is too branchy."""
    ruff = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
    excepted = {name for name, codes in ruff["per-file-ignores"].items() if "C901" in codes} - {"tests/**"}
    limit = f"lint.mccabe.max-complexity = {ruff['mccabe']['max-complexity']}"
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--no-cache", "--select", "C901", "--config", limit]
    shown = subprocess.run(
        [*command, "--output-format", "concise", "spoolsim"],
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    ).stdout
    assert {line.partition(":")[0] for line in shown.splitlines() if " C901 " in line} == excepted
