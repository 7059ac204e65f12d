"""The app of this process: what `import uwsgi` talks to, and in whose log errors are printed."""

from __future__ import annotations

from spoolsim.work import trace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from spoolsim.work.app import App

#: this process's App, once there is one
current: App | None = None


def install(app: App) -> App:
    """Make `app` what `import uwsgi` talks to in this process."""
    global current
    current = app
    return app


def print_error(about: str = "") -> None:
    """Print the exception being handled as Python would, through sys.excepthook, less our own frames at its top.

    A hook that fails, or a standard error that is not there, is not ours to die of: then it goes to descriptor 2.
    about: what raised it, in words.
    """
    trace.show(current, about)
