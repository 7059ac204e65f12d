"""From what a test gives as options to Options, with every spool directory in a place of the test's own."""

from __future__ import annotations

import os
from collections.abc import Mapping

from spoolsim.errors import HarnessError
from spoolsim.options import BY_NAME, OPTIONS, Options, Setting, build
from spoolsim.spool.directory import SpoolDir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_BY_FIELD = {option.field: option.name for option in OPTIONS if option.field}
#: what decides where tasks are; a test's own directories take its place
_SPOOLERS = ("spooler", "spooler-external")


class Places:
    """Where the spool directories of a test are.

    entries: (directory, slot) as App wants them. aliases: the configured paths, resolved -> the test's own, as bytes.
    served: the directories that are no external ones, each once.
    """

    def __init__(self, spoolers: tuple[tuple[str, bool], ...], home: str, processes: int) -> None:
        paths = list(dict.fromkeys(path for path, _ in spoolers))
        own = {path: home if len(paths) == 1 else os.path.join(home, name) for path, name in _names(paths)}
        self.entries: list[tuple[SpoolDir, int]] = []
        self.aliases: dict[bytes, bytes] = {}
        self.served: list[SpoolDir] = []
        self.own = own
        parent = home if len(paths) > 1 else os.path.dirname(home)
        if not os.path.isdir(parent):
            os.makedirs(parent, 0o750)
        found: dict[str, SpoolDir] = {}
        for path, external in spoolers:
            if path not in found:
                directory = found[path] = SpoolDir.resolve(own[path], start=os.getcwd(), external=external)
                own[path] = directory.path
                self.aliases[os.fsencode(os.path.realpath(path))] = directory.bpath
                if not external:
                    self.served.append(directory)
            slot = -1 if external else sum(1 for _, slot in self.entries if slot >= 0)
            self.entries += [(found[path], slot)] * (1 if external else processes)


def _names(paths: list[str]) -> list[tuple[str, str]]:
    taken: set[str] = set()
    named = []
    for path in paths:
        name = base = os.path.basename(path.rstrip("/")) or "spool"
        number = 2
        while name in taken:
            name = f"{base}-{number}"
            number += 1
        taken.add(name)
        named.append((path, name))
    return named


def settings_of(given: Any) -> list[Setting]:
    """Settings from what a test gives: a mapping, the path of a configuration file, a Section, Settings, or None.

    A mapping's keys are uWSGI's option names (dashes or underscores) or names of Options' fields.
    Raises OptionError, ConfigError or HarnessError.
    """
    if given is None:
        return []
    if isinstance(given, str | os.PathLike):
        from spoolsim.config.readers import read

        return read(os.fspath(given))
    if isinstance(given, Mapping):
        return [setting for key, value in given.items() for setting in _from_mapping(str(key), value)]
    if hasattr(given, "settings"):
        return list(given.settings())
    if isinstance(given, list) and all(isinstance(item, Setting) for item in given):
        return given
    raise HarnessError(f"options: expected a mapping, the path of a configuration file or a Section, got {given!r}")


def _from_mapping(key: str, value: Any) -> list[Setting]:
    name = key.replace("_", "-")
    if name not in BY_NAME:
        name = _BY_FIELD.get(key, "")
    if not name:
        from spoolsim.config.known import KINDS

        name = key.replace("_", "-")
        if name not in KINDS:
            raise HarnessError(f"options: {key!r} is no option of uWSGI's spooler or of spoolsim")
    values = value if isinstance(value, list | tuple) else [value]
    return [
        Setting(name, v if isinstance(v, bool) else os.fspath(v) if _is_path(v) else str(v), "test") for v in values
    ]


def _is_path(value: object) -> bool:
    return isinstance(value, os.PathLike)


def configure(given: Any, home: str) -> tuple[Options, Places]:
    """The options of a test, and its directories under `home`, which are made.

    Nothing in the options reaches what is configured for production: directories are replaced, also in uwsgi.opt;
    the process stays where it is (chdir); nothing is watched.
    """
    options = given if isinstance(given, Options) else build(settings_of(given))
    places = Places(options.spoolers or (("spool", False),), home, options.processes_per_spooler)
    opt = dict(options.opt)
    for name in _SPOOLERS:
        external = name == "spooler-external"
        last = [path for path, is_external in options.spoolers or (("spool", False),) if is_external == external]
        if last:
            opt[name] = os.fsencode(places.own[last[-1]])
    spoolers = tuple((directory.path, directory.external) for directory in dict.fromkeys(d for d, _ in places.entries))
    path = tuple(
        os.path.abspath(entry) for entry in (*options.pythonpath, *((options.chdir,) if options.chdir else ()))
    )
    changed = options.replace(
        spoolers=spoolers,
        opt=opt,
        pythonpath=path,
        chdir=None,
        touch_reload=(),
        touch_all=(),
        drain=False,
        inline=True,
        history_size=0,
        no_journal=not (options.max_attempts or options.max_retries),  # which counts attempts by it
    )
    return changed, places
