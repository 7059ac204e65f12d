"""xml as uWSGI reads it: the elements of <uwsgi>, which is the root or the first such child of it."""

from __future__ import annotations

from xml.parsers import expat

from spoolsim.config.formats import Row
from spoolsim.errors import ConfigError


def rows(text: str, path: str) -> list[Row]:
    """The settings in document order. An empty element has the value "1"; blanks in a text are kept.

    Raises ConfigError, naming line and column, for text that is not well formed, has no <uwsgi>, or has elements
    within an element (uWSGI crashes on these).
    """
    reader = _Reader(path)
    parser = expat.ParserCreate()
    parser.StartElementHandler = lambda name, _: reader.start(
        name, parser.CurrentLineNumber, parser.CurrentColumnNumber
    )
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.CommentHandler = reader.comment
    try:
        parser.Parse(text.encode("utf-8", "surrogateescape"), True)
    except expat.ExpatError as error:
        what = expat.ErrorString(error.code)
        raise ConfigError(f"{path}:{error.lineno}:{error.offset + 1}: expected well-formed xml: {what}") from None
    if not reader.seen:
        raise ConfigError(f"{path}: no element <uwsgi>; expected it as the root or right below it")
    return reader.rows


class _Reader:
    def __init__(self, path: str) -> None:
        self.path = path
        self.rows: list[Row] = []
        self.seen = False  # a <uwsgi> was met; later ones are left out
        self.depth = 0
        self.base = 0  # depth of the <uwsgi> that is being read
        self.key = ""
        self.line = 0
        self.value: str | None = None
        self.ended = False  # a comment ends the text, as for uWSGI

    def start(self, name: str, line: int, column: int) -> None:
        self.depth += 1
        if self.base and self.depth == self.base + 1:
            self.key, self.line, self.value, self.ended = name, line, None, False
        elif self.base:
            raise ConfigError(f"{self.path}:{line}:{column + 1}: <{name}>: expected text only within <{self.key}>")
        elif name == "uwsgi" and not self.seen and self.depth <= 2:
            self.seen, self.base = True, self.depth

    def end(self, _: str) -> None:
        if self.base and self.depth == self.base + 1:
            self.rows.append((self.key, "1" if self.value is None else self.value, self.line))
        elif self.depth == self.base:
            self.base = 0
        self.depth -= 1

    def text(self, text: str) -> None:
        if self.base and self.depth == self.base + 1 and not self.ended:
            self.value = (self.value or "") + text

    def comment(self, _: str) -> None:
        self.ended = self.value is not None
