"""How settings add up to options, each value as uWSGI reads it."""

from __future__ import annotations

from spoolsim.errors import OptionError
from spoolsim.options.settings import Options, Setting
from spoolsim.options.table import BY_NAME, FALSE, MOST_PROCESSES, TRUE, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def atoi(text: str) -> int:
    """A number as uWSGI reads it: leading digits after blanks and a sign, 0 without any; wraps at 32 bits."""
    text = text.lstrip(" \t\n\v\f\r")
    end = 1 if text[:1] in ("+", "-") else 0
    while text[end : end + 1] in _DIGITS:
        end += 1
    digits = text[:end].lstrip("+-").lstrip("0")
    number = int(digits or "0") if len(digits) < 20 else 1 << 64
    number = max(-number, -(1 << 63)) if text[:1] == "-" else min(number, (1 << 63) - 1)
    return (number + (1 << 31)) % (1 << 32) - (1 << 31)


_DIGITS = frozenset("0123456789")


def truth(value: str | bool) -> bool:
    """A flag's value as uWSGI reads it: false, off, no (in any case) and 0 are off, everything else is on."""
    return value if isinstance(value, bool) else value.lower() not in FALSE


def refuse(message: str, exit_code: int = 2) -> OptionError:
    """An error to raise; exit code 1 goes with uWSGI's own line, 2 with ours."""
    error = OptionError(message)
    error.exit_code = exit_code
    return error


def build(settings: Iterable[Setting]) -> Options:
    """The options that `settings` add up to, in order.

    Raises OptionError, naming option, source, value and what is accepted; under --faithful with uWSGI's own line and
    exit code 1 where it has one.
    """
    settings = list(settings)
    options = Options()
    for setting in settings:  # these two decide how the others are read
        if setting.name in ("faithful", "uwsgi"):
            _apply(options, BY_NAME[setting.name], setting)
    absent = "" if options.policy.knows_later_options or options.uwsgi != "2.0" else "2.1"
    # uWSGI passes over the options more than once: an unknown one is refused if strict holds where it stands or at
    # the end.
    strict = truth(next((s.value for s in reversed(settings) if s.name == "strict"), False))
    explicit_master: bool | None = None
    sockets: list[tuple[str, str]] = []
    for setting in settings:
        option = _add(options, setting, strict, absent)
        if option is not None and option.name == "master":
            explicit_master = truth(setting.value)
        elif option is not None and option.field == "sockets":
            sockets.append((setting.name, setting.source))
    # uWSGI turns the master on for a spooler, but lets an explicit false win wherever it stands.
    options.master = bool(options.spoolers) if explicit_master is None else explicit_master
    options.stand_in_worker = options.stand_in_worker or bool(options.pyrun)
    if not options.stand_in_worker:
        options.not_run += tuple(sockets)
    options.preloads = _preloads(options)
    return options


def _add(options: Options, setting: Setting, strict: bool, absent: str) -> Option | None:
    """Apply one setting; returns the option that it sets, None where there is none.

    absent: the uWSGI whose new options are unknown; "" for none.
    """
    option = BY_NAME.get(setting.name)
    if setting.role == "placeholder":
        option = None
    elif setting.role in ("unknown", "assigned") or (option is not None and option.since == absent):
        _unknown(options, setting, strict or options.strict)
        option = None
    elif option is None:
        _leave_out(options, setting)
        _count_mules(options, setting)
    if option is not None:
        _apply(options, option, setting)
        if option.field == "mounts" and mounted(str(setting.value)) is None:
            options.not_run += ((f"{setting.name} = {setting.value}", setting.source),)
        if option.since == "2.1" and options.uwsgi == "2.0":
            _note(options, "version-2.1", setting)
    if (option is None or not option.ours) and setting.source != "argument":
        _show(options, setting)
    return option


def _preloads(options: Options) -> tuple[tuple[str, str], ...]:
    """What is loaded, in the order in which uWSGI loads it."""
    return (
        *(("shared-import", name) for name in options.shared_imports),
        *(("import", name) for name in options.imports),
        *(("module", name) for name in options.modules[-1:]),
        *(("wsgi-file", name) for name in options.wsgi_files[-1:]),
        *(("paste", name) for name in (options.paste, options.ini_paste and f"config:{options.ini_paste}") if name),
        *(("eval", code) for code in (options.eval,) if code),
        *(app for mount in options.mounts if (app := mounted(mount)) is not None),
    )


def _leave_out(options: Options, setting: Setting) -> None:
    """An option that spoolsim does not act on: what is not run here is named at the start of a run."""
    from spoolsim.effects import ALWAYS, NOT_RUN

    if setting.name in NOT_RUN:
        options.not_run += ((setting.name, setting.source),)
    elif setting.name not in ALWAYS:
        options.without_effect += (setting.name,)


def _count_mules(options: Options, setting: Setting) -> None:
    """How many mules and which farms uWSGI would start: what signals may be sent to."""
    text = setting.value if isinstance(setting.value, str) else ""
    if setting.name == "mule":
        options.mules += 1
    elif setting.name == "mules":
        options.mules += max(atoi(text), 0)
    elif setting.name == "farm":
        options.farms += (text.partition(":")[0],)


def mounted(mount: str) -> tuple[str, str] | None:
    """What a `mount` loads, as an entry of `preloads`; None where it is nothing for Python, as in uWSGI."""
    app = mount.partition("=")[2]
    if app.endswith((".py", ".wsgi")):
        return "mount-file", app
    if ":" not in app:
        return None
    return ("paste" if app.endswith(".ini") else "mount"), app


def _show(options: Options, setting: Setting) -> None:
    """Put a setting into `opt`: uWSGI 2.0 keeps the last value of a name, 2.1 all of them in a list."""
    value = setting.value if isinstance(setting.value, bool) else setting.value.encode("utf-8", "surrogateescape")
    before = options.opt.get(setting.name)
    if before is not None and options.uwsgi == "2.1":
        options.opt[setting.name] = [*before, value] if isinstance(before, list) else [before, value]
    else:
        options.opt[setting.name] = value


def _unknown(options: Options, setting: Setting, strict: bool) -> None:
    if strict and not options.policy.explains_errors:
        raise refuse(f"[strict-mode] unknown config directive: {setting.name}", 1)
    if strict:
        raise refuse(
            f"{setting.name} ({setting.source}): uWSGI knows no such option, and strict makes it refuse to start"
        )
    if setting.role == "assigned":
        return
    if setting.source == "command line":
        raise refuse(f"uwsgi: unrecognized option '--{setting.name}'", 1)
    if not setting.source.startswith("environment UWSGI_"):
        options.unknown_ini += ((setting.name, setting.source),)


def _note(options: Options, code: str, setting: Setting, detail: str = "") -> None:
    given = setting.name if isinstance(setting.value, bool) else f"{setting.name} = {setting.value}"
    note = (code, f"{given} ({setting.source}){detail}")
    if note not in options.notes:
        options.notes += (note,)


def _apply(options: Options, option: Option, setting: Setting) -> None:
    if option.field is None:
        return
    text = "" if isinstance(setting.value, bool) else setting.value
    if option.kind == "flag":
        if text.lower() not in FALSE and text.lower() not in TRUE:
            _note(options, "option-value", setting, " is on")
        setattr(options, option.field, truth(setting.value))
    elif option.kind == "config":
        options.ini_paste = str(setting.value)
        options.paste_logger = options.paste_logger or setting.name == "ini-paste-logged"
    elif option.kind == "spooler":
        options.spoolers += ((text, option.name == "spooler-external"),)
    elif option.kind in ("list", "codes"):
        more = _items(options, option, setting, text)
        setattr(options, option.field, (*getattr(options, option.field), *more))
    else:
        setattr(options, option.field, _value(options, option, setting, text))


def _items(options: Options, option: Option, setting: Setting, text: str) -> list[str]:
    """What one setting adds to a list."""
    if option.kind == "codes":
        return [code for code in (code.strip() for code in text.split(",")) if code]
    if option.name == "env" and text.startswith("=") and options.policy.refuses_unread_settings:
        raise refuse(f"env ({setting.source}): {text!r} names no variable; write KEY=VALUE, or KEY to unset it")
    if option.name == "mount" and "=" not in text:
        if not options.policy.explains_errors:
            raise refuse(f"invalid mountpoint: {text}", 1)
        raise refuse(f"mount ({setting.source}): {text!r} names no mountpoint; write /PATH=APP")
    return [text]


def _value(options: Options, option: Option, setting: Setting, text: str) -> int | float | str:
    """The one value of an option, as its kind is read."""
    if option.kind == "int":
        return _int(options, option, setting, text)
    if option.kind == "seconds":
        return _seconds(option, setting, text)
    if option.kind == "choice" and text not in option.choices:
        raise refuse(f"{option.name} ({setting.source}): {text!r} is not one of {', '.join(option.choices)}")
    if option.field == "umask":
        _check_umask(options, setting, text)
    elif option.field in ("uid", "gid"):
        _note(options, "other-user", setting)
    return text


def umask_of(text: str) -> int:
    """A umask as uWSGI reads it: three octal digits, or the last three of four; 0 for a shorter text."""
    if len(text) < 3:
        return 0
    mask = 0
    for digit in text[:3] if len(text) == 3 else text[1:4]:
        mask = (mask << 3) + ord(digit) - ord("0")
    return mask & 0o777


def _check_umask(options: Options, setting: Setting, text: str) -> None:
    read = umask_of(text)
    if len(text) not in (3, 4) or f"{read:04o}" != text.rjust(4, "0"):
        _note(options, "option-value", setting, f" is read as {read:03o}")


def _int(options: Options, option: Option, setting: Setting, text: str) -> int:
    if option.ours:  # nobody but us reads it: nothing is to be matched
        if not _DIGITS.issuperset(text.strip() or "-"):
            raise refuse(f"{option.name} ({setting.source}): {text!r} is not a whole number, 0 or more")
        return int(text)
    number = atoi(text)
    if number < 0:
        raise _bad_number(options, setting, "a whole number, 0 or more")
    if option.field == "frequency" and number == 0:
        _note(options, "frequency-zero", setting, "" if text.strip() == "0" else " is read as 0")
    elif text.strip().lstrip("+").lstrip("0") != (str(number) if number else ""):
        _note(options, "option-value", setting, f" is read as {number}")
    if option.field == "buffer_size":
        return min(number, 65535)
    if option.field == "processes_per_spooler":
        if number > MOST_PROCESSES and options.policy.refuses_unread_settings:
            raise _bad_number(options, setting, f"at most {MOST_PROCESSES} processes")
        return max(number, 1)
    return number


def _bad_number(options: Options, setting: Setting, expected: str) -> OptionError:
    if not options.policy.explains_errors:
        return refuse(f'invalid value for option "{setting.name}": must be > 0', 1)
    return refuse(f"{setting.name} = {setting.value} ({setting.source}): expected {expected}")


def _seconds(option: Option, setting: Setting, text: str) -> float:
    try:
        number = float(text)
        if 0 <= number < float("inf"):
            return number
    except ValueError:
        pass
    raise refuse(f"{option.name} ({setting.source}): {text!r} is not a number of seconds, 0 or more")
