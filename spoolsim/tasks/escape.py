"""Text for a terminal, cut: nothing in it commands the terminal, ends a line or turns the direction of writing.

Pure.
"""

from __future__ import annotations

from spoolsim import log


def printable(text: str, limit: int = 0) -> str:
    """The text with every character that is not printable (controls, bidirectional marks) written as an escape.

    limit: characters that are kept, with `...` behind them where there are more; 0 for all.
    """
    if limit and len(text) > limit:
        text = f"{text[:limit]}..."
    shown = log.printable(text)
    if shown.isprintable():
        return shown
    # what a log may show, such as a joiner inside an emoji, can still make one name look like another
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in shown)
