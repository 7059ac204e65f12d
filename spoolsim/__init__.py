"""spoolsim: the uWSGI spooler without uWSGI, to run, test and understand spooler jobs locally."""

from __future__ import annotations

__version__ = "0.1.0"
__all__ = ["NotEmulated", "Section", "Spooler", "__version__", "install"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from spoolsim.cli.install import install
    from spoolsim.errors import NotEmulated
    from spoolsim.section import Section, Spooler


#: name -> the module it is in
_LAZY = {
    "NotEmulated": "spoolsim.errors",
    "Section": "spoolsim.section",
    "Spooler": "spoolsim.section",
    "install": "spoolsim.cli.install",
}


def __getattr__(name: str) -> object:
    # Every process of a run imports this package; the names above are for people's scripts alone.
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'spoolsim' has no attribute {name!r}")
