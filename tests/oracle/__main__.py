"""Run scenarios by hand: `python -m tests.oracle [--side uwsgi|spoolsim] [--record] [-v] [names or prefixes]`.

Without `--record` the answers are compared with the recorded ones; with it, the real uWSGI's are written, but only
those that come out the same in three runs.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import sys

from .compare import differences
from .harness import Run, Scenario, load_scenarios, run_scenario
from .launchers import Launcher, SpoolsimLauncher, UwsgiLauncher, find_uwsgi
from .pool import problems
from .recording import record, recorded
from .sessions import signals_not_ignored


def main() -> int:
    """Return the exit status: 1 where an answer differs, is not stable, or a program failed."""
    ap = argparse.ArgumentParser(prog="python -m tests.oracle", description=__doc__)
    ap.add_argument("--side", default="uwsgi", choices=["uwsgi", "spoolsim"])
    ap.add_argument("--record", action="store_true", help="write the real uWSGI's answers")
    ap.add_argument("--list", action="store_true")
    ap.add_argument("-j", type=int, default=6, help="how many at the same time")
    ap.add_argument("-v", action="store_true", help="print the logs of the instances")
    ap.add_argument("names", nargs="*")
    a = ap.parse_args()
    if a.record and a.side != "uwsgi":
        ap.error("only the real uWSGI's answers are recorded")
    chosen = [s for s in load_scenarios().values() if not a.names or s.name.startswith(tuple(a.names))]
    if a.list:
        print("\n".join(s.name for s in chosen))
        return 0
    binary = find_uwsgi() if a.side == "uwsgi" else ""
    launcher: Launcher = UwsgiLauncher(binary) if a.side == "uwsgi" else SpoolsimLauncher()
    times = 3 if a.record else 1
    with signals_not_ignored(), concurrent.futures.ThreadPoolExecutor(a.j) as ex:
        pending = [(s, [ex.submit(run_scenario, s, launcher) for _ in range(times)]) for s in chosen]
        bad = [
            s.name for s, runs in pending if not _settle(s, [r.result() for r in runs], binary if a.record else "", a.v)
        ]
    print(f"{len(chosen) - len(bad)} of {len(chosen)} well", *bad, sep="\n  ")
    return 1 if bad else 0


def _settle(scenario: Scenario, runs: list[Run], binary: str, verbose: bool) -> bool:
    """Print what came of one scenario; record it as the answer of `binary` unless that is ''; return whether all is
    well.
    """
    run = runs[0]
    if run.unavailable is not None:
        found = []
    elif binary:
        found = [r.error for r in runs if r.error] or [d for r in runs[1:] for d in differences(run.facts, r.facts)]
        if not found and run.facts is not None:
            record(scenario, run.facts, binary)
    else:
        found = problems(run, recorded(scenario.name))
    state = f"unavailable: {run.unavailable}" if run.unavailable else "DIFFERS" if found else "ok"
    print(f"{scenario.name}: {state} ({run.seconds:.1f} s)", *found, sep="\n    ", flush=True)
    if verbose:
        print(*run.logs, sep="\n")
    return not found


if __name__ == "__main__":
    sys.exit(main())
