"""Which settings are options, of uWSGI or of spoolsim."""

from __future__ import annotations

from spoolsim.options import BY_NAME, Setting


def setting_of(name: str, value: str | bool, source: str) -> Setting:
    """A setting with its role: unknown when neither uWSGI nor spoolsim has the name."""
    role = "option"
    if name not in BY_NAME:
        from spoolsim.config.known import KINDS

        role = "option" if name in KINDS else "unknown"
    return Setting(name, value, source, role)
