"""The terminal of the master, if it has one: SIGHUP means another thing when it was closed."""

from __future__ import annotations

import os


def there() -> bool:
    """Is there a controlling terminal?"""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


class Terminal:
    """Remembers whether there was one at the start."""

    __slots__ = ("_had",)

    def __init__(self) -> None:
        self._had = there()

    def is_gone(self) -> bool:
        """Was there one, and is it closed?"""
        return self._had and not there()
