"""How the tests themselves are run: groups, needs, and what is said at the end."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from tests import groups, needs
from tests.__main__ import pytest_words

TESTS = Path(__file__).parents[1]


def test_every_folder_of_tests_is_described() -> None:
    """`python -m tests --groups` says of each folder with tests what it holds, and names no other."""
    folders = {path.relative_to(TESTS).parts[0] for path in TESTS.rglob("test_*.py")}
    assert folders == set(groups.GROUPS), "describe the folder in tests/groups.py"


def test_groups_become_folders_and_other_words_go_to_pytest() -> None:
    """Workers are added unless the words ask for one process or a number of them."""
    words = pytest_words(["unit", "-k", "names"])
    assert words[0] == "-n" and words[2:] == ["tests/unit", "-k", "names"]
    assert pytest_words(["-n3", "oracle"]) == ["-n3", "tests/oracle"]
    assert pytest_words(["--pdb"]) == ["--pdb"]


def test_long_units_come_first_and_the_live_oracle_last() -> None:
    """The order is the same on every worker; a test that nobody knows yet counts as long."""
    times = groups.Times(
        {"tests/unit/a.py": (2, 9.0), "tests/process/b.py": (2, 1.0), "tests/oracle/c.py": (1, 99.0)}, {}
    )
    names = ["tests/oracle/c.py::t", "tests/process/b.py::t", "tests/unit/a.py::t", "tests/process/new.py::t"]
    items = [SimpleNamespace(nodeid=name) for name in names]
    ordered = [item.nodeid for item in groups.in_order(items, times)]  # type: ignore[arg-type, list-item] # no more is read
    assert ordered == [names[2], names[3], names[1], names[0]]


def test_reasons_are_counted() -> None:
    """One line for each reason why tests were skipped, and one for what a passing test left out."""
    skipped = [SimpleNamespace(longrepr=("f.py", n, "Skipped: strace is not installed")) for n in range(3)]
    partly = [SimpleNamespace(when="call", user_properties=[(needs.LEFT_OUT, "no JSON")])]
    assert needs.reasons(skipped, partly) == ["3 tests not run: strace is not installed", "1 test in part: no JSON"]


def test_a_missing_need_skips_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason says what is missing and what to do; what is there skips nothing."""
    monkeypatch.setattr(needs.shutil, "which", lambda name: None)
    needs.missing.cache_clear()
    try:
        with pytest.raises(pytest.skip.Exception, match="no C compiler: install"):
            needs.need("proc", "compiler") if needs.proc() == "" else needs.need("compiler")
    finally:
        needs.missing.cache_clear()
