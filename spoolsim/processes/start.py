"""The start of a run: directories, what is said of the configuration, then the master, or one process without."""

from __future__ import annotations

import os

from spoolsim import system
from spoolsim.diagnose import Notes
from spoolsim.errors import SpoolDirError, UsageError
from spoolsim.log import Log
from spoolsim.options import BY_NAME, build, umask_of
from spoolsim.spool.directory import SpoolDir
from spoolsim.spool.names import is_number
from spoolsim.spool.scan import DEPTH
from spoolsim.tasks import people

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from spoolsim.options import Options, Setting

#: this many of the options that are not run here are named
_SHOWN = 24


def run(settings: list[Setting], log: Log | None = None) -> int:
    """Run a configuration; returns the exit status. Raises SpoolsimError for what cannot be run."""
    options = build(settings)
    if not system.POSIX and not options.inline:
        raise UsageError(system.NEEDED.format(command="run"))
    log = log or Log(style=options.log_style, people=options.policy.writes_for_people)
    people.tell(log)
    notes = Notes(log.note, silenced=options.silence, enabled=options.policy.explains)
    if options.umask is not None:
        os.umask(umask_of(options.umask))
    directories = _directories(options, log)
    _say_what_differs(options, log, notes)
    if not options.master and any(count for _, count in directories):
        _say_without_master(options, settings, log, notes)
    if all(directory.external for directory, _ in directories):
        _say_that_nothing_is_served(options, log)
    if options.stand_in_worker:
        _try_sockets(options)
    progress = None
    if options.drain and log.colour:
        from spoolsim.processes.progress import Progress

        served = [directory for directory, _ in directories if not directory.external]
        progress = Progress(served, options.ordered, inline=options.inline)
    try:
        if options.inline:
            from spoolsim.processes.inline import run_inline

            status, remains = run_inline(options, directories, log, progress)
        else:
            from spoolsim.processes.master import Master

            master = Master(options, directories, log, notes, progress=progress)
            status, remains = master.run(), master.ending.remains
    finally:
        if progress:
            progress.close()
    if options.drain:
        from spoolsim.processes.left import report

        if status and not remains.stopped:
            remains.stopped = "it ended too early"
        left = report([directory for directory, _ in directories], options, remains, log)
        status = status or left
    return status


def _try_sockets(options: Options) -> None:
    """Raises OptionError, as uWSGI ends at its start, where a port of the stand-in worker is taken."""
    from spoolsim.processes.network import bind

    for address in options.sockets:
        if address.rpartition(":")[2].isdigit() and ":" in address:
            bind(address).close()


def _say_that_nothing_is_served(options: Options, log: Log) -> None:
    """No directory is ours to serve: a drain of nothing is no drain, and a run waits for what cannot come."""
    only = "only spooler-external, which another instance serves" if options.spoolers else "no spooler option"
    text = f"nothing to serve: {only}; add --spooler DIR"
    if options.drain:
        raise UsageError(text)
    if options.policy.explains and not options.stand_in_worker:
        log.say(text)


def warn_of_neighbours(path: str, log: Log, *, ordered: bool, depth: int = 0) -> None:
    """Whoever can write to a spool directory, or to a priority directory in it, can make its spoolers run code."""
    groups = {system.getgid(), *system.getgroups()}
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return  # a priority directory that went meanwhile
    mode, group = status.st_mode, status.st_gid
    if status.st_uid not in (system.getuid(), 0):
        log.say(f"{path} belongs to another user ({status.st_uid}), who can make it run code", error=True)
    if mode & 0o002:
        log.say(f"{path} can be written to by everybody, who can make it run code: chmod o-w", error=True)
    elif mode & 0o020 and group not in {0, *groups}:
        log.say(f"{path} can be written to by the group {group}, who can make it run code: chmod g-w", error=True)
    # into a directory that only we and ours can enter nobody comes, whatever the modes below
    entered = mode & 0o001 or (mode & 0o010 and group not in groups)
    if not ordered or not entered or depth == DEPTH:
        return
    try:
        with os.scandir(path) as entries:
            below = sorted(each.path for each in entries if each.is_dir(follow_symlinks=False) and is_number(each.name))
    except OSError:
        return
    for each in below:
        warn_of_neighbours(each, log, ordered=True, depth=depth + 1)


def _directories(options: Options, log: Log) -> list[tuple[SpoolDir, int]]:
    """The spool directories with their process counts, made where they are missing."""
    start = os.getcwd()
    found = []
    for path, external in options.spoolers:
        try:
            directory = SpoolDir.resolve(path, start=start, external=external, bare=not options.policy.keeps_state)
        except SpoolDirError as error:
            if not options.policy.explains_errors and isinstance(error.__cause__, OSError):
                refused = SpoolDirError(
                    f"[spooler directory] access(): {error.__cause__.strerror} [core/spooler.c line 26]"
                )
                raise refused from None
            raise
        if options.policy.explains:
            warn_of_neighbours(directory.path, log, ordered=options.ordered)
        found.append((directory, 0 if external else options.processes_per_spooler))
    return found


def _say_without_master(options: Options, settings: list[Setting], log: Log, notes: Notes) -> None:
    """Tell that uWSGI serves no spooler without a master. Raises UsageError for a drain that does as uWSGI."""
    where = next((f" ({setting.source})" for setting in reversed(settings) if setting.name == "master"), "")
    if options.policy.serves_without_master:
        notes.give("no-master", f"master = false{where}")
        return
    text = (
        f"master = false{where}: uWSGI runs no task without a master, and --faithful does the same; set master = true"
    )
    if options.drain or options.inline:
        raise UsageError(text)
    log.say(text, error=True)


def _say_what_differs(options: Options, log: Log, notes: Notes) -> None:
    """What uWSGI reads differently from how it looks, and what of the configuration is not run here."""
    for code, detail in options.notes:
        if code != "other-user" or not _is_ours(options):
            notes.give(code, detail)
    from spoolsim.config.known import KINDS, nearest

    for key, source in options.unknown_ini:
        dashed = key.replace("_", "-")
        if dashed.startswith("if-") and dashed not in KINDS and options.policy.explains:
            log.say(
                f"{key} ({source}): uWSGI knows no such condition, so the lines up to endif always count", error=True
            )
        # a key of one's own is a placeholder; one that looks like an option was meant as one
        if key.startswith("spool") or key.replace("_", "-") in BY_NAME:
            near = nearest(key, tuple(BY_NAME))
            notes.give("unknown-key", f"{key} ({source})", f"did you mean {near}?" if near else "")
    if options.inline_harakiri and not options.inline:
        log.say("--inline-harakiri does nothing without --inline: spooler processes have their harakiri anyway")
    if options.not_run and options.policy.explains:
        log.say(f"not run here: {_listed(options.not_run)}")
    if options.optimize and options.inline:
        log.say("optimize does nothing with --inline: this Python has started already; assert statements run")


def _is_ours(options: Options) -> bool:
    """Are uid and gid those of this process?"""
    user = "" if options.uid is None else system.user_name()
    group = "" if options.gid is None else system.group_name()
    return options.uid in (None, user, str(system.getuid())) and options.gid in (None, group, str(system.getgid()))


def _listed(found: Iterable[tuple[str, str]]) -> str:
    """Names with the places where they stand, each name once: "cron (uwsgi.ini:12, 14), mule (command line)"."""
    places: dict[str, list[str]] = {}
    for name, source in found:
        places.setdefault(name, []).append(source)
    shown = [f"{name} ({_places(sources)})" for name, sources in list(places.items())[:_SHOWN]]
    return ", ".join(shown) + (", …" if len(places) > _SHOWN else "")


def _places(sources: list[str]) -> str:
    """The file once for all its lines."""
    shown: list[str] = []
    last = ""
    for source in dict.fromkeys(sources):
        file, colon, line = source.rpartition(":")
        shown.append(line if colon and file == last else source)
        last = file if colon else ""
    return ", ".join(shown)
