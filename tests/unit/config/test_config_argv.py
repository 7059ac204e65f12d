"""The command line parser."""

from __future__ import annotations

import pytest

from spoolsim.config.argv import file_kind, parse
from spoolsim.errors import OptionError


def pairs(*argv: str) -> list[tuple[str, str | bool]]:
    return [(setting.name, setting.value) for setting in parse(list(argv))]


def fails(*argv: str) -> tuple[str, int]:
    with pytest.raises(OptionError) as caught:
        parse(list(argv))
    return str(caught.value), caught.value.exit_code


def test_values_follow_or_are_joined():
    """--name value and --name=value are the same; flags have none."""
    assert pairs("--spooler", "a", "--spooler=b=c", "--spooler-ordered") == [
        ("spooler", "a"),
        ("spooler", "b=c"),
        ("spooler-ordered", True),
    ]


def test_a_required_value_is_taken_whatever_it_looks_like():
    """As in getopt, the next word is the value even when it begins with dashes."""
    assert pairs("--spooler", "--spooler-ordered") == [("spooler", "--spooler-ordered")]


def test_optional_values_are_only_taken_when_joined():
    """--need-app x.ini is a flag and a file; --need-app=x is a value."""
    assert pairs("--need-app", "x.ini") == [("need-app", True), ("ini", "x.ini")]
    assert pairs("--need-app=x") == [("need-app", "x")]


def test_abbreviations_are_resolved():
    """An unambiguous beginning stands for the whole name; an exact name is never ambiguous."""
    assert pairs("--spooler-ord", "--spooler", "a") == [("spooler-ordered", True), ("spooler", "a")]
    assert pairs("--stand") == [("stand-in-worker", True)]
    assert pairs("--spooler-che") == [("spooler-cheap", True)]


def test_ours_never_make_uwsgis_abbreviations_ambiguous():
    """--in... begins both uWSGI's names and our --inline: uWSGI's win."""
    assert pairs("--inline-h") == [("inline-harakiri", True)]
    assert "--inline" not in fails("--in", "x")[0]


def test_short_options_with_and_without_values():
    """Letters may be bundled, and a value may be joined to its letter."""
    assert pairs("-MQa", "-p", "2") == [("master", True), ("spooler", "a"), ("processes", "2")]
    assert pairs("-Q", "a", "-t=5") == [("spooler", "a"), ("harakiri", "=5")]


def test_bare_files_come_last():
    """They are read after every option, in their own order, and marked as arguments."""
    settings = parse(["x.ini", "--spooler", "a", "y.yml", "z.py"])
    assert [(s.name, s.value, s.source) for s in settings] == [
        ("spooler", "a", "command line"),
        ("ini", "x.ini", "argument"),
        ("yaml", "y.yml", "argument"),
        ("py", "z.py", "argument"),
    ]


def test_two_dashes_end_the_options():
    """After -- everything is a file."""
    assert pairs("--", "x.ini") == [("ini", "x.ini")]
    assert "not a configuration file" in fails("--", "--spooler")[0]


@pytest.mark.parametrize(
    ("path", "kind"),
    [("a.ini", "ini"), ("a.b.yml", "yaml"), ("a.ini:sec", "ini"), ("a.js", "json"), ("ini", None), ("a.txt", None)],
)
def test_file_kind(path: str, kind: str | None):
    """The ending decides, also before a section."""
    assert file_kind(path) == kind


def test_options_that_do_not_concern_the_spooler_are_accepted():
    """With the argument that uWSGI gives them."""
    assert pairs("--vacuum", "--listen", "5", "--http-socket", ":80") == [
        ("vacuum", True),
        ("listen", "5"),
        ("http-socket", ":80"),
    ]


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["--spooler-nosuch"], "uwsgi: unrecognized option '--spooler-nosuch'"),
        (["--spooler_frequency", "1"], "uwsgi: unrecognized option '--spooler_frequency'"),
        (["--spooler-cheap"], "uwsgi: unrecognized option '--spooler-cheap'"),
        (["--spooler"], "uwsgi: option '--spooler' requires an argument"),
        (["--master=1"], "uwsgi: option '--master' doesn't allow an argument"),
        (
            ["--spooler-f"],
            "uwsgi: option '--spooler-f' is ambiguous; possibilities: '--spooler-frequency' '--spooler-freq'",
        ),
        (["-Z"], "uwsgi: invalid option -- 'Z'"),
        (["-Q"], "uwsgi: option requires an argument -- 'Q'"),
        (["garbage"], "unable to load configuration from garbage"),
        (["x.ini:sec"], "unable to load configuration from x.ini:sec"),
    ],
)
def test_faithful_errors_are_uwsgis_lines(argv: list[str], line: str):
    """Under --faithful the message is uWSGI's and the exit code 1."""
    assert fails("--faithful", *argv) == (line, 1)


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["--spooler-max-tusks", "1"], "unknown option --spooler-max-tusks; did you mean --spooler-max-tasks?"),
        (["--spoler", "a"], "unknown option --spoler; did you mean --spooler?"),
        (["--spooler_frequency", "1"], "option names have dashes: --spooler-frequency"),
        (["--spooler"], "--spooler needs a value: --spooler DIR"),
        (["--master=1"], "--master takes no value"),
        (["--spooler-f"], "--spooler-f could be --spooler-frequency, --spooler-freq; write it in full"),
        (["-Z"], "unknown option -Z"),
        (["garbage"], "garbage: not an option and not a configuration file"),
    ],
)
def test_errors_name_the_option_and_what_to_do(argv: list[str], line: str):
    """By default the message helps and the exit code is 2."""
    message, code = fails(*argv)
    assert line in message
    assert code == 2


def test_faithful_21_knows_the_new_options():
    """--uwsgi 2.1 makes spooler-cheap known, wherever it stands."""
    assert ("spooler-cheap", True) in pairs("--faithful", "--spooler-cheap", "--uwsgi", "2.1")
    assert ("spooler-cheap", True) in pairs("--spooler-cheap", "--uwsgi=2.1", "--faithful")
