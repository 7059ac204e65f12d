"""The commands, each in a module of its own that is imported only when it is called."""

from __future__ import annotations

import signal
import sys

import click

from spoolsim.cli.out import tell
from spoolsim.errors import SpoolsimError

#: command -> (module, attribute, one line of help)
COMMANDS = {
    "run": ("spoolsim.cli.help", "run_command", "Run the spooler of a uWSGI configuration here."),
    "enqueue": ("spoolsim.cli.enqueue", "enqueue", "Write one spool file."),
    "ls": ("spoolsim.cli.ls", "ls", "List tasks: state, age, function and arguments, attempts."),
    "show": ("spoolsim.cli.ls", "show", "Show everything of a task."),
    "why": ("spoolsim.cli.ls", "why", "Say why a task has not run, and what to do."),
    "log": ("spoolsim.cli.ls", "log", "List past attempts."),
    "stats": ("spoolsim.cli.ls", "stats", "Count runs, failures and times of each function."),
    "retry": ("spoolsim.cli.act", "retry", "Make tasks due now that failed or are delayed."),
    "rerun": ("spoolsim.cli.act", "rerun", "Enqueue a new task with the bytes of another."),
    "hold": ("spoolsim.cli.act", "hold", "Take tasks out of the queue for a while."),
    "release": ("spoolsim.cli.act", "release", "Bring held tasks back."),
    "edit": ("spoolsim.cli.act", "edit", "Change the variables of a task."),
    "rm": ("spoolsim.cli.act", "rm", "Remove tasks; undo brings them back."),
    "undo": ("spoolsim.cli.act", "undo", "Bring back what rm removed."),
    "mv": ("spoolsim.cli.act", "mv", "Move tasks to another spool directory."),
    "sweep": ("spoolsim.cli.sweep", "sweep", "Clear what dead producers left."),
    "exec": ("spoolsim.cli.exec", "exec_command", "Run any program with `import uwsgi` working."),
    "dev": ("spoolsim.cli.exec", "dev_command", "run and exec at once, under one Ctrl-C."),
    "config": ("spoolsim.cli.config", "config", "Show or export the effective configuration."),
    "check": ("spoolsim.cli.config", "check", "Find what goes wrong in production before production."),
    "completion": ("spoolsim.cli.complete", "completion", "Print a script that completes commands and task ids."),
    "help": ("spoolsim.cli.help", "help_command", "Print a reference page."),
}

EPILOG = """\b
Examples:
  spoolsim run uwsgi.ini                       the spooler as production has it
  spoolsim run --spooler spool --import tasks  the same, from options
  spoolsim run --inline --drain uwsgi.ini      what is due, in this process, then stop
  spoolsim enqueue --spooler spool user=42     one task by hand
  spoolsim help differences                    where this is not uWSGI, and why

\b
Exit status: 0 success; 1 failure (tasks left, unusable directory or app);
2 usage error; 130 interrupted by Ctrl-C."""


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        from importlib import import_module

        module, attribute, _ = COMMANDS[cmd_name]
        found: click.Command = getattr(import_module(module), attribute)
        if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except SpoolsimError as error:
            tell(f"[spoolsim] {error}")
            sys.exit(error.exit_code)


@click.group(cls=_Lazy, epilog=EPILOG)
@click.version_option(package_name="spoolsim")
def commands() -> None:
    """The uWSGI spooler without uWSGI: run, test and understand spooler jobs locally."""
