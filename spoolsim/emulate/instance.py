"""What the module tells of the instance and of this process."""

from __future__ import annotations

import os
import signal
import sys
import time

from spoolsim import system
from spoolsim.emulate import stand_ins
from spoolsim.emulate.arguments import text
from spoolsim.errors import PacketError
from spoolsim.spool import packet
from spoolsim.work import program, scoreboard

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_WORKER = ("requests", "delta_requests", "signals", "exceptions")
_READABLE = (0, 17)


def _magic() -> dict[bytes, bytes]:
    now = time.time_ns() // 1000
    words: dict[str, object] = {
        "%": "%",
        "(": "%(",
        "G": system.group_name(),
        "T": now,
        "U": system.user_name(),
        "V": "2.0.31",
        "[": "\x1b",
        "g": system.getgid(),
        "h": system.nodename(),
        "k": os.cpu_count() or 1,
        "t": now // 1_000_000,
        "u": system.getuid(),
        "v": os.getcwd(),
    }
    return {key.encode(): os.fsencode(str(word)) for key, word in words.items()}


#: the placeholders of configuration files that hold for every file
magic_table = _magic()


def request_id() -> int:
    """uwsgi.request_id(): which request of this process it is; none is."""
    return 0


def total_requests() -> int:
    """0: no web worker serves a request."""
    return 0


def micros() -> int:
    """The time in microseconds since the epoch."""
    return time.time_ns() // 1000


def listen_queue(socket: int = 0, /) -> int:
    """0, as on an idle socket. Raises ValueError when the configuration has not so many sockets."""
    if not 0 <= socket < len(program.in_this_process().options.sockets):
        raise ValueError(f"unable to find socket {socket}")
    return 0


def logsize() -> int:
    """0: the log is no file of ours."""
    return 0


def mem() -> tuple[int, int]:
    """(resident, virtual) memory of this process in bytes; where the system hides it, the most it ever was, and 0."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            virtual, resident = file.read().split()[:2]
        page = os.sysconf("SC_PAGE_SIZE")
        return int(resident) * page, int(virtual) * page
    except (OSError, AttributeError):  # no /proc; no POSIX
        try:
            import resource
        except ImportError:
            return 0, 0

        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit, 0


def setprocname(name: str, /) -> None:
    """Change the name of this process in ps: with setproctitle, else the short one that Linux keeps."""
    text("setprocname", name)
    if _titled(name):
        return
    try:
        with open("/proc/self/comm", "w", encoding="utf-8", errors="surrogateescape") as comm:
            comm.write(name[:15])
    except OSError:
        stand_ins.say_once("setprocname", "needs setproctitle here: pip install 'spoolsim[procname]'")


def _titled(name: str) -> bool:
    """With setproctitle; it does nothing where the whole environment was replaced before its import."""
    try:
        from setproctitle import getproctitle, setproctitle
    except ImportError:
        return False
    setproctitle(name)
    return bool(getproctitle())


def parsefile(path: str, /) -> dict[bytes, bytes] | None:
    """The variables of a uwsgi packet in a file (modifier1 0 or 17); None, and a line in the log, when it has none."""
    log = program.in_this_process().log
    try:
        with open(text("parsefile", path), "rb") as file:
            data = file.read(packet.HEADER + 0xFFFF)
    except OSError as error:
        log.line(f'open("{path}"): {error.strerror} [plugins/python/uwsgi_pymodule.c line 2451]')
        return None
    if len(data) < packet.HEADER or len(data) < packet.HEADER + (data[1] | data[2] << 8):
        log.line("read(): Success [plugins/python/uwsgi_pymodule.c line 2458]")
        return None
    if data[0] not in _READABLE:
        return None
    try:
        return dict(packet.decode(data)[0])
    except PacketError:
        return None


def workers() -> tuple[dict[str, Any], ...]:
    """The web workers of the configuration, idle; only a stand-in worker is a process. Empty without a socket."""
    app = program.in_this_process()
    if not app.options.sockets:
        return ()
    stand_in = _stand_in()
    return tuple(_worker(number, stand_in if number == 1 else 0) for number in range(1, app.options.web_processes + 1))


def _stand_in() -> int:
    """The pid of the stand-in worker, 0 without one."""
    app = program.in_this_process()
    if app.worker_id == 1:
        return os.getpid()
    if app.board is None or not app.options.stand_in_worker:
        return 0
    served = sum(slot >= 0 for _, slot in app.directories)
    return app.board.serving(served)[scoreboard.PID]


def _worker(number: int, pid: int) -> dict[str, Any]:
    counters = dict.fromkeys(_WORKER, 0)
    spent = dict.fromkeys(("rss", "vsz", "running_time", "last_spawn", "respawn_count", "tx", "avg_rt"), 0)
    return {"id": number, "pid": pid, **counters, "status": b"idle", **spent, "apps": ()}


def reload() -> bool | None:
    """Start everything again, with the code as it is then. NotEmulated where there is no master process."""
    return _to_master("reload", signal.SIGHUP)


def stop() -> bool | None:
    """Stop the instance. NotEmulated where there is no master process."""
    return _to_master("stop", signal.SIGQUIT)


def _to_master(name: str, number: signal.Signals) -> bool | None:
    app = program.in_this_process()
    if not program.has_master(app):
        stand_ins.refuse(name, "any process, which signals the master; here none is running")
        return None
    os.kill(app.master_pid, number)
    return True
