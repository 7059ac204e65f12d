"""The app: what `import uwsgi` talks to in this process, and the only place where user code is imported."""

from __future__ import annotations

import os
import sys

from spoolsim.diagnose import Notes
from spoolsim.errors import AppError
from spoolsim.options import mounted
from spoolsim.spool.directory import SpoolDir
from spoolsim.spool.enqueue import Producer
from spoolsim.work import trace
from spoolsim.work.said import Said
from spoolsim.work.signals import Crew, Signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

    from spoolsim.log import Log
    from spoolsim.options import Options
    from spoolsim.work.capture import Capture
    from spoolsim.work.scoreboard import Scoreboard

#: the directory that holds our uwsgi.py and uwsgidecorators.py; it is put on the app's path, never installed
SHIM = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "shim")

#: what handler() gives when the app has set none; None itself is a handler that cannot be called
NO_HANDLER: object = object()

#: how the paths of our own source files begin
OURS = trace.OURS

#: the kinds of `Options.preloads` that lazy-apps leaves to the web workers
IN_WORKERS = ("import", "module", "wsgi-file", "paste", "eval", "mount", "mount-file")
#: those of them, and others, that look for no app
_IMPORTS = ("shared-import", "import")
#: uWSGI's exit status where it gives up for want of an app
_NO_APP = 22

#: what this process is, in uWSGI's terms
MASTER, SPOOLER, WORKER, PROGRAM = "master", "spooler", "worker", "program"


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
        "failed_in",
        "folds",
        "found_app",
        "generation",
        "harakiri_word",
        "log",
        "master_pid",
        "notes",
        "options",
        "policy",
        "producer",
        "role",
        "said",
        "set_frequency",
        "signals",
        "start",
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
        self.started = 0
        self.set_frequency = 0
        #: the source files in which an import failed
        self.failed_in: list[str] = []
        #: whether the last import gave a WSGI app
        self.found_app = False
        #: the directory in which the process was started
        self.start = ""
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

    def become(self, role: str, *, worker_id: int = 0) -> None:
        """This process is a fork with a role of its own now."""
        self.role = role
        self.worker_id = worker_id

    def logged(self, line: str) -> None:
        """`uwsgi.log`: a line of the app's."""
        self.log.line(line)
        if self.capture is not None:
            self.capture.wrote(line)

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
                print_error()

    def prepare(self) -> None:
        """Make `uwsgi` importable, also in children, and set limits, environment, directory and path as options say.

        Raises AppError.
        """
        options = self.options
        inherited = os.environ.get("PYTHONPATH", "")
        if SHIM not in inherited.split(os.pathsep):
            os.environ["PYTHONPATH"] = os.pathsep.join(part for part in (SHIM, inherited) if part)
        self._limit()
        set_variables(options, os.environ)
        self.start = os.getcwd()
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
        self._map(options.aliases, "pymodule-alias")

    def relative_to_start(self, path: str) -> str:
        """An absolute path: uWSGI takes some from where it was started, not from --chdir."""
        return os.path.join(self.start, path)

    def _limit(self) -> None:
        """Set limit-as and max-fd; as in uWSGI, a limit that cannot be set is reported, and the start goes on."""
        options = self.options
        if not options.limit_as and not options.max_fd:
            return
        try:
            import resource
        except ImportError:
            return  # no POSIX, and no such limits

        for name, kind, limit in (
            ("limit-as", resource.RLIMIT_AS, options.limit_as * 1024 * 1024),
            ("max-fd", resource.RLIMIT_NOFILE, options.max_fd),
        ):
            if limit:
                try:
                    resource.setrlimit(kind, (limit, limit))
                except (OSError, ValueError) as error:
                    self.log.say(f"option {name}: cannot set the limit to {limit}: {error}", error=True)

    def _map(self, pairs: Sequence[str], option: str) -> None:
        """Make modules importable by other names. Raises AppError where uWSGI ends: an import that fails."""
        for pair in pairs:
            name, equals, target = pair.partition("=")
            if not equals:
                self.log.line("invalid pymodule-alias syntax")
                continue
            try:
                if "/" in target:
                    _run_file(target, name)
                else:
                    __import__(target)
                    sys.modules[name] = sys.modules[target]
            except Exception as error:
                print_error()
                if not self.policy.refuses_failed_imports:
                    raise SystemExit(1) from None
                raise AppError(f"option {option} = {pair}: {type(error).__name__}: {error}") from None
            self.log.line(f'mapped virtual pymodule "{name}" to real pymodule "{target}"')

    def load(self, kinds: Sequence[str]) -> list[str]:
        """Import what `import`, `shared-import`, `module`, `wsgi-file`, ... name, in uWSGI's order, of these kinds.

        Returns a line for each that failed; its traceback has been printed. A WSGI callable that is missing is
        reported as uWSGI does it, and is no failure.
        """
        options = self.options
        mounts = [mount.partition("=")[0] for mount in options.mounts if mounted(mount) is not None]
        points = [""] * (len(options.preloads) - len(mounts)) + mounts
        failures = []
        apps: set[str] = set()
        aliases = options.late_aliases if "import" in kinds else ()
        for (kind, value), point in zip(options.preloads, points, strict=True):
            if kind not in kinds:
                continue
            if kind in _IMPORTS:
                failures.append(self._load(kind, value))
                continue
            self._map(aliases, "post-pymodule-alias")
            aliases = ()
            if point in apps:
                self.log.line(f"mountpoint {point} already configured. skip.")
                continue
            failures.append(self._load(kind, value))
            if self.found_app:
                apps.add(point)
            elif not (failures[-1] and self.policy.refuses_failed_imports):
                self.log.line(
                    f"unable to load app {len(apps)} (mountpoint='{point}') (callable not found or import error)"
                )
        self._map(aliases, "post-pymodule-alias")
        if options.need_app and not apps and "module" in kinds and (options.sockets or options.web_sockets):
            self.log.line("*** no app loaded. GAME OVER ***")
            if not self.policy.refuses_failed_imports:
                raise SystemExit(_NO_APP)
            failures.append("need-app: no WSGI app was found")
        return [line for line in failures if line]

    def load_in_master(self) -> list[str]:
        """Import what is loaded before the fork, with lazy-apps `shared-import` alone; lines as `load`."""
        return self.load(("shared-import",) if self.options.lazy_apps else ("shared-import", *IN_WORKERS))

    def load_in_spooler(self) -> list[str]:
        """Import what `spooler-import` names, after the fork; lines as `load`."""
        return [line for value in self.options.spooler_imports if (line := self._load("spooler-import", value))]

    def _load(self, kind: str, value: str) -> str:
        """Import one module, or run one file, of the user's; '' or a line that says what failed.

        sys.exit in it ends uWSGI with its status: under --faithful SystemExit passes through.
        """
        self.found_app = False
        shown = f"{'mount' if kind == 'mount-file' else kind} = {value}"
        name = value.partition(":")[0] if kind in ("module", "mount") else value
        try:
            self._import(kind, name, value.partition(":")[2])
        except SystemExit as error:
            if not self.policy.refuses_failed_imports:
                raise
            return f"{shown}: the module called sys.exit({error.code!r})"
        except Exception as error:
            if isinstance(error, FileNotFoundError) and error.filename == name:
                self.log.line(f"failed to open python file {name}")
            elif not isinstance(error, _Ends):
                if self.options.py_autoreload:
                    from spoolsim.work import sources

                    self.failed_in += sources.of_error(error)
                print_error()
            if kind in ("mount-file", "paste", "eval") and not self.policy.refuses_failed_imports:
                raise SystemExit(_NO_APP) from None
            return f"{shown}: {error}" if isinstance(error, _Ends) else f"{shown}: {type(error).__name__}: {error}"
        return ""

    def _import(self, kind: str, name: str, attribute: str) -> None:
        """Import as one option says, and note whether an app was found. Raises what the import raises, or _Ends."""
        callable_ = self.options.callable or "application"
        if kind in ("wsgi-file", "mount-file"):
            self._find_in_file(kind, name, vars(_run_file(name, "uwsgi_file_" + _pythonize(name))), callable_)
        elif kind == "paste":
            self._paste(name)
        elif kind == "eval":
            found = vars(_run("uwsgi_eval_config", "uwsgi_eval_config", name)).get(callable_)
            if found is not None and not callable(found):
                self.log.line("you must define a callable object in your code")
                raise _Ends("its app cannot be called, and uWSGI ends")
            self.found_app = found is not None
        elif kind in ("module", "mount"):
            __import__(name)
            self._find_in_module(vars(sys.modules[name]), attribute or callable_)
        elif name.endswith(".py") or "/" in name:
            _run_file(name, _pythonize(name))
        else:
            __import__(name)

    def _find_in_module(self, names: dict[str, Any], attribute: str) -> None:
        """The app of a module: a name, or a call of one without arguments, NAME()."""
        if any(isinstance(found.get("applications"), dict) for found in (vars(sys.modules["uwsgi"]), names)):
            self.found_app = True
        elif attribute.endswith("()") and attribute[:-2] in names:
            names[attribute[:-2]]()
            self.found_app = True
        else:
            self.found_app = attribute in names

    def _find_in_file(self, kind: str, path: str, names: dict[str, Any], attribute: str) -> None:
        """The app of a file; uWSGI always speaks of "application", and ends where a mounted file has none."""
        found = names.get(attribute)
        if attribute not in names:
            self.log.line(f'unable to find "application" callable in file {path}')
        elif not callable(found):
            self.log.line(f'"application" must be a callable object in file {path}')
        else:
            self.found_app = True
            return
        if kind == "mount-file":
            raise _Ends(f"no callable {attribute!r} in it, and uWSGI ends where a mounted file has none")

    def _paste(self, name: str) -> None:
        """An app of paste.deploy; of --ini-paste the file is taken from where we were started."""
        options = self.options
        if name == f"config:{options.ini_paste}":
            name = f"config:{self.relative_to_start(options.ini_paste or '')}"
        self.log.line(f"Loading paste environment: {name}")
        if options.paste_logger:
            from logging.config import fileConfig

            try:
                fileConfig(name[len("config:") :])
            except Exception:
                print_error()
        from paste.deploy import loadapp  # type: ignore[import-not-found, import-untyped, unused-ignore]

        loadapp(name)
        self.found_app = True

    def run_script(self) -> None:
        """Run --pyrun's script as the main program; what it raises is printed."""
        path = self.options.pyrun or ""
        try:
            with open(path, "rb") as file:
                code = file.read()
        except OSError as error:
            self.log.say(f"pyrun = {path}: cannot be read: {error.strerror}", error=True)
            return
        main = sys.modules["__main__"]
        main.__dict__.update(__name__="__main__", __file__=path, __builtins__=__builtins__)
        try:
            exec(compile(code, path, "exec"), main.__dict__)
        except SystemExit:
            raise
        except BaseException:
            print_error()


class _Ends(Exception):
    """uWSGI ends here, having said why."""


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
    """Do to an environment what `early-envdir`, `env`, `unenv` and `envdir` say, in uWSGI's order.

    Of `env`, KEY=VALUE sets and KEY alone unsets. Raises AppError for a directory that cannot be read.
    """
    _set_from(options.early_envdirs, "early-envdir", environ)
    for pair in options.env:
        key, equals, value = pair.partition("=")
        if equals and key:
            environ[key] = value
        else:
            environ.pop(key, None)
    _set_from(options.envdirs, "envdir", environ)


def _set_from(directories: Sequence[str], option: str, environ: MutableMapping[str, str]) -> None:
    """Each file of an envdir is a variable of its name; an empty one unsets it."""
    for directory in directories:
        try:
            for name in os.listdir(directory):
                path = os.path.join(directory, name)
                if name.startswith(".") or not os.path.isfile(path):
                    continue
                with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
                    content = file.read()
                if content:
                    environ[name] = content.partition("\0")[0].rstrip(" \t\r\n")
                else:
                    environ.pop(name, None)
        except OSError as error:
            raise AppError(f"option {option} = {directory}: {error.strerror}: {error.filename}") from None


def print_error(about: str = "") -> None:
    """Print the exception being handled as Python would, through sys.excepthook, less our own frames at its top.

    A hook that fails, or a standard error that is not there, is not ours to die of: then it goes to descriptor 2.
    about: what raised it, in words.
    """
    trace.show(current, about)


def _pythonize(path: str) -> str:
    """uWSGI's name for a module that it reads from a file."""
    name = path.replace(".", "_").replace("/", "_")
    return name[:-3] if name.endswith("_py") else name


def _run_file(path: str, name: str = "") -> ModuleType:
    """Run a file, or the __init__.py of a directory, as a module of this name, by default uWSGI's own for it."""
    package = os.path.isdir(path)
    source = os.path.join(path, "__init__.py") if package else path
    with open(source, "rb") as file:
        code = file.read()
    return _run(name or _pythonize(path), source, code, path if package else "")


def _run(name: str, source: str, code: str | bytes, package: str = "") -> ModuleType:
    from types import ModuleType

    compiled = compile(code, source, "exec")
    module = ModuleType(name)
    module.__file__ = source
    if package:
        module.__path__ = [package]
    sys.modules[name] = module
    try:
        exec(compiled, module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    return module
