"""Is a process there?"""

from __future__ import annotations

import os


def alive(pid: int) -> bool:
    """Is there a process with this number, be it somebody else's?"""
    if not hasattr(os, "fork"):
        return True  # without POSIX, asking by signal 0 would press Ctrl-C in its console
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
