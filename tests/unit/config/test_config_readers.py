"""Plain ini files, expansion, the environment and discovery."""

from __future__ import annotations

from pathlib import Path

import pytest

from spoolsim.config.readers import configuration, discover, environment, expand, gather, read
from spoolsim.errors import ConfigError
from spoolsim.options import UWSGI, Setting, build


def pairs(settings: list[Setting]) -> list[tuple[str, str | bool]]:
    return [(setting.name, setting.value) for setting in settings]


def test_an_ini_file_is_read_line_by_line(here: Path):
    """Blanks around go, repeated and bare keys stay, comments are whole lines, other sections are left."""
    (here / "x.ini").write_text(
        "before = 1\n[uwsgi]\r\n; c\n  # c\nspooler = a\n\tspooler\t=\tb \nspooler-ordered\n"
        "key = a = b ; c\n[other]\nspooler = c\n[uwsgi]\nmaster ="
    )
    settings = read("x.ini")
    assert pairs(settings) == [
        ("spooler", "a"),
        ("spooler", "b"),
        ("spooler-ordered", ""),
        ("key", "a = b ; c"),
        ("master", ""),
    ]
    assert [s.source for s in settings] == [f"x.ini:{line}" for line in (5, 6, 7, 8, 12)]
    assert [s.role for s in settings] == ["option", "option", "option", "unknown", "option"]


def test_a_section_is_chosen_by_colon_or_by_argument(here: Path):
    """FILE:SECTION and read(path, section) are the same."""
    (here / "x.ini").write_text("[uwsgi]\nspooler = a\n[dev]\nspooler = b\n")
    assert pairs(read("x.ini:dev")) == pairs(read("x.ini", "dev")) == [("spooler", "b")]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[uwsgi]\nspooler = a\n  [broken\n", "x.ini:3:10: '[broken': expected ] to end"),
        ("[uwsgi] foo\n", "x.ini:1:8: '[uwsgi] foo': expected nothing after ]"),
        ("spooler = a\n", "x.ini: no section [uwsgi]"),
    ],
)
def test_a_malformed_ini_file_is_refused_with_line_and_column(here: Path, text: str, place: str):
    """The error says where and what was expected; under faithful nothing is said, as in uWSGI."""
    (here / "x.ini").write_text(text)
    with pytest.raises(ConfigError) as caught:
        read("x.ini")
    assert place in str(caught.value)
    read("x.ini", policy=UWSGI)


def test_a_file_takes_the_place_of_the_option_that_names_it(here: Path):
    """In order, to any depth, relative to the working directory; the naming option stays in front of it."""
    (here / "sub").mkdir()
    (here / "x.ini").write_text("[uwsgi]\nspooler = 1\nini = sub/y.ini\nspooler = 4\n")
    (here / "sub" / "y.ini").write_text("[uwsgi]\nspooler = 2\ninclude = z.ini\n")
    (here / "z.ini").write_text("[uwsgi]\nspooler = 3\n")
    settings = expand([Setting("spooler", "0"), Setting("ini", "x.ini"), Setting("spooler", "5")])
    assert [s.value for s in settings if s.name == "spooler"] == ["0", "1", "2", "3", "4", "5"]
    assert [s.value for s in settings if s.name != "spooler"] == ["x.ini", "sub/y.ini", "z.ini"]


def test_a_bare_file_is_replaced_by_its_content(here: Path):
    """uwsgi.opt does not show it."""
    (here / "x.ini").write_text("[uwsgi]\nspooler = a\n")
    assert pairs(gather(["x.ini", "--master"], {})) == [("master", True), ("spooler", "a")]


def test_an_empty_file_name_is_a_section_of_the_same_file(here: Path):
    """ini = :SECTION stays in the file that says so."""
    (here / "x.ini").write_text("[uwsgi]\nini = :two\nspooler = a\n[two]\nspooler = b\n")
    assert [s.value for s in read("x.ini")] == [":two", "b", "a"]


def test_a_circular_include_is_refused_with_its_chain(here: Path):
    """uWSGI crashes on it."""
    (here / "x.ini").write_text("[uwsgi]\nini = y.ini\n")
    (here / "y.ini").write_text("[uwsgi]\ninclude = ./x.ini\n")
    with pytest.raises(ConfigError, match=r"circular include: x.ini -> y.ini -> x.ini"):
        read("x.ini")


def test_a_missing_file_is_named(here: Path):
    """By default in our words, under faithful in uWSGI's."""
    with pytest.raises(ConfigError, match=r"^no.ini: cannot be read: No such file or directory$"):
        gather(["--ini", "no.ini"], {})
    with pytest.raises(ConfigError, match=r"^realpath\(\) of no.ini failed: No such file or directory$") as caught:
        gather(["--ini", "no.ini", "--faithful"], {})
    assert caught.value.exit_code == 1


def test_set_makes_a_setting(here: Path):
    """--set k=v sets the option or the placeholder k; a value without = is refused."""
    settings = gather(["--set", "spooler-max-tasks=5", "--set-placeholder", "quiet=1", "--set", "x=y=z"], {})
    options = build(settings)
    assert options.max_tasks == 5
    assert options.quiet is False
    assert options.opt["x"] == b"y=z" and options.unknown_ini == ()
    with pytest.raises(ConfigError, match="expected KEY=VALUE"):
        gather(["--set", "x"], {})


def test_the_environment_comes_first():
    """UWSGI_ names are lowered, underscores are dashes; uWSGI's own variables are left out."""
    environ = {"UWSGI_SPOOLER": "e", "PATH": "/", "UWSGI_Spooler_Max_Tasks": "7", "UWSGI_RELOADS": "1", "UWSGI_X": ""}
    settings = gather(["--spooler", "c"], environ)
    assert pairs(settings) == [("spooler", "e"), ("spooler-max-tasks", "7"), ("x", ""), ("spooler", "c")]
    assert settings[0].source == "environment UWSGI_SPOOLER"
    assert build(settings).unknown_ini == ()
    assert environment({}) == []


def test_discovery_takes_the_first_of_three(here: Path):
    """pyproject.toml when it has the table, then spoolsim.ini, then uwsgi.ini; none is None."""
    assert discover(str(here)) is None
    (here / "uwsgi.ini").write_text("[uwsgi]\nspooler = u\n")
    (here / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    found = discover(str(here))
    assert found is not None and found[0] == "uwsgi.ini"
    (here / "spoolsim.ini").write_text("[uwsgi]\nspooler = s\n")
    found = discover(str(here))
    assert found is not None and found[0] == "spoolsim.ini"
    (here / "pyproject.toml").write_text(
        "[tool.spoolsim]\nspooler = ['a', 'b']\nspooler-frequency = 5\nspooler-ordered = true\n"
    )
    found = discover(str(here))
    assert found is not None and found[0] == "pyproject.toml"
    options = build(found[1])
    assert options.spoolers == (("a", False), ("b", False))
    assert (options.frequency, options.ordered) == (5, True)
    assert options.unknown_ini == ()


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("imort", "import"),
        ("drian", "drain"),
        ("spooler_quiet", "spooler-quiet"),
        ("spooler-ordred", "spooler-ordered"),
    ],
)
def test_a_misspelt_key_of_our_own_table_is_refused(here: Path, key: str, meant: str):
    """Nobody but us reads the table, so that no key in it is meant for somebody else; the nearest one is named."""
    (here / "pyproject.toml").write_text(f"[tool.spoolsim]\nspooler = 'a'\n{key} = 'x'\n")
    with pytest.raises(ConfigError, match=rf"^pyproject.toml:3: unknown option {key}; .*\b{meant}\b"):
        discover(str(here))


def test_logic_and_placeholders_of_our_own_table_are_known(here: Path):
    """What acts while it is read is no misspelling, nor is an option of uWSGI that does not concern the spooler."""
    (here / "pyproject.toml").write_text(
        "[tool.spoolsim]\nset-placeholder = 'here=a'\nspooler = '%(here)'\nif-not-env = 'NOWHERE_SET'\n"
        "spooler-quiet = true\nendif = ''\nhttp-timeout = 3\n"
    )
    found = discover(str(here))
    assert found is not None
    options = build(found[1])
    assert (options.spoolers, options.quiet, options.unknown_ini) == ((("a", False),), True, ())


def test_a_table_in_pyproject_is_refused(here: Path):
    """The error names key and what is accepted."""
    (here / "pyproject.toml").write_text("[tool.spoolsim]\nspooler = {a = 1}\n")
    with pytest.raises(ConfigError, match=r"^pyproject.toml:2: spooler: expected text"):
        discover(str(here))
    (here / "pyproject.toml").write_text("[tool.spoolsim\n")
    with pytest.raises(ConfigError, match=r"^pyproject.toml:1:15: expected toml: "):
        discover(str(here))


def test_map_rewrites_the_beginnings_of_paths(here: Path):
    """In values, behind an =, in the names of files; whole parts only; the first map that fits."""
    (here / "etc").mkdir()
    (here / "etc" / "app.ini").write_text(
        "[uwsgi]\nspooler = /srv/app/spool\nspooler-chdir = /srv/application\nenv = HOME=/srv/app\nlogto = /var/log/x\n"
        "ini = /etc/more.ini\n"
    )
    (here / "etc" / "more.ini").write_text("[uwsgi]\npythonpath = /srv/app/lib\n")
    words = ["/etc/app.ini", "--map", "/srv/app/=.", "--map=/etc=etc", "--map", "/srv=/s"]
    options = build(gather(words, {}))
    assert options.spoolers == (("./spool", False),)
    assert options.chdir_task == "/s/application"
    assert options.env == ("HOME=.",)
    assert options.pythonpath == ("./lib",)
    assert options.opt["logto"] == b"/var/log/x" and "map" not in options.opt
    with pytest.raises(ConfigError, match=r"^map = /srv \(command line\): expected FROM=TO$"):
        gather(["--map", "/srv"], {})


def test_set_overrides_a_file_given_bare(here: Path):
    """uWSGI lets the file win, since it reads it last; so does --faithful. Lists only grow."""
    (here / "x.ini").write_text("[uwsgi]\nspooler-freq = 10\nspooler = a\nspooler-quiet = true\nx = %(y)\ny = 1\n")
    words = [
        "x.ini",
        "--set",
        "spooler-frequency=5",
        "--set",
        "spooler=b",
        "--set",
        "spooler-quiet=false",
        "--set",
        "y=2",
    ]
    options = build(gather(words, {}))
    assert (options.frequency, options.quiet, options.spoolers) == (5, False, (("b", False), ("a", False)))
    assert (options.opt["x"], options.opt["y"]) == (b"2", b"2")
    faithful = build(gather(["--faithful", *words], {}))
    assert (faithful.frequency, faithful.quiet, faithful.opt["y"]) == (10, True, b"1")


@pytest.mark.parametrize(
    "words", [[], ["--faithful"], ["--drain", "--stop-grace", "3"], ["--set", "x=1"]], ids=" ".join
)
def test_a_configuration_is_found_beside_any_options(here: Path, words: list[str]):
    """Options that make no configuration leave the search alone; the file's settings come before theirs."""
    (here / "uwsgi.ini").write_text("[uwsgi]\nspooler = u\n")
    settings, file = configuration(words, {})
    assert file == "uwsgi.ini"
    assert pairs(settings)[0] == ("spooler", "u") and len(settings) >= 1 + len([w for w in words if w[:2] == "--"])
    assert configuration([*words, "--spooler", "c"], {})[1] == ""
    (here / "uwsgi.ini").unlink()
    assert configuration(words, {})[1] is None


def test_options_beside_a_found_configuration_reach_it(here: Path):
    """--map rewrites its paths, and its placeholders are known on the command line."""
    (here / "uwsgi.ini").write_text("[uwsgi]\nbase = /srv/shop\nspooler = /srv/shop/spool\n")
    settings, _ = configuration(["--map", "/srv/shop=/here", "--spooler-chdir", "%(base)/x"], {})
    found = dict(pairs(settings))
    assert (found["spooler"], found["spooler-chdir"]) == ("/here/spool", "/here/x")


def test_a_value_without_end_is_refused(here: Path, monkeypatch: pytest.MonkeyPatch):
    """uWSGI reads a value again after each replacement, and hangs on one that contains itself."""
    monkeypatch.setenv("SELF", "x$(SELF)")
    (here / "x.ini").write_text("[uwsgi]\nspooler = a$(SELF)\n")
    with pytest.raises(ConfigError, match=r"^spooler \(x.ini:2\): \$\(...\) in it contains itself"):
        read("x.ini")


def test_commands_and_addresses_stay_as_they_are_where_nothing_reads_them(here: Path):
    """@(exec://...) of what is not run here is neither run nor refused; what spoolsim acts on needs the text."""
    (here / "x.ini").write_text("[uwsgi]\ncron = @(exec://touch made)\nown = @(http://x/y)\nspooler = s\n")
    assert pairs(read("x.ini"))[:2] == [("cron", "@(exec://touch made)"), ("own", "@(http://x/y)")]
    (here / "x.ini").write_text("[uwsgi]\nown = @(exec://touch made)\nspooler = %(own)\n")
    with pytest.raises(ConfigError, match=r"^spooler \(x.ini:3\): @\(exec://touch made\): spoolsim runs no commands"):
        read("x.ini")
    assert not (here / "made").exists()


def test_a_file_without_the_section_names_those_it_has(here: Path):
    """As they are to be written."""
    (here / "x.ini").write_text("[dev]\nspooler = a\n[prod]\nspooler = b\n")
    with pytest.raises(ConfigError, match=r"no section \[uwsgi\]; name one of its sections: x.ini:dev, x.ini:prod$"):
        read("x.ini")
    assert pairs(read("x.ini:prod")) == [("spooler", "b")]
