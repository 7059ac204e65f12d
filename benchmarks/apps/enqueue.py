"""An app that enqueues at import, as fast as it can, and leaves the time it took.

It runs where the app is loaded: in uWSGI's master, in spoolsim's fork server; the directory is an external one, so
that nobody takes the files away meanwhile.
"""

from __future__ import annotations

import os
import time

import marks
import uwsgi

count = int(os.environ["SPOOLBENCH_COUNT"])
warm = int(os.environ["SPOOLBENCH_WARM"])
body = b"x" * int(os.environ["SPOOLBENCH_BODY"])
later = str(int(time.time()) + 86400).encode() if os.environ["SPOOLBENCH_AT"] == "1" else b""


def enqueue(n: int) -> None:
    spool = uwsgi.spool
    if later:
        for _ in range(n):
            spool({b"task": b"noop", b"at": later})
    elif body:
        for _ in range(n):
            spool({b"task": b"noop", b"body": body})
    else:
        for _ in range(n):
            spool({b"task": b"noop"})


result = marks.shared("enqueue", 1)
enqueue(warm)
began = marks.now()
enqueue(count)
result[0] = marks.now() - began
