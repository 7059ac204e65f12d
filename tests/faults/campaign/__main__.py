"""The command; see the package."""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.faults.campaign.forked import Bench
from tests.faults.campaign.ledger import Ledger, Point, Verdict
from tests.faults.campaign.trees import Tree
from tests.faults.ptrace import CAN_REFUSE, unavailable
from tests.oracle.sessions import signals_not_ignored

#: who is killed in a child of ours, in series of one kill for each system call; and its share of the time
FORKED = {"producer": 4.0, "spooler": 4.0}
#: who has a call that fails, or somebody at its files, in the same way
DISTURBED = {"failing_producer": 1.0, "failing_spooler": 1.0, "raced_spooler": 1.0} if CAN_REFUSE else {}
SERIES = {**FORKED, **DISTURBED}
#: who is killed in a running instance, and during what
TREES = {
    "spooler-tree": 0.5,
    "spooler-reload": 0.5,
    "spooler-stop": 0.5,
    "spooler-birth": 0.5,
    "forkserver": 0.5,
    "forkserver-reload": 0.5,
    "forkserver-stop": 0.5,
    "forkserver-birth": 0.5,
    "master": 0.5,
    "master-reload": 0.5,
    "master-stop": 0.5,
    "master-birth": 0.5,
    "storm": 0.5,
}
KILLED = (*FORKED, *TREES)
#: kills of each kind that even a short campaign has
FEW = 3
#: a running instance takes half a second for each kill; where all its calls go in turn it gets so much more of the time
_MORE = 6
#: so often in a row a process of an instance does not get to its N-th call before its N are taken to be through
_THROUGH = 3


class Campaign:
    """Runs points, and counts."""

    def __init__(self, home: Path, seed: int) -> None:
        self.ledger = Ledger(seed)
        self._bench: Bench | None = None
        self._home = home
        self._tree: Tree | None = None

    def run(self, point: Point) -> Verdict:
        """One point; what was wrong is printed at once."""
        verdict = self._run(point)
        self.ledger.enter(point, verdict)
        for wrong in verdict.wrong:
            print(f"WRONG {point}: {wrong}", flush=True)
        return verdict

    def _run(self, point: Point) -> Verdict:
        if point.kind in SERIES:
            if self._bench is None:
                (self._home / "forked").mkdir()
                self._bench = Bench(self._home / "forked")
            run: Callable[[int, int], Verdict] = getattr(self._bench, point.kind)
            return run(point.seed, point.at)
        if self._tree is None:
            (self._home / "tree").mkdir()
            self._tree = Tree(self._home / "tree")
        if point.kind == "storm":
            return self._tree.storm(point.seed)
        return self._tree.kill(point.kind.removesuffix("-tree"), point.seed, point.at)

    def close(self) -> None:
        if self._tree is not None:
            self._tree.stop()


def main() -> int:
    """The exit status: 1 where anything was lost, half-written, run twice without a reason, or left behind."""
    ap = argparse.ArgumentParser(prog="python -m tests.faults.campaign", description=__doc__)
    ap.add_argument("--points", type=int, default=0, help="so many kills")
    ap.add_argument("--minutes", type=float, default=0.0, help="or as many as fit into so many minutes")
    ap.add_argument("--seed", type=int, default=None)
    ap.add_argument("--point", type=Point.parse, help="one alone: KIND:SEED:SYSTEM CALL")
    ap.add_argument("--json", type=Path, help="write the counts to this file")
    a = ap.parse_args()
    why = unavailable()
    if why:
        print(f"nothing can be killed at its system calls here: {why}")
        return 2
    seed = int.from_bytes(os.urandom(3)) if a.seed is None else a.seed
    home = Path(tempfile.mkdtemp(prefix="campaign-"))
    with signals_not_ignored():
        campaign = Campaign(home, seed)
        began = time.monotonic()
        try:
            if a.point:
                campaign.run(a.point)
            else:
                _series(campaign, a.points, began + a.minutes * 60 if a.minutes else None)
        finally:
            campaign.close()
            campaign.ledger.seconds = time.monotonic() - began
            shutil.rmtree(home, ignore_errors=True)
    print(campaign.ledger)
    if a.json:
        a.json.write_text(campaign.ledger.to_json())
    return 1 if campaign.ledger.wrong else 0


def _series(campaign: Campaign, kills: int, end: float | None) -> None:
    """Kinds take turns by the time they have had. A kind of SERIES has one kill for each system call at a turn; one of
    TREES has one kill, at the next call in turn where there is time for all of them, else at a drawn one.
    """
    draw = random.Random(campaign.ledger.seed)
    many = 1 if end is None else _MORE
    shares = {**SERIES, **{kind: share * many for kind, share in TREES.items()}}
    spent = dict.fromkeys(shares, 0.0)
    turns = {kind: InTurn(draw) for kind in TREES if kind != "storm"} if end is not None else {}
    tried = campaign.ledger.tried
    told = time.monotonic()
    while True:
        began = time.monotonic()
        kind = min(shares, key=lambda kind: spent[kind] / shares[kind])
        if kind in SERIES:
            seed, at = draw.randrange(10**6), 1
            while campaign.run(Point(kind, seed, at)).struck:
                at += 1
        elif kind in turns:
            point = turns[kind].point(kind)
            turns[kind].done(campaign.run(point).struck)
        else:
            campaign.run(Point(kind, draw.randrange(10**6), 0))
        now = time.monotonic()
        spent[kind] += now - began
        if now - told > 60:
            told = now
            print(f"... {campaign.ledger.kills} kills, {len(campaign.ledger.wrong)} wrong", flush=True)
        if end is not None:
            if now > end:
                return
        elif campaign.ledger.kills >= (kills or 2000):
            behind = [kind for kind in KILLED if tried[kind] < FEW]
            if not behind:
                return
            spent = {kind: 0.0 if kind in behind else float("inf") for kind in shares}


class InTurn:
    """The system calls of one kind of process, from the first to the last, and then again, otherwise drawn."""

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw
        self._begin()

    def _begin(self) -> None:
        self._seed, self._at, self._missed = self._draw.randrange(10**6), 1, 0

    def point(self, kind: str) -> Point:
        """The next one."""
        return Point(kind, self._seed, self._at)

    def done(self, struck: bool) -> None:
        """It was struck there, or never got so far, which is tried again: the machine may have been slow."""
        if struck:
            self._at += 1
            self._missed = 0
        else:
            self._missed += 1
            if self._missed == _THROUGH:
                self._begin()


if __name__ == "__main__":
    sys.exit(main())
