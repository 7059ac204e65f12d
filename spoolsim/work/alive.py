"""Is a process there?"""

from __future__ import annotations

import os


def alive(pid: int) -> bool:
    """Is there a process with this number, be it somebody else's?"""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
