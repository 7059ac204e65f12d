"""What people read names commands that exist, and quotes log lines as they are written now."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from spoolsim.cli.commands import COMMANDS
from spoolsim.diagnose import BY_CODE
from spoolsim.work import outcome as outcomes

ROOT = Path(__file__).parents[2]
TEXTS = sorted(
    path
    for top in ("README.md", ".github", "spoolsim", "examples")
    for path in ([ROOT / top] if (ROOT / top).is_file() else (ROOT / top).rglob("*"))
    if path.suffix in (".md", ".py", ".yml", ".yaml", ".ini")
)
#: sentences that log lines had once
REMOVED = (
    "which is no int",
    "ignored for ever",
    "retried for ever",
    "retried at each scan",
    "and are left out: ",
    "not concern the spooler",
)
#: in backquotes, or behind the prompt of a sample
COMMAND = re.compile(r"(?:`|^\$ |\\n  |^    )spoolsim ([a-z]+)\b", re.MULTILINE)


def test_texts_name_commands_that_exist() -> None:
    """In README, help pages, hints, examples and the forms for reports."""
    named = {(path.name, word) for path in TEXTS for word in COMMAND.findall(path.read_text(encoding="utf-8"))}
    assert len({word for _, word in named}) > 10
    assert sorted((name, word) for name, word in named if word not in COMMANDS) == []


@pytest.mark.parametrize("sentence", REMOVED)
def test_a_removed_sentence_is_quoted_nowhere(sentence: str) -> None:
    """A person who searches for what the log says finds it."""
    found = [path.relative_to(ROOT) for path in TEXTS if sentence in " ".join(path.read_text(encoding="utf-8").split())]
    assert found == []


def test_the_readme_shows_lines_of_the_log_as_they_are() -> None:
    """Both samples hold what the program writes, whatever the line breaks."""
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    none = outcomes.returned(None)
    assert f"(function send) {none.why}, so it will be retried on every scan; {none.advice} [production]" in readme
    note = BY_CODE["busy-wait"]
    assert f"[production] spool: up to 30 s: {note.uwsgi}; {note.advice} ({note.code})" in readme
