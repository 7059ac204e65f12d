"""Every row of the table of verdicts."""

from __future__ import annotations

import pytest

from spoolsim.options import Options
from spoolsim.spool.directory import BROKEN, FAILED
from spoolsim.spool.verdicts import KEEP, REMOVE, Aside, Keep, Postpone, Remove
from spoolsim.work import outcome, verdict
from spoolsim.work.outcome import Outcome

Verdict = Remove | Keep | Postpone | Aside
Attempts = tuple[int, bool, str]
NOW = 1_000.0
DONE, RETRY, IGNORED = (outcome.returned(code) for code in (-2, -1, 0))
RAISED = outcome.raised(ValueError("no"))
ASKED = "asked to be retried (SPOOL_RETRY)"

#: outcome, fault, attempts in a row with this one, options -> verdict
AFTER: list[tuple[Outcome, str, Attempts | None, dict[str, object], Verdict]] = [
    (DONE, "", None, {}, REMOVE),
    (DONE, "", (9, False, "raised"), {"max_attempts": 1, "retry_delay": 5.0}, REMOVE),
    (outcome.BROKEN, "a key is cut", None, {}, Aside(BROKEN, "a key is cut")),
    (outcome.BROKEN, "a key is cut", None, {"faithful": True}, REMOVE),
    (RETRY, "", None, {}, KEEP),
    (RETRY, "", None, {"retry_delay": 5.0}, Postpone(NOW + 5.0)),
    (RETRY, "", None, {"max_attempts": 1, "max_retries": 1}, KEEP),
    (RETRY, "", (3, True, ""), {"max_attempts": 3}, KEEP),
    (RETRY, "", (2, True, ""), {"max_retries": 3}, KEEP),
    (RETRY, "", (3, True, ""), {"max_retries": 3}, Aside(FAILED, f"{ASKED}; tried 3 times")),
    (RETRY, "", (3, True, ""), {"max_retries": 3, "retry_delay": 5.0}, Aside(FAILED, f"{ASKED}; tried 3 times")),
    (RETRY, "", (2, True, ""), {"max_retries": 3, "retry_delay": 5.0}, Postpone(NOW + 5.0)),
    (RAISED, "", None, {}, KEEP),
    (RAISED, "", (1, False, RAISED.why), {}, KEEP),
    (RAISED, "", (1, False, RAISED.why), {"retry_delay": 5.0}, Postpone(NOW + 5.0)),
    (RAISED, "", (1, False, RAISED.why), {"max_retries": 1}, KEEP),
    (RAISED, "", (1, False, RAISED.why), {"max_attempts": 2}, KEEP),
    (RAISED, "", (2, False, RAISED.why), {"max_attempts": 2}, Aside(FAILED, "raised ValueError: no; tried 2 times")),
    (RAISED, "", (3, False, RAISED.why), {"max_attempts": 2}, Aside(FAILED, "raised ValueError: no; tried 3 times")),
    (IGNORED, "", None, {"retry_delay": 5.0}, KEEP),
    (IGNORED, "", (2, True, ""), {"max_retries": 2}, Aside(FAILED, f"{ASKED}; tried 2 times")),
    (outcome.MISSING, "", (2, True, "has no handler"), {"max_retries": 3}, KEEP),
    (outcome.MISSING, "a key is cut", None, {}, KEEP),
]


@pytest.mark.parametrize(("came", "fault", "attempts", "options", "expected"), AFTER)
def test_after_a_run(
    came: Outcome, fault: str, attempts: Attempts | None, options: dict[str, object], expected: Verdict
) -> None:
    """By what came of it, how often it was tried, and the options."""
    assert verdict.after(came, fault, attempts, Options(**options), NOW) == expected


@pytest.mark.parametrize(
    ("limit", "reason"),
    [(0, "it is larger than the memory there is"), (99, "it is larger than --max-body (99 bytes)")],
)
def test_a_task_that_is_too_large(limit: int, reason: str) -> None:
    """It is set aside, also where uWSGI is followed in everything else."""
    for faithful in (False, True):
        assert verdict.too_large(Options(max_body=limit, faithful=faithful)) == Aside(BROKEN, reason)


def test_a_task_that_cannot_be_decoded() -> None:
    """uWSGI deletes it."""
    assert verdict.broken("cut", Options()) == Aside(BROKEN, "cut")
    assert verdict.broken("cut", Options(faithful=True)) is REMOVE


def test_a_task_whose_spoolers_died() -> None:
    """Before it is run again: only where there is a limit, and it is reached."""
    died = (3, False, "its spooler was killed by signal 9")
    assert verdict.spent(died, Options()) is None
    assert verdict.spent(died, Options(max_attempts=4)) is None
    assert verdict.spent(died, Options(max_attempts=3)) == Aside(FAILED, f"{died[2]}; tried 3 times")


def test_verdicts_are_values() -> None:
    """Compared, hashed and shown by what they say."""
    verdicts = [REMOVE, KEEP, Postpone(1.0), Postpone(2.0), Aside(BROKEN, "a"), Aside(FAILED, "a"), Aside(BROKEN, "b")]
    assert len(set(verdicts)) == len(set(map(repr, verdicts))) == len(verdicts)
    assert Postpone(1.0) == Postpone(1.0) != Aside(BROKEN, "a")
    assert {Aside(BROKEN, "a")} == {Aside("broken", "a")}
    assert repr(Postpone(1.0)) == "Postpone(1.0)"
