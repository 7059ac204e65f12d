"""Finds what goes wrong in production before production: in the options, the directories and the app's code."""

from __future__ import annotations

import os
import stat

from spoolsim.config import code
from spoolsim.errors import OptionError
from spoolsim.options import BY_NAME, Options, Setting, build, truth

#: severities, the worst first; info is advice for production and no fault by itself
SEVERITIES = ("error", "warning", "info")


class Finding:
    """One finding.

    code: stable name. severity: of `SEVERITIES`. place: file:line, or where the option came from.
    why: one sentence. advice: one sentence, what to do.
    """

    __slots__ = ("advice", "code", "place", "severity", "why")

    def __init__(self, code: str, severity: str, place: str, why: str, advice: str) -> None:
        self.code = code
        self.severity = severity
        self.place = place
        self.why = why
        self.advice = advice

    def to_plain(self) -> dict[str, str]:
        """As a dictionary, for JSON."""
        return {name: getattr(self, name) for name in ("code", "severity", "place", "why", "advice")}


def check(settings: list[Setting], root: str) -> list[Finding]:
    """All findings about a configuration, the worst first.

    root: the directory in which uWSGI will be started. Reads directories and source files; imports and writes nothing.

    Raises OptionError for what no single setting is to blame for.
    """
    settings, refused = _acceptable(settings)
    # Under strict an unknown key would be refused here; it is to be found instead, with all the others.
    options = build([setting for setting in settings if setting.name != "strict"])
    strict = _last(settings, "strict")
    options.strict = strict is not None and truth(strict.value)
    found = [
        *refused,
        *_values(settings, options),
        *_unknown(settings, options),
        *_directories(settings, options, root),
        *_process(settings, options),
        *_code(settings, options, root),
    ]
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))


def _acceptable(settings: list[Setting]) -> tuple[list[Setting], list[Finding]]:
    """(those with which something can start, a finding for each other one)."""
    kept: list[Setting] = []
    found: list[Finding] = []
    for setting in settings:
        try:
            build([setting])
            kept.append(setting)
        except OptionError as error:
            why = str(error).replace(f" ({setting.source})", "")
            found.append(Finding("option-refused", "error", setting.source, why, "correct it: nothing starts with it"))
    return kept, found


def _last(settings: list[Setting], name: str) -> Setting | None:
    option = BY_NAME[name]
    names = (option.name, *option.aliases)
    return next((s for s in reversed(settings) if s.name in names and s.role == "option"), None)


def _given(setting: Setting) -> str:
    return setting.name if isinstance(setting.value, bool) else f"{setting.name} = {setting.value}"


def _values(settings: list[Setting], options: Options) -> list[Finding]:
    found = []
    frequency = _last(settings, "spooler-frequency")
    for code_, detail in options.notes:
        given, _, rest = detail.partition(" (")
        place, _, reading = rest.partition(")")
        if code_ == "frequency-zero" and frequency is not None and options.frequency == 0:
            why = f"{given}{reading}: uWSGI polls without any pause and takes a whole processor"
            found.append(Finding("frequency-zero", "error", place, why, "set spooler-frequency to 1 or more"))
        elif code_ == "option-value":
            fraction = given.startswith("spooler-freq") and "." in given
            name = "frequency-fraction" if fraction else "option-value"
            advice = "write a plain whole number" if reading.startswith(" is read") else "write true or false"
            found.append(Finding(name, "warning", place, f"{given}{reading} by uWSGI", advice))
        elif code_ == "version-2.1":
            severity, what = ("error", "refuses to start") if options.strict else ("warning", "ignores it")
            why = f"{given}: uWSGI 2.0 does not know this option and {what}"
            found.append(Finding("version-2.1", severity, place, why, "drop it, or say --uwsgi 2.1"))
    if options.spoolers and not options.master and (master := _last(settings, "master")) is not None:
        why = f"{_given(master)}: without a master uWSGI serves no spooler"
        found.append(Finding("master-off", "error", master.source, why, "set master = true"))
    return found


def _unknown(settings: list[Setting], options: Options) -> list[Finding]:
    from spoolsim.config.known import KINDS, nearest

    found = []
    for name, place in options.unknown_ini:
        dashed = name.replace("_", "-").lower()
        if dashed.startswith("if-") and dashed not in KINDS and not options.strict:
            why = f"{name}: uWSGI knows no such condition, so the lines up to endif always count"
            advice = "use if- or if-not- with env, opt, exists, file, dir, hostname or plugin"
            found.append(Finding("unknown-option", "warning", place, why, advice))
        elif dashed in BY_NAME or dashed in KINDS:
            why = f"{name}: uWSGI knows no such option and ignores it in silence"
            found.append(Finding("option-name", "error", place, why, f"write {dashed}"))
        elif options.strict:
            why = f"{name}: uWSGI knows no such option, and strict makes it refuse to start"
            found.append(Finding("unknown-option", "error", place, why, f"drop it, or say set-placeholder = {name}=…"))
        elif (near := nearest(name)) is not None and abs(len(near) - len(name)) <= 2 and _close(near, dashed):
            why = f"{name}: uWSGI knows no such option and ignores it in silence"
            found.append(Finding("unknown-option", "warning", place, why, f"did you mean {near}?"))
    for setting in settings:
        option = BY_NAME.get(setting.name)
        in_file = setting.source not in ("command line", "argument") and "pyproject.toml" not in setting.source
        if options.strict and in_file and option is not None and option.ours and setting.role == "option":
            why = f"{setting.name} is spoolsim's own option, and strict makes uWSGI refuse to start"
            found.append(Finding("own-option", "error", setting.source, why, "put it into pyproject.toml"))
    return found


def _close(one: str, other: str) -> bool:
    from difflib import SequenceMatcher

    return SequenceMatcher(None, one, other).ratio() >= 0.88


def _directories(settings: list[Setting], options: Options, root: str) -> list[Finding]:
    found: list[Finding] = []
    own = {os.path.realpath(os.path.join(root, path)) for path, external in options.spoolers if not external}
    seen: set[tuple[str, str]] = set()
    for setting in settings:
        if setting.name not in ("spooler", "spooler-external") or setting.role != "option":
            continue
        path = setting.value if isinstance(setting.value, str) else ""
        if (setting.name, path) in seen:
            continue
        seen.add((setting.name, path))
        found += _directory(setting, path, root, options)
        if setting.name == "spooler-external" and not _served(path, own, settings, root):
            why = f"{path}: no spooler of this configuration, of those beside it or of a running spoolsim serves it"
            advice = "see that another instance serves this very path: tasks put there are never run otherwise"
            found.append(Finding("external-unserved", "warning", setting.source, why, advice))
    return found


def _directory(setting: Setting, path: str, root: str, options: Options) -> list[Finding]:
    found = []

    def add(name: str, severity: str, why: str, advice: str) -> None:
        found.append(Finding(name, severity, setting.source, f"{path}: {why}", advice))

    full = os.path.join(root, path)
    if not os.path.isabs(path):
        moved = options.chdir is not None
        why = "a relative directory is taken from where uWSGI is started" + (", not from chdir" if moved else "")
        add("directory-relative", "warning", why, "write an absolute path, or %d before it")
    if os.path.islink(full.rstrip("/")) or (os.path.exists(full) and os.path.realpath(full) != os.path.normpath(full)):
        resolved = os.path.realpath(full)
        why = f"goes through a symbolic link; uWSGI compares the resolved path {resolved} with the `spooler` of a task"
        add("directory-symlink", "warning", why, "configure the resolved path")
    try:
        status = os.stat(full)
    except FileNotFoundError:
        if not os.path.isdir(os.path.dirname(full.rstrip("/")) or "."):
            why = "it is missing and so is the directory it is in: uWSGI refuses to start"
            add("directory-missing", "error", why, "make it, owned by the user that runs uWSGI")
        else:
            why = "it is missing: uWSGI makes it at its start, with mode 0750 and the starting user as owner"
            add("directory-missing", "info", why, "make it, owned by the user that runs uWSGI")
        return found
    except OSError as error:
        add("directory-unusable", "error", f"cannot be looked at: {error.strerror}", "mend the permissions")
        return found
    if not stat.S_ISDIR(status.st_mode):
        add(
            "directory-not-a-directory", "error", "it is not a directory: uWSGI refuses to start", "choose another path"
        )
        return found
    who, writable = _may_write(full, status, options)
    if not writable:
        why = f"{who} cannot read, write and enter it: tasks are neither put nor run"
        add("directory-not-writable", "error", why, f"give it to {who}")
    if status.st_mode & stat.S_IWOTH:
        why = "everybody may write to it, and so run tasks with whatever arguments"
        why += "" if status.st_mode & stat.S_ISVTX else " and remove those of others"
        add("directory-world-writable", "warning", why, "chmod o-w")
    return found


def _may_write(path: str, status: os.stat_result, options: Options) -> tuple[str, bool]:
    """(the user that will run the spooler, whether it may read, write and enter the directory)."""
    import grp
    import pwd

    wanted = options.opt.get("uid")
    name = wanted.decode("utf-8", "replace") if isinstance(wanted, bytes) else ""
    try:
        user = pwd.getpwuid(int(name)) if name.isdigit() else pwd.getpwnam(name)
    except (KeyError, ValueError):
        user = None
    if user is None or user.pw_uid == os.geteuid():
        return "the user that runs this", os.access(path, os.R_OK | os.W_OK | os.X_OK)
    if user.pw_uid == 0:
        return user.pw_name, True
    groups = {user.pw_gid} | {group.gr_gid for group in grp.getgrall() if user.pw_name in group.gr_mem}
    if status.st_uid == user.pw_uid:
        bits = status.st_mode >> 6
    elif status.st_gid in groups:
        bits = status.st_mode >> 3
    else:
        bits = status.st_mode
    return user.pw_name, bits & 7 == 7


def _served(path: str, own: set[str], settings: list[Setting], root: str) -> bool:
    full = os.path.realpath(os.path.join(root, path))
    if full in own:
        return True
    # A running spoolsim marks the first directory that it serves; other configurations may stand beside this one.
    if os.path.isdir(os.path.join(full, ".spoolsim", "run")) and os.listdir(os.path.join(full, ".spoolsim", "run")):
        return True
    from spoolsim.config.argv import file_kind
    from spoolsim.config.readers import read
    from spoolsim.errors import SpoolsimError

    places = {os.path.dirname(s.source.rpartition(":")[0]) or root for s in settings if ":" in s.source} or {root}
    for place in places:
        for name in sorted(os.listdir(place)) if os.path.isdir(place) else []:
            if file_kind(name, with_section=False) not in ("ini", "yaml", "xml", "json"):
                continue
            try:
                others = read(os.path.join(place, name))
            except SpoolsimError:
                continue
            for other in others:
                value = other.value if other.name == "spooler" and isinstance(other.value, str) else None
                if value is not None and os.path.realpath(os.path.join(root, value)) == full:
                    return True
    return False


def _process(settings: list[Setting], options: Options) -> list[Finding]:
    if not any(not external for _, external in options.spoolers) or options.die_on_term:
        return []
    explicit = _last(settings, "die-on-term") or next(s for s in settings if s.name == "spooler")
    why = "SIGTERM, which systemd and containers send to stop a process, makes uWSGI reload and go on"
    return [Finding("sigterm", "warning", explicit.source, why, "set die-on-term = true, or stop it with SIGINT")]


def _code(settings: list[Setting], options: Options, root: str) -> list[Finding]:
    if not any(not external for _, external in options.spoolers):
        return []
    spooler_only = [*options.shared_imports, *options.spooler_imports]
    loaded = [name for kind, name in options.preloads if kind != "shared-import"]
    names = spooler_only + ([] if options.lazy_apps else loaded)
    first = next(s for s in settings if s.name == "spooler" and s.role == "option")
    if not names and not (loaded and options.lazy_apps):
        why = "the spooler imports nothing, so no function is there to run a task"
        return [Finding("nothing-imported", "warning", first.source, why, "add import = your module of tasks")]
    base = os.path.join(root, options.chdir or "")
    path = [os.path.join(base, p) for p in options.pythonpath] + [base]
    names = [os.path.join(base, name) if name.endswith(".py") else name for name in names]
    everything = [os.path.join(base, name) if name.endswith(".py") else name for name in loaded]
    inside, _ = code.closure(names, path)
    whole, _ = code.closure([*names, *everything], path)
    found = []
    places = {os.path.dirname(file) for file in whole} or {base}
    for file in dict.fromkeys(os.path.normpath(file) for place in _tops(places) for file in code.below(place)):
        if file in inside or (module := code.parse(file)) is None:
            continue
        for name, line in module.handlers:
            reason = (
                "lazy-apps keeps it out of the spooler"
                if file in whole
                else "nothing that the spooler loads imports it"
            )
            why = f"{name} is a handler, but {reason}: its tasks are kept and never run"
            advice = f"add spooler-import = {os.path.splitext(os.path.relpath(file, base))[0].replace(os.sep, '.')}"
            found.append(Finding("handler-not-imported", "error", f"{os.path.relpath(file, root)}:{line}", why, advice))
    handlers = {name for module in whole.values() for name, _ in module.handlers}
    passing = {name for module in whole.values() for name in module.passing}  # to these a dictionary is an argument
    for file, module in sorted(whole.items()):
        priorities = module.priorities + [
            (value, line)
            for name, value, line, in_dict in module.calls
            if name in handlers and not (in_dict and name in passing)
        ]
        for value, line in sorted(priorities, key=lambda item: item[1]):
            found += _priority(value, f"{os.path.relpath(file, root)}:{line}", options)
    return found


def _tops(places: set[str]) -> list[str]:
    """The places that are not below another one."""
    return [p for p in sorted(places) if not any(p != q and p.startswith(q.rstrip("/") + "/") for q in places)]


def _priority(value: str | None, place: str, options: Options) -> list[Finding]:
    found = []
    if not options.ordered and value != "":
        why = "a task with a priority is never run without spooler-ordered: it stays in its directory"
        found.append(Finding("priority-unordered", "error", place, why, "set spooler-ordered = true"))
    if value and not (value.isascii() and value.isdigit()):
        why = f"priority {value!r} is not a number: uWSGI never enters such a directory, the task is never run"
        found.append(Finding("priority-not-number", "error", place, why, "use digits, as in priority='1'"))
    return found
