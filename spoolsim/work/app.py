"""The app: what `import uwsgi` talks to in this process, and the only place where user code is imported."""

from __future__ import annotations

import os
import sys

from spoolsim.diagnose import Notes
from spoolsim.errors import AppError
from spoolsim.spool.directory import SpoolDir
from spoolsim.spool.enqueue import Producer
from spoolsim.work import limits, trace
from spoolsim.work.loading import Loader
from spoolsim.work.said import Said
from spoolsim.work.signals import Crew, Signals
from spoolsim.work.variables import set_variables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any, TypeVar

    from spoolsim.log import Log
    from spoolsim.options import Options
    from spoolsim.work.capture import Capture
    from spoolsim.work.scoreboard import Scoreboard

    P = TypeVar("P", bound="Part")

#: the directory that holds our uwsgi.py and uwsgidecorators.py; it is put on the app's path, never installed
SHIM = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "shim")

#: what handler() gives when the app has set none; None itself is a handler that cannot be called
NO_HANDLER: object = object()

#: how the paths of our own source files begin
OURS = trace.OURS

#: what this process is, in uWSGI's terms
MASTER, SPOOLER, WORKER, PROGRAM = "master", "spooler", "worker", "program"


class Part:
    """What a part of the emulation keeps for one instance: the base of its own class, of which each App has one."""

    def __init__(self, app: App) -> None:
        self.app = app

    def close(self) -> None:
        """Give up what this process has open of it."""


class App:
    """One process's view of the emulated uWSGI.

    options: the effective configuration. role: MASTER while the app is imported, then SPOOLER or WORKER in a
        forked process, PROGRAM in a process of the user's own.
    directories: one entry for each spooler process, as in uwsgi.spoolers: (directory, slot), slot -1 if external.
    board: the scoreboard, None in a process without workers.
    said: what all processes of a run have said; this process alone, if it is None.
    generation: how often the app was imported in this run, with this time; 0 where nobody counts.
    """

    __slots__ = (
        "board",
        "born",
        "capture",
        "directories",
        "folds",
        "generation",
        "harakiri_word",
        "instance",
        "loader",
        "log",
        "master_pid",
        "notes",
        "options",
        "parts",
        "policy",
        "producer",
        "role",
        "said",
        "set_frequency",
        "signals",
        "started",
        "worker_id",
    )

    def __init__(
        self,
        options: Options,
        directories: Sequence[tuple[SpoolDir, int]],
        log: Log,
        *,
        role: str = MASTER,
        board: Scoreboard | None = None,
        stamp: bool = False,
        said: Said | None = None,
        generation: int = 0,
    ) -> None:
        self.options = options
        self.policy = options.policy
        self.directories = tuple(directories)
        self.log = log
        self.role = role
        self.board = board
        self.master_pid = os.getpid()
        self.worker_id = 0
        #: the name of what shares cache, metrics and locks; program.instance() asks for it
        self.instance = ""
        self.parts: dict[type[Part], Any] = {}
        self.started = 0
        self.set_frequency = 0
        self.loader = Loader(options, log, self.print_error)
        #: where set_user_harakiri writes its deadline: a word of the scoreboard
        self.harakiri_word: Callable[[int], None] | None = None
        #: of what tasks print and raise, for the history; None where nobody keeps it
        self.capture: Capture | None = None
        #: what was said once, in the whole run
        self.said = said or Said()
        #: a traceback that was printed before is one line
        self.folds = options.policy.folds_tracebacks
        #: the process that imports the app: a new one after each reload
        self.born = os.getpid()
        self.generation = generation
        self.notes = Notes(log.note, silenced=options.silence, enabled=options.policy.explains, first=self.said.first)
        self.signals = Signals(log, self.notes, policy=options.policy, crew=Crew.of(options))
        unique = {directory.path: directory for directory, _ in reversed(self.directories)}
        self.producer = Producer(
            [unique[path] for path in dict.fromkeys(directory.path for directory, _ in self.directories)],
            log=log,
            notes=self.notes,
            ordered=options.ordered,
            policy=options.policy,
            quiet=options.quiet,
            stamp=stamp,
            durable=options.durable,
        )

    def part(self, kind: type[P]) -> P:
        """This instance's one object of a kind, such as its locks; made at its first use."""
        found: P | None = self.parts.get(kind)
        if found is None:
            found = self.parts[kind] = kind(self)
        return found

    def close(self) -> None:
        """Give up what this process has open of the instance."""
        for part in self.parts.values():
            part.close()
        self.parts.clear()

    def become(self, role: str, *, worker_id: int = 0) -> None:
        """This process is a fork with a role of its own now."""
        self.role = role
        self.worker_id = worker_id

    def logged(self, line: str) -> None:
        """`uwsgi.log`: a line of the app's."""
        self.log.line(line)
        if self.capture is not None:
            self.capture.wrote(line)

    def print_error(self) -> None:
        """Print the exception being handled, which the app's code has raised."""
        trace.show(self)

    def note(self, code: str, about: str = "", detail: str = "") -> None:
        """Give a production note; the name that our decorators call."""
        self.notes.give(code, about, detail)

    def module(self) -> ModuleType:
        """The `uwsgi` module as the app sees it. Raises AppError when something else has taken the name."""
        module = sys.modules.get("uwsgi")
        if module is None:
            import uwsgi  # ours, found through the shim directory

            module = uwsgi
        if not hasattr(module, "_spoolsim"):
            where = getattr(module, "__file__", None) or "built in"
            raise AppError(f"`import uwsgi` finds {where}, not spoolsim's module; rename that file")
        return module

    def names(self) -> dict[str, Any]:
        """The names of the `uwsgi` module, the app's own assignments too."""
        return sys.modules["uwsgi"].__dict__

    def handler(self) -> Any:
        """What the app assigned to uwsgi.spooler; NO_HANDLER when it never did."""
        return self.names().get("spooler", NO_HANDLER)

    def post_fork(self) -> None:
        """Call uwsgi.post_fork_hook, as uWSGI does in spoolers and workers; what it raises is printed."""
        hook = sys.modules["uwsgi"].__dict__.get("post_fork_hook")
        if hook is not None:
            try:
                hook()
            except Exception:
                self.print_error()

    def prepare(self) -> None:
        """Make `uwsgi` importable, also in children, and set limits, environment, directory and path as options say.

        Raises AppError, and OptionError for a limit that is too low.
        """
        options = self.options
        inherited = os.environ.get("PYTHONPATH", "")
        if SHIM not in inherited.split(os.pathsep):
            os.environ["PYTHONPATH"] = os.pathsep.join(part for part in (SHIM, inherited) if part)
        limits.set_limits(options, self.log)
        set_variables(options, os.environ)
        self.loader.start = os.getcwd()
        if options.chdir:
            try:
                os.chdir(options.chdir)
            except OSError as error:
                raise AppError(f"option chdir = {options.chdir}: {error.strerror}") from None
        path = [entry for entry in sys.path if entry not in ("", ".", SHIM)]
        absolute = self.policy.makes_paths_absolute
        here = [os.getcwd()] if absolute else [".", ""]
        if options.pyrun or options.pyargv:
            sys.argv[:] = [options.pyrun or "uwsgi", *(options.pyargv or "").replace("\t", " ").split(" ")]
            sys.argv[1:] = [word for word in sys.argv[1:] if word]
        # a relative entry is made absolute here: with one, a late import in a task would look in the spool directory
        added = [os.path.abspath(entry) if absolute else entry.rstrip("/") + "/" for entry in options.pythonpath]
        sys.path[:] = [SHIM, *reversed(added), *here, *(entry for entry in path if entry not in here)]
        if options.virtualenv:
            from spoolsim.work.virtualenv import enter

            if not enter(options.virtualenv) and self.policy.explains:
                self.log.say(
                    f"virtualenv = {options.virtualenv}: no such directory here; packages come from {sys.prefix}"
                )
        self.module()
        for entry in sys.path[1:]:
            if os.path.isfile(os.path.join(entry, "uwsgi.py")):
                self.notes.give("own-uwsgi", os.path.join(entry, "uwsgi.py"))
        sys.meta_path.insert(0, OwnDecorators(self.log))
        self.loader.map_names(options.aliases, "pymodule-alias")


class OwnDecorators:
    """A finder for `uwsgidecorators`: a project's own file is imported as sys.path says, as under uWSGI.

    The one that pip installs with uWSGI is left alone: ours does the same and warns of more.
    """

    def __init__(self, log: Log) -> None:
        self.log = log

    def find_spec(self, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """The module's spec, or None for any other name and where there is no file but ours."""
        if name != "uwsgidecorators":
            return None
        from importlib.machinery import PathFinder

        places = [e for e in sys.path if e != SHIM and os.path.basename(e) not in ("site-packages", "dist-packages")]
        spec = PathFinder.find_spec(name, places)
        if spec is not None and spec.origin is not None:
            self.log.say(f"`import uwsgidecorators` finds {spec.origin}, as under uWSGI; spoolsim's own is not used")
            return spec
        return None
