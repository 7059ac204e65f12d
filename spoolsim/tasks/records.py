"""What `--json` prints: one object for each line, each kind described by a JSON Schema in schemas/."""

from __future__ import annotations

import os

from spoolsim.tasks.describe import BODY, value_of
from spoolsim.tasks.states import LIVE, STATES
from spoolsim.tasks.stats import BUCKETS, spread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from spoolsim.tasks.actions import Result
    from spoolsim.tasks.attempts import Attempt
    from spoolsim.tasks.listing import Row
    from spoolsim.tasks.spoolers import Spooler
    from spoolsim.tasks.stats import Function
    from spoolsim.tasks.top import Top, Trouble
    from spoolsim.tasks.why import Reason

SCHEMAS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "schemas")


def text_of(text: str) -> str:
    """Text that any reader of JSON takes: a byte of a file name that is no text becomes a replacement character."""
    return text.encode("utf-8", "replace" if _lone(text) else "strict").decode()


def _lone(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def task(row: Row, now: float) -> dict[str, Any]:
    """One task, as `ls` shows it (schemas/ls.json)."""
    return {
        "id": row.id,
        "state": row.state,
        "call": row.call.line(1000),
        "function": row.call.function or None,
        "kind": row.call.kind,
        "spooler": text_of(row.spool.path),
        "task": text_of(row.task),
        "path": text_of(row.path),
        "enqueued": row.enqueued,
        "age": round(max(now - row.enqueued, 0), 3),
        "size": row.size,
        "attempts": row.tries,
        "next_run": row.next_run,
        "pid": row.holder.pid if row.holder else None,
        "why": text_of(row.why),
    }


def attempt(found: Attempt, task_id: str, call: str) -> dict[str, Any]:
    """One attempt, as `log` shows it (schemas/log.json)."""
    return {
        "time": found.ended,
        "id": task_id,
        "call": found.call or call or None,
        "spooler": text_of(found.spool),
        "task": text_of(found.task),
        "attempt": found.number,
        "outcome": found.outcome,
        "started": found.started,
        "seconds": found.seconds,
        "waited": found.wait,
        "pid": found.pid,
        "generation": found.generation or None,
        "why": text_of(found.why),
        "traceback": text_of(found.traceback) or None,
        "locals": text_of(found.names) or None,
        "output": text_of(found.output) or None,
    }


def whole(row: Row, variables: dict[bytes, bytes], body: bytes, body_size: int, now: float) -> dict[str, Any]:
    """Everything of one task, as `show` prints it (schemas/show.json). body: its beginning."""
    return {
        **task(row, now),
        "variables": [{"name": _plain(key), "value": _plain(value)} for key, value in variables.items()],
        "arguments": {"positional": list(row.call.args), "named": dict(row.call.kwargs)},
        "body": {"bytes": body_size, "preview": value_of(body, BODY) if body else ""},
        "history": [attempt(each, row.id, row.call.line(1000)) for each in row.attempts],
    }


def _plain(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")


def reasons(row: Row, found: list[Reason], now: float) -> dict[str, Any]:
    """The answer of `why` (schemas/why.json)."""
    lines = [{"code": each.code, "text": text_of(each.text), "advice": text_of(each.advice)} for each in found]
    return {**task(row, now), "reasons": lines}


def result(found: Result) -> dict[str, Any]:
    """What an action did to one task (schemas/action.json)."""
    return {
        "action": found.action,
        "outcome": found.outcome,
        "id": found.row.id,
        "call": found.row.call.line(1000),
        "task": text_of(found.row.task),
        "path": text_of(found.path),
        "text": text_of(found.text),
    }


def function(found: Function) -> dict[str, Any]:
    """One function's numbers (schemas/stats.json)."""
    return {
        "function": found.name,
        "runs": found.runs,
        "done": found.done,
        "retries": found.retries,
        "died": found.died,
        "failed": found.failed,
        "seconds": spread(found.times),
        "waited": spread(found.waits),
        "waiting": {name: count for (_, name), count in zip(BUCKETS, found.waiting, strict=True)},
    }


def top(found: Top) -> dict[str, Any]:
    """What is going on, as `top` shows it (schemas/top.json)."""
    return {
        "time": found.now,
        "spoolers": None if found.spoolers is None else [_spooler(found, each) for each in found.spoolers],
        "rates": {name: round(rate, 3) for name, rate in found.rates().items()},
        "waiting": {state: found.counts[state] for state in STATES if state in LIVE},
        "failed_or_delayed": [_trouble(each) for each in found.troubles],
    }


def _spooler(found: Top, spooler: Spooler) -> dict[str, Any]:
    run = found.run_of(spooler)
    return {
        "spooler": text_of(spooler.spool),
        "pid": spooler.pid,
        "kind": spooler.kind,
        "state": spooler.state,
        "id": run.id if run else None,
        "call": text_of(run.call) if run else None,
        "seconds": None if spooler.seconds is None else round(spooler.seconds, 3),
        "harakiri": spooler.limit,
    }


def _trouble(found: Trouble) -> dict[str, Any]:
    return {
        "id": found.id,
        "call": text_of(found.call),
        "spooler": text_of(found.key[0]),
        "task": text_of(found.key[1]),
        "state": found.state,
        "attempts": found.tries,
        "time": found.at,
        "next_run": found.next_run,
        "why": text_of(found.why),
    }
