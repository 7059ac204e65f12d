"""The spoolers of a run, slot by slot, with their directories and their scoreboard.

What happens to a slot goes through `lifecycle`; what is to be done then goes to whoever made the fleet.
"""

from __future__ import annotations

from spoolsim.processes import lifecycle
from spoolsim.processes.boardfile import BoardFile
from spoolsim.spool.directory import SpoolDir
from spoolsim.work.scoreboard import DONE, FREQUENCY, HEAD, KEPT, LEAVE, PID, STARTED, read_task, runs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from spoolsim.log import Log
    from spoolsim.options import Options
    from spoolsim.processes.events import Action, Event
    from spoolsim.processes.loop import Loop
    from spoolsim.work.scoreboard import Scoreboard


class Fleet:
    """All slots.

    act: called with (slot number, action).

    Attributes:
        entries: (path, external, slot) for each entry of uwsgi.spoolers; slot -1 for an external one.
        served: How many slots are spoolers; a slot behind them is the stand-in worker.
    """

    def __init__(
        self,
        options: Options,
        directories: Sequence[tuple[SpoolDir, int]],
        log: Log,
        loop: Loop,
        act: Callable[[int, Action], None],
    ) -> None:
        self.entries = entries_of(directories)
        self.served = sum(1 for _, external, _ in self.entries if not external)
        self.slots = [lifecycle.new(number) for number in range(self.served + options.stand_in_worker)]
        self.rules = lifecycle.Rules(
            mercy=float(options.reload_mercy),
            cheap=options.cheap and not options.drain,
            at_once=options.policy.notices_deaths_at_once,
            backs_off=options.policy.respawn_pause,
        )
        self._bare = not options.policy.keeps_state
        self._log = log
        self._loop = loop
        self._act = act
        self._paths = {slot: path for path, external, slot in self.entries if not external}
        self._board_file = self._new_board()

    def _new_board(self) -> BoardFile:
        """At a path where other programs find it."""
        served = next(iter(self._paths.values()), None)
        made = BoardFile(SpoolDir(served, bare=self._bare) if served else None, len(self.slots) * 2)
        if made.why:
            self._log.say(made.why)
        return made

    @property
    def board(self) -> Scoreboard:
        """The scoreboard that the serving spoolers write to."""
        return self._board_file.board

    @property
    def board_path(self) -> str:
        """Where it is; '' for nowhere."""
        return self._board_file.path

    def path(self, number: int) -> str:
        """The directory of a slot."""
        return self._paths.get(number, "stand-in worker")

    def happen(self, number: int, event: Event) -> None:
        """Let lifecycle decide, then have it done."""
        rules = self.rules if number < self.served else self.rules._replace(cheap=False)
        slot, actions = lifecycle.step(self.slots[number], event, self._loop.now(), rules)
        self.slots[number] = slot
        for action in actions:
            self._act(number, action)

    def each(self, event: Event) -> None:
        """The same event for every slot."""
        for number in range(len(self.slots)):
            self.happen(number, event)

    def want_no_more(self, number: int) -> None:
        """The slot's process has done what there was to do: when it ends, no other one comes."""
        self.slots[number] = self.slots[number]._replace(stopping=True)

    def give_up(self, number: int) -> None:
        """No process of the slot is waited for, or wanted."""
        self.slots[number] = self.slots[number]._replace(state=lifecycle.CLOSED, stopping=True)

    def looks(self) -> Iterator[float]:
        """When a slot wants a tick."""
        return (at for slot in self.slots if (at := lifecycle.next_deadline(slot)) is not None)

    def all_over(self) -> bool:
        """Is no process of a spooler left?"""
        return all(lifecycle.over(slot) for slot in self.slots[: self.served])

    def closed(self, path: str = "") -> list[int]:
        """The spooler slots, of this directory or of all, that have no process."""
        numbers = (n for n in range(self.served) if path in ("", self.path(n)))
        return [n for n in numbers if self.slots[n].state == lifecycle.CLOSED]

    def forget(self) -> None:
        """Every slot begins anew: whoever served is somebody else's business."""
        self.slots = [lifecycle.new(slot.number) for slot in self.slots]

    def abandon(self) -> None:
        """The same, and the processes that may still live keep the old scoreboard: they take no more tasks."""
        for seat in self._seats():
            self.board.slot(seat)[LEAVE] = 1
        kept = self.board.words[FREQUENCY:HEAD].tolist()
        unremoved = self.board.unremoved.tobytes()
        self._board_file.close()
        self._board_file = self._new_board()
        self.board.unremoved.cast("B")[:] = unremoved
        for word, value in enumerate(kept, FREQUENCY):
            self.board.words[word] = value
        self.forget()

    # ---- what the scoreboard tells ----

    def _seats(self) -> range:
        return range(len(self.slots) * 2)

    def mark_leaver(self, number: int, pid: int) -> None:
        """From now on the process takes no task: it learns that here before its fork server has read our message."""
        if (seat := self.seat_of(number, pid)) >= 0:
            self.board.slot(seat)[LEAVE] = 1

    def running(self) -> int:
        """How many tasks and signal handlers are running now."""
        return sum(1 for seat in self._seats() if runs(self.board.slot(seat)))

    def tally(self) -> tuple[int, int]:
        """Tasks done and kept so far."""
        seats = [self.board.slot(seat) for seat in self._seats()]
        return sum(words[DONE] for words in seats), sum(words[KEPT] for words in seats)

    def pids(self) -> list[int]:
        """Of all spoolers that live."""
        return [pid for seat in range(self.served * 2) if (pid := self.board.slot(seat)[PID])]

    def frequency(self, otherwise: float) -> float:
        """Seconds between two polls: what set_spooler_frequency said, else `otherwise`."""
        return float(self.board.words[FREQUENCY] or otherwise)

    def seat_of(self, number: int, pid: int) -> int:
        """The seat that this process of a slot has; -1 for none."""
        return next((seat for seat in (number * 2, number * 2 + 1) if self.board.slot(seat)[PID] == pid), -1)

    def task(self, seat: int) -> str | None:
        """What the process in this seat runs: a task's path below its directory; '' for something else; or None."""
        return read_task(self.board.task(seat)) if self.board.slot(seat)[STARTED] else None

    def done(self, number: int) -> int:
        """Tasks that the processes of a slot have done."""
        return sum(int(self.board.slot(number * 2 + seat)[DONE]) for seat in (0, 1))

    def lines(self) -> Iterator[str]:
        """What each spooler runs now, and has done, in words."""
        for number in range(self.served):
            pid = self.board.serving(number)[PID]
            task = self.task(self.seat_of(number, pid)) if pid else None
            what = f"runs {task}" if task else "runs no task"
            yield f"spooler {number + 1} ({self.path(number)}), process {pid}: {what}; {self.done(number)} done"

    def close(self) -> None:
        """Give the scoreboard back; its file goes."""
        self._board_file.close()


def entries_of(directories: Sequence[tuple[SpoolDir, int]]) -> list[tuple[str, bool, int]]:
    """From (directory, process count) in the order of the options; the count is 0 for an external one."""
    entries: list[tuple[str, bool, int]] = []
    slot = 0
    for directory, count in directories:
        if directory.external:
            entries.append((directory.path, True, -1))
        for _ in range(count):
            entries.append((directory.path, False, slot))
            slot += 1
    return entries
