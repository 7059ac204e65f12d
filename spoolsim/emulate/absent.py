"""Mules, farms, legions, embedded files: what an instance has without the options that make them.

The answers are those of a uWSGI that has none of them either. Where the configuration asks for them they would be
there in production, and the call is NotEmulated.
"""

from __future__ import annotations

from spoolsim.emulate import missing, say
from spoolsim.emulate.arguments import text, text_or_bytes
from spoolsim.emulate.surface import SCHEMES
from spoolsim.work import app as apps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType

_MULES = ("mule", "mules", "farm")
_LEGIONS = ("legion", "legion-mcast")


def _configured(options: tuple[str, ...]) -> bool:
    opt = apps.in_this_process().options.opt
    return any(option in opt for option in options)


def mule_msg(message: str | bytes, mule: int | str = 0, /) -> bool | None:
    """Hand a message to a mule. Raises ValueError: there is none."""
    text_or_bytes(message)
    if _configured(_MULES):
        missing.refuse("mule_msg", "any process, which hands the message to a mule; spoolsim has no mules")
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
        missing.refuse("farm_msg", "any process, which hands the message to a farm's mule; spoolsim has no mules")
    else:
        say.once("farm_msg", f"there is no farm {farm!r}: the message is dropped, as in uWSGI")


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
        missing.refuse("i_am_the_lord", "any process of a legion's node")
    return False


def lord_scroll(legion: str, /) -> bytes | None:
    """The scroll of a legion's lord, or None."""
    text("lord_scroll", legion)
    if _configured(_LEGIONS):
        missing.refuse("lord_scroll", "any process of a legion's node")
    return None


def scrolls(legion: str, /) -> list[bytes] | None:
    """The scrolls of a legion's nodes, or None."""
    text("scrolls", legion)
    if _configured(_LEGIONS):
        missing.refuse("scrolls", "any process of a legion's node")
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
        missing.refuse("ZipImporter", SCHEMES)
