"""Text for a terminal: nothing in it commands the terminal, ends a line, forges one or turns the direction of writing.

Everything of a task, a file's name or a file's content that people read goes through here. Pure.
"""

from __future__ import annotations


class _Shown(dict[int, "int | str"]):
    """What to show for the characters that could end our line, forge another one, or command a terminal."""

    def __missing__(self, number: int) -> int | str:
        if number < 32 or 127 <= number < 160:
            shown = f"\\x{number:02x}"
        elif 0xDC80 <= number <= 0xDCFF:  # a byte of a file's name that is not UTF-8
            shown = f"\\x{number - 0xDC00:02x}"
        elif 0xD800 <= number <= 0xDFFF or number in _TURNING:
            shown = f"\\u{number:04x}"
        else:
            return number
        self[number] = shown
        return shown


#: line and paragraph separators, and what turns the direction of writing: the text would look like another one
_TURNING = frozenset((0x061C, 0x200E, 0x200F, 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A)))
_shown = _Shown()


def printable(text: str) -> str:
    """The text with its control characters and lone surrogates shown as `\\x0a` and the like."""
    return text if text.isprintable() else text.translate(_shown)


def counted(number: int, noun: str, plural: str = "") -> str:
    """Such as "1 task", "0 tasks" and "2 processes". plural: where an s is not enough."""
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"


def lines(text: str) -> str:
    """A printable text of several lines, whose line ends and tabs stay."""
    return "\n".join("\t".join(map(printable, line.split("\t"))) for line in text.split("\n"))


def value(text: str, limit: int = 0) -> str:
    """A name or a value inside a line: printable, with every other character that cannot be seen as an escape, too.

    What a log may show, such as a joiner inside an emoji, can still make one name look like another.

    limit: characters that are kept, with `...` behind them where there are more; 0 for all.
    """
    if limit and len(text) > limit:
        text = f"{text[:limit]}..."
    shown = printable(text)
    if shown.isprintable():
        return shown
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in shown)
