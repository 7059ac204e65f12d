"""Export and reading back are inverse, for every form, over arbitrary settings."""

from __future__ import annotations

import os
import tempfile

from hypothesis import example, given, settings
from hypothesis import strategies as st

from spoolsim.config.export import FORMS, export
from spoolsim.config.readers import read
from spoolsim.errors import ConfigError
from spoolsim.options import BY_NAME, DEFAULTS, Setting, build
from tests.property import examples

#: options that an export keeps; uwsgiconf's module is compared with real configurations elsewhere
#: (strict leaves the options of uWSGI 2.1 out, with a warning, so they are not drawn)
NAMES = sorted(
    name
    for name, option in BY_NAME.items()
    if not option.ours and option.since == "2.0" and option.kind not in ("config", "placeholder")
)
FLAGS = [name for name in NAMES if BY_NAME[name].kind == "flag"]
VALUES = st.one_of(
    st.sampled_from(
        ["1", "0", "true", "false", "7", "a b", "%d", "100%", "%%", "a=b", "a: b", "#", "é", '"q"', "\\", "'"]
    ),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=12),
).filter(lambda text: not any(sign in text for sign in ("$(", "@(", "%(")))


def names_something(setting: Setting) -> bool:
    """A variable without a name is refused, and a mount without a mountpoint."""
    if setting.name in ("mount", "worker-mount"):
        return "=" in str(setting.value)
    return setting.name != "env" or not str(setting.value).startswith("=")


SETTINGS = st.lists(
    st.one_of(
        st.builds(Setting, st.sampled_from(NAMES), VALUES, st.just("x.ini:1")).filter(names_something),
        st.builds(Setting, st.sampled_from(["mine", "my-own"]), VALUES, st.just("x.ini:1"), st.just("placeholder")),
        st.builds(Setting, st.sampled_from(FLAGS), st.just(True), st.just("command line")),
    ),
    max_size=8,
)


@settings(max_examples=examples(400), deadline=None)
@given(SETTINGS, st.sampled_from([form for form in FORMS if form != "uwsgiconf"]))
@example([Setting("cache2", "\xa0", "x.ini:1")], "ini")  # a blank to Python, and none to uWSGI
def test_what_is_written_is_read_back(given_settings: list[Setting], form: str):
    """Either the form refuses a value, naming its option, or the options that are read are those that were written."""
    options = build(given_settings)
    try:
        done = export(given_settings, options, form)
    except ConfigError as error:
        assert any(str(error).startswith((s.name, "set-placeholder")) for s in given_settings)
        assert form in ("ini", "yaml")
        return
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, f"out.{form}")
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.write(done.text)
        again = build(read(path))
    for field in DEFAULTS:
        if field in ("opt", "notes", "unknown_ini"):
            continue
        expected, found = getattr(options, field), getattr(again, field)
        if field == "spoolers" and done.warnings:
            expected, found = sorted(expected), sorted(found)
        if form in ("json", "toml") and field in _BY_ALIASES:
            continue  # values of one option under several names change their order; the last may be another
        if field == "not_run":  # where each is written is not what is read back
            expected, found = ({name for name, _ in pairs} for pairs in (expected, found))
        assert found == expected, field
    shown = {name: b"true" if value is True else value for name, value in options.opt.items()}
    assert {k: v for k, v in again.opt.items() if k != "set-placeholder"} == {
        k: v for k, v in shown.items() if k != "set-placeholder"
    }


_BY_ALIASES = {option.field for option in BY_NAME.values() if option.aliases} | {"preloads"}
