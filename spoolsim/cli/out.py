"""Printing what was asked for: a standard output that takes nothing is an error of one line."""

from __future__ import annotations

import os

import click

from spoolsim.errors import SpoolsimError


def out(text: object) -> None:
    """One line to standard output. Raises SpoolsimError when it cannot be written."""
    try:
        click.echo(text)
    except OSError as error:
        # what is left in the buffer would be tried again at the exit, with a traceback
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        raise SpoolsimError(f"standard output: {error.strerror}") from None
