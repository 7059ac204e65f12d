"""Numbers for each function: runs, failures, times; and how old what waits is, as Postfix's qshape shows a mail queue.

Pure: rows and attempts are handed in.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from spoolsim.tasks.attempts import DEAD_LETTERED, DIED, DONE, RETRY
from spoolsim.tasks.states import DELAYED, QUEUED, RETRY_DELAYED, RUNNING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from spoolsim.tasks.attempts import Attempt
    from spoolsim.tasks.listing import Row

#: seconds: the age up to which a waiting task is in a column, and the column's name; the last holds all older ones
BUCKETS = ((10, "<10s"), (60, "<1m"), (300, "<5m"), (1800, "<30m"), (7200, "<2h"), (86_400, "<1d"), (1e18, "older"))
_WAITING = frozenset((QUEUED, RUNNING, DELAYED, RETRY_DELAYED))
#: where the attempts do not record which function it was, and the file is gone
UNKNOWN = "(not recorded)"
PLAIN = "uwsgi.spooler"


@dataclass(slots=True)
class Function:
    """One function's numbers. runs: attempts; retries: those that kept the task; died: those that ended their worker.

    failed: tasks moved to .spoolsim/failed/. times: seconds of each attempt. waits: seconds that each attempt
    waited after it was due, where that is known. waiting: tasks by age, as `BUCKETS`.
    """

    name: str
    runs: int = 0
    done: int = 0
    retries: int = 0
    died: int = 0
    failed: int = 0
    times: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    waiting: list[int] = field(default_factory=lambda: [0] * len(BUCKETS))


def by_function(rows: Iterable[Row], attempts: Iterable[Attempt], now: float) -> list[Function]:
    """The numbers of each function, the busiest first. now: epoch seconds."""
    known: dict[tuple[str, str], str] = {}
    found: dict[str, Function] = {}
    for row in rows:
        name = row.call.function or PLAIN
        known[row.spool.path, row.task] = name
        if row.state in _WAITING:
            function = found.setdefault(name, Function(name))
            function.waiting[_bucket(now - row.enqueued)] += 1
    for attempt in attempts:
        name = attempt.function or (PLAIN if attempt.call else known.get((attempt.spool, attempt.task), UNKNOWN))
        _count(found.setdefault(name, Function(name)), attempt)
    return sorted(found.values(), key=lambda function: (-function.runs, function.name))


def _bucket(age: float) -> int:
    return next(at for at, (limit, _) in enumerate(BUCKETS) if age < limit)


def _count(function: Function, attempt: Attempt) -> None:
    if attempt.outcome == DEAD_LETTERED:
        function.failed += 1
        return
    function.runs += 1
    function.done += attempt.outcome == DONE
    function.retries += attempt.outcome == RETRY
    function.died += attempt.outcome == DIED
    function.times.append(attempt.seconds)
    if attempt.wait is not None:
        function.waits.append(attempt.wait)


def spread(times: list[float]) -> dict[str, float]:
    """The middle one, the one that a twentieth is above, and the longest; 0 for none."""
    return {"p50": percentile(times, 0.5), "p95": percentile(times, 0.95), "max": max(times, default=0.0)}


def percentile(times: list[float], part: float) -> float:
    """The value below which `part` (0 to 1) of them lie, by the nearest rank; 0 for none."""
    if not times:
        return 0.0
    ordered = sorted(times)
    return ordered[min(int(part * len(ordered)), len(ordered) - 1)]
