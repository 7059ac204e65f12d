"""Which room imports which, and what a process of ours imports at its start."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import spoolsim

PACKAGE = Path(spoolsim.__file__).parent
#: the wings from top to bottom; the last is the vocabulary that all share
WINGS = (
    ("__main__",),
    ("cli",),
    ("section",),
    ("testing",),
    ("shim",),
    ("emulate",),
    ("processes",),
    ("tasks",),
    ("config",),
    ("work",),
    ("spool",),
    ("options", "diagnose", "log"),
    ("effects",),
    ("errors", "printable", "system"),
)
LEVEL = {name: level for level, names in enumerate(WINGS) for name in names}
#: rooms without operating system, clock and I/O
PURE = (
    "spool/packet.py",
    "spool/names.py",
    "work/outcome.py",
    "processes/lifecycle.py",
    "processes/schedule.py",
    "tasks/describe.py",
    "tasks/ids.py",
    "tasks/pickles.py",
    "options/__init__.py",
    "options/build.py",
    "options/policy.py",
    "options/settings.py",
    "options/table.py",
    "effects.py",
    "diagnose.py",
    "errors.py",
    "printable.py",
)
# fmt: off
IMPURE = frozenset((
    "asyncio", "datetime", "fcntl", "io", "mmap", "multiprocessing", "os", "pathlib", "random", "select", "selectors",
    "shutil", "signal", "socket", "sqlite3", "subprocess", "sys", "tempfile", "threading", "time",
))
# fmt: on


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Every module of the package with its syntax tree."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        yield ".".join(parts).removesuffix(".__init__"), ast.parse(path.read_text())


def imported(tree: ast.Module, module: str) -> Iterator[str]:
    """The full name of everything a module imports, wherever the statement stands, or is named to import_module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module} has a relative import: this test would not see where it goes"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and wing(str(node.value)) in LEVEL:
            yield str(node.value)  # such as the table of commands


def wing(name: str) -> str:
    """The wing of a dotted name; '' for the package itself."""
    return [*name.split("."), ""][1]


def test_imports_point_downward():
    """No module imports a wing above its own, not even inside a function; wings of one level do not know each other."""
    wrong = []
    for module, tree in modules():
        if module == "spoolsim":
            continue  # its attributes are the way in for users: it looks into any room
        assert wing(module) in LEVEL, f"{module} is in no wing: say in WINGS where it stands"
        for name in imported(tree, module):
            if name.split(".")[0] != "spoolsim" or wing(name) in ("", wing(module)):
                continue
            if wing(name) not in LEVEL:
                wrong.append(f"{module}: {name} is no wing")
            elif LEVEL[wing(name)] <= LEVEL[wing(module)]:
                wrong.append(f"{module} imports {name}")
    assert wrong == []


@pytest.mark.parametrize("room", PURE)
def test_pure_rooms_know_no_system(room: str):
    """A pure room imports no operating system, clock or I/O, and opens and prints nothing."""
    tree = ast.parse((PACKAGE / room).read_text())
    tree.body = [
        node for node in tree.body if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))
    ]
    assert {name.split(".")[0] for name in imported(tree, room)} & IMPURE == set()
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert called & {"open", "print", "input", "exec", "eval"} == set()


def test_one_module_writes_to_the_terminal():
    """No command prints past cli/out.py, and no module makes text printable in a way of its own."""
    printing, own = [], []
    for module, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("click.echo", "click.secho", "print", "echo"):
                printing.append((module, ast.unparse(node.func)))
            if isinstance(node, ast.FunctionDef) and "printable" in node.name:
                own.append(module)
    assert [found for found in printing if found[0].startswith("spoolsim.cli")] == [
        ("spoolsim.cli.out", "click.echo")
    ] * 2
    assert own == ["spoolsim.printable"]


#: slow to import, or of no use before the first task
# fmt: off
SLOW = frozenset((
    "argparse", "asyncio", "ast", "click", "concurrent.futures", "configparser", "ctypes.util", "dataclasses",
    "email", "enum", "functools", "http", "importlib.metadata", "inspect", "json", "logging", "multiprocessing",
    "pathlib", "pickle", "pkgutil", "platform", "queue", "random", "re", "rich", "selectors", "shutil", "socket",
    "sqlite3", "ssl", "subprocess", "tempfile", "threading", "tokenize", "tomllib", "traceback", "typing",
    "typing_extensions", "unittest", "urllib", "uuid", "watchdog", "yaml", "zipfile",
))
# fmt: on
START = {
    "a worker": "import spoolsim.processes.forkserver, spoolsim.processes.child, spoolsim.processes.inline",
    "the master": "import spoolsim.processes.master",
    "the command line": "import spoolsim.__main__, spoolsim.cli.run",
    "the shim": "import sys; sys.path.insert(0, sys.argv[1]); import uwsgi",
}
#: master and fork server talk over a socket pair
WIRE = frozenset(("socket", "selectors"))
#: what the interpreter itself needs for `signal`, and random for the names of spool files
BARE = "import signal, random"


def loaded(code: str) -> set[str]:
    """The modules of an interpreter that has run this, without site's."""
    program = f"import sys; sys.path[:0] = [{str(PACKAGE.parent)!r}]\n{code}\nprint(*sys.modules)"
    command = [sys.executable, "-S", "-c", program, str(PACKAGE / "shim")]
    environ = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "SPOOLSIM")}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True, timeout=300)
    return set(done.stdout.split())


@pytest.mark.parametrize("part", START)
def test_the_start_is_lean(part: str):
    """What a process imports before its first task has none of the slow modules beyond the bare interpreter's."""
    extra = loaded(START[part]) - loaded(BARE) - WIRE
    assert {name for name in extra if name in SLOW or name.split(".")[0] in SLOW} == set()
    assert "spoolsim.spool.names" in extra or "spoolsim.options" in extra
