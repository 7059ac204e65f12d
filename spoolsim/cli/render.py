"""A page of the manual as a terminal shows it: headings, tables and code instead of their Markdown."""

from __future__ import annotations

import io
import shutil

from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import Markdown, TableElement
from rich.table import Table
from rich.theme import Theme

#: columns; longer lines are hard to read
_WIDEST = 100
#: rich's own has a black background, which is a box on a light terminal
_THEME = Theme({"markdown.code": "bold cyan"})


class _Table(TableElement):
    """A table that breaks long words, as names of options and paths are, where rich would cut them."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for found in super().__rich_console__(console, options):
            if isinstance(found, Table):
                for column in found.columns:
                    column.overflow = "fold"
            yield found


class _Page(Markdown):
    elements = {**Markdown.elements, "table_open": _Table}  # noqa: RUF012 - as rich has it


def rendered(text: str) -> str:
    """Markdown as text for the terminal of standard output, with its escape sequences; NO_COLOR leaves colours out."""
    width = min(shutil.get_terminal_size().columns, _WIDEST)
    written = io.StringIO()
    console = Console(file=written, width=width, force_terminal=True, theme=_THEME)
    console.print(_Page(text, code_theme="ansi_dark"))
    return "".join(f"{line.rstrip()}\n" for line in written.getvalue().splitlines())
