"""Why a task has not run, or runs again and again, and what to do: sentences from gathered facts.

The first sentence is what keeps the task now; those behind it keep it next, or explain the past. Each has a stable
code. Pure: facts are handed in (see facts.py).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches

from spoolsim.printable import counted
from spoolsim.spool.enqueue import number
from spoolsim.tasks.attempts import DIED, IGNORED, RETRY
from spoolsim.tasks.describe import DECORATORS
from spoolsim.tasks.spans import span

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from spoolsim.tasks.attempts import Attempt
    from spoolsim.tasks.processes import Process

#: seconds: an `at` further ahead was perhaps meant in milliseconds
_FAR = 366 * 86400
#: names of functions that are shown
_SHOWN = 8
#: attempts from which on a retry is called a loop
_OFTEN = 3


@dataclass(slots=True)
class Facts:
    """What is known of one task. Times in epoch seconds; None and '' where something is not known.

    name, task, state, why: as in `listing.Row`. kind: what the file is: "file", "symlink", "directory", "other",
    "missing". task_name: whether its name is one that spoolers look at, in whatever mode. priority: the directories
    above it, below the spool directory. directory_due: when those are due, if later than now. variables: None for a
    file that is no task; then `problem` says what is wrong. servers: the spoolers of the directory.
    external: it is only enqueued to here. owner: the file's user; readable_by_servers: False where one of them may
    not open it. functions: what the app registers, as read from its code; has_handler: whether that sets
    uwsgi.spooler. changed: (path, mtime) of the app's newest file.
    max_attempts, max_body: options, 0 for none. frequency: seconds between polls.
    """

    name: str
    task: str
    path: str
    state: str
    now: float
    mtime: float = 0
    size: int = 0
    why: str = ""
    kind: str = "file"
    task_name: bool = True
    ordered: bool = False
    priority: tuple[str, ...] = ()
    directory_due: float = 0
    variables: dict[bytes, bytes] | None = None
    problem: str = ""
    call_kind: str = ""
    function: str = ""
    holder: Process | None = None
    servers: list[Process] | None = None
    external: bool = False
    directory: str = ""
    owner: int = -1
    refused: list[Process] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    functions: tuple[str, ...] | None = None
    has_handler: bool | None = None
    changed: tuple[str, float] | None = None
    max_attempts: int = 0
    frequency: float = 30


@dataclass(frozen=True, slots=True)
class Reason:
    """One sentence of an answer. code: stable. text: what is so, and why. advice: what to do; '' for nothing."""

    code: str
    text: str
    advice: str = ""

    def line(self) -> str:
        """Both, as sentences."""
        return f"{self.text} {self.advice}".rstrip()


def explain(facts: Facts) -> list[Reason]:
    """The reasons, the decisive one first; never empty."""
    found = list(_elsewhere(facts))
    if not found:
        found = [*_unreached(facts)]
        waits = [*_waits(facts)]
        if not found:
            found = [*waits, *([] if facts.holder is not None else _unserved(facts))]
        found += _past(facts)
    return found or [_soon(facts)]


def _elsewhere(facts: Facts) -> Iterator[Reason]:
    """Not in the queue at all."""
    match facts.state:
        case "done":
            yield Reason("done", f"It ran and is done{_when(facts)}.", "Nothing to do.")
        case "held":
            yield Reason("held", f"It is held: {facts.why}.", "`spoolsim release` brings it back.")
        case "removed":
            yield Reason("removed", f"It was removed ({facts.why}).", "`spoolsim undo` brings it back.")
        case "broken":
            advice = "Look at the producer; `spoolsim rm` removes it, `spoolsim retry` tries it as it is."
            yield Reason("quarantined", f"It was set aside as broken: {facts.why}.", advice)
        case "failed":
            advice = "Fix the cause, then `spoolsim retry` brings it back."
            yield Reason("dead-lettered", f"It was given up (--max-attempts): {facts.why}.", advice)
            yield from _missing_function(facts)
            yield from _changed(facts)


def _when(facts: Facts) -> str:
    last = facts.attempts[-1] if facts.attempts else None
    return "" if last is None else f", {span(facts.now - last.ended)} ago, after {span(last.seconds)}"


_KINDS = {"symlink": "a symbolic link", "directory": "a directory", "missing": "not there any more"}


def _unreached(facts: Facts) -> Iterator[Reason]:
    """No spooler ever looks at it."""
    if facts.kind != "file":
        what = _KINDS.get(facts.kind, "not a regular file")
        advice = "Move the file itself here." if facts.kind == "symlink" else "Enqueue a file."
        yield Reason("not-a-file", f"It is {what}; spoolers silently pass over all but regular files.", advice)
        return
    if not facts.task_name:
        text = f"Its name, {facts.name!r}, does not begin with uwsgi_spoolfile_on_, so no spooler ever looks at it."
        yield Reason("name", text, "Enqueue it with `spoolsim enqueue` or uwsgi.spool().")
        return
    odd = next((each for each in facts.priority if not (each.isascii() and each.isdigit())), "")
    if odd:
        text = f"Its priority {odd!r} is not a number; uWSGI enters only directories whose names are all digits."
        yield Reason("priority-not-number", text, "`spoolsim edit --priority N` gives it a number.")
    elif facts.priority and not facts.ordered:
        which = "/".join(facts.priority)
        text = f"It has priority {which}, and without spooler-ordered uWSGI never enters priority directories."
        yield Reason("priority-unordered", text, "Set spooler-ordered = true.")
    elif not facts.ordered and facts.name.isdigit():
        text = "Its name is a number; uWSGI runs such files only with spooler-ordered."
        yield Reason("number-unordered", text, "Set spooler-ordered = true.")
    elif facts.state == "never-runs":
        yield Reason("never", f"No spooler runs it: {facts.why}.", "Move it to the top of the spool directory.")


def _waits(facts: Facts) -> Iterator[Reason]:
    """What keeps it now, and passes."""
    if facts.holder is not None:
        yield _locked(facts)
        return
    if facts.state == "running":
        text = "A process has it locked; which one cannot be found out here."
        yield Reason("locked", text, "Wait until it is done.")
        return
    if facts.state == "unfinished":
        text = f"It has {counted(facts.size, 'byte')}: its producer is still writing it, or died before it wrote it."
        yield Reason("unfinished", text, "If no producer is at it, `spoolsim sweep --yes` clears it.")
        return
    if facts.problem:
        text = f"It cannot be read as a task: {facts.problem}."
        advice = "uWSGI deletes it without running it; spoolsim moves it to .spoolsim/broken/."
        yield Reason("broken", text, advice)
    if facts.refused:
        who = facts.refused[0]
        text = f"It belongs to user {facts.owner}; spooler {who.pid} runs as user {who.uid} and may not write to it."
        yield Reason("other-user", text, "Enqueue as the spooler's user, or chown the file.")
    if facts.directory_due > facts.now:
        ahead = span(facts.directory_due - facts.now)
        text = f"Its priority directory has an mtime {ahead} ahead, and uWSGI skips such a directory whole."
        yield Reason("directory-future", text, "`touch` the directory.")
    elif int(facts.mtime) > int(facts.now):
        yield _future(facts)
    yield from _at_text(facts)


def _locked(facts: Facts) -> Reason:
    who = facts.holder
    assert who is not None
    if facts.size < 4:
        return Reason("being-written", f"Process {who.pid} ({who.kind}) is writing it.", "Wait until it has.")
    known = facts.servers is None or who.pid in {server.pid for server in facts.servers}
    if known or who.kind in ("spoolsim", "uWSGI"):
        return Reason(
            "running", f"It runs now: process {who.pid} ({who.kind}) has it locked.", "Wait until it is done."
        )
    text = f"Process {who.pid} ({who.kind}), which is not a spooler, has it locked; spoolers silently skip it."
    return Reason("locked", text, f"Find out what it does there: `ps -p {who.pid}`.")


def _future(facts: Facts) -> Reason:
    ahead = facts.mtime - facts.now
    last = facts.attempts[-1] if facts.attempts else None
    if last is not None and last.outcome == DIED:
        text = f"It waits {span(ahead)} more, as it killed its spooler {last.number} times."
        return Reason("poison-delay", text, "Find out what it does to the process; `spoolsim retry` makes it due now.")
    if last is not None and last.outcome == RETRY:
        text = f"It was tried {_times(last.number)} and waits {span(ahead)} more (--retry-delay)."
        return Reason("retry-delay", text, "`spoolsim retry` makes it due now.")
    if ahead > _FAR:
        text = f"Its `at` is {span(ahead)} ahead; it was perhaps given in milliseconds, where uWSGI reads seconds."
        return Reason("at-far", text, "`spoolsim edit --at TIME` changes it; `spoolsim retry` makes it due now.")
    text = f"It is due in {span(ahead)}: not before its `at`."
    return Reason("at", text, "`spoolsim retry` makes it due now.")


def _at_text(facts: Facts) -> Iterator[Reason]:
    text = (facts.variables or {}).get(b"at", b"").partition(b".")[0]
    if text and not text.isdigit():
        yield Reason(
            "at-not-a-number",
            f"Its `at` is {text!r}, which is not a number; uWSGI reads it as {number(text)}.",
            "Pass whole epoch seconds as text.",
        )


def _unserved(facts: Facts) -> Iterator[Reason]:
    if facts.servers is None or facts.servers:
        return
    if facts.external:
        text = (
            f"{facts.directory} is a spooler-external here: another instance serves it, and none runs on this machine."
        )
        yield Reason("external", text, "Start that instance.")
    else:
        yield Reason("unserved", f"No process serves {facts.directory}.", "Start `spoolsim run`, or uWSGI, on it.")


def _past(facts: Facts) -> Iterator[Reason]:
    """Why it was not done when it was tried."""
    attempts = facts.attempts
    last = attempts[-1] if attempts else None
    if last is None:
        yield from _missing_function(facts)
        return
    again = f"; at {counted(facts.max_attempts, 'attempt')} it goes to .spoolsim/failed/" if facts.max_attempts else ""
    if last.outcome == DIED:
        deaths = sum(each.outcome == DIED for each in attempts)
        text = f"It kills the spooler that runs it: {last.why}, {_times(deaths)} so far{again}."
        advice = "Find out what ends the process: sys.exit, a crash in C code, a kill, spooler-harakiri."
        yield Reason("poison", text, advice)
    elif last.outcome == IGNORED and "no handler" in last.why:
        names = f" The app's code has: {_names(facts.functions)}." if facts.functions else ""
        text = f"The app has no handler: uwsgi.spooler was never set in the spooler ({_times(last.number)}).{names}"
        yield Reason(
            "no-handler", text, "Set it in a module that the spooler imports (import, shared-import or spooler-import)."
        )
    elif last.outcome == IGNORED:
        text = f"Its handler ignores it: {last.why}, {_times(last.number)}, so it stays."
        yield Reason("ignored", text, "Return uwsgi.SPOOL_OK (-2) when the task is done.")
    elif last.outcome == RETRY:
        missing = list(_missing_function(facts))
        yield from missing
        if not missing:
            yield _retried(attempts, last, again)
    yield from _changed(facts)


def _retried(attempts: Sequence[Attempt], last: Attempt, again: str) -> Reason:
    same = 0
    for each in reversed(attempts):
        if each.outcome != last.outcome or each.why != last.why:
            break
        same += 1
    count = last.number if same == len(attempts) else same
    if last.why.startswith("raised"):
        text = f"Its handler {last.why} ({_times(count)}){again}."
        return Reason("raised", text, "Fix it; the task is retried on every scan." if not again else "Fix it.")
    if not last.why:
        text = f"Its handler asked for a retry, SPOOL_RETRY, {_times(count)}{again}."
        return Reason("asked-retry", text, "Return uwsgi.SPOOL_OK (-2) when the task is done.")
    text = f"Its handler {last.why}, {_times(count)}, so it is retried on every scan{again}."
    return Reason("returned", text, "Return uwsgi.SPOOL_OK (-2) when the task is done, SPOOL_RETRY (-1) to try again.")


def _missing_function(facts: Facts) -> Iterator[Reason]:
    """A function that the app's code does not have, or did not at the last attempt (uwsgidecorators' KeyError)."""
    name = facts.function
    last = facts.attempts[-1] if facts.attempts else None
    if not name or facts.call_kind != DECORATORS:
        return
    failed = last is not None and last.why.startswith("raised KeyError") and name in last.why
    absent = facts.functions is not None and name not in facts.functions and (last is None or failed)
    if not (failed or absent):
        return
    known = ""
    if facts.functions is not None:
        near = get_close_matches(name, facts.functions, n=1)
        known = f" It has: {_names(facts.functions)}." if facts.functions else " It has none."
        known += f" The closest is {near[0]}." if near else ""
    text = f"It calls the function {name}, which the app does not register.{known}"
    advice = (
        "Import the function's module in the spooler, or correct the name: `spoolsim edit --set ud_spool_func=NAME`."
    )
    yield Reason("function-missing", text, advice)


def _changed(facts: Facts) -> Iterator[Reason]:
    last = facts.attempts[-1] if facts.attempts else None
    if last is not None and facts.changed is not None and facts.changed[1] > last.ended:
        ago = span(facts.now - facts.changed[1])
        text = f"The app has changed since the last attempt: {facts.changed[0]}, {ago} ago."
        yield Reason("app-changed", text, "Reload the spooler if it does not by itself; then `spoolsim retry`.")


def _soon(facts: Facts) -> Reason:
    if facts.servers is None:
        return Reason("due", "It is due; whether a spooler serves the directory, this system does not tell.")
    kinds = {server.kind for server in facts.servers}
    count = len(facts.servers)
    who = f"{count} spoolers serve" if count != 1 else "one spooler serves"
    text = f"It is due and runs at the next scan; {who} the directory ({' and '.join(sorted(kinds))})."
    if kinds == {"uWSGI"}:
        text += f" uWSGI may wait for its next poll, up to {facts.frequency:g} s."
    return Reason("due", text)


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")
