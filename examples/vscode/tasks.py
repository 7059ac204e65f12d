"""A task to stop in."""

from __future__ import annotations

import uwsgi


def handler(env: dict) -> int:
    name = env[b"name"].decode()
    print("hello", name, flush=True)
    return uwsgi.SPOOL_OK


uwsgi.spooler = handler
