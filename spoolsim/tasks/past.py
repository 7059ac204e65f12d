"""Past attempts, as `log` lists them: which ones, and of which task.

Pure: attempts and rows are handed in.
"""

from __future__ import annotations

from dataclasses import dataclass

from spoolsim.tasks.attempts import DONE
from spoolsim.tasks.ids import SHORT, digest
from spoolsim.tasks.states import DONE as FINISHED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from spoolsim.tasks.attempts import Attempt
    from spoolsim.tasks.listing import Row


@dataclass(frozen=True, slots=True)
class Entry:
    """One attempt. id: of its task. call: '' where it is not recorded and the file is gone. function: likewise."""

    attempt: Attempt
    id: str
    call: str
    function: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which attempts; an empty condition holds for all.

    tasks: (spool directory, path below it). function: the whole name, or what follows its last dot. since: epoch
    seconds, when it ended at the earliest. failed: only those after which the task stayed.
    """

    tasks: frozenset[tuple[str, str]] = frozenset()
    function: str = ""
    since: float = 0
    failed: bool = False

    def fits(self, entry: Entry) -> bool:
        """Whether an attempt is meant."""
        attempt = entry.attempt
        if self.tasks and (attempt.spool, attempt.task) not in self.tasks:
            return False
        if self.function and self.function not in (entry.function, entry.function.rpartition(".")[2]):
            return False
        return attempt.ended >= self.since and not (self.failed and attempt.outcome == DONE)


def entries(attempts: Iterable[Attempt], rows: Sequence[Row], wanted: Wanted) -> Iterator[Entry]:
    """The attempts that are meant, oldest first. rows: all tasks that are known, those that are done included."""
    known = {(row.spool.path, row.task): row for row in rows}
    for attempt in sorted(attempts, key=lambda each: each.ended):
        row = known.get((attempt.spool, attempt.task))
        there = row if row is not None and row.state != FINISHED else None
        entry = Entry(
            attempt,
            row.id if row is not None else digest(attempt.task.rpartition("/")[2])[:SHORT],
            attempt.call or (there.call.line() if there else ""),
            attempt.function or (there.call.function if there else ""),
        )
        if wanted.fits(entry):
            yield entry
