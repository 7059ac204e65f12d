"""Which tasks a command is about: those named, or all that fit a filter."""

from __future__ import annotations

import os

from spoolsim.errors import UsageError
from spoolsim.tasks import ids
from spoolsim.tasks.facts import stray

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from spoolsim.tasks.listing import Filter, Row
    from spoolsim.tasks.where import Where


def named(rows: Sequence[Row], where: Where, texts: Sequence[str]) -> list[Row]:
    """The tasks with these ids, beginnings of ids, names or paths, each once.

    A path of something in a spool directory that is no task is taken too, so that `why` can tell.
    Raises ids.NoSuchTask, ids.AmbiguousTask.
    """
    found: dict[str, Row] = {}
    for given in texts:
        text = os.path.abspath(given) if "/" in given and os.path.lexists(given) else given
        try:
            row = ids.choose(text, rows)
        except ids.NoSuchTask:
            others = [other for spool in where.spools if (other := stray(spool, text)) is not None]
            if not others:
                raise
            row = others[0]
        found[row.path] = row
    return list(found.values())


def chosen(
    rows: Sequence[Row],
    where: Where,
    texts: Sequence[str],
    everything: bool,
    wanted: Filter,
    now: float,
    *,
    has_all: bool = True,
) -> list[Row]:
    """The tasks that are named, or with `everything` all that fit. now: epoch seconds. has_all: the command has --all.

    Raises UsageError where neither is given, or both.
    """
    if texts and everything:
        raise UsageError("name tasks, or say --all; not both")
    if texts:
        return named(rows, where, texts)
    if not everything:
        raise UsageError("which task? name it by its id, which `spoolsim ls` shows" + ", or say --all" * has_all)
    return [row for row in rows if wanted.fits(row, now)]
