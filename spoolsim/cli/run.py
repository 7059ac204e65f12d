"""`spoolsim run`: its command line, and what it answers where there is nothing to run."""

from __future__ import annotations

import os
import sys

from spoolsim.config.readers import configuration
from spoolsim.errors import SpoolsimError, UsageError
from spoolsim.log import Log
from spoolsim.options import policy_in, style_in
from spoolsim.processes.start import run

NOTHING = (
    "nothing to run: no spooler option, and no [tool.spoolsim] in pyproject.toml, spoolsim.ini or uwsgi.ini here. "
    "A uwsgi.ini to begin with:"
)
_TO_BEGIN_WITH = """\

    [uwsgi]
    spooler = spool
    import = tasks
"""


def main(argv: list[str]) -> int:
    """The command; returns its exit status. Errors are one line on standard error."""
    log = Log()
    try:
        settings, file = configuration(argv, os.environ)
        policy = policy_in([setting.name for setting in settings])
        if file is None and policy.needs_configuration:
            log.say(NOTHING, error=True)
            log.raw(_TO_BEGIN_WITH)
            return UsageError.exit_code
        log = Log(style=style_in(settings), people=policy.writes_for_people)
        if file and policy.explains:
            log.say(f"configuration: {file}")
        return run(settings, log)
    except SpoolsimError as error:
        _refuse(error, log)
        return error.exit_code


def _refuse(error: SpoolsimError, log: Log) -> None:
    text = str(error)
    if text.startswith(
        ("uwsgi: ", "[strict-mode]", "[spooler directory]", "invalid value for option", "invalid mountpoint")
    ):
        log.line(text)  # uWSGI's own line
    else:
        log.say(text, error=True)
    sys.stderr.flush()
