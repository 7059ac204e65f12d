"""Producers and spoolers that are killed or disturbed in a forked child of ours: some thousand points a minute.

What they do is drawn by a seed; at which system call they are struck is handed in.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from spoolsim.diagnose import Notes
from spoolsim.log import Log
from spoolsim.options import Options
from spoolsim.spool import file
from spoolsim.spool.directory import SpoolDir
from spoolsim.spool.enqueue import Producer
from spoolsim.spool.names import PREFIX
from spoolsim.work.app import SPOOLER, App
from spoolsim.work.installed import install
from spoolsim.work.worker import Worker
from tests.faults.campaign.ledger import Verdict
from tests.faults.campaign.meddle import NEWCOMER, Race, Refusal
from tests.faults.ptrace import Child
from tests.oracle.packets import packet

PAST = 1_000_000_000
#: exit status of a producer whose enqueue was refused with a clear error
REFUSED = 3
#: of one that could not tell that it had succeeded
UNTOLD = 4
#: so long nothing takes that does not hang, in seconds
_HANGS = 60.0


class Bench:
    """A directory for kills one after the other, and an app whose handler notes each task it is given."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.spool = home / "spool"
        self.spool.mkdir()
        self._notes = os.open(home / "notes", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._acknowledged, self._acknowledge = os.pipe()
        os.set_blocking(self._acknowledged, False)
        #: the handler's answers by task, before the kill; afterwards each is done
        self.answers: dict[bytes, str] = {}
        self.answers_before: dict[bytes, str] = {}
        #: told of each task in place of the notes
        self.seen: Callable[[bytes], object] | None = None
        self.app = self._app(Options(quiet=True))
        self.app.prepare()
        sys.modules["uwsgi"].__dict__["spooler"] = self.handle

    def _app(self, options: Options) -> App:
        directory = SpoolDir(str(self.spool))
        app = install(App(options, [(directory, 0)], Log()))
        app.become(SPOOLER)
        return app

    def handle(self, env: dict[str | bytes, bytes]) -> int:
        """The handler."""
        if self.seen is not None:
            self.seen(env["spooler_task_name"])
            return -2
        number = env[b"number"]
        os.write(self._notes, number + b"\n")
        answer = self.answers.get(number, "done")
        if answer == "raise":
            raise ValueError("as drawn")
        return -1 if answer == "retry" else -2

    # ---- a producer ----

    def failing_producer(self, seed: int, at: int) -> Verdict:
        """One call of one enqueue fails: it is refused, or has succeeded."""
        return self.producer(seed, at, Refusal(seed))

    def producer(self, seed: int, at: int, befalls: Refusal | None = None) -> Verdict:
        """One enqueue is killed, or something befalls it."""
        draw = random.Random(seed)
        job: dict[object, object] = {b"number": b"0", b"filler": b"v" * draw.choice((0, 10, 3000, 60_000))}
        if draw.random() < 0.4:
            job[b"body"] = os.urandom(8) * draw.choice((1, 500, 20_000))
        if draw.random() < 0.3:
            job[b"at"] = str(PAST + seed).encode()
        if draw.random() < 0.3:
            job[b"priority"] = str(draw.randrange(3)).encode()
        expected = packet({key: value for key, value in job.items() if key != b"body"}) + job.get(b"body", b"")
        directory = SpoolDir(str(self.spool))
        producer = Producer(
            [directory],
            log=Log(),
            notes=Notes(lambda *said: None),
            ordered=True,
            quiet=True,
            durable=draw.random() < 0.2,
        )

        def put() -> None:
            try:
                name = producer.spool(job)
            except ValueError:
                os._exit(REFUSED)
            try:
                os.write(self._acknowledge, name + b"\n")
            except OSError:
                os._exit(UNTOLD)

        verdict = self._struck(put, at, befalls, (0, REFUSED, UNTOLD))
        found = self._tasks()
        acknowledged = self._acknowledgements()
        verdict.acknowledged = len(acknowledged)
        for path in acknowledged:
            if found.get(path) != expected:
                verdict.wrong.append(f"acknowledged, but {path} is {_told(found.get(path))}")
        verdict.empty = sum(not data for data in found.values())
        for path, data in found.items():
            if data not in (b"", expected):
                verdict.wrong.append(f"half a task is visible: {path} is {_told(data)}")
        self._drain(Options(quiet=True, ordered=True), verdict)
        runs = self._runs()
        there = sum(data == expected for data in found.values())
        if runs[b"0"] != there:
            verdict.wrong.append(f"{there} tasks were there, and {runs[b'0']} were run")
        left = [path for path, data in self._tasks().items() if data]
        if left:
            verdict.wrong.append(f"not run: {left}")
        self.clear()
        return verdict

    # ---- a spooler ----

    def failing_spooler(self, seed: int, at: int) -> Verdict:
        """One call of one scan fails; the spooler goes on."""
        return self.spooler(seed, at, Refusal(seed))

    def raced_spooler(self, seed: int, at: int) -> Verdict:
        """Somebody is at one of the task files between two steps of a scan; the other tasks are none the worse."""
        return self.spooler(seed, at, Race(random.Random(seed), self.spool))

    def spooler(self, seed: int, at: int, befalls: Refusal | Race | None = None) -> Verdict:
        """One scan is killed, or something befalls it; the next one, by another process, ends what is left."""
        draw = random.Random(seed)
        options = {
            "quiet": True,
            "ordered": draw.random() < 0.5,
            "no_journal": draw.random() < 0.2,
            "max_tasks": draw.choice((0, 0, 2)),
            "max_attempts": draw.choice((0, 0, 5)),
            "retry_delay": draw.choice((0.0, 0.0, 0.001)),
        }
        count = draw.randrange(1, 4)
        self.answers = {b"%d" % n: draw.choice(("done", "done", "done", "retry", "raise")) for n in range(count)}
        for n in range(count):
            home = self.spool
            if options["ordered"] and draw.random() < 0.3:
                home = self.spool / "5"
                home.mkdir(exist_ok=True)
            data = packet({b"number": b"%d" % n})
            file.write(str(home), file.next_name(), data, b"b" * draw.choice((0, 9, 9000)), draw.choice((0, PAST)))
        broken = b""
        if draw.random() < 0.3:
            broken = b"\x11\xff\x00\x00" + os.urandom(20)
            file.write(str(self.spool), file.next_name(), broken)

        def scan_once() -> None:
            worker = self._worker(Options(**options))
            try:
                worker.cycle()
            except FileNotFoundError:
                pass  # the directory cannot be entered: a spooler waits until it can

        verdict = self._struck(scan_once, at, befalls)
        verdict.acknowledged = count
        race = befalls if isinstance(befalls, Race) else None
        before = self._runs()
        held = {data.partition(b"number")[2][2:3] for data in self._tasks().values() if data != broken}
        for n in range(count):
            number = b"%d" % n
            if race and race.touched(number):
                continue
            if number not in held and (not before[number] or self.answers[number] != "done"):
                verdict.wrong.append(
                    f"lost: task {n}, {self.answers[number]}, is gone; it was run {before[number]} times"
                )
        self.answers_before, self.answers = self.answers, {}
        self._drain(Options(**{**options, "max_attempts": 0, "max_tasks": 0}), verdict)
        runs = self._runs()
        for n in range(count):
            number = b"%d" % n
            if race and race.touched(number):
                continue
            again = runs[number] - before[number]
            if again != (number in held):
                verdict.wrong.append(f"task {n} was run {again} times afterwards, and was there: {number in held}")
            # it was noted and its file is still there: its process died in it, or was told to keep it
            verdict.twice += before[number] > 0 and number in held and self.answers_before[number] == "done"
        if race and race.replaced and runs[NEWCOMER] != 1:
            verdict.wrong.append(f"the task that was laid in another's place was run {runs[NEWCOMER]} times")
        left = [path for path, data in self._tasks().items() if data or not race]
        if left:
            verdict.wrong.append(f"left behind: {left}")
        if broken and not (race and race.happened):
            aside = [path.read_bytes() for path in self.spool.glob(f".spoolsim/broken/{PREFIX}*[0-9]")]
            if aside != [broken]:
                verdict.wrong.append(f"the broken file was set aside {len(aside)} times")
        self.clear()
        return verdict

    # ---- what both need ----

    def _worker(self, options: Options) -> Worker:
        return Worker(self._app(options), SpoolDir(str(self.spool)))

    def _struck(
        self,
        action: Callable[[], object],
        at: int,
        befalls: Refusal | Race | None = None,
        statuses: tuple[int, ...] = (0,),
    ) -> Verdict:
        """Killed as it enters its at-th system call; or something befalls it there, and it ends with such a status."""
        if befalls is None:
            count, status = Child(action).run(at)
            verdict = Verdict(os.WIFSIGNALED(status))
            if not verdict.struck and (status or not 0 <= count < at):
                verdict.wrong.append(f"ended by itself with status {status} after {count} system calls")
            return verdict
        count, status = Child(action).disturb(at, befalls, _HANGS)
        verdict = Verdict(count >= at)
        if status < 0:
            verdict.wrong.append(f"{befalls}: it hangs")
        elif not os.WIFEXITED(status) or os.WEXITSTATUS(status) not in statuses:
            verdict.wrong.append(f"{befalls}: ended with wait status {status} after {count} calls to do with files")
        return verdict

    def _drain(self, options: Options, verdict: Verdict) -> None:
        """What a spooler that starts now does: in a process of its own, since locks are a process's."""

        def scans() -> None:
            worker = self._worker(options)
            for _ in range(3):
                worker.cycle()

        _, status = Child(scans).run()
        if status:
            verdict.wrong.append(f"the next spooler ended with status {status}")

    def _tasks(self) -> dict[str, bytes]:
        """Every file under a task's name, by path."""
        found = {}
        for home in (self.spool, *self.spool.glob("[0-9]*")):
            for entry in os.scandir(home):
                if entry.name.startswith(PREFIX) and entry.is_file(follow_symlinks=False):
                    with open(entry.path, "rb") as opened:
                        found[entry.path] = opened.read()
        return found

    def _runs(self) -> Counter[bytes]:
        return Counter(os.pread(self._notes, 1 << 20, 0).split(b"\n")[:-1])

    def _acknowledgements(self) -> list[str]:
        try:
            return [os.fsdecode(line) for line in os.read(self._acknowledged, 65536).split(b"\n")[:-1]]
        except BlockingIOError:
            return []

    def scan(self, *, ordered: bool) -> None:
        """One scan by a spooler in this process."""
        self._worker(Options(quiet=True, ordered=ordered, silence=("broken-file",), no_journal=True)).cycle()

    def clear(self) -> None:
        """An empty directory for the next."""
        os.ftruncate(self._notes, 0)
        shutil.rmtree(self.spool)
        self.spool.mkdir()


def _told(data: bytes | None) -> str:
    return "not there" if data is None else f"{len(data)} bytes, {data[:20]!r} and so on"
