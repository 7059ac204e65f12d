"""The options: one table, what is given, what it adds up to. Pure, and on the start path: no clock, no file."""

from __future__ import annotations

from spoolsim.options.build import atoi, build, mounted, refuse, truth, umask_of
from spoolsim.options.policy import SAFER, UWSGI, Policy
from spoolsim.options.settings import DEFAULTS, Options, Setting, policy_in, style_in
from spoolsim.options.table import BY_NAME, FALSE, MOST_PROCESSES, OPTIONS, TRUE, Option

__all__ = (
    "BY_NAME",
    "DEFAULTS",
    "FALSE",
    "MOST_PROCESSES",
    "OPTIONS",
    "SAFER",
    "TRUE",
    "UWSGI",
    "Option",
    "Options",
    "Policy",
    "Setting",
    "atoi",
    "build",
    "mounted",
    "policy_in",
    "refuse",
    "style_in",
    "truth",
    "umask_of",
)
