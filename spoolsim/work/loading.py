"""Loading the app: each option that names a module, a file or a WSGI app, in uWSGI's order and with its lines."""

from __future__ import annotations

import os
import sys

from spoolsim.errors import AppError
from spoolsim.options import mounted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType
    from typing import Any

    from spoolsim.log import Log
    from spoolsim.options import Options

#: the kinds of `Options.preloads` that lazy-apps leaves to the web workers
IN_WORKERS = ("import", "module", "wsgi-file", "paste", "eval", "mount", "mount-file")
#: those of them, and others, that look for no app
_IMPORTS = ("shared-import", "import")
#: uWSGI's exit status where it gives up for want of an app
_NO_APP = 22


class _Ends(Exception):
    """uWSGI ends here, having said why."""


class Loader:
    """Imports what the options name, in this process. print_error: prints the exception that is being handled.

    Attributes:
        start: The directory in which the process was started; --chdir comes later.
        found_app: Whether the last import gave a WSGI app.
        failed_in: The source files in which an import failed.
    """

    __slots__ = ("_log", "_options", "_print_error", "_refuses", "failed_in", "found_app", "start")

    def __init__(self, options: Options, log: Log, print_error: Callable[[], None]) -> None:
        self._options = options
        self._refuses = options.policy.refuses_failed_imports
        self._log = log
        self._print_error = print_error
        self.start = ""
        self.found_app = False
        self.failed_in: list[str] = []

    def map_names(self, pairs: Sequence[str], option: str) -> None:
        """Make modules importable by other names. Raises AppError where uWSGI ends: an import that fails."""
        for pair in pairs:
            name, equals, target = pair.partition("=")
            if not equals:
                self._log.line("invalid pymodule-alias syntax")
                continue
            try:
                if "/" in target:
                    run_file(target, name)
                else:
                    __import__(target)
                    sys.modules[name] = sys.modules[target]
            except Exception as error:
                self._print_error()
                if not self._refuses:
                    raise SystemExit(1) from None
                raise AppError(f"option {option} = {pair}: {type(error).__name__}: {error}") from None
            self._log.line(f'mapped virtual pymodule "{name}" to real pymodule "{target}"')

    def load(self, kinds: Sequence[str]) -> list[str]:
        """Import what `import`, `shared-import`, `module`, `wsgi-file`, ... name, in uWSGI's order, of these kinds.

        Returns a line for each that failed; its traceback has been printed. A WSGI callable that is missing is
        reported as uWSGI does it, and is no failure.
        """
        options = self._options
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
            self.map_names(aliases, "post-pymodule-alias")
            aliases = ()
            if point in apps:
                self._log.line(f"mountpoint {point} already configured. skip.")
                continue
            failures.append(self._load(kind, value))
            if self.found_app:
                apps.add(point)
            elif not (failures[-1] and self._refuses):
                self._log.line(
                    f"unable to load app {len(apps)} (mountpoint='{point}') (callable not found or import error)"
                )
        self.map_names(aliases, "post-pymodule-alias")
        if options.need_app and not apps and "module" in kinds and (options.sockets or options.web_sockets):
            self._log.line("*** no app loaded. GAME OVER ***")
            if not self._refuses:
                raise SystemExit(_NO_APP)
            failures.append("need-app: no WSGI app was found")
        return [line for line in failures if line]

    def load_in_master(self) -> list[str]:
        """Import what is loaded before the fork, with lazy-apps `shared-import` alone; lines as `load`."""
        return self.load(("shared-import",) if self._options.lazy_apps else ("shared-import", *IN_WORKERS))

    def load_in_spooler(self) -> list[str]:
        """Import what `spooler-import` names, after the fork; lines as `load`."""
        return [line for value in self._options.spooler_imports if (line := self._load("spooler-import", value))]

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
            if not self._refuses:
                raise
            return f"{shown}: the module called sys.exit({error.code!r})"
        except Exception as error:
            if isinstance(error, FileNotFoundError) and error.filename == name:
                self._log.line(f"failed to open python file {name}")
            elif not isinstance(error, _Ends):
                if self._options.py_autoreload:
                    from spoolsim.work import sources

                    self.failed_in += sources.of_error(error)
                self._print_error()
            if kind in ("mount-file", "paste", "eval") and not self._refuses:
                raise SystemExit(_NO_APP) from None
            return f"{shown}: {error}" if isinstance(error, _Ends) else f"{shown}: {type(error).__name__}: {error}"
        return ""

    def _import(self, kind: str, name: str, attribute: str) -> None:
        """Import as one option says, and note whether an app was found. Raises what the import raises, or _Ends."""
        callable_ = self._options.callable or "application"
        if kind in ("wsgi-file", "mount-file"):
            self._find_in_file(kind, name, vars(run_file(name, "uwsgi_file_" + pythonize(name))), callable_)
        elif kind == "paste":
            self._paste(name)
        elif kind == "eval":
            found = vars(run_code("uwsgi_eval_config", "uwsgi_eval_config", name)).get(callable_)
            if found is not None and not callable(found):
                self._log.line("you must define a callable object in your code")
                raise _Ends("its app cannot be called, and uWSGI ends")
            self.found_app = found is not None
        elif kind in ("module", "mount"):
            __import__(name)
            self._find_in_module(vars(sys.modules[name]), attribute or callable_)
        elif name.endswith(".py") or "/" in name:
            run_file(name, pythonize(name))
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
            self._log.line(f'unable to find "application" callable in file {path}')
        elif not callable(found):
            self._log.line(f'"application" must be a callable object in file {path}')
        else:
            self.found_app = True
            return
        if kind == "mount-file":
            raise _Ends(f"no callable {attribute!r} in it, and uWSGI ends where a mounted file has none")

    def _paste(self, name: str) -> None:
        """An app of paste.deploy; of --ini-paste the file is taken from where we were started."""
        options = self._options
        if name == f"config:{options.ini_paste}":
            name = f"config:{os.path.join(self.start, options.ini_paste or '')}"
        self._log.line(f"Loading paste environment: {name}")
        if options.paste_logger:
            from logging.config import fileConfig

            try:
                fileConfig(name[len("config:") :])
            except Exception:
                self._print_error()
        from paste.deploy import loadapp  # type: ignore[import-not-found, import-untyped, unused-ignore]

        loadapp(name)
        self.found_app = True

    def run_script(self) -> None:
        """Run --pyrun's script as the main program; what it raises is printed."""
        path = self._options.pyrun or ""
        try:
            with open(path, "rb") as file:
                code = file.read()
        except OSError as error:
            self._log.say(f"pyrun = {path}: cannot be read: {error.strerror}", error=True)
            return
        main = sys.modules["__main__"]
        main.__dict__.update(__name__="__main__", __file__=path, __builtins__=__builtins__)
        try:
            exec(compile(code, path, "exec"), main.__dict__)
        except SystemExit:
            raise
        except BaseException:
            self._print_error()


def pythonize(path: str) -> str:
    """uWSGI's name for a module that it reads from a file."""
    name = path.replace(".", "_").replace("/", "_")
    return name[:-3] if name.endswith("_py") else name


def run_file(path: str, name: str = "") -> ModuleType:
    """Run a file, or the __init__.py of a directory, as a module of this name, by default uWSGI's own for it."""
    package = os.path.isdir(path)
    source = os.path.join(path, "__init__.py") if package else path
    with open(source, "rb") as file:
        code = file.read()
    return run_code(name or pythonize(path), source, code, path if package else "")


def run_code(name: str, source: str, code: str | bytes, package: str = "") -> ModuleType:
    """Run code as a module of this name, which is then imported.

    source: its file. package: its directory, if it is a package.
    """
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
