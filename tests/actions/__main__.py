"""`python -m tests.actions`: the long form (`--tasks`, `--seed`, `--slow-locks`); status 1 when something is wrong."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

from tests.actions.campaign import act, run
from tests.oracle.launchers import find_uwsgi


def main() -> int:
    """Run one campaign, or as one of its actors."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--record", metavar="FILE", help="write what it came to as JSON")
    parser.add_argument("--slow-locks", action="store_true", help="widen each spooler's window between open and lock")
    parser.add_argument("--actor", metavar="DIR", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.actor:
        act(Path(given.actor), given.seed)
        return 0
    with tempfile.TemporaryDirectory(prefix="actions-") as home:
        slow = (shutil.which("strace") or parser.error("--slow-locks needs strace")) if given.slow_locks else ""
        report = run(Path(home), find_uwsgi(), tasks=given.tasks, seed=int(given.seed), slow=slow)
    text = json.dumps(report.to_json(), indent=1)
    print(text)
    if given.record:
        Path(given.record).write_text(text + "\n")
    return 1 if report.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
