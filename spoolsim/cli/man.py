"""`spoolsim man`: manual pages for man(1), made from the commands' own help when it is called."""

from __future__ import annotations

import os
import re
import sys
from importlib.metadata import version

import click

from spoolsim import options, printable
from spoolsim.cli.out import out

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

#: below the directory of the pages
_SECTION = "man1"
_EXIT = (
    "0 success; 1 failure (tasks left, unusable directory or app); 2 usage error; 130 interrupted by Ctrl-C. "
    "`spoolsim help exit-codes` lists all."
)
#: characters that roff would print as others; the backslash first
_ESCAPES = (("\\", "\\e"), ("-", "\\-"), ("`", "\\(ga"), ("^", "\\(ha"), ("~", "\\(ti"))
_RUN = (
    "Run the spooler with the configuration file, or the options, that production has. Without a file and without "
    "options it takes the first of these in the working directory: [tool.spoolsim] in pyproject.toml, spoolsim.ini, "
    "uwsgi.ini."
)


@click.command("man")
@click.argument("directory", required=False, metavar="[DIR]")
@click.pass_context
def man(ctx: click.Context, directory: str | None) -> None:
    """Write the manual pages spoolsim.1 and spoolsim-COMMAND.1 into DIR/man1, for `man spoolsim`.

    Without DIR they go to share/man of this Python's environment, where man finds them while that is activated.
    """
    root = ctx.find_root().command
    assert isinstance(root, click.Group)
    home = os.path.join(directory or os.path.join(sys.prefix, "share", "man"), _SECTION)
    os.makedirs(home, exist_ok=True)
    written = pages(root)
    for name, text in written.items():
        with open(os.path.join(home, f"{name}.1"), "w", encoding="utf-8") as page:
            page.write(text)
    out(f"wrote {printable.counted(len(written), 'page')} to {home}; `man spoolsim` shows the first")


def pages(root: click.Group) -> dict[str, str]:
    """Name -> text of every page, in roff. root: the command `spoolsim`."""
    context = click.Context(root, info_name="spoolsim")
    commands = {name: each for name in root.list_commands(context) if (each := root.get_command(context, name))}
    found = {"spoolsim": _join(_main(root, commands))}
    for name, command in commands.items():
        found[f"spoolsim-{name}"] = _join(_command(name, command))
    return found


def _join(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def escaped(text: str) -> str:
    """Text that roff prints as it is, also at the beginning of a line."""
    for plain, roff in _ESCAPES:
        text = text.replace(plain, roff)
    return f"\\&{text}" if text[:1] in (".", "'") else text


def _paragraph(text: str) -> str:
    return escaped(" ".join(text.split()))


def _head(name: str, about: str) -> Iterator[str]:
    yield f'.TH {escaped(name.upper())} 1 "" "spoolsim {version("spoolsim")}" "spoolsim"'
    yield ".SH NAME"
    yield f"{escaped(name)} \\- {_paragraph(about).rstrip('.')}"


def _main(root: click.Group, commands: Mapping[str, click.Command]) -> Iterator[str]:
    """The page of `spoolsim` itself."""
    yield from _head("spoolsim", (root.help or "").partition("\n")[0])
    yield from (".SH SYNOPSIS", ".B spoolsim", ".I COMMAND", "[OPTIONS]")
    yield ".SH DESCRIPTION"
    yield _paragraph("Each command has a page: spoolsim-COMMAND(1). `spoolsim help` lists the pages of the manual.")
    yield ".SH COMMANDS"
    yield from _entries((f"spoolsim-{name}(1)", _about(command)) for name, command in commands.items())
    yield from (".SH EXIT STATUS", _paragraph(_EXIT))


def _about(command: click.Command) -> str:
    """What a command does, in a line."""
    return command.get_short_help_str(200)


def _command(name: str, command: click.Command) -> Iterator[str]:
    """The page of one command."""
    context = click.Context(command, info_name=f"spoolsim {name}")
    pieces = ["[OPTIONS]", "[FILE]"] if name == "run" else command.collect_usage_pieces(context)
    yield from _head(f"spoolsim-{name}", _about(command))
    yield from (".SH SYNOPSIS", f".B spoolsim {escaped(name)}", escaped(" ".join(pieces)))
    yield ".SH DESCRIPTION"
    yield _paragraph(_RUN if name == "run" else (command.help or "").partition("\b")[0])
    if rows := _run_options() if name == "run" else _options(command, context):
        yield ".SH OPTIONS"
        yield from _entries(rows)
    if examples := re.findall(r"^  (spoolsim .*)$", command.epilog or "", re.MULTILINE):
        yield from (".SH EXAMPLES", ".nf", *map(escaped, examples), ".fi")
    yield from (".SH EXIT STATUS", _paragraph(_EXIT))
    yield from (".SH SEE ALSO", ".BR spoolsim (1)")


def _options(command: click.Command, context: click.Context) -> list[tuple[str, str]]:
    shown = (param for param in command.get_params(context) if isinstance(param, click.Option))
    records = (param.get_help_record(context) for param in shown)
    return [record for record in records if record is not None]


def _run_options() -> list[tuple[str, str]]:
    return [(f"--{each.name}{f' {each.metavar}' if each.metavar else ''}", each.help) for each in options.OPTIONS]


def _entries(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, text in rows:
        yield from (".TP", f".B {escaped(name)}", _paragraph(text))
