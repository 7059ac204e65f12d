"""Properties of the option table."""

from __future__ import annotations

import ctypes
import marshal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spoolsim.options import BY_NAME, Options, Setting, atoi, build

LIBC = ctypes.CDLL(None)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
NUMBERS = st.one_of(
    TEXT,
    st.integers().map(str),
    st.integers(-(1 << 70), 1 << 70).map(str),
    st.from_regex(r"\A[ \t\n\v\f\r]*[+-]?[0-9]{0,22}[^\0]?\Z"),
)


@pytest.mark.needs("long-64")
@given(NUMBERS)
def test_atoi_equals_the_c_librarys(text: str):
    """For every text without NUL."""
    assert atoi(text) == LIBC.atoi(text.encode())


#: options that refuse some of the values drawn here
REFUSING = tuple(
    name
    for name, option in BY_NAME.items()  # by the other names of an option too
    if option.kind in ("choice", "seconds") or option.name == "mount" or (option.ours and option.kind == "int")
)

ANY_SETTING = st.builds(
    Setting,
    st.sampled_from([*sorted(BY_NAME), "vacuum", "unknown_key"]),
    st.one_of(st.booleans(), st.sampled_from(["1", "0", "7", "a", "a,b", "x=y", "2.0", "false"])),
    st.sampled_from(["command line", "uwsgi.ini:3", "environment UWSGI_X"]),
    st.sampled_from(["option", "placeholder"]),
).filter(lambda s: s.role != "option" or s.name not in REFUSING or s.value in ("2.0", "1"))


@given(st.lists(ANY_SETTING.filter(lambda s: s.name not in ("faithful", *REFUSING)), max_size=12))
def test_options_cross_processes_unchanged(settings: list[Setting]):
    """Whatever the settings, the options survive marshal; and building twice gives the same."""
    options = build(settings)
    assert Options.from_plain(marshal.loads(marshal.dumps(options.to_plain()))) == options == build(settings)


@given(st.lists(ANY_SETTING.filter(lambda s: s.name not in ("faithful", *REFUSING)), max_size=12))
def test_opt_has_exactly_uwsgis_names_with_their_last_values(settings: list[Setting]):
    """uwsgi.opt is the last value of every name that is not ours."""
    expected = {
        s.name: s.value if isinstance(s.value, bool) else s.value.encode()
        for s in settings
        if s.role == "placeholder" or s.name not in BY_NAME or not BY_NAME[s.name].ours
    }
    assert build(settings).opt == expected
