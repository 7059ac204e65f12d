"""Numbers first, the smallest before the others, then the tasks without a priority."""

from __future__ import annotations

import uwsgi


def handler(env: dict) -> int:
    print("ran", env[b"name"].decode(), flush=True)
    return uwsgi.SPOOL_OK


uwsgi.spooler = handler
