"""Which atexit functions the app has registered: uWSGI kills its spoolers when it stops, and runs none of them."""

from __future__ import annotations

import atexit
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

#: MODULE.FUNCTION of every one that is not the standard library's own, in the order of registration
registered: list[str] = []


def watch() -> None:
    """From now on, note down what is registered in this process and in those forked from it."""
    original = atexit.register

    def register(func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        module = getattr(func, "__module__", None) or ""
        if module.partition(".")[0] not in sys.stdlib_module_names:
            registered.append(f"{module}.{getattr(func, '__qualname__', type(func).__name__)}")
        return original(func, *args, **kwargs)

    atexit.register = register  # type: ignore[assignment]  # the same call, without the parameters' types
