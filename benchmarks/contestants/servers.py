"""The two spoolers: the real uWSGI and spoolsim, started with the same options and the same app."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

from benchmarks.apps import marks
from benchmarks.contestants import Missing
from benchmarks.instance import Instance
from benchmarks.rooms import Room
from spoolsim import options
from tests.oracle.launchers import NoOracle, find_uwsgi, uwsgi_version

APPS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "apps")


class Server:
    """A contestant that serves a spool directory. name: as in the table."""

    name = ""

    def check(self) -> str:
        """Which version it is. Raises Missing."""
        raise NotImplementedError

    def command(self, room: Room, *, worker: bool) -> list[str]:
        """The command line before the options that both share; `worker`: with something like a web worker."""
        raise NotImplementedError

    def start(
        self,
        room: Room,
        app: str,
        *,
        processes: int = 1,
        ordered: bool = False,
        external: bool = False,
        worker: bool = False,
        more: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
    ) -> Instance:
        """Start it on a room, quiet, with an app of the folder apps/ (or a path); uWSGI's own options for both.

        prefix: a command that runs it, such as a tracer.
        """
        argv = [*prefix, *self.command(room, worker=worker), "--spooler-quiet"]
        # uWSGI counts the processes when it meets the directory: this option has to come first
        argv += ["--spooler-processes", str(processes)] if processes != 1 else []
        argv += ["--spooler-external" if external else "--spooler", room.spool]
        argv += ["--spooler-ordered"] if ordered else []
        argv += ["--pythonpath", APPS]
        argv += ["--spooler-import" if app.endswith(".py") else "--import", app, *more]
        return Instance(argv, room.home, {marks.HOME: room.marks, **(env or {})})


class Uwsgi(Server):
    """The real uWSGI."""

    name = "uwsgi"

    def check(self) -> str:
        try:
            self._binary = find_uwsgi()
        except NoOracle as error:
            raise Missing(str(error)) from None
        return f"uWSGI {uwsgi_version(self._binary)}"

    def command(self, room: Room, *, worker: bool) -> list[str]:
        socket = ["--socket", os.path.join(room.marks, "socket"), "--processes", "1"] if worker else []
        return [self._binary, "--master", *socket]


class Spoolsim(Server):
    """spoolsim, as `spoolsim run` gives it."""

    name = "spoolsim"
    extra: Sequence[str] = ()

    def check(self) -> str:
        import spoolsim

        return f"spoolsim {spoolsim.__version__}"

    def command(self, room: Room, *, worker: bool) -> list[str]:
        standing = ["--stand-in-worker"] if worker else []
        return [sys.executable, "-m", "spoolsim", "run", *standing, *self.extra]


class SpoolsimInline(Spoolsim):
    """spoolsim in one process, in the foreground."""

    name = "spoolsim --inline"
    extra = ("--inline",)


class SpoolsimNoJournal(Spoolsim):
    """spoolsim with its journal off, to show the journal's share."""

    name = "spoolsim, no journal"
    extra = ("--no-journal",)

    def check(self) -> str:
        if not any("no-journal" in (option.name, *option.aliases) for option in options.OPTIONS):
            raise Missing("this spoolsim has no option --no-journal: the journal's share cannot be shown")
        return super().check()
