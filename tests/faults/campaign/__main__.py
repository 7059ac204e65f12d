"""The command; see the package."""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.faults.campaign.forked import Bench
from tests.faults.campaign.ledger import Ledger, Point, Verdict
from tests.faults.campaign.trees import Tree
from tests.faults.ptrace import CAN_REFUSE, unavailable
from tests.oracle.sessions import signals_not_ignored

#: who is killed in a child of ours, in series of one kill for each system call; and how often that is drawn
FORKED = {"producer": 3, "spooler": 2}
#: who has a call that fails, or somebody at its files, in the same way
DISTURBED = {"failing_producer": 1, "failing_spooler": 1, "raced_spooler": 1} if CAN_REFUSE else {}
SERIES = {**FORKED, **DISTURBED}
#: who is killed in a running instance, and during what, once for each draw
TREES = {
    "spooler-tree": 3,
    "spooler-reload": 1,
    "spooler-stop": 1,
    "forkserver": 1,
    "forkserver-reload": 1,
    "forkserver-stop": 1,
    "master": 1,
    "master-reload": 1,
    "master-stop": 1,
    "storm": 1,
}


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


def points(seed: int) -> Iterator[Point]:
    """For ever: of the forked ones a whole series, one for each system call; of the trees one at a drawn call."""
    draw = random.Random(seed)
    every = {**SERIES, **TREES}
    while True:
        (kind,) = draw.choices(list(every), list(every.values()))
        yield Point(kind, draw.randrange(10**6), 1 if kind in SERIES else 0)


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
    told = time.monotonic()
    for first in points(campaign.ledger.seed):
        at = first.at
        while campaign.run(Point(first.kind, first.seed, at)).struck and at:
            at += 1
        now = time.monotonic()
        if now - told > 60:
            told = now
            print(f"... {campaign.ledger.kills} kills, {len(campaign.ledger.wrong)} wrong", flush=True)
        if now > end if end is not None else campaign.ledger.kills >= (kills or 2000):
            return


if __name__ == "__main__":
    sys.exit(main())
