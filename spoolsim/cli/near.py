"""What somebody who mistyped a name perhaps meant."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def did_you_mean(given: str, known: Iterable[str], otherwise: str) -> str:
    """The end of an error about an unknown name: a question with the closest one, or which command lists all."""
    from difflib import get_close_matches

    near = get_close_matches(given, list(known), n=1)
    return f"did you mean {near[0]}?" if near else f"see `{otherwise}`"
