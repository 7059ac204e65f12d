"""New code: when a fork server is begun that imports the app again, and when its import is given up."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from spoolsim.log import Log
    from spoolsim.options import Options
    from spoolsim.processes.generations import Generations, Lost
    from spoolsim.processes.loop import Loop


class Renewal:
    """Of one run.

    begin: starts a fork server. stands: is nothing begun any more?

    Attributes:
        touched: The newest fork server was begun for touch-spoolers-reload, and for nothing else.
    """

    def __init__(
        self,
        options: Options,
        log: Log,
        loop: Loop,
        generations: Generations,
        begin: Callable[[], None],
        stands: Callable[[], bool],
    ) -> None:
        self._options = options
        self._log = log
        self._loop = loop
        self._generations = generations
        self._begin = begin
        self._stands = stands
        #: the code was touched while it was being imported
        self._again = False
        self.touched = False

    def ask(self, why: str = "", *, touched: bool = False) -> None:
        """Let a new fork server import the app again; when it is ready it takes over.

        why: the line that says so; "" where it was said. touched: touch-spoolers-reload asks for it, for which uWSGI
        imports nothing again but spooler-import.
        """
        if self._stands():
            return
        if why:
            self._log.say(why)
        if self._generations.coming is not None:
            self._again = True
            self.touched = self.touched and touched
        else:
            self.touched = touched
            self._begin()

    def go_on(self) -> None:
        """An import is over: once more, if the code was touched meanwhile."""
        if self._again:
            self._again = False
            self.ask(touched=self.touched)

    def keeps_old_imports(self) -> bool:
        """Would uWSGI's spoolers go on with something that its master imported at the start?"""
        lazy = self._options.lazy_apps
        return self.touched and any(kind == "shared-import" or not lazy for kind, _ in self._options.preloads)

    def next_deadline(self) -> float | None:
        """When the import that is going on is given up."""
        if self._stands() or not self._options.policy.limits_reload_import:
            return None
        return self._generations.import_ends(again=self._again)

    def tick(self) -> Lost | None:
        """No import may hang for ever and keep later code from being tried; returns the one that is given up."""
        end, now, coming = self.next_deadline(), self._loop.now(), self._generations.coming
        if coming is None or end is None or now < end:
            return None
        then = (
            "another touch has come: trying again" if self._again else "still serving the old code until the next touch"
        )
        self._log.say(f"gave up importing the new code after {now - coming.began:.0f} s; {then}", error=True)
        return self._generations.give_up_import()
