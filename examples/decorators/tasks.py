"""A function becomes a task: calling it enqueues, the spooler runs it with everything as text."""

from __future__ import annotations

import uwsgi
from uwsgidecorators import spool, spoolraw


@spool
def greet(arguments: dict[str, str]) -> None:
    """Done, whatever it returns; an exception is retried forever."""
    print(f"hello {arguments['name']}", flush=True)


@spoolraw
def decide(arguments: dict[str, str]) -> int:
    """Says itself what becomes of it: uwsgi.SPOOL_OK, SPOOL_RETRY or SPOOL_IGNORE."""
    print(f"decided about {arguments['what']}", flush=True)
    return uwsgi.SPOOL_OK
