"""A configuration written out for real uWSGI: files inlined, logic followed, our own options left out."""

from __future__ import annotations

from spoolsim.config import logic
from spoolsim.errors import ConfigError
from spoolsim.options import BY_NAME, Options, Setting, truth

FORMS = ("ini", "yaml", "json", "toml", "uwsgiconf")


class Export:
    """What was written: `text`, and `warnings`, one sentence each."""

    __slots__ = ("text", "warnings")

    def __init__(self, text: str, warnings: list[str]) -> None:
        self.text = text
        self.warnings = warnings


def export(settings: list[Setting], options: Options, form: str, *, comments: dict[str, str] | None = None) -> Export:
    """The configuration in one of `FORMS`.

    comments: option -> why, written above its first line (ini and yaml).

    Raises ConfigError for a value that the form cannot hold.
    """
    kept, warnings = _kept(settings, options)
    if form == "toml":  # our own table, which takes a made-up name only as a placeholder
        kept = [_as_placeholder(setting) for setting in kept]
        nameless = [setting for setting in kept if setting.role == "unknown"]
        warnings += [f"{setting.name!r} ({setting.source}) is no option; left out" for setting in nameless]
        kept = [setting for setting in kept if setting.role != "unknown"]
    if form == "ini":
        text = _ini(kept, comments or {})
    elif form == "yaml":
        text = _yaml(kept, comments or {})
    elif form == "uwsgiconf":
        text = _uwsgiconf(kept)
    else:
        grouped = _grouped(kept)
        text = _json(grouped) if form == "json" else _toml(grouped)
    if form in ("json", "toml", "uwsgiconf"):
        spoolers = [s.name for s in kept if s.name in ("spooler", "spooler-external")]
        if spoolers != sorted(spoolers, key=spoolers.index):
            warnings.append(
                f"{form} keeps the values of one option together: spooler and spooler-external change their order"
            )
    return Export(text, warnings)


def _kept(settings: list[Setting], options: Options) -> tuple[list[Setting], list[str]]:
    kept: list[Setting] = []
    warnings: list[str] = []
    names = {setting.name for setting in settings}
    made = {_value(s).partition("=")[0] for s in settings if s.name in ("set-placeholder", "set-ph")}
    for setting in settings:
        name = setting.name
        option = BY_NAME.get(name)
        if name in logic.LOOPS or name in logic.ENDS or logic.is_condition(name):
            continue
        if option is not None and setting.role == "option" and (option.ours or option.kind == "config"):
            continue
        if name in ("set", "set-placeholder", "set-ph") or (setting.role == "unknown" and name in made):
            continue  # what they made stands behind them
        if option is not None and option.since == "2.1" and options.uwsgi == "2.0":
            consequence = "refuses to start" if options.strict else "ignores it"
            warnings.append(f"{name} ({setting.source}) needs uWSGI 2.1: uWSGI 2.0 {consequence}")
            if options.strict:
                warnings[-1] += "; left out"
                continue
        if isinstance(setting.value, str) and _is_replaced(setting, names):
            given = f"{name} = {setting.value} ({setting.source})"
            warnings.append(f"{given}: whoever reads the export tries to replace what looks like a placeholder")
        kept.append(setting)
    return kept, warnings


def _is_replaced(setting: Setting, names: set[str]) -> bool:
    """Would a reader of the export replace a part of this value? %(ltime) of log-format is replaced by nobody."""
    from re import findall

    from spoolsim.effects import IMMEDIATE

    value = _value(setting)
    if setting.role == "placeholder" or setting.name in IMMEDIATE:
        return False
    expressions = findall(r"%\(([^)]+)", value)
    return "$(" in value or "@(" in value or any(" " in text or text in names for text in expressions)


def _as_placeholder(setting: Setting) -> Setting:
    """A made-up key by the name under which `uwsgi.opt` has it; as it was where it cannot be one."""
    if setting.role != "unknown" or not setting.name or "=" in setting.name:
        return setting
    return Setting(setting.name, setting.value, setting.source, "placeholder")


def _value(setting: Setting) -> str:
    return setting.value if isinstance(setting.value, str) else "true"


def _line_of(setting: Setting, form: str) -> tuple[str, str]:
    """(key, value) that a line-by-line reader gives back unchanged."""
    name, value = setting.name, _value(setting)
    if setting.role == "placeholder":  # strict accepts a made-up name only so
        name, value = "set-placeholder", f"{name}={value}"
    elif setting.role == "assigned":
        name, value = "set", f"{name}={value}"
    if "\n" in value or "\n" in name:
        raise ConfigError(
            f"{name} ({setting.source}): {value!r}: {form} cannot hold a value of several lines; choose another form"
        )
    if value != value.strip(" \t\r"):
        raise ConfigError(
            f"{name} ({setting.source}): {value!r}: {form} cannot hold blanks around a value; choose another form"
        )
    # The text of a file is searched for percent signs before its lines are read.
    return name.replace("%", "%%"), value.replace("%", "%%")


def _ini(kept: list[Setting], comments: dict[str, str]) -> str:
    lines = ["[uwsgi]"]
    said: set[str] = set()
    for setting in kept:
        _comment(lines, setting, comments, said, "; ")
        name, value = _line_of(setting, "ini")
        _fits_ini(setting)
        lines.append(f"{name} = {value}" if value else f"{name} =")
    return "\n".join(lines) + "\n"


def _fits_ini(setting: Setting) -> None:
    if "=" in setting.name or setting.name[:1] in (";", "#", "["):
        raise ConfigError(f"{setting.name} ({setting.source}): ini cannot hold this name; choose another form")


def _yaml(kept: list[Setting], comments: dict[str, str]) -> str:
    lines = ["uwsgi:"]
    said: set[str] = set()
    for setting in kept:
        _comment(lines, setting, comments, said, "  # ")
        name, value = _line_of(setting, "yaml")
        if "#" in name + value or name.startswith("-") or ": " in name:
            raise ConfigError(f"{name} ({setting.source}): {value!r}: uWSGI's yaml cannot hold it; choose another form")
        lines.append(f"  {name}: {value}")
    return "\n".join(lines) + "\n"


def _comment(lines: list[str], setting: Setting, comments: dict[str, str], said: set[str], mark: str) -> None:
    option = BY_NAME.get(setting.name)
    name = option.name if option else setting.name
    if name in comments and name not in said:
        said.add(name)
        lines.append(mark + comments[name].replace("%", "%%"))


def _grouped(kept: list[Setting]) -> dict[str, list[str]]:
    table: dict[str, list[str]] = {}
    for setting in kept:
        name, value = setting.name, _value(setting)
        if setting.role == "placeholder":
            name, value = "set-placeholder", f"{name}={value}"
        elif setting.role == "assigned":
            name, value = "set", f"{name}={value}"
        table.setdefault(name, []).append(value)
    return table


def _json(table: dict[str, list[str]]) -> str:
    from json import dumps

    plain = {
        key.replace("%", "%%"): [value.replace("%", "%%") for value in values]
        if len(values) > 1
        else values[0].replace("%", "%%")
        for key, values in table.items()
    }
    return dumps({"uwsgi": plain}, indent=2, ensure_ascii=False) + "\n"


def _toml(table: dict[str, list[str]]) -> str:
    lines = ["[tool.spoolsim]"]
    for key, values in table.items():
        quoted = [_toml_text(value) for value in values]
        bare = key.replace("-", "").replace("_", "")
        name = key if bare.isascii() and bare.isalnum() else _toml_text(key)
        lines.append(f"{name} = {quoted[0] if len(quoted) == 1 else '[' + ', '.join(quoted) + ']'}")
    return "\n".join(lines) + "\n"


def _toml_text(text: str) -> str:
    from json import dumps

    return dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _uwsgiconf(kept: list[Setting]) -> str:
    params: dict[str, object] = {}
    calls: list[str] = []
    for setting in kept:
        _fits_ini(setting)  # uwsgiconf hands an ini file on
        _line_of(setting, "uwsgiconf")
        value = _value(setting).replace("%", "%%")
        option = BY_NAME.get(setting.name)
        parameter = option.uwsgiconf if option and setting.role == "option" else None
        if setting.role == "placeholder":
            calls.append(f"section.set_placeholder({setting.name!r}, {value!r})")
        elif setting.role == "assigned":
            calls.append(f"section._set('set', {setting.name + '=' + value!r}, multi=True)")
        elif setting.name in ("spooler", "spooler-external"):
            external = ", external=True" if setting.name == "spooler-external" else ""
            calls.append(f"section.spooler.add({value!r}{external})")
        elif option is not None and parameter is not None:
            _parameter(params, parameter, option.kind, value, setting)
        elif setting.name == "env" and "=" in value:
            key, _, text = value.partition("=")
            calls.append(f"section.env({key!r}, {text!r})")
        else:  # imports as well: section.python adds a plugin and a number of workers that nobody asked for
            calls.append(f"section._set({setting.name!r}, {value!r}, multi=True)")
    arguments = "".join(f"        {name}={value!r},\n" for name, value in params.items())
    if arguments:
        calls.insert(0, f"section.spooler.set_basic_params(\n{arguments}    )")
    body = "".join(f"    {call}\n" for call in calls)
    return (
        '"""The configuration for `uwsgiconf run` and `spoolsim run`."""\n\n'
        "from uwsgiconf.config import Section, configure_uwsgi\n\n\n"
        f"def get_configurations():\n    section = Section()\n{body}    return section\n\n\n"
        "configuration = configure_uwsgi(get_configurations)\n"
    )


def _parameter(params: dict[str, object], parameter: str, kind: str, value: str, setting: Setting) -> None:
    if kind == "flag":
        params[parameter] = truth(setting.value)
    elif kind == "list":
        known = params.setdefault(parameter, [])
        assert isinstance(known, list)
        known.append(value)
    elif kind == "int" and value.isascii() and value.isdigit():
        params[parameter] = int(value)
    else:
        params[parameter] = value
