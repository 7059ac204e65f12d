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
    from collections.abc import Callable, Iterable, Iterator, Sequence

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

    def fits(self, attempt: Attempt) -> bool:
        """Whether an attempt is meant, as far as can be told without its function."""
        if self.tasks and (attempt.spool, attempt.task) not in self.tasks:
            return False
        return attempt.ended >= self.since and not (self.failed and attempt.outcome == DONE)

    def calls(self, function: str) -> bool:
        """Whether it is the function that is meant."""
        return not self.function or self.function in (function, function.rpartition(".")[2])


def entries(
    attempts: Iterable[Attempt], rows: Sequence[Row], wanted: Wanted, detail: Callable[[Attempt], Attempt]
) -> Iterator[Entry]:
    """The attempts that are meant, oldest first.

    rows: the tasks that are known, those that are done perhaps included. detail: gives all that is recorded of one.
    """
    known = {(row.spool.path, row.task): row for row in rows}
    for light in sorted(filter(wanted.fits, attempts), key=lambda each: each.ended):
        attempt = detail(light)
        row = known.get((attempt.spool, attempt.task))
        there = row if row is not None and row.state != FINISHED else None
        entry = Entry(
            attempt,
            row.id if row is not None else digest(attempt.task.rpartition("/")[2])[:SHORT],
            attempt.call or (there.call.line() if there else ""),
            attempt.function or (there.call.function if there else ""),
        )
        if wanted.calls(entry.function):
            yield entry
