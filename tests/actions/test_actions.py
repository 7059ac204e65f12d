"""The short form of the campaign, and its judge, which must see what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.actions.campaign import Report, judge, run
from tests.faults.strace import available


@pytest.mark.oracle
@pytest.mark.timeout(300)
@pytest.mark.parametrize("slow", [False, True], ids=["as it is", "slow locks"])
def test_nothing_is_lost_or_run_against_an_action(tmp_path: Path, uwsgi_binary: str, slow: bool) -> None:
    """500 tasks, random actions by three actors, four spoolers of ours and a real uWSGI on one directory."""
    report = run(tmp_path, uwsgi_binary, tasks=500, seed=7, slow=available() if slow else "")
    assert report.wrong == []
    sides = {key.split()[0] for key in report.runs}
    assert sides == {"spoolsim", "uwsgi"}
    for action in ("hold", "release", "rm", "undo", "edit", "mv", "return"):
        assert report.actions[f"{action} did"], f"no {action} succeeded: {report.actions}"


def _judged(home: Path, runs: str, ledger: list[list[object]]) -> list[str]:
    for place in ("spool", "other"):
        (home / place).mkdir()
    (home / "runs").write_text(runs)
    (home / "ledger-1").write_text("".join(json.dumps(row) + "\n" for row in ledger))
    report = Report(1, 1)
    judge(home, 1, report)
    return report.wrong


HELD = [0, "hold", "did", 10.0, 11.0, 0, ""]
RELEASED = [0, "release", "did", 20.0, 21.0, 0, ""]
EDITED = [0, "edit", "did", 10.0, 11.0, 5, ""]


@pytest.mark.parametrize(
    ("runs", "ledger", "wrong"),
    [
        ("0 0 25.0 done spoolsim\n", [HELD, RELEASED], ""),
        ("0 0 15.0 done spoolsim\n", [HELD, RELEASED], "ran 4.0000 s after hold had succeeded"),
        ("", [], "never done"),
        ("0 0 1.0 done spoolsim\n0 0 2.0 done uwsgi\n", [], "done 2 times"),
        ("0 0 25.0 done uwsgi\n", [EDITED], "version 0 after 5"),
        ("0 5 25.0 done uwsgi\n", [EDITED], ""),
        ("0 0 1.0 done uwsgi\n", [[0, "rm", "refused", 1.0, 2.0, 0, "could not be changed: I/O error"]], "I/O error"),
    ],
)
def test_the_judge_sees(tmp_path: Path, runs: str, ledger: list[list[object]], wrong: str) -> None:
    """A run while it was held, a task lost or done twice, an edit undone, an action that failed."""
    found = _judged(tmp_path, runs, ledger)
    assert bool(found) == bool(wrong), found
    assert wrong in "".join(found)
