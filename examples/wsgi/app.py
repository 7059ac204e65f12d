"""A WSGI application without a framework: POST puts a task into the spool, GET shows what the spooler made of it."""

from __future__ import annotations

import sys
from pathlib import Path
from wsgiref.simple_server import make_server

import uwsgi

HOME = Path(__file__).resolve().parent


def work(env: dict) -> int:
    """The spooler's handler: keys and values are bytes, but for 'body' and 'spooler_task_name'."""
    with (HOME / "done.txt").open("ab") as file:
        file.write(env[b"word"].upper() + b"\n")
    return uwsgi.SPOOL_OK


uwsgi.spooler = work


def application(environ, start_response):
    if environ["REQUEST_METHOD"] == "POST":
        word = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        uwsgi.spool({b"word": word})
        start_response("202 Accepted", [("Content-Type", "text/plain")])
        return [b"spooled\n"]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [(HOME / "done.txt").read_bytes() if (HOME / "done.txt").exists() else b""]


if __name__ == "__main__":
    with make_server("127.0.0.1", int(sys.argv[1]), application) as server:
        server.serve_forever()
