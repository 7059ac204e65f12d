"""The four ways in which a claim ends; `work/verdict.py` decides which, `settle.apply` does it.

verdict                 the task's file
REMOVE                  is gone: the task is done
KEEP                    stays as it is, for the next scan
Postpone(until)         stays, and is not due before `until`
Aside(home, reason)     is moved to `.spoolsim/HOME/`, with the reason in a `.why` file beside it
"""

from __future__ import annotations

TYPE_CHECKING = False


class Remove:
    """The task is done."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Remove()"


class Keep:
    """The task stays, and is due as before."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Keep()"


class Postpone:
    """The task stays, to be run later. until: epoch seconds."""

    __slots__ = ("until",)

    def __init__(self, until: float) -> None:
        self.until = until

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Postpone) and self.until == other.until

    def __hash__(self) -> int:
        return hash(self.until)

    def __repr__(self) -> str:
        return f"Postpone({self.until!r})"


class Aside:
    """The task is never run again. home: the directory below `.spoolsim/`, BROKEN or FAILED. reason: in words."""

    __slots__ = ("home", "reason")

    def __init__(self, home: str, reason: str) -> None:
        self.home = home
        self.reason = reason

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Aside) and (self.home, self.reason) == (other.home, other.reason)

    def __hash__(self) -> int:
        return hash((self.home, self.reason))

    def __repr__(self) -> str:
        return f"Aside({self.home!r}, {self.reason!r})"


#: the only ones there are: compared by `is`
REMOVE, KEEP = Remove(), Keep()
if TYPE_CHECKING:
    Verdict = Remove | Keep | Postpone | Aside
