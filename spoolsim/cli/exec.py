"""`spoolsim exec` and `spoolsim dev`: any program, with `import uwsgi` working in it and in all that it starts."""

from __future__ import annotations

import os
import re
import shutil
import sys

import click

from spoolsim import system
from spoolsim.cli import install
from spoolsim.cli.out import out
from spoolsim.errors import UsageError
from spoolsim.log import Log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from spoolsim.options import Options

_PYTHON = re.compile(r"python[\d.]*$")
#: programs that run the command behind them, and those of their options that have a value
_RUN_IT, _WITH_VALUE = {"env", "nice", "nohup", "time"}, {"-n", "-u", "-C"}
#: of an example
_PROGRAM = "python app.py"
_UWSGI = re.compile(r"(py)?uwsgi([-_](core|python|plugin).*)?$")


class _Split(click.Command):
    """A command whose words up to `--` are spoolsim's and uWSGI's options, and behind it a command line of its own."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ours = args[: args.index("--")] if "--" in args else args
        if {"-h", "--help"} & set(ours):
            out(ctx.get_help())
            ctx.exit()
        if "--" not in args:
            raise UsageError(
                f"{self.name}: which program? write it behind `--`, as in: spoolsim {self.name} uwsgi.ini -- {_PROGRAM}"
            )
        command = args[len(ours) + 1 :]
        if not command:
            raise UsageError(
                f"{self.name}: no program behind `--`; as in: spoolsim {self.name} uwsgi.ini -- {_PROGRAM}"
            )
        if not command[0]:
            raise UsageError(f"{self.name}: the name of the program behind `--` is empty")
        ctx.params = {"ours": ours, "command": command}
        return []


_OPTIONS_HELP = "OPTIONS and FILE are those of `spoolsim run`; without any, the configuration that `run` finds here."


@click.command(
    "exec",
    cls=_Split,
    options_metavar="[OPTIONS | FILE] -- COMMAND...",
    epilog="\b\nExamples:\n  spoolsim exec uwsgi.ini -- flask --app shop run\n"
    "  spoolsim exec --spooler spool -- python manage.py shell",
)
def exec_command(ours: list[str], command: list[str]) -> None:
    """Run any program with `uwsgi` and `uwsgidecorators` importable: tasks go into the real spool directories."""
    log = Log()
    step_aside(command, log)
    options, entries = install.prepare(install.configuration(ours, log))
    warn(command, options, log)
    replace(command, install.environment(options, entries, os.environ))


@click.command(
    "dev",
    cls=_Split,
    options_metavar="[OPTIONS | FILE] -- COMMAND...",
    epilog="\b\nExample:\n  spoolsim dev uwsgi.ini -- flask --app shop run --debug\n\n"
    "The spooler is reloaded when Python source below the working directory (or chdir) changes; --watch PATH watches "
    "another place, --no-watch none. With --drain the command's tasks are run to the end: dev exits when the command "
    "has exited and no task is left, with status 1 when a task failed or stays.",
)
def dev_command(ours: list[str], command: list[str]) -> None:
    """Run the spooler and a program, such as a development server, under one Ctrl-C; ends with its exit status."""
    if not system.POSIX:
        raise UsageError(system.NEEDED.format(command="dev"))
    from spoolsim.cli.dev import Dev, watched

    log = Log()
    step_aside(command, log)
    words = [word for word in ours if word != "--no-watch"]
    options, entries = install.prepare(install.configuration(words, None, "dev"))  # its spooler names the file
    warn(command, options, log)
    if words == ours and (path := watched(options)):
        log.say(f"reloading the spooler when Python source below {path} changes; --no-watch turns this off")
        words += ["--watch", path]
    ours = words
    sys.exit(Dev(ours, command, options, entries, log).run())


for _command in (exec_command, dev_command):
    _command.help = f"{_command.help}\n\n{_OPTIONS_HELP}"


def step_aside(command: Sequence[str], log: Log) -> None:
    """Become a real uWSGI at once, if that is the command: its module is built in, and it has spoolers of its own."""
    if _UWSGI.match(os.path.basename(command[0])):
        log.say(f"{command[0]} is a real uWSGI, whose own module is built in: spoolsim steps aside")
        replace(command, dict(os.environ))


def replace(command: Sequence[str], environment: dict[str, str]) -> None:
    """Become the command. Raises SpoolsimError with the exit status of a shell when that fails."""
    try:
        if not system.POSIX:  # exec there would start it beside us, and give the terminal back at once
            import subprocess

            sys.exit(subprocess.call([shutil.which(command[0]) or command[0], *command[1:]], env=environment))
        os.execvpe(command[0], list(command), environment)
    except OSError as error:
        raise install.unrunnable(command[0], error) from None


def warn(command: Sequence[str], options: Options, log: Log) -> None:
    """Say what keeps `import uwsgi` from finding our module in this command, if anything does."""
    flag, words = isolation(command)
    if flag:
        log.say(
            f"python {flag} ignores PYTHONPATH, so `import uwsgi` fails in {' '.join(command)}: leave {flag} out",
            error=True,
        )
    script = next((word for word in words if not word.startswith("-")), "")
    places = [os.path.dirname(os.path.abspath(script)) if os.path.isfile(script) else os.getcwd()]
    install.own_module(places, options, log)


def isolation(command: Sequence[str]) -> tuple[str, list[str]]:
    """("-I" or "-E" if this runs a Python that ignores the environment, else ""; the words behind Python's options).

    A script is looked into for the options in its first line; `env A=1`, `nice` and the like are looked through.
    """
    words = _behind(list(command))
    if not words:
        return "", []
    if not _PYTHON.match(os.path.basename(words[0])):
        words = [*_interpreter(words[0]), *words]
        if not words or not _PYTHON.match(os.path.basename(words[0])):
            return "", []
    at = 1
    while at < len(words) and words[at].startswith("-") and len(words[at]) > 1:
        for position, letter in enumerate(words[at][1:], 2):
            if letter in "IE":
                return f"-{letter}", words[at + 1 :]
            if letter in "cm-":
                return "", []
            if letter in "WX":
                at += position == len(words[at])
                break
        at += 1
    return "", words[at:]


def _interpreter(name: str) -> list[str]:
    """The words of the #! line of a script, without `env`."""
    path = shutil.which(name)
    try:
        with open(path or "", "rb") as file:
            first = file.readline(512)
    except OSError:
        return []
    words = first[2:].decode("utf-8", "replace").split() if first.startswith(b"#!") else []
    return _behind(words)


def _behind(words: list[str]) -> list[str]:
    """The command behind programs that only run it, their options and assignments left out."""
    while words and os.path.basename(words[0]) in _RUN_IT:
        words = words[1:]
        while words and (words[0].startswith("-") or "=" in words[0]):
            words = words[2 if words[0] in _WITH_VALUE else 1 :]
    return words
