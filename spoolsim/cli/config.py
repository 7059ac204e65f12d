"""`spoolsim config` and `spoolsim check`: what a configuration says, where each part came from, and what is wrong."""

from __future__ import annotations

import os
import sys

import click

from spoolsim.cli.out import exactly, out, tell
from spoolsim.config.check import SEVERITIES, Finding
from spoolsim.config.check import check as find
from spoolsim.config.export import FORMS, export
from spoolsim.config.readers import DISCOVERED, configuration
from spoolsim.errors import UsageError
from spoolsim.options import BY_NAME, DEFAULTS, FALSE, OPTIONS, TRUE, Option, Options, Setting, build
from spoolsim.printable import counted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rich.status import Status

_CONTEXT = {"ignore_unknown_options": True, "help_option_names": ["--help"]}
_WORDS = click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[FILE] [OPTIONS OF RUN]")
_SEVERITY_COLOURS = {"error": "red", "warning": "yellow", "info": "cyan"}


@click.command(context_settings=_CONTEXT)
@click.option("--to", "form", type=click.Choice(FORMS), help="Write the configuration in this form, for real uWSGI.")
@click.option(
    "--for",
    "purpose",
    type=click.Choice(["production"]),
    help="With --to ini or yaml and --output: add the reasons as comments, a systemd unit and a container file.",
)
@click.option("--output", type=click.Path(dir_okay=False), help="Write to this file instead of standard output.")
@click.option("--json", "as_json", is_flag=True, help="Print the options and their sources as JSON.")
@_WORDS
def config(form: str | None, purpose: str | None, output: str | None, as_json: bool, words: tuple[str, ...]) -> None:
    """Print each effective option with its source, or export the configuration.

    FILE and options are those of `spoolsim run`; without any, the configuration of this directory is taken.
    """
    settings = _settings(words)
    options = build(settings)
    if purpose and (form not in ("ini", "yaml") or not output):
        raise UsageError("--for production writes several files: say --to ini or --to yaml, and --output FILE")
    if form is None:
        rows = effective(settings, options)
        if as_json:
            import json

            _write(
                "".join([json.dumps([dict(zip(_COLUMNS, row, strict=True)) for row in rows], indent=2), "\n"]), output
            )
            return
        width = max(len(f"{name} = {value}") for name, value, _ in rows)
        _write("".join(f"{f'{name} = {value}':{width}}  {source}\n" for name, value, source in rows), output)
        return
    from spoolsim.config import production

    done = export(settings, options, form, comments=production.REASONS if purpose else None)
    for warning in done.warnings:
        tell(f"[spoolsim] {warning}")
    _write(done.text, output)
    if purpose and output:
        _write_beside(settings, options, output, form)


def _write_beside(settings: list[Setting], options: Options, output: str, form: str) -> None:
    """A systemd unit and a container file beside an export for production."""
    from spoolsim.config import production

    stem, here = os.path.splitext(output)[0], os.getcwd()
    adapt = production.advice(settings, here, production.UNIT_HOME)
    if adapt:
        tell(f"[spoolsim] {adapt}")
    _write(production.unit(options, os.path.abspath(output), form, adapt), f"{stem}.service")
    adapt = production.advice(settings, here, production.CONTAINER_HOME)
    place = os.path.join(os.path.dirname(output), "Containerfile")
    _write(production.container(options, os.path.basename(output), form, adapt), place)


@click.command(context_settings=_CONTEXT)
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON, advice included.")
@click.option("--all", "everything", is_flag=True, help="Print advice for production as well as faults.")
@click.option("--silence", multiple=True, metavar="CODE,...", help="Leave out findings of these codes.")
@click.option("--production", is_flag=True, help="This is production: paths that are missing here are errors.")
@_WORDS
def check(as_json: bool, everything: bool, silence: tuple[str, ...], production: bool, words: tuple[str, ...]) -> None:
    """Find what goes wrong in production before production.

    FILE and options are those of `spoolsim run`. Nothing of the app is imported. Exit status 1 if there are errors.
    """
    settings = _settings(words) + [Setting("silence", codes, "command line") for codes in silence]
    with _Reading(shown=sys.stderr.isatty()) as progress:
        found = find(settings, os.getcwd(), production=production, progress=progress)
    if as_json:
        import json

        out(json.dumps([finding.to_plain() for finding in found], indent=2))
    else:
        _print_findings(found, everything)
    if any(finding.severity == "error" for finding in found):
        sys.exit(1)


class _Reading:
    """How many files `check` has read, on a terminal; called with the number."""

    def __init__(self, *, shown: bool) -> None:
        self._status: Status | None = None
        if shown:
            from rich.console import Console

            self._status = Console(stderr=True).status("reading the configuration")

    def __enter__(self) -> _Reading:
        if self._status is not None:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status is not None:
            self._status.stop()

    def __call__(self, number: int) -> None:
        if self._status is not None and number % 50 == 0:
            self._status.update(f"reading the code: {number} files")


_COLUMNS = ("option", "value", "source")


def effective(settings: list[Setting], options: Options) -> list[tuple[str, str, str]]:
    """(option, value, source) of everything that counts: of single values the last, of lists all, then defaults."""
    rows: list[tuple[str, str, str]] = []
    for option in OPTIONS:
        if option.kind in ("config", "placeholder"):
            continue
        names = (option.name, *option.aliases)
        given = [s for s in settings if s.name in names and s.role == "option"]
        if option.kind not in ("list", "spooler", "codes"):
            given = given[-1:]
        if option.name.startswith("spooler") and option.kind == "spooler":
            given = [s for s in given if s.name == option.name]
        if given:
            rows += [(option.name, _shown(option, s, options), s.source) for s in given]
        elif _worth_showing(option):
            rows.append((option.name, _default(option), "default"))
    not_run = {name for name, _ in options.not_run}
    others = [s for s in settings if s.role == "option" and s.name not in BY_NAME]
    rows += [(s.name, _plain(s), f"{s.source} (not run here)") for s in others if s.name in not_run]
    rows += [
        (s.name, _plain(s), f"{s.source} (no effect on spoolers)") for s in others if s.name in options.without_effect
    ]
    rows += [
        (s.name, _plain(s), f"{s.source} (a placeholder)") for s in settings if s.role in ("placeholder", "assigned")
    ]
    rows += [(s.name, _plain(s), f"{s.source} (unknown, without effect)") for s in settings if s.role == "unknown"]
    return rows


def _worth_showing(option: Option) -> bool:
    return option.uwsgiconf is not None and option.kind not in ("list", "spooler") and option.default is not None


def _default(option: Option) -> str:
    value = DEFAULTS[option.field] if option.field else ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _plain(setting: Setting) -> str:
    return "true" if setting.value is True else str(setting.value)


def _shown(option: Option, setting: Setting, options: Options) -> str:
    """The value as it was given and, where it is read differently, as what."""
    given = _plain(setting) or ("true" if option.kind == "flag" else "")
    if option.kind not in ("flag", "int") or option.field is None:
        return given
    read = getattr(options, option.field)
    if option.name == "master" or given.lower() in (FALSE if not read else TRUE):
        return given
    read = str(read).lower() if option.kind == "flag" else str(read)
    return given if given.strip() == read else f"{given} (read as {read})"


def _settings(words: tuple[str, ...]) -> list[Setting]:
    settings, file = configuration(list(words), os.environ)
    if file is None:
        raise UsageError(f"no configuration: name a file, or have one of {', '.join(DISCOVERED)} here")
    return settings


def _write(text: str, output: str | None) -> None:
    if output is None:
        exactly(text)
        return
    try:
        with open(output, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(f"--output {output}: cannot be written: {error.strerror}") from None
    tell(f"wrote {output}")


def _print_findings(found: list[Finding], everything: bool) -> None:
    shown = [finding for finding in found if everything or finding.severity != "info"]
    for finding in shown:
        out(f"{finding.place}: ", nl=False)
        out(finding.severity, nl=False, colour=_SEVERITY_COLOURS[finding.severity])
        out(f": {finding.why}; {finding.advice} [{finding.code}]")
    counts = [
        counted(sum(f.severity == severity for f in shown), severity, "info" if severity == "info" else "")
        for severity in SEVERITIES
    ]
    hidden = len(found) - len(shown)
    more = f"; {counted(hidden, 'piece')} of advice for production: --all" if hidden else ""
    out((", ".join(counts[: 3 if everything else 2]) if shown else "no problem found") + more)
