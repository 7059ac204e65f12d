"""toml, our own convenience: [tool.spoolsim] in pyproject.toml, [spoolsim] or [uwsgi] in other files."""

from __future__ import annotations

import os
import tomllib

from spoolsim.config.argv import unknown_option
from spoolsim.config.collect import setting_of
from spoolsim.config.formats import Row
from spoolsim.config.formats.json import table_rows
from spoolsim.config.logic import is_condition
from spoolsim.errors import ConfigError


def rows(text: str, path: str, section: str | None = None) -> list[Row]:
    """The settings; keys are option names with dashes, a list repeats its key. Empty without a table for us.

    Raises ConfigError: toml's own message names line and column.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: expected toml: {error}") from None
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


def _line(text: str, key: str) -> int:
    for number, line in enumerate(text.split("\n"), 1):
        name = line.partition("=")[0].strip().strip("\"'")
        if name == key and "=" in line:
            return number
    return 0
