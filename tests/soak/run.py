"""One soak: an instance, its producers, what happens to it, and the verdict."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spoolsim.spool.history import PARTS
from spoolsim.spool.journal import LIMIT as JOURNAL
from spoolsim.spool.names import PREFIX
from tests.oracle import sessions
from tests.soak import look
from tests.soak.flat import LIMITS, Judged, judge
from tests.soak.ledger import FILE, Ledger
from tests.soak.look import Gone, Sample

#: bytes of the history of one directory
HISTORY = 100_000

ROOT = Path(__file__).resolve().parents[2]
SPOOLERS = 3
PRODUCERS = 3
MAX_ATTEMPTS = 3
HARAKIRI = 2
#: tasks that may wait at a time: producers are held back beyond
BACKLOG = 2000
#: descriptors that a busy process may have more than at rest; a reload would hide a leak from the slope
BUSY = 12
#: seconds for anything that has to happen in the end
DEADLINE = 120.0


@dataclass
class Report:
    """What a soak came to. wrong: one sentence for each thing that must not be."""

    seed: int
    tasks: int
    seconds: float = 0.0
    acknowledged: int = 0
    done: int = 0
    again: int = 0
    events: Counter[str] = field(default_factory=Counter)
    #: seconds from the start to the end of each part of it
    phases: dict[str, float] = field(default_factory=dict)
    judged: list[Judged] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """For the file; the samples by series, at most some hundred of them."""
        step = -(-len(self.samples) // 300) or 1
        kept = self.samples[::step]
        return {
            "seed": self.seed,
            "seconds": round(self.seconds, 1),
            "tasks": self.tasks,
            "acknowledged": self.acknowledged,
            "done": self.done,
            "lost": self.acknowledged - self.done,
            "done_again_after_a_spooler_died": self.again,
            "phases": self.phases,
            "events": dict(sorted(self.events.items())),
            "samples_taken": len(self.samples),
            "series": {
                one.name: {
                    "title": LIMITS[one.name].title,
                    "unit": LIMITS[one.name].unit,
                    "median": round(one.median, 1),
                    "highest": round(one.highest, 1),
                    "growth": round(one.growth, 2),
                    "allowed": round(one.allowed, 2),
                    "flat": one.flat,
                }
                for one in self.judged
            },
            "wrong": self.wrong,
            "seconds_of_samples": [round(sample.seconds, 1) for sample in kept],
            "samples": {name: [round(s.values[name], 1) for s in kept] for name in (kept[0].values if kept else ())},
        }


class Soak:
    """Runs one. home: an empty directory. seconds: how long tasks are let in. every: seconds between two looks."""

    def __init__(self, home: Path, *, seconds: float, tasks: int, seed: int, every: float, reload: float) -> None:
        self.home = home
        self.spool = home / "spool"
        self.spool.mkdir()
        (home / "ledger.cures").mkdir()
        self.touched = home / "touched"
        self.touched.touch()
        self.seconds = seconds
        self.every = every
        self.reload = reload
        self.report = Report(seed, tasks)
        self.ledger = Ledger(str(home / "ledger"), tasks)
        self.draw = random.Random(seed)
        self._mark = sessions.new_mark()
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            FILE: str(home / "ledger"),
            "SOAK_TASKS": str(tasks),
            sessions.MARK: self._mark,
        }
        self._garbage = 0
        self._producers: list[subprocess.Popen[bytes]] = []
        #: tasks done, and since when so many
        self._progress = (-1, 0.0)

    def run(self) -> Report:
        """All of it."""
        options = ["--spooler-processes", str(SPOOLERS), "--spooler", "spool", "--spooler-ordered", "--spooler-quiet"]
        options += ["--spooler-max-tasks", str(max(self.report.tasks // 1000, 50)), "--spooler-harakiri", str(HARAKIRI)]
        options += ["--history-size", str(HISTORY)]
        options += ["--spooler-frequency", "1", "--max-attempts", str(MAX_ATTEMPTS)]
        options += ["--touch-spoolers-reload", str(self.touched), "--import", "tests.soak.app"]
        with sessions.signals_not_ignored(), (self.home / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "spoolsim", "run", *options],
                cwd=self.home,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.began = time.monotonic()
        try:
            self._run()
        finally:
            for producer in self._producers:
                producer.kill()
                producer.wait()
            sessions.kill_all(self.process.pid, self._mark)
            self.process.wait()
            self.report.seconds = time.monotonic() - self.began
        return self.report

    def _run(self) -> None:
        self._wait(lambda: self._quiet(SPOOLERS), "all spoolers to be there")
        at_rest = self._descriptors()
        self._phase("started")
        self._produce()
        self._storm()
        self._phase("all done")
        self._wait(lambda: all(producer.poll() is not None for producer in self._producers), "the producers")
        self._finish()
        self._phase("all cleared away")
        self._wait(lambda: self._descriptors() == at_rest, f"descriptors to be as at rest, {at_rest}")
        self._phase("at rest")
        self._count_board()
        self._stop()
        self._phase("stopped")
        self._ceilings(at_rest)
        self._settle_accounts()

    def _phase(self, name: str) -> None:
        self.report.phases[name] = round(time.monotonic() - self.began, 2)

    # ---- while it runs ----

    def _produce(self) -> None:
        for index in range(PRODUCERS):
            self._producers.append(
                subprocess.Popen(
                    [
                        sys.executable,
                        "-m",
                        "tests.soak.producer",
                        self.spool,
                        *map(str, (index, PRODUCERS, self.report.seed)),
                    ],
                    cwd=ROOT,
                    env={**self._environment, sessions.MARK: ""},
                    stdin=subprocess.DEVNULL,
                )
            )

    def _storm(self) -> None:
        """Let tasks in evenly, and let things happen meanwhile."""
        begin = time.monotonic()
        next_deadline = next_garbage = next_retry = begin
        next_reload = begin + self.reload
        done_before = 0
        tasks = self.report.tasks
        while (done := self.ledger.count(self.ledger.done)) < tasks and self._dare(begin, done):
            now = time.monotonic()
            due = int(tasks * min((now - begin) / self.seconds, 1))
            self.ledger.gate = max(self.ledger.gate, min(due, done + BACKLOG, tasks))
            if now >= next_deadline:
                self._sample()
                next_deadline = now + self.every
            if now >= next_reload and done > done_before:  # a slow machine would do nothing but reload
                done_before = done
                os.utime(self.touched)
                self.report.events["touch reloads"] += 1
                next_reload = now + self.reload * (0.5 + self.draw.random())
            if now >= next_garbage:
                self._drop_garbage()
                next_garbage = now + self.seconds / 100
            if now >= next_retry:
                self._bring_back()
                next_retry = now + min(self.seconds / 10, 10)
            time.sleep(0.05)

    def _dare(self, begin: float, done: int) -> bool:
        """Is it still worth waiting? A soak that a slow machine stretches goes on as long as tasks get done."""
        now = time.monotonic()
        if done != self._progress[0]:
            self._progress = (done, now)
        if now - self._progress[1] > DEADLINE:
            self.report.wrong.append(f"no task was done for {DEADLINE:g} s, {done} are: {self._tail()}")
            return False
        if self.process.poll() is not None:
            self.report.wrong.append(f"it ended with status {self.process.returncode}: {self._tail()}")
            return False
        return True

    def _drop_garbage(self) -> None:
        """A file that announces more than it holds, under a name of a task's."""
        self._garbage += 1
        hidden = self.spool / f".garbage{self._garbage}"
        hidden.write_bytes(b"\x11\xff\xff\x00 garbage")
        hidden.rename(self.spool / f"{PREFIX}garbage_{self._garbage}")
        self.report.events["broken files dropped"] += 1

    def _bring_back(self) -> None:
        """What a person does: bring the failed tasks back, clear the broken ones away."""
        state = self.spool / ".spoolsim"
        failed = [name for name in _names(state / "failed") if not name.endswith(".why")]
        for name in failed:
            (self.home / "ledger.cures" / name).touch()
        if failed:
            command = [sys.executable, "-m", "spoolsim", "retry", "--spooler", str(self.spool), *failed]
            brought = subprocess.run(command, capture_output=True, text=True, check=False)
            if brought.returncode:
                self.report.wrong.append(f"spoolsim retry: {brought.stderr}")
            self.report.events["poison tasks brought back"] += len(failed)
        for name in _names(state / "broken"):
            if (state / "broken" / f"{name}.why").exists():
                (state / "broken" / f"{name}.why").unlink()
                (state / "broken" / name).unlink()
                self.report.events["broken files set aside"] += 1

    # ---- looking ----

    def _roles(self) -> dict[str, list[int]]:
        return look.roles(self.process.pid, sessions.members(self.process.pid, self._mark))

    def _sample(self) -> None:
        found = self._consistent()
        sizes: dict[str, list[look.Held]] = {}
        for role, pids in found.items():
            for pid in pids:
                try:
                    sizes.setdefault(role, []).append(look.held(pid))
                except Gone:
                    pass
        if not all(sizes.get(role) for role in ("master", "forkserver", "spooler")):
            return  # they are just being replaced; the next look sees them
        size, files = look.disk(self.spool / ".spoolsim")
        if size > 2 * JOURNAL + HISTORY + 1_200_000:  # each history ends with a batch of up to a mebibyte
            self.report.wrong.append(f".spoolsim/ holds {size} bytes")
        values: dict[str, float] = {
            "threads_master": sizes["master"][0].threads,
            "processes": sum(map(len, found.values())),
            "pss_tree": sum(one.pss for role in sizes.values() for one in role),
            "state_bytes": size,
            "state_files": files,
            "inode_bytes": self.spool.stat().st_size,
            "done": self.ledger.count(self.ledger.done),
            "waiting": self.ledger.count(self.ledger.acknowledged) - self.ledger.count(self.ledger.done),
        }
        for role in ("master", "forkserver", "spooler"):
            values[f"fds_{role}"] = statistics.fmean(one.descriptors for one in sizes[role])
            values[f"rss_{role}"] = statistics.fmean(one.rss for one in sizes[role])
        self.report.samples.append(Sample(time.monotonic() - self.began, values))

    def _consistent(self) -> dict[str, list[int]]:
        """The processes, at an instant when the scoreboard agrees with them; they come and go while we look."""
        end = time.monotonic() + 20
        while True:
            seats = look.board(self.spool, self.process.pid)
            found = self._roles()
            fault = look.scoreboard_fault(seats, found["spooler"], SPOOLERS)
            if not fault or self.process.poll() is not None:
                return found
            if time.monotonic() > end:
                self.report.wrong.append(f"the scoreboard: {fault}")
                return found
            time.sleep(0.01)

    def _descriptors(self) -> dict[str, list[int]]:
        """The descriptors of each role, with everybody idle."""
        try:
            found = self._roles()
            return {role: sorted(look.held(pid).descriptors for pid in pids) for role, pids in found.items()}
        except Gone:
            return {}

    def _quiet(self, count: int) -> bool:
        try:
            seats = look.board(self.spool, self.process.pid)
        except FileNotFoundError:
            return False
        found = self._roles()
        watching = all(_watches(pid) for pid in found["spooler"])
        return (
            len(found["spooler"]) == count and watching and not look.scoreboard_fault(seats, found["spooler"], SPOOLERS)
        )

    # ---- the end ----

    def _finish(self) -> None:
        """Everything that is left over is done."""
        end = time.monotonic() + DEADLINE
        while self._left() or self.ledger.count(self.ledger.done) < self.report.tasks:
            if time.monotonic() > end:
                self.report.wrong.append(f"left in the spool directory: {self._left()[:5]}; {self._tail()}")
                return
            self._bring_back()
            time.sleep(0.1)
        self._bring_back()

    def _left(self) -> list[str]:
        state = self.spool / ".spoolsim"
        left = [name for place, _, names in os.walk(self.spool) if ".spoolsim" not in place for name in names]
        return left + _names(state / "failed")

    def _count_board(self) -> None:
        counted = look.done(look.board(self.spool, self.process.pid))
        again = len(_lines(self.home / "ledger.again"))  # their first spooler died before, or after it counted them
        if not self.report.tasks <= counted <= self.report.tasks + again:
            self.report.wrong.append(f"the scoreboard counts {counted} tasks done of {self.report.tasks}")

    def _ceilings(self, at_rest: dict[str, list[int]]) -> None:
        for role in ("master", "forkserver", "spooler"):
            highest = max((sample.values[f"fds_{role}"] for sample in self.report.samples), default=0)
            if highest > max(at_rest[role]) + BUSY:
                self.report.wrong.append(f"the {role} had {highest:g} descriptors, at rest {max(at_rest[role])}")

    def _stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        left = sessions.wait_empty(self.process.pid, self._mark, DEADLINE)
        if left:
            self.report.wrong.append("left alive: " + "; ".join(map(sessions.describe, left)))
            return
        if self.process.wait():
            self.report.wrong.append(f"it stopped with status {self.process.returncode}: {self._tail()}")
        broken = self.report.events["broken files dropped"] - self.report.events["broken files set aside"]
        if broken:
            self.report.wrong.append(f"{broken} broken files were not set aside")
        state = self.spool / ".spoolsim"
        known = {".gitignore", "wake", "journal", "journal.1", "history"}
        there = {str(path.relative_to(state)) for path in state.rglob("*") if path.is_file()}
        older = {name for name in there if re.fullmatch(r"history\.\d+", name)}
        if len(older) > 2 * PARTS:  # bounded by their size; each has room for less than the batch that came next
            self.report.wrong.append(f"{len(older)} older files of the history")
        if there - known - older:
            self.report.wrong.append(f"left in .spoolsim/: {sorted(there - known - older)[:5]}")

    def _settle_accounts(self) -> None:
        report = self.report
        ledger = self.ledger
        report.acknowledged = ledger.count(ledger.acknowledged)
        report.done = ledger.count(ledger.done)
        lost = [number for number in range(report.tasks) if ledger.acknowledged[number] and not ledger.done[number]]
        if lost:
            report.wrong.append(f"lost: {len(lost)} tasks, such as {lost[:5]}")
        if report.acknowledged < report.tasks:
            report.wrong.append(f"only {report.acknowledged} of {report.tasks} tasks were acknowledged")
        killed: set[str] = set()
        with (self.home / "log").open(errors="replace") as log:
            for line in log:
                if found := re.search(r"the spooler of task (\S+) was killed", line):
                    killed.add(os.path.basename(found[1]))
                for what, text in _LINES.items():
                    report.events[what] += text in line
        for line in _lines(self.home / "ledger.again"):
            number, name = line.split()
            report.again += 1
            if name not in killed:
                report.wrong.append(f"task {number} was done twice, and no spooler died with {name}")
        if report.samples and len(report.samples) > 1:
            report.judged = [
                judge(name, [s.seconds for s in report.samples], [s.values[name] for s in report.samples])
                for name in LIMITS
            ]

    def _wait(self, condition: Callable[[], object], what: str) -> None:
        end = time.monotonic() + DEADLINE
        while not condition():
            if time.monotonic() > end:
                self.report.wrong.append(
                    f"waited {DEADLINE:g} s in vain for {what}: {self._descriptors()} {self._tail()}"
                )
                return
            time.sleep(0.02)

    def _tail(self) -> str:
        return (self.home / "log").read_text(errors="replace")[-1500:]


#: what is counted in the log
_LINES = {
    "recycled spoolers": "maximum number of tasks reached",
    "harakiris": "*** HARAKIRI",
    "spoolers died in a task": "the spooler of task",
    "tasks moved to failed/": "`spoolsim retry` brings it back",
    "tracebacks": "Traceback (most recent call last)",
}


def _names(directory: Path) -> list[str]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def _watches(pid: int) -> bool:
    """Has it got to its first wait?"""
    try:
        return any("inotify" in os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return False


def write(report: Report, path: str) -> None:
    """PATH.json."""
    Path(f"{path}.json").write_text(json.dumps(report.to_json(), separators=(",", ":")) + "\n")
