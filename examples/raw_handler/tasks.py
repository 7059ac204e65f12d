"""uwsgi.spooler is the one function that gets every task."""

from __future__ import annotations

import uwsgi


def handler(env: dict) -> int:
    """Variables have bytes keys and bytes values; the name of the file is under the text key 'spooler_task_name'."""
    kind = env.get(b"kind")
    if kind == b"mail":
        print("mail to", env[b"to"].decode(), flush=True)
        return uwsgi.SPOOL_OK  # done, the file is removed
    if kind == b"later":
        print("not yet", flush=True)
        return uwsgi.SPOOL_RETRY  # kept, and run again at the next look
    return uwsgi.SPOOL_IGNORE  # kept: not ours


uwsgi.spooler = handler
