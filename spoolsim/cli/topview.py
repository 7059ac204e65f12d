"""How `spoolsim top` looks: lines of a screen, or of a snapshot. Pure: what is shown, and how big, is handed in."""

from __future__ import annotations

import time

from rich.text import Text

from spoolsim import printable
from spoolsim.tasks.processes import OURS
from spoolsim.tasks.spans import span, took
from spoolsim.tasks.spoolers import RUNS
from spoolsim.tasks.states import BROKEN, DELAYED, FAILED, NEVER, RETRY_DELAYED, RUNNING, STATES
from spoolsim.tasks.story import fit, width
from spoolsim.tasks.top import WINDOW

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from spoolsim.tasks.spoolers import Spooler
    from spoolsim.tasks.top import Top, Trouble

KEYS = "q quit   p pause   up/down select   r retry   ? help"
HELP = (
    "q        quit; so does Ctrl-C",
    "p        pause: what is shown stays until p is pressed again; the tasks go on",
    "up down  select a task of the list below; its whole reason is in the line above the keys",
    "r        make the selected task due now, as `spoolsim retry` does",
    "?        show the list again instead of this help",
    "",
    f"RATE     attempts a second, over the last {WINDOW} s. retries: the task stays and runs again. died: its spooler",
    "         died. failed: the task was moved to .spoolsim/failed/",
    "WAITING  tasks by state, as `spoolsim ls` lists them",
    "DEPTH    tasks that are due, one column for each refresh, the newest at the right",
)
_COLOURS = {FAILED: "red", BROKEN: "red", NEVER: "red", DELAYED: "yellow", RETRY_DELAYED: "yellow", RUNNING: "green"}
_BLOCKS = "▁▂▃▄▅▆▇█"
#: columns of a snapshot that is not on a terminal, for what would else fill the line
_WIDE = 60
#: lines of a screen that are no row of a table
_FIXED = 12
_BAR = 8
#: characters of a call or a reason
_LONGEST = 1000


def screen(top: Top, where: Sequence[str], columns: int, rows: int) -> list[Text]:
    """A whole screen. where: the spool directories. columns, rows: its size."""
    most = max((rows - _FIXED) // 2, 1)
    shown = _spoolers(top, where, columns, most)
    lines = [_head(top, where, columns), *shown, Text(), *_numbers(top, columns), Text()]
    room = max(rows - len(lines) - 2, 1)
    body = [Text(line) for line in HELP][:room] if top.helping else _troubles(top, columns, room)
    lines += body + [Text()] * (room - len(body))
    lines += [_detail(top, columns), Text(KEYS, style="dim")]
    return [_cut(line, columns) for line in lines[:rows]]


def snapshot(top: Top, where: Sequence[str], columns: int) -> list[str]:
    """What is there, once, as plain text. columns: of the terminal, 0 for none."""
    lines = [_head(top, where, columns), *_spoolers(top, where, columns, len(top.spoolers or ()))]
    lines += [Text(), *_numbers(top, columns), Text(), *_troubles(top, columns, len(top.troubles) + 2)]
    return [(_cut(line, columns - 1) if columns else line).plain.rstrip() for line in lines]


def _cut(line: Text, columns: int) -> Text:
    line.no_wrap, line.overflow = True, "crop"
    line.truncate(columns, overflow="crop")
    return line


def _head(top: Top, where: Sequence[str], columns: int) -> Text:
    clock = time.strftime("%H:%M:%S", time.localtime(top.now))
    right = f"PAUSED at {clock}" if top.paused else clock
    more = f" and {len(where) - 1} more" if len(where) > 1 else ""
    left = f"spoolsim top  {printable.value(where[0])}{more}"
    return Text(f"{fit(left, max(columns - width(right), 3)) if columns else f'{left}  '}{right}", style="bold")


def _spoolers(top: Top, where: Sequence[str], columns: int, most: int) -> list[Text]:
    """A heading, and a line for each spooler; the running ones first where there is no room for all."""
    if top.spoolers is None:
        return [Text("SPOOLERS  not known: this system has no /proc")]
    if not top.spoolers:
        one = "this directory" if len(where) == 1 else "these directories"
        return [Text(f"SPOOLERS  no process serves {one}; start `spoolsim run`, or uWSGI", style="yellow")]
    lines = [Text(f"{'PID':>7}  {'SPOOLER':8}  {'STATE':8}  {'TIME':>8}  {'HARAKIRI':20}  TASK", style="bold")]
    ordered = sorted(top.spoolers, key=lambda each: (each.state != RUNS, where.index(each.spool), each.pid))
    fitting = ordered if len(ordered) <= most else ordered[: most - 1]
    lines += [_spooler(top, each, columns) for each in fitting]
    if hidden := len(ordered) - len(fitting):
        running = sum(each.state == RUNS for each in ordered[len(fitting) :])
        lines.append(Text(f"         and {hidden} more, {running} running", style="dim"))
    return lines


def _spooler(top: Top, spooler: Spooler, columns: int) -> Text:
    run = top.run_of(spooler)
    seconds = run.seconds if run is not None else spooler.seconds
    lasts = "" if seconds is None else took(seconds) if run is None or run.exact else f">{span(seconds)}"
    line = Text(f"{spooler.pid:>7}  {fit(printable.value(spooler.kind), 8)}  ")
    line.append(f"{spooler.state:8}", style=_COLOURS.get(spooler.state, "dim"))
    line.append(f"  {lasts:>8}  ")
    line.append(f"{_harakiri(spooler, seconds):20}", style=_heat(spooler))
    if run is not None:
        line.append(f"  {printable.value(run.call, _LONGEST)}")
        line.append(f" #{run.id}", style="dim")
    elif spooler.state == RUNS and spooler.kind == OURS and seconds is not None:
        line.append("  a uwsgi signal's handler")
    if columns:
        line.truncate(columns, overflow="crop")
    return line


def _harakiri(spooler: Spooler, seconds: float | None) -> str:
    """How much of its time a task has taken."""
    if seconds is None:
        return ""
    if spooler.limit is None:
        return "not known"
    if not spooler.limit:
        return "none"
    part = min(seconds / spooler.limit, 1)
    return f"[{'#' * round(part * _BAR):{_BAR}}] of {span(spooler.limit)}"


def _heat(spooler: Spooler) -> str:
    if not spooler.limit or spooler.seconds is None:
        return ""
    return "red" if spooler.seconds > 0.8 * spooler.limit else "yellow" if spooler.seconds > spooler.limit / 2 else ""


def _numbers(top: Top, columns: int) -> list[Text]:
    rates = top.rates()
    shown = [f"{rates[name]:.1f}/s {name}" for name in ("done", "retries", "died", "failed")]
    if rates["ignored"]:
        shown.append(f"{rates['ignored']:.1f}/s ignored")
    note = "  (uWSGI's own attempts are not recorded)" if top.has_uwsgi else ""
    waiting = Text("WAITING  ")
    for state in STATES:
        if count := top.counts[state]:
            waiting.append("" if waiting.plain.endswith("  ") else ", ")
            waiting.append(f"{count} {state}", style=_COLOURS.get(state, ""))
    if not top.counts.total():
        waiting.append("no task")
    depths = list(top.depths)[-(min(columns or _WIDE, _WIDE * 2) - 30) :]
    queued = f"{depths[-1] if depths else 0} due, most {max(depths, default=0)}"
    return [
        Text(f"RATE     {'  '.join(shown)}  in {WINDOW} s{note}"),
        waiting,
        Text(f"DEPTH    {sparkline(depths)}  {queued}"),
    ]


def sparkline(numbers: Sequence[int]) -> str:
    """A column for each number, the highest for the greatest; none is so high as to be seen where all are 0."""
    greatest = max(numbers, default=0)
    return "".join(_BLOCKS[-(-number * (len(_BLOCKS) - 1) // greatest) if greatest else 0] for number in numbers)


def _troubles(top: Top, columns: int, most: int) -> list[Text]:
    """A heading and what failed or is delayed, scrolled to what is selected."""
    if not top.troubles:
        return [Text("FAILED OR DELAYED  none", style="bold")]
    room = max(most - 1, 1)
    keys = [each.key for each in top.troubles]
    at = keys.index(top.selected.key) if top.selected else 0
    first = max(min(at - room // 2, len(keys) - room), 0)
    free = columns - 44 if columns else 0
    task = max(free * 2 // 5, 12) if columns else _WIDE
    head = f"  {'ID':7} {'STATE':13} {'TRIES':>5} {'WHEN':>11}  {fit('FAILED OR DELAYED', task)}  WHY"
    lines = [Text(head, style="bold")]
    for each in top.troubles[first : first + room]:
        lines.append(_trouble(each, each.key == keys[at] and top.selected is not None, top.now, task))
    return lines


def _trouble(found: Trouble, selected: bool, now: float, task: int) -> Text:
    line = Text(f"{'>' if selected else ' '} {found.id:7} ", style="reverse" if selected else "")
    line.append(f"{found.state:13}", style=_COLOURS.get(found.state, ""))
    line.append(f" {found.tries or '':>5} {_when(found, now):>11}  {fit(printable.value(found.call, _LONGEST), task)}")
    line.append(f"  {printable.value(found.why.removeprefix('raised '), _LONGEST)}")
    return line


def _when(found: Trouble, now: float) -> str:
    if found.next_run is not None and found.next_run > now:
        return f"in {span(found.next_run - now)}"
    return f"{span(now - found.at)} ago"


def _detail(top: Top, columns: int) -> Text:
    """What the last key did, else the whole reason of what is selected."""
    if top.message:
        return Text(printable.value(top.message, _LONGEST), style="bold")
    if (chosen := top.selected) is None:
        return Text()
    return Text(printable.value(f"#{chosen.id} {chosen.call}: {chosen.why or chosen.state}", _LONGEST), style="bold")
