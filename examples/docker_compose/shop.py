"""The smallest app with a task."""

from __future__ import annotations

from flask import Flask
from uwsgidecorators import spool

app = Flask(__name__)


@spool
def work(arguments: dict[str, str]) -> None:
    print("worked on", arguments["what"], flush=True)


@app.post("/<what>")
def order(what: str):
    work(what=what)
    return "accepted\n", 202
