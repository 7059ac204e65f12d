"""A task's variables as a text that a person edits, and back: a Python dictionary of literals, one variable a line."""

from __future__ import annotations

import ast

from spoolsim.errors import UsageError
from spoolsim.tasks.actions import Change

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def to_text(title: str, variables: Mapping[bytes, bytes]) -> str:
    """What the editor shows."""
    lines = [f"# {title}", "# Change, add or remove variables; the body stays. Text is stored as UTF-8.", "{"]
    lines += [f"    {_literal(key)}: {_literal(value)}," for key, value in variables.items()]
    return "\n".join([*lines, "}", ""])


def from_text(text: str, before: Mapping[bytes, bytes]) -> Change:
    """The change that a person made. Raises UsageError where it cannot be read."""
    try:
        value = ast.literal_eval(text.strip() or "{}")
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise UsageError(f"the edited variables cannot be read: {error}; nothing was changed") from None
    if not isinstance(value, dict):
        raise UsageError("the edited variables are not a dictionary; nothing was changed")
    after = {_bytes(key): _bytes(each) for key, each in value.items()}
    changed = {key: each for key, each in after.items() if before.get(key) != each}
    return Change(changed, [key for key in before if key not in after])


def pair(text: str) -> tuple[bytes, bytes]:
    """KEY=VALUE of the command line. Raises UsageError."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UsageError(f"expected KEY=VALUE, got {text!r}")
    return key.encode("utf-8", "surrogateescape"), value.encode("utf-8", "surrogateescape")


def _literal(data: bytes) -> str:
    try:
        return repr(data.decode())
    except UnicodeDecodeError:
        return repr(data)


def _bytes(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    raise UsageError(f"{value!r} is not text or bytes; nothing was changed")
