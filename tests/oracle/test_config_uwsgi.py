"""Configuration files given to the real uWSGI (--show-config --no-server prints what it understood) and to us."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from spoolsim.config.readers import gather
from spoolsim.errors import UsageError
from spoolsim.options import Options, Setting, build
from tests.oracle.conftest import CASES

pytestmark = pytest.mark.oracle

FILES = sorted(path.name for path in CASES.iterdir() if path.is_file())
#: names of settings that our own words below bring in
HARNESS = ("show-config", "no-server")


def show_config(binary: str, cwd: Path, argv: list[str], environ: dict[str, str] | None = None) -> tuple[str, str]:
    """(the settings as the real one prints them, its whole output)."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("UWSGI_")}
    done = subprocess.run(
        [binary, "--show-config", "--no-server", *argv],
        cwd=cwd,
        env=clean | (environ or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=300,
        check=False,
    )
    output = done.stdout.decode("utf-8", "surrogateescape")  # with each carriage return that is in it
    _, begins, rest = output.partition(";uWSGI instance configuration\n[uwsgi]\n")
    shown, ends, _ = rest.partition(";end of configuration\n")
    return (shown if begins and ends else "nothing was shown"), output


def as_shown(settings: list[Setting]) -> str:
    return "".join(f"{s.name} = {'true' if s.value is True else s.value}\n" for s in settings if s.name != "faithful")


def spooler_part(options: Options) -> dict[str, object]:
    from spoolsim.options import OPTIONS

    return {o.field: getattr(options, o.field) for o in OPTIONS if o.field and "spooler" in o.name}


def test_there_are_at_least_forty_files():
    """As many as the comparison was asked to have, of each form."""
    assert len(FILES) >= 40
    assert {name.rpartition(".")[2] for name in FILES} == {"ini", "yaml", "yml", "xml"}


@pytest.mark.parametrize("name", FILES)
def test_a_file_reads_as_uwsgi_reads_it(uwsgi_binary: str, cwd: Path, name: str):
    """Every setting, in order, with its value, is what the real uWSGI shows."""
    kind = name.rpartition(".")[2]
    argv = ["--show-config", "--no-server", f"--{kind}", name]
    shown, log = show_config(uwsgi_binary, cwd, argv[2:])
    assert shown == as_shown(gather(["--faithful", *argv], {})), log


MATCHES = """\
[uwsgi]
if-hostname-match = %h
max-requests = 1
endif =
if-hostname-match = nobody
max-requests = 2
endif =
if-not-hostname-match = %h
max-requests = 3
endif =
if-not-hostname-match = $(NOBODY)
max-requests = 4
endif =
"""


@pytest.mark.needs("uwsgi-pcre")
def test_patterns_of_hostnames(uwsgi_binary: str, tmp_path: Path):
    """The real one takes its own answer the wrong way round: no pattern matches, and each one does not."""
    (tmp_path / "match.ini").write_text(MATCHES)
    argv = ["--ini", str(tmp_path / "match.ini")]
    shown, log = show_config(uwsgi_binary, tmp_path, argv)
    assert shown == as_shown(gather(["--faithful", "--show-config", "--no-server", *argv], {})), log
    assert "max-requests = 3" in shown and "max-requests = 1" not in shown


@pytest.mark.parametrize("name", FILES)
def test_by_default_a_file_reads_the_same_or_is_refused(cwd: Path, name: str):
    """Without --faithful a file either means the same or is an error that names it."""
    faithful = gather([name, "--faithful"], {})
    try:
        ours = gather([name], {})
    except UsageError as error:
        assert name in str(error)
        assert name.startswith(REFUSED_BY_DEFAULT), error
    else:
        assert not name.startswith(REFUSED_BY_DEFAULT)
        assert as_shown(ours) == as_shown(faithful)
        assert spooler_part(build(ours)) == spooler_part(build(faithful))


#: files which uWSGI reads in part or not at all, without a word
REFUSED_BY_DEFAULT = (
    "at_margin",
    "carriage_returns",
    "crlf.yaml",
    "empty.ini",
    "indented_section",
    "no_section",
    "nul_bytes",
    "odd_headers",
    "other_section",
    "stops_at",
    "stops_without",
)

WORDS: list[tuple[list[str], dict[str, str]]] = [
    (["plain.ini"], {}),
    (["plain.yaml", "plain.ini", "plain.xml"], {}),
    (["letters.ini", "letters_included.ini"], {}),
    (["--ini", "letters.ini", "--ini", "letters_included.ini"], {}),
    (["letters_included.ini", "--include", "letters.ini"], {}),
    (["letters_included.ini"], {"UWSGI_INI": "letters.ini"}),
    (["--ini", "parts/sections.ini:dev"], {}),
    (["--ini", "parts/sections.ini:none"], {}),
    (["--yaml", "sections.yaml:other"], {}),
    (["--yaml", "sections.yaml:last"], {}),
    (["--yaml", "plain.yaml:none"], {}),
    (["--xml", "nested_root.xml:two"], {}),
    (["--xml", "parts/apps_odd.xml"], {}),
    (["--xml", "ids.xml:two"], {}),
    (["--xml", "ids.xml:one"], {}),
    (["--spooler-processes", "$(NUMBER)", "--spooler", "x$(NUMBER)", "--umask", "$(NUMBER)22"], {}),
    (["--spooler", "%(n)"], {"UWSGI_SPOOLER_PROCESSES": "$(NUMBER)", "UWSGI_SPOOLER_CHDIR": "$(NUMBER)"}),
    (["--ini", "letters.ini:uwsgi"], {}),
    (
        ["--if-env", "NOPE", "--spooler", "x", "--endif", "--for", "p q", "--spooler", "%(_)", "--endfor", "--master"],
        {},
    ),
    (
        [
            "--master",
            "--if-opt",
            "master",
            "--spooler",
            "a",
            "--endif",
            "--if-not-opt",
            "master",
            "--spooler",
            "b",
            "--endif",
        ],
        {},
    ),
    (["--if-exists", "plain.ini", "plain.ini", "--endif"], {}),
    (["--spooler-chdir", "$(FOO)/@(parts/one.txt)/%(master)/%n", "--master", "--set", "x=%n", "--spooler", "%(x)"], {}),
    (["var.ini", "--set", "own=2", "--spooler-chdir", "a%(own)"], {}),
    (["var.ini", "--set", "spooler-max-tasks=2"], {}),
]


@pytest.mark.parametrize(("argv", "environ"), WORDS, ids=" ".join)
def test_command_lines_mix_with_files_as_in_uwsgi(
    uwsgi_binary: str, cwd: Path, argv: list[str], environ: dict[str, str]
):
    """Order of files, environment and options, logic and placeholders of the command line."""
    shown, log = show_config(uwsgi_binary, cwd, argv, environ)
    words = ["--faithful", "--show-config", "--no-server", *argv]
    assert shown == as_shown(gather(words, environ)), log


REFUSED = [
    ("[uwsgi]\nfor = a b\nfor = c\nendfor =\nendfor =\n", "recursive logic in options is not supported (option = for)"),
    (
        "[uwsgi]\nif-env = FOO\nini = if_env.ini\nendif =\n",
        "recursive logic in options is not supported (option = if-env)",
    ),
    ("[uwsgi]\na = @(nosuch)\n", 'open("nosuch"): No such file or directory'),
    ("[uwsgi]\na = @(%(b)c)\nb = parts/one.txt\n", 'open("%(b)c"): No such file or directory'),
    ("[uwsgi]\nini = nosuch.ini\n", "realpath() of nosuch.ini failed: No such file or directory"),
    ("[uwsgi]\nini = %(x).ini\nx = plain\n", "realpath() of %(x).ini failed: No such file or directory"),
    ("[uwsgi]\ninclude = parts/one.txt\n", "unable to load configuration from parts/one.txt"),
    ("[uwsgi]\ninclude = plain.ini:x\n", "unable to load configuration from plain.ini:x"),
    (
        "[uwsgi]\nset-placeholder = spooler=1\n",
        "you cannot use spooler as a placeholder, it is already available as an option",
    ),
    ("[uwsgi]\nset = x\n", "invalid placeholder/--set value"),
]


@pytest.mark.parametrize(("text", "line"), REFUSED, ids=lambda value: None)
def test_both_refuse_a_file_with_the_same_line(uwsgi_binary: str, cwd: Path, text: str, line: str):
    """Under --faithful the message is uWSGI's (which may add where in its source it was said)."""
    (cwd / "refused.ini").write_text(text)
    shown, log = show_config(uwsgi_binary, cwd, ["--ini", "refused.ini"])
    with pytest.raises(UsageError) as caught:
        gather(["--faithful", "--ini", "refused.ini"], {})
    assert shown == "nothing was shown"
    assert str(caught.value) == line and line in log
    assert caught.value.exit_code == 1
    with pytest.raises(UsageError) as helpful:
        gather(["--ini", "refused.ini"], {})
    assert "refused.ini:" in str(helpful.value) and helpful.value.exit_code == 2


def test_json_means_what_an_ini_of_the_same_content_means(cwd: Path):
    """The build of uWSGI on PyPI reads no json; a list repeats its key, true and false are 1 and 0."""
    (cwd / "x.json").write_text(
        '{"uwsgi": {"spooler": ["a", "%n"], "spooler-ordered": true, "spooler-quiet": false,\n "spooler-frequency": 7,'
        ' "set-placeholder": "q=5", "spooler-max-tasks": "%(q)", "ini": "parts/inc.ini"}, "dev": {"spooler": "d"}}'
    )
    (cwd / "x.ini").write_text(
        "[uwsgi]\nspooler = a\nspooler = %n\nspooler-ordered = 1\nspooler-quiet = 0\nspooler-frequency = 7\n"
        "set-placeholder = q=5\nspooler-max-tasks = %(q)\nini = parts/inc.ini\n"
    )
    assert as_shown(gather(["x.json"], {})) == as_shown(gather(["x.ini"], {}))
    assert spooler_part(build(gather(["x.json"], {}))) == spooler_part(build(gather(["x.ini"], {})))
    assert as_shown(gather(["x.json:dev"], {})) == "spooler = d\n"
