"""The app of the campaign, for both sides: a task notes that it runs, and with which version of its variables.

A line of $RUNS: task, version, monotonic seconds when the handler began, outcome, side. Tasks whose number is a
multiple of 7 ask for one retry; multiples of 11 fail until $CURED exists.
"""

import os
import time

import uwsgi

FD = os.open(os.environ["RUNS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
SIDE = os.environ["SIDE"]


def spooler(env):
    """Run one task."""
    began = time.clock_gettime(time.CLOCK_MONOTONIC)
    n = int(env[b"n"])
    outcome = "done"
    if n % 11 == 0 and not os.path.exists(os.environ["CURED"]):
        outcome = "retry"
    elif n % 7 == 0:
        try:
            os.close(os.open(os.path.join(os.environ["TRIED"], str(n)), os.O_CREAT | os.O_EXCL, 0o600))
            outcome = "retry"
        except FileExistsError:
            pass
    time.sleep(n % 5 / 1000)
    os.write(FD, f"{n} {env[b'v'].decode()} {began!r} {outcome} {SIDE}\n".encode())
    return uwsgi.SPOOL_OK if outcome == "done" else uwsgi.SPOOL_RETRY


uwsgi.spooler = spooler
