"""What a tree of processes holds, read from /proc and from its directory; one `Sample` for each look."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from spoolsim.work.scoreboard import DONE, HEAD, LEAVE, PID, SLOTS, WIDTH

#: bytes of a scoreboard's word
_WORD = 8


@dataclass
class Sample:
    """One look. seconds: since the start. values: by the name of the series."""

    seconds: float
    values: dict[str, float] = field(default_factory=dict)


class Gone(Exception):
    """A process ended while it was looked at."""


@dataclass
class Held:
    """What one process holds. Kilobytes: resident, and its proportional share."""

    descriptors: int
    rss: int
    pss: int
    threads: int


def held(pid: int) -> Held:
    """Raises Gone."""
    try:
        descriptors = len(os.listdir(f"/proc/{pid}/fd"))
        rollup = dict(
            line.split(":", 1)
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            if ":" in line[:20]
        )
        threads = len(os.listdir(f"/proc/{pid}/task"))
        return Held(descriptors, int(rollup["Rss"].split()[0]), int(rollup["Pss"].split()[0]), threads)
    except (OSError, KeyError, IndexError) as error:
        raise Gone(pid) from error


def parent(pid: int) -> int:
    """Raises Gone, for a zombie too."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError as error:
        raise Gone(pid) from error
    if fields[0] in "ZX":
        raise Gone(pid)
    return int(fields[1])


def roles(master: int, members: list[int]) -> dict[str, list[int]]:
    """The processes of an instance by what they are; what is none of that is `other`."""
    parents = {}
    for pid in members:
        try:
            parents[pid] = parent(pid)
        except Gone:
            pass
    found: dict[str, list[int]] = {"master": [], "forkserver": [], "spooler": [], "other": []}
    for pid, above in parents.items():
        if pid == master:
            role = "master"
        elif above == master:
            role = "forkserver"
        elif parents.get(above) == master:
            role = "spooler"
        else:
            role = "other"
        found[role].append(pid)
    return found


def board(spool: Path, master: int) -> list[list[int]]:
    """The words of each seat on the scoreboard of a master."""
    with board_file(spool, master).open("rb") as file:
        return seats_in(file)


def board_file(spool: Path, master: int) -> Path:
    """Where a master's scoreboard is found. Who looks at it beyond the master's end opens it before."""
    return spool / ".spoolsim" / "run" / str(master)


def seats_in(file: BinaryIO) -> list[list[int]]:
    """The words of each seat of an open scoreboard; empty while it is being made."""
    file.seek(0)
    data = file.read()
    seats = int.from_bytes(data[SLOTS * _WORD : (SLOTS + 1) * _WORD], "little")
    words = memoryview(data)[: _WORD * (HEAD + seats * WIDTH)].cast("Q").tolist()
    return [words[HEAD + seat * WIDTH : HEAD + (seat + 1) * WIDTH] for seat in range(seats)]


def scoreboard_fault(seats: list[list[int]], spoolers: list[int], slots: int) -> str:
    """How a scoreboard contradicts the processes there are; '' when it does not."""
    listed = [seat[PID] for seat in seats if seat[PID]]
    serving = [seat[PID] for seat in seats if seat[PID] and not seat[LEAVE]]
    if len(listed) != len(set(listed)):
        return f"a process has two seats: {listed}"
    if set(listed) != set(spoolers):
        return f"on the scoreboard are {sorted(listed)}, alive are {sorted(spoolers)}"
    if len(serving) > slots:
        return f"{len(serving)} processes serve {slots} slots"
    return ""


def done(seats: list[list[int]]) -> int:
    """Tasks done, by the scoreboard."""
    return sum(seat[DONE] for seat in seats)


def disk(directory: Path) -> tuple[int, int]:
    """Bytes and number of the files below a directory."""
    size = count = 0
    for place, _, names in os.walk(directory):
        for name in names:
            try:
                size += os.lstat(os.path.join(place, name)).st_size
                count += 1
            except FileNotFoundError:
                pass
    return size, count
