"""Peers: other task queues, each measured by a program of its own in the folder apps/peers/."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version

from benchmarks.contestants import Missing
from benchmarks.rooms import Room

_HOME = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "apps", "peers")


class Program:
    """A contestant that is a program printing its rate.

    name: in the table. script: in apps/peers/. module, package: what has to be installed. slow: it gets fewer tasks.
    """

    def __init__(
        self, name: str, script: str, module: str, package: str, *more: str, slow: bool = False, redis: bool = False
    ) -> None:
        self.name = name
        self.slow = slow
        self._script = script
        self._module = module
        self._package = package
        self._more: Sequence[str] = more
        self._redis = redis

    def check(self) -> str:
        """Which version it is. Raises Missing."""
        if importlib.util.find_spec(self._module) is None:
            raise Missing(f"{self._package} is not installed: pip install 'spoolsim[bench]' {self._package}")
        if self._redis:
            _ping()
        return f"{self._package} {version(self._package)}"

    def rate(self, room: Room, count: int) -> float:
        """Tasks a second."""
        argv = [sys.executable, os.path.join(_HOME, self._script), room.home, str(count), *self._more]
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=600, env=environment)
        if done.returncode:
            raise RuntimeError(f"{self._script}: {(done.stderr.strip().splitlines() or ['no output'])[-1]}")
        return float(json.loads(done.stdout.splitlines()[-1])["rate"])


def _ping() -> None:
    import redis

    try:
        redis.Redis(db=15, socket_connect_timeout=1).ping()
    except redis.RedisError as error:
        raise Missing(f"no redis server on this machine's default port: {error}") from None


PEERS = (
    Program("huey", "huey_sqlite.py", "huey", "huey"),
    Program("persist-queue, SQLite, acknowledged", "persist_queue.py", "persistqueue", "persist-queue", "ack"),
    Program("persist-queue, SQLite", "persist_queue.py", "persistqueue", "persist-queue", "fifo"),
    Program("persist-queue, file", "persist_queue.py", "persistqueue", "persist-queue", "file"),
    Program("rq", "rq_redis.py", "rq", "rq", slow=True, redis=True),
    Program("dramatiq", "dramatiq_stub.py", "dramatiq", "dramatiq"),
)
ENGINE = Program("spoolsim engine", "spoolsim_engine.py", "spoolsim", "spoolsim")
