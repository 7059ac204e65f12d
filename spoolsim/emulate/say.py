"""What an emulation says once in a run."""

from __future__ import annotations

from spoolsim.diagnose import BY_CODE
from spoolsim.work import app as apps


def production(code: str, name: str) -> None:
    """Give a production note about uwsgi.NAME(), unless it is silenced or under --faithful."""
    if code in BY_CODE:
        apps.in_this_process().note(code, f"uwsgi.{name}()")


def once(name: str, text: str) -> None:
    """A diagnosis about uwsgi.NAME(), once in a run, never under --faithful."""
    app = apps.in_this_process()
    if app.policy.explains and app.said.first(name, text):
        app.log.say(f"uwsgi.{name}(): {text}")
