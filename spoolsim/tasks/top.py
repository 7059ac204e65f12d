"""What `spoolsim top` shows and does: who runs what, how fast, how much waits, what fails; a selection, a pause.

Pure: what was seen is handed to `feed`, with the time at which it was; keys to `press`. cli/topview.py draws it.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from heapq import nsmallest

from spoolsim.tasks.attempts import DEAD_LETTERED, DIED, IGNORED, RETRY
from spoolsim.tasks.attempts import DONE as ENDED
from spoolsim.tasks.ids import SHORT, digest
from spoolsim.tasks.processes import UWSGI
from spoolsim.tasks.states import BROKEN, DELAYED, DONE, FAILED, QUEUED, REMOVED, RETRY_DELAYED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from spoolsim.tasks.actions import Result
    from spoolsim.tasks.attempts import Attempt
    from spoolsim.tasks.listing import Row
    from spoolsim.tasks.spoolers import Spooler

#: seconds that a rate is an average of
WINDOW = 10
#: samples of the depth of the queue, one for each refresh
_SAMPLES = 600
#: tasks that are listed, and failures that are remembered
_MOST = 200
#: seconds that a failure is listed of a task that is gone
_RECENT = 600
#: states of tasks that are listed without a failure
_LISTED = frozenset((FAILED, BROKEN, RETRY_DELAYED, DELAYED))
#: a task: its spool directory, and its path below
_Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Run:
    """What a spooler runs. exact: False where `seconds` is the least that it has run."""

    call: str
    id: str
    seconds: float
    exact: bool


@dataclass(frozen=True, slots=True)
class Trouble:
    """A task that failed or is delayed.

    key: tells it from others. state: as `ls` says, DONE for one that is gone. tries: attempts so far. at: epoch seconds
    of its last failure, else of when it was enqueued. next_run: epoch seconds, None where it does not run by itself.
    why: the last line of the exception, or the reason. row: the task, None where it is gone.
    """

    key: _Key
    id: str
    call: str
    state: str
    tries: int
    at: float
    next_run: float | None
    why: str
    row: Row | None


class Top:
    """What is shown. now: of the last `feed`, epoch seconds. message: what the last key did, in words."""

    def __init__(self) -> None:
        self.now = 0.0
        self.spoolers: Sequence[Spooler] | None = ()
        self.counts: Counter[str] = Counter()
        self.depths: deque[int] = deque(maxlen=_SAMPLES)
        self.troubles: list[Trouble] = []
        self.paused = False
        self.helping = False
        self.message = ""
        self._selected: _Key | None = None
        self._rows: dict[_Key, Row] = {}
        #: second -> outcomes in it
        self._outcomes: dict[int, Counter[str]] = {}
        #: the last failure of a task, the newest last
        self._failures: dict[_Key, Attempt] = {}
        #: what was seen of these tasks while they were there: id and call
        self._seen: dict[_Key, tuple[str, str]] = {}
        #: when a spooler was first seen to run a task
        self._since: dict[tuple[int, str], float] = {}

    def feed(
        self, rows: Iterable[Row], spoolers: Sequence[Spooler] | None, attempts: Iterable[Attempt], now: float
    ) -> None:
        """Take in what is there at `now`, epoch seconds.

        rows: every task. spoolers: None where they cannot be known. attempts: those that are new, oldest first.
        """
        self.now = now
        self._rows = {(row.spool.path, row.task): row for row in rows}
        self.counts = Counter(row.state for row in self._rows.values() if row.state not in (REMOVED, DONE))
        self.depths.append(self.counts[QUEUED])
        for attempt in attempts:
            self._take(attempt)
        for second in [each for each in self._outcomes if each <= now - WINDOW]:
            del self._outcomes[second]
        self._forget(now)
        self.spoolers = spoolers
        running = [(each.pid, each.task) for each in spoolers or () if each.task]
        self._since = {key: self._since.get(key, now) for key in running}
        self.troubles = self._listed()
        if self.selected is None:
            self._selected = None

    def _take(self, attempt: Attempt) -> None:
        self._outcomes.setdefault(int(attempt.ended), Counter())[attempt.outcome] += 1
        key = (attempt.spool, attempt.task)
        asked = attempt.outcome == RETRY and not attempt.why
        if attempt.outcome != ENDED and not asked:
            self._failures.pop(key, None)
            self._failures[key] = attempt
            if len(self._failures) > 2 * _MOST:
                del self._failures[next(iter(self._failures))]

    def _forget(self, now: float) -> None:
        """Keep of the failures those of tasks that are there, and the recent ones."""
        self._failures = {
            key: attempt
            for key, attempt in self._failures.items()
            if key in self._rows or now - attempt.ended < _RECENT
        }
        for key in self._failures:
            if (row := self._rows.get(key)) is not None:
                self._seen[key] = row.id, row.call.line()
        self._seen = {key: seen for key, seen in self._seen.items() if key in self._failures}

    # ---- what is shown ----

    def rates(self) -> dict[str, float]:
        """Attempts a second by their outcome, in the last `WINDOW` seconds; "runs" is all of them."""
        first = int(self.now) - WINDOW + 1
        found: Counter[str] = Counter()
        for second, counts in self._outcomes.items():
            if second >= first:
                found += counts
        span = self.now - first
        return {
            "runs": sum(count for outcome, count in found.items() if outcome != DEAD_LETTERED) / span,
            "done": found[ENDED] / span,
            "retries": found[RETRY] / span,
            "ignored": found[IGNORED] / span,
            "died": found[DIED] / span,
            "failed": found[DEAD_LETTERED] / span,
        }

    def run_of(self, spooler: Spooler) -> Run | None:
        """What a spooler runs; None for nothing, or the handler of a uwsgi signal."""
        if not spooler.task:
            return None
        row = self._rows.get((spooler.spool, spooler.task))
        since = self._since.get((spooler.pid, spooler.task), self.now)
        name = spooler.task.rpartition("/")[2]
        return Run(
            row.call.line() if row is not None else name,
            row.id if row is not None else digest(name)[:SHORT],
            self.now - since if spooler.seconds is None else spooler.seconds,
            spooler.seconds is not None,
        )

    @property
    def has_uwsgi(self) -> bool:
        """Whether a real uWSGI serves, which records no attempts."""
        return any(each.kind == UWSGI for each in self.spoolers or ())

    def _listed(self) -> list[Trouble]:
        """What failed, the latest first; then what only waits, the next to run first."""
        found = [self._failed(key, attempt) for key, attempt in reversed(self._failures.items())][:_MOST]
        others = (row for key, row in self._rows.items() if row.state in _LISTED and key not in self._failures)
        for row in nsmallest(_MOST - len(found), others, key=lambda row: (row.next_run or 0, -row.enqueued)):
            key = (row.spool.path, row.task)
            found.append(
                Trouble(key, row.id, row.call.line(), row.state, row.tries, row.enqueued, row.next_run, row.why, row)
            )
        return found

    def _failed(self, key: _Key, attempt: Attempt) -> Trouble:
        row = self._rows.get(key)
        name = attempt.task.rpartition("/")[2]
        task_id, call = self._seen.get(key, (digest(name)[:SHORT], name))
        state, next_run = (row.state, row.next_run) if row is not None else (DONE, None)
        return Trouble(key, task_id, call, state, attempt.number, attempt.ended, next_run, attempt.why, row)

    # ---- the keys ----

    @property
    def selected(self) -> Trouble | None:
        """The task that is selected, if it is still listed."""
        return next((each for each in self.troubles if each.key == self._selected), None)

    def press(self, key: str, retry: Callable[[Row], Result]) -> bool:
        """Do what a key asks for; False for the end. retry: the action, for the task that is selected."""
        self.message = ""
        if key == "q":
            return False
        if key == "p":
            self.paused = not self.paused
        elif key == "?":
            self.helping = not self.helping
        elif key in ("up", "down"):
            self._move(1 if key == "down" else -1)
        elif key == "r":
            self.message = self._retry(retry)
        return True

    def _move(self, step: int) -> None:
        keys = [each.key for each in self.troubles]
        if not keys:
            self.message = "no task is listed"
        elif self._selected not in keys:
            self._selected = keys[0 if step > 0 else -1]
        else:
            self._selected = keys[min(max(keys.index(self._selected) + step, 0), len(keys) - 1)]

    def _retry(self, retry: Callable[[Row], Result]) -> str:
        chosen = self.selected
        if chosen is None:
            return "select a task first, with the up and down keys"
        if chosen.row is None:
            return f"#{chosen.id} {chosen.call} is gone: it ran, or another command took it"
        result = retry(chosen.row)
        return f"#{chosen.id} {chosen.call} {result.text}"
