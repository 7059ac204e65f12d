"""System calls per task, counted by strace: `python -m benchmarks.syscalls`.

A count does not depend on how busy the machine is, so it is what a test can hold on to: a small enqueue takes at most
5 system calls, a task at most 9, quiet and with the journal on.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections import Counter

if not __package__:  # run as a file
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from benchmarks import machine
from benchmarks.contestants import Missing
from benchmarks.contestants.servers import Server, Spoolsim, Uwsgi
from benchmarks.rooms import MEMORY, Places, Room

#: the most system calls that spoolsim may take
ENQUEUE_LIMIT, TASK_LIMIT = 5, 9
_MARK = "/spoolbench-mark"
_LINE = re.compile(r"(\d+) +(\w+)\(")


class Traced:
    """A contestant under strace."""

    def __init__(self, server: Server) -> None:
        if shutil.which("strace") is None:
            raise Missing("system calls are counted by strace, which is not installed")
        self.server = server
        self.version = server.check()

    def enqueue(self, places: Places, count: int) -> Counter[str]:
        """The system calls of `count` small enqueues, by name."""
        with places.room(MEMORY) as room:
            return self._between_marks(room, count, produce=True)

    def tasks(self, places: Places, count: int) -> Counter[str]:
        """The system calls from one handler call to the `count`th after it, by name."""
        with places.room(MEMORY) as room:
            room.fill(count + 1)
            return self._between_marks(room, count + 1, produce=False)

    def opens(self, places: Places, count: int, processes: int) -> int:
        """How often files of tasks are opened, or tried to be, while so many processes drain an ordered directory."""
        with places.room(MEMORY) as room:
            room.fill(count)
            trace = os.path.join(room.marks, "trace")
            prefix = ("strace", "-f", "-qq", "-e", "trace=openat", "-o", trace)
            with self.server.start(room, "noop", processes=processes, ordered=True, prefix=prefix) as instance:
                instance.wait(lambda: room.reader.total() >= count, f"{count} tasks to be run")
            with open(trace, encoding="utf-8", errors="replace") as file:
                return sum("uwsgi_spoolfile_on_" in line and "O_RDWR" in line for line in file)

    def _between_marks(self, room: Room, count: int, *, produce: bool) -> Counter[str]:
        trace = os.path.join(room.marks, "trace")
        env = {"SPOOLBENCH_COUNT": str(count), "SPOOLBENCH_PRODUCE": str(int(produce))}
        prefix = ("strace", "-f", "-qq", "-o", trace)
        with self.server.start(room, "counted", external=produce, env=env, prefix=prefix) as instance:
            instance.wait(lambda: _marks(trace) == 2, "the second mark in the trace", step=0.05)
        return count_between_marks(trace)


def _marks(trace: str) -> int:
    try:
        with open(trace, encoding="utf-8", errors="replace") as file:
            return sum(_MARK in line for line in file)
    except FileNotFoundError:
        return 0


def count_between_marks(trace: str) -> Counter[str]:
    """The calls, by name, that the process with the marks made between them."""
    found: Counter[str] = Counter()
    counting = ""
    with open(trace, encoding="utf-8", errors="replace") as file:
        for line in file:
            call = _LINE.match(line)
            if call is None:
                continue  # a resumed call, a signal, an exit
            pid, name = call.groups()
            if _MARK in line:
                if counting:
                    return found
                counting = pid
            elif pid == counting:
                found[name] += 1
    raise ValueError(f"{trace} has no two marks")


def main() -> int:
    """Print the counts of both; 1 when spoolsim is over a limit."""
    count = 500
    over = False
    print(machine.line())
    places = Places()
    try:
        for server in (Uwsgi(), Spoolsim()):
            try:
                traced = Traced(server)
            except Missing as error:
                print(f"{server.name}: not counted: {error}")
                continue
            for what, calls, limit in (
                ("a small enqueue", traced.enqueue(places, count), ENQUEUE_LIMIT),
                ("a task", traced.tasks(places, count), TASK_LIMIT),
            ):
                each = calls.total() / count
                judged = ""
                if server.name == "spoolsim":
                    over |= each > limit
                    judged = f" (at most {limit}: {'OVER' if each > limit else 'kept'})"
                names = ", ".join(f"{name} {number / count:.2f}" for name, number in calls.most_common(12))
                print(f"{traced.version}: {what}: {each:.2f} system calls{judged}: {names}")
            opened = traced.opens(places, count, 4) / count
            print(f"{traced.version}: ordered, 4 processes: each file is opened {opened:.2f} times")
    finally:
        places.close()
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
