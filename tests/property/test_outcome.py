"""Properties of the outcome table, against an independent model of what uWSGI makes of a return value."""

from __future__ import annotations

import ctypes

from hypothesis import example, given
from hypothesis import strategies as st

from spoolsim.work.outcome import DONE, IGNORED, RETRY, raised, returned


class Number(int):
    """An int of somebody's own, with operators of its own."""

    def __int__(self) -> int:
        return -2

    def __eq__(self, other: object) -> bool:
        return False

    def __le__(self, other: int) -> bool:
        return False

    def __hash__(self) -> int:
        return 0


INTS = st.one_of(
    st.integers(-4, 4),
    st.integers(),
    st.builds(lambda turns, code: turns * 2**32 + code, st.integers(-(2**31), 2**31), st.integers(-3, 1)),
    st.builds(lambda sign, off: sign * 2**63 + off, st.sampled_from((-1, 1)), st.integers(-3, 3)),
)
OTHERS = st.one_of(
    st.none(), st.text(), st.binary(), st.floats(), st.complex_numbers(), st.lists(st.integers()), st.just(object())
)


def model(value: object) -> str:
    """What uWSGI makes of it: an int goes through a C long (64 bits, as in production) and is cut to a C int."""
    if not isinstance(value, int):
        return RETRY
    plain = int.__add__(value, 0)
    if ctypes.c_int64(plain).value != plain:
        return RETRY
    return {-2: DONE, 0: IGNORED}.get(ctypes.c_int(plain).value, RETRY)


@given(INTS | INTS.map(Number) | st.booleans() | OTHERS)
@example(2**32 - 2)
@example(2**32)
@example(Number(-2))
@example(-2.0)
@example("-2")
def test_a_return_value_has_the_outcome_of_a_c_int(value: object):
    """Ints are cut to a C int, those beyond a C long and all other values are retried."""
    assert returned(value).state == model(value)


@given(INTS | INTS.map(Number) | OTHERS)
def test_what_stays_has_a_reason_unless_it_was_asked_for(value: object):
    """A value that keeps a task says so, except -1, which asks for it; only 0 is not counted."""
    outcome = returned(value)
    code = ctypes.c_int(int.__add__(value, 0)).value if isinstance(value, int) else None
    asked = outcome.state == DONE or (code == -1 and not outcome.overflow)
    assert bool(outcome.why) != asked
    assert outcome.counted == (outcome.state != IGNORED)
    assert outcome.overflow == (isinstance(value, int) and not -(2**63) <= int.__add__(value, 0) < 2**63)


@given(st.text(max_size=300))
def test_an_exception_is_retried_and_named(text: str):
    """Whatever its text, an exception means retry; its class and the begin of its first line are the reason."""
    outcome = raised(LookupError(text))
    assert outcome.state == RETRY
    assert outcome.why.startswith("raised LookupError")
    assert outcome.why.endswith(text.split("\n", maxsplit=1)[0][:200])
    assert "\n" not in outcome.why
