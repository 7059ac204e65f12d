"""How a claim ends, by what came of its task, by how often that was tried, and by the options.

    the task                                                 the verdict
    is done                                                  REMOVE
    cannot be decoded                                        Aside(BROKEN); REMOVE where uWSGI is followed
    is larger than --max-body, or than memory                Aside(BROKEN)
    failed --max-attempts times in a row                     Aside(FAILED), before or after a run
    asked to be kept --max-retries times in a row            Aside(FAILED), before or after a run
    is to be retried, and there is a --retry-delay           Postpone
    stays for any other reason                               KEEP

Pure: what happened is handed in.
"""

from __future__ import annotations

from spoolsim.spool.directory import BROKEN, FAILED
from spoolsim.spool.verdicts import KEEP, REMOVE, Aside, Postpone
from spoolsim.work.outcome import DONE, RETRY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from spoolsim.options import Options
    from spoolsim.spool.verdicts import Verdict
    from spoolsim.work.outcome import Outcome

    #: how often in a row a task failed, or asked to be kept (True), and why the last time (`Journal.row`)
    Attempts = tuple[int, bool, str]

#: why a task stays whose handler returned SPOOL_RETRY
ASKED = "asked to be retried (SPOOL_RETRY)"


def after(outcome: Outcome, fault: str, attempts: Attempts | None, options: Options, now: float = 0) -> Verdict:
    """Return the verdict on a task that was run.

    fault: why it cannot be decoded, '' where it can. attempts: with this one; None where there is no journal. now:
    epoch seconds, for what stays.
    """
    if outcome.state is DONE:
        return broken(fault, options) if fault else REMOVE
    if attempts is not None and (verdict := spent(attempts, options)) is not None:
        return verdict
    if options.retry_delay and outcome.state is RETRY:
        return Postpone(now + options.retry_delay)
    return KEEP


def broken(fault: str, options: Options) -> Verdict:
    """Return the verdict on a task that cannot be decoded, for this reason."""
    return Aside(BROKEN, fault) if options.policy.quarantines_broken else REMOVE


def too_large(options: Options) -> Verdict:
    """Return the verdict on a task that was not read, as it has too many bytes."""
    limit = options.max_body
    than = f"--max-body ({limit} bytes)" if limit else "the memory there is"
    return Aside(BROKEN, f"it is larger than {than}")


def spent(attempts: Attempts, options: Options) -> Verdict | None:
    """Return the verdict on a task that was tried too often in a row; None where it was not."""
    count, asked, why = attempts
    limit = options.max_retries if asked else options.max_attempts
    if not 0 < limit <= count:
        return None
    return Aside(FAILED, f"{why or ASKED}; tried {'once' if count == 1 else f'{count} times'}")
