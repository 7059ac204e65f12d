"""Exports given to the real uWSGI and to our reader: they mean what the original means, and run the same tasks."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from spoolsim.cli.config import config
from spoolsim.config.export import FORMS, Export, export
from spoolsim.config.readers import gather, read
from spoolsim.errors import ConfigError
from spoolsim.options import BY_NAME, DEFAULTS, Options, build
from spoolsim.spool.directory import SpoolDir
from spoolsim.spool.look import CLAIMED, look
from spoolsim.spool.packet import encode
from tests.conftest import Spawn, WaitFor
from tests.oracle.test_config_uwsgi import FILES, show_config

pytestmark = pytest.mark.oracle

EXAMPLES = Path(__file__).parents[2] / "examples"
CONFIGURED = sorted(path.parent.name for path in EXAMPLES.glob("*/uwsgi.ini"))
#: cases whose values some form cannot hold: several lines, blanks around, a number sign in yaml
NOT_ALL_FORMS = (
    "carriage_returns.yaml",
    "comments.ini",
    "crlf.yaml",
    "environment_nested.ini",
    "file_content.ini",
    "inherit.ini",
    "plain.xml",
    "texts.xml",
)
#: names of settings that direct the reading and are gone from an export
DIRECTIONS = re.compile(
    r"ini|ya?ml|xml|json|include|inherit|set|set-ph|set-placeholder|if-.*|if\w+|for.*|end-?(if|for)"
)
FILE_OF = {"ini": "out.ini", "yaml": "out.yaml", "json": "out.json", "toml": "out.toml", "uwsgiconf": "out.py"}


def meaning(options: Options, unstable: set[str], *, by_option: bool = False) -> dict[str, object]:
    """All fields; of opt, notes and unknown keys without what names files, and without the order of keys.

    unstable: options whose values look like placeholders, of which the export warns. by_option: aliases count as the
    option, and flags as on or off, which is all that uwsgiconf keeps.
    """
    plain = {name: getattr(options, name) for name in DEFAULTS if name not in NAMING_FILES}
    opt: dict[str, object] = {}
    for name, value in options.opt.items():
        option = BY_NAME.get(name)
        if DIRECTIONS.fullmatch(name) or name in unstable:
            continue
        if by_option and option is not None and option.kind == "flag":
            if getattr(options, str(option.field)):
                opt[option.name] = True
        else:
            opt[option.name if by_option and option else name] = b"true" if value is True else value
    plain["opt"] = opt
    plain["not_run"] = [name for name, _ in options.not_run if not DIRECTIONS.fullmatch(name)]
    plain["without_effect"] = [name for name in options.without_effect if not DIRECTIONS.fullmatch(name)]
    plain["notes"] = [] if by_option else [code for code, _ in options.notes]
    plain["unknown"] = sorted(name for name, _ in options.unknown_ini)
    return {name: value for name, value in plain.items() if name not in fields_of(unstable)}


#: fields that name files and lines
NAMING_FILES = ("opt", "notes", "unknown_ini")


def fields_of(names: set[str]) -> set[str | None]:
    return {BY_NAME[name].field for name in names if name in BY_NAME}


def unstable(done: Export) -> set[str]:
    """The names of which an export warns that their values look like placeholders."""
    return {warning.partition(" = ")[0] for warning in done.warnings if "looks like a placeholder" in warning}


def settled(shown: str) -> dict[str, list[str]]:
    """What --show-config printed, by name, without what directs the reading."""
    found: dict[str, list[str]] = {}
    for line in shown.splitlines():
        name, _, value = line.partition(" = ")
        if not DIRECTIONS.fullmatch(name.strip()) and name not in ("show-config", "no-server"):
            found.setdefault(name.strip(), []).append(value.strip())
    return found


@pytest.mark.parametrize("form", ["ini", "yaml"])
@pytest.mark.parametrize("name", [name for name in FILES if name not in NOT_ALL_FORMS])
def test_real_uwsgi_understands_an_export_as_it_understands_the_original(
    uwsgi_binary: str, cwd: Path, name: str, form: str
):
    """Every setting has the same values, in the same order."""
    settings = gather(["--faithful", f"--{name.rpartition('.')[2]}", name], {})
    try:
        done = export(settings, build(settings), form)
    except ConfigError as error:
        assert "choose another form" in str(error)
        return
    (cwd / FILE_OF[form]).write_text(done.text)
    original, _ = show_config(uwsgi_binary, cwd, [f"--{name.rpartition('.')[2]}", name])
    exported, log = show_config(uwsgi_binary, cwd, [f"--{form}", FILE_OF[form]])
    expected = settled(original)
    for setting in settings:  # a placeholder that looked like an option's name is shown by what made it
        if setting.role in ("placeholder", "assigned"):
            expected.setdefault(setting.name.strip(), [])
    looking = {name.strip() for name in unstable(done)}
    found = {name: values for name, values in settled(exported).items() if name not in looking}
    assert found == {k: v for k, v in expected.items() if v and k not in looking}, log


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", [name for name in FILES if name not in NOT_ALL_FORMS])
def test_spoolsim_reads_the_same_options_from_an_export(cwd: Path, name: str, form: str):
    """Options are equal field by field (of uwsgi.opt without the names that direct the reading)."""
    settings = gather(["--faithful", name], {})
    options = build(settings)
    try:
        done = export(settings, options, form)
    except ConfigError as error:
        assert form not in ("json", "toml") and "choose another form" in str(error)
        return
    (cwd / FILE_OF[form]).write_text(done.text)
    again = build(gather(["--faithful", FILE_OF[form]], {}))
    by_option = form == "uwsgiconf"
    expected = meaning(options, unstable(done), by_option=by_option)
    found = meaning(again, unstable(done), by_option=by_option)
    if any("change their order" in warning for warning in done.warnings):
        for side in (expected, found):
            side["spoolers"] = sorted(side["spoolers"])
    if form in ("json", "toml", "uwsgiconf"):  # these keep the values of one option together
        for side in (expected, found):
            for field in ("not_run", "without_effect"):
                side[field] = sorted(set(side[field]))
    if form == "toml":  # made-up names are placeholders there; uwsgi.opt has them all the same
        expected["unknown"] = []
        for setting in settings:
            if setting.role == "unknown" and (not setting.name or "=" in setting.name):
                assert any(repr(setting.name) in warning for warning in done.warnings)
                del expected["opt"][setting.name]
    assert found == expected


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("example", CONFIGURED)
def test_spoolsim_reads_the_same_options_from_an_examples_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, example: str, form: str
):
    """All fields, uwsgi.opt as well: an export adds nothing and leaves nothing out."""
    shutil.copy(EXAMPLES / example / "uwsgi.ini", tmp_path)
    monkeypatch.chdir(tmp_path)
    settings = read("uwsgi.ini")
    options = build(settings)
    done = export(settings, options, form)
    (tmp_path / FILE_OF[form]).write_text(done.text)
    assert build(read(FILE_OF[form])) == options
    assert done.warnings == []


@pytest.mark.parametrize("form", ["ini", "yaml"])
def test_real_uwsgi_takes_the_command_of_the_unit_and_of_the_container_file(uwsgi_binary: str, cwd: Path, form: str):
    """What --for production writes beside the configuration starts uWSGI with it."""
    words = ["production.ini", "--to", form, "--for", "production", "--output", f"prod.{form}"]
    assert CliRunner().invoke(config, words, catch_exceptions=False).exit_code == 0
    unit = re.findall(r"^ExecStart=\S+ (.*)$", (cwd / "prod.service").read_text(), re.MULTILINE)
    container = re.findall(r"^CMD (.*)$", (cwd / "Containerfile").read_text(), re.MULTILINE)
    original, _ = show_config(uwsgi_binary, cwd, ["--ini", "production.ini"])
    for argv in (unit[0].split(), json.loads(container[0])[1:]):
        shown, log = show_config(uwsgi_binary, cwd, argv)
        assert settled(shown) == settled(original) != {}, log


@pytest.mark.parametrize("form", ["ini", "yaml", "uwsgiconf"])
@pytest.mark.parametrize("example", CONFIGURED)
def test_real_uwsgi_runs_an_export_as_it_runs_the_original(
    uwsgi_binary: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    spawn: Spawn,
    wait_for: WaitFor,
    example: str,
    form: str,
):
    """Each example: every task ends in the same way: it was done or not, its file is gone or left."""
    place, before = tmp_path / "app", tmp_path / "before"
    shutil.copytree(EXAMPLES / example, place, ignore=shutil.ignore_patterns("spool*", "__pycache__", ".spoolsim"))
    monkeypatch.chdir(place)
    ini = place / "uwsgi.ini"
    ini.write_text(re.sub(r"^(http-socket = ):\d+$", r"\1:0", ini.read_text(), flags=re.MULTILINE))  # any free port
    settings = read("uwsgi.ini")
    options = build(settings)
    enqueue(place, options)
    argvs = [["--ini", "uwsgi.ini"], exported(place, export(settings, options, form), form)]
    shutil.copytree(place, before)
    original, again = (run_example([uwsgi_binary, *argv], place, options, spawn, wait_for, before) for argv in argvs)
    assert original == again


def exported(place: Path, done: Export, form: str) -> list[str]:
    """The words with which the real uWSGI takes an export; uwsgiconf's module goes through uwsgiconf's own command."""
    file = place / FILE_OF[form]
    file.write_text(done.text)
    if form != "uwsgiconf":
        return [f"--{form}", file.name]
    words = [sys.executable, "-c", "from uwsgiconf.cli import main; main()", "compile", file.name]
    compiled = subprocess.run(words, cwd=place, check=True, capture_output=True, text=True, timeout=300).stdout
    (place / "compiled.ini").write_text(compiled)
    return ["--ini", "compiled.ini"]


def run_example(
    argv: list[str], place: Path, options: Options, spawn: Spawn, wait_for: WaitFor, before: Path
) -> dict[str, tuple[int, int]]:
    """Task -> (how many of the name were done, how many files are left), after each was run once.

    The tasks that the example enqueues when it is imported have new names in each run and count as one.
    """
    shutil.rmtree(place)
    shutil.copytree(before, place)
    names = {path.name for path in tasks(place)}
    due = {path.name for path in tasks(place) if path.stat().st_mtime <= time.time()}
    environ = {name: value for name, value in os.environ.items() if not name.startswith("UWSGI_")}
    running = spawn(argv, cwd=place, env=environ)
    running.wait_output("spawned the uWSGI spooler", len(options.spoolers) * options.processes_per_spooler, timeout=300)
    due.update(os.path.basename(path) for path in re.findall(r"\[spooler\] written .* to file (\S+)", running.output()))
    for name in due:
        running.wait_output(f"managing request {name}", timeout=300)
    spools = [SpoolDir(os.path.realpath(directory)) for directory, _ in options.spoolers]
    assert wait_for(lambda: not any(running_tasks(spool) for spool in spools), 20)
    running.finish()  # not by a signal: one that comes early ends a real spooler, which the master starts again
    ended = re.findall(r"done with task (\S+)", running.output())
    left = [path.name for path in tasks(place)]
    assert names, running.output()
    return {
        name: (
            sum((done if done in names else "new") == name for done in ended),
            sum((file if file in names else "new") == name for file in left),
        )
        for name in (*names, "new")
    }


def tasks(place: Path) -> list[Path]:
    """The spool files below a directory."""
    return list(place.rglob("uwsgi_spoolfile_on_*"))


def enqueue(place: Path, options: Options) -> None:
    """What the example enqueues by its put.py, and one task of nobody's in each directory."""
    if (place / "put.py").exists():
        subprocess.run(
            [sys.executable, "-m", "spoolsim", "exec", "uwsgi.ini", "--", sys.executable, "put.py"],
            cwd=place,
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=300,
        )
    for directory, _ in options.spoolers:
        os.makedirs(directory, exist_ok=True)
        Path(directory, f"uwsgi_spoolfile_on_nobody_{os.path.basename(directory)}").write_bytes(
            encode([(b"name", b"nobody")])
        )


def running_tasks(spool: SpoolDir) -> list[str]:
    """The tasks that a spooler holds just now."""
    return [task.path for task in look(spool, ordered=True, now=time.time()) if task.state == CLAIMED]
