"""The app of noop.py, whose handler prints ten lines, each of one text: what a history costs that keeps them."""

from __future__ import annotations

import noop
import uwsgi


def handler(env: dict) -> int:
    for number in range(10):
        print(f"line {number} of a task that says what it does")
    return noop.handler(env)


uwsgi.spooler = handler
