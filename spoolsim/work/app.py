"""The app: what `import uwsgi` talks to in this process, and the only place where user code is imported."""

from __future__ import annotations

import os
import sys

from spoolsim.diagnose import Notes
from spoolsim.errors import AppError
from spoolsim.spool.directory import SpoolDir
from spoolsim.spool.enqueue import Producer
from spoolsim.work.outcome import class_name
from spoolsim.work.signals import Signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping, Sequence
    from types import ModuleType
    from typing import Any

    from spoolsim.log import Log
    from spoolsim.options import Options
    from spoolsim.work.scoreboard import Scoreboard

#: the directory that holds our uwsgi.py and uwsgidecorators.py; it is put on the app's path, never installed
SHIM = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "shim")

#: what handler() gives when the app has set none; None itself is a handler that cannot be called
NO_HANDLER: object = object()

#: how the paths of our own source files begin
OURS = os.path.dirname(SHIM) + os.sep

#: what this process is, in uWSGI's terms
MASTER, SPOOLER, WORKER, PROGRAM = "master", "spooler", "worker", "program"


class App:
    """One process's view of the emulated uWSGI.

    options: the effective configuration. role: MASTER while the app is imported, then SPOOLER or WORKER in a
        forked process, PROGRAM in a process of the user's own.
    directories: one entry for each spooler process, as in uwsgi.spoolers: (directory, slot), slot -1 if external.
    board: the scoreboard, None in a process without workers.
    """

    __slots__ = (
        "board",
        "directories",
        "failed_in",
        "faithful",
        "harakiri_word",
        "log",
        "master_pid",
        "notes",
        "options",
        "producer",
        "role",
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
    ) -> None:
        self.options = options
        self.faithful = options.faithful
        self.directories = tuple(directories)
        self.log = log
        self.role = role
        self.board = board
        self.master_pid = os.getpid()
        self.worker_id = 0
        self.started = 0
        self.set_frequency = 0
        #: the source files in which an import failed
        self.failed_in: list[str] = []
        #: where set_user_harakiri writes its deadline: a word of the scoreboard
        self.harakiri_word: Callable[[int], None] | None = None
        self.notes = Notes(log.note, silenced=options.silence, enabled=not options.faithful)
        self.signals = Signals(log, self.notes, faithful=options.faithful, web_workers=max(options.web_processes, 1))
        unique = {directory.path: directory for directory, _ in reversed(self.directories)}
        self.producer = Producer(
            [unique[path] for path in dict.fromkeys(directory.path for directory, _ in self.directories)],
            log=log,
            notes=self.notes,
            ordered=options.ordered,
            faithful=options.faithful,
            quiet=options.quiet,
            stamp=stamp,
            durable=options.durable,
        )

    def become(self, role: str, *, worker_id: int = 0) -> None:
        """This process is a fork with a role of its own now."""
        self.role = role
        self.worker_id = worker_id

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

    def handler(self) -> Any:
        """What the app assigned to uwsgi.spooler; NO_HANDLER when it never did."""
        return sys.modules["uwsgi"].__dict__.get("spooler", NO_HANDLER)

    def post_fork(self) -> None:
        """Call uwsgi.post_fork_hook, as uWSGI does in spoolers and workers; what it raises is printed."""
        hook = sys.modules["uwsgi"].__dict__.get("post_fork_hook")
        if hook is not None:
            try:
                hook()
            except Exception:
                print_error()

    def prepare(self) -> None:
        """Make `uwsgi` importable, also in children, and set path, environment and directory as the options say.

        Raises AppError.
        """
        options = self.options
        inherited = os.environ.get("PYTHONPATH", "")
        if SHIM not in inherited.split(os.pathsep):
            os.environ["PYTHONPATH"] = os.pathsep.join(part for part in (SHIM, inherited) if part)
        if options.chdir:
            try:
                os.chdir(options.chdir)
            except OSError as error:
                raise AppError(f"option chdir = {options.chdir}: {error.strerror}") from None
        set_variables(options, os.environ)
        path = [entry for entry in sys.path if entry not in ("", ".", SHIM)]
        here = [".", ""] if self.faithful else [os.getcwd()]
        # a relative entry is made absolute here: with one, a late import in a task would look in the spool directory
        added = [entry.rstrip("/") + "/" if self.faithful else os.path.abspath(entry) for entry in options.pythonpath]
        sys.path[:] = [SHIM, *reversed(added), *here, *(entry for entry in path if entry not in here)]
        self.module()
        for entry in sys.path[1:]:
            if os.path.isfile(os.path.join(entry, "uwsgi.py")):
                self.notes.give("own-uwsgi", os.path.join(entry, "uwsgi.py"))

    def load(self, kinds: Sequence[str]) -> list[str]:
        """Import what `import`, `shared-import`, `module` and `wsgi-file` name, in option order, of these kinds.

        Returns a line for each that failed; its traceback has been printed.
        """
        return [line for kind, value in self.options.preloads if kind in kinds if (line := self._load(kind, value))]

    def load_in_master(self) -> list[str]:
        """Import what is loaded before the fork, with lazy-apps `shared-import` alone; lines as `load`."""
        lazy = self.options.lazy_apps
        return self.load(("shared-import",) if lazy else ("shared-import", "import", "module", "wsgi-file"))

    def load_in_spooler(self) -> list[str]:
        """Import what `spooler-import` names, after the fork; lines as `load`."""
        return [line for value in self.options.spooler_imports if (line := self._load("spooler-import", value))]

    def _load(self, kind: str, value: str) -> str:
        """Import one module, or run one file, of the user's; '' or a line that says what failed.

        sys.exit in it ends uWSGI with its status: under --faithful SystemExit passes through.
        """
        name, _, attribute = value.partition(":")
        try:
            if kind == "wsgi-file" or name.endswith(".py") or "/" in name:
                module = _run_file(name)
            else:
                __import__(name)
                module = sys.modules[name]
        except SystemExit as error:
            if self.faithful:
                raise
            return f"{kind} = {value}: the module called sys.exit({error.code!r})"
        except Exception as error:
            if isinstance(error, FileNotFoundError) and error.filename == name:
                self.log.line(f"failed to open python file {name}")
            else:
                if self.options.py_autoreload:
                    from spoolsim.work import sources

                    self.failed_in += sources.of_error(error)
                print_error()
            return f"{kind} = {value}: {type(error).__name__}: {error}"
        if kind in ("module", "wsgi-file") and not hasattr(module, attribute or "application"):
            return f"{kind} = {value}: no callable {(attribute or 'application')!r} in it"
        return ""


#: this process's App, once there is one
current: App | None = None


def install(app: App) -> App:
    """Make `app` what `import uwsgi` talks to in this process."""
    global current
    current = app
    return app


def in_this_process() -> App:
    """The App of this process: installed by run, or described in the environment by exec."""
    if current is None:
        from spoolsim.work.program import from_environment

        return install(from_environment())
    return current


def set_variables(options: Options, environ: MutableMapping[str, str]) -> None:
    """Do to an environment what the option `env` says: KEY=VALUE sets, KEY alone unsets."""
    for pair in options.env:
        key, equals, value = pair.partition("=")
        if equals and key:
            environ[key] = value
        else:
            environ.pop(key, None)


def print_error() -> None:
    """Print the exception being handled as Python would, through sys.excepthook, less our own frames at its top.

    A hook that fails, or a standard error that is not there, is not ours to die of: then it goes to descriptor 2.
    """
    kind, error, trace = sys.exc_info()
    if kind is None or error is None:
        return
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith((OURS, "<frozen importlib")):
        trace = trace.tb_next
    BaseException.with_traceback(error, trace)
    if getattr(sys.stderr, "closed", sys.stderr is None):
        _print_plainly("", error)
        return
    try:
        sys.excepthook(kind, error, trace)
    except SystemExit:
        raise  # it ends the process, as in Python
    except BaseException as failure:
        ours = failure.__traceback__
        failure.__context__ = None
        _print_plainly("Error in sys.excepthook:\n", failure.with_traceback(ours and ours.tb_next))
        _print_plainly("\nOriginal exception was:\n", error)
    try:
        sys.stderr.flush()
    except Exception:
        pass


def _print_plainly(before: str, error: BaseException) -> None:
    """Print an exception to descriptor 2, through nothing that the app has set."""
    import traceback

    from spoolsim.log import Log

    try:
        text = "".join(traceback.format_exception(error))
    except Exception:  # of its own methods
        text = f"{class_name(error)}\n"
    Log(colour=False).raw(before + text)


def _run_file(path: str) -> ModuleType:
    from types import ModuleType

    name = path.removesuffix(".py").replace("/", "_")  # uWSGI's own name for it
    module = ModuleType(name)
    module.__file__ = path
    with open(path, "rb") as file:
        code = compile(file.read(), path, "exec")
    sys.modules[name] = module
    try:
        exec(code, module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    return module
