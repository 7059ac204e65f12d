"""`spoolsim top`: a live view of spoolers, rates, what waits and what fails; or one snapshot of it."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time

import click

from spoolsim.cli.out import out, screens
from spoolsim.cli.spools import Look, file_argument, span_of, spool_options
from spoolsim.errors import UsageError
from spoolsim.tasks import actions, records
from spoolsim.tasks.observer import Observer
from spoolsim.tasks.top import Top

TYPE_CHECKING = False
if TYPE_CHECKING:
    from spoolsim.cli.keys import Keys
    from spoolsim.tasks.listing import Row

#: a look takes at most this part of the time, however many tasks there are
_SHARE = 0.2
_KEYBOARD = 0


@click.command(
    epilog="\b\nExamples:\n  spoolsim top\n  spoolsim top --once --spooler spool\n"
    "  spoolsim top --json --follow | jq .waiting.queued"
)
@file_argument
@spool_options
@click.option("--once", is_flag=True, help="Print one snapshot and exit, as in a pipe.")
@click.option("--follow", is_flag=True, help="With --json: print an object at each refresh, until Ctrl-C.")
@click.option(
    "--interval", type=span_of, default="1", metavar="SPAN", help="Time between two refreshes, such as 2, 0.5 or 1m."
)
def top(look: Look, once: bool, follow: bool, interval: float) -> None:
    """Watch spoolers: current tasks, harakiri, rates, what waits, what fails; keys to pause, select, retry and quit."""
    if follow and (once or not look.as_json):
        raise UsageError("--follow goes with --json, and without --once")
    view = View(look, max(interval, 0.1))
    if follow:
        view.follow()
    elif look.as_json or once or not _is_screen():
        view.once()
    else:
        view.live()


def _is_screen() -> bool:
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")


class View:
    """Looks again and again, and shows what it finds. interval: seconds between two looks, at least."""

    def __init__(self, look: Look, interval: float) -> None:
        self._look = look
        self._interval = interval
        self._where = [spool.path for spool in look.where.spools]
        self._observer = Observer(look.where.spools, ordered=look.where.setting.ordered)
        self._top = Top()
        self._next = 0.0

    def _refresh(self) -> None:
        """Look, and say when to look next: what takes long is done less often."""
        began = time.monotonic()
        self._observer.feed(self._top, time.time())
        ended = time.monotonic()
        self._next = max(began + self._interval, ended + (ended - began) / _SHARE)

    def once(self) -> None:
        """Print one snapshot."""
        self._refresh()
        if self._look.as_json:
            self._look.record(records.top(self._top))
            return
        from spoolsim.cli.topview import snapshot

        columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
        for line in snapshot(self._top, self._where, columns):
            out(line)

    def follow(self) -> None:
        """Print an object at each refresh until Ctrl-C."""
        try:
            while True:
                self.once()
                sys.stdout.flush()
                time.sleep(max(self._next - time.monotonic(), 0))
        except KeyboardInterrupt:
            pass  # that is how it ends

    def live(self) -> None:
        """Have the terminal until q, Ctrl-C or another signal."""
        from spoolsim.cli.keys import Ended, Keys

        try:
            with Keys(_KEYBOARD) as keys:
                while self._session(keys):
                    keys.give_back()
                    keys.stop()
                    keys.take()
        except Ended as end:
            if end.number != signal.SIGINT:
                sys.exit(128 + end.number)

    def _session(self, keys: Keys) -> bool:
        """Show until the end, or until Ctrl-Z: then True."""
        from spoolsim.cli.keys import REDRAW, STOP
        from spoolsim.cli.topview import screen

        with screens() as show:
            while True:
                if not self._top.paused and time.monotonic() >= self._next:
                    self._refresh()
                size = shutil.get_terminal_size()
                show(screen(self._top, self._where, size.columns, size.lines))
                key = keys.wait(3600 if self._top.paused else self._next - time.monotonic())
                if key == STOP:
                    return True
                if key not in ("", REDRAW) and not self._top.press(key, self._retry):
                    return False

    def _retry(self, row: Row) -> actions.Result:
        self._next = 0.0
        return actions.retry(row, time.time())
