"""`spoolsim config`: the effective options with their sources, and exports."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from spoolsim.cli.config import config
from spoolsim.config.export import export
from spoolsim.config.readers import gather, read
from spoolsim.errors import ConfigError, UsageError
from spoolsim.options import build

INI = (
    "[uwsgi]\nspooler = a\nspooler-external = b\nspooler = c\nspooler-frequency = 7\nspooler-freq = 9\nvacuum = true\n"
    "set-placeholder = x=5\nspooler-max-tasks = %(x)\nimport = tasks\nodd_key = 1\n"
)


@pytest.fixture
def here(here: Path) -> Path:
    """With the configuration that is exported."""
    (here / "uwsgi.ini").write_text(INI)
    return here


def run(*words: str) -> Result:
    return CliRunner().invoke(config, list(words), catch_exceptions=False)


def exported(form: str, *words: str) -> tuple[str, list[str]]:
    settings = gather(list(words), {})
    done = export(settings, build(settings), form)
    return done.text, done.warnings


def test_each_effective_option_has_its_source(here: Path, monkeypatch: pytest.MonkeyPatch):
    """File and line, command line, environment or default; of single values the last, of lists all."""
    monkeypatch.setenv("UWSGI_SPOOLER_HARAKIRI", "30")
    rows = json.loads(run("uwsgi.ini", "--spooler-quiet", "--json").output)
    found = {(row["option"], row["value"]): row["source"] for row in rows}
    assert found[("spooler", "a")] == "uwsgi.ini:2" and found[("spooler", "c")] == "uwsgi.ini:4"
    assert found[("spooler-external", "b")] == "uwsgi.ini:3"
    assert found[("spooler-frequency", "9")] == "uwsgi.ini:6" and ("spooler-frequency", "7") not in found
    assert found[("spooler-quiet", "true")] == "command line"
    assert found[("spooler-harakiri", "30")] == "environment UWSGI_SPOOLER_HARAKIRI"
    assert found[("spooler-max-tasks", "5")] == "uwsgi.ini:9"
    assert found[("spooler-ordered", "false")] == "default" and found[("spooler-processes", "1")] == "default"
    assert found[("vacuum", "true")] == "uwsgi.ini:7 (no effect on spoolers)"
    assert found[("x", "5")] == "uwsgi.ini:8 (a placeholder)"
    assert found[("odd_key", "1")] == "uwsgi.ini:11 (unknown, without effect)"


def test_a_value_that_is_read_differently_shows_what_it_is_read_as(here: Path):
    """A number that is cut or none, a word that is on; not what is read as it looks."""
    (here / "uwsgi.ini").write_text(
        "[uwsgi]\nmaster = false\nspooler = 5x\nspooler-harakiri = abc\nspooler-processes = 0\n"
        "spooler-frequency = 1.5\nspooler-max-tasks = 7\nspooler-quiet = maybe\nspooler-ordered = OFF\nlazy-apps =\n"
        "die-on-term = Yes\n"
    )
    rows = json.loads(run("uwsgi.ini", "--json").output)
    assert {row["option"]: row["value"] for row in rows if row["source"] != "default"} == {
        "master": "false",
        "spooler": "5x",
        "spooler-harakiri": "abc (read as 0)",
        "spooler-processes": "0 (read as 1)",
        "spooler-frequency": "1.5 (read as 1)",
        "spooler-max-tasks": "7",
        "spooler-quiet": "maybe (read as true)",
        "spooler-ordered": "OFF",
        "lazy-apps": "true",
        "die-on-term": "Yes",
    }


def test_as_text_each_option_is_a_line(here: Path):
    """`name = value`, then the source; without a file the configuration of the directory is taken."""
    lines = run().output.splitlines()
    assert any(line.split() == ["spooler", "=", "a", "uwsgi.ini:2"] for line in lines)
    (here / "uwsgi.ini").unlink()
    with pytest.raises(UsageError, match="no configuration: name a file"):
        run()


def test_an_export_is_what_the_configuration_says_without_its_directions(here: Path):
    """Files are inlined, logic is followed, placeholders replaced, our options left out; percent signs are doubled."""
    (here / "more.ini").write_text(
        "[uwsgi]\nini = uwsgi.ini\nfor = p q\nenv = %(_)=$(NOSUCH)100%%\nendfor =\nif-env = NOPE\nspooler = no\nendif ="
    )
    text, warnings = exported("ini", "more.ini", "--inline", "--spooler-quiet")
    assert text.splitlines() == [
        "[uwsgi]",
        "spooler-quiet = true",
        "spooler = a",
        "spooler-external = b",
        "spooler = c",
        "spooler-frequency = 7",
        "spooler-freq = 9",
        "vacuum = true",
        "set-placeholder = x=5",
        "spooler-max-tasks = 5",
        "import = tasks",
        "odd_key = 1",
        "env = p=$(NOSUCH)100%%",
        "env = q=$(NOSUCH)100%%",
    ]
    assert len(warnings) == 2 and all("looks like a placeholder" in warning for warning in warnings)


def test_json_and_toml_hold_lists_and_say_what_they_cannot_keep(here: Path):
    """Values of one option stand together, so that the order of different directories may change."""
    text, warnings = exported("json", "uwsgi.ini")
    assert json.loads(text)["uwsgi"]["spooler"] == ["a", "c"]
    assert len(warnings) == 1 and "change their order" in warnings[0]
    text, warnings = exported("toml", "uwsgi.ini")
    table = tomllib.loads(text)["tool"]["spoolsim"]
    assert table["spooler-max-tasks"] == "5"
    assert "odd_key" not in table and "odd_key=1" in table["set-placeholder"]
    (here / "pyproject.toml").write_text(text)
    assert build(read("pyproject.toml")).max_tasks == 5


@pytest.mark.parametrize(
    ("line", "form", "message"),
    [
        ("x = @(two)", "ini", "ini cannot hold a value of several lines"),
        ("x = @(two)", "uwsgiconf", "uwsgiconf cannot hold a value of several lines"),
        ("x = @(blank)", "uwsgiconf", "uwsgiconf cannot hold blanks around a value"),
        ("x = a#b", "yaml", "uwsgi.ini:2"),
        ("set = x= a ", "json", None),
    ],
)
def test_a_value_that_a_form_cannot_hold_is_refused(here: Path, line: str, form: str, message: str | None):
    """The error names option and source; nothing half right is written."""
    (here / "two").write_text("1\n2\n")
    (here / "blank").write_text("1 \n")
    (here / "uwsgi.ini").write_text(f"[uwsgi]\n{line}\n")
    if message is None:
        assert exported(form, "uwsgi.ini")[0]
        return
    with pytest.raises(ConfigError) as caught:
        exported(form, "uwsgi.ini")
    assert message in str(caught.value)


def test_options_of_the_next_uwsgi_are_exported_with_a_warning(here: Path):
    """Under strict, where 2.0 would refuse to start, they are left out; for 2.1 there is nothing to say."""
    text, warnings = exported("ini", "uwsgi.ini", "--spooler-cheap")
    assert "spooler-cheap = true" in text
    assert warnings == ["spooler-cheap (command line) needs uWSGI 2.1: uWSGI 2.0 ignores it"]
    text, warnings = exported("ini", "--spooler", "a", "--spooler-cheap", "--strict")
    assert "spooler-cheap" not in text and warnings[0].endswith("refuses to start; left out")
    assert exported("ini", "uwsgi.ini", "--spooler-cheap", "--uwsgi", "2.1")[1] == []


@pytest.mark.parametrize(("form", "mark"), [("ini", ";"), ("yaml", "#")])
@pytest.mark.parametrize(("die_on_term", "signal"), [("true", "SIGTERM"), ("false", "SIGINT")])
def test_for_production_writes_reasons_a_unit_and_a_container_file(
    here: Path, die_on_term: str, signal: str, form: str, mark: str
):
    """The file means the same; unit and container stop uWSGI by a signal that stops it; directories are volumes."""
    words = ["uwsgi.ini", "--set", f"die-on-term={die_on_term}"]
    (here / "out").mkdir()
    result = run(*words, "--to", form, "--for", "production", "--output", f"out/prod.{form}")
    assert result.exit_code == 0
    text = (here / "out" / f"prod.{form}").read_text()
    assert f"{mark} Tasks are files in this directory" in text
    assert build(gather([f"out/prod.{form}"], {})).spoolers == build(gather(["uwsgi.ini"], {})).spoolers
    unit = (here / "out" / "prod.service").read_text()
    assert f"KillSignal={signal}\n" in unit and f"--{form} {here}/out/prod.{form}\n" in unit
    container = (here / "out" / "Containerfile").read_text()
    assert f"STOPSIGNAL {signal}\n" in container
    assert 'VOLUME ["/app/a"]\n' in container and f'CMD ["uwsgi", "--{form}", "prod.{form}"]' in container


def test_for_production_tells_of_paths_in_the_directory_of_development(here: Path):
    """%d has become that directory: said at once and in both files, with the option that exports for elsewhere."""
    (here / "uwsgi.ini").write_text("[uwsgi]\nspooler = %dspool\nenv = A=%dx\npythonpath = %d../lib\nspooler = b\n")
    result = run("uwsgi.ini", "--to", "ini", "--for", "production", "--output", "prod.ini")
    said = f"spooler, env, pythonpath: in {here}; for an app in %s export with --map {here}=%s"
    assert said % ("/srv/app", "/srv/app") in result.output
    assert f"# Adapt: {said % ('/srv/app', '/srv/app')}\n" in (here / "prod.service").read_text()
    assert f"# Adapt: {said % ('/app', '/app')}\n" in (here / "Containerfile").read_text()
    result = run("uwsgi.ini", "--map", f"{here}=/app", "--to", "ini", "--for", "production", "--output", "prod.ini")
    assert "--map" not in result.output + (here / "prod.service").read_text()
    assert 'VOLUME ["/app/spool"]' in (here / "Containerfile").read_text()


def test_for_production_needs_a_place_to_write(here: Path):
    """A usage error, and so is a place that cannot be written."""
    with pytest.raises(UsageError, match="say --to ini or --to yaml, and --output FILE"):
        run("uwsgi.ini", "--to", "ini", "--for", "production")
    with pytest.raises(UsageError, match=r"--output no/such: cannot be written"):
        run("uwsgi.ini", "--to", "ini", "--output", "no/such")


def test_an_export_to_a_pipe_is_exact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Byte for byte what --output writes, escape sequences and bytes that are no text among them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "u.ini").write_bytes(b"[uwsgi]\nspooler = a\nlog-encoder = format %[[33m${msgnl}%[[0m\nenv = A=\xff\n")
    shown = run("u.ini", "--to", "ini").stdout_bytes
    run("u.ini", "--to", "ini", "--output", "out.ini")
    assert shown == (tmp_path / "out.ini").read_bytes()
    assert b"log-encoder = format \x1b[33m${msgnl}\x1b[0m\nenv = A=\xff\n" in shown


@pytest.mark.parametrize(
    ("line", "warned"),
    [
        ("log-format = %%(ltime) %%(status)", False),
        ("log-format = $(NOT_SET_ANYWHERE)", True),
        ("spooler-processes = $(HOME)", False),
        ("set-placeholder = x=%%(spooler)", False),
    ],
)
def test_only_what_would_be_replaced_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, warned: bool
):
    """log-format has a syntax of its own that looks like a placeholder, and immediate options replace nothing."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "u.ini").write_text(f"[uwsgi]\n{line}\nspooler = a\n")
    assert ("looks like a placeholder" in run("u.ini", "--to", "ini").stderr) is warned
