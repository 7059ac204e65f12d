"""The progress bar of a drain on a terminal."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress

from spoolsim.spool.look import WAITING, look

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from spoolsim.spool.directory import SpoolDir


class Progress:
    """Shows how many tasks of those there at the start are done; called with (done, kept).

    inline: the tasks run in this process, which gets no thread then, and keeps its own stdout and stderr.
    """

    def __init__(self, spools: Sequence[SpoolDir], ordered: bool, *, inline: bool = False) -> None:
        now = time.time()
        total = sum(task.state == WAITING for spool in spools for task in look(spool, ordered=ordered, now=now))
        self._bar = RichProgress(
            TextColumn("drain"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[kept]}"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
            auto_refresh=not inline,
            redirect_stdout=not inline,
            redirect_stderr=not inline,
        )
        self._task = self._bar.add_task("drain", total=total, kept="")
        self._bar.start()
        self._inline = inline
        if inline:
            self._bar.console.show_cursor()  # a debugger may be at work

    def __call__(self, done: int, kept: int) -> None:
        self._bar.update(self._task, completed=done, kept=f"{kept} kept" if kept else "", refresh=self._inline)

    def close(self) -> None:
        """Take the bar away."""
        self._bar.stop()
