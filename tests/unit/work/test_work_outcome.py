"""The outcome table, row by row."""

from __future__ import annotations

import enum

import pytest

from spoolsim.work.outcome import (
    BROKEN,
    DONE,
    IGNORED,
    MISSING,
    RETRY,
    SPOOL_IGNORE,
    SPOOL_OK,
    SPOOL_RETRY,
    exited,
    raised,
    returned,
)


class Own(int):
    pass


class Code(enum.IntEnum):
    OK = -2
    IGNORE = 0


class Mute:
    def __repr__(self) -> str:
        raise RuntimeError


class MuteError(Exception):
    def __str__(self) -> str:
        raise RuntimeError


def test_the_constants_are_uwsgis():
    """-2, -1 and 0."""
    assert (SPOOL_OK, SPOOL_RETRY, SPOOL_IGNORE) == (-2, -1, 0)


@pytest.mark.parametrize(
    ("value", "state"),
    [
        *((value, DONE) for value in (-2, Own(-2), Code.OK, 2**32 - 2, -(2**32) - 2)),
        *((value, IGNORED) for value in (0, False, Own(0), Code.IGNORE, 2**32, -(2**32))),
        *((value, RETRY) for value in (-1, 1, True, -3, 2, Own(1), 2**31, 2**32 - 1, 2**63, -(2**63) - 1, 2**200 - 2)),
        *((value, RETRY) for value in (None, "-2", b"-2", -2.0, 0.0, "", [], Ellipsis)),
    ],
    ids=repr,
)
def test_each_return_value(value: object, state: str):
    """uWSGI's table: ints cut to a C int; -2 done, 0 ignored, all else is retried."""
    assert returned(value).state == state


@pytest.mark.parametrize("value", [None, True, False, 0, 1, "done", -2.0, 2**70, 2**32])
def test_what_will_come_back_says_what_was_returned(value: object):
    """The reason shows the value, and the advice what to return instead."""
    outcome = returned(value)
    assert (f"returned {value!r}" in outcome.why) or (value == 0 and "SPOOL_IGNORE" in outcome.why)
    assert "SPOOL_OK" in outcome.advice


@pytest.mark.parametrize("value", [-2, -1])
def test_what_was_asked_for_says_nothing(value: int):
    """SPOOL_OK and SPOOL_RETRY are no diagnosis."""
    assert returned(value).why == ""


def test_a_long_or_mute_value_is_told_in_short():
    """The reason is one short line, whatever repr() does."""
    assert len(returned("x" * 10_000).why) < 120
    assert "<Mute>" in returned(Mute()).why


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (ValueError("no such user"), "raised ValueError: no such user"),
        (KeyError("k"), "raised KeyError: 'k'"),
        (KeyboardInterrupt(), "raised KeyboardInterrupt"),
        (GeneratorExit(), "raised GeneratorExit"),
        (RuntimeError("first\nsecond"), "raised RuntimeError: first"),
        (RuntimeError("x" * 9999), "raised RuntimeError: " + "x" * 200),
        (MuteError(), "raised MuteError"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_exception(error: BaseException, why: str):
    """Any exception is retried, counted, and named with the begin of its text."""
    outcome = raised(error)
    assert (outcome.state, outcome.why, outcome.counted) == (RETRY, why, True)


def test_missing_broken_and_exit():
    """No handler: ignored, not counted. A broken file: done, counted. sys.exit in one process: retried, and said."""
    assert (MISSING.state, MISSING.counted) == (IGNORED, False)
    assert (BROKEN.state, BROKEN.counted) == (DONE, True)
    assert exited(3).state == RETRY
    assert "sys.exit(3)" in exited(3).why
    assert "sys.exit()" in exited(None).why


def test_an_outcome_is_shown_with_its_reason():
    """In a failed test, say."""
    assert repr(returned(None)).startswith("Outcome('retry', 'returned None")


@pytest.mark.parametrize(("size", "shown"), [(59, 59), (60, 60), (61, 60)])
def test_how_long_a_value_may_be_to_be_told_whole(size: int, shown: int):
    """Up to 60 characters; of a longer one the first 57, and three dots."""

    class Registrations:
        def __repr__(self) -> str:
            return "x" * size

    text = returned(Registrations()).why.removeprefix("returned ").removesuffix(" instead of an int")
    assert text == ("x" * size if size <= 60 else "x" * 57 + "...")
    assert len(text) == shown


@pytest.mark.parametrize("value", [2**63 - 1, -(2**63), 2**63, -(2**63) - 1])
def test_what_fits_a_c_long(value: int):
    """The first number beyond it, on either side, is the overflow that uWSGI prints."""
    assert returned(value).overflow == (not -(2**63) <= value < 2**63)
