"""The `uwsgi` module inside a test process: one module object, whose content is swapped for each harness.

Modules of the user's app hold the module object that they imported, and pytest imports each of them once. So the
object stays the same, and its content is that of the active harness: the one made last, or the one that runs tasks.
What modules assigned to it or registered with it *while they were imported* (uwsgi.spooler, hooks, signals, functions)
is remembered and given to each harness that follows, since no second import will do it. What a test assigns is gone
with its harness.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from types import ModuleType

from spoolsim.emulate import rpc
from spoolsim.errors import HarnessError
from spoolsim.testing import imports
from spoolsim.work import app as apps
from spoolsim.work import installed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import CodeType
    from typing import Any

    from spoolsim.work.app import App

#: the modules that harnesses named as their apps
_apps: set[str] = set()

_module: ModuleType | None = None
_code: CodeType | None = None
#: the test module that runs now, and all of them; the plugin knows
test_module = ""
test_modules: frozenset[str] = frozenset()
#: those that have entered, and the active one, which `import uwsgi` means
_instances: list[_Instance] = []
_current: _Instance | None = None
#: what the environment variables that they set were before any of them, and what they have put on sys.path
_before: dict[str, str | None] = {}
_added: set[str] = set()


class _Instance:
    """One app that has entered, with its content of the modules: kept here while another one is active.

    path: directories put on sys.path. env: variables that are set. Both stay until the app leaves.
    """

    __slots__ = ("_names", "_seen", "_tables", "app", "env", "modules", "path")

    def __init__(self, app: App, path: list[str], env: Iterable[tuple[str, str]]) -> None:
        self.app = app
        #: the app's, where the harness names one
        self.modules: set[str] = set()
        self.path = path
        added = [entry for entry in path if entry not in sys.path]
        sys.path[:0] = added
        _added.update(added)
        inherited = os.environ.get("PYTHONPATH", "")
        self.env: dict[str, str | None] = {
            "PYTHONPATH": os.pathsep.join(part for part in (apps.SHIM, inherited) if part),
            **dict(env),
        }
        for key in self.env:
            _before.setdefault(key, os.environ.get(key))
        self._names: dict[str, Any] | None = None
        self._tables: dict[str, Any] = {}
        self._seen = 0

    def begin(self) -> None:
        """It is active from now on."""
        for key, value in self.env.items():
            _set(key, value)
        installed.install(self.app)
        module = _load(sys.modules.get("uwsgi"))
        names = module.__dict__
        for name in [name for name in names if not name.startswith("__")]:
            del names[name]
        for kind, table in imports.tables().items():
            table.clear()
            (table.extend if kind == imports.CHAIN else table.update)(self._tables.get(kind, ()))
        if self._names is None:
            assert _code is not None
            # functions that the app imported from the module keep working: they share its dictionary
            exec(_code, names)
        else:
            names.update(self._names)
            _take(self.app, self.modules, imports.registrations[self._seen :], over=False)
        sys.modules["uwsgi"] = module
        if (decorators := imports.decorators()) is not None:
            sys.modules.setdefault(imports.DECORATORS, decorators)

    def pause(self) -> None:
        """Another one is active from now on."""
        assert _module is not None
        self._names = {name: value for name, value in _module.__dict__.items() if not name.startswith("__")}
        self._tables = {kind: table.copy() for kind, table in imports.tables().items()}
        self._seen = len(imports.registrations)
        self.env = {key: os.environ.get(key) for key in self.env}

    def leave(self) -> None:
        """Take its path and its variables back; those that another one has set, too, are that one's."""
        kept = {entry for instance in _instances for entry in instance.path}
        for entry in _added.intersection(self.path) - kept:
            _added.remove(entry)
            if entry in sys.path:
                sys.path.remove(entry)
        for key in self.env:
            other = next((instance for instance in reversed(_instances) if key in instance.env), None)
            _set(key, _before.pop(key) if other is None else other.env[key])


def _set(key: str, value: str | None) -> None:
    """Set an environment variable; None: unset it."""
    if value is None:
        os.environ.pop(key, None)
    else:
        os.environ[key] = value


def _activate(instance: _Instance | None) -> None:
    """Let this one be active; None: then there is no `uwsgi` any more."""
    global _current
    if _current is not None:
        _current.pause()
    _current = instance
    if instance is not None:
        instance.begin()
        return
    installed.current = None
    for name, module in (("uwsgi", _module), (imports.DECORATORS, imports.decorators())):
        if module is not None and sys.modules.get(name) is module:
            del sys.modules[name]


@contextmanager
def active(app: App) -> Iterator[None]:
    """A context in which `import uwsgi` means this app, also where another one has entered later."""
    before = _current
    if before is None or before.app is app:
        yield
        return
    _activate(next(instance for instance in _instances if instance.app is app))
    try:
        yield
    finally:
        _activate(before if before in _instances else _instances[-1] if _instances else None)


def enter(app: App, *, path: Iterable[str] = (), env: Iterable[tuple[str, str]] = ()) -> None:
    """Let `import uwsgi` mean `app` from now on, also in child processes.

    path: directories put on sys.path. env: variables that are set. Both are taken back by `leave`.
    Raises HarnessError when another module is called `uwsgi`.
    """
    there = sys.modules.get("uwsgi")
    if there is not None and not hasattr(there, "_spoolsim"):
        where = getattr(there, "__file__", None) or type(there).__name__
        raise HarnessError(f"sys.modules['uwsgi'] is {where}, not spoolsim's module; a harness cannot take its place")
    instance = _Instance(app, [apps.SHIM, *path], env)
    _instances.append(instance)
    app.parts[rpc.Functions] = imports.RecordingFunctions(app)
    _activate(instance)
    imports.watch_decorators()


def apply(app: App, modules: Sequence[str] = ()) -> None:
    """Put back what imports did.

    modules: the app, where a harness names one: what these did wins, then what the modules that they use did; what
        belongs to another harness's app alone is left out. None: everything but files run for another harness.

    What a test module did itself counts for its own tests alone, and wins there. Functions are known to all, as long
    as no name is taken twice.
    """
    wanted = set(modules)
    _apps.update(wanted)
    for instance in _instances:
        if instance.app is app:
            instance.modules = wanted
    app.signals.handlers.clear()
    app.signals.timed.clear()
    for table in imports.tables().values():
        table.clear()
    _take(app, wanted, imports.registrations)


def _take(app: App, wanted: set[str], done: Sequence[imports.Registration], *, over: bool = True) -> None:
    """Of what imports did, do again what concerns an app, so that the nearest wins.

    wanted: the app's modules; none where its harness does not name one.
    """
    if not done:
        return
    used = imports.uses(wanted) if wanted else set()
    # without a name everything that the test imported counts; a file that a harness ran, nobody imported
    others = _apps - wanted - used if wanted else {name for name in _apps if not imports.was_imported(name)}

    def place(registration: imports.Registration) -> int:
        if registration.owners[0] in test_modules:
            return 4 if registration.owners[0] == test_module else 0
        if wanted.intersection(registration.owners):
            return 3
        if used.intersection(registration.owners):
            return 2
        return 0 if others.intersection(registration.owners) else 1

    for registration in sorted(done, key=place, reverse=not over):
        if place(registration) or registration.kind in (*imports.TABLES, "rpc"):
            _put(app, registration, over=over)


def _put(app: App, registration: imports.Registration, *, over: bool = True) -> None:
    """Do again what an import did; over: also where the app, or its test, has set something else since."""
    kind, name, value = registration.kind, registration.name, registration.value
    if kind == "timed":
        app.signals.timed.append(value)
        return
    if kind == imports.CHAIN:
        chain = imports.tables().get(imports.CHAIN)
        if chain is not None and value not in chain:
            list.append(chain, value)
        return
    assert _module is not None
    place: dict[Any, Any] | None
    if kind == "attribute":
        place = _module.__dict__
    elif kind == "handler":
        place = app.signals.handlers
    elif kind == "rpc":
        place = app.part(rpc.Functions).by_name
    else:
        place = imports.tables().get(kind)
    if place is not None and (over or name not in place):
        dict.__setitem__(place, name, value)


def leave(app: App) -> None:
    """Take the app out; the one before it is active again, or there is no `uwsgi` any more."""
    global _current
    instance = next((instance for instance in _instances if instance.app is app), None)
    if instance is None:
        return
    _instances.remove(instance)
    current, _current = _current, None
    if current is not None:
        current.pause()
    instance.leave()
    _activate(current if current in _instances else _instances[-1] if _instances else None)


def _load(there: ModuleType | None) -> ModuleType:
    """The one module object."""
    global _module, _code
    if _module is None:
        from importlib.util import module_from_spec, spec_from_file_location

        spec = spec_from_file_location("uwsgi", os.path.join(apps.SHIM, "uwsgi.py"))
        assert spec is not None and spec.loader is not None
        _module = there or module_from_spec(spec)
        _code = spec.loader.get_code("uwsgi")  # type: ignore[attr-defined]  # a file loader has it
        _module.__class__ = imports.Recording
    return _module
