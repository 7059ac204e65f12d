"""uWSGI's ini files: repeated keys, bare keys, whole-line comments, several sections."""

from __future__ import annotations

from spoolsim.config.formats import Row
from spoolsim.errors import ConfigError

_BLANKS = " \t\r"


def rows(text: str, path: str, section: str = "uwsgi", *, strict: bool = True) -> list[Row]:
    """The settings of one section in file order; the parts of a section given twice are joined.

    A key without "=" has the value "". Text after a value, a "#" too, belongs to the value, as in uWSGI.

    Raises ConfigError, naming line and column, for a section header that is not closed or has text behind it, and
    for a file without that section: uWSGI (strict=False) takes these in silence.
    """
    found: list[Row] | None = None
    inside = False
    names: list[str] = []
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip(_BLANKS)
        if not line or line[0] in ";#":
            continue
        if line[0] == "[":
            name = _header(raw, path, number, strict)
            names.append(name)
            inside = name == section
            if inside and found is None:
                found = []
        elif inside and found is not None:
            key, _, value = line.partition("=")
            found.append((key.strip(_BLANKS), value.strip(_BLANKS), number))
    if found is None and strict:
        choice = ", ".join(f"{path}:{name}" for name in dict.fromkeys(names))
        advice = f"name one of its sections: {choice}" if names else "expected one in an ini file"
        raise ConfigError(f"{path}: no section [{section}]; {advice}")
    return found or []


def _header(raw: str, path: str, number: int, strict: bool) -> str:
    line = raw.strip(_BLANKS)
    if line.endswith("]") and line.count("]") == 1:
        return line[1:-1]
    if not strict:
        return line[1:-1] if line.endswith("]") else line[1:]
    start = raw.index("[") + 1
    if "]" in line:
        column, expected = start + line.index("]") + 1, "nothing after ]"
    else:
        column, expected = start + len(line), "]"
    raise ConfigError(f"{path}:{number}:{column}: {line!r}: expected {expected} to end the section header")
