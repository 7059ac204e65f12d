"""Settings from files, from the environment and from the working directory, in uWSGI's order.

uWSGI takes the environment first, then the command line, where a file's settings stand right behind the option
that names it; bare files of the command line come last. Logic runs while the settings are collected, so that a
condition sees only what stands before it; placeholders in values are replaced at the very end.
"""

from __future__ import annotations

import os

from spoolsim.config.collect import Collector
from spoolsim.config.role import setting_of
from spoolsim.options import OPTIONS, SAFER, Policy, Setting, policy_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: variables that uWSGI sets for itself
_OWN_VARIABLES = frozenset(("UWSGI_RELOADS", "UWSGI_ORIGINAL_PROC_NAME"))
#: the files that `run` without arguments looks for, in this order
DISCOVERED = ("pyproject.toml", "spoolsim.ini", "uwsgi.ini")


def gather(argv: list[str], environ: Mapping[str, str], between: Iterable[Setting] = ()) -> list[Setting]:
    """All settings of a command line and its environment, files read, in the order in which uWSGI applies them.

    between: settings that stand behind the environment's and before the command line's.

    Raises OptionError or ConfigError.
    """
    from spoolsim.config.argv import parse

    given = parse(argv)
    policy = policy_in([setting.name for setting in given])
    return expand([*environment(environ), *between, *given], policy)


#: options that make a configuration: with one of these nothing is looked for
_SAYS_WHAT = frozenset(
    {"spooler", "spooler-external", "py", "toml"}
    | {name for option in OPTIONS if option.kind == "config" for name in (option.name, *option.aliases)}
)


def configuration(argv: list[str], environ: Mapping[str, str]) -> tuple[list[Setting], str | None]:
    """The settings of a command line and, where it names no configuration, those of a file in this directory.

    Returns the settings and the name of that file: "" where the command line says it all, None where there is none.
    The file's settings stand before those of the command line, which see its placeholders.

    Raises OptionError or ConfigError.
    """
    settings = gather(argv, environ)
    typed = ("command line", "environment ")
    if any(setting.name in _SAYS_WHAT or not setting.source.startswith(typed) for setting in settings):
        return settings, ""
    found = discover(os.getcwd())
    if found is None:
        return settings, None
    file = found[0]
    return gather(argv, environ, [Setting(file.rpartition(".")[2], file, "argument")]), file


def environment(environ: Mapping[str, str]) -> list[Setting]:
    """UWSGI_SPOOLER_MAX_TASKS=5 is spooler-max-tasks = 5, in the order of the environment."""
    return [
        setting_of(name[6:].lower().replace("_", "-"), value, f"environment {name}")
        for name, value in environ.items()
        if name.startswith("UWSGI_") and name not in _OWN_VARIABLES
    ]


def expand(settings: Iterable[Setting], policy: Policy = SAFER) -> list[Setting]:
    """`settings` with the content of each configuration file behind the setting that names it.

    Logic is followed, placeholders are replaced. A bare file of the command line is replaced by its content: uWSGI
    does not show it in `uwsgi.opt`. Relative names are taken from the working directory, also inside files.

    Raises ConfigError or OptionError, naming file and line; a circular include with its chain.
    """
    reader = Collector(policy)
    given = list(settings)
    for setting in given:  # before the first file is opened: its own name may have to be rewritten
        if setting.name == "map":
            reader.learn(setting)
    for setting in given:
        reader.add(setting)
    return reader.finish()


def read(path: str, section: str | None = None, *, kind: str | None = None, policy: Policy = SAFER) -> list[Setting]:
    """The settings of one configuration file, those of the files it names included.

    section: "uwsgi" by default; `path` may carry it, as FILE:SECTION.
    kind: "ini", "yaml", "json", "xml", "toml" or "py"; by default told from the name.
    """
    reader = Collector(policy)
    reader.load(path if section is None else f"{path}:{section}", kind, True)
    return reader.finish()


def discover(cwd: str) -> tuple[str, list[Setting]] | None:
    """(file, its settings) of the first of `DISCOVERED` in `cwd` that configures something, or None."""
    for name in DISCOVERED:
        path = name if cwd == os.getcwd() else os.path.join(cwd, name)
        if os.path.isfile(path):
            settings = read(path)
            if settings or name != "pyproject.toml":
                return path, settings
    return None
