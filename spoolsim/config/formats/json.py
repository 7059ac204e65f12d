"""json as a uWSGI with jansson reads it: an object "uwsgi"; a list repeats its key."""

from __future__ import annotations

from json import JSONDecodeError, dumps, loads

from spoolsim.config.formats import Row
from spoolsim.errors import ConfigError


def rows(text: str, path: str, section: str = "uwsgi") -> list[Row]:
    """The settings of one section. Raises ConfigError, naming line, column and what was expected."""
    try:
        data = loads(text)
    except JSONDecodeError as error:
        raise ConfigError(f"{path}:{error.lineno}:{error.colno}: expected json: {error.msg}") from None
    table = data.get(section) if isinstance(data, dict) else None
    if not isinstance(table, dict):
        raise ConfigError(f'{path}: no section "{section}"; expected an object of that name in a json file')
    return table_rows(table, path, lambda key: _line(text, key), ("0", "1"))


def table_rows(
    table: dict[str, object], path: str, line_of: LineOf, words: tuple[str, str] = ("false", "true")
) -> list[Row]:
    """Rows of a mapping: text, numbers, false and true (as `words`), and lists of these.

    Raises ConfigError for anything else.
    """
    found: list[Row] = []
    for key, value in table.items():
        line = line_of(key)
        for item in value if isinstance(value, list) else [value]:
            place = f"{path}:{line}" if line else path
            if isinstance(item, str) and "\0" in item:
                raise ConfigError(f"{place}: {key}: expected text without a NUL character")
            if not isinstance(item, str | int | float):
                raise ConfigError(f"{place}: {key}: expected text, a number, true or false, or a list of these")
            found.append((key, words[item] if isinstance(item, bool) else str(item), line))
    return found


def _line(text: str, key: str) -> int:
    position = text.find(dumps(key, ensure_ascii=False))
    return text.count("\n", 0, position) + 1 if position >= 0 else 0


TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    LineOf = Callable[[str], int]
