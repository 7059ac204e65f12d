"""An app whose handler never returns: harakiri, and the retry after a kill."""

from __future__ import annotations

import time

import marks
import uwsgi


def begin() -> None:
    global words
    words = marks.own()


def handler(env: dict) -> int:
    words[marks.FIRST] = marks.now()
    words[marks.COUNT] = 1
    while True:
        time.sleep(60)


uwsgi.post_fork_hook = begin
uwsgi.spooler = handler
