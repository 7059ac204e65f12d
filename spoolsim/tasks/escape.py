"""Text for a terminal: nothing in it commands the terminal, ends a line or turns the direction of writing.

Pure.
"""

from __future__ import annotations


def printable(text: str, limit: int = 0) -> str:
    """The text with every character that is not printable (controls, bidirectional marks) written as an escape.

    limit: characters that are kept, with `...` behind them where there are more; 0 for all.
    """
    if limit and len(text) > limit:
        text = f"{text[:limit]}..."
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
