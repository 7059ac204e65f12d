"""Two programs at once: the spooler and the user's command, with one log and one Ctrl-C.

With --drain the spooler serves while the command runs; when the command has ended well, another one takes its place,
which ends when no task is left.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import time

from spoolsim.cli import foreground, install
from spoolsim.cli.foreground import Foreground
from spoolsim.log import SHOWN
from spoolsim.work import program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from spoolsim.log import Log
    from spoolsim.options import Options

#: at these the two are ended, each in its own way
_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
#: names of the two in the log, and their colours
_SPOOLER, _COLOURS = "spooler", ("36", "33")
#: the option of run that we act on
_DRAIN = "--drain"
#: between a name and its line
_BAR = " | "
#: how long the output of a program that has ended may still come, from what it left behind, in seconds
_LINGER = 0.2
#: beyond the spooler's own grace: after this many seconds what is left is killed
_MARGIN = 2.0
#: how long a command that the terminal interrupts may take before it is told again
_TERMINAL = 1.0


def watched(options: Options) -> str:
    """The directory whose Python source is watched where nobody said which; '' where that is not wanted, or no use."""
    unwanted = options.inline or options.drain or not options.policy.reloads_without_worker
    if options.watch or options.py_autoreload or unwanted:
        return ""
    return os.path.abspath(options.chdir or os.curdir)


class Program:
    """One of the two, in a process group of its own. name: before each of its lines. foreground: the terminal's."""

    def __init__(
        self, name: str, words: Sequence[str], environment: dict[str, str], foreground: Foreground | None = None
    ) -> None:
        self.name = name
        try:
            self.process = subprocess.Popen(
                list(words),
                env={**environment, "PYTHONUNBUFFERED": "1"},
                stdin=None if foreground else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                process_group=foreground.group if foreground else 0,
            )
        except OSError as error:
            raise install.unrunnable(words[0], error) from None
        self.group = foreground.group if foreground else self.process.pid
        assert self.process.stdout is not None
        self.fd = self.process.stdout.fileno()
        os.set_blocking(self.fd, False)
        self.partial = b""

    def lines(self) -> tuple[list[bytes], bool]:
        """The whole lines that came, and whether more can come."""
        chunks = []
        more = True
        try:
            while chunk := os.read(self.fd, 65536):
                chunks.append(chunk)
            more = False
        except BlockingIOError:
            pass
        *whole, self.partial = (self.partial + b"".join(chunks)).split(b"\n")
        if not more and self.partial:
            whole.append(self.partial)
            self.partial = b""
        return whole, more

    def ended(self) -> bool:
        """Has it?"""
        return self.process.poll() is not None

    def send(self, number: int) -> None:
        """A signal to it, and to all that it started and left in its group."""
        try:
            os.killpg(self.group, number)
        except ProcessLookupError:
            pass


class Dev:
    """`spoolsim dev`. ours: the options for run, as typed; command: the user's."""

    def __init__(
        self, ours: list[str], command: list[str], options: Options, entries: install.Entries, log: Log
    ) -> None:
        self.ours = ours
        self.words = command
        self.options = options
        self.entries = entries
        self.log = log
        self.colour = os.isatty(1) and not os.environ.get("NO_COLOR")
        self.reader, self.writer = os.pipe()
        for fd in (self.reader, self.writer):
            os.set_blocking(fd, False)
        self.programs: list[Program] = []
        self.foreground: Foreground | None = None
        self.stopping = False
        self.failed = False
        #: somebody asked for the end, before the command came to its own
        self.interrupted = False
        self.deadline = self.again = 0.0

    def run(self) -> int:
        """Until the command has ended, or the spooler cannot run; returns the exit status."""
        signal.set_wakeup_fd(self.writer, warn_on_full_buffer=False)
        for number in (*_ENDS, signal.SIGCHLD, signal.SIGCONT):
            signal.signal(number, _queued)
        shared = program.new_instance()
        environment = {**os.environ, **self._shown(), program.INSTANCE: shared}
        spooler = self._spooler([word for word in self.ours if word != _DRAIN], environment)
        try:
            os.environ[program.INSTANCE] = shared
            described = install.environment(self.options, self.entries, os.environ, master=spooler.process.pid)
            described.update(self._shown())
            if foreground.is_ours():
                self.foreground = Foreground(_queued)
            command = Program(os.path.basename(self.words[0]), self.words, described, self.foreground)
            self.programs.append(command)
            status = self._watch(spooler, command)
            if status or self.interrupted or _DRAIN not in self.ours:
                return status
            return self._drain(environment)
        finally:
            for one in self.programs:
                one.send(signal.SIGKILL)
                one.process.wait()
            if self.foreground:
                self.foreground.close()

    def _spooler(self, words: list[str], environment: dict[str, str]) -> Program:
        """Start `spoolsim run` with these words."""
        boot = [sys.executable, "-m", "spoolsim", "run", *words]
        held = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT,))  # until it can end well: see __main__
        try:
            spooler = Program(_SPOOLER, boot, environment)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, held)
        self.programs.append(spooler)
        return spooler

    def _drain(self, environment: dict[str, str]) -> int:
        """Run what the command has enqueued, and what that enqueues, until no task is left; returns how that went."""
        self.log.say("the command has exited; draining what it enqueued")
        self.stopping = False
        drain = self._spooler(self.ours, environment)
        return self._watch(drain, drain)

    def _watch(self, spooler: Program, command: Program) -> int:
        with selectors.DefaultSelector() as selector:
            selector.register(self.reader, selectors.EVENT_READ)
            for one in {spooler.fd: spooler, command.fd: command}.values():
                selector.register(one.fd, selectors.EVENT_READ, one)
            while True:
                for key, _ in selector.select(self._until()):
                    if key.data is None:
                        self._signals(spooler, command)
                    elif not self._show(key.data):
                        selector.unregister(key.fd)
                if command.ended() and spooler.ended():
                    break
                if not self.stopping and (command.ended() or spooler.ended()):
                    self.failed = spooler.ended() and not command.ended()
                    if self.failed:
                        self.log.say("the spooler has exited; stopping the command", error=True)
                    self._stop()
                    (command if self.failed else spooler).send(signal.SIGINT)
                if self.stopping:
                    self._insist(command)
        self._rest()
        status: int = (spooler if self.failed else command).process.returncode
        return 128 - status if status < 0 else status

    def _until(self) -> float | None:
        """Seconds until something has to be insisted on."""
        if not self.stopping:
            return None
        now = time.clock_gettime(time.CLOCK_MONOTONIC)
        return max(min(self.deadline, self.again or self.deadline) - now, 0.01)

    def _stop(self) -> None:
        now = time.clock_gettime(time.CLOCK_MONOTONIC)
        self.stopping = True
        self.deadline = now + self.options.stop_grace + _MARGIN

    def _signals(self, spooler: Program, command: Program) -> None:
        for number in os.read(self.reader, 4096):
            if number in foreground.STOPS and self.foreground:
                self.foreground.stop(number)
            elif number == signal.SIGCONT and self.foreground:
                self.foreground.resume()
            elif number == signal.SIGINT and self.failed:
                pass  # the herald tells of our own
            elif number in _ENDS:
                self.interrupted = True
                self._stop()
                spooler.send(signal.SIGINT)  # SIGHUP would reload it
                if command is spooler:
                    pass  # it drains, and was told
                elif number == signal.SIGINT and self.foreground:
                    # the terminal has told the command itself
                    self.again = time.clock_gettime(time.CLOCK_MONOTONIC) + _TERMINAL
                else:
                    command.send(number)

    def _insist(self, command: Program) -> None:
        now = time.clock_gettime(time.CLOCK_MONOTONIC)
        if self.again and now >= self.again:
            self.again = 0.0
            command.process.send_signal(signal.SIGINT)  # not to the group: its herald would tell us of a second Ctrl-C
        if now >= self.deadline:
            for one in self.programs:
                if not one.ended():
                    self.log.say(f"{one.name} does not exit; killed", error=True)
                    one.send(signal.SIGKILL)

    def _shown(self) -> dict[str, str]:
        """The columns that the terminal, if there is one, has for what the two programs log."""
        if not os.isatty(1):
            return {}
        left = os.get_terminal_size(1).columns - self._width() - len(_BAR)
        return {SHOWN: str(max(left, 1))}

    def _width(self) -> int:
        """Columns of the longer name."""
        return max(len(_SPOOLER), len(os.path.basename(self.words[0])))

    def _show(self, one: Program) -> bool:
        lines, more = one.lines()
        head = f"{one.name:{self._width()}}{_BAR}"
        if self.colour:
            head = f"\x1b[{_COLOURS[self.programs.index(one) % 2]}m{head}\x1b[0m"
        prefix = os.fsencode(head)
        out = b"".join(prefix + line + b"\n" for line in lines)
        while out:
            try:
                out = out[os.write(1, out) :]
            except OSError:
                break  # nobody reads it any more
        return more

    def _rest(self) -> None:
        """What the two wrote last; a process that they left behind may hold the other end open forever."""
        end = time.clock_gettime(time.CLOCK_MONOTONIC) + _LINGER
        for one in self.programs:
            while self._show(one) and time.clock_gettime(time.CLOCK_MONOTONIC) < end:
                with selectors.DefaultSelector() as selector:
                    selector.register(one.fd, selectors.EVENT_READ)
                    selector.select(max(end - time.clock_gettime(time.CLOCK_MONOTONIC), 0))


def _queued(number: int, frame: object) -> None:
    """The wakeup descriptor has it."""
