"""An app whose handler does nothing but leave its marks: drain, start, recycle, memory."""

from __future__ import annotations

import marks
import uwsgi

COUNT, FIRST, LAST = marks.COUNT, marks.FIRST, marks.LAST
now = marks.now


def begin() -> None:
    global words
    words = marks.own()


def handler(env: dict) -> int:
    at = now()
    if not words[COUNT]:
        words[FIRST] = at
    words[LAST] = at
    words[COUNT] += 1
    return -2


uwsgi.post_fork_hook = begin
uwsgi.spooler = handler
