"""The Python face of a configuration: `Section` and its `Spooler` options, with uwsgiconf's names.

The same calls give the same lines as in uwsgiconf; these differences are meant:
- a value of the wrong type or range is refused; uwsgiconf writes any value down, a tuple as words in one line;
- so are an empty directory name and text with a line break, which would make another option;
- `Spooler(...)` without a section makes its own; in uwsgiconf it fails;
- a Section has the group `spooler` alone, and refuses others instead of ignoring what it does not know;
- `as_ini` always begins with the section's header, and puts no banner before it.
"""

from __future__ import annotations

import os
from pathlib import PurePosixPath

from spoolsim import system
from spoolsim.errors import OptionError
from spoolsim.options import OPTIONS, Option, Setting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

#: uwsgiconf's parameter -> the option that it sets, from the one table
PARAMETERS: dict[str, Option] = {option.uwsgiconf: option for option in OPTIONS if option.uwsgiconf}


class Spooler:
    """Options of the spooler; every method returns the section, so that calls chain.

    Spooler(**params): as `set_basic_params`, in a section of its own: `Spooler(poll_interval=5).add("spool").run()`.

    Raises OptionError for a value of the wrong type or range, naming the parameter and uWSGI's option, and TypeError
    for a parameter that does not exist.
    """

    def __init__(self, *args: Any, _section: Section | None = None, **kwargs: Any) -> None:
        self._section = _section if _section is not None else Section(_spooler=self)
        self._base_dir = ""
        self.set_basic_params(*args, **kwargs)

    def __spoolsim_section__(self) -> Section:
        """The section, for who reads a Python file as a configuration."""
        return self._section

    def __call__(self, *args: Any, **kwargs: Any) -> Section:
        """The same as `set_basic_params`."""
        return self.set_basic_params(*args, **kwargs)

    def set_basic_params(
        self,
        *,
        touch_reload: str | list[str] | None = None,
        quiet: bool | None = None,
        process_count: int | None = None,
        max_tasks: int | None = None,
        order_tasks: int | None = None,
        harakiri: int | None = None,
        change_dir: str | None = None,
        poll_interval: int | None = None,
        signal_as_task: bool | None = None,
        cheap: bool | None = None,
        base_dir: str | None = None,
    ) -> Section:
        """Set options; None leaves one alone. A flag that is False is taken out again.

        touch_reload: restart the spoolers when this file, or one of these, is touched (touch-spoolers-reload);
            a second call adds to the first.
        quiet: leave out the three log lines of each task (spooler-quiet).
        process_count: processes for each directory (spooler-processes). Default: 1.
        max_tasks: replace a process after this many tasks (spooler-max-tasks). Default: never.
        order_tasks: run tasks in the order of their names; any number but 0 (spooler-ordered).
        harakiri: kill a process whose task takes longer than this many seconds (spooler-harakiri). Default: never.
        change_dir: change to this directory before each task (spooler-chdir).
        poll_interval: seconds between two looks at an idle directory (spooler-frequency). Default: 30.
        signal_as_task: count a handled signal as a task (spooler-signal-as-task, uWSGI 2.1).
        cheap: have a process only while a directory holds tasks (spooler-cheap, uWSGI 2.1).
        base_dir: put before the names given to `add` from now on; an absolute name is left as it is.
        """
        given: dict[str, object] = {
            "touch_reload": touch_reload,
            "quiet": quiet,
            "process_count": process_count,
            "max_tasks": max_tasks,
            "order_tasks": order_tasks,
            "harakiri": harakiri,
            "change_dir": change_dir,
            "poll_interval": poll_interval,
            "signal_as_task": signal_as_task,
            "cheap": cheap,
        }
        # All are checked before the first is set: a refused call changes nothing.
        values = {parameter: _checked(parameter, value) for parameter, value in given.items() if value is not None}
        base = None if base_dir is None else _text("base_dir", "spooler", base_dir, empty=True)
        options = self._section._options
        for parameter, value in values.items():
            option = PARAMETERS[parameter]
            if option.kind == "flag":
                if value:
                    options[option.name] = ["true"]
                else:
                    options.pop(option.name, None)
            elif option.kind == "list":
                options.setdefault(option.name, []).extend(value if isinstance(value, list) else [str(value)])
            else:
                options[option.name] = [str(value)]
        if base is not None:
            self._base_dir = base
        return self._section

    def add(self, work_dir: str | list[str], *, external: bool = False) -> Section:
        """Serve a directory, or several (spooler); with `external` only allow putting tasks there (spooler-external).

        `{project_runtime_dir}`, `{runtime_dir}` and `{project_name}` are replaced by what the section says.
        """
        name = "spooler-external" if external else "spooler"
        if not isinstance(external, bool):
            raise _refusal("external", "spooler-external", external, "True or False")
        names = _texts("work_dir", name, work_dir)
        paths = [self._section.replace_placeholders(os.path.join(self._base_dir, path)) for path in names]
        self._section._options.setdefault(name, []).extend(paths)
        return self._section


class Section:
    """A configuration in Python.

    name: of the section in files. project_name, runtime_dir: for placeholders in the names of directories;
        the runtime directory is /run/user/UID/ by default, /run/ for root.
    strict_config: refuse unknown options, where uWSGI reads it (strict).
    params_spooler: parameters of `Spooler.set_basic_params`.

    Raises TypeError for a group of options that spoolsim does not know.
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        runtime_dir: str | os.PathLike[str] | None = None,
        project_name: str | None = None,
        strict_config: bool | None = None,
        params_spooler: dict[str, Any] | None = None,
        _spooler: Spooler | None = None,
    ) -> None:
        self.name = name or "uwsgi"
        self.project_name = project_name or ""
        self._runtime_dir = os.fspath(runtime_dir) if runtime_dir else ""
        self._options: dict[str, list[str]] = {}
        self.spooler = _spooler if _spooler is not None else Spooler(_section=self)
        if params_spooler:
            self.spooler.set_basic_params(**params_spooler)
        if strict_config is not None:
            if not isinstance(strict_config, bool):
                raise _refusal("strict_config", "strict", strict_config, "True or False")
            if strict_config:
                self._options["strict"] = ["true"]

    @property
    def runtime_dir(self) -> str:
        """Directory for files of the running project."""
        uid = system.getuid()
        return self._runtime_dir or (f"/run/user/{uid}" if uid else "/run")

    @runtime_dir.setter
    def runtime_dir(self, value: str | os.PathLike[str] | None) -> None:
        self._runtime_dir = os.fspath(value) if value else ""

    def replace_placeholders(self, value: str) -> str:
        """`value` with {runtime_dir}, {project_name} and {project_runtime_dir} replaced."""
        runtime_dir = PurePosixPath(self.runtime_dir)
        value = value.replace("{runtime_dir}", str(runtime_dir))
        value = value.replace("{project_name}", self.project_name)
        return value.replace("{project_runtime_dir}", str(runtime_dir / self.project_name))

    def settings(self) -> list[Setting]:
        """The settings, in the order of the lines of `as_ini`."""
        return [
            Setting(name, value.strip(), f"section [{self.name}]")
            for name, values in self._options.items()
            for value in values
        ]

    def __spoolsim_section__(self) -> Section:
        """This section, for who reads a Python file as a configuration."""
        return self

    def as_ini(self) -> str:
        """uWSGI's lines: a section header and `key = value`."""
        return "".join([f"[{self.name}]\n", *(f"{s.name} = {s.value}\n" for s in self.settings())])

    def run(self, *argv: str) -> int:
        """Run it, with more options of the command line, such as "--import", "tasks"; returns the exit status.

        Read as a file would be: the environment's UWSGI_… come first, placeholders are replaced, and the letters that
        tell about a file (%d, %n, …) tell about the script that runs.

        Raises SpoolsimError for what cannot be run.
        """
        from spoolsim.config.readers import gather
        from spoolsim.processes.start import run

        return run(gather(list(argv), os.environ, self._read()))

    def _read(self) -> list[Setting]:
        import __main__
        from spoolsim.config import placeholders
        from spoolsim.config.formats import ini

        path = getattr(__main__, "__file__", None) or "section"
        own = placeholders.of_file(path, None)
        letters = {**placeholders.of_machine(), **own, **placeholders.of_original(own)}
        rows = ini.rows(placeholders.fill_text(self.as_ini(), letters), path, self.name)
        return [Setting(name, value, f"section [{self.name}]") for name, value, _ in rows]


def _refusal(parameter: str, option: str, value: object, accepted: str) -> OptionError:
    return OptionError(f"{parameter} ({option}): {value!r}: expected {accepted}")


def _checked(parameter: str, value: object) -> object:
    option = PARAMETERS[parameter]
    return _CHECKS[option.kind](parameter, option, value)


def _flag(parameter: str, option: Option, value: object) -> bool:
    # order_tasks is a number in uwsgiconf; the others are true or false.
    if isinstance(value, bool) or (parameter == "order_tasks" and isinstance(value, int)):
        return bool(value)
    raise _refusal(parameter, option.name, value, "True or False")


def _whole(parameter: str, option: Option, value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 31:
        return value
    raise _refusal(parameter, option.name, value, "a whole number, 0 or more")


def _text(parameter: str, option: str, value: object, *, empty: bool = False) -> str:
    if isinstance(value, str | os.PathLike):
        text = os.fspath(value)
        if isinstance(text, str) and (empty or text.strip()) and not set(text) & set("\0\r\n"):
            return text
    raise _refusal(parameter, option, value, "text of one line" if empty else "text of one line, not empty")


def _texts(parameter: str, option: str, value: object) -> list[str]:
    return [_text(parameter, option, item) for item in (value if isinstance(value, list) else [value])]


_CHECKS: dict[str, Callable[[str, Option, object], object]] = {
    "flag": _flag,
    "int": _whole,
    "str": lambda parameter, option, value: _text(parameter, option.name, value),
    "list": lambda parameter, option, value: _texts(parameter, option.name, value),
}
