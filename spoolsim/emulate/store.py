"""What all processes of one run, exec or dev share: the cache's items and the metrics, in one SQLite file.

The file is `.spoolsim/shared/INSTANCE.db` of the first spool directory (in the temporary directory when there is
none); it belongs to one instance, as uWSGI's memory does, and the next instance removes those of dead ones.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from weakref import WeakSet

try:
    import fcntl
except ImportError:  # no POSIX: SQLite's own lock has to do
    fcntl = None  # type: ignore[assignment]  # asked for where it is used

from spoolsim import system
from spoolsim.emulate.place import Place
from spoolsim.work import program
from spoolsim.work.app import Part

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType
    from typing import Any

    from spoolsim.work.app import App

_SCHEMA = """
create table if not exists item
    (cache text, key blob, value blob not null, expires integer not null, primary key (cache, key)) without rowid;
create table if not exists metric (name text primary key, value integer not null) without rowid;
"""


class Store(Part):
    """The connection of this process. No connection lives through a fork: SQLite forbids it."""

    def __init__(self, app: App) -> None:
        super().__init__(app)
        _open.add(self)
        self.path = app.part(Place).file("db")
        self._lock = threading.RLock()
        self._turn: int | None = None
        self._connection: sqlite3.Connection | None = None

    def hold(self) -> None:
        """Let no thread of this process in, and give the connection up, for a fork."""
        self._lock.acquire()
        self.close()

    def release(self) -> None:
        """Let them in again."""
        self._lock.release()

    def close(self) -> None:
        """Give the connection up; the next use opens a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._turn is not None:
            os.close(self._turn)
            self._turn = None

    def __enter__(self) -> Store:
        """Begin a transaction that excludes all other processes' and threads'."""
        self._lock.acquire()
        try:
            # SQLite's own waiting is a sleep that grows, in which a busy neighbour overtakes forever; the kernel
            # wakes who waits for a lock, and frees that of the dead
            if fcntl is not None:
                fcntl.flock(self._open_turn(), fcntl.LOCK_EX)
            if self._connection is None:
                self._connection = _connect(self.path)
            self._connection.execute("begin immediate")
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            assert self._connection is not None
            self._connection.execute("rollback" if kind else "commit")
        finally:
            self._leave()

    def _open_turn(self) -> int:
        if self._turn is None:
            flags = os.O_RDWR | os.O_CREAT | system.O_CLOEXEC | system.O_NOFOLLOW
            self._turn = os.open(f"{self.path}-turn", flags, 0o600)
        return self._turn

    def _leave(self) -> None:
        if self._turn is not None:
            fcntl.flock(self._turn, fcntl.LOCK_UN)
        self._lock.release()

    def one(self, query: str, *values: object) -> Sequence[Any] | None:
        """The first row of a query, inside a transaction."""
        return next(self.rows(query, *values), None)

    def rows(self, query: str, *values: object) -> Iterator[Sequence[Any]]:
        """The rows of a query, inside a transaction."""
        assert self._connection is not None
        return iter(self._connection.execute(query, values).fetchall())

    def run(self, statement: str, *values: object) -> int:
        """The number of rows that a statement changed, inside a transaction."""
        assert self._connection is not None
        return self._connection.execute(statement, values).rowcount


def _connect(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        # unlike wal, nothing has to be agreed on at the first opening
        connection.execute("pragma journal_mode=truncate")
        connection.execute("pragma synchronous=off")
        connection.executescript(_SCHEMA)
    except BaseException:
        connection.close()
        raise
    return connection


#: those of this process, for its forks
_open: WeakSet[Store] = WeakSet()
_held: list[Store] = []


def _before_fork() -> None:
    _held.extend(_open)
    for one in _held:
        one.hold()


def _after_fork() -> None:
    while _held:
        _held.pop().release()


if system.POSIX:
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)


def store() -> Store:
    """The store of this process's instance."""
    return program.in_this_process().part(Store)
