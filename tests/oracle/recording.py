"""The recorded answers of the real uWSGI: whose they are, and whether they still stand for it.

A recording stands for the real uWSGI while what asked is unchanged: the text of the scenario, of all that it uses in
its file, and of what runs it. `scenario` holds the hash of that text; `uwsgi` says which program answered.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from .harness import Facts, Scenario
from .launchers import uwsgi_version

HERE = Path(__file__).parent
EXPECTED = HERE / "expected"
#: the keys of a recording; one without them is of an older form, and stands for nothing
KEYS = {"facts", "scenario", "uwsgi"}
#: what decides how each scenario is run and what its app writes down
MACHINERY = ("harness.py", "packets.py", "appside/oracleobs.py", "scenarios/_common.py")


def recorded(name: str) -> Facts:
    """Return the recorded answer of a scenario; FileNotFoundError where none was recorded."""
    read = _read(name)
    facts: Facts = read["facts"] if set(read) == KEYS else read
    return facts


def stands(scenario: Scenario) -> bool:
    """Whether the recorded answer was given to the scenario as it is now."""
    try:
        read = _read(scenario.name)
    except FileNotFoundError:
        return False
    return set(read) == KEYS and bool(read["scenario"] == fingerprint(scenario))


def record(scenario: Scenario, facts: Facts, binary: str) -> None:
    """Write the answer that `binary` gave to a scenario."""
    made = {"facts": facts, "scenario": fingerprint(scenario), "uwsgi": identity(binary)}
    (EXPECTED / f"{scenario.name}.json").write_text(json.dumps(made, indent=1, sort_keys=True) + "\n")


@functools.cache
def identity(binary: str) -> dict[str, str]:
    """Return which program this is: its version, hashes of its file and of its build flags, its Python's version."""
    flags = subprocess.run([binary, "--cflags"], capture_output=True, check=False, timeout=60).stdout
    return {
        "version": uwsgi_version(binary),
        "binary": _hash(Path(binary).read_bytes()),
        "cflags": _hash(flags),
        "machine": f"{platform.system()} {platform.machine()}",
    }


def fingerprint(scenario: Scenario) -> str:
    """Return the hash of what a scenario is made of: its text, that of what it uses in its file, the machinery's."""
    path = inspect.getsourcefile(inspect.unwrap(scenario.run))
    assert path is not None
    own = _parts(path).closure(scenario.run.__name__)
    return _hash("\0".join([*_machinery(), *own, scenario.need]).encode())


@functools.cache
def _read(name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((EXPECTED / f"{name}.json").read_text())
    return read


@functools.cache
def _machinery() -> list[str]:
    return [(HERE / name).read_text() for name in MACHINERY if os.path.exists(HERE / name)]


class _Parts:
    """The top-level names of a file, each with its text and the names it uses."""

    def __init__(self, path: str) -> None:
        text = Path(path).read_text(encoding="utf-8")
        self._whole = text
        self._text: dict[str, str] = {}
        self._uses: dict[str, set[str]] = {}
        for node in ast.parse(text).body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                continue
            lines = text.splitlines()[(_first_line(node) - 1) : node.end_lineno]
            used = {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}
            for name in _names(node):
                self._text[name] = self._text.get(name, "") + "\n".join(lines)
                self._uses.setdefault(name, set()).update(used)

    def closure(self, name: str) -> list[str]:
        """Return the texts of `name` and of all that it uses, directly or not, in the order of their names; all of
        the file for a name that is made by its code.
        """
        if name not in self._text:
            return [self._whole]
        found: set[str] = set()
        new = {name}
        while new:
            found |= new
            new = {used for one in new for used in self._uses[one] if used in self._text} - found
        return [self._text[one] for one in sorted(found)]


_parts = functools.cache(_Parts)


def _first_line(node: ast.stmt) -> int:
    decorators = getattr(node, "decorator_list", [])
    return min([node.lineno, *(d.lineno for d in decorators)])


def _names(node: ast.stmt) -> set[str]:
    """The names that a top-level statement binds."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
