"""The handler is the same for all directories; the working directory tells which one it is."""

from __future__ import annotations

import os

import uwsgi


def handler(env: dict) -> int:
    print(env[b"name"].decode(), "ran in", os.path.basename(os.getcwd()), flush=True)
    return uwsgi.SPOOL_OK


uwsgi.spooler = handler
