"""The pages of the manual that are made from the code; `python -m spoolsim.cli.help` writes them."""

from __future__ import annotations

import os

from spoolsim import effects, options
from spoolsim.cli import reference
from spoolsim.cli.manual import HOME, sentence
from spoolsim.cli.note_examples import EXAMPLES
from spoolsim.diagnose import NOTES
from spoolsim.emulate import surface
from spoolsim.options import policy


def production_notes() -> str:
    """The page of production notes."""
    rows = ["# Production notes", "", _ABOUT_NOTES, ""]
    for safer, heading in ((True, "## Where spoolsim is safer"), (False, "## Where it does the same, and warns")):
        rows += [heading, ""]
        for note in NOTES:
            if note.safer is safer:
                rows += [f"### `{note.code}`", "", f"{sentence(note.uwsgi)}", ""]
                rows += [f"- Example: {EXAMPLES[note.code]}", f"- What to do: {note.advice}", ""]
    return "\n".join(rows)


_ABOUT_NOTES = """\
A production note is a line in the log that begins with `[production]` and ends with a code. It says what uWSGI would
do that you do not see here. spoolsim logs it the first time it matters, once for each file or option that it is about.
`spoolsim help CODE` prints one note; `--silence CODE,CODE` turns notes off. `--faithful` makes spoolsim do exactly what
uWSGI does, and logs none."""


def option_table() -> str:
    """The page of options."""
    rows = ["# Options", "", _ABOUT_OPTIONS, ""]
    for ours, heading in ((False, "## uWSGI's own"), (True, "## spoolsim's own")):
        rows += [heading, "", "| option | what it does | default |", "|---|---|---|"]
        for option in options.OPTIONS:
            if option.ours is not ours:
                continue
            names = ", ".join(f"`--{name}`" for name in (option.name, *option.aliases))
            argument = f" {option.metavar}" if option.metavar else ""
            since = " (uWSGI 2.1)" if option.since != "2.0" else ""
            default = "" if option.default in (None, (), False) else str(option.default)
            rows.append(f"| {names}{argument.replace('|', '/')} | {option.help}{since} | {default} |")
        rows.append("")
    return "\n".join([*rows, _not_run()])


_ABOUT_OPTIONS = """\
The options of `spoolsim run`. Most are uWSGI's, under their own names. On the command line write `--name value`,
`--name=value` or, for a flag, `--name`; in an ini file `name = value`. spoolsim refuses unknown options.

uWSGI has many more options. The last table of this page lists those that concern spoolers or what runs beside them, and
that spoolsim does nothing for. If your configuration uses one, `spoolsim run` lists it with file and line as *not run
here*. All other options of uWSGI concern web requests, sockets, routers, logs or other instances. They do not affect
spoolers, and `spoolsim run` does not mention them.

As in uWSGI, `$(ENV)`, `@(file)` and `%(name)` are replaced in most values, but not in those of options that uWSGI
applies while it reads them (`spooler-processes`, `umask`, `listen`, `set-placeholder`, `include`, `ini`, `plugins`,
...). So `spooler-processes = $(N)` means one process."""


def _not_run() -> str:
    from textwrap import wrap

    names = ", ".join(f"`{name}`" for name in sorted(effects.NOT_RUN))
    return "\n".join(["## Not run here", "", *wrap(names, 118, break_on_hyphens=False), ""])


def differences() -> str:
    """The page of differences, its rows from the fields of `Policy`."""
    lines = ["# Where this is not uWSGI", "", _ABOUT_DIFFERENCES, ""]
    for heading, about, rows in (
        ("## Safer by default", _ABOUT_SAFER, policy.rows()),
        ("## Always different", "", policy.ALWAYS),
    ):
        lines += [
            heading,
            "",
            *([about, ""] if about else []),
            "| what | uWSGI | spoolsim | note |",
            "|---|---|---|---|",
        ]
        lines += [
            f"| {row.what} | {row.uwsgi} | {row.spoolsim} | {f'`{row.note}` ' if row.note else ''}|" for row in rows
        ]
        lines.append("")
    return "\n".join([*lines, _BEYOND])


_ABOUT_DIFFERENCES = """\
spoolsim does what uWSGI does, except for the differences on this page. Each was observed in a running uWSGI 2.0.31,
and a test stages it again. `--faithful` removes every difference in the first table; those in the second remain."""

_ABOUT_SAFER = """\
The last column names the production note that spoolsim logs when the difference first matters; `spoolsim help
production-notes` explains the codes. Without a code spoolsim logs nothing, or another line."""

_BEYOND = """\
## Beyond uWSGI

spoolsim has options that uWSGI lacks, with names that uWSGI does not use. They are off by default:
`spoolsim help options`.
"""


GENERATED = {
    "differences": differences,
    "production-notes": production_notes,
    "options": option_table,
    "uwsgi-module": surface.page,
    "commands": reference.page,
}


def main() -> None:
    """Write the generated pages again."""
    for topic, make in GENERATED.items():
        with open(os.path.join(HOME, f"{topic}.md"), "w", encoding="utf-8") as page:
            page.write(make())


if __name__ == "__main__":
    main()
