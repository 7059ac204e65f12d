"""The option virtualenv (home, venv, pyhome): import the app's packages from another environment."""

from __future__ import annotations

import os
import sys

from spoolsim.errors import AppError


def enter(given: str) -> bool:
    """Make this process import packages from a virtual environment in place of those of its own.

    given: the directory, relative to the working directory. Returns False, with nothing changed, where there is none.

    Raises AppError for an environment of another Python version: its packages cannot be imported here.
    """
    home = os.path.abspath(given)
    if not os.path.isdir(home):
        return False
    if os.path.realpath(home) == os.path.realpath(sys.prefix):
        return True
    ours = f"{sys.version_info[0]}.{sys.version_info[1]}"
    theirs = version(home)
    if theirs not in ("", ours):
        raise AppError(
            f"option virtualenv = {given}: it has Python {theirs}, and spoolsim runs on Python {ours}; install "
            "spoolsim there and run it with its python, or leave the option out with --set virtualenv="
        )
    import site

    settings = _settings(home)
    own = [os.path.realpath(path) for path in site.getsitepackages([sys.prefix, sys.exec_prefix])]
    kept = [entry for entry in sys.path if os.path.realpath(entry) not in own]
    sys.prefix = sys.exec_prefix = home
    sys.path[:] = kept
    bases = [home]
    if settings.get("include-system-site-packages", "").lower() == "true":
        bases.append(sys.base_prefix)
    for place in site.getsitepackages(bases):
        if os.path.isdir(place):
            site.addsitedir(place)
    return True


def version(home: str) -> str:
    """The Python of a virtual environment, such as "3.11"; "" where nothing tells."""
    settings = _settings(home)
    found = settings.get("version", "") or settings.get("version_info", "")
    if found:
        return ".".join(found.split(".")[:2])
    try:
        names = os.listdir(os.path.join(home, "lib"))
    except OSError:
        return ""
    versions = [name[6:] for name in names if name.startswith("python") and name[6:7].isdigit()]
    ours = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return ours if ours in versions else min(versions, default="")


def _settings(home: str) -> dict[str, str]:
    """What pyvenv.cfg says."""
    try:
        with open(os.path.join(home, "pyvenv.cfg"), encoding="utf-8", errors="surrogateescape") as file:
            pairs = [line.partition("=") for line in file]
    except OSError:
        return {}
    return {key.strip().lower(): value.strip() for key, equals, value in pairs if equals}
