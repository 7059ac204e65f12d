"""A running `spoolsim run` whose master, fork server or spooler is killed at one of its system calls.

It starts again by itself, but for the master, behind whom nothing may be left; the next start finds its leftovers.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Container
from pathlib import Path
from typing import TypeVar

from spoolsim.spool import file
from spoolsim.spool.names import PREFIX
from spoolsim.work.scoreboard import HEAD, PID, WIDTH
from tests.faults.campaign.ledger import Verdict
from tests.faults.ptrace import Seized
from tests.oracle import sessions
from tests.oracle.packets import packet

T = TypeVar("T")

APP = """
import os, uwsgi
def spooler(env):
    fd = os.open(os.environ["RUNS"], os.O_WRONLY | os.O_APPEND)
    os.write(fd, b"%s %d\\n" % (env[b"number"], os.getpid()))
    os.close(fd)
    return uwsgi.SPOOL_OK
uwsgi.spooler = spooler
"""

#: seconds in which all must have come right again
DEADLINE = 60.0
#: seconds of quiet after which a traced process is taken to have nothing more to do
QUIET = 0.4
SPOOLERS = 2
ROOT = str(Path(__file__).resolve().parents[3])
TASKS = 5


class Tree:
    """One instance after the other, in one directory."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.spool = home / "spool"
        self.spool.mkdir()
        self.touched = home / "touched"
        self.touched.touch()
        self.runs = home / "runs"
        self.runs.touch()
        (home / "app.py").write_text(APP)
        self.process: subprocess.Popen[bytes] | None = None
        self.mark = ""
        self._calls: dict[str, int] = {}
        self._number = 0

    # ---- the instance ----

    def start(self) -> None:
        """Start it, and wait until its spoolers wait for work."""
        self._spawn()
        self._until(lambda: len(self.spoolers()) == SPOOLERS, "its spoolers")

    def _spawn(self) -> None:
        self.mark = sessions.new_mark()
        options = ["--spooler", "spool", "--spooler-processes", str(SPOOLERS), "--spooler-max-tasks", "2"]
        options += ["--import", "app", "--touch-spoolers-reload", str(self.touched), "--spooler-quiet"]
        with (self.home / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "spoolsim", "run", *options],
                cwd=self.home,
                env={**os.environ, "PYTHONPATH": ROOT, "RUNS": str(self.runs), sessions.MARK: self.mark},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def master(self) -> int:
        assert self.process is not None
        return self.process.pid

    def stop(self) -> None:
        """End all of it."""
        if self.process is not None:
            sessions.kill_all(self.process.pid, self.mark)
            self.process.wait()
            self.process = None

    def spoolers(self) -> list[int]:
        """The pids on the scoreboard."""
        try:
            words = memoryview((self.spool / ".spoolsim" / "run" / str(self.master)).read_bytes())
        except FileNotFoundError:
            return []
        size = (HEAD + SPOOLERS * 2 * WIDTH) * 8
        if len(words) < size:  # it is being made
            return []
        seats = words[:size].cast("Q")
        return [pid for seat in range(SPOOLERS * 2) if (pid := seats[HEAD + seat * WIDTH + PID])]

    def fork_servers(self) -> list[int]:
        """The children of the master."""
        return _children(self.master)

    def spooler_children(self) -> list[int]:
        """The children of the fork servers, whether or not they are on the scoreboard yet."""
        return [pid for server in self.fork_servers() for pid in _children(server)]

    # ---- one kill ----

    def kill(self, kind: str, seed: int, at: int) -> Verdict:
        """kind: who is killed, and perhaps during what: such as `forkserver-reload`. at: 0 to draw the system call."""
        draw = random.Random(seed)
        who, _, during = kind.partition("-")
        if kind not in self._calls:
            self._calls[kind] = max(self._strike(who, during, 0, Verdict()), 1)
            self._end(during)
        verdict = Verdict()
        try:
            self._strike(who, during, at or draw.randint(1, self._calls[kind]), verdict)
        except TimeoutError as error:
            left = "; ".join(map(sessions.describe, sessions.members(self.master, self.mark)))
            verdict.wrong.append(f"{error}; there are {left}; the log: {self._log()}")
            self.stop()
        self._end(during)
        return verdict

    def storm(self, seed: int) -> Verdict:
        """Kills at drawn times while tasks come in: of spoolers, fork servers, producers, at times of the master."""
        if self.process is None:
            self.start()
        draw = random.Random(seed)
        verdict = Verdict(struck=True)
        numbers: list[str] = []
        killed = set()
        for _ in range(draw.randint(2, 4)):
            with Putting(self, draw.randint(5, 40)) as putting:
                time.sleep(draw.random() * 0.02)  # the drawn moment: nothing is waited for
                victims = [*self.spoolers(), *(self.fork_servers() if draw.random() < 0.3 else ()), putting.pid]
                killed.add(self._sigkill(draw.choice(victims)))
            numbers += putting.acknowledged
        if draw.random() < 0.2:
            self._sigkill(self.master)
            self._ended(verdict)
        self._judge(numbers, killed, verdict)
        return verdict

    def _sigkill(self, pid: int) -> int:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        return pid

    def _strike(self, who: str, during: str, at: int, verdict: Verdict) -> int:
        if during == "birth":
            return self._birth(who, at, verdict)
        if self.process is None:
            self.start()
        with self._seize(who) as seized:
            victim = seized.pid
            numbers = self._put(TASKS)
            if during == "reload":
                os.utime(self.touched)
            elif during == "stop":
                os.kill(self.master, signal.SIGINT)
            count = seized.run(at, QUIET if not at else DEADLINE if during == "stop" else QUIET)
        verdict.struck = bool(at) and count == at
        if during == "stop" or (who == "master" and seized.dead):
            self._ended(verdict)
        self._judge(numbers, {victim}, verdict)
        return count

    def _seize(self, who: str, but: Container[int] = ()) -> Seized:
        """The process of that kind, stopped; another one if it recycles just now. but: none of these."""
        pids = {"master": lambda: [self.master], "forkserver": self.fork_servers, "spooler": self.spooler_children}[who]

        def seized() -> Seized | None:
            for pid in pids():
                try:
                    if pid not in but:
                        return Seized(pid)
                except OSError:
                    pass  # it is dead, or dying
            return None

        found = self._until(seized, f"the {who}")
        assert found is not None
        return found

    def _birth(self, who: str, at: int, verdict: Verdict) -> int:
        """One that is just born: as its parent has it, before it has said anything of itself."""
        if who == "master":
            self.stop()
            numbers = self._put(TASKS)
            self._spawn()
            killed = Seized(self.master)
        else:
            if self.process is None:
                self.start()
            there = self._until({"forkserver": self.fork_servers, "spooler": self.spooler_children}[who], f"a {who}")
            numbers = self._put(TASKS)
            if who == "forkserver":
                os.utime(self.touched)
            else:
                self._sigkill(random.Random(at).choice(there))
            killed = self._seize(who, there)
        with killed as seized:
            count = seized.run(at, QUIET)
        verdict.struck = bool(at) and count == at
        if who == "master" and seized.dead:
            self._ended(verdict)
        elif who == "master":
            self._until(lambda: len(self.spoolers()) == SPOOLERS, "its spoolers")
        self._judge(numbers, {seized.pid, *(there if who == "spooler" else ())}, verdict)
        return count

    def _ended(self, verdict: Verdict) -> None:
        """The instance is over, or on its way; nothing of it may be left."""
        assert self.process is not None
        left = sessions.wait_empty(self.process.pid, self.mark, DEADLINE / 2)
        if left:
            verdict.wrong.append("left alive: " + "; ".join(map(sessions.describe, left)))
            sessions.kill_all(self.process.pid, self.mark)
        self.process.wait()
        self.process = None

    def _end(self, during: str) -> None:
        if during == "stop":
            self.stop()

    def _judge(self, numbers: list[str], killed: set[int], verdict: Verdict) -> None:
        """Everything that was acknowledged is done in the end; what ran twice, first did in a process that died."""
        if self.process is None:
            self.start()
        verdict.acknowledged += len(numbers)
        try:
            self._until(lambda: not self._left(), "an empty spool directory")
        except TimeoutError as error:
            verdict.wrong.append(f"{error}; {len(self._left())} tasks are left; the log: {self._log()}")
            self.stop()
        runs: dict[str, list[int]] = {}
        for line in self.runs.read_text().splitlines():
            number, pid = line.split()
            runs.setdefault(number, []).append(int(pid))
        verdict.wrong += [f"lost: task {number}" for number in numbers if number not in runs]
        for number, times in runs.items():
            verdict.twice += len(times) > 1
            if any(pid not in killed for pid in times[:-1]):
                verdict.wrong.append(f"task {number} ran in {times}, of which {sorted(killed)} were killed")
        os.truncate(self.runs, 0)
        for path in self.spool.glob(f"{PREFIX}*"):  # the beginnings of killed producers
            if not path.stat().st_size:
                path.unlink()
                verdict.empty += 1

    def _put(self, count: int) -> list[str]:
        return [self.put(number) for number in self.numbers(count)]

    def numbers(self, count: int) -> list[str]:
        """Numbers that no task has had."""
        self._number += count
        return [str(number) for number in range(self._number - count + 1, self._number + 1)]

    def put(self, number: str) -> str:
        """One task; returns its number."""
        file.write(str(self.spool), file.next_name(), packet({b"number": number.encode()}))
        return number

    def _left(self) -> list[str]:
        """The tasks that are there, without those that a killed producer only began."""
        found = []
        for entry in os.scandir(self.spool):
            try:
                if entry.name.startswith(PREFIX) and entry.stat().st_size:
                    found.append(entry.name)
            except FileNotFoundError:
                pass  # it is done
        return found

    def _log(self) -> str:
        return (self.home / "log").read_text(errors="replace")[-1500:]

    def _until(self, condition: Callable[[], T], what: str) -> T:
        end = time.monotonic() + DEADLINE
        while not (found := condition()):
            if time.monotonic() > end:
                raise TimeoutError(f"waited {DEADLINE:g} s in vain for {what}")
            time.sleep(0.002)
        return found


class Putting:
    """A producer, a process of its own, that puts so many tasks and tells of each when it is put; it may be killed.

    acknowledged: the numbers it told of, when the context is left, for which it is waited for.
    """

    def __init__(self, tree: Tree, count: int) -> None:
        numbers = tree.numbers(count)
        self.acknowledged: list[str] = []
        self._told, tell = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            try:
                for number in numbers:
                    os.write(tell, f"{tree.put(number)}\n".encode())
            finally:
                os._exit(0)
        os.close(tell)

    def __enter__(self) -> Putting:
        return self

    def __exit__(self, *error: object) -> None:
        with open(self._told, encoding="ascii") as told:
            self.acknowledged = told.read().split()
        os.waitpid(self.pid, 0)


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []
