"""What a finding is, and what several of the checks ask."""

from __future__ import annotations

import os
import re

from spoolsim.options import BY_NAME, Options, Setting

#: severities, the worst first; info is advice for production and no fault by itself
SEVERITIES = ("error", "warning", "info")

#: the code of every finding there is
CODES = frozenset(
    (
        "chdir-missing",
        "code-cut",
        "comment-in-value",
        "directory-missing",
        "directory-not-a-directory",
        "directory-not-writable",
        "directory-relative",
        "directory-symlink",
        "directory-unusable",
        "directory-world-writable",
        "external-unserved",
        "frequency-fraction",
        "frequency-zero",
        "handler-not-imported",
        "import-missing",
        "master-off",
        "mule-missing",
        "mule-not-run-here",
        "no-spooler",
        "nothing-imported",
        "option-name",
        "option-refused",
        "option-value",
        "own-option",
        "priority-not-number",
        "priority-unordered",
        "registers-in-spooler",
        "sigterm",
        "unknown-option",
        "version-2.1",
    )
)
#: uWSGI takes a comment behind a value as part of the value
_COMMENT = re.compile(r"\s+[#;].*$", re.DOTALL)


class Finding:
    """One finding.

    code: stable name. severity: of `SEVERITIES`. place: file:line, or where the option came from.
    why: one sentence. advice: one sentence, what to do.
    """

    __slots__ = ("advice", "code", "place", "severity", "why")

    def __init__(self, code: str, severity: str, place: str, why: str, advice: str) -> None:
        self.code = code
        self.severity = severity
        self.place = place
        self.why = why
        self.advice = advice

    def to_plain(self) -> dict[str, str]:
        """As a dictionary, for JSON."""
        return {name: getattr(self, name) for name in ("code", "severity", "place", "why", "advice")}


def last(settings: list[Setting], name: str) -> Setting | None:
    """The last setting of an option, by any of its names."""
    option = BY_NAME[name]
    names = (option.name, *option.aliases)
    return next((s for s in reversed(settings) if s.name in names and s.role == "option"), None)


def written(setting: Setting) -> str:
    """A setting as it stands in a file."""
    return setting.name if isinstance(setting.value, bool) else f"{setting.name} = {setting.value}"


def option_name(setting: Setting) -> str:
    """The name of the option that a setting is for, aliases resolved."""
    option = BY_NAME.get(setting.name)
    return setting.name if option is None else option.name


def serves(options: Options) -> bool:
    """Whether a spooler of this configuration runs tasks."""
    return any(not external for _, external in options.spoolers)


def without_comment(value: str) -> str:
    """A value without what was meant as a comment behind it."""
    return _COMMENT.sub("", value)


def is_close(one: str, other: str) -> bool:
    """True where one may be a slip of the other."""
    from difflib import SequenceMatcher

    return SequenceMatcher(None, one, other).ratio() >= 0.88


def elsewhere(path: str, root: str, production: bool) -> bool:
    """Whether a path that is missing may well be there in production: it lies outside the project."""
    full, root = os.path.realpath(os.path.join(root, path)), os.path.realpath(root)
    return not production and full != root and not full.startswith(root.rstrip("/") + "/")


def meant_for_spooler(name: str) -> str | None:
    """The option of the spooler that an unknown name is most like, if it is meant for the spooler at all."""
    from spoolsim.config.known import nearest

    near = nearest(name, tuple(BY_NAME))
    dashed = name.replace("_", "-").lower()
    return near if near is not None and ("spool" in dashed or (near == "spooler" and is_close(near, dashed))) else None
