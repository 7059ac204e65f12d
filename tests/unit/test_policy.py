"""`Policy`: each field is a row of the page of differences, and is read; nothing else asks for --faithful."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import spoolsim
from spoolsim.options import SAFER, UWSGI, Options, Policy
from spoolsim.options.policy import Difference, rows

PACKAGE = Path(spoolsim.__file__).parent


def trees() -> Iterator[tuple[str, ast.Module]]:
    """Every module outside options/ and the log, by its path in the package, with its syntax tree."""
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if not name.startswith("options/") and name != "log.py":
            yield name, ast.parse(path.read_text())


def test_every_field_is_read():
    """A field that no code reads would be a row about nothing."""
    read = {node.attr for _, tree in trees() for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert {row.name for row in rows()} - read == set()


def asks(tree: ast.Module) -> bool:
    """True where a name, an attribute, a parameter or an argument is called `faithful`, or the option is looked for."""
    for node in ast.walk(tree):
        names = {getattr(node, name, None) for name in ("id", "attr", "arg", "value")}
        if any(isinstance(name, str) and name.strip("_-") == "faithful" for name in names):
            return True
    return False


def test_only_the_policy_asks_for_faithful():
    """All others ask a field of the policy, which says what it is about."""
    assert {name for name, tree in trees() if asks(tree)} == set()


def test_the_two_policies_differ_in_every_field():
    """All that spoolsim adds is on by default, and off under --faithful."""
    names = [row.name for row in rows()]
    assert len(names) == len(set(names)) > 40
    assert {getattr(SAFER, name) for name in names} == {True}
    assert {getattr(UWSGI, name) for name in names} == {False}
    assert Options().policy is SAFER
    assert Options(faithful=True).policy is UWSGI


def test_a_policy_is_frozen():
    """Neither a field nor anything else can be set."""
    for name in ("explains", "nonsense"):
        with pytest.raises(AttributeError, match=name):
            setattr(SAFER, name, False)
    assert SAFER.explains is True


def test_of_the_class_a_field_is_its_row():
    """With the words of the page."""
    row = Policy.quarantines_broken
    assert isinstance(row, Difference)
    assert (row.name, row.what, row.note) == ("quarantines_broken", "a broken spool file", "broken-file")
