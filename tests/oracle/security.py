"""The table of `spoolsim help security`: each row is a fault, staged under the real uWSGI and spoolsim.

`python -m tests.oracle.security` stages all of them and prints what was seen beside what the table says.
"""

from __future__ import annotations

import concurrent.futures
import os
import pickle
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from spoolsim.work.scoreboard import LEAVE
from tests.oracle.harness import Bench, Facts, Run, Scenario, Unavailable, run_scenario
from tests.oracle.launchers import Launcher, Option, SpoolsimLauncher, UwsgiLauncher, find_uwsgi
from tests.oracle.packets import PREFIX, packet
from tests.oracle.sessions import kill_all, signals_not_ignored
from tests.soak.look import board_file, seats_in

#: a task notes its name, then runs its variable `code`
APP = """
import os, signal, sys, time
import uwsgi
from oracleobs import *
def h(env):
    names = {'result': uwsgi.SPOOL_OK, 'env': env}
    obs('ran', n=env['spooler_task_name'].decode('utf-8', 'replace'), body=len(env.get('body', b'')))
    exec(env.get(b'code', b'').decode(), globals(), names)
    return names['result']
uwsgi.spooler = h
"""
_DEADLINE = 30
SPOOL: list[str | tuple[str, object]] = [("spooler-frequency", 1)]


@dataclass(frozen=True)
class Fault:
    """A row: what is staged, and what the two do.

    facts: what `stage` has to see, of uWSGI and of spoolsim.
    faithful: whether spoolsim with --faithful does what uWSGI does; else what spoolsim does.
    """

    title: str
    uwsgi: str
    spoolsim: str
    stage: Callable[[Bench], Facts]
    facts: tuple[Facts, Facts]
    faithful: bool = True

    @property
    def row(self) -> str:
        """The line of the table."""
        return f"| {self.title} | {self.uwsgi} | {self.spoolsim} |"


def _as_uwsgi(h: Bench) -> bool:
    """Is it uWSGI, or does it what uWSGI does?"""
    return h.launcher.side != Production.side


def _ran(instance: object) -> list[str]:
    return sorted({row["n"].removeprefix("b:") for row in instance.obs("ran")})


def _broken(directory: str) -> list[str]:
    home = os.path.join(directory, ".spoolsim", "broken")
    return sorted(n for n in os.listdir(home) if not n.endswith(".why")) if os.path.isdir(home) else []


def _file(name: str, raw: bytes) -> Callable[[Bench], Facts]:
    """A file of this content in a served directory: did it run, is it left, was it set aside?"""

    def stage(h: Bench) -> Facts:
        d = h.mkdir("sp")
        h.drop(d, PREFIX + name, raw=raw)
        return _outcome(h, d, PREFIX + name)

    return stage


def _outcome(h: Bench, d: str, name: str) -> Facts:
    """Serve a directory, see a task that is put in after it run, and the fault's own file after two scans."""
    i = h.start([("spooler", d), *SPOOL], APP)
    for n in ("z1", "z2"):
        h.drop(d, PREFIX + n)
        h.wait(lambda n=n: PREFIX + n in _ran(i), _DEADLINE)
    h.wait(lambda: not {PREFIX + "z1", PREFIX + "z2"} & set(os.listdir(d)), _DEADLINE)
    return {"ran": name in _ran(i), "left": os.path.lexists(os.path.join(d, name)), "aside": name in _broken(d)}


def _special(make: Callable[[Bench, str], None]) -> Callable[[Bench], Facts]:
    def stage(h: Bench) -> Facts:
        d = h.mkdir("sp")
        make(h, os.path.join(d, PREFIX + "special"))
        return _outcome(h, d, PREFIX + "special")

    return stage


def _link(h: Bench, path: str) -> None:
    os.symlink(h.drop(h.mkdir("outside"), "target"), path)


def _calls(job: str) -> Callable[[Bench], Facts]:
    """What a producer is answered, and where the file went."""

    def stage(h: Bench) -> Facts:
        d = h.mkdir("sp")
        text = APP + f"answer('spooled', 'x', lambda: len(os.path.basename(uwsgi.spool({job}))) > 0)\n"
        i = h.start([("spooler-external", d), "spooler-ordered"], text)
        i.wait_obs("spooled", timeout=_DEADLINE)
        return {"answer": i.obs("spooled")[0]["r"], "inside": h.ls(d), "outside": h.ls(h.mkdir("out"))}

    return stage


def _again(code: str, more: tuple[str | tuple[str, object], ...] = ()) -> Callable[[Bench], Facts]:
    """A task that never ends well: is it left, did the one behind it get its turn while it went on?"""

    def stage(h: Bench) -> Facts:
        d = h.mkdir("sp")
        h.drop(d, PREFIX + "a", vars={b"code": code.encode()})
        h.drop(d, PREFIX + "b", vars={b"code": b""})
        i = h.start([("spooler", d), *SPOOL, "spooler-ordered", *more], APP)
        h.wait(lambda: len([r for r in i.obs("ran") if r["n"].endswith("_a")]) >= 3, _DEADLINE)
        if not _as_uwsgi(h):
            h.wait(lambda: PREFIX + "b" in _ran(i), _DEADLINE)
        return {"again": True, "left": os.path.exists(os.path.join(d, PREFIX + "a")), "next": PREFIX + "b" in _ran(i)}

    return stage


def _killed_once(code: str, more: tuple[str | tuple[str, object], ...] = ()) -> Callable[[Bench], Facts]:
    """A task whose process dies at its first run: it is run again, and is done."""

    def stage(h: Bench) -> Facts:
        d = h.mkdir("sp")
        text = f"if alone('first'):\n    try:\n        {code}\n    finally:\n        obs('cleaned')\n"
        h.drop(d, PREFIX + "a", vars={b"code": text.encode()})
        i = h.start([("spooler", d), *SPOOL, *more], APP)
        i.wait_obs("ran", 2, _DEADLINE)
        left = h.wait_left(d, 0, _DEADLINE)
        return {"runs": len(i.obs("ran")), "cleaned": len(i.obs("cleaned")), "left": left}

    return stage


def _own_file(h: Bench) -> Facts:
    """The handler removes its own file, and says done."""
    d = h.mkdir("sp")
    code = b"if alone('first'): os.unlink(env['spooler_task_name'])"
    h.drop(d, PREFIX + "a", vars={b"code": code})
    i = h.start([("spooler", d), *SPOOL], APP)
    i.wait_obs("ran", 1, _DEADLINE)
    h.drop(d, PREFIX + "b")
    i.wait_obs("ran", 2, _DEADLINE)
    return {"ran": _ran(i), "same process": len({row["pid"] for row in i.obs("ran")}) == 1}


def _replaced(h: Bench) -> Facts:
    """Another task is renamed over the file of a running one."""
    d = h.mkdir("sp")
    h.drop(d, PREFIX + "a", vars={b"code": b"obs('on'); await_cue('go')"})
    i = h.start([("spooler", d), *SPOOL], APP)
    i.wait_obs("on", timeout=_DEADLINE)
    h.drop(d, PREFIX + "a", vars={b"code": b"obs('second')"})
    i.cue("go")
    h.wait(lambda: not os.path.exists(os.path.join(d, PREFIX + "a")), _DEADLINE)
    return {"second ran": bool(i.obs("second")), "left": h.ls(d)}


def _world(h: Bench) -> Facts:
    """A directory that everybody may write to."""
    d = h.mkdir("sp")
    os.chmod(d, 0o777)
    h.drop(d, PREFIX + "a")
    i = h.start([("spooler", d), *SPOOL], APP)
    i.wait_obs("ran", timeout=_DEADLINE)
    return {"ran": _ran(i) == [PREFIX + "a"], "said": "can be written to by everybody" in i.log()}


def _pickled(h: Bench) -> Facts:
    """A pickle that makes a file, in the variable `args` of a task for a decorated function."""
    d = h.mkdir("sp")
    evil = pickle.dumps(_Evil(h.path("made")))
    job = {b"ud_spool_func": b"f", b"args": evil, b"kwargs": pickle.dumps({})}
    h.drop(d, PREFIX + "a", vars=job)
    text = "from uwsgidecorators import *\n@spool(pass_arguments=True)\ndef f(*a):\n    pass\n"
    h.start([("spooler", d), *SPOOL], text)
    h.wait(lambda: os.path.exists(h.path("made")), _DEADLINE)
    return {"code of the pickle ran": os.path.exists(h.path("made"))}


class _Evil:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, int]]:
        return os.mkdir, (self.path, 0o700)


def _master(h: Bench) -> Facts:
    """The master is killed during the first of three tasks."""
    d = h.mkdir("sp")
    for n in "abc":
        h.drop(d, PREFIX + n, vars={b"code": b"obs('on'); await_cue('go'); obs('end')"})
    i = h.start([("spooler", d), *SPOOL, "spooler-ordered"], APP)
    i.wait_obs("on", timeout=_DEADLINE)
    if _as_uwsgi(h):
        i.kill(signal.SIGKILL)
        i.wait_exit(_DEADLINE)
        h.give_time(0.5)  # it shall go on, though it may have noticed
    else:
        with board_file(Path(d), i.p.pid).open("rb") as scoreboard:
            i.kill(signal.SIGKILL)
            i.wait_exit(_DEADLINE)
            assert h.wait(lambda: any(seat[LEAVE] for seat in seats_in(scoreboard)), _DEADLINE)
    i.cue("go")
    left = h.wait_left(d, 0 if _as_uwsgi(h) else 2, _DEADLINE)
    pid = i.obs("on")[0]["pid"]
    ended = h.wait(lambda: not os.path.exists(f"/proc/{pid}") or _state(pid) == "Z", _DEADLINE)
    return {"ended": len(i.obs("end")), "left": len(left), "process ended": ended}


def _state(pid: int) -> str:
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]


def _gone(h: Bench) -> Facts:
    """The directory is removed while it is served, and made again."""
    d = h.mkdir("sp")
    i = h.start([("spooler", d), *SPOOL], APP)
    h.drop(d, PREFIX + "a")
    i.wait_obs("ran", timeout=_DEADLINE)
    h.wait_left(d, 0, _DEADLINE)
    os.rename(d, h.path("away"))
    h.wait(lambda: "OOOPS" in i.log() if _as_uwsgi(h) else "(directory-gone)" in i.log(), _DEADLINE)
    h.mkdir("sp")
    h.drop(d, PREFIX + "b")
    i.wait_obs("ran", 2, _DEADLINE)
    return {"ran": _ran(i), "same process": len({row["pid"] for row in i.obs("ran")}) == 1}


def _linked(h: Bench) -> Facts:
    """The directory is moved away while it is served, and a link to it takes its place."""
    d = h.mkdir("sp")
    i = h.start([("spooler", d), *SPOOL], APP)
    h.drop(d, PREFIX + "a")
    i.wait_obs("ran", timeout=_DEADLINE)
    h.wait_left(d, 0, _DEADLINE)
    os.rename(d, h.path("away"))
    os.symlink(h.path("away"), d)
    h.drop(h.path("away"), PREFIX + "b")
    i.wait_obs("ran", 2, _DEADLINE)
    return {"ran": _ran(i), "left": h.wait_left(h.path("away"), 0, _DEADLINE)}


_SPINNING = "epoll_wait(): Bad file descriptor"


def _closed(h: Bench) -> Facts:
    """A task closes every descriptor from 3 on, and says done."""
    d = h.mkdir("sp")
    h.drop(d, PREFIX + "a", vars={b"code": b"if alone('first'): os.closerange(3, 200)"})
    i = h.start([("spooler", d), *SPOOL], APP)
    i.wait_obs("ran", 1, _DEADLINE)
    h.drop(d, PREFIX + "b")
    h.wait(lambda: PREFIX + "b" in _ran(i), _DEADLINE)
    left = h.wait_left(d, 0, _DEADLINE)
    spins = h.launcher.side == UwsgiLauncher.side and h.wait(lambda: i.log().count(_SPINNING) > 20, _DEADLINE)
    return {"runs": len(i.obs("ran")), "left": left, "polls on": spins or _SPINNING in i.log()}


#: the handler of a signal raises when a task's handler has returned: a subscript, and the end of a function, look for
#: no signal, so it strikes in what runs next
LATE = """
import _thread, collections, functools
def strike(*args):
    raise ValueError('late')
struck = []
def h(env):
    obs('ran', n=env['spooler_task_name'].decode())
    signal.signal(signal.SIGALRM, strike)
    if not struck:
        struck.append(1)
        collections.defaultdict(functools.partial(_thread.interrupt_main, signal.SIGALRM))[None]
    return uwsgi.SPOOL_OK
uwsgi.spooler = h
"""


def _late(h: Bench) -> Facts:
    """Of two tasks the first is done, and an exception comes when its handler has returned."""
    d = h.mkdir("sp")
    for n in "ab":
        h.drop(d, PREFIX + n)
    i = h.start([("spooler", d), *SPOOL, "spooler-ordered"], APP + LATE)
    left = h.wait_left(d, 0, _DEADLINE)
    tries = {n: i.log().count(f"managing request {PREFIX}{n} ...") for n in "ab"}
    return {"tries": tries, "left": left}


def _both(*stages: Callable[[Bench], Facts]) -> Callable[[Bench], Facts]:
    """What is seen of each of these, when it is the same; else all of it."""

    def stage(h: Bench) -> Facts:
        seen = [each(h) for each in stages]
        return seen[0] if all(facts == seen[0] for facts in seen) else dict(enumerate(seen))

    return stage


def _changes(code: str, mode: int = 0o755) -> Callable[[Bench], Facts]:
    """A task that is done has changed its process; another one comes after it. mode: the directory's."""

    def stage(h: Bench) -> Facts:
        if os.geteuid():
            raise Unavailable("only root can do this: run the tests as root too")
        d = h.mkdir(f"sp{len(code)}")
        os.chmod(d, mode)
        os.chmod(h.work, 0o711)
        h.drop(d, PREFIX + "a", vars={b"code": code.encode()})
        i = h.start([("spooler", d), *SPOOL, "spooler-ordered"], APP)
        i.wait_obs("ran", 1, _DEADLINE)
        h.drop(d, PREFIX + "b")
        if not _as_uwsgi(h):
            h.wait(lambda: PREFIX + "b" in _ran(i), _DEADLINE)
        elif mode & 0o002:
            h.give_time(3)
        else:
            i.wait_obs("ran", 4, _DEADLINE)
        runs = [row["n"] for row in i.obs("ran")].count(PREFIX + "a")
        return {"again": runs > 1, "next": PREFIX + "b" in _ran(i)}

    return stage


def _builtins(h: Bench) -> Facts:
    """A task breaks a builtin that the next one uses."""
    d = h.mkdir("sp")
    h.drop(d, PREFIX + "a", vars={b"code": b"import builtins; builtins.sum = None; obs('pid', pid=os.getpid())"})
    i = h.start([("spooler", d), *SPOOL], APP)
    i.wait_obs("pid", 1, _DEADLINE)
    h.wait_left(d, 0, _DEADLINE)
    h.drop(d, PREFIX + "b", vars={b"code": b"obs('pid', pid=os.getpid()); sum([1]); obs('summed')"})
    i.wait_obs("pid", 2, _DEADLINE)
    if h.launcher.side != UwsgiLauncher.side:
        i.wait_obs("summed", 1, _DEADLINE)
    first, second = [row["pid"] for row in i.obs("pid")][:2]
    return {"same process": first == second, "next done": bool(i.obs("summed"))}


def _unremovable(h: Bench) -> Facts:
    """A task is done, and its file cannot be removed: something is mounted there."""
    d = h.mkdir("sp")
    path = h.drop(d, PREFIX + "a")
    mount = ["mount", "--bind", path, path]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True, check=False).returncode:
        raise Unavailable("nothing can be mounted here")
    try:
        h.drop(d, PREFIX + "b")
        i = h.start([("spooler", d), *SPOOL, "spooler-ordered"], APP)
        i.wait_obs("ran", 3 if _as_uwsgi(h) else 2, _DEADLINE)
        if not _as_uwsgi(h):
            h.drop(d, PREFIX + "c")
            h.wait(lambda: PREFIX + "c" in _ran(i), _DEADLINE)
        runs = [row["n"] for row in i.obs("ran")].count(PREFIX + "a")
        found = {"again": runs > 1, "next": PREFIX + "b" in _ran(i)}
        i.stop()
        return found
    finally:
        subprocess.run(["umount", "-l", path], capture_output=True, check=False)


def _tiny(size: int) -> Callable[[Bench], Facts]:
    """Tasks of so many bytes each are put into a directory of 64 KiB until it is full, and further."""

    def stage(h: Bench) -> Facts:
        d = h.mkdir("sp")
        mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", d]
        if not shutil.which("mount") or subprocess.run(mount, capture_output=True, check=False).returncode:
            raise Unavailable("a small file system cannot be mounted here")
        try:
            text = (
                f"for _ in range(40): answer('spooled', 'x', lambda: uwsgi.spool({{b'body': bytes({size})}}) and 1)\n"
            )
            i = h.start([("spooler-external", d)], APP + text)
            i.wait_obs("spooled", 40, _DEADLINE)
            answers = {row["r"] for row in i.obs("spooled")}
            whole = [os.stat(os.path.join(d, name)).st_size == size + 4 for name in os.listdir(d)]
            taken = sum(row["r"] == "1" for row in i.obs("spooled"))
            return {
                "refused": "ValueError('unable to spool job')" in answers,
                "whole": all(whole),
                "all": len(whole) == taken,
            }
        finally:
            for instance in h.insts:
                instance.stop()
            subprocess.run(["umount", "-l", d], check=True)

    return stage


class _Traced:
    """A launcher under strace, with a fault at each call of a kind that concerns one file."""

    pythonpath: tuple[str, ...] = ()

    def __init__(self, launcher: Launcher, path: str, fault: str) -> None:
        self.launcher, self.path, self.fault = launcher, path, fault
        self.side = launcher.side
        self.pythonpath = launcher.pythonpath

    def argv(self, opts: list[Option], need: str) -> list[str]:
        trace = ["strace", "-f", "-qq", "-o", "/dev/null", "-P", self.path, "-e", f"inject={self.fault}"]
        return [*trace, *self.launcher.argv(opts, need)]


def _eio(h: Bench) -> Facts:
    """The disk gives an error whenever one task's file is read."""
    probe = ["strace", "-qq", "-o", "/dev/null", "true"]
    if not shutil.which("strace") or subprocess.run(probe, capture_output=True, check=False).returncode:
        raise Unavailable("strace is missing, or may not trace here")
    d = h.mkdir("sp")
    path = h.drop(d, PREFIX + "special")
    h.launcher = _Traced(h.launcher, path, "read:error=EIO")
    found = _outcome(h, d, PREFIX + "special")
    for i in h.insts:  # strace passes no signal on
        kill_all(i.p.pid, i.mark)
    return found


def _later(h: Bench) -> Facts:
    """A task whose time is later than now, as all are that were put before the clock was set back."""
    d = h.mkdir("sp")
    h.drop(d, PREFIX + "special", mtime=time.time() + 3600)
    return _outcome(h, d, PREFIX + "special")


_KEPT = {"ran": False, "left": True, "aside": False}
_DELETED = {"ran": False, "left": False, "aside": False}
_ASIDE = {"ran": False, "left": False, "aside": True}
_DONE = {"ran": True, "left": False, "aside": False}
_FULL = {"refused": True, "whole": True, "all": True}
_REFUSED = {"answer": "ValueError('unable to spool job')", "inside": [], "outside": []}
_TASK = packet({b"code": b""})

FAULTS = (
    Fault(
        "an empty file, or one of under 4 bytes",
        "left alone, checked again on every scan",
        "the same; `spoolsim sweep` moves old ones",
        _file("empty", b""),
        (_KEPT, _KEPT),
    ),
    Fault(
        "a file cut inside its variables",
        "**deleted**, not run",
        "moved to `.spoolsim/broken/` with the reason",
        _file("cut", _TASK[:-2]),
        (_DELETED, _ASIDE),
    ),
    Fault(
        "garbage in the variables",
        "**deleted**, not run, logged as done",
        "moved to `.spoolsim/broken/` with the reason",
        _file("garbage", struct.pack("<BHB", 17, 6, 0) + b"\xff\xff\xff\xff\xff\xff"),
        (_DELETED, _ASIDE),
    ),
    Fault(
        "a body cut short (a producer killed while it wrote)",
        "**run as if it were whole**",
        "run if another program wrote it; spoolsim's own producers rename a file only when it is whole",
        _file("body", packet({b"code": b""}) + b"half of i"),
        (_DONE, _DONE),
    ),
    Fault("a symbolic link", "skipped, kept", "the same", _special(_link), (_KEPT, _KEPT)),
    Fault(
        "a FIFO",
        "skipped, kept",
        "the same; it is never waited for",
        _special(lambda h, path: os.mkfifo(path)),
        (_KEPT, _KEPT),
    ),
    Fault(
        "a directory under the name of a task",
        "skipped, kept",
        "the same",
        _special(lambda h, path: os.mkdir(path)),
        (_KEPT, _KEPT),
    ),
    Fault(
        "a name with an end of line in it",
        "run",
        "run; the journal and its counts are not misled",
        _file("a\nb", _TASK),
        (_DONE, _DONE),
    ),
    Fault(
        "a read error of the disk (EIO)",
        "kept, retried on every scan",
        "the same, and logged once",
        _eio,
        (_KEPT, _KEPT),
    ),
    Fault("the disk is full", "refused: ValueError; nothing is left", "the same", _tiny(3000), (_FULL, _FULL)),
    Fault(
        "a write that is cut short on a full disk",
        "refused: ValueError; nothing is left",
        "the same",
        _tiny(100_000),
        (_FULL, _FULL),
    ),
    Fault(
        "the clock set back",
        "tasks enqueued before wait until that time comes again",
        "the same; deadlines use the monotonic clock",
        _later,
        (_KEPT, _KEPT),
    ),
    Fault(
        "another task renamed over the file of a running one",
        "**removed without running** when the first is done",
        "logged; the new file runs after it",
        _replaced,
        ({"second ran": False, "left": []}, {"second ran": True, "left": []}),
    ),
    Fault(
        "a handler that removes its own file",
        "the spooler process ends itself",
        "logged; it continues",
        _own_file,
        (
            {"ran": [PREFIX + "a", PREFIX + "b"], "same process": False},
            {"ran": [PREFIX + "a", PREFIX + "b"], "same process": True},
        ),
    ),
    Fault(
        "a world-writable spool directory",
        "served without a warning",
        "served, with a warning at the start",
        _world,
        ({"ran": True, "said": False}, {"ran": True, "said": True}),
    ),
    Fault(
        "the spool directory removed while served",
        "the spooler exits and is respawned until it is back",
        "logged; spoolsim waits for it",
        _gone,
        (
            {"ran": [PREFIX + "a", PREFIX + "b"], "same process": False},
            {"ran": [PREFIX + "a", PREFIX + "b"], "same process": True},
        ),
    ),
    Fault(
        "the spool directory becomes a link while served",
        "served: what the link leads to",
        "the same",
        _linked,
        ({"ran": [PREFIX + "a", PREFIX + "b"], "left": []},) * 2,
    ),
    Fault(
        "a task that closes the spooler's own descriptors",
        "removed when done; its process continues, polling a closed descriptor without a pause",
        "removed when done; another process takes over, with `--faithful`, too",
        _closed,
        ({"runs": 2, "left": [], "polls on": True}, {"runs": 2, "left": [], "polls on": False}),
        faithful=False,
    ),
    Fault(
        "an exception that a signal handler raises after the task's handler returned",
        "raised in **the next task**, which is retried",
        "logged; no other task gets it, with `--faithful`, too",
        _late,
        ({"tries": {"a": 1, "b": 2}, "left": []}, {"tries": {"a": 1, "b": 1}, "left": []}),
        faithful=False,
    ),
    Fault(
        "a task that breaks Python's builtins (`builtins.sum = None`)",
        "removed when done; **every later task that uses them fails**, in the same process",
        "removed when done; logged, and another process takes over, with `--faithful`, too",
        _builtins,
        ({"same process": True, "next done": False}, {"same process": False, "next done": True}),
        faithful=False,
    ),
    Fault(
        "a task that is done and cannot be removed",
        "run again and again, each time by a new process; **those sorted after it never run**",
        "run once until the next start, and logged; the others run",
        _unremovable,
        ({"again": True, "next": False}, {"again": False, "next": True}),
    ),
    Fault(
        "a task that calls `os.chroot()`, or `os.setuid()` to a user who may not remove its file",
        "run again and again, each time by a new process; **those sorted after it never run**",
        "removed when done; logged, and another process takes over",
        _both(_changes("os.chroot('/tmp')"), _changes("os.setuid(65534)")),
        ({"again": True, "next": False}, {"again": False, "next": True}),
    ),
    Fault(
        "a task that calls `os.setuid()` to a user who may remove its file",
        "its process continues and skips every file that it may not read now: **no task runs any more**",
        "removed when done; logged, and another process takes over",
        _changes("os.setuid(65534)", 0o777),
        ({"again": False, "next": False}, {"again": False, "next": True}),
    ),
    Fault(
        "`priority` = `../out`",
        "**written outside the spool directory**",
        "refused: ValueError",
        _calls("{b'a': b'1', b'priority': b'../out'}"),
        ({"answer": "True", "inside": [], "outside": ["<TASKFILE>"]}, _REFUSED),
    ),
    Fault(
        "`priority` with a NUL byte",
        "cut there",
        "refused: ValueError",
        _calls("{b'a': b'1', b'priority': b'1' + bytes(1) + b'x'}"),
        ({"answer": "True", "inside": ["1/<TASKFILE>"], "outside": []}, _REFUSED),
    ),
    Fault(
        "`spooler` = the path of another directory",
        "refused: ValueError",
        "the same",
        _calls("{b'a': b'1', b'spooler': os.path.join(os.environ['ORACLE_WORK'], 'out').encode()}"),
        (_REFUSED, _REFUSED),
    ),
    Fault(
        "a pickle in `args`, for a decorated function",
        "**loaded, which can run any code**",
        "the same; commands that only show tasks load none",
        _pickled,
        ({"code of the pickle ran": True}, {"code of the pickle ran": True}),
    ),
    Fault(
        "a task that is retried forever",
        "on every scan, forever",
        "the same; `--retry-delay` slows it, `--max-attempts` moves it to `.spoolsim/failed/`",
        _again("result = uwsgi.SPOOL_RETRY"),
        ({"again": True, "left": True, "next": True}, {"again": True, "left": True, "next": True}),
    ),
    Fault(
        "a task that kills its process each time",
        "run again at once, forever; **those sorted after it never run**",
        "logged; from the third death on it waits 2 s to 5 min, and the others run",
        _again("os._exit(1)"),
        ({"again": True, "left": True, "next": False}, {"again": True, "left": True, "next": True}),
    ),
    Fault(
        "a process killed during a task",
        "the file is kept, the task is run again",
        "the same",
        _killed_once("os.kill(os.getpid(), signal.SIGKILL)"),
        ({"runs": 2, "cleaned": 0, "left": []},) * 2,
    ),
    Fault(
        "harakiri",
        "SIGKILL, no cleanup; the file is kept, the task is run again",
        "the same",
        _killed_once("time.sleep(60)", (("spooler-harakiri", 1),)),
        ({"runs": 2, "cleaned": 0, "left": []},) * 2,
    ),
    Fault(
        "the master killed during a task",
        "the spooler finishes its whole scan, then exits",
        "it finishes its task, then exits; the rest is left for the next start",
        _master,
        ({"ended": 3, "left": 0, "process ended": True}, {"ended": 1, "left": 2, "process ended": True}),
    ),
)


class Production(SpoolsimLauncher):
    """spoolsim as it is by default, not as faithful as it can be."""

    def __init__(self) -> None:
        super().__init__()
        self.command = [sys.executable, "-m", "spoolsim", "run"]


class Faithful(SpoolsimLauncher):
    """spoolsim with --faithful."""

    side = "spoolsim --faithful"


def launchers() -> tuple[Launcher, ...]:
    """The real uWSGI's, spoolsim's, and that of spoolsim with --faithful. Raises NoOracle."""
    return UwsgiLauncher(find_uwsgi()), Production(), Faithful()


def stage_all(faults: tuple[Fault, ...] = FAULTS) -> list[tuple[Fault, tuple[Run, ...]]]:
    """Each fault on all sides."""
    sides = launchers()
    with signals_not_ignored(), concurrent.futures.ThreadPoolExecutor(8) as pool:
        pending = []
        for fault in faults:
            scenario = Scenario(fault.title, fault.stage, "2.0", 4)
            pending.append((fault, [pool.submit(run_scenario, scenario, side) for side in sides]))
        return [(fault, tuple(run.result() for run in runs)) for fault, runs in pending]


def problems(fault: Fault, runs: tuple[Run, ...]) -> list[str]:
    """Where what was seen is not what the row says."""
    wanted = (fault.facts[0], fault.facts[1], fault.facts[0 if fault.faithful else 1])
    return [
        f"{fault.title}, {run.side}: wanted {want}, got {run.facts if run.error is None else run.error}"
        for want, run in zip(wanted, runs, strict=True)
        if run.unavailable is None and run.facts != want
    ]


def main() -> int:
    """The exit status: 1 where a row is not true."""
    bad = []
    for fault, runs in stage_all():
        found = problems(fault, runs)
        bad += found
        print(
            fault.title,
            ", ".join(f"{run.seconds:.1f} s" for run in runs),
            *(found or ["as the table says"]),
            sep="\n    ",
        )
        for run in runs if found and "-v" in sys.argv else ():
            print(*run.logs, sep="\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
