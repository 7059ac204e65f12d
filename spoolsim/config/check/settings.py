"""Findings about the settings themselves: values, comments behind them, names that uWSGI does not know."""

from __future__ import annotations

from spoolsim.config.check.findings import Finding, is_close, last, meant_for_spooler, serves, without_comment, written
from spoolsim.options import BY_NAME, Options, Setting, truth

#: options whose value names a directory, a file or a module: with a comment in it, it names another one
_NAMING = frozenset(
    (
        "spooler",
        "spooler-external",
        "spooler-chdir",
        "import",
        "spooler-import",
        "shared-import",
        "module",
        "wsgi-file",
        "mount",
        "chdir",
        "pythonpath",
        "virtualenv",
        "touch-spoolers-reload",
    )
)


def of_comments(settings: list[Setting], options: Options) -> list[Finding]:
    """Comments behind values and keys, where they do harm."""
    found = []
    advice = "put the comment on a line of its own"
    for setting in settings:
        option, value = BY_NAME.get(setting.name), setting.value
        if option is None or setting.role != "option" or not isinstance(value, str):
            continue
        meant = without_comment(value)
        if meant == value:
            continue
        if option.name in _NAMING:
            why = f"{written(setting)}: uWSGI takes the comment as part of the name and looks for {value!r}"
            found.append(Finding("comment-in-value", "error", setting.source, why, advice))
        elif option.kind == "flag" and not truth(meant):
            why = f"{written(setting)}: uWSGI takes the comment as part of the value, and so the option is on"
            found.append(Finding("comment-in-value", "error", setting.source, why, advice))
    for name, place in options.unknown_ini:
        meant = without_comment(name).strip()
        if meant != name and meant in BY_NAME:
            why = f"{name}: uWSGI takes the comment as part of the name, knows no such option and ignores it in silence"
            found.append(Finding("comment-in-value", "error", place, why, advice))
    return found


def of_values(settings: list[Setting], options: Options) -> list[Finding]:
    """Values that uWSGI reads differently from how they look."""
    found = []
    frequency = last(settings, "spooler-frequency")
    for code, detail in options.notes:
        setting = next((s for s in settings if detail.startswith(f"{written(s)} ({s.source})")), None)
        if setting is None:
            continue
        given, place = written(setting), setting.source
        reading = detail.removeprefix(f"{given} ({place})")
        comment = isinstance(setting.value, str) and without_comment(setting.value) != setting.value
        if code == "frequency-zero" and frequency is not None and options.frequency == 0:
            why = f"{given}{reading}: uWSGI polls without any pause and takes a whole processor"
            found.append(Finding("frequency-zero", "error", place, why, "set spooler-frequency to 1 or more"))
        elif code == "option-value":
            number = reading.startswith(" is read")
            if comment and not number and isinstance(setting.value, str) and not truth(without_comment(setting.value)):
                continue  # found as a comment
            fraction = given.startswith("spooler-freq") and "." in without_comment(given)
            name = "frequency-fraction" if fraction else "option-value"
            advice = "write a plain whole number" if number else "write true or false"
            advice = "put the comment on a line of its own" if comment else advice
            found.append(Finding(name, "warning", place, f"{given}{reading} by uWSGI", advice))
        elif code == "version-2.1":
            severity, what = ("error", "refuses to start") if options.strict else ("warning", "ignores it")
            why = f"{given}: uWSGI 2.0 does not know this option and {what}"
            found.append(Finding("version-2.1", severity, place, why, "drop it, or say --uwsgi 2.1"))
    if options.spoolers and not options.master and (master := last(settings, "master")) is not None:
        why = f"{written(master)}: without a master uWSGI serves no spooler"
        found.append(Finding("master-off", "error", master.source, why, "set master = true"))
    return found


def of_unknown_names(settings: list[Setting], options: Options) -> list[Finding]:
    """Names that uWSGI does not know."""
    from spoolsim.config.known import KINDS, nearest

    found = []
    for name, place in options.unknown_ini:
        dashed = name.replace("_", "-").lower()
        if without_comment(name).strip() in BY_NAME and without_comment(name) != name:
            continue  # found as a comment
        if not serves(options) and (near := meant_for_spooler(name)) is not None:
            why = f"{name}: uWSGI knows no such option and ignores it in silence, and no spooler is left"
            found.append(Finding("no-spooler", "error", place, why, f"did you mean {near}?"))
        elif dashed.startswith("if-") and dashed not in KINDS and not options.strict:
            why = f"{name}: uWSGI knows no such condition, so the lines up to endif always count"
            advice = "use if- or if-not- with env, opt, exists, file, dir, hostname or plugin"
            found.append(Finding("unknown-option", "warning", place, why, advice))
        elif dashed in BY_NAME or dashed in KINDS:
            why = f"{name}: uWSGI knows no such option and ignores it in silence"
            found.append(Finding("option-name", "error", place, why, f"write {dashed}"))
        elif options.strict:
            why = f"{name}: uWSGI knows no such option, and strict makes it refuse to start"
            found.append(Finding("unknown-option", "error", place, why, f"drop it, or say set-placeholder = {name}=…"))
        elif (near := nearest(name)) is not None and abs(len(near) - len(name)) <= 2 and is_close(near, dashed):
            why = f"{name}: uWSGI knows no such option and ignores it in silence"
            found.append(Finding("unknown-option", "warning", place, why, f"did you mean {near}?"))
    for setting in settings:
        option = BY_NAME.get(setting.name)
        in_file = setting.source not in ("command line", "argument") and "pyproject.toml" not in setting.source
        if options.strict and in_file and option is not None and option.ours and setting.role == "option":
            why = f"{setting.name} is spoolsim's own option, and strict makes uWSGI refuse to start"
            found.append(Finding("own-option", "error", setting.source, why, "put it into pyproject.toml"))
    return found


def of_the_process(settings: list[Setting], options: Options) -> list[Finding]:
    """What SIGTERM does to the instance."""
    if not serves(options) or options.die_on_term:
        return []
    explicit = last(settings, "die-on-term") or next(s for s in settings if s.name == "spooler")
    why = "SIGTERM, which systemd and containers send to stop a process, makes uWSGI reload and go on"
    return [Finding("sigterm", "warning", explicit.source, why, "set die-on-term = true, or stop it with SIGINT")]
