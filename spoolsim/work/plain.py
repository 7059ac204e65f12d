"""The short way of a plain task: claimed, run and settled in one go, with no step that it does not need.

Most tasks are small, quiet and done at the first try; for them half the time of the general way (claim.take, then
Worker.manage) goes into what they have no use for. Whatever is not plain is handed over to that way, at the point
where it shows; tests run the same tasks on both and compare.
"""

from __future__ import annotations

import os
import sys
from time import time as clock
from time import time_ns

from spoolsim import system
from spoolsim.errors import PacketError
from spoolsim.spool import claim as claims
from spoolsim.spool import lock
from spoolsim.spool.claim import Claim, take
from spoolsim.spool.journal import GATHERED
from spoolsim.spool.packet import HEADER, decode
from spoolsim.spool.settle import GLIMPSE
from spoolsim.work import run
from spoolsim.work.app import NO_HANDLER
from spoolsim.work.outcome import SPOOL_OK, returned
from spoolsim.work.scoreboard import (
    BUSY,
    DONE,
    HARAKIRI,
    LAST_OUTCOME,
    LEAVE,
    OUTCOME,
    SCANNING,
    SERIAL,
    STARTED,
    STATE,
    TASKS,
    USER,
    write_task,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from spoolsim.spool.scan import Level
    from spoolsim.work.worker import Worker

#: up to here a file is read at once, in bytes
_SMALL = 16_384
#: after so many nanoseconds it is seen whether the parent lives: a system call for each task would be too many
_LOOK = 1_000_000
_SECOND = 1_000_000_000
_REGULAR = 0o100000


def way(worker: Worker) -> Callable[[Level, str], Claim | str | None] | None:
    """The short way for one scan of this worker; None when it has an option that each task must be asked about.

    What it returns, called with a level and a name: None when the task was run and settled; else a claim that
    Worker.manage goes on with, or the word of claim.take that says why the task was not had.
    """
    options = worker.options
    app = worker.app
    general = app.faithful or not options.quiet or options.chdir_task or options.max_attempts or options.max_retries
    observed = worker.around is not None or worker.settled is not None or worker.call is not run.call
    observed = observed or worker.attempted is not None or bool(worker.unremoved)
    if general or observed or options.max_body or lock.OFD_SETLK is None:
        return None
    words, place, held = worker.words, worker.place, claims.held
    journal = worker.journal
    gathered = [] if journal is None else journal.gathered
    before, until, harakiri = worker.before, worker.until, options.harakiri * _SECOND
    call, done = run.call, returned(SPOOL_OK)
    limit, parent = options.max_tasks, worker.parent
    names = sys.modules["uwsgi"].__dict__
    fcntl, setlk, exclusive = lock.call, lock.OFD_SETLK, lock.EXCLUSIVE
    open_, fstat, read, close = os.open, os.fstat, os.read, lock.close
    unlink, fchdir, flags = os.unlink, os.fchdir if system.AT else system.enter_directory, claims.KEEP_TIMES
    clock_ = system.CLOCK_MONOTONIC
    now = system.clock_gettime_ns
    #: what is older is due: the clock is asked again only of others
    later = int(clock()) + 1
    epoch = (time_ns() - now(clock_)) // 1000

    def go(level: Level, name: str) -> Claim | str | None:
        home = level.fd
        try:
            fd = open_(name, flags, dir_fd=home)
        except FileNotFoundError:
            return claims.GONE
        except PermissionError:
            return take(level, name, clock())  # somebody else's file: its times may not be kept
        except OSError:
            return claims.UNREADABLE
        try:
            fcntl(fd, setlk, exclusive)
        except BlockingIOError:
            close(fd)
            return claims.LOCKED
        except OSError:
            close(fd)
            return take(level, name, clock())
        held.fd = fd
        try:
            status = fstat(fd)
            size, mtime = status[6], status.st_mtime
            small = HEADER <= size <= _SMALL and status[0] & 0o170000 == _REGULAR and status[3]
            if mtime >= later and mtime >= clock() // 1 + 1:
                small = False
            data = read(fd, size) if small else b""
        except OSError:
            data = b""
        if len(data) < HEADER or len(data) != size or len(data) < HEADER + (data[1] | data[2] << 8):
            held.fd = -1
            close(fd)
            return take(level, name, clock())
        handler = names.get("spooler", NO_HANDLER)
        if handler is not NO_HANDLER:
            text = name.encode("utf-8", "surrogateescape")
            env: dict[str | bytes, bytes] = {"spooler_task_name": text}
            try:
                _, body = decode(data, env)
                if body:
                    env["body"] = body
                fchdir(home)
            except (PacketError, OSError):
                handler = NO_HANDLER
        if handler is NO_HANDLER:
            return Claim(level, name, fd, data, mtime, status[1], False)
        if before <= mtime <= until:
            worker.fresh = True
        if place is not None:
            write_task(place, level.below.encode() + text if level.below else text)
        began = now(clock_)
        worker.serial += 2
        words[SERIAL] = worker.serial - 1
        words[STARTED] = began
        words[STATE] = BUSY
        if harakiri:
            words[HARAKIRI] = began + harakiri
        words[SERIAL] = worker.serial
        outcome = failed = None
        try:
            outcome = call(handler, env)
            ended = now(clock_)
            if outcome is not done or words[USER] or ended - began >= GLIMPSE:
                claim = Claim(level, name, fd, data, mtime, status[1], False)
                worker.finish(claim, outcome, "", began, handler, env)
                return None
            if harakiri:
                words[HARAKIRI] = 0
            words[STARTED] = 0
            words[STATE] = SCANNING
            words[DONE] += 1
            try:
                unlink(name, dir_fd=home)
                held.fd = -1
                close(fd)
            except OSError as error:
                if error.__traceback__ is not None and error.__traceback__.tb_next is not None:
                    raise  # a signal's handler of the app
                failed = worker.remove(Claim(level, name, fd, data, mtime, status[1], False))
            if journal is not None:
                gathered.append((epoch + ended // 1000, (ended - began) // 1000, level.below + name))
                if len(gathered) >= GATHERED:
                    journal.flush()
            if parent and ended - worker.looked > _LOOK:
                worker.looked = ended
                if os.getppid() != parent:
                    words[LEAVE] = 1
            words[OUTCOME] = _DONE
            worker.tasks = tasks = worker.tasks + 1
            words[TASKS] = tasks
            if limit and tasks >= limit:
                worker.recycle()
        except BaseException as error:
            if outcome is None or worker.is_end(error):
                raise
            worker.struck(Claim(level, name, fd, data, mtime, status[1], False), outcome, error)
        if failed is not None:
            raise failed
        return None

    return go


_DONE = LAST_OUTCOME["done"]
