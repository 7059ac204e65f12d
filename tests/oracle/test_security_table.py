"""Each row of the table in `spoolsim help security` is true: of the real uWSGI, of spoolsim, and of --faithful."""

from __future__ import annotations

from pathlib import Path

import pytest

import spoolsim
from tests.oracle.harness import Run
from tests.oracle.security import FAULTS, Fault, problems, stage_all

pytestmark = pytest.mark.oracle


@pytest.fixture(scope="module")
def staged(uwsgi_binary: str) -> dict[str, tuple[Run, ...]]:
    """All faults on all sides, at the same time."""
    return {fault.title: runs for fault, runs in stage_all()}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.title)
def test_a_row_is_true(staged: dict[str, tuple[Run, ...]], fault: Fault) -> None:
    """What is seen of both is what the row says."""
    found = problems(fault, staged[fault.title])
    for run in staged[fault.title]:
        if run.unavailable:
            pytest.skip(run.unavailable)
    assert not found, "\n".join([*found, *[log for run in staged[fault.title] for log in run.logs]])


def test_the_page_has_these_rows() -> None:
    """The table of staged faults holds each row, and none beside them."""
    page = (Path(spoolsim.__file__).parent / "help" / "security.md").read_text(encoding="utf-8")
    table = page.split("| fault | uWSGI 2.0.31 | spoolsim |\n|---|---|---|\n")[1].split("\n\n")[0].splitlines()
    assert table == [fault.row for fault in FAULTS]


def test_a_wrong_row_is_seen() -> None:
    """Facts that are not as the row has them are named."""
    fault = FAULTS[1]
    uwsgi, spoolsim = fault.facts
    runs = (Run("uwsgi", spoolsim), Run("spoolsim", spoolsim), Run("faithful", uwsgi))
    assert len(problems(fault, runs)) == 1
    assert len(problems(fault, (Run("uwsgi", error="x"), *runs[1:]))) == 1
    assert len(problems(fault, (Run("uwsgi", uwsgi), *runs[1:-1], Run("faithful", spoolsim)))) == 1
