"""The `uwsgi` module inside a test process: one module object, made to speak for one harness after the other.

Modules of the user's app hold the module object that they imported, and pytest imports each of them once. So the
object stays the same and its content is made again for each harness; what modules assigned to it or registered with it
*while they were imported* (uwsgi.spooler, hooks, signals) is remembered and put back, since no second import
will do it. What a test assigns is gone with its harness.
"""

from __future__ import annotations

import os
import sys
from types import ModuleType

from spoolsim.emulate import rpc
from spoolsim.errors import HarnessError
from spoolsim.testing.faults import is_library
from spoolsim.work import app as apps
from spoolsim.work import installed
from spoolsim.work.loading import run_code, run_file
from spoolsim.work.signals import Signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import CodeType, FrameType
    from typing import Any

    from spoolsim.work.app import App

#: frames of these are the program that runs the tests, not an import
_PROGRAMS = frozenset(("__main__", "__channelexec__"))
_DECORATORS = "uwsgidecorators"


class Registration:
    """Something that was done to the `uwsgi` module during an import.

    owners: the modules being imported then, innermost first. kind: "attribute", "handler" or "timed".
    """

    __slots__ = ("kind", "name", "owners", "value")

    def __init__(self, owners: tuple[str, ...], kind: str, name: Any, value: Any) -> None:
        self.owners = owners
        self.kind = kind
        self.name = name
        self.value = value


class Recording(ModuleType):
    """The `uwsgi` module, which notices what is assigned to it."""

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        _remember("attribute", name, value)


class RecordingSignals(Signals):
    """A signal table that remembers what is registered during imports; its pipe is a plain queue."""

    def register(self, number: int, target: str, handler: Callable[[int], Any]) -> None:
        super().register(number, target, handler)
        _remember("handler", self.number(number), (target, handler))

    def add(self, kind: str, number: int, *spec: Any) -> None:
        super().add(kind, number, *spec)
        _remember("timed", number, self.timed[-1])


def _remember(kind: str, name: Any, value: Any) -> None:
    owners = importing()
    if owners:
        registrations.append(Registration(owners, kind, name, value))


def importing() -> tuple[str, ...]:
    """The modules that are being imported by whoever called us, innermost first; empty outside of an import."""
    owners = []
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_name == "<module>":
            name = frame.f_globals.get("__name__", "")
            if name not in _PROGRAMS:
                owners.append(name)
        frame = frame.f_back
    return tuple(owners)


_nothing = ModuleType("nothing")
#: the modules that harnesses named as their apps
_apps: set[str] = set()
#: all that imports did, in the order of time, for the life of the process
registrations: list[Registration] = []

_module: ModuleType | None = None
_code: CodeType | None = None
_decorators: ModuleType | None = None
#: the test module that runs now, and all of them; the plugin knows
test_module = ""
test_modules: frozenset[str] = frozenset()
#: the apps that are on: the last one speaks
_on: list[tuple[App, Callable[[], None], _Tables]] = []


def enter(app: App, *, path: Iterable[str] = (), env: Iterable[tuple[str, str]] = ()) -> None:
    """Let `import uwsgi` mean `app` from now on, also in child processes.

    path: directories put on sys.path. env: variables that are set. Both are taken back by `leave`.
    Raises HarnessError when another module is called `uwsgi`.
    """
    there = sys.modules.get("uwsgi")
    if there is not None and not hasattr(there, "_spoolsim"):
        where = getattr(there, "__file__", None) or type(there).__name__
        raise HarnessError(f"sys.modules['uwsgi'] is {where}, not spoolsim's module; a harness cannot speak for it")
    undo = _surroundings([apps.SHIM, *path], env)
    _on.append((app, undo, _Tables()))
    installed.install(app)
    module = _load(there)
    _fill(module, app)
    sys.modules["uwsgi"] = module
    if _decorators is not None:
        sys.modules.setdefault(_DECORATORS, _decorators)


def apply(app: App, modules: Sequence[str] = ()) -> None:
    """Put back what imports did.

    modules: the app, where a harness names one: what these did wins, then what the modules that they use did; what
        belongs to another harness's app alone is left out. None: everything but files run for another harness.

    What a test module did itself counts for its own tests alone, and wins there.
    """
    _apply(app, modules)
    for on, _, tables in _on:
        if on is app:
            tables.take()  # with what its imports did


def _apply(app: App, modules: Sequence[str]) -> None:
    assert _module is not None
    wanted = set(modules)
    _apps.update(wanted)
    used = _uses(wanted) if wanted else set()
    # without a name everything that the test imported counts; a file that a harness ran, nobody imported
    others = _apps - wanted - used if wanted else {name for name in _apps if not _was_imported(name)}

    def place(registration: Registration) -> int:
        if registration.owners[0] in test_modules:
            return 4 if registration.owners[0] == test_module else 0
        if wanted.intersection(registration.owners):
            return 3
        if used.intersection(registration.owners):
            return 2
        return 0 if others.intersection(registration.owners) else 1

    signals = app.signals
    signals.handlers.clear()
    signals.timed.clear()
    for registration in sorted(registrations, key=place):
        if not place(registration):
            continue
        if registration.kind == "attribute":
            _module.__dict__[registration.name] = registration.value
        elif registration.kind == "handler":
            signals.handlers[registration.name] = registration.value
        else:
            signals.timed.append(registration.value)


def import_once(kind: str, value: str) -> str:
    """Import as the option says, once for each process; returns the module's name. Raises what the import raises."""
    from importlib import import_module

    if kind == "eval":
        return run_code("uwsgi_eval_config", "uwsgi_eval_config", value).__name__
    if kind == "paste":
        import_module("paste.deploy").loadapp(value)
        return "paste.deploy"
    name, _, _ = value.partition(":")
    if kind in ("wsgi-file", "mount-file") or name.endswith(".py") or "/" in name:
        known = "uwsgi_file_" + "".join(c if c.isalnum() else "_" for c in name)
        if known not in sys.modules:
            known = run_file(name).__name__
        return known
    import_module(name)
    return name


def _was_imported(name: str) -> bool:
    """Did the import system make this module? A file given as an app has no spec."""
    return getattr(sys.modules.get(name), "__spec__", None) is not None


def _uses(modules: set[str]) -> set[str]:
    """The modules that these hold something of, and so on, libraries left out."""
    found: set[str] = set()
    ahead = list(modules)
    while ahead:
        for value in list(vars(sys.modules.get(ahead.pop(), _nothing)).values()):
            name = value.__name__ if isinstance(value, ModuleType) else _home(value)
            if name in found or name in modules or name not in sys.modules:
                continue
            file = getattr(sys.modules[name], "__file__", None)
            if name == _DECORATORS or (file and not is_library(file)):
                found.add(name)
                if name != _DECORATORS:
                    ahead.append(name)
    return found


def _home(value: object) -> str:
    """The module that a function, a class or a decorated function is from."""
    for thing in (value, type(value)):
        name = getattr(thing, "__module__", None)
        if isinstance(name, str) and name != "builtins":
            return name
    return ""


def leave(app: App) -> None:
    """Take the app off the stage; the one before it speaks again, or there is no `uwsgi` any more."""
    global _decorators
    number = next((number for number, (on, _, _) in enumerate(_on) if on is app), None)
    if number is None:
        return
    _, undo, tables = _on.pop(number)
    undo()
    tables.put_back()
    there = sys.modules.get(_DECORATORS)
    if there is not None and str(getattr(there, "__file__", "")).startswith(apps.SHIM):
        _decorators = there
    if _on:
        before = _on[-1][0]
        installed.install(before)
        _fill(_load(None), before)
        _apply(before, ())
        return
    installed.current = None
    for name, module in (("uwsgi", _module), (_DECORATORS, _decorators)):
        if module is not None and sys.modules.get(name) is module:
            del sys.modules[name]


def _load(there: ModuleType | None) -> ModuleType:
    """The one module object."""
    global _module, _code
    if _module is None:
        from importlib.util import module_from_spec, spec_from_file_location

        spec = spec_from_file_location("uwsgi", os.path.join(apps.SHIM, "uwsgi.py"))
        assert spec is not None and spec.loader is not None
        _module = there or module_from_spec(spec)
        _code = spec.loader.get_code("uwsgi")  # type: ignore[attr-defined]  # a file loader has it
        _module.__class__ = Recording
    return _module


def _fill(module: ModuleType, app: App) -> None:
    """Make the module's content again; functions that the app imported from it keep working: they share the dict."""
    names = module.__dict__
    for name in [name for name in names if not name.startswith("__")]:
        del names[name]
    assert _code is not None
    exec(_code, names)
    app.signals.timed.clear()
    app.signals.handlers.clear()


class _Tables:
    """What is registered under names, by decorators and register_rpc, to be put back.

    What a module registered that was imported since stays: no second import will do it.
    """

    def __init__(self) -> None:
        self.take()

    def take(self) -> None:
        """As it is now."""
        self._modules = dict(sys.modules)
        self._before = [table.copy() for table in _registered()]

    def put_back(self) -> None:
        """As it was."""
        for number, table in enumerate(_registered()):
            old = self._before[number] if number < len(self._before) else type(table)()
            if isinstance(table, list):
                table[:] = old + [one for one in table if one not in old and self._stays(one)]
            else:
                new = {name: one for name, one in table.items() if one is not old.get(name) and self._stays(one)}
                table.clear()
                table.update(old | new)

    def _stays(self, function: Any) -> bool:
        name = getattr(function, "__module__", "")
        return sys.modules.get(name) is not self._modules.get(name)


def _registered() -> list[Any]:
    """The dicts and lists of functions that the modules of this process hold; the decorators' may come later."""
    found: list[Any] = [rpc._functions]
    decorators: Any = sys.modules.get(_DECORATORS) or _decorators
    if decorators is not None and str(getattr(decorators, "__file__", "")).startswith(apps.SHIM):
        found += [decorators.spooler_functions, decorators.mule_functions, decorators.postfork_chain]
    return found


def _surroundings(path: list[str], env: Iterable[tuple[str, str]]) -> Callable[[], None]:
    """Add to sys.path and os.environ; returns the function that takes it back."""
    added = [entry for entry in path if entry not in sys.path]
    sys.path[:0] = added
    before: dict[str, str | None] = {}
    inherited = os.environ.get("PYTHONPATH", "")
    for key, value in (("PYTHONPATH", os.pathsep.join(part for part in (apps.SHIM, inherited) if part)), *env):
        before.setdefault(key, os.environ.get(key))
        os.environ[key] = value

    def undo() -> None:
        for entry in added:
            if entry in sys.path:
                sys.path.remove(entry)
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value

    return undo
