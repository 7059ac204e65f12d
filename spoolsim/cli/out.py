"""Printing what was asked for: a standard output that takes nothing is an error of one line."""

from __future__ import annotations

import os
import sys

import click

from spoolsim.errors import SpoolsimError
from spoolsim.log import printable


def exactly(text: str) -> None:
    """This very text to standard output, byte for byte unless that is a terminal. Raises SpoolsimError as `out`."""
    if sys.stdout.isatty():
        out(text, nl=False)
    else:
        out(text.encode("utf-8", "surrogateescape"), nl=False)  # of a text, click leaves out escape sequences


def out(text: object, *, nl: bool = True) -> None:
    """A text to standard output, where no character of it may command a terminal; bytes go out as they are.

    Raises SpoolsimError when it cannot be written.
    """
    if isinstance(text, str):
        text = "\n".join("\t".join(map(printable, line.split("\t"))) for line in text.split("\n"))
    try:
        click.echo(text, nl=nl)
    except OSError as error:
        # what is left in the buffer would be tried again at the exit, with a traceback
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        raise SpoolsimError(f"standard output: {error.strerror}") from None
