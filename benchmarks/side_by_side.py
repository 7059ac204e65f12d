"""Real uWSGI, spoolsim and peers, side by side: `python -m benchmarks.side_by_side`.

Everything is measured in rounds; in each round every experiment is run by all its contestants one after the other, in
an order that rotates from round to round. Only ratios inside one run mean anything: this prints the table of goals
with medians and the spread of the rounds, and writes PATH.json, PATH.png and PATH.svg.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

if not __package__:  # run as a file
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from benchmarks import machine, plot, report
from benchmarks.contestants import Missing
from benchmarks.contestants.peers import ENGINE, PEERS
from benchmarks.contestants.servers import Spoolsim, SpoolsimInline, SpoolsimNoJournal, Uwsgi
from benchmarks.model import Experiment, Line, Samples, line
from benchmarks.rooms import DISK, MEMORY, Places
from benchmarks.rows import EXPERIMENTS
from benchmarks.sizes import FULL, QUICK, Sizes

CONTESTANTS = (Uwsgi(), Spoolsim(), SpoolsimInline(), SpoolsimNoJournal(), ENGINE, *PEERS)


class Run:
    """One run: who is here, what is measured, and what came of it."""

    def __init__(self, experiments: Sequence[Experiment], sizes: Sizes, places: Places) -> None:
        self.experiments = experiments
        self.sizes = sizes
        self.places = places
        self.samples = Samples()
        self.versions: dict[str, str] = {}
        self.missing: dict[str, str] = {}
        self.here: dict[str, Any] = {}
        wanted = {name for experiment in experiments for name in experiment.contestants}
        for contestant in CONTESTANTS:
            if contestant.name in wanted:
                try:
                    self.versions[contestant.name] = contestant.check()
                    self.here[contestant.name] = contestant
                except Missing as error:
                    self.missing[contestant.name] = str(error)

    def round(self, number: int) -> None:
        """Measure everything once."""
        for experiment in self.experiments:
            if number >= experiment.rounds:
                continue
            names = [name for name in experiment.contestants if name in self.here]
            shift = number % len(names) if names else 0
            for name in names[shift:] + names[:shift]:
                self._measure(experiment, name)

    def _measure(self, experiment: Experiment, name: str) -> None:
        began = time.monotonic()
        try:
            values = experiment.measure(self.here[name], self.places, self.sizes)
        except Missing as error:
            self.samples.failures[experiment.name, name] = str(error)
            values = {}
        except Exception as error:  # one that fails must not cost the others their rounds; it is in the table
            self.samples.failures[experiment.name, name] = f"FAILED: {type(error).__name__}: {error}"
            values = {}
        self.samples.add(experiment.name, name, values)
        shown = ", ".join(f"{key} {_short(value)}" for key, value in values.items())
        why = "" if values else self.samples.failures[experiment.name, name]
        _say(f"  {experiment.name:32} {name:24} {time.monotonic() - began:6.1f} s  {shown}{why}")

    def lines(self) -> list[Line]:
        """Every row of the table with its result."""
        return [
            line(experiment, row, self.samples, self.missing)
            for experiment in self.experiments
            for row in experiment.rows
        ]


def main(argv: Sequence[str] | None = None) -> int:
    """The command; 0 when everything asked for was measured, 1 when something failed, whether goals are met or not."""
    arguments = _parser().parse_args(argv)
    try:
        experiments = _chosen(arguments.only, arguments.quick)
    except ValueError as error:
        _say(f"side_by_side: {error}")
        return 2
    rounds = arguments.rounds or (1 if arguments.quick else 5)
    places = Places(arguments.memory, arguments.disk)
    try:
        run = Run(experiments, QUICK if arguments.quick else FULL, places)
        about = _about(run, rounds, arguments.quick)
        _introduce(run, about, arguments.quick)
        for number in range(rounds):
            _say(f"round {number + 1} of {rounds}")
            run.round(number)
    finally:
        places.close()
    lines = run.lines()
    about["load_after"] = _load()
    print(report.table(lines))
    _conclude(lines, run, arguments.quick)
    _write(lines, about, arguments.out)
    return 1 if any(why.startswith("FAILED") for why in run.samples.failures.values()) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.side_by_side", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds (5; 1 with --quick)")
    parser.add_argument(
        "--only", metavar="NAME,...", help="experiments whose names begin so, such as drain,wake.enqueued"
    )
    parser.add_argument(
        "--quick", action="store_true", help="a few seconds, to see that it works: figures mean nothing"
    )
    parser.add_argument("--out", metavar="PATH", help="write PATH.json, PATH.png and PATH.svg")
    parser.add_argument("--memory", metavar="DIR", help="a directory on tmpfs")
    parser.add_argument("--disk", metavar="DIR", help="a directory on a disk's file system")
    parser.add_argument(
        "--list", action="version", version="\n".join(e.name for e in EXPERIMENTS), help="name them all"
    )
    return parser


def _chosen(only: str | None, quick: bool) -> list[Experiment]:
    """The experiments asked for. Raises ValueError for a name that is none."""
    if not only:
        return [experiment for experiment in EXPERIMENTS if experiment.quick or not quick]
    found: list[Experiment] = []
    for name in only.split(","):
        exact = [experiment for experiment in EXPERIMENTS if experiment.name == name]
        chosen = exact or [experiment for experiment in EXPERIMENTS if experiment.name.startswith(name)]
        if not chosen:
            raise ValueError(f"--only {name}: no experiment's name begins so; --list names them all")
        found += chosen
    return [experiment for experiment in EXPERIMENTS if experiment in found]


def _about(run: Run, rounds: int, quick: bool) -> dict[str, Any]:
    return {
        "when": time.strftime("%Y-%m-%d %H:%M:%S%z"),
        **machine.about(),
        "memory_fs": run.places.kind(MEMORY),
        "disk_fs": run.places.kind(DISK),
        "load_before": _load(),
        "rounds": rounds,
        "quick": quick,
        "contestants": run.versions,
        "missing": {**run.missing, **run.places.why_missing},
    }


def _load() -> float:
    """Processes that wanted a processor in the last minute, ours included."""
    return os.getloadavg()[0]


def _introduce(run: Run, about: dict[str, Any], quick: bool) -> None:
    load = f"load {about['load_before']:.2f}"
    _say(f"{about['system']}, {about['processors']} processors, Python {about['python']}, {load}")
    _say(machine.line())
    _say(f"memory: {about['memory_fs']}; disk: {about['disk_fs']}; " + "; ".join(run.versions.values()))
    for name, why in about["missing"].items():
        _say(f"MISSING {name}: {why}")
    if about["load_before"] > 0.5:
        _say("WARNING: this machine is not quiet; the figures are rough")
    if quick:
        left = [experiment.name for experiment in EXPERIMENTS if not experiment.quick]
        _say(f"--quick: small counts, the figures mean nothing; left out: {', '.join(left)}")


def _conclude(lines: Sequence[Line], run: Run, quick: bool) -> None:
    judged = [found for found in lines if found.met is not None]
    _say(
        f"goals met: {sum(found.met is True for found in judged)} of {len(judged)}; not measured: "
        f"{sum(found.row.goal is not None and found.met is None for found in lines)}"
        + ("; this was --quick: no figure of it counts" if quick else "")
    )
    for name, why in run.missing.items():
        _say(f"missing {name}: {why}")


def _write(lines: Sequence[Line], about: dict[str, Any], out: str | None) -> None:
    if not out:
        _say("nothing written: pass --out PATH for PATH.json, PATH.png and PATH.svg")
        return
    os.makedirs(os.path.dirname(os.path.abspath(out)), exist_ok=True)
    with open(f"{out}.json", "w", encoding="utf-8") as file:
        file.write(report.document(lines, about))
    files = [f"{out}.json"]
    where = f"{about['processors']} processors, {about['rounds']} rounds, {about['when'][:10]}"
    title = f"spoolsim beside the real uWSGI 2.0.31: {where}"
    try:
        files += plot.draw(lines, out, title)
    except Missing as error:
        _say(str(error))
    _say(f"written: {', '.join(files)}")


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else "[" + " ".join(f"{item:.4g}" for item in value) + "]"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
