"""The app of noop.py, whose handler prints ten lines of three arguments each, which Python writes in six pieces."""

from __future__ import annotations

import noop
import uwsgi


def handler(env: dict) -> int:
    for number in range(10):
        print("line", number, "of a task that says what it does")
    return noop.handler(env)


uwsgi.spooler = handler
