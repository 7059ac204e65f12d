"""`python -m tests.mutation [MODULE ...]`: would the fast tests notice a change of the code?

Each module that decides what becomes of a task is changed in one place after the other, by cosmic-ray's operators, and
its tests are run: in a fork of this process, where pytest is loaded already. What no test notices is printed;
tests/records/mutation.md says of each why it may stay.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import io
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import hypothesis  # noqa: F401 - so that it is loaded once, before the forks
import pytest

from tests.coverage import MODULES, ROOT

#: a change may make a loop endless: seconds until a test run that does not come back counts as a failure
_LIMIT = 60
#: it is loaded before pytest could rewrite its assertions
_LOADED = ["-W", "ignore::pytest.PytestAssertRewriteWarning"]


def changes(source: str) -> Iterator[str]:
    """The source with one change in each; not those of annotations, which no test can see."""
    try:
        from cosmic_ray import plugins
        from cosmic_ray.mutating import mutate_code
    except ImportError:
        sys.exit("the code is changed by cosmic-ray, which is not here: pip install -e '.[test,mutation]'")

    unchanged = _meaning(source)
    for name in plugins.operator_names():
        operator_class = plugins.get_operator(name)
        if operator_class.arguments():
            continue
        occurrence = 0
        while (changed := mutate_code(source, operator_class(), occurrence)) is not None:
            occurrence += 1
            try:
                if _meaning(changed) != unchanged:
                    yield changed
            except SyntaxError:
                continue  # a bare * of a signature became another operator


def _meaning(source: str) -> str:
    class WithoutAnnotations(ast.NodeTransformer):
        def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
            return ast.Assign([node.target], node.value, lineno=0) if node.value else None

        def visit_arg(self, node: ast.arg) -> ast.AST:
            node.annotation = None
            return node

        def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
            node.returns = None
            return self.generic_visit(node)

        def visit_If(self, node: ast.If) -> ast.AST | None:
            checking = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
            return None if checking else self.generic_visit(node)

    return ast.dump(WithoutAnnotations().visit(ast.parse(source)))


class _Changed(importlib.abc.MetaPathFinder, importlib.abc.SourceLoader):
    """Imports one module from a changed source."""

    def __init__(self, name: str, path: Path, source: str) -> None:
        self.name, self.path, self.source = name, path, source

    def find_spec(self, fullname: str, path: object, target: object = None) -> importlib.machinery.ModuleSpec | None:
        if fullname != self.name:
            return None
        return importlib.util.spec_from_file_location(fullname, self.path, loader=self)

    def get_filename(self, fullname: str) -> str:
        return str(self.path)

    def get_data(self, path: str | bytes) -> bytes:
        if path != str(self.path):
            raise OSError(path)  # no cached bytecode
        return self.source.encode()


def survives(module: str, source: str, tests: list[str]) -> bool:
    """Do all tests pass with this source in the place of the module's?"""
    pid = os.fork()
    if not pid:
        os.setsid()
        name = module.removesuffix(".py").replace("/", ".")
        sys.meta_path.insert(0, _Changed(name, ROOT / module, source))
        sys.dont_write_bytecode = True
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os.dup2(1, 2)
            status = 1
            try:
                importlib.import_module(name)  # before pytest, which has a finder of its own for its plugins' packages
                status = pytest.main(["-q", "-x", "-p", "no:cacheprovider", "-p", "no:rerunfailures", *_LOADED, *tests])
            finally:
                os._exit(int(status))
    end = time.monotonic() + _LIMIT
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return status == 0
        time.sleep(0.01)
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return False


def main() -> int:
    """The exit status: 0, also with survivors, which a person judges; 1 where the tests fail without any change."""
    os.chdir(ROOT)
    for module in sys.argv[1:] or MODULES:
        source = (ROOT / module).read_text()
        tests = MODULES[module]
        if not survives(module, source, tests):
            print(f"{module}: its tests fail as it is")
            return 1
        tried = 0
        left = []
        for changed in changes(source):
            tried += 1
            if survives(module, changed, tests):
                left.append(list(difflib.unified_diff(source.splitlines(), changed.splitlines(), lineterm="", n=0)))
        print(f"== {module}: {tried} changes, {len(left)} that no test noticed", flush=True)
        for diff in left:
            print("\n".join(diff[2:]), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
