"""One campaign: spoolers, producers, actors, and the verdict."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spoolsim.spool import file
from spoolsim.spool.directory import SpoolDir
from spoolsim.spool.names import PREFIX
from spoolsim.tasks import actions
from spoolsim.tasks.listing import Row, survey
from spoolsim.tasks.states import BROKEN, FAILED, HELD, REMOVED
from tests.oracle import sessions
from tests.oracle.packets import packet

ROOT = Path(__file__).resolve().parents[2]
OURS, ACTORS = 4, 3
#: tasks that wait at a time, at most
BACKLOG = 400
#: actions between two looks at the directories: what an actor knows is meant to be stale
EACH = 150
#: seconds for what has to happen in the end
DEADLINE = 240.0
#: after these a task may not run, until one of BACK begins
AWAY = frozenset(("hold", "rm", "mv"))
BACK = frozenset(("release", "undo", "retry", "return"))


@dataclass
class Report:
    """What a campaign came to. wrong: a sentence for each thing that must not be."""

    seed: int
    tasks: int
    seconds: float = 0.0
    actions: Counter[str] = field(default_factory=Counter)
    runs: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """For the file."""
        return {
            "seed": self.seed,
            "tasks": self.tasks,
            "seconds": round(self.seconds, 1),
            "actions": dict(sorted(self.actions.items())),
            "runs": dict(sorted(self.runs.items())),
            "wrong": self.wrong,
        }


def run(home: Path, uwsgi: str, *, tasks: int, seed: int, slow: str = "") -> Report:
    """Run a campaign in an empty directory. uwsgi: the real one's binary.

    slow: the path of strace, to let 3 ms pass between the opening of each file and its lock, on both sides: what goes
    wrong in between then happens often.
    """
    report = Report(seed, tasks)
    places = {name: home / name for name in ("spool", "other", "tried")}
    for place in places.values():
        place.mkdir()
    mark = sessions.new_mark()
    environment = {
        **os.environ,
        sessions.MARK: mark,
        "PYTHONPATH": str(ROOT),
        "RUNS": str(home / "runs"),
        "TRIED": str(places["tried"]),
        "CURED": str(home / "cured"),
    }
    serve = ["--spooler", "spool", "--spooler-frequency", "1", "--spooler-quiet", "--import", "tests.actions.app"]
    ours = [sys.executable, "-m", "spoolsim", "run", *serve, "--spooler-processes", str(OURS), "--max-attempts", "3"]
    real = [uwsgi, "--master", "--pythonpath", str(ROOT), *serve]
    actor = [sys.executable, "-m", "tests.actions", "--actor", str(home)]
    if slow:
        delay = [slow, "-f", "-qq", "-o", os.devnull, "-e", "trace=fcntl", "-e", "inject=fcntl:delay_enter=3000"]
        ours, real = [*delay, *ours], [*delay, *real]
    began = time.monotonic()
    started: list[subprocess.Popen[bytes]] = []

    def start(argv: list[str], side: str) -> subprocess.Popen[bytes]:
        with (home / f"{side}.log").open("wb") as log:
            process = subprocess.Popen(
                argv,
                cwd=home,
                env={**environment, "SIDE": side.partition("-")[0]},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        started.append(process)
        return process

    try:
        with sessions.signals_not_ignored():
            # the real one has one process, and scans once a second: it runs a task before ours take all
            servers = [start(real, "uwsgi")]
            _put(home, 0)
            _wait(lambda: any(_runs(home)))
            servers.append(start(ours, "spoolsim"))
            _wait_until_it_serves(home / "spoolsim.log", OURS)
            actors = [start([*actor, "--seed", f"{seed}{n}"], f"actor-{n}") for n in range(ACTORS)]
        _produce(home, tasks)
        (home / "enough").touch()
        for process in actors:
            if status := process.wait(DEADLINE):
                report.wrong.append(f"an actor ended with {status}: {_tail(home, 'actor')}")
        (home / "cured").touch()
        (home / "restoring").write_text(repr(time.clock_gettime(time.CLOCK_MONOTONIC)))
        _bring_all_back(home, tasks, report)
        for process in servers if not slow else ():  # strace does not pass signals on
            process.send_signal(signal.SIGINT)
            process.wait(300)
    finally:
        for process in started:
            sessions.kill_all(process.pid, mark)
            process.wait()
    judge(home, tasks, report)
    report.seconds = time.monotonic() - began
    return report


def _wait_until_it_serves(log: Path, spoolers: int) -> None:
    end = time.monotonic() + DEADLINE
    while log.read_bytes().count(b"spawned the uWSGI spooler") < spoolers:
        if time.monotonic() > end:
            raise TimeoutError(f"no spooler after {DEADLINE} s; {log.name}: {log.read_text(errors='replace')[-2000:]}")
        time.sleep(0.02)


def _tail(home: Path, name: str) -> str:
    return " / ".join(path.read_text(errors="replace")[-500:] for path in home.glob(f"{name}*.log"))


def _produce(home: Path, tasks: int) -> None:
    """Enqueue all other tasks, at the pace of the actors: one action for each, as long as there is one to act on."""
    spool = str(home / "spool")
    _wait(lambda: len(list(home.glob("ledger-*"))) == ACTORS)
    for n in range(1, tasks):
        _put(home, n)
        if n % 50 == 0:
            _wait(lambda: _waiting(spool) < BACKLOG)
            _wait(lambda n=n: _acted(home) > n - BACKLOG or not _waiting(spool))
    _wait(lambda: _acted(home) >= tasks or len(_done(home)) == tasks)


def _put(home: Path, n: int) -> None:
    """Enqueue task n."""
    file.write(str(home / "spool"), file.next_name(), packet({b"n": str(n).encode(), b"v": b"0"}), b"body" * (n % 3))


def _wait(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)


def _acted(home: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in home.glob("ledger-*"))


def _waiting(spool: str) -> int:
    return sum(name.startswith(PREFIX) for name in os.listdir(spool))


def act(home: Path, seed: str) -> None:
    """One actor: random actions on random tasks until all have been enqueued, noted with their begin and end."""
    draw = random.Random(seed)
    spool, other = (SpoolDir.resolve(name, start=str(home), make=False) for name in ("spool", "other"))
    with (home / f"ledger-{seed}").open("a") as ledger:
        while not (home / "enough").exists():
            # one whose number could not be read moved, or was being written, while it was looked at
            rows = [row for row in survey([spool, other], ordered=False, now=time.time()) if _number(row) >= 0]
            for _ in range(min(EACH, len(rows))):
                row = draw.choice(rows)
                name, action = _drawn(draw, row, spool, other)
                n = _number(row)
                began = time.clock_gettime(time.CLOCK_MONOTONIC)
                version = 0
                if name == "edit":
                    version = time.time_ns()
                result = action(version)
                ended = time.clock_gettime(time.CLOCK_MONOTONIC)
                text = "" if result.outcome == actions.DID else result.text
                ledger.write(json.dumps([n, name, result.outcome, began, ended, version, text]) + "\n")
            ledger.flush()


def _number(row: Row) -> int:
    return int(dict(row.call.kwargs).get("n", "'-1'").strip("'"))


def _drawn(
    draw: random.Random, row: Row, spool: SpoolDir, other: SpoolDir
) -> tuple[str, Callable[[int], actions.Result]]:
    now = time.time()
    if row.spool is other:
        return "return", lambda _: actions.transfer(row, spool)
    if row.state == HELD:
        choice = draw.choice(["release", "release", "hold", "rm", "edit"])
    elif row.state == REMOVED:
        choice = draw.choice(["undo", "undo", "rm"])
    elif row.state == FAILED:
        choice = draw.choice(["retry", "rm", "mv"])
    else:
        choice = draw.choice(["hold", "hold", "rm", "mv", "edit", "edit", "retry", "release"])
    return choice, {
        "hold": lambda _: actions.hold(row),
        "release": lambda _: actions.release(row),
        "rm": lambda _: actions.remove(row, now),
        "undo": lambda _: actions.undo(row),
        "retry": lambda _: actions.retry(row, now),
        "mv": lambda _: actions.transfer(row, other),
        "edit": lambda version: actions.edit(row, actions.Change({b"v": str(version).encode()})),
    }[choice]


def _bring_all_back(home: Path, tasks: int, report: Report) -> None:
    """Until every task is done: release, undo, return and retry all."""
    spool, other = (SpoolDir.resolve(name, start=str(home), make=False) for name in ("spool", "other"))
    end = time.monotonic() + DEADLINE
    while len(_done(home)) < tasks:
        if time.monotonic() > end:
            report.wrong.append(f"{tasks - len(_done(home))} tasks were not done {DEADLINE:.0f} s after the end")
            return
        for row in survey([spool, other], ordered=False, now=time.time()):
            if row.spool is other:
                actions.transfer(row, spool)
            elif row.state == HELD:
                actions.release(row)
            elif row.state in (FAILED, BROKEN):
                actions.retry(row, time.time())
        for row in survey([spool], ordered=False, now=time.time()):
            if row.state == REMOVED:
                actions.undo(row)
        time.sleep(0.2)


def _runs(home: Path) -> Iterator[tuple[int, int, float, str, str]]:
    try:
        lines = (home / "runs").read_text().splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        n, version, began, outcome, side = line.split()
        yield int(n), int(version), float(began), outcome, side


def _done(home: Path) -> set[int]:
    return {n for n, _, _, outcome, _ in _runs(home) if outcome == "done"}


def judge(home: Path, tasks: int, report: Report) -> None:
    """Nothing lost, nothing twice, nothing run against an action that had succeeded, nothing left behind."""
    runs: dict[int, list[tuple[float, int, str]]] = {}
    done: Counter[int] = Counter()
    for n, version, began, outcome, side in _runs(home):
        runs.setdefault(n, []).append((began, version, outcome))
        done[n] += outcome == "done"
        report.runs[f"{side} {outcome}"] += 1
    report.wrong += [f"task {n} was never done" for n in range(tasks) if not done[n]]
    report.wrong += [f"task {n} was done {count} times" for n, count in done.items() if count > 1]
    acts: dict[int, list[tuple[float, float, str, int]]] = {}
    for path in sorted(home.glob("ledger-*")):
        for line in path.read_text().splitlines():
            n, name, outcome, began, ended, version, text = json.loads(line)
            report.actions[f"{name} {outcome}"] += 1
            if outcome == actions.DID:
                acts.setdefault(n, []).append((began, ended, name, version))
            elif outcome == actions.REFUSED and not text.startswith(EXPECTED):
                report.wrong.append(f"task {n}: {name} {text}")
    restoring = home / "restoring"
    last = float(restoring.read_text()) if restoring.exists() else float("inf")
    for n, found in acts.items():
        report.wrong += _against(n, found, runs.get(n, []), last)
    for place in ("spool", "other"):
        left = [str(path.relative_to(home)) for path in (home / place).rglob(f"*{PREFIX}*")]
        report.wrong += [f"{path} is left behind" for path in left]


#: why an action may be refused here
EXPECTED = (
    "runs now",
    "is gone",
    "is not held",
    "is held",
    "is running",
    "is queued",
    "is removed",
    "is failed",
    "is retry",
)


def _against(
    n: int, acts: list[tuple[float, float, str, int]], runs: list[tuple[float, int, str]], last: float
) -> Iterator[str]:
    """Runs of one task that an action forbade. last: when the campaign itself began to bring all tasks back."""
    backs = sorted((ended, began) for began, ended, name, _ in acts if name in BACK)
    for began, ended, name, version in acts:
        if name in AWAY:
            # two actors may overlap: one that came later may have begun before
            until = min((start for end, start in backs if end > began), default=last)
            for run_began, _, _ in runs:
                if ended < run_began < until:
                    yield f"task {n} ran {run_began - ended:.4f} s after {name} had succeeded"
        elif name == "edit":
            versions = {other for _, end, kind, other in acts if kind == "edit" and end > began}
            for run_began, run_version, _ in runs:
                if ended < run_began and run_version not in versions:
                    yield f"task {n} ran with version {run_version} after {version} had been set"
