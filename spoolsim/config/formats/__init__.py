"""One module for each form of configuration file: text in, (key, value, line number) out. Pure."""

from __future__ import annotations

#: key, value, line number (0 where the form gives none)
Row = tuple[str, str, int]
