"""What stands in for the parts of uWSGI that are not here: a call says so, or answers as a uWSGI without them.

Without a master (a web server under `dev` or `exec`, a script) signals and timers go to the run, if there is one.
Without a web request its variables are the thread's. Without mules, farms, legions and embedded files the answers are
those of a uWSGI that has none of them either; where the configuration asks for them they would be there in
production, and the call is NotEmulated.
"""

from __future__ import annotations

from _thread import _local

from spoolsim.diagnose import BY_CODE
from spoolsim.emulate.arguments import text, text_or_bytes
from spoolsim.errors import NotEmulated
from spoolsim.work import app as apps
from spoolsim.work import program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

#: where uWSGI runs what reads files of its own kinds
SCHEMES = "any process: it reads through uWSGI's own schemes (http, sym, fd and more)"
_MULES = ("mule", "mules", "farm")
_LEGIONS = ("legion", "legion-mcast")


def note(code: str, name: str) -> None:
    """Give a production note about uwsgi.NAME(), unless it is silenced or under --faithful."""
    if code in BY_CODE:
        program.in_this_process().note(code, f"uwsgi.{name}()")


def say_once(name: str, text: str) -> None:
    """A diagnosis about uwsgi.NAME(), once in a run, never under --faithful."""
    app = program.in_this_process()
    if app.policy.explains and app.said.first(name, text):
        app.log.say(f"uwsgi.{name}(): {text}")


def refuse(name: str, where: str) -> None:
    """Raise NotEmulated for a call of uwsgi.NAME(); with --not-emulated=warn say so once and return None."""
    app = program.in_this_process()
    sentence = f"uwsgi.{name}() is not emulated: uWSGI runs it in {where}"
    if app.options.not_emulated != "warn":
        raise NotEmulated(sentence)
    if app.said.first("not emulated", name):
        app.log.say(f"{sentence}; it returns None here")


def function(name: str, where: str) -> Callable[..., Any]:
    """A stand-in for uwsgi.NAME."""

    def stand_in(*args: object, **kwargs: object) -> None:
        refuse(name, where)

    stand_in.__name__ = stand_in.__qualname__ = name
    stand_in.__doc__ = f"Not emulated: uWSGI runs it in {where}. Raises NotEmulated."
    return stand_in


# ---- without a master ----


def signal(number: int) -> None:
    """uwsgi.signal(): hand a signal to the master of the run. NotEmulated when none runs on our directory."""
    app = program.in_this_process()
    number = app.signals.number(number)
    try:
        sent = program.send_signal(app, number)
    except BlockingIOError:
        app.log.line(f"could not deliver signal {number} to the master: too many wait there", "error")
        return
    if not sent:
        refuse("signal", "any process, which hands it to the master; here no master serves the spool directory")


def signal_registered(number: int) -> bool | None:
    """uwsgi.signal_registered(): has this program or the run a handler?"""
    app = program.in_this_process()
    number = app.signals.number(number)
    return True if number in app.signals.handlers or program.signal_registered(app, number) else None


def timed(name: str, number: int) -> None:
    """After uwsgi.add_timer() and the like: say where it fires, unless a run has a handler for the signal."""
    app = program.in_this_process()
    if not program.signal_registered(app, app.signals.number(number)):
        say_once(name, "nothing fires in this program: `spoolsim run` of the module that calls it raises the signal")


def set_user_harakiri(seconds: int) -> None:
    """uwsgi.set_user_harakiri(): say that nobody strikes."""
    if seconds > 0:
        say_once("set_user_harakiri", "nobody kills this process here; in uWSGI the master kills its workers")


# ---- without a web request ----


class _Variables(_local):
    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}


class LogVariables(apps.Part):
    """What set_logvar() has set, by thread."""

    def __init__(self, app: apps.App) -> None:
        super().__init__(app)
        self.of_thread = _Variables()


def _logvars() -> dict[bytes, bytes]:
    return program.in_this_process().part(LogVariables).of_thread.values


def set_logvar(key: str | bytes, value: str | bytes, /) -> None:
    """Set a variable of the request's log line; here one of the thread, which uwsgi.get_logvar() gives back."""
    name, content = text_or_bytes(key), text_or_bytes(value)
    if not _without_request("set_logvar"):
        _logvars()[name] = content


def get_logvar(key: str | bytes, /) -> bytes | None:
    """A variable set with set_logvar(), or None."""
    name = text_or_bytes(key)
    return None if _without_request("get_logvar") else _logvars().get(name)


def log_this_request() -> None:
    """Log this request though logging is off; here the web server that runs the app writes its own log."""
    say_once("log_this_request", "there is no request log here: the server that runs the app writes its own")


def _without_request(name: str) -> bool:
    """Are we where uWSGI has no request, and crashes?"""
    if program.in_this_process().role in (apps.WORKER, apps.PROGRAM):
        return False
    refuse(name, "a web worker, during a request; outside of one it crashes the process")
    return True


# ---- without mules, farms, legions and embedded files ----


def _configured(options: tuple[str, ...]) -> bool:
    opt = program.in_this_process().options.opt
    return any(option in opt for option in options)


def mule_msg(message: str | bytes, mule: int | str = 0, /) -> bool | None:
    """Hand a message to a mule. Raises ValueError: there is none."""
    text_or_bytes(message)
    if _configured(_MULES):
        refuse("mule_msg", "any process, which hands the message to a mule; spoolsim has no mules")
        return None
    raise ValueError("no mule configured")


def mule_get_msg(signals: bool = True, farms: bool = True, buffer_size: int = 65536, timeout: int = -1) -> bytes:
    """Wait for a message. Raises ValueError: this is no mule."""
    raise ValueError("you can receive mule messages only in a mule !!!")


def farm_msg(farm: str, message: str | bytes, /) -> None:
    """Hand a message to the mules of a farm: there is none."""
    text("farm_msg", farm)
    text_or_bytes(message)
    if _configured(_MULES):
        refuse("farm_msg", "any process, which hands the message to a farm's mule; spoolsim has no mules")
    else:
        say_once("farm_msg", f"there is no farm {farm!r}: the message is dropped, as in uWSGI")


def farm_get_msg() -> bytes:
    """Wait for a message. Raises ValueError: this is no mule."""
    raise ValueError("you can receive farm messages only in a mule !!!")


def in_farm(farm: str = "", /) -> bool | None:
    """True in a mule of the farm, else None."""
    return None


def i_am_the_lord(legion: str, /) -> bool:
    """Is this node the lord of a legion?"""
    text("i_am_the_lord", legion)
    if _configured(_LEGIONS):
        refuse("i_am_the_lord", "any process of a legion's node")
    return False


def lord_scroll(legion: str, /) -> bytes | None:
    """The scroll of a legion's lord, or None."""
    text("lord_scroll", legion)
    if _configured(_LEGIONS):
        refuse("lord_scroll", "any process of a legion's node")
    return None


def scrolls(legion: str, /) -> list[bytes] | None:
    """The scrolls of a legion's nodes, or None."""
    text("scrolls", legion)
    if _configured(_LEGIONS):
        refuse("scrolls", "any process of a legion's node")
    return None


def embedded_data(symbol: str, /) -> bytes:
    """A file that was built into the uwsgi program. Raises ValueError: there is none."""
    raise ValueError(f"unable to find symbol {text('embedded_data', symbol)}")


class SymbolsImporter:
    """Finds modules that were built into the uwsgi program: there are none."""

    def __init__(self, *args: object) -> None:
        pass

    def find_module(self, name: str, path: object = None, /) -> None:
        """None: it is not here."""

    def load_module(self, name: str, /) -> ModuleType:
        """Raises ImportError."""
        raise ImportError(f"no module {name!r} is built into spoolsim")


class SymbolsZipImporter(SymbolsImporter):
    """Finds modules in a zip file that was built into the uwsgi program: there are none."""

    def __init__(self, symbol: str, /) -> None:
        raise ValueError("unable to find symbol")


class ZipImporter(SymbolsImporter):
    """Finds modules in a zip file that uWSGI reads through its own schemes. Raises NotEmulated."""

    def __init__(self, *args: object) -> None:
        refuse("ZipImporter", SCHEMES)
