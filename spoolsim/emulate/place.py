"""Where the processes of one instance find what they share."""

from __future__ import annotations

import os

from spoolsim import system
from spoolsim.spool.directory import SpoolDir, own
from spoolsim.work import program
from spoolsim.work.alive import alive
from spoolsim.work.app import Part

TYPE_CHECKING = False
if TYPE_CHECKING:
    from spoolsim.work.app import App

SHARED = "shared"


class Place(Part):
    """The directory of this instance's shared files, which is made, and cleared of what dead instances left."""

    def __init__(self, app: App) -> None:
        super().__init__(app)
        home = _home(app)
        _sweep(home)
        self._path = os.path.join(home, program.instance(app))

    def file(self, kind: str) -> str:
        """The path of the shared file of a kind: "db" or "locks"."""
        return f"{self._path}.{kind}"


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
