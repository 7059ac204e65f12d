"""Compare two saved runs of the benchmarks by ratios: `python -m benchmarks.compare OLD.json NEW.json`.

Both come from `pytest benchmarks --benchmark-json=FILE`. Each result is taken as its ratio to the same fixed piece of
Python, timed beside it, so that a slower or busier machine drops out.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence


def ratios(path: str) -> dict[str, float]:
    """By benchmark: its ratio to the fixed piece of work."""
    with open(path, encoding="utf-8") as file:
        found = json.load(file)["benchmarks"]
    return {one["fullname"]: one["extra_info"]["ratio"] for one in found if "ratio" in one["extra_info"]}


def main(argv: Sequence[str] | None = None) -> int:
    """Print new / old for each benchmark, the worst first; 1 when one is beyond --limit."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compare")
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument("--limit", type=float, default=1.3, help="the most that new / old may be (1.3)")
    arguments = parser.parse_args(argv)
    old, new = ratios(arguments.old), ratios(arguments.new)
    changes = sorted(((new[name] / old[name], name) for name in old.keys() & new.keys()), reverse=True)
    for change, name in changes:
        print(f"{change:6.2f}  {name}{'  WORSE' if change > arguments.limit else ''}")
    for name in sorted(old.keys() ^ new.keys()):
        print(f"  only in {arguments.old if name in old else arguments.new}: {name}")
    return 1 if any(change > arguments.limit for change, _ in changes) else 0


if __name__ == "__main__":
    sys.exit(main())
