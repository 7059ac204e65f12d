"""Where the processes of one instance find what they share."""

from __future__ import annotations

import os

from spoolsim import system
from spoolsim.spool.directory import SpoolDir, own
from spoolsim.work import program
from spoolsim.work.alive import alive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from spoolsim.work.app import App

SHARED = "shared"
_made: dict[str, str] = {}


def shared(app: App, kind: str) -> str:
    """The path of this instance's shared file of a kind ("db", "locks"); its directory is made."""
    instance = program.instance()
    path = _made.get(instance)
    if path is None:
        home = _home(app)
        _sweep(home)
        path = _made[instance] = os.path.join(home, instance)
    return f"{path}.{kind}"


def _home(app: App) -> str:
    """`.spoolsim/shared` of the first directory that is served here; without one, of a temporary place."""
    served = [directory for directory, _ in app.directories if not directory.external]
    if served:
        return served[0].make_state_dir(SHARED)
    outside = os.path.join(os.environ.get("TMPDIR", "/tmp"), f"spoolsim-{system.getuid()}")
    os.makedirs(outside, 0o700, exist_ok=True)
    own(outside, root_may=False)
    return SpoolDir(outside).make_state_dir(SHARED)


def _sweep(home: str) -> None:
    """Remove what dead instances left; the file's name begins with the pid of the instance."""
    for name in os.listdir(home):
        pid = name.partition("-")[0]
        if pid.isdigit() and not alive(int(pid)):
            try:
                os.unlink(os.path.join(home, name))
            except FileNotFoundError:
                pass
