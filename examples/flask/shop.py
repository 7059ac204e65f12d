"""A request enqueues a task and returns at once; the spooler does the work; the next request shows it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from flask import Flask, jsonify, request
from uwsgidecorators import spool

HOME = Path(__file__).parent
app = Flask(__name__)


def database() -> sqlite3.Connection:
    # Opened where it is used, never kept: a connection does not live through the fork into the spooler.
    connection = sqlite3.connect(HOME / "shop.db", timeout=10)
    connection.execute("create table if not exists orders (id integer primary key, item text, state text)")
    return connection


@spool
def pack(arguments: dict[str, str]) -> None:
    """Runs in the spooler; keys and values arrive as text."""
    with database() as connection:
        connection.execute("update orders set state = 'packed' where id = ?", (arguments["order"],))


@app.post("/orders")
def order():
    with database() as connection:
        number = connection.execute(
            "insert into orders (item, state) values (?, 'new')", (request.form["item"],)
        ).lastrowid
    pack(order=str(number))  # after the commit, or the spooler could be quicker than we are
    return jsonify(id=number), 202


@app.get("/orders/<int:number>")
def show(number: int):
    with database() as connection:
        row = connection.execute("select item, state from orders where id = ?", (number,)).fetchone()
    return jsonify(item=row[0], state=row[1])
