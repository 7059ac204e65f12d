"""An app that measures from enqueue to handler: a web worker enqueues one task at a time to an idle spooler.

The worker's loop runs in its post-fork hook, so it needs no request; words of the shared marks, by task number:
2n when it was enqueued, 2n+1 when its handler began. Word 0 and 1 belong to a task of their own: the warm-up.
"""

from __future__ import annotations

import os
import random
import time

import marks
import uwsgi

count = int(os.environ["SPOOLBENCH_COUNT"])
times = marks.shared("wake", 2 * (count + 1))


def handler(env: dict) -> int:
    times[2 * int(env[b"n"]) + 1] = marks.now()
    return -2


def post_fork() -> None:
    if uwsgi.worker_id() != 1:
        return
    pause = random.Random(1)
    time.sleep(0.3)  # the spooler's own start
    for n in range(count + 1):
        name = str(n).encode()
        times[2 * n] = marks.now()
        uwsgi.spool({b"n": name})
        while not times[2 * n + 1]:
            time.sleep(0.0005)
        time.sleep(pause.uniform(0.001, 0.003))  # it is idle again, and not in step with us


uwsgi.spooler = handler
if os.environ["SPOOLBENCH_PRODUCE"] == "1":
    uwsgi.post_fork_hook = post_fork
