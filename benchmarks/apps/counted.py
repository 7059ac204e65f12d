"""An app whose system calls are counted between two marks that the tracer sees: of enqueuing, and of running tasks."""

from __future__ import annotations

import os

import uwsgi

count = int(os.environ["SPOOLBENCH_COUNT"])
MARK = "/spoolbench-mark"
calls = 0


def handler(env: dict) -> int:
    global calls
    calls += 1
    if calls in (1, count):
        os.access(MARK, os.F_OK)
    return -2


uwsgi.spooler = handler
if os.environ["SPOOLBENCH_PRODUCE"] == "1":
    uwsgi.spool({b"task": b"noop"})  # what is done once is done
    os.access(MARK, os.F_OK)
    for _ in range(count):
        uwsgi.spool({b"task": b"noop"})
    os.access(MARK, os.F_OK)
