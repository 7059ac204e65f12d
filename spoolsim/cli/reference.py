"""The page `commands`: what each command does and all its options, from the commands themselves."""

from __future__ import annotations

import re
from textwrap import fill

import click

from spoolsim.cli.table import COMMANDS, SECTIONS, load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_ABOUT = """\
# Commands

`spoolsim COMMAND --help` prints the same for one command. `spoolsim help tasks` explains how tasks are named and what
their states mean, and shows the commands at work.

Every command finds its spool directories in the same way: from `--spooler DIR`, from a configuration file, or from the
first of these in the working directory: `[tool.spoolsim]` in pyproject.toml, spoolsim.ini, uwsgi.ini.

Exit status: 0 success; 1 failure (tasks left, unusable directory or app); 2 usage error; 130 interrupted by Ctrl-C.
"""
#: what they are for -> options that most commands about tasks have
_SHARED = {
    "where, and how to print": ("--spooler", "--config", "--spooler-ordered", "--json", "-q", "-v"),
    "which tasks (all conditions must hold)": ("--state", "--func", "--older", "--grep"),
}


def page() -> str:
    """The page, in the order of `spoolsim --help`."""
    shared = {option.opts[0]: _row(option) for option in _options("hold")}
    parts = [_ABOUT, "## Shared options\n"]
    for about, options in _SHARED.items():
        parts.append("\n".join([f"Options for {about}:", "", *_table([shared[name] for name in options]), ""]))
    for heading, names in SECTIONS.items():
        parts.append(f"## {heading}\n")
        parts += [_section(name) for name in names]
    return "\n".join(parts)


def _section(name: str) -> str:
    command = load(name)
    if name == "run":
        usage, text = "spoolsim run [OPTIONS] [FILE]", "The options are those of uWSGI: `spoolsim help options`."
        return f"### `{usage}`\n\n{COMMANDS[name][2]} {text}\n"
    context = click.Context(command, info_name=f"spoolsim {name}")
    usage = " ".join([f"spoolsim {name}", *command.collect_usage_pieces(context)])
    has = {option.opts[0] for option in _options(name)}
    shared = {about: options for about, options in _SHARED.items() if has.issuperset(options)}
    text = " ".join((command.help or "").partition("\b")[0].split())
    if shared:
        text += f" Shared options: {', and '.join(about.partition(' (')[0] for about in shared)}."
    lines = [f"### `{usage}`", "", fill(text, 118, break_on_hyphens=False)]
    own = [option for option in _options(name) if not any(option.opts[0] in options for options in shared.values())]
    if own:
        lines += ["", *_table(map(_row, own))]
    if examples := re.findall(r"^  (spoolsim .*)$", command.epilog or "", re.MULTILINE):
        lines += ["", "For example:", "", *(f"- `{one}`" for one in examples)]
    return "\n".join([*lines, ""])


def _options(name: str) -> list[click.Option]:
    return [param for param in load(name).params if isinstance(param, click.Option)]


def _row(option: click.Option) -> tuple[str, str]:
    """How an option is written, and what it does."""
    value = option.metavar or ("|".join(option.type.choices) if isinstance(option.type, click.Choice) else "")
    names = ", ".join(f"`{name}`" for name in option.opts)
    argument = f" {value or option.type.name.upper()}" if not option.is_flag else ""
    return f"{names}{argument}".replace("|", "/"), option.help or ""


def _table(rows: Iterable[tuple[str, str]]) -> list[str]:
    return ["| option | what it does |", "|---|---|", *(f"| {name} | {text} |" for name, text in rows)]
