"""The commands, each in a module of its own that is imported only when it is called."""

from __future__ import annotations

import signal
import sys

import click

from spoolsim.cli.near import did_you_mean
from spoolsim.cli.out import tell
from spoolsim.cli.table import COMMANDS, SECTIONS, load
from spoolsim.errors import SpoolsimError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

EPILOG = """\b
Examples:
  spoolsim help tutorial                       learn it in ten minutes
  spoolsim run uwsgi.ini                       run production's spooler
  spoolsim run --spooler spool --import tasks  the same, without a file
  spoolsim run --inline --drain uwsgi.ini      run what is due, then stop
  spoolsim enqueue --spooler spool user=42     enqueue one task
  spoolsim why 3fa                             say why #3fa has not run

\b
Exit status: 0 success; 1 failure (tasks left, unusable directory or app);
2 usage error; 130 interrupted by Ctrl-C."""


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        found = load(cmd_name)
        if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            raise UsageError(f"no command {args[0]!r}; {did_you_mean(args[0], COMMANDS, 'spoolsim --help')}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, COMMANDS))
        for heading, names in SECTIONS.items():
            with formatter.section(heading):
                formatter.write_dl([(f"{name:{width}}", COMMANDS[name][2]) for name in names])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            _refuse(error)

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            _refuse(error)
        except SpoolsimError as error:
            tell(f"[spoolsim] {error}")
            sys.exit(error.exit_code)


def _refuse(error: click.UsageError) -> NoReturn:
    """End with what click found wrong in the command line, in one line, as all our other errors are."""
    path = error.ctx.command_path if error.ctx else "spoolsim"
    if type(error).__name__ == "NoArgsIsHelpError":  # `spoolsim` alone
        raise error
    if isinstance(error, click.NoSuchOption):
        near = f"did you mean {error.possibilities[0]}?" if error.possibilities else f"see `{path} --help`"
        text = f"no option {error.option_name}; {near}"
    else:
        text = " ".join(error.format_message().split()).rstrip(".")
        text = f"{text[:1].lower()}{text[1:]}; see `{path} --help`"
    command = path.partition(" ")[2]
    tell(f"[spoolsim] {command}: {text}" if command else f"[spoolsim] {text}")
    sys.exit(error.exit_code)


@click.group(cls=_Lazy, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="spoolsim")
def commands() -> None:
    """The uWSGI spooler without uWSGI: run, test and understand spooler jobs locally.

    Start with `spoolsim help tutorial`, or in a project that has a uwsgi.ini with `spoolsim run`.
    """
