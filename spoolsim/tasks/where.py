"""Which spool directories a command is about, and what their configuration says.

given                           directories
--spooler DIR, also several     those
a configuration file            those that it names
nothing                         those of the configuration that `run` would find: in the environment or the working
                                directory
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from spoolsim.config.readers import DISCOVERED, configuration, discover, gather
from spoolsim.errors import SpoolsimError, UsageError
from spoolsim.options import build
from spoolsim.spool.directory import SpoolDir
from spoolsim.tasks.facts import Setting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from spoolsim.options import Options
    from spoolsim.options import Setting as Given


@dataclass(frozen=True, slots=True)
class Where:
    """The directories, in the order given, and what their configuration says of them."""

    spools: tuple[SpoolDir, ...]
    setting: Setting


def find(
    directories: Sequence[str], config: str, *, ordered: bool, cwd: str, environ: Mapping[str, str] | None = None
) -> Where:
    """The directories of a command. Nothing is made.

    directories: as typed. config: a file, '' for none. ordered: look as a spooler with spooler-ordered does, whatever
    the configuration says. cwd: absolute, the working directory. environ: whose UWSGI_ variables count, as for `run`.
    Raises UsageError where nothing says which; SpoolDirError, ConfigError, OptionError.
    """
    if directories:
        named = _unique(SpoolDir.resolve(path, start=cwd, make=False) for path in directories)
        options = build(gather([config], {})) if config else _found_for(named, cwd)
        return Where(tuple(named), _setting(options, ordered, cwd))
    settings = gather([config], environ or {}) if config else _discovered(environ or {})
    options = build(settings)
    if not options.spoolers:
        where = config or "the configuration found here"
        raise UsageError(f"{where} names no spool directory (spooler = DIR); add --spooler DIR")
    spools = [SpoolDir.resolve(path, start=cwd, external=outside, make=False) for path, outside in options.spoolers]
    return Where(tuple(_unique(spools)), _setting(options, ordered, cwd))


def _unique(spools: Iterable[SpoolDir]) -> list[SpoolDir]:
    return list({spool.path: spool for spool in spools}.values())


def _discovered(environ: Mapping[str, str]) -> list[Given]:
    settings, file = configuration([], environ)
    if file is None:
        raise UsageError(f"which spool directory? add --spooler DIR or --config FILE; there is no {_names()} here")
    return settings


def _names() -> str:
    return ", ".join(DISCOVERED[:-1]) + f" or {DISCOVERED[-1]}"


def _found_for(spools: list[SpoolDir], cwd: str) -> Options | None:
    """The options of the configuration here, if it is about one of these directories; a bad one does not matter."""
    try:
        found = discover(cwd)
        options = build(found[1]) if found else None
    except SpoolsimError:
        return None
    paths = {os.path.realpath(os.path.join(cwd, path)) for path, _ in options.spoolers} if options else set()
    return options if paths & {spool.path for spool in spools} else None


def _setting(options: Options | None, ordered: bool, cwd: str) -> Setting:
    if options is None:
        return Setting(ordered=ordered)
    base = os.path.join(cwd, options.chdir or "")
    names = [*options.shared_imports, *options.spooler_imports]
    if not options.lazy_apps:
        names += [name for kind, name in options.preloads if kind != "shared-import"]
    return Setting(
        ordered=ordered or options.ordered,
        modules=tuple(os.path.join(base, name) if name.endswith(".py") else name for name in dict.fromkeys(names)),
        path=(*(os.path.join(base, path) for path in options.pythonpath), base),
        max_attempts=options.max_attempts,
        frequency=options.frequency,
    )
