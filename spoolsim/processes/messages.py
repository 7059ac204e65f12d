"""What master and fork server tell each other, by name and type; `wire` carries it.

Types alone: nothing here is imported at run time.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal, TypeAlias, TypedDict

    from spoolsim.work.signals import Reported

    #: a timer, cron or file monitor: its kind, signal number, target, and what its registration says
    Timed: TypeAlias = Reported

    class Setup(TypedDict):
        """The first message to a fork server: what it is to load, and what it inherits.

        descriptors: all that it inherits beside the line and the scoreboard. reports: of a drain, -1 for none.
        board: the name of the scoreboard's file. options: as `Options.to_plain` makes them.
        """

        options: dict[str, Any]
        directories: list[tuple[str, bool, int]]
        slots: int
        spooler_pipe: tuple[int, int]
        worker_pipe: tuple[int, int] | None
        reports: int
        registrar: int
        said: int
        generation: int
        board: str
        descriptors: list[int]

    # ---- to the fork server ----

    SetUp: TypeAlias = tuple[Literal["setup"], Setup]
    #: slot, seat
    SpawnOrder: TypeAlias = tuple[Literal["spawn"], int, int]
    #: pid
    EndOrder: TypeAlias = tuple[Literal["leave", "kill"], int]
    Retire: TypeAlias = tuple[Literal["retire"]]
    Order: TypeAlias = SetUp | SpawnOrder | EndOrder | Retire

    # ---- to the master ----

    #: what the app registers for times and files; what could not be imported; the files of its modules; the targets of
    #: its signals by number; the names of its spooler functions
    Ready: TypeAlias = tuple[Literal["ready"], list[Timed], list[str], list[str], dict[int, str], list[str]]
    #: slot, pid
    SpawnedWord: TypeAlias = tuple[Literal["spawned"], int, int]
    #: slot, pid, status as os.waitstatus_to_exitcode, and whether it had done a task
    DiedWord: TypeAlias = tuple[Literal["died"], int, int, int, bool]
    #: a signal that somebody sent the fork server, thinking it is uWSGI's master
    SignalWord: TypeAlias = tuple[Literal["signal"], int]
    #: the app called sys.exit while it was imported: with this status
    ExitWord: TypeAlias = tuple[Literal["exit"], int]
    #: it cannot load the app, whatever the app is: why, as a line for people
    UnableWord: TypeAlias = tuple[Literal["unable"], str]
    Word: TypeAlias = Ready | SpawnedWord | DiedWord | SignalWord | ExitWord | UnableWord
