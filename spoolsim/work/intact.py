"""Python's builtins, put back where a task has removed or broken them: without len() or OSError our own code fails too.

Another callable, or another class, in the place of one is the app's own business (tracing, gettext). The builtins that
are used here are bound when this is imported: later they may be anything.
"""

from __future__ import annotations

import builtins

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_callable, _isinstance, _type = callable, isinstance, type


class Builtins:
    """As they were at `remember()`; before that nothing is put back.

    mended: the names that were put back.
    """

    __slots__ = ("_before", "mended")

    def __init__(self) -> None:
        self._before: dict[str, Any] = {}
        self.mended: list[str] = []

    def remember(self) -> None:
        """Take them as they are now, in a process that is about to serve tasks."""
        self._before = {name: value for name, value in builtins.__dict__.items() if callable(value)}

    def mend(self) -> list[str]:
        """Put back what is missing or broken; returns `mended`."""
        now = builtins.__dict__
        for name, value in self._before.items():
            found = now.get(name)
            if found is value:
                continue
            if not _callable(found) or (_isinstance(value, _type) and not _isinstance(found, _type)):
                now[name] = value
                self.mended.append(name)
        return self.mended


#: those of this process
kept = Builtins()
