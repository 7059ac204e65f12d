"""Finds what goes wrong in production before production: in the options, the directories and the app's code."""

from __future__ import annotations

from spoolsim.config.check.code import of_code
from spoolsim.config.check.directories import of_directories
from spoolsim.config.check.findings import CODES, SEVERITIES, Finding, last
from spoolsim.config.check.settings import of_comments, of_the_process, of_unknown_names, of_values
from spoolsim.config.code import Code
from spoolsim.errors import OptionError
from spoolsim.options import Setting, build, truth

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ("CODES", "SEVERITIES", "Finding", "check")


def check(
    settings: list[Setting],
    root: str,
    *,
    production: bool = False,
    progress: Callable[[int], None] | None = None,
) -> list[Finding]:
    """All findings about a configuration, the worst first, without those that its `silence` names.

    root: the directory in which uWSGI will be started. Reads directories and source files; imports and writes nothing.
    production: this is the machine of production: a path outside `root` that is missing is an error, not advice.
    progress: called with the number of source files read so far.

    Raises OptionError for what no single setting is to blame for, and for a silenced code that there is not.
    """
    settings, refused = _acceptable(settings)
    # Under strict an unknown key would be refused here; it is to be found instead, with all the others.
    options = build([setting for setting in settings if setting.name != "strict"])
    strict = last(settings, "strict")
    options.strict = strict is not None and truth(strict.value)
    _refuse_unknown(options.silence)
    code = Code(progress)
    found = [
        *refused,
        *of_comments(settings, options),
        *of_values(settings, options),
        *of_unknown_names(settings, options),
        *of_directories(settings, options, root, production),
        *of_the_process(settings, options),
        *of_code(settings, options, root, code, production),
    ]
    found = [finding for finding in found if finding.code not in options.silence]
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))


def _refuse_unknown(silenced: tuple[str, ...]) -> None:
    """Raises OptionError for a code that is neither of a finding nor of a production note."""
    from difflib import get_close_matches

    from spoolsim.diagnose import BY_CODE

    for code in silenced:
        if code not in CODES and code not in BY_CODE:
            near = get_close_matches(code, sorted(CODES | BY_CODE.keys()), n=1)
            hint = f"did you mean {near[0]}?" if near else "each finding ends with its code, in brackets"
            raise OptionError(f"silence: {code!r} is not the code of a finding or of a production note; {hint}")


def _acceptable(settings: list[Setting]) -> tuple[list[Setting], list[Finding]]:
    """(those with which something can start, a finding for each other one)."""
    kept: list[Setting] = []
    found: list[Finding] = []
    for setting in settings:
        try:
            build([setting])
            kept.append(setting)
        except OptionError as error:
            why = str(error).replace(f" ({setting.source})", "")
            found.append(Finding("option-refused", "error", setting.source, why, "correct it: nothing starts with it"))
    return kept, found
