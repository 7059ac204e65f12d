"""Is a series of samples flat? Its slope is the median of those of all pairs (Theil and Sen): peaks do not move it."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

#: this share of a run, at its beginning, is warm-up
WARM_UP = 0.15
#: pairs of more points than this cost too much; samples beyond are gathered into blocks, by their medians
_POINTS = 300


@dataclass(frozen=True)
class Limit:
    """How much a series may grow over the run after its warm-up: the greater of an amount and a share of its median."""

    title: str
    unit: str
    amount: float
    share: float = 0.0


LIMITS = {
    "fds_master": Limit("descriptors of the master", "", 0.5),
    "fds_forkserver": Limit("descriptors of the fork server", "", 0.5),
    "fds_spooler": Limit("descriptors of a spooler, on average", "", 0.5),
    "threads_master": Limit("threads of the master", "", 0.5),
    "processes": Limit("processes", "", 0.5),
    "rss_master": Limit("resident memory of the master", "KB", 1024, 0.05),
    "rss_forkserver": Limit("resident memory of the fork server", "KB", 1024, 0.05),
    "rss_spooler": Limit("resident memory of a spooler, on average", "KB", 1024, 0.05),
    "pss_tree": Limit("proportional memory of the tree", "KB", 2048, 0.05),
    "state_bytes": Limit("bytes in .spoolsim/", "bytes", 200_000, 0.10),
    "state_files": Limit("files in .spoolsim/", "", 2.0, 0.05),
    # ext4 gives no block of a directory back: 200 names at a time, made and removed 50,000 times, leave 40 KB
    "inode_bytes": Limit("bytes of the spool directory itself", "bytes", 65_536, 0.10),
}


def slope(times: Sequence[float], values: Sequence[float]) -> float:
    """Growth by the second."""
    points = _thinned(times, values)
    slopes = [
        (late[1] - early[1]) / (late[0] - early[0])
        for index, early in enumerate(points)
        for late in points[index + 1 :]
        if late[0] > early[0]
    ]
    return statistics.median(slopes) if slopes else 0.0


def _thinned(times: Sequence[float], values: Sequence[float]) -> list[tuple[float, float]]:
    width = -(-len(times) // _POINTS) or 1
    return [
        (statistics.median(times[at : at + width]), statistics.median(values[at : at + width]))
        for at in range(0, len(times), width)
    ]


@dataclass(frozen=True)
class Judged:
    """What became of one series. growth: over the whole span that was judged. allowed: the limit."""

    name: str
    median: float
    highest: float
    growth: float
    allowed: float

    @property
    def flat(self) -> bool:
        return self.growth <= self.allowed


def judge(name: str, times: Sequence[float], values: Sequence[float]) -> Judged:
    """Judge a series after its warm-up; it must have at least two samples then."""
    begin = times[0] + (times[-1] - times[0]) * WARM_UP
    kept = [(time, value) for time, value in zip(times, values, strict=True) if time >= begin]
    steady = [value for _, value in kept]
    limit = LIMITS[name]
    median = statistics.median(steady)
    growth = slope([time for time, _ in kept], steady) * (kept[-1][0] - kept[0][0])
    return Judged(name, median, max(steady), growth, max(limit.amount, limit.share * median))
