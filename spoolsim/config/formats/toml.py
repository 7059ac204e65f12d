"""toml, our own convenience: [tool.spoolsim] in pyproject.toml, [spoolsim] or [uwsgi] in other files."""

from __future__ import annotations

import os
import tomllib

from spoolsim.config.argv import unknown_option
from spoolsim.config.formats import Row
from spoolsim.config.formats.json import table_rows
from spoolsim.config.logic import is_condition
from spoolsim.config.role import setting_of
from spoolsim.errors import ConfigError


def rows(text: str, path: str, section: str | None = None) -> list[Row]:
    """The settings; keys are option names with dashes, a list repeats its key. Empty without a table for us.

    Raises ConfigError, naming line, column and what was expected.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _located(error, text, path) from None
    table = data.get("tool", {}).get("spoolsim")
    if table is None and os.path.basename(path) != "pyproject.toml":
        table = data.get(section) if section else data.get("spoolsim", data.get("uwsgi"))
        if table is None:
            raise ConfigError(f"{path}: no table [{section or 'uwsgi'}]; expected one in a toml file")
    found = table_rows(table or {}, path, lambda key: _line(text, key))
    for key, _, line in found:
        if setting_of(key, "", path).role == "unknown" and not is_condition(key):
            raise ConfigError(f"{path}:{line}: {unknown_option(key).replace('--', '')}")
    return found


def _located(error: tomllib.TOMLDecodeError, text: str, path: str) -> ConfigError:
    message, _, place = str(error).rpartition(" (at ")  # line 1, column 5) or end of document)
    numbers = [word.strip(",)") for word in place.split() if word.strip(",)").isdigit()]
    line, column = numbers if len(numbers) == 2 else (text.count("\n") + 1, len(text) - text.rfind("\n"))
    return ConfigError(f"{path}:{line}:{column}: expected toml: {message or place}")


def _line(text: str, key: str) -> int:
    for number, line in enumerate(text.split("\n"), 1):
        name = line.partition("=")[0].strip().strip("\"'")
        if name == key and "=" in line:
            return number
    return 0
