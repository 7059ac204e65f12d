"""The app under soak: tasks misbehave as `how` says, at their first run; a poisonous one until it is cured."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import uwsgi

from tests.soak.ledger import FILE, Ledger, add

#: a directory with a file for each poisonous task that has been brought back from failed/
CURES = os.environ[FILE] + ".cures"

ledger = Ledger(os.environ[FILE], int(os.environ["SOAK_TASKS"]))


def cure(name: bytes) -> bytes:
    """The file that makes a poisonous task harmless."""
    return os.path.join(os.fsencode(CURES), name)


def spooler(env: dict[Any, bytes]) -> int:
    number = int(env[b"number"])
    how = env[b"how"]
    run = add(ledger.begun, number)
    if int(env.get(b"size", b"0")) != len(env.get("body", b"")):
        return int(uwsgi.SPOOL_IGNORE)  # half a task: never done, so the count tells
    if how == b"poison" and not os.path.exists(cure(env["spooler_task_name"])):
        os.kill(os.getpid(), signal.SIGKILL)
    if run == 1:
        if how == b"retry":
            return int(uwsgi.SPOOL_RETRY)
        if how == b"raise":
            raise ValueError("a failing task, as asked for")
        if how == b"exit":
            raise SystemExit(3)
        if how == b"die":
            os.kill(os.getpid(), signal.SIGKILL)
        if how == b"hang":
            time.sleep(600)
    if add(ledger.done, number) > 1:
        with open(os.environ[FILE] + ".again", "ab", buffering=0) as again:
            again.write(b"%d %s\n" % (number, env["spooler_task_name"]))
    return int(uwsgi.SPOOL_OK)


uwsgi.spooler = spooler
