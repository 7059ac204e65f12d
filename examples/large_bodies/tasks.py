"""All variables of a task together have at most 64 KiB; the body has no limit."""

from __future__ import annotations

import uwsgi


def handler(env: dict) -> int:
    print(f"{env[b'name'].decode()}: {len(env['body'])} bytes, from {env['body'][:3]!r}", flush=True)
    return uwsgi.SPOOL_OK


uwsgi.spooler = handler
