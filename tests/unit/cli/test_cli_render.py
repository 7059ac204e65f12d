"""Pages of the manual as a terminal shows them."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pexpect
import pytest

from spoolsim.cli.manual import HOME, topics
from spoolsim.cli.render import rendered

ESCAPES = re.compile(r"\x1b\[[\d;]*m")


@pytest.mark.parametrize(("topic", "columns"), [*((topic, "80") for topic in topics()), ("testing", "200")])
def test_a_page_fits_the_terminal(topic: str, columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No line is wider than the terminal, or than one can read; no Markdown is left."""
    monkeypatch.setenv("COLUMNS", columns)
    plain = ESCAPES.sub("", rendered(Path(HOME, f"{topic}.md").read_text(encoding="utf-8")))
    assert max(map(len, plain.splitlines())) <= min(int(columns), 100)
    assert "```" not in plain
    assert "|---|" not in plain


def test_a_table_cuts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A word that is wider than its column goes on in the next line."""
    monkeypatch.setenv("COLUMNS", "30")
    path = "tests/records/of/something/long.json"
    plain = ESCAPES.sub("", rendered(f"| a | b |\n|---|---|\n| {path} | x |\n"))
    assert "…" not in plain
    assert path in re.sub(r"[\s━─]", "", plain.replace(" x ", ""))


def test_help_on_a_terminal_is_rendered_and_paged(tmp_path: Path) -> None:
    """Through $PAGER, as the page is longer than the screen."""
    (tmp_path / "pager").write_text("#!/bin/sh\necho paged\nexec cat\n")
    (tmp_path / "pager").chmod(0o755)
    environment = {**os.environ, "PAGER": f"{tmp_path}/pager", "TERM": "xterm"}
    words = ["-m", "spoolsim", "help", "tasks"]
    child = pexpect.spawn(sys.executable, words, env=environment, encoding="utf-8", timeout=90, dimensions=(24, 80))
    child.expect("paged.*Tasks.*Completion")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
