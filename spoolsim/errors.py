"""Every error that spoolsim raises on purpose, one sentence per class.

The message of each names the file, key or option, what was wrong with it and what to do.
`exit_code` is what the command line ends with when the error reaches it.
"""

from __future__ import annotations


class SpoolsimError(Exception):
    """Base of all: something the user can act on."""

    exit_code = 1


class UsageError(SpoolsimError):
    """The command line or a configuration file cannot be understood."""

    exit_code = 2


class OptionError(UsageError):
    """An option is unknown, or its value is of the wrong type or range."""


class ConfigError(UsageError):
    """A configuration file cannot be read; the message names file and line."""


class PacketError(SpoolsimError):
    """The bytes of a spool file are not a uwsgi packet."""


class SpoolDirError(SpoolsimError):
    """A spool directory is missing, not a directory, or cannot be used."""


class AppError(SpoolsimError):
    """The app, or a module that an option names, cannot be imported."""


class NotEmulated(SpoolsimError):
    """A function of the `uwsgi` module was called that only the real uWSGI has; the message tells where it runs."""


class HarnessError(SpoolsimError):
    """The testing engine cannot do what a test asked for."""


class RetriedForever(HarnessError):
    """A drain would never end: a task comes back on every scan; the message names it and says why."""


class TaskTimeout(HarnessError):
    """A task, or a wait of a test, took longer than its time limit."""


class ScheduleBroken(HarnessError, AssertionError):
    """`explore` found a fault schedule, of kills and orders, in which the test fails; the message tells it."""
