"""`python -m tests.mutation [MODULE ...]`: would the fast tests notice a change of the code?

Each module that decides what becomes of a task is changed in one place after the other, by cosmic-ray's operators, and
its tests are run, the fastest first, until one fails: in a fork of this process, where pytest is loaded already, two
at a time. What no test notices is printed; tests/records/mutation.md says of each why it may stay.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import hypothesis
import hypothesis.stateful  # so that it is loaded once, before the forks
import pytest

from tests.coverage import MODULES, ROOT, source_of

#: the modules that are changed when none is named
DECIDING = (
    "spoolsim.spool.packet",
    "spoolsim.spool.names",
    "spoolsim.spool.directory",
    "spoolsim.work.outcome",
    "spoolsim.processes.lifecycle",
)

_AT_A_TIME = 2
#: a change may make a loop endless, and let it gather memory: bytes
_MEMORY = 1 << 30
#: or let the tests wait for what never comes: seconds
_LONGEST = 300

#: the same examples each time, and none made smaller: that one fails is all that counts
hypothesis.settings.register_profile(
    "mutation",
    derandomize=True,
    max_examples=50,
    deadline=None,
    phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),
    suppress_health_check=list(hypothesis.HealthCheck),
)
_PYTEST = [
    "-qx",
    "--hypothesis-profile=mutation",
    *("-p", "no:cacheprovider"),
    *("-W", "ignore::pytest.PytestAssertRewriteWarning"),  # what is loaded already cannot be rewritten any more
]


def changes(source: str) -> Iterator[str]:
    """The source with one change in each; not those that mean the same, nor those of what only a type checker reads."""
    try:
        from cosmic_ray import plugins
        from cosmic_ray.mutating import mutate_code
    except ImportError:
        sys.exit("the code is changed by cosmic-ray, which is not here: pip install -e '.[test,mutation]'")

    met = {_meaning(source)}
    for name in plugins.operator_names():
        operator_class = plugins.get_operator(name)
        if operator_class.arguments():
            continue
        occurrence = 0
        while (changed := mutate_code(source, operator_class(), occurrence)) is not None:
            occurrence += 1
            with suppress(SyntaxError):  # a bare * of a signature became another operator
                meaning = _meaning(changed)
                if meaning not in met:
                    met.add(meaning)
                    yield changed


def _meaning(source: str) -> str:
    class WithoutTypes(ast.NodeTransformer):
        def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
            return ast.Assign([node.target], node.value, lineno=0) if node.value else None

        def visit_arg(self, node: ast.arg) -> ast.AST:
            node.annotation = None
            return node

        def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
            node.returns = None
            return self.generic_visit(node)

        def visit_If(self, node: ast.If) -> ast.AST | None:
            return None if "TYPE_CHECKING" in ast.dump(node.test) else self.generic_visit(node)

        def visit_Assign(self, node: ast.Assign) -> ast.AST | None:
            return None if "TYPE_CHECKING" in ast.dump(node.targets[0]) else node

    return ast.dump(WithoutTypes().visit(ast.parse(source)))


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


class Try:
    """The tests of a module with this source in its place, in a fork.

    limit: seconds of processor time; the tests that need more, as in an endless loop, have noticed the change.
    """

    def __init__(self, module: str, source: str, limit: int = _LONGEST) -> None:
        self.source = source
        self._home = tempfile.TemporaryDirectory(prefix="mutation-")
        self._end = time.monotonic() + _LONGEST
        self._pid = os.fork()
        if not self._pid:
            try:
                self._run(module, limit)
            finally:
                os._exit(1)

    def _run(self, module: str, limit: int) -> None:
        os.setsid()
        os.umask(0o022)
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        output = os.open(f"{self._home.name}/output", os.O_WRONLY | os.O_CREAT)
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.meta_path.insert(0, _Changed(module, ROOT / source_of(module), self.source))
        sys.dont_write_bytecode = True
        importlib.import_module(module)  # before pytest, which has a finder of its own for its plugins' packages
        os._exit(pytest.main([*_PYTEST, f"--basetemp={self._home.name}/tmp", *MODULES[module]]))

    def passed(self) -> bool | None:
        """Did all tests pass? None: they are still running."""
        ended, status, used = os.wait4(self._pid, os.WNOHANG)
        if not ended:
            if time.monotonic() < self._end:
                return None
            self.kill()
        self.output = Path(f"{self._home.name}/output").read_text(errors="replace")
        self.seconds = used.ru_utime + used.ru_stime
        self._home.cleanup()
        return bool(ended) and status == 0

    def kill(self) -> None:
        """End it and all that it started."""
        os.killpg(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)


def tries(module: str, sources: Iterable[str], limit: int) -> Iterator[tuple[str, bool]]:
    """Each source, and whether all tests passed with it; as they end."""
    running: list[Try] = []
    waiting = iter(sources)
    try:
        while True:
            while len(running) < _AT_A_TIME and (source := next(waiting, None)) is not None:
                running.append(Try(module, source, limit))
            if not running:
                return
            time.sleep(0.01)
            for one in list(running):
                if (passed := one.passed()) is not None:
                    running.remove(one)
                    yield one.source, passed
    finally:
        for one in running:
            one.kill()


def main() -> int:
    """The exit status: 0, also with survivors, which a person judges; 1 where the tests fail without any change."""
    os.chdir(ROOT)
    for module in sys.argv[1:] or DECIDING:
        source = (ROOT / source_of(module)).read_text()
        begin = time.monotonic()
        unchanged = Try(module, source)
        while (passed := unchanged.passed()) is None:
            time.sleep(0.01)
        if not passed:
            print(f"{module}: its tests fail as it is\n{unchanged.output}")
            return 1
        found = dict(tries(module, changes(source), limit=3 + round(2 * unchanged.seconds)))
        left = [changed for changed, passed in found.items() if passed]
        took = time.monotonic() - begin
        print(f"== {module}: {len(found)} changes, {len(left)} that no test noticed ({took:.0f} s)", flush=True)
        for changed in left:
            diff = difflib.unified_diff(source.splitlines(), changed.splitlines(), lineterm="", n=0)
            print("\n".join(list(diff)[2:]), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
