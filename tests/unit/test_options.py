"""The option table and `build`."""

from __future__ import annotations

import marshal
import subprocess
import sys

import pytest

from spoolsim.errors import OptionError
from spoolsim.options import BY_NAME, DEFAULTS, OPTIONS, Options, Setting, atoi, build, umask_of


def ini(*pairs: tuple[str, str]) -> list[Setting]:
    return [Setting(name, value, f"uwsgi.ini:{line}") for line, (name, value) in enumerate(pairs, 2)]


def test_every_field_has_an_annotation_a_slot_and_a_default():
    """Slots, annotations and defaults of Options name the same fields."""
    assert set(Options.__slots__) == set(Options.__annotations__) == set(DEFAULTS)


def test_every_option_sets_a_field_that_exists():
    """No option of the table points at a field that Options lacks, and every option has help."""
    assert [o.name for o in OPTIONS if o.field is not None and o.field not in DEFAULTS] == []
    assert [o.name for o in OPTIONS if not o.help.endswith(".")] == []
    assert len(BY_NAME) == sum(1 + len(o.aliases) for o in OPTIONS), "a name is declared twice"


def test_defaults():
    """Without any setting the options are uWSGI's defaults."""
    options = build([])
    assert options == Options()
    assert (options.frequency, options.processes_per_spooler, options.reload_mercy) == (30, 1, 60)
    assert (options.spoolers, options.opt, options.master, options.uwsgi) == ((), {}, False, "2.0")


def test_options_survive_marshal_and_replace():
    """to_plain and from_plain are inverse through marshal; replace changes what it names only."""
    options = build(ini(("spooler", "a"), ("spooler-external", "b"), ("env", "A=1"), ("spooler-frequency", "1.5")))
    again = Options.from_plain(marshal.loads(marshal.dumps(options.to_plain())))
    assert again == options and again is not options
    assert options.replace(max_tasks=3) != options
    assert options.replace(max_tasks=3).replace(max_tasks=0) == options
    with pytest.raises(TypeError, match="no field 'frequence'"):
        options.replace(frequence=1)


def test_two_options_do_not_share_their_dictionary():
    """A fresh Options has a dictionary of its own."""
    Options().opt["x"] = True
    assert Options().opt == {}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("7", 7),
        (" \t7", 7),
        ("+3", 3),
        ("-1", -1),
        ("1.5", 1),
        ("-0.5", 0),
        ("abc", 0),
        ("", 0),
        ("5s", 5),
        ("0x10", 0),
        ("'7'", 0),
        ("- 1", 0),
        ("4294967298", 2),
        ("99999999999", 1215752191),
        ("99999999999999999999", -1),
        ("-99999999999999999999", 0),
        ("2147483648", -2147483648),
        ("٣", 0),
    ],
)
def test_atoi_reads_numbers_as_c_does(text: str, number: int):
    """Blanks, a sign, digits; the rest is ignored; 64 bits saturate and are cut to 32."""
    assert atoi(text) == number


@pytest.mark.parametrize("value", ["false", "off", "no", "0", "FALSE", "Off", "nO"])
def test_four_words_are_off(value: str):
    """false, off, no in any case and 0 turn a flag off, the last word counting."""
    assert build(ini(("spooler-ordered", "true"), ("spooler-ordered", value))).ordered is False


@pytest.mark.parametrize("value", ["", "true", "on", "1", "none", "disabled", "2", "00", "0.0", "n"])
def test_every_other_word_is_on(value: str):
    """Anything else turns a flag on; odd words give a note."""
    options = build(ini(("spooler-ordered", value)))
    assert options.ordered is True
    assert [code for code, _ in options.notes] == ([] if value in ("", "true", "on", "1") else ["option-value"])


@pytest.mark.parametrize(
    ("value", "frequency", "codes"),
    [
        ("7", 7, []),
        ("007", 7, []),
        ("+7", 7, []),
        ("1.5", 1, ["option-value"]),
        ("0.5", 0, ["frequency-zero"]),
        ("abc", 0, ["frequency-zero"]),
        ("0", 0, ["frequency-zero"]),
        ("5s", 5, ["option-value"]),
    ],
)
def test_frequency_keeps_uwsgis_reading_and_says_where_it_surprises(value: str, frequency: int, codes: list[str]):
    """spooler-frequency is the integer that uWSGI reads, with a note unless it is a plain number."""
    options = build(ini(("spooler-frequency", value)))
    assert options.frequency == frequency
    assert [code for code, _ in options.notes] == codes
    assert all("uwsgi.ini:2" in detail for _, detail in options.notes)


@pytest.mark.parametrize("name", ["spooler-frequency", "spooler-freq", "spooler-max-tasks", "spooler-processes"])
def test_a_negative_number_is_refused(name: str):
    """Naming option, value, place and what is accepted; under --faithful with uWSGI's line and exit code."""
    with pytest.raises(OptionError) as caught:
        build(ini((name, "-1")))
    assert str(caught.value) == f"{name} = -1 (uwsgi.ini:2): expected a whole number, 0 or more"
    assert caught.value.exit_code == 2
    with pytest.raises(OptionError) as caught:
        build([*ini((name, "-1")), Setting("faithful", True)])
    assert str(caught.value) == f'invalid value for option "{name}": must be > 0'
    assert caught.value.exit_code == 1


@pytest.mark.parametrize("number", ["1001", "99999999999999999"])
def test_a_number_of_processes_beyond_all_reason_is_refused(number: str):
    """Starting them would take the machine; --faithful takes the number that uWSGI reads."""
    with pytest.raises(OptionError, match=r"= \d+ \(uwsgi.ini:2\): expected at most 1000 processes$"):
        build(ini(("spooler-processes", number)))
    assert build([*ini(("spooler-processes", number)), Setting("faithful", True)]).processes_per_spooler > 1000
    assert build(ini(("spooler-processes", "1000"))).processes_per_spooler == 1000


def test_spoolers_keep_their_order_and_kind():
    """External directories stand among the others, in option order; a repeated one stays twice."""
    settings = ini(("spooler-external", "b"), ("spooler", "a"), ("spooler", "a"))
    assert build(settings).spoolers == (("b", True), ("a", False), ("a", False))


def test_a_spooler_turns_the_master_on_unless_it_is_said_to_be_off():
    """An explicit false wins wherever it stands."""
    assert build(ini(("spooler", "a"))).master is True
    assert build(ini(("master", "false"), ("spooler", "a"))).master is False
    assert build(ini(("master", "true"))).master is True


def test_zero_processes_are_one():
    """spooler-processes 0 is read as 1."""
    assert build(ini(("spooler-processes", "0"))).processes_per_spooler == 1


def test_opt_shows_the_last_value_of_each_name_as_written():
    """Aliases stay apart, flags of the command line are True, ours and bare files are left out."""
    settings = [
        Setting("spooler", "a"),
        Setting("spooler", "b"),
        Setting("spooler-freq", "4"),
        Setting("spooler-ordered", True),
        Setting("spooler-quiet", "", "uwsgi.ini:2"),
        Setting("vacuum", True),
        Setting("ini", "x.ini", "argument"),
        Setting("inline", True),
        Setting("mine", "1", "uwsgi.ini:3", "unknown"),
        Setting("p", "\udcff", "uwsgi.ini:4", "placeholder"),
    ]
    options = build(settings)
    assert options.opt == {
        "spooler": b"b",
        "spooler-freq": b"4",
        "spooler-ordered": True,
        "spooler-quiet": b"",
        "vacuum": True,
        "mine": b"1",
        "p": b"\xff",
    }
    assert options.inline is True
    assert options.without_effect == ("vacuum",) and options.not_run == ()
    assert options.unknown_ini == (("mine", "uwsgi.ini:3"),)


@pytest.mark.parametrize(
    ("text", "mask", "noted"),
    [("022", 0o022, False), ("0027", 0o027, False), ("22", 0, True), ("", 0, True), ("12345", 0o234, True)],
)
def test_a_umask_is_read_as_uwsgi_reads_it(text: str, mask: int, noted: bool):
    """Three octal digits, or the last three of four; a shorter text is 000, which is noted."""
    options = build(ini(("umask", text)))
    assert umask_of(str(options.umask)) == mask
    assert bool(options.notes) is noted


def test_preloads_are_in_uwsgis_order():
    """Shared imports, imports, the last module, the last file, every mount that names one, wherever they stand."""
    settings = ini(
        ("mount", "/=m.py"),
        ("mount", "/plain=m"),
        ("wsgi-file", "w1.py"),
        ("module", "m1"),
        ("import", "i1"),
        ("shared-import", "s1"),
        ("pyimport", "i2.py"),
        ("wsgi", "m2"),
        ("file", "w2.py"),
        ("mount", "/a=m3:callable"),
        ("mount", "=x.wsgi"),
        ("spooler-import", "late"),
    )
    options = build(settings)
    assert options.preloads == (
        ("shared-import", "s1"),
        ("import", "i1"),
        ("import", "i2.py"),
        ("module", "m2"),
        ("wsgi-file", "w2.py"),
        ("mount-file", "m.py"),
        ("mount", "m3:callable"),
        ("mount-file", "x.wsgi"),
    )
    assert options.not_run == (("mount = /plain=m", "uwsgi.ini:3"),)
    assert options.modules == ("m1", "m2") and options.spooler_imports == ("late",)


def test_a_mount_without_a_mountpoint_is_refused():
    """With what is accepted; under --faithful with uWSGI's own line."""
    with pytest.raises(OptionError, match=r"^mount \(uwsgi.ini:2\): 'app.py' names no mountpoint; write /PATH=APP$"):
        build(ini(("mount", "app.py")))
    with pytest.raises(OptionError, match=r"^invalid mountpoint: app.py$") as caught:
        build([Setting("faithful", True), *ini(("mount", "app.py"))])
    assert caught.value.exit_code == 1


def test_strict_refuses_an_unknown_key():
    """Where strict holds at the key's place, or at the end; with its place, under --faithful with uWSGI's line."""
    unknown = Setting("spooler_ordered", "1", "uwsgi.ini:2", "unknown")
    with pytest.raises(OptionError, match=r"^spooler_ordered \(uwsgi.ini:2\): uWSGI knows no such option") as caught:
        build([unknown, Setting("strict", "true", "uwsgi.ini:3")])
    assert caught.value.exit_code == 2
    with pytest.raises(OptionError) as caught:
        build([unknown, Setting("strict", "true", "uwsgi.ini:3"), Setting("faithful", True)])
    assert str(caught.value) == "[strict-mode] unknown config directive: spooler_ordered"
    assert caught.value.exit_code == 1
    with pytest.raises(OptionError):
        build([Setting("strict", True), unknown, Setting("strict", "off", "uwsgi.ini:3")])
    build([Setting("strict", True), Setting("strict", "off", "uwsgi.ini:1"), unknown])
    assert build([unknown, Setting("strict", "off", "uwsgi.ini:3")]).unknown_ini == (
        ("spooler_ordered", "uwsgi.ini:2"),
    )


def test_options_of_the_next_uwsgi():
    """Under 2.0 they work with a note, under 2.1 without; faithful 2.0 refuses or ignores them as the real one."""
    cheap = Setting("spooler-cheap", True)
    assert build([cheap]).cheap is True
    assert build([cheap]).notes == (("version-2.1", "spooler-cheap (command line)"),)
    assert build([cheap, Setting("uwsgi", "2.1")]).notes == ()
    with pytest.raises(OptionError, match=r"^uwsgi: unrecognized option '--spooler-cheap'$"):
        build([cheap, Setting("faithful", True)])
    quietly = build([Setting("spooler-cheap", "1", "uwsgi.ini:9"), Setting("faithful", True)])
    assert quietly.cheap is False
    assert quietly.unknown_ini == (("spooler-cheap", "uwsgi.ini:9"),)


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("uwsgi", "3", "uwsgi (command line): '3' is not one of 2.0, 2.1"),
        ("stop-grace", "soon", "stop-grace (command line): 'soon' is not a number of seconds, 0 or more"),
        ("stop-grace", "-1", "stop-grace (command line): '-1' is not a number of seconds, 0 or more"),
        ("max-attempts", "x", "max-attempts (command line): 'x' is not a whole number, 0 or more"),
        ("max-attempts", "", "max-attempts (command line): '' is not a whole number, 0 or more"),
        ("max-body", "-1", "max-body (command line): '-1' is not a whole number, 0 or more"),
        ("env", "=x", "env (command line): '=x' names no variable; write KEY=VALUE, or KEY to unset it"),
        ("stop-grace", "nan", "stop-grace (command line): 'nan' is not a number of seconds, 0 or more"),
    ],
)
def test_our_own_options_check_their_values(name: str, value: str, problem: str):
    """The error names option, source, value and what is accepted."""
    with pytest.raises(OptionError) as caught:
        build([Setting(name, value)])
    assert str(caught.value) == problem
    assert caught.value.exit_code == 2


def test_silence_takes_commas_and_repetition():
    """Codes of production notes, in any mixture of both."""
    assert build([Setting("silence", "a, b"), Setting("silence", "c")]).silence == ("a", "b", "c")


def test_our_own_numbers_are_not_cut():
    """What C's int would wrap is a size like any other to us."""
    assert build([Setting("max-body", " 5000000000 ")]).max_body == 5_000_000_000


def test_importing_the_table_is_cheap():
    """The start path imports neither dataclasses, typing, json, re nor enum through the table."""
    code = "import sys; before = set(sys.modules); import spoolsim.options; print(sorted(set(sys.modules) - before))"
    out = subprocess.run([sys.executable, "-S", "-E", "-c", code], capture_output=True, text=True, check=False)
    if out.returncode:  # an editable install needs site
        out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"dataclasses", "typing", "json", "re", "enum", "click"} & set(eval(out.stdout))
