"""What is not emulated says so when it is called."""

from __future__ import annotations

from spoolsim.errors import NotEmulated
from spoolsim.work import app as apps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def refuse(name: str, where: str) -> None:
    """Raise NotEmulated for a call of uwsgi.NAME(); with --not-emulated=warn say so once and return None."""
    app = apps.in_this_process()
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
