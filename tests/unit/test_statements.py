"""Every production note, every row of the page of differences and every finding of `check` is staged by a test."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import spoolsim
from spoolsim.config.check import CODES
from spoolsim.diagnose import BY_CODE, NOTES
from tests.oracle import statements
from tests.oracle.harness import load_scenarios

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = Path(spoolsim.__file__).parent
PAGE = (PACKAGE / "help" / "differences.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith(("| what |", "|---"))
]


def test_every_note_is_staged() -> None:
    """No code is missing, and none is left over."""
    assert set(statements.NOTES) == {note.code for note in NOTES}


def test_every_difference_is_staged() -> None:
    """Each row has four cells, and the test of its first one is named."""
    assert {len(row) for row in ROWS} == {4}
    assert [row[0] for row in ROWS] == list(statements.DIFFERENCES)


def test_every_finding_is_staged() -> None:
    """Or has a reason why there is nothing to stage."""
    assert set(statements.FINDINGS) == CODES
    unstaged = [why for why in statements.FINDINGS.values() if isinstance(why, str)]
    assert all(len(why) > 20 for why in unstaged)
    assert len(unstaged) <= 4


def test_the_notes_of_the_page_exist() -> None:
    """A difference names its note; every note where spoolsim is safer is on the page, or needs no row."""
    named = {row[3].strip("`") for row in ROWS} - {""}
    assert named <= BY_CODE.keys()
    #: what spoolsim itself limits or adds
    without_row = {"body-too-large", "inline-harakiri", "no-file-events"}
    assert {note.code for note in NOTES if note.safer} - named == without_row


STAGES = sorted(
    {
        stage
        for table in (statements.NOTES, statements.DIFFERENCES, statements.FINDINGS)
        for stages in table.values()
        if not isinstance(stages, str)
        for stage in stages
    }
)


def functions_of(path: Path) -> set[str]:
    """The test functions of a file."""
    return {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("stage", STAGES)
def test_the_named_test_exists(stage: str) -> None:
    """It is a scenario with a recorded answer, or a collected test of the oracle."""
    file, _, name = stage.rpartition("::")
    if file:
        assert file.startswith("tests/oracle/test_")
        assert name.startswith("test_")
        assert name in functions_of(ROOT / file)
    else:
        assert name in load_scenarios()
        assert (ROOT / "tests" / "oracle" / "expected" / f"{name}.json").is_file()


def test_every_note_is_given_somewhere() -> None:
    """A note that no code gives would be a statement about nothing."""
    given = set()
    for path in PACKAGE.rglob("*.py"):
        if path.name != "diagnose.py":
            given |= set(re.findall(r'"([a-z0-9.-]+)"', path.read_text()))
    assert BY_CODE.keys() - given == set()
