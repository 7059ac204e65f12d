"""The environment variables that the options set, in uWSGI's order."""

from __future__ import annotations

import os

from spoolsim.errors import AppError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import MutableMapping, Sequence

    from spoolsim.options import Options


def set_variables(options: Options, environ: MutableMapping[str, str]) -> None:
    """Do to an environment what `early-envdir`, `env`, `unenv` and `envdir` say, in uWSGI's order.

    Of `env`, KEY=VALUE sets and KEY alone unsets. Raises AppError for a directory that cannot be read.
    """
    _set_from(options.early_envdirs, "early-envdir", environ)
    for pair in options.env:
        key, equals, value = pair.partition("=")
        if equals and key:
            environ[key] = value
        else:
            environ.pop(key, None)
    _set_from(options.envdirs, "envdir", environ)


def _set_from(directories: Sequence[str], option: str, environ: MutableMapping[str, str]) -> None:
    """Each file of an envdir is a variable of its name; an empty one unsets it."""
    for directory in directories:
        try:
            for name in os.listdir(directory):
                path = os.path.join(directory, name)
                if name.startswith(".") or not os.path.isfile(path):
                    continue
                with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
                    content = file.read()
                if content:
                    environ[name] = content.partition("\0")[0].rstrip(" \t\r\n")
                else:
                    environ.pop(name, None)
        except OSError as error:
            raise AppError(f"option {option} = {directory}: {error.strerror}: {error.filename}") from None
