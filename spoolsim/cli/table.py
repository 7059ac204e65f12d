"""The table of commands, each in a module of its own that is imported only when it is called."""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    import click

#: command -> (module, attribute, one line of help)
COMMANDS = {
    "run": ("spoolsim.cli.manual", "run_command", "Run the spooler of a uWSGI configuration here."),
    "enqueue": ("spoolsim.cli.enqueue", "enqueue", "Enqueue one task by hand."),
    "ls": ("spoolsim.cli.ls", "ls", "List tasks with their state, age, call and attempts."),
    "show": ("spoolsim.cli.ls", "show", "Show everything about a task."),
    "why": ("spoolsim.cli.ls", "why", "Say why a task has not run, and what to do."),
    "log": ("spoolsim.cli.ls", "log", "List past attempts."),
    "stats": ("spoolsim.cli.ls", "stats", "Count runs, failures and times of each function."),
    "top": ("spoolsim.cli.top", "top", "Watch spoolers, rates, what waits and what fails."),
    "retry": ("spoolsim.cli.act", "retry", "Make tasks that failed or are delayed due now."),
    "rerun": ("spoolsim.cli.act", "rerun", "Enqueue a new task with the bytes of another."),
    "hold": ("spoolsim.cli.act", "hold", "Take tasks out of the queue for a while."),
    "release": ("spoolsim.cli.act", "release", "Bring held tasks back."),
    "edit": ("spoolsim.cli.act", "edit", "Change the variables of a task."),
    "rm": ("spoolsim.cli.act", "rm", "Remove tasks; undo brings them back."),
    "undo": ("spoolsim.cli.act", "undo", "Bring back what rm removed."),
    "mv": ("spoolsim.cli.act", "mv", "Move tasks to another spool directory."),
    "sweep": ("spoolsim.cli.sweep", "sweep", "Clear the files that dead producers left."),
    "exec": ("spoolsim.cli.exec", "exec_command", "Run any program, with a working `import uwsgi`."),
    "dev": ("spoolsim.cli.exec", "dev_command", "Run the spooler and your development server under one Ctrl-C."),
    "config": ("spoolsim.cli.config", "config", "Show or export the effective configuration."),
    "check": ("spoolsim.cli.config", "check", "Find what would go wrong in production."),
    "completion": ("spoolsim.cli.complete", "completion", "Print a script that completes commands and task ids."),
    "man": ("spoolsim.cli.man", "man", "Write pages for man: `man spoolsim`."),
    "help": ("spoolsim.cli.manual", "help_command", "Print a page of the manual."),
}

#: heading -> commands, as the help lists them
SECTIONS = {
    "Run tasks": ("run", "dev", "exec", "enqueue"),
    "See tasks": ("ls", "show", "why", "log", "stats", "top"),
    "Change tasks": ("retry", "rerun", "hold", "release", "edit", "rm", "undo", "mv", "sweep"),
    "Configuration and help": ("check", "config", "completion", "man", "help"),
}


def load(name: str) -> click.Command:
    """Import a command."""
    module, attribute, _ = COMMANDS[name]
    found: click.Command = getattr(import_module(module), attribute)
    return found
