"""Making `import uwsgi` work in a process of the user's own: what exec, dev and spoolsim.install() share."""

from __future__ import annotations

import os
import sys

from spoolsim.config.readers import configuration as find
from spoolsim.diagnose import Notes
from spoolsim.errors import AppError, SpoolsimError, UsageError
from spoolsim.log import Log
from spoolsim.options import Options, build
from spoolsim.spool.directory import SpoolDir
from spoolsim.work import app as apps
from spoolsim.work import installed, program
from spoolsim.work.variables import set_variables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from spoolsim.options import Setting
    from spoolsim.section import Section

NOTHING = """\
no configuration: no spooler option, and no [tool.spoolsim] in pyproject.toml, spoolsim.ini or uwsgi.ini here.
Name the spool directory:

    spoolsim {command} --spooler spool -- python app.py"""

#: exit statuses that shells use for a command that is not there, or cannot be run
NOT_FOUND, NOT_RUNNABLE = 127, 126

Entries = list[tuple[SpoolDir, int]]


def configuration(argv: list[str], log: Log | None, command: str = "exec") -> list[Setting]:
    """The settings of a command line, or those found in the working directory when it names none.

    log: where the file that was found is named. command: who asks, for the advice where there is none.
    Raises UsageError when there are none at all.
    """
    settings, file = find(argv, os.environ)
    if file is None:
        raise UsageError(NOTHING.format(command=command))
    if file and log is not None:
        log.say(f"configuration: {file}")
    return settings


def prepare(settings: Iterable[Setting]) -> tuple[Options, Entries]:
    """The options and, for each spooler process that `run` would have, its directory, made if missing.

    Raises OptionError or SpoolDirError.
    """
    options = build(settings)
    entries: Entries = []
    for path, external in options.spoolers:
        directory = SpoolDir.resolve(path, start=os.getcwd(), external=external, bare=not options.policy.keeps_state)
        entries += [(directory, -1)] * (1 if external else options.processes_per_spooler)
    return options, entries


def environment(options: Options, entries: Entries, inherited: Mapping[str, str], *, master: int = 0) -> dict[str, str]:
    """The environment of a program that shall find `uwsgi`: our directory first, then what it had, and `pythonpath`.

    master: pid of a running master; without it the program is its own, and takes no signals.
    """
    changed = dict(inherited)
    set_variables(options, changed)
    path = [part for part in changed.get("PYTHONPATH", "").split(os.pathsep) if part and part != apps.SHIM]
    added = [os.path.abspath(entry) for entry in reversed(options.pythonpath)]
    changed["PYTHONPATH"] = os.pathsep.join([apps.SHIM, *added, *path])
    served = bool(master) and not options.inline
    changed[program.VARIABLE] = program.describe(options, entries, master=master, served=served)
    changed.pop(program.INSTANCE, None)
    return changed


def install(config: str | os.PathLike[str] | list[str] | Section | None = None) -> bool:
    """Make `import uwsgi` work in this process and in those that it starts, as `spoolsim exec` does.

    config: a configuration file, a list of command line options, a `Section`, or None for what is found in the
        working directory.

    Returns False, and says so, inside a real uWSGI, whose own module stays. Raises SpoolsimError for a configuration
    that is none, AppError when another module has taken the name.
    """
    log = Log()
    found = sys.modules.get("uwsgi")
    if found is not None and not hasattr(found, "_spoolsim"):
        if getattr(found, "__file__", None):
            raise AppError(f"`import uwsgi` found {found.__file__}, not spoolsim's module; rename that file")
        log.say("this is a real uWSGI, whose own module is built in: spoolsim.install() steps aside")
        return False
    if found is not None:
        raise AppError("`uwsgi` was imported before spoolsim.install(); call it first, once")
    if config is None or isinstance(config, list):
        settings = configuration(config or [], log)
    elif isinstance(config, str | os.PathLike):
        settings = configuration([os.fspath(config)], log)
    else:
        settings = config.settings()
    options, entries = prepare(settings)
    changed = environment(options, entries, os.environ)
    for gone in os.environ.keys() - changed.keys():
        del os.environ[gone]
    os.environ.update(changed)
    if apps.SHIM not in sys.path:
        sys.path.insert(0, apps.SHIM)
    for entry in options.pythonpath:
        if os.path.abspath(entry) not in sys.path:
            sys.path.insert(1, os.path.abspath(entry))
    installed.install(program.from_environment()).module()
    return True


def own_module(places: Iterable[str], options: Options, log: Log) -> None:
    """Give a note for a uwsgi.py of the app's own, which would be imported before ours."""
    notes = Notes(log.note, silenced=options.silence, enabled=options.policy.explains)
    for place in dict.fromkeys(places):
        path = os.path.join(place, "uwsgi.py")
        if os.path.isfile(path):
            notes.give("own-uwsgi", path)


def unrunnable(name: str, error: OSError) -> SpoolsimError:
    """An error to raise for a command that cannot be started."""
    refused = SpoolsimError(f"{name}: {error.strerror}; write the command as you would in a shell")
    refused.exit_code = NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_RUNNABLE
    return refused
