"""Completion of task ids, functions and states in a shell; `spoolsim completion bash` prints what turns it on."""

from __future__ import annotations

import os
import time

import click
from click.shell_completion import CompletionItem, get_completion_class

from spoolsim.cli.out import out
from spoolsim.errors import SpoolsimError
from spoolsim.tasks.listing import Row, survey
from spoolsim.tasks.states import STATES
from spoolsim.tasks.where import find

_VARIABLE = "_SPOOLSIM_COMPLETE"


def tasks(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Ids of the tasks in the directories that the command line names, or that would be found; what each calls."""
    start = incomplete.removeprefix("#").lower()
    rows = [row for row in _rows(ctx) if row.id.startswith(start)]
    return [CompletionItem(row.id, help=f"{row.state} {row.call.line()}") for row in rows]


def functions(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of the functions that tasks there call."""
    names = {row.call.function for row in _rows(ctx) if row.call.function}
    return [CompletionItem(name) for name in sorted(names) if name.startswith(incomplete)]


def states(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The states, also behind a comma."""
    before, comma, start = incomplete.rpartition(",")
    return [CompletionItem(before + comma + state) for state in STATES if state.startswith(start)]


def _rows(ctx: click.Context) -> list[Row]:
    given = ctx.params
    ordered = bool(given.get("ordered"))
    try:
        config = given.get("config") or given.get("file") or ""
        where = find(given.get("directories") or (), config, ordered=ordered, cwd=os.getcwd(), environ=os.environ)
        return survey(where.spools, ordered=where.setting.ordered, now=time.time())
    except SpoolsimError:
        return []  # nothing to offer; the command itself will say what is wrong


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print a script that completes commands, options, task ids, functions and states.

    \b
    bash: eval "$(spoolsim completion bash)"                 in ~/.bashrc
    zsh:  eval "$(spoolsim completion zsh)"                  in ~/.zshrc
    fish: spoolsim completion fish | source                  in ~/.config/fish/config.fish
    """
    found = get_completion_class(shell)
    assert found is not None, shell
    out(found(ctx.find_root().command, {}, "spoolsim", _VARIABLE).source())
