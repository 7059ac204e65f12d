"""Finds what goes wrong in production before production: in the options, the directories and the app's code."""

from __future__ import annotations

import os
import re
import stat

from spoolsim.config.code import Code, is_file
from spoolsim.errors import OptionError
from spoolsim.options import BY_NAME, Options, Setting, build, mounted, truth

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from spoolsim.config.code import Module

#: severities, the worst first; info is advice for production and no fault by itself
SEVERITIES = ("error", "warning", "info")

#: the code of every finding there is
CODES = frozenset(
    (
        "chdir-missing",
        "code-cut",
        "comment-in-value",
        "directory-missing",
        "directory-not-a-directory",
        "directory-not-writable",
        "directory-relative",
        "directory-symlink",
        "directory-unusable",
        "directory-world-writable",
        "external-unserved",
        "frequency-fraction",
        "frequency-zero",
        "handler-not-imported",
        "import-missing",
        "master-off",
        "mule-missing",
        "mule-not-run-here",
        "no-spooler",
        "nothing-imported",
        "option-name",
        "option-refused",
        "option-value",
        "own-option",
        "priority-not-number",
        "priority-unordered",
        "registers-in-spooler",
        "sigterm",
        "unknown-option",
        "version-2.1",
    )
)
#: uWSGI takes a comment behind a value as part of the value
_COMMENT = re.compile(r"\s+[#;].*$", re.DOTALL)
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


def check(
    settings: list[Setting],
    root: str,
    *,
    production: bool = False,
    progress: Callable[[int], None] | None = None,
) -> list[Finding]:
    """All findings about a configuration, the worst first, without those that its `silence` names.

    root: the directory in which uWSGI will be started. Reads directories and source files; imports and writes nothing.
    production: this is the machine of production: a path outside `root` that is missing is an error, not advice.
    progress: called with the number of source files read so far.

    Raises OptionError for what no single setting is to blame for, and for a silenced code that there is not.
    """
    settings, refused = _acceptable(settings)
    # Under strict an unknown key would be refused here; it is to be found instead, with all the others.
    options = build([setting for setting in settings if setting.name != "strict"])
    strict = _last(settings, "strict")
    options.strict = strict is not None and truth(strict.value)
    _refuse_unknown(options.silence)
    code = Code(progress)
    found = [
        *refused,
        *_comments(settings, options),
        *_values(settings, options),
        *_unknown(settings, options),
        *_directories(settings, options, root, production),
        *_process(settings, options),
        *_code(settings, options, root, code, production),
    ]
    found = [finding for finding in found if finding.code not in options.silence]
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))


def _refuse_unknown(silenced: tuple[str, ...]) -> None:
    """Raises OptionError for a code that is neither of a finding nor of a production note."""
    from difflib import get_close_matches

    from spoolsim.diagnose import BY_CODE

    for code in silenced:
        if code not in CODES and code not in BY_CODE:
            near = get_close_matches(code, sorted(CODES | BY_CODE.keys()), n=1)
            hint = f"did you mean {near[0]}?" if near else "each finding ends with its code, in brackets"
            raise OptionError(f"silence: {code!r} is not the code of a finding or of a production note; {hint}")


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


def _own(options: Options) -> bool:
    """Whether a spooler of this configuration runs tasks."""
    return any(not external for _, external in options.spoolers)


def _without_comment(value: str) -> str:
    return _COMMENT.sub("", value)


def _comments(settings: list[Setting], options: Options) -> list[Finding]:
    """Comments behind values and keys, where they do harm."""
    found = []
    advice = "put the comment on a line of its own"
    for setting in settings:
        option, value = BY_NAME.get(setting.name), setting.value
        if option is None or setting.role != "option" or not isinstance(value, str):
            continue
        meant = _without_comment(value)
        if meant == value:
            continue
        if option.name in _NAMING:
            why = f"{_given(setting)}: uWSGI takes the comment as part of the name and looks for {value!r}"
            found.append(Finding("comment-in-value", "error", setting.source, why, advice))
        elif option.kind == "flag" and not truth(meant):
            why = f"{_given(setting)}: uWSGI takes the comment as part of the value, and so the option is on"
            found.append(Finding("comment-in-value", "error", setting.source, why, advice))
    for name, place in options.unknown_ini:
        meant = _without_comment(name).strip()
        if meant != name and meant in BY_NAME:
            why = f"{name}: uWSGI takes the comment as part of the name, knows no such option and ignores it in silence"
            found.append(Finding("comment-in-value", "error", place, why, advice))
    return found


def _values(settings: list[Setting], options: Options) -> list[Finding]:
    found = []
    frequency = _last(settings, "spooler-frequency")
    for code, detail in options.notes:
        setting = next((s for s in settings if detail.startswith(f"{_given(s)} ({s.source})")), None)
        if setting is None:
            continue
        given, place = _given(setting), setting.source
        reading = detail.removeprefix(f"{given} ({place})")
        comment = isinstance(setting.value, str) and _without_comment(setting.value) != setting.value
        if code == "frequency-zero" and frequency is not None and options.frequency == 0:
            why = f"{given}{reading}: uWSGI polls without any pause and takes a whole processor"
            found.append(Finding("frequency-zero", "error", place, why, "set spooler-frequency to 1 or more"))
        elif code == "option-value":
            number = reading.startswith(" is read")
            if comment and not number and isinstance(setting.value, str) and not truth(_without_comment(setting.value)):
                continue  # found as a comment
            fraction = given.startswith("spooler-freq") and "." in _without_comment(given)
            name = "frequency-fraction" if fraction else "option-value"
            advice = "write a plain whole number" if number else "write true or false"
            advice = "put the comment on a line of its own" if comment else advice
            found.append(Finding(name, "warning", place, f"{given}{reading} by uWSGI", advice))
        elif code == "version-2.1":
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
        if _without_comment(name).strip() in BY_NAME and _without_comment(name) != name:
            continue  # found as a comment
        if not _own(options) and (near := _meant_for_spooler(name)) is not None:
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


def _directories(settings: list[Setting], options: Options, root: str, production: bool) -> list[Finding]:
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
        if _without_comment(path) != path:
            continue  # found as a comment
        found += _directory(setting, path, root, options, production)
        if setting.name == "spooler-external" and not _served(path, own, settings, root):
            why = f"{path}: no spooler of this configuration, of those beside it or of a running spoolsim serves it"
            advice = "see that another instance serves this very path: tasks put there are never run otherwise"
            found.append(Finding("external-unserved", "warning", setting.source, why, advice))
    return found


def _elsewhere(path: str, root: str, production: bool) -> bool:
    """Whether a path that is missing may well be there in production: it lies outside the project."""
    full, root = os.path.realpath(os.path.join(root, path)), os.path.realpath(root)
    return not production and full != root and not full.startswith(root.rstrip("/") + "/")


def _directory(setting: Setting, path: str, root: str, options: Options, production: bool) -> list[Finding]:
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
            parent = os.path.dirname(full.rstrip("/"))
            if _elsewhere(path, root, production):
                why = f"neither it nor {parent} is here; where {parent} is missing, uWSGI refuses to start"
                add("directory-missing", "info", why, "see that it is there in production; --production checks it")
            else:
                why = f"it is missing and so is {parent}: uWSGI refuses to start"
                add("directory-missing", "error", why, f"mkdir -p {parent}")
        else:
            why = "it is missing: uWSGI makes it at its start, with mode 0750 and the starting user as owner"
            add("directory-missing", "info", why, "make it, owned by the user that runs uWSGI")
        return found
    except OSError as error:
        add("directory-unusable", "error", f"cannot be looked at: {error.strerror}", "correct the permissions")
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
    try:
        import grp
        import pwd
    except ImportError:  # no POSIX, and no users by number
        return "the user that runs this", os.access(path, os.R_OK | os.W_OK)

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
    if not _own(options) or options.die_on_term:
        return []
    explicit = _last(settings, "die-on-term") or next(s for s in settings if s.name == "spooler")
    why = "SIGTERM, which systemd and containers send to stop a process, makes uWSGI reload and go on"
    return [Finding("sigterm", "warning", explicit.source, why, "set die-on-term = true, or stop it with SIGINT")]


#: kinds of `Options.preloads` that are told apart, or name no module
_NO_MODULES = ("shared-import", "paste", "eval")


class _Loaded:
    """What a configuration loads: into its spoolers, into its spoolers only, and anywhere at all.

    base: the directory that names are taken from; path: where modules are looked for; absent: (setting, directory) of
    those of these directories that are not here.
    """

    def __init__(self, settings: list[Setting], options: Options, root: str) -> None:
        self.absent: list[tuple[Setting, str]] = []
        self.base = root
        if options.chdir is not None and (setting := _last(settings, "chdir")) is not None:
            self.base = self._directory(setting, _without_comment(options.chdir), root, root)
        more = [
            self._directory(setting, _without_comment(setting.value), self.base, self.base)
            for setting in settings
            if setting.role == "option" and _named(setting) == "pythonpath" and isinstance(setting.value, str)
        ]
        self.path = [*more, self.base]
        loaded = [(kind, name) for kind, name in options.preloads if kind not in _NO_MODULES]
        self.shared = [self.name("shared-import", name) for name in options.shared_imports]
        self.late = [self.name("spooler-import", name) for name in options.spooler_imports]
        self.all = [self.name(kind, name) for kind, name in loaded]
        self.early = [*self.shared, *([] if options.lazy_apps else self.all)]

    def _directory(self, setting: Setting, path: str, root: str, instead: str) -> str:
        full = os.path.normpath(os.path.join(root, path))
        if os.path.isdir(full):
            return full
        self.absent.append((setting, path))
        return instead

    def name(self, kind: str, name: str) -> str:
        """A module's name, or the whole path of a file."""
        name = _without_comment(name)
        return os.path.join(self.base, name) if kind in ("wsgi-file", "mount-file") or is_file(name) else name


def _named(setting: Setting) -> str:
    option = BY_NAME.get(setting.name)
    return setting.name if option is None else option.name


def _code(settings: list[Setting], options: Options, root: str, code: Code, production: bool) -> list[Finding]:
    loaded = _Loaded(settings, options, root)
    found = []
    for setting, path in loaded.absent:
        if _elsewhere(path, loaded.base, production):
            why = f"{_given(setting)}: {path} is not here; what is in it cannot be looked at"
            advice = "see that it is there in production; --production checks it"
            found.append(Finding("chdir-missing", "info", setting.source, why, advice))
        else:
            why = f"{_given(setting)}: {path} is missing"
            found.append(Finding("chdir-missing", "error", setting.source, why, "correct the path, or make it"))
    found += _missing_imports(settings, options, loaded, root, code, production)
    whole = code.closure([*loaded.early, *loaded.late, *loaded.all], loaded.path)
    found += _mules(settings, whole, root)
    if not _own(options):
        return found + _no_spooler(settings, options, whole, root)
    names = [*loaded.early, *loaded.late]
    if not names and not (loaded.all and options.lazy_apps):
        first = next(s for s in settings if s.name == "spooler" and s.role == "option")
        why = "the spooler imports nothing, so no function is there to run a task"
        return [
            *found,
            Finding("nothing-imported", "warning", first.source, why, "add import = your module of tasks"),
        ]
    early = code.closure(loaded.early, loaded.path)
    inside = code.closure(names, loaded.path)
    found += _registers(inside, early, loaded, root)
    found += _not_imported(settings, inside, whole, loaded, root, code)
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
    for directory in code.cut:
        why = f"{directory}: too many Python files; only the first were read"
        found.append(Finding("code-cut", "info", directory, why, "check the part that the spooler imports by itself"))
    return found


_IMPORTING = frozenset(("import", "spooler-import", "shared-import", "module", "wsgi-file", "mount"))


def _missing_imports(
    settings: list[Setting], options: Options, loaded: _Loaded, root: str, code: Code, production: bool
) -> list[Finding]:
    """Modules and files that cannot be found."""
    found = []
    for setting in settings:
        kind = _named(setting)
        if kind not in _IMPORTING or setting.role != "option" or not isinstance(setting.value, str):
            continue
        value = _without_comment(setting.value)
        if value != setting.value:
            continue  # found as a comment
        if kind == "mount":
            app = mounted(value)
            if app is None:
                continue
            kind, value = app
        name, severity, more = loaded.name(kind, value), "error", ""
        if kind == "wsgi-file" or is_file(value):
            missing = not os.path.isfile(name)
            why = f"{_given(setting)}: uWSGI takes this for a file, and there is none"
            advice = (
                f"write {value}.py" if os.path.isfile(f"{name}.py") else "correct it; a module is written with dots"
            )
            if name.endswith((".py", ".wsgi")) and _elsewhere(name, root, production):
                why, advice, severity = (
                    f"{_given(setting)}: the file is not here",
                    "see that it is in production",
                    "info",
                )
        else:
            module = value.partition(":")[0]
            missing = not code.has(module, loaded.path) and not _installed(module, options, loaded.base)
            why = f"{_given(setting)}: there is no module {module} in {', '.join(dict.fromkeys(loaded.path))}"
            why += " and none is installed here"
            advice = "correct the name, or set pythonpath, or install what it is in"
        if missing:
            if loaded.absent:
                severity, more = "info", "; perhaps it is in a directory that is not here"
            what = "the spooler goes on without it" if kind == "spooler-import" else "uWSGI goes on without it"
            found.append(Finding("import-missing", severity, setting.source, f"{why}{more}: {what}", advice))
    return found


def _installed(module: str, options: Options, base: str) -> bool:
    """Whether a module is in this Python or in the configuration's virtual environment; nothing is imported."""
    import sys
    from glob import glob
    from importlib.machinery import PathFinder

    first, _, rest = module.partition(".")
    if first in sys.builtin_module_names:
        return True
    places = [place for place in sys.path if place and os.path.realpath(place) != os.path.realpath(base)]
    if options.virtualenv is not None:
        places += glob(os.path.join(base, options.virtualenv, "lib", "python3*", "site-packages"))
    spec = PathFinder.find_spec(first, places)
    whole = first
    while spec is not None and rest:
        if spec.submodule_search_locations is None:
            return False
        part, _, rest = rest.partition(".")
        whole = f"{whole}.{part}"
        spec = PathFinder.find_spec(whole, list(spec.submodule_search_locations))
    return spec is not None


def _no_spooler(settings: list[Setting], options: Options, whole: dict[str, Module], root: str) -> list[Finding]:
    """Where no spooler of this configuration is left: what needs one."""
    if any(_meant_for_spooler(name) for name, _ in options.unknown_ini):
        return []  # found as a misspelled option
    handlers = [
        (file, name, line)
        for file, module in sorted(whole.items())
        for name, line in module.handlers
        if name != "uwsgi.spooler"
    ]
    if handlers:
        file, name, line = handlers[0]
        only = "has only a spooler-external" if options.spoolers else "has no spooler"
        why = f"{name}: this configuration {only}, so uWSGI raises at the decorator and the module is not imported"
        place = f"{os.path.relpath(file, root)}:{line}"
        return [Finding("no-spooler", "error", place, why, "add spooler = a directory, or enqueue by uwsgi.spool()")]
    for setting in settings:
        if setting.name.startswith("spooler-") and _named(setting) != "spooler-external" and setting.role == "option":
            why = f"{_given(setting)}: no spooler is configured, so this has no effect"
            return [Finding("no-spooler", "error", setting.source, why, "add spooler = a directory")]
    if options.spoolers:
        return []
    place = next((s.source for s in settings if s.role == "option"), root)
    why = "no spooler is configured, so uWSGI runs no task and has no uwsgi.spool()"
    return [Finding("no-spooler", "info", place, why, "add spooler = a directory, if the app enqueues tasks")]


def _meant_for_spooler(name: str) -> str | None:
    """The option of the spooler that an unknown name is most like, if it is meant for the spooler at all."""
    from spoolsim.config.known import nearest

    near = nearest(name, tuple(BY_NAME))
    dashed = name.replace("_", "-").lower()
    return near if near is not None and ("spool" in dashed or (near == "spooler" and _close(near, dashed))) else None


def _mules(settings: list[Setting], whole: dict[str, Module], root: str) -> list[Finding]:
    """Functions for mules: uWSGI has to be told to have some, and spoolsim runs none."""
    configured = any(s.name in ("mule", "mules") and s.role == "option" for s in settings)
    found = []
    for file, module in sorted(whole.items()):
        for name, line in module.mules:
            place = f"{os.path.relpath(file, root)}:{line}"
            if configured:
                why = f"{name} is run by a mule in production; spoolsim has no mules, so `spoolsim run` never runs it"
                advice = "start what it does in a program of its own: spoolsim exec -- python ..."
                found.append(Finding("mule-not-run-here", "info", place, why, advice))
            else:
                why = f"{name} is for a mule, and this configuration has none: uWSGI never runs it"
                found.append(Finding("mule-missing", "warning", place, why, "add mule = true"))
    return found


def _registers(inside: dict[str, Module], early: dict[str, Module], loaded: _Loaded, root: str) -> list[Finding]:
    """Modules that are imported in the spooler only and register a signal, which uWSGI refuses there."""
    found = []
    for file, module in sorted(inside.items()):
        if file in early or not module.registers:
            continue
        what, line = module.registers[0]
        after = [name for name, at in module.handlers if at > line]
        why = f"{what}: uWSGI registers no signal in a spooler, so the import ends here with ValueError"
        why += f", without {', '.join(after)}" if after else ""
        advice = f"use shared-import = {_module_name(file, loaded.base)} in the place of spooler-import"
        place = f"{os.path.relpath(file, root)}:{line}"
        found.append(Finding("registers-in-spooler", "error", place, why, advice))
    return found


def _module_name(file: str, base: str) -> str:
    return os.path.splitext(os.path.relpath(file, base))[0].replace(os.sep, ".").removesuffix(".__init__")


def _not_imported(
    settings: list[Setting],
    inside: dict[str, Module],
    whole: dict[str, Module],
    loaded: _Loaded,
    root: str,
    code: Code,
) -> list[Finding]:
    """Handlers that the spooler does not have.

    An error where this very configuration loads them elsewhere, and so can enqueue for them; a warning where nothing
    loads them; nothing where another configuration in the tree does: they are another service's.
    """
    places = {os.path.dirname(file) for file in whole} or {loaded.base}
    files = dict.fromkeys(os.path.normpath(file) for place in _tops(places) for file in code.below(place))
    lost = {file: m for file in files if file not in inside and (m := code.parse(file)) is not None and m.handlers}
    others = _others(settings, root, code) if any(file not in whole for file in lost) else set()
    found = []
    for file, module in lost.items():
        if file not in whole and file in others:
            continue
        name, line = module.handlers[0]
        more = len(module.handlers) - 1
        said = f"{name} is a handler" if not more else f"{name} and {more} more are handlers"
        what = _module_name(file, loaded.base)
        registers = any(m.registers for m in code.closure([file], loaded.path).values())
        option = "shared-import" if registers else "spooler-import"
        if file in whole:
            severity = "error"
            why = f"{said}, but lazy-apps keeps it out of the spooler: its tasks are kept and never run"
        else:
            severity = "warning"
            why = f"{said}, but nothing that the spooler loads imports it: its tasks are kept and never run here"
        advice = f"add {option} = {what}"
        found.append(Finding("handler-not-imported", severity, f"{os.path.relpath(file, root)}:{line}", why, advice))
    return found


def _others(settings: list[Setting], root: str, code: Code) -> set[str]:
    """The files that the other configurations in the tree load."""
    from spoolsim.config.readers import read
    from spoolsim.errors import SpoolsimError

    own = {os.path.realpath(os.path.join(root, s.source.rpartition(":")[0])) for s in settings if ":" in s.source}
    files: set[str] = set()
    for path in code.configurations(root):
        if os.path.realpath(path) in own:
            continue
        try:
            theirs = read(path)
            options = build(theirs)
        except SpoolsimError:
            continue
        for place in dict.fromkeys((os.path.dirname(path), root)):  # where it is started is not known
            loaded = _Loaded(theirs, options, place)
            files.update(code.closure([*loaded.early, *loaded.late, *loaded.all], loaded.path))
    return files


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
