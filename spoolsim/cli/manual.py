"""`spoolsim help`: the pages of the manual, and the usage of each command."""

from __future__ import annotations

import os
import sys

import click
from click.shell_completion import CompletionItem

from spoolsim import options
from spoolsim.cli.near import did_you_mean
from spoolsim.cli.note_examples import EXAMPLES
from spoolsim.cli.out import out, page
from spoolsim.diagnose import BY_CODE
from spoolsim.errors import UsageError

HOME = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "help")

#: how a newcomer reads the pages
ORDER = (
    "tutorial",
    "testing",
    "recipes",
    "faq",
    "tasks",
    "commands",
    "exit-codes",
    "differences",
    "production-notes",
    "options",
    "uwsgi-module",
    "formats",
    "security",
    "attacks",
    "performance",
    "platforms",
)


def topics() -> list[str]:
    """The pages there are, in the order to read them."""
    found = {name.removesuffix(".md") for name in os.listdir(HOME) if name.endswith(".md")}
    return [name for name in ORDER if name in found] + sorted(found.difference(ORDER))


def _title(topic: str) -> str:
    """The first line of a page."""
    with open(os.path.join(HOME, f"{topic}.md"), encoding="utf-8") as page:
        return page.readline().strip("# \n")


@click.command("help")
@click.argument("topic", required=False)
@click.pass_context
def help_command(ctx: click.Context, topic: str | None) -> None:
    """Print a page of the manual, the options of a command, or what the code of a production note means."""
    if topic is None:
        out("`spoolsim help COMMAND` prints the options of a command, `spoolsim help TOPIC` one of these pages:")
        for name in topics():
            out(f"  {name:18}{_title(name)}")
        return
    root = ctx.find_root()
    assert isinstance(root.command, click.Group)
    command = root.command.get_command(root, topic)
    if topic == "run":
        run_help()
    elif command is not None:
        out(command.get_help(click.Context(command, info_name=topic, parent=root)))
    elif topic in topics():
        _print(topic)
    elif topic in BY_CODE:
        out(_note(topic))
    else:
        near = did_you_mean(topic, [*topics(), *BY_CODE, *root.command.list_commands(root)], "spoolsim help")
        raise UsageError(f"no page and no command {topic!r}; {near}")


def sentence(text: str) -> str:
    """A part of a log line as a sentence; uWSGI's name stays as it is."""
    return f"{text if text.startswith('uWSGI') else text[:1].upper() + text[1:]}."


def _note(code: str) -> str:
    """What stands in the log before this code, and more."""
    note = BY_CODE[code]
    safer = "spoolsim does something safer here." if note.safer else "spoolsim does the same here, and warns."
    return f"""\
The production note {code}: {safer}

{sentence(note.uwsgi)}

Example:     {EXAMPLES[code]}
What to do:  {note.advice}
Turn it off: --silence {code}

`spoolsim help production-notes` lists all notes.\
"""


def _print(topic: str) -> None:
    """For people on a terminal, as they read it; elsewhere the Markdown as it is."""
    with open(os.path.join(HOME, f"{topic}.md"), encoding="utf-8") as file:
        text = file.read()
    if sys.stdout.isatty():
        from spoolsim.cli.render import rendered

        page(rendered(text))
    else:
        out(text, nl=False)


class _Run(click.Command):
    """`run`, whose options are in the one table."""

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The options; files are the shell's own matter."""
        names = [f"--{name}" for option in options.OPTIONS for name in (option.name, *option.aliases)]
        return [CompletionItem(name) for name in names if incomplete and name.startswith(incomplete)]


@click.command("run", cls=_Run)
def run_command() -> None:
    """Run the spooler of a uWSGI configuration here; see `spoolsim run --help`."""
    run_help()


def run_help() -> None:
    """Print the usage of `run`, its options from the one table."""
    out(_RUN)
    formatter = click.HelpFormatter(max_width=100)
    for ours, heading in ((True, "spoolsim's own options"), (False, "uWSGI's options, by their own names")):
        with formatter.section(heading):
            formatter.write_dl(
                [
                    (f"--{option.name}{f' {option.metavar}' if option.metavar else ''}", option.help)
                    for option in options.OPTIONS
                    if option.ours is ours
                ]
            )
    out(formatter.getvalue(), nl=False)


_RUN = """\
Usage: spoolsim run [OPTIONS] [FILE]

Run the spooler with the configuration file, or the options, that production
has. FILE is .ini, .yaml, .json, .xml, .toml or .py. Without a file and without
options it takes the first of these in the working directory: [tool.spoolsim]
in pyproject.toml, spoolsim.ini, uwsgi.ini.

  spoolsim run uwsgi.ini
  spoolsim run --spooler spool --import tasks --spooler-processes 2
  spoolsim run --inline --drain uwsgi.ini
  spoolsim run --faithful uwsgi.ini

Ctrl-C lets running tasks finish and stops; a second Ctrl-C ends them at once.
SIGHUP reloads the code.

Exit status: 0 stopped, or drained with nothing due left; 1 due tasks are left,
or it cannot run; 2 usage error.
"""
