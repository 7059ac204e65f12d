"""Which room imports which, and what a process of ours imports at its start."""

from __future__ import annotations

import ast
import functools
import os
import subprocess
import sys
from collections.abc import Collection, Iterator
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
    "spool/verdicts.py",
    "work/outcome.py",
    "work/verdict.py",
    "processes/events.py",
    "processes/lifecycle.py",
    "processes/schedule.py",
    "tasks/describe.py",
    "tasks/ids.py",
    "tasks/pickles.py",
    "tasks/spans.py",
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


@functools.cache
def modules() -> tuple[tuple[str, ast.Module], ...]:
    """Every module of the package with its syntax tree."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found.append((".".join(parts).removesuffix(".__init__"), ast.parse(path.read_text())))
    return tuple(found)


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


def graph() -> dict[str, set[str]]:
    """Module -> the modules that it imports anywhere, for type checkers too; the package itself is left out."""
    trees = dict(modules())
    found: dict[str, set[str]] = {}
    for module, tree in trees.items():
        if module == "spoolsim":
            continue  # its attributes are the way in for users
        names = (name for name in imported(tree, module) if name.startswith("spoolsim."))
        found[module] = {home for name in names if (home := _home(name, trees)) not in (module, "spoolsim")}
    return found


def _home(name: str, trees: Collection[str]) -> str:
    """The module that a dotted name is in."""
    while name not in trees:
        name = name.rpartition(".")[0]
    return name


def in_circles(edges: dict[str, set[str]]) -> set[str]:
    """Those that import themselves by way of others: what is left when all that lead nowhere are taken away."""
    reached = {module: set(targets) for module, targets in edges.items()}
    changed = True
    while changed:
        changed = False
        for seen in reached.values():
            more = set().union(*(reached.get(target, set()) for target in seen)) - seen
            changed = changed or bool(more)
            seen.update(more)
    return {module for module, seen in reached.items() if module in seen}


def test_no_modules_import_each_other():
    """No circle, neither inside functions nor for type checkers."""
    assert in_circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == {"b", "c"}
    assert in_circles(graph()) == set()


#: private by their spelling alone: documented, or with no public form
OPEN = frozenset(
    (
        "_asdict",  # of namedtuples
        "_fields",
        "_make",
        "_replace",
        "_exit",  # os
        "_ScandirIterator",  # os, for type checkers
        "_getframe",  # sys
        "_current_frames",  # sys
        "_get_running_loop",  # asyncio.events, for who writes a loop
        "_set_running_loop",
        "_run_exitfuncs",  # atexit
        "_SimpleCData",  # ctypes, for type checkers
    )
)


def pries(tree: ast.Module) -> bool:
    """True where a private name is imported, or taken of an object, that this module itself does not define."""
    own = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            own.add(node.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            own |= {node.attr} if isinstance(node.value, ast.Name) and node.value.id in ("self", "cls") else set()
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            own.add(node.id)
    taken = [node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    taken += [
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("spoolsim")
        for alias in node.names
    ]
    return any(name.startswith("_") and not name.endswith("__") and name not in own | OPEN for name in taken)


def test_private_names_stay_in_their_module():
    """What starts with an underscore is used where it is defined, and nowhere else."""
    assert pries(ast.parse("import a\na._b()"))
    assert pries(ast.parse("from spoolsim.log import _b"))
    assert not pries(ast.parse("class A:\n  def __init__(self): self._b = 1\n  def c(self, d): return d._b"))
    assert {module for module, tree in modules() if pries(tree)} == set()


#: why `Any`
APP, DATA, CALL = "objects of the app", "decoded data, or data to be encoded", "arguments that are passed on"
FOREIGN = "what a library or the system hands over, or a test does"
#: module -> what passes through it that no type can say
UNTYPED = {
    "spoolsim.cli.act": CALL,
    "spoolsim.cli.enqueue": DATA,
    "spoolsim.cli.spools": CALL,
    "spoolsim.config.formats.module": FOREIGN,
    "spoolsim.emulate.instance": DATA,
    "spoolsim.emulate.rpc": APP,
    "spoolsim.emulate.stand_ins": CALL,
    "spoolsim.emulate.store": FOREIGN,
    "spoolsim.emulate.surface": APP,
    "spoolsim.processes.bytecode": FOREIGN,
    "spoolsim.processes.messages": DATA,
    "spoolsim.processes.stats": DATA,
    "spoolsim.processes.wire": DATA,
    "spoolsim.section": CALL,
    "spoolsim.shim.uwsgi": APP,
    "spoolsim.shim.uwsgidecorators": APP,
    "spoolsim.spool.enqueue": APP,
    "spoolsim.spool.packet": DATA,
    "spoolsim.spool.wake": FOREIGN,
    "spoolsim.tasks.describe": DATA,
    "spoolsim.tasks.pickles": DATA,
    "spoolsim.tasks.records": DATA,
    "spoolsim.testing.clock": FOREIGN,
    "spoolsim.testing.configured": APP,
    "spoolsim.testing.databases": FOREIGN,
    "spoolsim.testing.engine": APP,
    "spoolsim.testing.explore": APP,
    "spoolsim.testing.faults": APP,
    "spoolsim.testing.imports": APP,
    "spoolsim.testing.live": APP,
    "spoolsim.testing.plugin": FOREIGN,
    "spoolsim.testing.record": APP,
    "spoolsim.testing.swap": APP,
    "spoolsim.testing.task": APP,
    "spoolsim.testing.worker": APP,
    "spoolsim.work.app": APP,
    "spoolsim.work.atexits": APP,
    "spoolsim.work.diagnosis": APP,
    "spoolsim.work.handlers": FOREIGN,
    "spoolsim.work.intact": APP,
    "spoolsim.work.loading": APP,
    "spoolsim.work.outcome": APP,
    "spoolsim.work.program": DATA,
    "spoolsim.work.run": APP,
    "spoolsim.work.signature": APP,
    "spoolsim.work.trace": FOREIGN,
}


def test_any_stands_where_no_type_can():
    """`Any` is for what the app makes and for decoded data, in the modules that are named with the reason."""
    found = {
        module
        for module, tree in modules()
        if any(isinstance(node, ast.Name) and node.id == "Any" for node in ast.walk(tree))
    }
    assert found == UNTYPED.keys()


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
