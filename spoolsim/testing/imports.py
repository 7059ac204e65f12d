"""What imports did to `uwsgi` and `uwsgidecorators`, remembered for each harness: no second import will do it."""

from __future__ import annotations

import sys
from types import ModuleType

from spoolsim.emulate import rpc
from spoolsim.testing.faults import is_library
from spoolsim.work import app as apps
from spoolsim.work.loading import run_code, run_file
from spoolsim.work.signals import Signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

    from spoolsim.work.app import App

    _Dict = dict[Any, Any]
    _List = list[Any]
else:
    _Dict, _List = dict, list

#: frames of these are the program that runs the tests, not an import
_PROGRAMS = frozenset(("__main__", "__channelexec__"))
DECORATORS = "uwsgidecorators"


class Registration:
    """Something that was done to `uwsgi` or `uwsgidecorators` during an import.

    owners: the modules being imported then, innermost first. kind: "attribute", "handler", "timed", "rpc", or the name
    of one of uwsgidecorators' tables.
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
        watch_decorators()  # they assign hooks when they are imported, before a function is registered with them


class RecordingSignals(Signals):
    """A signal table that remembers what is registered during imports; its pipe is a plain queue."""

    def register(self, number: int, target: str, handler: Callable[[int], Any]) -> None:
        super().register(number, target, handler)
        _remember("handler", self.number(number), (target, handler))

    def add(self, kind: str, number: int, *spec: Any) -> None:
        super().add(kind, number, *spec)
        _remember("timed", number, self.timed[-1])


class RecordingFunctions(rpc.Functions):
    """RPC functions that are remembered when they are registered during imports."""

    def __init__(self, app: App) -> None:
        super().__init__(app)
        self.by_name = Table("rpc")


class Table(_Dict):
    """Functions by name, which are remembered when they are registered during imports."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def __setitem__(self, name: object, value: object) -> None:
        super().__setitem__(name, value)
        _remember(self.kind, name, value)


class Chain(_List):
    """Functions in order, which are remembered when they are registered during imports."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def append(self, value: object) -> None:
        super().append(value)
        _remember(self.kind, None, value)


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


#: all that imports did, in the order of time, for the life of the process
registrations: list[Registration] = []
_nothing = ModuleType("nothing")
#: of ours, the names of what functions are registered in
TABLES, CHAIN = ("spooler_functions", "mule_functions"), "postfork_chain"
_decorators: ModuleType | None = None


def watch_decorators() -> None:
    """Give uwsgidecorators, where it is ours, tables that are remembered; once, with what is in them."""
    global _decorators
    there = sys.modules.get(DECORATORS)
    if there is None or not str(getattr(there, "__file__", "")).startswith(apps.SHIM):
        return
    if isinstance(getattr(there, CHAIN), Chain):
        return
    _decorators = there
    for kind in (*TABLES, CHAIN):
        before = getattr(there, kind)
        table: Any = Chain(kind) if kind == CHAIN else Table(kind)
        setattr(there, kind, table)
        for name, value in before.items() if kind != CHAIN else ((None, value) for value in before):
            registrations.append(Registration((_home(value),), kind, name, value))
        (table.extend if kind == CHAIN else table.update)(before)


def decorators() -> ModuleType | None:
    """Our uwsgidecorators, once it was imported."""
    return _decorators


def tables() -> dict[str, Any]:
    """What functions are registered in, by name; empty while nobody has imported uwsgidecorators."""
    there: Any = _decorators
    return {} if there is None else {kind: getattr(there, kind) for kind in (*TABLES, CHAIN)}


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


def was_imported(name: str) -> bool:
    """Did the import system make this module? A file given as an app has no spec."""
    return getattr(sys.modules.get(name), "__spec__", None) is not None


def uses(modules: set[str]) -> set[str]:
    """The modules that these hold something of, and so on, libraries left out."""
    found: set[str] = set()
    ahead = list(modules)
    while ahead:
        for value in list(vars(sys.modules.get(ahead.pop(), _nothing)).values()):
            name = value.__name__ if isinstance(value, ModuleType) else _home(value)
            if name in found or name in modules or name not in sys.modules:
                continue
            file = getattr(sys.modules[name], "__file__", None)
            if name == DECORATORS or (file and not is_library(file)):
                found.add(name)
                if name != DECORATORS:
                    ahead.append(name)
    return found


def _home(value: object) -> str:
    """The module that a function, a class or a decorated function is from."""
    for thing in (value, type(value)):
        name = getattr(thing, "__module__", None)
        if isinstance(name, str) and name != "builtins":
            return name
    return ""
