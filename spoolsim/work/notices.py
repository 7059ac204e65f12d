"""What a worker says about tasks that are not simply done: in the log, as production notes, and to who drains."""

from __future__ import annotations

import os

from spoolsim.spool import settle
from spoolsim.spool.directory import FAILED
from spoolsim.spool.verdicts import Aside
from spoolsim.work import outcome as outcomes
from spoolsim.work import run, verdict
from spoolsim.work.installed import print_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from spoolsim.spool.claim import Claim
    from spoolsim.spool.directory import SpoolDir
    from spoolsim.spool.verdicts import Verdict
    from spoolsim.work.app import App
    from spoolsim.work.outcome import Outcome

#: what a drain is told about a task: it stays, to be tried again; it was moved out of the way; it was deleted, as
#: uWSGI does with a broken one; it is done, but still there
KEPT, MOVED, DROPPED, STUCK = "kept", "moved", "dropped", "stuck"
#: characters of the id at the end of a label
_ID = 6
_SECOND = 1_000_000_000


def nobody(how: str, path: str, why: str) -> None:
    """Where nobody drains, nobody asks."""


class Notices:
    """The voice of one worker.

    tell: called with (KEPT, MOVED, DROPPED or STUCK, path, why) for each task that was not done, or is still there.
    """

    __slots__ = ("_app", "_spool", "tell")

    def __init__(self, app: App, spool: SpoolDir, tell: Callable[[str, str, str], None] = nobody) -> None:
        self._app = app
        self._spool = spool
        self.tell = tell

    def once(self, path: str, why: str, text: str) -> None:
        """Log a line that no process of this run has logged before about this path, for this reason."""
        if self._app.said.first(path, why):
            self._app.log.say(text)

    def skipped(self, path: str, why: str) -> None:
        """An entry of the directory can never run."""
        self.once(path, why, f"{path} is {why}; uWSGI silently skips it, so it never runs")

    def unscanned(self, error: OSError) -> None:
        """The directory gives an error."""
        path = self._spool.path
        self.once(path, str(error), f"{path} cannot be scanned: {error.strerror}; trying again on every scan")

    def not_entered(self, claim: Claim, error: OSError) -> None:
        """A task is kept, as its own directory gives an error."""
        path = claim.path
        self.once(path, "chdir", f"{path} is kept: its directory: {error.strerror}")
        self.tell(KEPT, path, f"its directory: {error.strerror}")

    def set_aside(self, claim: Claim, aside: Aside, target: str, code: str) -> None:
        """A task was moved out of the way. code: of the note about one that could not be run."""
        path, reason = claim.path, aside.reason
        self.tell(MOVED, path, reason)
        story = self._app.log.story
        if aside.home == FAILED and story is not None:
            label = story.label(claim.name, claim.data)
            home = os.path.dirname(target).removeprefix(os.path.dirname(self._spool.path)).lstrip("/")
            self._app.log.say(f"{label} is moved to {home}; `spoolsim retry {label[-_ID:]}` brings it back")
        elif aside.home == FAILED:
            self._app.log.say(f"{path}: {reason}; moved to {target}; `spoolsim retry` brings it back")
        else:
            self._app.notes.give(code, path, f"{reason}; moved to {target}")

    def not_moved(self, claim: Claim, aside: Aside, error: OSError) -> None:
        """A task should have been moved out of the way, and stays."""
        path, reason = claim.path, aside.reason
        if isinstance(error, settle.Replaced):
            self._app.notes.give("own-file-replaced", path)
            return
        self.once(path, "stuck", f"{path} ({reason}) cannot be moved: {error.strerror}")
        self.tell(KEPT, path, f"{reason}; it could not be moved: {error.strerror}")

    def not_postponed(self, claim: Claim, error: OSError) -> None:
        """A task is due at once, whatever --retry-delay says."""
        self.once(claim.path, "delay", f"could not apply --retry-delay to {claim.path}: {error.strerror}")

    def not_removed(self, claim: Claim, error: OSError) -> None:
        """A task is done, and its file could not be removed."""
        path = claim.path
        why = f"is done but cannot be removed: {error.strerror}"
        self._app.log.say(
            f"{path} {why}; it is not run again until the next start of spoolsim: remove it before", error=True
        )
        self.tell(STUCK, path, f"is done, but could not be removed: {error.strerror}")

    def changed(self, who: str, what: str) -> str:
        """Say that a task has changed whose process this is, or its root directory; and return it."""
        text = f"{who} changed the {what} of its spooler process, which can serve no more tasks"
        self._app.log.say(f"{text}; another process takes its place; do that in a child process", error=True)
        return text

    def kept(self, claim: Claim, outcome: Outcome, found: Verdict, took: int, attempts: int) -> None:
        """Tell people that a task is not done: after which attempt, why and, the first time, what to do.

        took: nanoseconds. attempts: 0 for not known.
        """
        story = self._app.log.story
        if story is None:
            return
        what, why = "retry", outcome.why or verdict.ASKED
        if isinstance(found, Aside):
            what, why = "failed", found.reason
        elif outcome.state is outcomes.IGNORED:
            what = outcome.state
        first = bool(outcome.why) and self._app.said.first(claim.path, outcome.why)
        number = f" {attempts}" if attempts and what != "failed" else ""
        story.kept(what + number, took / _SECOND, why, outcome.advice if first else "")

    def comes_back(self, claim: Claim, outcome: Outcome, handler: object, env: dict[str | bytes, bytes]) -> None:
        """Say once why a task will be run again. env: what the handler was called with, if it was."""
        if not self._app.policy.explains or self._app.log.story is not None:  # which has said it
            return
        function = "none" if outcome in (outcomes.MISSING, outcomes.BROKEN) else run.title(handler, env)
        if outcome is outcomes.MISSING:
            what = "so it stays"
        elif outcome.state is outcomes.IGNORED:
            what = "so it stays, and its handler is called again on every scan"
        else:
            what = "so it will be retried on every scan"
        if not os.path.lexists(claim.path):
            return  # it was moved to failed/, which was said
        self.once(
            claim.path,
            outcome.why,
            f"task {claim.name} (function {function}) {outcome.why}, {what}; {outcome.advice}",
        )

    def descriptors_gone(self, who: str) -> str:
        """Say it, and return it: without its descriptors this process is of no use."""
        text = f"{who} closed descriptors that are the spooler's own (os.closerange, a second close of the same number)"
        self._app.log.say(f"{text}; another process takes its place", error=True)
        return text

    def late(self) -> None:
        """Print what was raised when its task was over; a SystemExit ends the process, as it does anywhere."""
        error, run.late.error = run.late.error, None
        if error is None or run.is_end(error):
            return
        try:
            raise error
        except SystemExit:
            raise
        except BaseException:
            print_error()
        self.once(
            "",
            "late",
            f"{outcomes.class_name(error)} was raised after the handler had returned, so its task is settled all the "
            "same; the app's timer or signal handler comes late: disarm it before the handler returns",
        )
