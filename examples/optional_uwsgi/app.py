"""With uWSGI the work is spooled, without it is done at once."""

from __future__ import annotations

try:
    import uwsgi
except ImportError:
    uwsgi = None


def work(name: str) -> None:
    print("worked for", name, flush=True)


def handler(env: dict) -> int:
    work(env[b"name"].decode())
    return uwsgi.SPOOL_OK


def request(name: str) -> None:
    if uwsgi is None:
        work(name)
    else:
        uwsgi.spool({b"name": name.encode()})


if uwsgi is not None:
    uwsgi.spooler = handler
if __name__ == "__main__":
    request("you")
    print("requested", flush=True)
