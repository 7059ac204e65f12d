"""`python -m tests.soak.producer SPOOL INDEX COUNT SEED`: one of several producers, each with every COUNT-th task."""

from __future__ import annotations

import os
import random
import sys
import time

from spoolsim.diagnose import Notes
from spoolsim.log import Log
from spoolsim.spool.directory import SpoolDir
from spoolsim.spool.enqueue import Producer
from tests.soak.ledger import FILE, Ledger, add

#: how tasks misbehave, and how many of a million
KINDS = {"poison": 60, "hang": 150, "die": 300, "exit": 300, "raise": 5000, "retry": 5000}
#: in a run of few tasks each of them comes up even so: tasks of these numbers
FIRST = dict(enumerate(KINDS, 10))


def job(draw: random.Random, number: int) -> dict[object, object]:
    """One task, drawn."""
    how = FIRST.get(number, "")
    at = draw.random() * 1_000_000
    for kind, share in KINDS.items():
        at -= share
        if at < 0:
            how = how or kind
            break
    made: dict[object, object] = {b"number": str(number).encode(), b"how": how.encode()}
    if draw.random() < 0.1:
        size = draw.randint(1, 20_000)
        made[b"body"] = b"x" * size
        made[b"size"] = str(size).encode()
    if draw.random() < 0.2:
        made[b"priority"] = str(draw.randint(0, 3)).encode()
    if draw.random() < 0.02:
        made[b"at"] = str(int(time.time()) + draw.randint(0, 3)).encode()
    return made


def main() -> int:
    """Enqueue as fast as the gate opens; the exit status."""
    spool, index, count, seed = sys.argv[1], *map(int, sys.argv[2:])
    log = Log()
    producer = Producer([SpoolDir(spool)], log=log, notes=Notes(log.note, enabled=False), ordered=True, quiet=True)
    ledger = Ledger(os.environ[FILE], int(os.environ["SOAK_TASKS"]))
    draw = random.Random(f"{seed} {index}")
    parent = os.getppid()
    for number in range(index, ledger.tasks, count):
        while number >= ledger.gate:
            if os.getppid() != parent:
                return 1
            time.sleep(0.01)
        producer.spool(job(draw, number))
        add(ledger.acknowledged, number)
    return 0


if __name__ == "__main__":
    sys.exit(main())
