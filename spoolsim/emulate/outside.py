"""What needs a master, called in a program that none has forked: a web server under `dev` or `exec`, a script."""

from __future__ import annotations

from spoolsim.emulate import missing, say
from spoolsim.work import app as apps
from spoolsim.work import program


def signal(number: int) -> None:
    """uwsgi.signal(): hand a signal to the master of the run. NotEmulated when none runs on our directory."""
    app = apps.in_this_process()
    number = app.signals.number(number)
    try:
        sent = program.send_signal(app, number)
    except BlockingIOError:
        app.log.line(f"could not deliver signal {number} to the master: too many wait there", "error")
        return
    if not sent:
        missing.refuse("signal", "any process, which hands it to the master; here no master serves the spool directory")


def signal_registered(number: int) -> bool | None:
    """uwsgi.signal_registered(): has this program or the run a handler?"""
    app = apps.in_this_process()
    number = app.signals.number(number)
    return True if number in app.signals.handlers or program.signal_registered(app, number) else None


def timed(name: str, number: int) -> None:
    """After uwsgi.add_timer() and the like: say where it fires, unless a run has a handler for the signal."""
    app = apps.in_this_process()
    if not program.signal_registered(app, app.signals.number(number)):
        say.once(name, "nothing fires in this program: `spoolsim run` of the module that calls it raises the signal")


def set_user_harakiri(seconds: int) -> None:
    """uwsgi.set_user_harakiri(): say that nobody strikes."""
    if seconds > 0:
        say.once("set_user_harakiri", "nobody kills this process here; in uWSGI the master kills its workers")
