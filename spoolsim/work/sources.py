"""The source files that an app consists of: what py-autoreload watches."""

from __future__ import annotations

import os
import sys
import sysconfig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def of_modules(before: Iterable[str], spooler_imports: Iterable[str]) -> list[str]:
    """The absolute paths of what was imported since `before` (the keys of sys.modules then), Python's own and
    installed packages left out; and of `spooler_imports`, found without importing them.
    """
    files = [getattr(module, "__file__", None) for name, module in list(sys.modules.items()) if name not in set(before)]
    return _kept([*files, *map(_found, spooler_imports)])


def of_error(error: BaseException) -> list[str]:
    """The absolute paths of the files that an exception went through: one of them must change."""
    files = [error.filename] if isinstance(error, SyntaxError) else []
    trace = error.__traceback__
    while trace is not None:
        files.append(trace.tb_frame.f_code.co_filename)
        trace = trace.tb_next
    return _kept(files)


def _kept(files: Iterable[str | None]) -> list[str]:
    paths = sysconfig.get_paths()
    installed = tuple(os.path.abspath(paths[key]) + os.sep for key in ("stdlib", "platstdlib", "purelib", "platlib"))
    ours = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
    absolute = [os.path.abspath(file) for file in files if file and not file.startswith("<")]
    return sorted({path for path in absolute if path.endswith(".py") and not path.startswith((*installed, ours))})


def _found(name: str) -> str | None:
    """The file of a module, or of a path to one."""
    from importlib.machinery import PathFinder

    if name.endswith(".py") or "/" in name:
        return name
    places = None
    spec = None
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        spec = PathFinder.find_spec(".".join(parts[:end]), places)
        if spec is None:
            return None
        places = spec.submodule_search_locations
    return spec.origin if spec else None
