"""What a worker keeps of each attempt for those who look later: into the history, beside the line of the journal."""

from __future__ import annotations

from spoolsim.spool.history import History

TYPE_CHECKING = False
if TYPE_CHECKING:
    from spoolsim.spool.claim import Claim
    from spoolsim.spool.directory import SpoolDir
    from spoolsim.spool.journal import Journal
    from spoolsim.work.app import App


def recorder_for(app: App, spool: SpoolDir, journal: Journal | None) -> Recorder | None:
    """A directory's recorder; None without a journal, or where nothing is to be kept."""
    size = app.options.history_size
    return Recorder(app, History(spool, size), journal) if journal is not None and size > 0 else None


class Recorder:
    """Writes the history of one directory, for one worker."""

    __slots__ = ("_app", "_history", "_journal")

    def __init__(self, app: App, history: History, journal: Journal) -> None:
        self._app = app
        self._history = history
        self._journal = journal

    def record(self, claim: Claim) -> None:
        """Keep a task, and what it raised and printed, under the time of the journal's last line."""
        capture = self._app.capture
        raised, output = (b"", b"") if capture is None else capture.take()
        self._history.add(self._journal.at, claim.task, claim.data, raised, output)

    def begin(self) -> None:
        """What was printed between two scans is no task's."""
        if self._app.capture is not None:
            self._app.capture.take()

    def flush(self) -> None:
        """Write what was gathered."""
        self._history.flush()
