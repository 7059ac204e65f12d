"""The pages for man: every command and option is on them, as its help says; groff renders them without a warning."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from spoolsim import options
from spoolsim.cli.commands import commands
from spoolsim.cli.man import escaped, pages
from spoolsim.cli.table import COMMANDS, load

#: what the pages use of roff's macros for manual pages
MACROS = frozenset((".TH", ".SH", ".SS", ".TP", ".B", ".BR", ".I", ".nf", ".fi"))


def test_every_command_and_option_has_its_place() -> None:
    """With the words of its help."""
    found = pages(commands)
    assert set(found) == {"spoolsim", *(f"spoolsim-{name}" for name in COMMANDS)}
    for name in COMMANDS:
        text = found[f"spoolsim-{name}"]
        assert escaped(f"spoolsim-{name}(1)") in found["spoolsim"]
        for param in load(name).params:
            if isinstance(param, click.Option):
                assert all(escaped(each) in text for each in param.opts)
                assert escaped(" ".join((param.help or "").split())).rstrip(".") in text
    for option in options.OPTIONS:
        assert escaped(f"--{option.name}") in found["spoolsim-run"]


@pytest.mark.parametrize("name", pages(commands))
def test_a_page_uses_few_macros_and_those_well(name: str) -> None:
    """Each line is text or one of these macros; no text is taken for one; a heading begins each page."""
    lines = pages(commands)[name].splitlines()
    assert lines[0].startswith(".TH ")
    for line in lines:
        assert line[:1] not in (".", "'") or line.split()[0] in MACROS, line
        assert not re.search(r"\\(?![e&\-(])", line), line
        assert line.strip()
    assert lines.count(".nf") == lines.count(".fi")


@pytest.mark.needs("groff")
def test_groff_has_nothing_to_complain_of() -> None:
    """With all of its warnings but that of a line which cannot be filled."""
    text = "".join(pages(commands).values())
    command = ["groff", "-man", "-Tutf8", "-ww", "-Wbreak", "-rLL=100n", "-Kutf8"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert "SPOOLSIM-TOP(1)" in done.stdout
    assert "--interval SPAN" in re.sub(r"\x1b\[[\d;]*m|.\x08", "", done.stdout)


def test_they_are_written(tmp_path: Path) -> None:
    """Into man1 of the directory that is named, where man looks for them."""
    result = CliRunner().invoke(commands, ["man", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert {path.name for path in (tmp_path / "man1").iterdir()} == {f"{name}.1" for name in pages(commands)}
    assert (tmp_path / "man1" / "spoolsim.1").read_text() == pages(commands)["spoolsim"]


@pytest.mark.parametrize("text", [".TH", "'x", "a\\b", "-q", "`x`"])
def test_nothing_of_a_text_is_a_command(text: str) -> None:
    """At the beginning of a line, too."""
    assert escaped(text)[0] not in ".'"
    assert not re.search(r"\\(?![e&\-(])", escaped(text))
