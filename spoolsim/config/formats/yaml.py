"""yaml as uWSGI's own small reader takes it: a section at the margin, `key: value` lines below it, indented.

It knows no quotes, lists or nesting, and stops in silence at the first line it cannot read. So does this one where it
is not strict; by default such a line is an error, since what stands below it would be without effect. So is a
carriage return, which uWSGI takes for a blank before a text and for a part of it behind: `false` with one is no false.
"""

from __future__ import annotations

from spoolsim.config.formats import Row
from spoolsim.errors import ConfigError

_BLANKS = " \t"
_BEFORE = " \t\r"


def rows(text: str, path: str, section: str = "uwsgi", *, strict: bool = True) -> tuple[list[Row], bool]:
    """The settings of one section, and whether reading stopped before the end of the file.

    Raises ConfigError, naming line and column, if `strict`.
    """
    found: list[Row] = []
    inside = False
    for number, raw in enumerate(text.split("\n"), 1):
        begun = raw.partition("#")[0].lstrip(_BEFORE)
        line = begun.rstrip(_BLANKS)
        if not line:
            continue
        if raw[0] not in _BEFORE:  # at the margin: a section begins, or ours ends
            if inside and not found and strict:
                raise ConfigError(f"{path}:{number}:1: {line!r}: expected an indented line in section `{section}:`")
            if inside:
                return found, True
            name, colon, _ = line.partition(":")
            inside = bool(colon) and name == section
            continue
        if not inside:
            continue
        row = _row(begun, number)
        if row is None:
            if not strict:
                return found, True
            column = len(raw) - len(raw.lstrip(_BEFORE)) + 1
            raise ConfigError(f"{path}:{number}:{column}: {line!r}: expected `key: value`; uWSGI stops reading here")
        if strict and "\r" in row[0] + row[1]:
            column = raw.index("\r", raw.index(line)) + 1
            expected = "expected lines that end without a carriage return; uWSGI takes it for a part of the value"
            raise ConfigError(f"{path}:{number}:{column}: {line!r}: {expected}")
        found.append(row)
    if not inside and strict:
        raise ConfigError(f"{path}: no section `{section}:` at the margin; expected one in a yaml file")
    return found, False


def _row(line: str, number: int) -> Row | None:
    if line.startswith("-"):
        return None
    for position, char in enumerate(line):
        if char == ":" and line[position + 1 : position + 2] in (" ", "\t"):
            key, value = line[:position].rstrip(_BLANKS), line[position + 1 :].lstrip(_BEFORE).rstrip(_BLANKS)
            return key, value, number
    return None
