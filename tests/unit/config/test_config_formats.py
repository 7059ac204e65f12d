"""Malformed files and misused logic: the error names file, line and column and what was expected."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from spoolsim.config.placeholders import evaluate, fill_text, fill_value
from spoolsim.config.readers import gather, read
from spoolsim.errors import ConfigError

#: where Python says that a comma too many is: at it, and before 3.13 behind it
COMMA = 26 if sys.version_info >= (3, 13) else 27


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.json", '{"uwsgi": {"spooler": "a",}}', f"x.json:1:{COMMA}: expected json: "),
        ("x.json", '{"uwsgi":\n {"spooler" "a"}}', "x.json:2:13: expected json: "),
        ("x.json", '["uwsgi"]', 'x.json: no section "uwsgi"; expected an object'),
        ("x.json", '{"uwsgi": {"spooler": "a",\n "env": {"A": "1"}}}', "x.json:2: env: expected text, a number"),
        ("x.json", '{"uwsgi": {"spooler": null}}', "x.json:1: spooler: expected text, a number"),
        ("x.toml", "[uwsgi]\nspooler = \n", "x.toml:2:11: expected toml: Invalid value"),
        ("x.toml", "[uwsgi]\nspooler = 'a'\nx = [1,", "x.toml:3:8: expected toml: "),
        ("x.toml", '[uwsgi]\nspooler = "a\\u0000b"\n', "x.toml:2: spooler: expected text without a NUL character"),
        ("x.json", '{"uwsgi": {"spooler": "a\\u0000b"}}', "x.json:1: spooler: expected text without a NUL character"),
        ("x.ini", "[uwsgi]\nspooler = a\0b\n", "x.ini:2:12: expected no NUL byte; uWSGI cuts the line there"),
        ("x.yaml", "\0uwsgi:\n", "x.yaml:1:1: expected no NUL byte"),
        ("x.toml", "[other]\nspooler = 'a'\n", "x.toml: no table [uwsgi]"),
        ("x.toml", "[uwsgi]\nspooler = 'a'\nenv = {A = 1}\n", "x.toml:3: env: expected text, a number"),
        ("x.yaml", "uwsgi:\n  spooler: a\n    - b\n", "x.yaml:3:5: '- b': expected `key: value`"),
        ("x.yaml", "uwsgi:\n  spooler:\n", "x.yaml:2:3: 'spooler:': expected `key: value`"),
        (
            "x.yaml",
            "uwsgi:\n  spooler: a # b\r\n  x: no\r\n",
            "x.yaml:3:8: 'x: no\\r': expected lines that end without",
        ),
        ("x.yaml", "uwsgi:\nspooler: a\n", "x.yaml:2:1: 'spooler: a': expected an indented line in section `uwsgi:`"),
        ("x.yaml", "spooler: a\n", "x.yaml: no section `uwsgi:` at the margin"),
        ("x.xml", "<uwsgi><spooler>a</uwsgi>", "x.xml:1:20: expected well-formed xml: mismatched tag"),
        ("x.xml", "<uwsgi>\n<spooler><b/></spooler></uwsgi>", "x.xml:2:10: <b>: expected text only within <spooler>"),
        ("x.xml", "<config><spooler>a</spooler></config>", "x.xml: no element <uwsgi>; expected it as the root"),
        ("x.ini", "[uwsgi]\nfor = a b\nspooler = %(_)\n", "x.ini:2: for is not closed; expected endfor"),
        ("x.ini", "[uwsgi]\nif-env = HOME\n", "x.ini:2: if-env is not closed; expected endif"),
        (
            "x.ini",
            "[uwsgi]\nif-env = HOME\nfor = a\nendfor =\nendif =\n",
            "for (x.ini:3): if-env (x.ini:2) is still open",
        ),
        (
            "x.ini",
            "[uwsgi]\nspooler = @(exec://date)\n",
            "spooler (x.ini:2): @(exec://date): spoolsim runs no commands and fetches nothing; write the text into",
        ),
        ("x.ini", "[uwsgi]\na = @(none)\n", "a (x.ini:2): @(none): cannot be read: No such file"),
        ("x.ini", "[uwsgi]\nini = none.ini\n", "x.ini:2: ini = none.ini: none.ini: cannot be read: No such file"),
        ("x.ini", "[uwsgi]\ninclude = x.txt\n", "x.ini:2: include = x.txt: x.txt: expected a file ending in .ini"),
        ("x.ini", "[uwsgi]\nset = quiet\n", "set = quiet (x.ini:2): expected KEY=VALUE"),
        ("x.ini", "[uwsgi]\ninherit = x.ini\n", "x.ini:2: inherit = x.ini: x.ini: circular include"),
    ],
)
def test_a_malformed_file_is_refused(here: Path, name: str, text: str, message: str):
    """With the place of the fault and what would be right; the exit code is that of a usage error."""
    (here / name).write_text(text, newline="")
    with pytest.raises(ConfigError) as caught:
        read(name)
    assert str(caught.value).startswith(message)
    assert caught.value.exit_code == 2


def test_an_unreadable_file_is_named(here: Path):
    """A directory cannot be read as a file."""
    (here / "dir.ini").mkdir()
    with pytest.raises(ConfigError, match=r"^dir.ini: cannot be read: Is a directory$"):
        gather(["dir.ini"], {})


def test_an_inheritance_circle_of_two_files_ends(here: Path):
    """Inherited files are read after all others, so the chain of includes cannot show it."""
    (here / "a.ini").write_text("[uwsgi]\ninherit = b.ini\n")
    (here / "b.ini").write_text("[uwsgi]\ninherit = a.ini\n")
    with pytest.raises(ConfigError, match="circular include"):
        read("a.ini")


def test_a_file_included_twice_is_no_circle(here: Path):
    """Only a file within itself is."""
    (here / "a.ini").write_text("[uwsgi]\nini = b.ini\nini = b.ini\n")
    (here / "b.ini").write_text("[uwsgi]\nspooler = b\n")
    assert [s.value for s in read("a.ini") if s.name == "spooler"] == ["b", "b"]


def test_paths_with_symbolic_links_keep_the_name_of_the_file(here: Path):
    """%p and %n are those of the link; its directory is resolved."""
    (here / "real").mkdir()
    (here / "link").symlink_to("real")
    (here / "real" / "x.ini").write_text("[uwsgi]\na = %p %n\n")
    (here / "real" / "y.ini").symlink_to("x.ini")
    assert read("link/y.ini")[0].value == f"{os.path.realpath(here)}/real/y.ini y"


def test_the_two_kinds_of_placeholders_do_not_mix():
    """%( is left for later in a text; a name that gives nothing stays as it is in a value."""
    assert fill_text("%n %(n) %%n %q", {"n": "x"}) == "x %(n) %n "
    assert fill_value("%(a)%(b) %(", "%", {"a": "1"}.get) == "1%(b) %("
    assert evaluate("a + 2", {"a": "40"}.get) == "42"
    assert evaluate("b", {}.get) is None
