"""A Python file as a configuration: it is run, and its Section is taken, ours or uwsgiconf's."""

from __future__ import annotations

import os
import runpy
import sys
from traceback import walk_tb

from spoolsim.errors import ConfigError, SpoolsimError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def ini_of_module(path: str) -> tuple[str, str]:
    """(name of the first section, ini text) of a Python configuration file, ours or uwsgiconf's.

    The file is run. Taken is what it calls `configuration` or `uwsgi_configuration` (uwsgiconf's own mark), or else
    its only Section or Spooler; of a list the first.

    Raises ConfigError.
    """
    found = _configuration(path)
    if _is_ours(found):
        found = found.__spoolsim_section__()
        return found.name, found.as_ini()
    if hasattr(found, "as_configuration"):
        found = found.as_configuration()
    if not hasattr(found, "sections") or not hasattr(found, "format"):
        raise ConfigError(_no_configuration(path))
    name = str(found.sections[0])
    return name, found.format(stamp=False) or f"[{name}]\n"


def _no_configuration(path: str) -> str:
    module = os.path.splitext(os.path.basename(path))[0]
    return (
        f"{path}: expected it to define `configuration`, a Section of spoolsim or of uwsgiconf; "
        f"if it is a module of tasks: spoolsim run --spooler spool --import {module}"
    )


def _is_ours(found: Any) -> bool:
    """True for a `Section` or a `Spooler` of spoolsim, which stand above this floor."""
    return not isinstance(found, type) and hasattr(found, "__spoolsim_section__")


def _configuration(path: str) -> Any:
    if not os.path.isfile(path):
        raise ConfigError(f"{path}: cannot be read: no such file")
    directory = os.path.dirname(os.path.abspath(path))
    sys.path.insert(0, directory)
    try:
        names = runpy.run_path(path, run_name="spoolsim_configuration")
    except SyntaxError as error:
        place = ":".join([error.filename or path, *(str(number) for number in (error.lineno, error.offset) if number)])
        raise ConfigError(f"{place}: expected Python: {error.msg}") from None
    except ModuleNotFoundError as error:
        if error.name in ("uwsgi", "uwsgidecorators"):
            raise ConfigError(_no_configuration(path)) from None
        raise ConfigError(f"{_place(error, path)}: {error}; install it to use this configuration") from None
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{_place(error, path)}: {_what(error)}") from None
    finally:
        sys.path.remove(directory)
    found = names.get("configuration") or names.get("uwsgi_configuration")
    if not found:
        own = [value for value in names.values() if _is_ours(value)]
        found = own[0] if len({id(value.__spoolsim_section__()) for value in own}) == 1 else None
    return found[0] if isinstance(found, list | tuple) and found else found


def _place(error: BaseException, path: str) -> str:
    """The last line of the file that the error went through."""
    lines = [line for frame, line in walk_tb(error.__traceback__) if frame.f_code.co_filename == path]
    return f"{path}:{lines[-1]}" if lines else path


def _what(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"ends with sys.exit({error.code!r}); expected it to define `configuration`"
    return str(error) if isinstance(error, SpoolsimError) else f"{type(error).__name__}: {error}"
