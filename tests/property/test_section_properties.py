"""The Python API beside the package uwsgiconf, whose names it takes: the same calls give the same lines."""

from __future__ import annotations

import inspect
import re
from typing import Any

import uwsgiconf.config as uwsgiconf
from hypothesis import given, settings
from hypothesis import strategies as st

from spoolsim import Section, Spooler
from spoolsim.options import BY_NAME, DEFAULTS
from tests.property import examples

NAMES = st.one_of(
    st.sampled_from(
        [
            "spool",
            "/abs/spool",
            "a/../b",
            "{project_runtime_dir}/spool/",
            "{runtime_dir}/{project_name}",
            "{project_name}",
            " padded ",
            "{other}",
            "%d/x",
            "/",
            ".",
        ]
    ),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1).filter(str.strip),
)
LISTS = st.one_of(NAMES, st.lists(NAMES, max_size=3))
FLAGS = st.booleans()
NUMBERS = st.integers(0, (1 << 31) - 1)
#: what may be drawn for each parameter; None leaves the option alone
PARAMETERS: dict[str, st.SearchStrategy[Any]] = {
    "touch_reload": LISTS,
    "quiet": FLAGS,
    "process_count": NUMBERS,
    "max_tasks": NUMBERS,
    "order_tasks": st.one_of(NUMBERS, FLAGS, st.integers(-3, -1)),
    "harakiri": NUMBERS,
    "change_dir": NAMES,
    "poll_interval": NUMBERS,
    "signal_as_task": FLAGS,
    "cheap": FLAGS,
    "base_dir": st.one_of(NAMES, st.just("")),
}
PARAMS = st.fixed_dictionaries({}, optional={name: st.none() | drawn for name, drawn in PARAMETERS.items()})
CALLS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["set_basic_params", "call"]), PARAMS),
        st.tuples(st.just("add"), st.fixed_dictionaries({"work_dir": LISTS}, optional={"external": FLAGS})),
    ),
    max_size=6,
)
SECTIONS = st.fixed_dictionaries(
    {},
    optional={
        "project_name": st.sampled_from(["", "app", "my app", "/abs", "a/b"]),
        "runtime_dir": st.sampled_from(["/run/x", "/run/x/", "rel//dir", "/a/../b", "./c", None, ""]),
        "strict_config": st.none() | st.booleans(),
        "params_spooler": PARAMS,
    },
)


def lines(section: Any) -> list[str]:
    """The lines below the header, as a file of the section would have them."""
    text = section.as_ini() if isinstance(section, Section) else section.as_configuration().format(stamp=False)
    return [line for line in text.split("\n") if line and not line.startswith("[uwsgi]")]


def play(section: Any, calls: list[tuple[str, dict[str, Any]]]) -> list[str]:
    for method, kwargs in calls:
        group = section.spooler
        returned = group(**kwargs) if method == "call" else getattr(group, method)(**kwargs)
        assert returned is section, "every method returns the section"
    return lines(section)


@settings(max_examples=examples(2500), deadline=None)
@given(SECTIONS, CALLS)
def test_the_same_calls_give_the_same_lines(section: dict[str, Any], calls: list[tuple[str, dict[str, Any]]]):
    """For every parameter, in any order and number of calls, beginning with any section."""
    ours = play(Section(**section), calls)
    assert ours == play(uwsgiconf.Section(**section), calls)


@settings(max_examples=examples(300), deadline=None)
@given(PARAMS, CALLS)
def test_a_spooler_of_its_own_is_a_section_with_these_parameters(
    params: dict[str, Any], calls: list[tuple[str, dict[str, Any]]]
):
    """Spooler(**params) and Section(params_spooler=params) are the same; uwsgiconf needs a section there."""
    assert play(Spooler(**params)(), calls) == play(uwsgiconf.Section(params_spooler=params), calls)


def test_signatures_are_uwsgiconfs():
    """The same parameters with the same defaults, all by keyword."""
    for method in ("set_basic_params", "add"):
        ours = inspect.signature(getattr(Spooler, method)).parameters
        theirs = inspect.signature(getattr(uwsgiconf.Section.spooler, method)).parameters
        assert [(p.name, p.default, p.kind) for p in ours.values()] == [
            (p.name, p.default, p.kind) for p in theirs.values()
        ]
    assert set(PARAMETERS) == set(inspect.signature(Spooler.set_basic_params).parameters) - {"self"}


def test_documented_defaults_are_uwsgiconfs():
    """Where uwsgiconf's docstring states a default, ours states the same, and it is the option's."""
    stated = re.findall(r":param (\w+):[^:]*?Default: (\d+)", uwsgiconf.Section.spooler.set_basic_params.__doc__)
    assert ("poll_interval", "30") in stated
    own = dict(re.findall(r"^\s*(\w+): .*?Default: (\w+)\.$", str(Spooler.set_basic_params.__doc__), re.MULTILINE))
    by_parameter = {option.uwsgiconf: option for option in BY_NAME.values() if option.uwsgiconf}
    for parameter, default in stated:
        assert own[parameter] == default
        assert DEFAULTS[by_parameter[parameter].field] == int(default)
