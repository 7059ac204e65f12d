"""The states that a task can be in, and where its file is then.

state           where                       what it means
queued          the spool directory         due; it runs at the next scan
running         likewise, locked            a process has it
delayed         likewise, mtime ahead       not before its `at`
retry-delayed   likewise, mtime ahead       it was tried, and waits for --retry-delay, or because it kills spoolers
unfinished      likewise, under 4 bytes     its producer still writes it, or died
never-runs      likewise                    no spooler ever looks at it; `why` tells the reason
held            .spoolsim/held/             `spoolsim hold` took it aside; `release` brings it back
failed          .spoolsim/failed/           tried --max-attempts times; `retry` brings it back
broken          .spoolsim/broken/           it cannot be read as a task
removed         .spoolsim/trash/            `spoolsim rm` took it away; `undo` brings it back
done            nowhere any more            known from past attempts only
"""

from __future__ import annotations

from spoolsim.spool import directory

QUEUED, RUNNING, DELAYED, RETRY_DELAYED = "queued", "running", "delayed", "retry-delayed"
UNFINISHED, NEVER = "unfinished", "never-runs"
HELD, FAILED, BROKEN, REMOVED = "held", "failed", "broken", "removed"
DONE = "done"
STATES = (QUEUED, RUNNING, DELAYED, RETRY_DELAYED, UNFINISHED, NEVER, HELD, FAILED, BROKEN, REMOVED, DONE)
#: of a file in the spool directory itself
IN_QUEUE = frozenset(STATES[:6])
#: what `ls` shows where no state is asked for
LIVE = frozenset(STATES) - {REMOVED, DONE}
#: state -> the directory of ours that holds such tasks
ASIDE = {HELD: directory.HELD, FAILED: directory.FAILED, BROKEN: directory.BROKEN, REMOVED: directory.TRASH}
