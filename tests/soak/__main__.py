"""The command; see the package."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

from tests.soak.flat import LIMITS, WARM_UP
from tests.soak.run import Report, Soak, write


def main() -> int:
    """The exit status: 1 where a task was lost or done twice without a reason, something was left, or grew."""
    ap = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    ap.add_argument("--minutes", type=float, default=30.0)
    ap.add_argument("--tasks", type=int, default=1_000_000)
    ap.add_argument("--seed", type=int, default=None)
    ap.add_argument("--out", default="", help="write OUT.json, OUT.png and OUT.svg")
    ap.add_argument("--every", type=float, default=2.0, help="seconds between two looks")
    ap.add_argument("--reload", type=float, default=60.0, help="seconds between two touch reloads, on average")
    ap.add_argument("--not-judged", action="store_true", help="a run too short for slopes: only counts and leftovers")
    ap.add_argument("--keep", action="store_true", help="leave the directory of the run")
    a = ap.parse_args()
    seed = int.from_bytes(os.urandom(3)) if a.seed is None else a.seed
    home = Path(tempfile.mkdtemp(prefix="soak-"))
    print(f"soak: seed {seed}, in {home}", flush=True)
    soak = Soak(home, seconds=a.minutes * 60, tasks=a.tasks, seed=seed, every=a.every, reload=a.reload)
    try:
        report = soak.run()
    finally:
        if not a.keep:
            shutil.rmtree(home, ignore_errors=True)
    if not a.not_judged:
        report.wrong += [
            f"{LIMITS[one.name].title} grew by {one.growth:.1f}, more than {one.allowed:.1f}"
            for one in report.judged
            if not one.flat
        ]
    show(report)
    if a.out:
        write(report, a.out)
        plot(report, a.out)
    return 1 if report.wrong else 0


def show(report: Report) -> None:
    """Print the report."""
    print(f"{report.acknowledged} tasks acknowledged, {report.done} done, in {report.seconds:.0f} s")
    print(f"{report.again} done again after their spooler had died")
    for what, count in sorted(report.events.items()):
        print(f"  {what}: {count}")
    print(f"after {WARM_UP:.0%} of warm-up ({len(report.samples)} looks):")
    for one in report.judged:
        limit = LIMITS[one.name]
        print(
            f"  {limit.title}: median {one.median:,.0f} {limit.unit}, highest {one.highest:,.0f}, grew by "
            f"{one.growth:+,.1f}, allowed {one.allowed:,.1f}"
        )
    print(*[f"WRONG: {wrong}" for wrong in report.wrong] or ["nothing wrong"], sep="\n", flush=True)


def plot(report: Report, out: str) -> None:
    """OUT.png and OUT.svg, where matplotlib is."""
    try:
        from tests.soak.plot import draw

        title = f"soak: {report.done:,} tasks in {report.seconds / 60:.1f} minutes, seed {report.seed}"
        draw(report.samples, out, title)
    except ImportError:
        print("no plot: matplotlib is not installed: pip install 'spoolsim[bench]'")


if __name__ == "__main__":
    sys.exit(main())
