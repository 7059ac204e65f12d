"""Printing: what was asked for to standard output, where it cannot be written an error of one line; the rest beside it.

No other module of the commands writes to the terminal, so that no character of a task or a file can command it.
"""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import contextmanager

import click

from spoolsim.errors import SpoolsimError
from spoolsim.printable import lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.text import Text

#: the cursor at the top of an empty screen
_CLEAR = "\x1b[H\x1b[J"


def exactly(text: str) -> None:
    """This very text to standard output, byte for byte unless that is a terminal. Raises SpoolsimError as `out`."""
    if sys.stdout.isatty():
        out(text, nl=False)
    else:
        out(text.encode("utf-8", "surrogateescape"), nl=False)  # of a text, click leaves out escape sequences


def out(text: object, *, nl: bool = True, colour: str = "") -> None:
    """A text to standard output, where no character of it may command a terminal; bytes go out as they are.

    colour: of a text, by click's name for it; seen on a terminal only, and not where NO_COLOR is set.
    Raises SpoolsimError when it cannot be written.
    """
    if isinstance(text, str):
        text = lines(text)
        if colour and not os.environ.get("NO_COLOR"):
            text = click.style(text, fg=colour)
    _write(text, nl)


def screen(text: str) -> None:
    """A text in place of what is on the terminal. Raises SpoolsimError as `out`."""
    _write(_CLEAR + lines(text), True)


@contextmanager
def screens() -> Iterator[Callable[[Sequence[Text]], None]]:
    """Take the whole terminal, and give back at the end what was on it; what is called shows lines in place of others.

    The lines are printable already, and no longer than the terminal is wide.
    """
    from rich.console import Console, Group
    from rich.live import Live

    console = Console(file=sys.stdout, highlight=False, emoji=False, markup=False)
    live = Live(console=console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
    with live:
        yield lambda lines: live.update(Group(*lines), refresh=True)


def page(text: str) -> None:
    """A text of ours, escape sequences included, to a terminal; through a pager where it is longer than the screen."""
    if text.count("\n") < shutil.get_terminal_size().lines:
        _write(text, False)
    else:
        click.echo_via_pager(text, color=True)


def _write(text: object, nl: bool) -> None:
    try:
        click.echo(text, nl=nl)
    except OSError as error:
        # what is left in the buffer would be tried again at the exit, with a traceback
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        raise SpoolsimError(f"standard output: {error.strerror}") from None


def tell(text: object) -> None:
    """A line to standard error, where no character of it may command a terminal."""
    try:
        click.echo(lines(str(text)), err=True)
    except OSError:
        pass  # nobody reads it
