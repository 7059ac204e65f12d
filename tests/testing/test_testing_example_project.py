"""The sample project, examples/pytest_project: its tests pass in a venv of its own, with and without xdist."""

from __future__ import annotations

import ast
import inspect
import os
import re
import shlex
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from spoolsim import testing
from spoolsim.testing import LiveSpooler, SpoolerHarness, plugin

ROOT = Path(__file__).parents[2]
PROJECT = ROOT / "examples" / "pytest_project"


def _packages() -> list[str]:
    """What the project's README says to install, from this checkout."""
    (line,) = re.findall(r"^\$ pip install -e (.+)$", (PROJECT / "README.md").read_text(), re.MULTILINE)
    words = shlex.split(line)
    assert words[0] == "../..[pytest]"
    return [f"{ROOT}[pytest]", *words[1:]]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(python of its own venv, a copy of the project): as a user who follows its README has them."""
    home = tmp_path_factory.mktemp("sample")
    python = home / "venv" / "bin" / "python"
    venv.create(home / "venv", with_pip=False, symlinks=True)
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--disable-pip-version-check"]
    done = subprocess.run([*pip, *_packages()], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shutil.copytree(
        PROJECT, home / "project", ignore=shutil.ignore_patterns("*.sqlite3*", "__pycache__", ".pytest_cache")
    )
    return python, home / "project"


@pytest.mark.parametrize("arguments", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_the_sample_project_passes(project: tuple[Path, Path], arguments: tuple[str, ...]) -> None:
    """All of its 15 and more tests pass; its production directories were not made."""
    python, directory = project
    env = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("PYTEST", "PYTHON", "SPOOLSIM", "DJANGO"))
    }
    env["PYTHONDONTWRITEBYTECODE"] = "1"
    done = subprocess.run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=directory,
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    summary = re.search(r"^(\d+) passed in", done.stdout, re.MULTILINE)
    assert summary is not None, done.stdout + done.stderr
    assert int(summary[1]) >= 15
    assert done.returncode == 0
    assert not (directory / "spool").exists() and not (directory / "mail").exists()
    assert not list(directory.glob("*.sqlite3*"))


# ---- that it uses everything -----------------------------------------------------------------------------------------

#: by what name its tests have each: fixtures, and those that they make themselves
RECEIVERS = {"spooler": SpoolerHarness, "live_spooler": LiveSpooler}
TREES = [ast.parse(path.read_text()) for path in sorted((PROJECT / "tests").glob("*.py"))]


def _nodes(*kinds: type[ast.AST]) -> Iterator[Any]:
    return (node for tree in TREES for node in ast.walk(tree) if isinstance(node, kinds))


def _parameters(function: Callable[..., Any]) -> list[str]:
    """Of a method, less what it is called on."""
    return list(inspect.signature(function).parameters)[1:]


def _passed(call: ast.Call, parameters: list[str]) -> set[str]:
    """Which of these a call gives; a keyword that is none of them is one of the last, which is `**`."""
    keywords = {keyword.arg for keyword in call.keywords if keyword.arg}
    return {*parameters[: len(call.args)], *(name if name in parameters else parameters[-1] for name in keywords)}


def _public(kind: type) -> list[str]:
    return [name for name in dir(kind) if not name.startswith("_")]


def test_it_uses_every_fixture_and_every_argument_of_the_marker() -> None:
    """The fixtures are those that the plugin defines, the arguments those that the marker's own line names."""
    functions = [node for node in ast.parse(inspect.getsource(plugin)).body if isinstance(node, ast.FunctionDef)]
    fixtures = {f.name for f in functions if any(ast.unparse(d).startswith("pytest.fixture") for d in f.decorator_list)}
    assert fixtures >= {"spooler", "live_spooler", "spool_dir"}
    tests = [node for node in _nodes(ast.FunctionDef, ast.AsyncFunctionDef) if node.name.startswith("test_")]
    assert fixtures - {argument.arg for test in tests for argument in test.args.args} == set()

    (line,) = ast.parse(plugin.MARKER.partition(":")[0]).body
    assert isinstance(line, ast.Expr) and isinstance(line.value, ast.Call)
    arguments = [keyword.arg or "**options" for keyword in line.value.keywords]
    assert arguments[-1] == "**options"
    marks = [call for call in _nodes(ast.Call) if ast.unparse(call.func) == "pytest.mark.spoolsim"]
    assert {*arguments} - {name for mark in marks for name in _passed(mark, arguments)} == set()


@pytest.mark.parametrize("receiver", list(RECEIVERS))
def test_it_uses_every_method_and_each_of_its_parameters(receiver: str) -> None:
    """Of what the fixtures give, and of their classes: properties are read, methods called with each parameter."""
    kind = RECEIVERS[receiver]
    used = {node.attr for node in _nodes(ast.Attribute) if ast.unparse(node.value) == receiver}
    assert {*_public(kind)} - used == set()
    functions = {f"{receiver}.{name}": getattr(kind, name) for name in _public(kind)}
    functions = {name: value for name, value in functions.items() if callable(value)} | {kind.__name__: kind.__init__}
    missing = {
        f"{name}({parameter}=)"
        for name, function in functions.items()
        for parameter in _parameters(function)
        if not any(
            parameter in _passed(call, _parameters(function))
            for call in _nodes(ast.Call)
            if ast.unparse(call.func) == name
        )
    }
    assert missing == set()


def test_it_uses_every_name_and_what_tasks_and_runs_hold() -> None:
    """Each name of spoolsim.testing is imported, and each attribute of Task, Ran and Explored is looked at."""
    imported = {
        name.name for node in _nodes(ast.ImportFrom) if node.module == "spoolsim.testing" for name in node.names
    }
    assert {*testing.__all__} - imported == set()
    read = {node.attr for node in _nodes(ast.Attribute)}
    for kind in (testing.Task, testing.Ran, testing.Explored):
        assert {*_public(kind)} - read == set()
