"""Findings about the code of the app: what is loaded where, and what its functions need."""

from __future__ import annotations

import os

from spoolsim.config.check.findings import (
    Finding,
    elsewhere,
    last,
    meant_for_spooler,
    option_name,
    serves,
    without_comment,
    written,
)
from spoolsim.config.code import Code, is_file
from spoolsim.options import Options, Setting, build, mounted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from spoolsim.config.code import Module

#: kinds of `Options.preloads` that are told apart, or name no module
_NO_MODULES = ("shared-import", "paste", "eval")


class Loaded:
    """What a configuration loads: into its spoolers, into its spoolers only, and anywhere at all.

    base: the directory that names are taken from; path: where modules are looked for; absent: (setting, directory) of
    those of these directories that are not here.
    """

    def __init__(self, settings: list[Setting], options: Options, root: str) -> None:
        self.absent: list[tuple[Setting, str]] = []
        self.base = root
        if options.chdir is not None and (setting := last(settings, "chdir")) is not None:
            self.base = self._directory(setting, without_comment(options.chdir), root, root)
        more = [
            self._directory(setting, without_comment(setting.value), self.base, self.base)
            for setting in settings
            if setting.role == "option" and option_name(setting) == "pythonpath" and isinstance(setting.value, str)
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
        name = without_comment(name)
        return os.path.join(self.base, name) if kind in ("wsgi-file", "mount-file") or is_file(name) else name


def of_code(settings: list[Setting], options: Options, root: str, code: Code, production: bool) -> list[Finding]:
    """What the configuration loads, and what the spooler lacks of it."""
    loaded = Loaded(settings, options, root)
    found = []
    for setting, path in loaded.absent:
        if elsewhere(path, loaded.base, production):
            why = f"{written(setting)}: {path} is not here; what is in it cannot be looked at"
            advice = "see that it is there in production; --production checks it"
            found.append(Finding("chdir-missing", "info", setting.source, why, advice))
        else:
            why = f"{written(setting)}: {path} is missing"
            found.append(Finding("chdir-missing", "error", setting.source, why, "correct the path, or make it"))
    found += _missing_imports(settings, options, loaded, root, code, production)
    whole = code.closure([*loaded.early, *loaded.late, *loaded.all], loaded.path)
    found += _mules(settings, whole, root)
    if not serves(options):
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
    settings: list[Setting], options: Options, loaded: Loaded, root: str, code: Code, production: bool
) -> list[Finding]:
    """Modules and files that cannot be found."""
    found = []
    for setting in settings:
        kind = option_name(setting)
        if kind not in _IMPORTING or setting.role != "option" or not isinstance(setting.value, str):
            continue
        value = without_comment(setting.value)
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
            why = f"{written(setting)}: uWSGI takes this for a file, and there is none"
            advice = (
                f"write {value}.py" if os.path.isfile(f"{name}.py") else "correct it; a module is written with dots"
            )
            if name.endswith((".py", ".wsgi")) and elsewhere(name, root, production):
                why, advice, severity = (
                    f"{written(setting)}: the file is not here",
                    "see that it is in production",
                    "info",
                )
        else:
            module = value.partition(":")[0]
            missing = not code.has(module, loaded.path) and not _installed(module, options, loaded.base)
            why = f"{written(setting)}: there is no module {module} in {', '.join(dict.fromkeys(loaded.path))}"
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
    if any(meant_for_spooler(name) for name, _ in options.unknown_ini):
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
        if (
            setting.name.startswith("spooler-")
            and option_name(setting) != "spooler-external"
            and setting.role == "option"
        ):
            why = f"{written(setting)}: no spooler is configured, so this has no effect"
            return [Finding("no-spooler", "error", setting.source, why, "add spooler = a directory")]
    if options.spoolers:
        return []
    place = next((s.source for s in settings if s.role == "option"), root)
    why = "no spooler is configured, so uWSGI runs no task and has no uwsgi.spool()"
    return [Finding("no-spooler", "info", place, why, "add spooler = a directory, if the app enqueues tasks")]


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


def _registers(inside: dict[str, Module], early: dict[str, Module], loaded: Loaded, root: str) -> list[Finding]:
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
    loaded: Loaded,
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
            loaded = Loaded(theirs, options, place)
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
