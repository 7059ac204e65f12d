"""Production notes: one registry, said once for each thing, silenced by code, never under faithful."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import spoolsim
from spoolsim.diagnose import BY_CODE, NOTES, Notes
from spoolsim.errors import OptionError


def given(**how: object) -> tuple[Notes, list[tuple[str, str]]]:
    said: list[tuple[str, str]] = []
    return Notes(lambda *one: said.append(one), **how), said


def test_the_registry_is_well_formed():
    """Codes are unique, short and lower case; every note tells what uWSGI does and what to do about it."""
    assert len(BY_CODE) == len(NOTES)
    for note in NOTES:
        assert re.fullmatch(r"[a-z0-9]+([-.][a-z0-9]+)*", note.code)
        assert note.uwsgi and note.advice
        assert not note.advice.endswith(".")


def test_a_note_is_said_once_for_each_thing():
    """The same code is said again only about something else."""
    notes, said = given()
    assert [notes.give("broken-file", about) for about in ("a", "a", "b", "a", "b")] == [
        True,
        False,
        True,
        False,
        False,
    ]
    assert [code for code, _ in said] == ["broken-file", "broken-file"]
    assert said[0][1].startswith("a: ")
    assert BY_CODE["broken-file"].uwsgi in said[0][1]
    assert BY_CODE["broken-file"].advice in said[0][1]


@pytest.mark.parametrize(
    ("code", "hint"), [("busy-weight", "did you mean busy-wait?"), ("nope", "see spoolsim help production-notes")]
)
def test_a_code_that_is_none_cannot_be_silenced(code: str, hint: str):
    """It is a misspelling; the nearest code is named."""
    with pytest.raises(OptionError) as caught:
        given(silenced=["busy-wait", code])
    assert str(caught.value) == f"silence: {code!r} is not the code of a production note; {hint}"
    assert caught.value.exit_code == 2


def test_silenced_codes_are_not_said():
    """Silencing is by code, one by one."""
    notes, said = given(silenced=["body-removed"])
    assert not notes.give("body-removed")
    assert notes.give("empty-key")
    assert [code for code, _ in said] == ["empty-key"]


def test_under_faithful_nothing_is_said():
    """Not one note of the registry."""
    notes, said = given(enabled=False)
    assert not any(notes.give(note.code, "x") for note in NOTES)
    assert said == []


def test_what_was_said_is_not_remembered_without_end():
    """A note about ever new files does not fill the memory."""
    notes, said = given()
    for number in range(25_000):
        notes.give("broken-file", str(number))
    assert len(said) == 25_000
    assert len(notes._said) <= 10_000
    assert not notes.give("broken-file", "24999")


def test_an_unknown_code_is_a_fault_of_ours():
    """A code that is not in the registry cannot be given."""
    notes, _ = given()
    with pytest.raises(KeyError):
        notes.give("no-such-code")


def test_every_code_given_in_the_package_is_in_the_registry():
    """Each literal code passed to give(), note() or production() exists."""
    used = {}
    for path in Path(spoolsim.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            code = node.args[0].value
            if name in ("give", "production") and isinstance(code, str):
                used[code] = path.name
    assert len(used) > 20
    assert {code: name for code, name in used.items() if code not in BY_CODE} == {}
