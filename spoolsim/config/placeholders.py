"""The two kinds of placeholders: %d, %n, … in the text of a file, and %(var), $(ENV), @(file) in values.

uWSGI replaces the first kind in the whole text, comments included, before it looks at the lines: an unknown letter
goes with its percent sign, and a percent sign at the end of a line takes the line's end with it. The second kind
is replaced at the very end, in three passes over all options: $, then @, then %.
"""

from __future__ import annotations

import os

from spoolsim import system
from spoolsim.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_LOWER = "dceinjopsx"


def of_file(path: str, section: str | None) -> dict[str, str]:
    """The letters that tell about the file being read, in lower case."""
    whole = os.path.join(os.path.realpath(os.path.dirname(path) or "."), os.path.basename(path))
    directory, name = os.path.split(whole)
    stem, dot, extension = name.rpartition(".")
    try:
        inode = str(os.stat(path).st_ino)
    except OSError:
        inode = ""
    letters = {
        "p": whole,
        "o": path,
        "s": name,
        "d": directory.rstrip("/") + "/",
        "c": os.path.basename(directory),
        "n": stem if dot else name,
        "e": extension if dot else "",
        "i": inode,
        "j": _hash(whole),
        "x": section or "",
    }
    for number, part in enumerate(directory.strip("/").split("/")[:10]):
        letters[str(number)] = part
    return letters


def of_original(letters: dict[str, str]) -> dict[str, str]:
    """The same in upper case: they tell about the first file, inside the files that it includes too."""
    return {letter.upper(): letters[letter] for letter in _LOWER}


def of_machine() -> dict[str, str]:
    """The letters that are the same in every file."""
    import sys
    import time

    now = time.time()
    return {
        "[": "\x1b",  # begins a colour of a terminal
        "b": os.path.abspath(sys.argv[0]),
        "g": str(system.getgid()),
        "h": system.nodename(),
        "k": str(os.cpu_count() or 1),
        "t": str(int(now)),
        "T": str(int(now * 1_000_000)),
        "u": str(system.getuid()),
        "v": os.getcwd(),
        "G": system.group_name(),
        "U": system.user_name(),
        "V": "2.0.31",
    }


def fill_text(text: str, letters: Mapping[str, str]) -> str:
    """A file's text with its letters replaced; %( stays for later and %% is one percent sign."""
    if "%" not in text:
        return text
    head, *rest = text.split("%")
    parts = [head]
    escaped = False
    for piece in rest:
        if escaped:  # the piece follows the second sign of %%
            parts.append(piece)
            escaped = False
        elif not piece:
            parts.append("%")
            escaped = True
        elif piece[0] == "(":
            parts.append("%" + piece)
        else:
            parts.append(letters.get(piece[0], "") + piece[1:])
    return "".join(parts[:-1] if escaped and text.endswith("%") and not rest[-1] else parts)


#: replacements in one value; a value that contains itself has no end, and uWSGI hangs on it
_MOST = 2_000


def fill_value(value: str, sign: str, lookup: Callable[[str], str | None]) -> str:
    """A value with each SIGN(name) replaced by lookup(name), or left as it is when that gives None.

    Brackets within a name are counted, so that $(A(B)) names A(B); a sign within a name begins a new one. After each
    replacement uWSGI reads the value again from its second character on, so that what was put in is replaced as well.

    Raises ConfigError for a value without end.
    """
    if sign + "(" not in value:
        return value
    position = seen = depth = start = count = 0
    while position < len(value):
        char = value[position]
        if char == sign:
            seen = 1
        elif char == "(" and seen == 1:
            seen, depth, start = 2, 0, position + 1
        elif seen < 2:
            seen = 0
        elif char == ")" and not depth:
            found = lookup(value[start:position]) if seen > 2 else None
            seen = 0
            if found is not None:
                value = value[: start - 2] + found + value[position + 1 :]
                position, count = 0, count + 1
                if count > _MOST:
                    raise ConfigError(f"{sign}(...) in it contains itself; uWSGI hangs on such a value")
        else:
            seen += 1
            depth += (char == "(") - (char == ")")
        position += 1
    return value


def evaluate(expression: str, lookup: Callable[[str], str | None]) -> str | None:
    """What %(expression) becomes: an option's value or, where there are blanks, a calculation; None for nothing.

    From left to right, without precedence, in 64 bits; values side by side are joined; what is neither an option
    nor digits counts as nothing.
    """
    if " " not in expression:
        return lookup(expression)
    result: str | None = None
    operator = ""
    for word in expression.split(" "):
        if word in ("+", "-", "*", "/"):
            operator = word
        elif word in ("++", "--"):
            result = None if result is None else str(_calculate(result, word[0], "1"))
            operator = ""
        elif word:
            value = word if word.isascii() and word.isdigit() else lookup(word) or ""
            result = str(_calculate(result or "", operator, value)) if operator else (result or "") + value
            operator = ""
    return result


def _calculate(left: str, operator: str, right: str) -> int:
    a, b = _number(left), _number(right)
    if operator == "/":
        result = (abs(a) // abs(b)) * (1 if (a < 0) == (b < 0) else -1) if b else 0
    else:
        result = a + b if operator == "+" else a - b if operator == "-" else a * b
    return (result + (1 << 63)) % (1 << 64) - (1 << 63)


def _number(text: str) -> int:
    digits = text.lstrip("-")
    end = 0
    while digits[end : end + 1].isdigit():
        end += 1
    return int(digits[:end] or "0") * (-1 if text.startswith("-") else 1)


def _hash(text: str) -> str:
    # Bernstein's hash with xor, its four bytes in the machine's order as uWSGI prints them.
    number = 5381
    for byte in os.fsencode(text):
        number = ((number * 33) ^ byte) & 0xFFFFFFFF
    return number.to_bytes(4, "little").hex().upper()
