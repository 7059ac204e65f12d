"""Runs one scenario against one launcher.

A scenario is a function `run(h)` registered with `@scenario()`. It starts one or more instances through the launcher
it is given and returns a JSON-able dict of facts that hold whatever the timing was: no pid, no date, no path. What
the app sees it writes down itself (`appside/oracleobs.py`); the scenario waits for those lines with a deadline.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from . import scenarios, sessions
from .launchers import Launcher, Option
from .packets import NAME_RE, Pairs, packet

Facts = dict[str, Any]

APPSIDE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "appside")

#: Set when the test run is broken off: every waiting scenario ends at once and stops its instances.
ABORT = threading.Event()


class Aborted(Exception):
    """The test run was broken off."""


class Unavailable(Exception):
    """This uWSGI cannot show it (built without a library, or of another release): the recording stands for it."""


@dataclass(frozen=True)
class Scenario:
    """A registered scenario."""

    name: str
    run: Callable[[Bench], Facts]
    #: The uWSGI release it belongs to; one of 2.1 has a recorded answer only.
    need: str
    #: About how long it takes, in seconds: the long ones are begun first.
    seconds: float


SCENARIOS: dict[str, Scenario] = {}


def scenario(
    name: str | None = None, need: str = "2.0", seconds: float = 4
) -> Callable[[Callable[[Bench], Facts]], Callable[[Bench], Facts]]:
    """Register the decorated function as a scenario, by its own name unless `name` is given."""

    def register(run: Callable[[Bench], Facts]) -> Callable[[Bench], Facts]:
        key = name or run.__name__
        if key in SCENARIOS:
            raise ValueError(f"two scenarios are called {key}")
        SCENARIOS[key] = Scenario(key, run, need, seconds)
        return run

    return register


def load_scenarios() -> dict[str, Scenario]:
    """Import every program of the `scenarios` folder; return all scenarios by name."""
    for module in sorted(m.name for m in pkgutil.iter_modules(scenarios.__path__) if m.name.startswith("s_")):
        importlib.import_module(f"{scenarios.__name__}.{module}")
    return SCENARIOS


#: Seconds. No wait for what is to come gives up before, whatever it asks for: a busy machine is slow.
PATIENCE = 90.0
#: Seconds that a scenario waits at most until its processes, which have no end to come to, sleep.
SETTLING = 20.0


def wait(cond: Callable[[], object], timeout: float, *, perhaps: bool = False) -> bool:
    """Poll until `cond()` is true; files and lines not there yet count as false.

    At most `timeout` seconds where it comes only `perhaps`; else PATIENCE, if that is more.
    """
    timeout = timeout if perhaps else max(timeout, PATIENCE)
    end = time.monotonic() + timeout
    while True:
        try:
            if cond():
                return True
        except (OSError, LookupError):
            pass
        if time.monotonic() > end:
            return False
        if ABORT.wait(0.04):
            raise Aborted


def give_time(seconds: float) -> None:
    """Let that much time pass, for wrong behaviour to show (nothing is expected to happen)."""
    if ABORT.wait(seconds):
        raise Aborted


class Instance:
    """One running uWSGI or spoolsim, with its log and the observations of its app."""

    def __init__(
        self,
        bench: Bench,
        opts: list[Option],
        app: str | None,
        *,
        env: dict[str, str] | None = None,
        master: bool = True,
        umask: int | None = None,
        importopt: str = "import",
        cwd: str | None = None,
        stdin: int | BinaryIO = subprocess.DEVNULL,
    ) -> None:
        self.bench = bench
        number = bench.next_number()
        self.obsfile = bench.path(f"obs{number}.jsonl")
        self.logfile = bench.path(f"log{number}.txt")
        self.appname = f"oracleapp{number}"
        self.mark = sessions.new_mark()
        self.left_after_stop: list[str] = []
        self._stopped = False
        if app is not None:
            bench.write(self.appname + ".py", app)
        full = (["master"] if master else []) + list(opts)
        if app is not None and importopt:
            full.append((importopt, self.appname))
        self.argv = bench.launcher.argv(full, bench.need)
        with open(self.logfile, "wb") as log:
            self.p = subprocess.Popen(
                self.argv,
                cwd=cwd or bench.work,
                env=self._environ(env or {}),
                stdout=log,
                stderr=log,
                stdin=stdin,
                umask=0o022 if umask is None else umask,
                start_new_session=True,
            )

    def _environ(self, extra: dict[str, str]) -> dict[str, str]:
        e = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "UWSGI_", "SPOOLSIM_", "PYTHON"))}
        e |= {"ORACLE_OBS": self.obsfile, "ORACLE_WORK": self.bench.work, sessions.MARK: self.mark}
        e |= {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        e["PYTHONPATH"] = os.pathsep.join([self.bench.work, APPSIDE, *self.bench.launcher.pythonpath])
        return e | extra

    def obs(self, kind: str | None = None) -> list[Facts]:
        """Return the observations so far, of one kind or all, in the order they were written."""
        try:
            with open(self.obsfile) as f:
                rows = [json.loads(line) for line in f if line.endswith("\n")]
        except FileNotFoundError:
            return []
        return rows if kind is None else [r for r in rows if r["kind"] == kind]

    def log(self) -> str:
        """Return all that was printed so far, on both streams."""
        with open(self.logfile, errors="replace") as f:
            return f.read()

    def wait(self, cond: Callable[[], object], timeout: float = PATIENCE) -> bool:
        """Wait until `cond()` is true; False when it never was within `timeout` seconds, or PATIENCE."""
        return wait(cond, timeout)

    def wait_perhaps(self, cond: Callable[[], object], seconds: float) -> bool:
        """Wait until `cond()` is true, for these seconds and no longer: it comes on some sides, or never."""
        return wait(cond, seconds, perhaps=True)

    def wait_obs(self, kind: str, n: int = 1, timeout: float = 10) -> bool:
        """Wait for `n` observations of a kind."""
        return wait(lambda: len(self.obs(kind)) >= n, timeout)

    def wait_log(self, text: str, n: int = 1, timeout: float = 10) -> bool:
        """Wait until `text` was printed `n` times."""
        return wait(lambda: self.log().count(text) >= n, timeout)

    def wait_exit(self, timeout: float = 10) -> bool:
        """Wait for the end of the process that was started (the master)."""
        return wait(lambda: not self.alive(), timeout)

    def cue(self, name: str) -> None:
        """Let the app go on that waits in `await_cue(name)`."""
        self.bench.write("cue." + name, "")

    def kill(self, sig: int) -> None:
        """Send a signal to the master."""
        os.kill(self.p.pid, sig)

    def alive(self) -> bool:
        """Whether the master lives."""
        return self.p.poll() is None

    def stop(self) -> None:
        """End the master with SIGINT, note who is left, then kill every process of the session."""
        if self._stopped:
            return
        self._stopped = True
        try:
            if self.alive():
                os.kill(self.p.pid, signal.SIGINT)
                end = time.monotonic() + self.bench.stop_within
                while self.alive() and time.monotonic() < end:
                    threading.Event().wait(0.02)
                still = sessions.wait_empty(self.p.pid, self.mark, self.bench.stop_within / 4)
                self.left_after_stop = [sessions.describe(pid) for pid in still]
        finally:
            sessions.kill_all(self.p.pid, self.mark)
            self.p.wait()

    def shapes(self, *words: str) -> list[str]:
        """Return the distinct log lines that hold one of the words, without what varies."""
        out: list[str] = []
        for line in self.log().splitlines():
            if any(w in line for w in words):
                s = self.bench.shape(line)
                if s not in out:
                    out.append(s)
        return out


class Bench:
    """What a scenario works with: a directory of its own, and instances of one launcher."""

    def __init__(self, launcher: Launcher, need: str) -> None:
        self.launcher, self.need = launcher, need
        self.work = os.path.realpath(tempfile.mkdtemp(prefix="oracle-"))
        self.insts: list[Instance] = []
        #: seconds for an ordered stop: uWSGI leaves spoolers behind that it stops in mid-start, ours must end all
        self.stop_within = 4.0 if self.real else PATIENCE
        self._numbers = 0

    @property
    def real(self) -> bool:
        """Whether this is the real uWSGI."""
        return self.launcher.side == "uwsgi"

    def not_with_pyuwsgi(self, why: str) -> None:
        """Raise Unavailable where the real side is pyuwsgi, which is inside a Python program."""
        if self.launcher.pythonpath:
            raise Unavailable(f"pyuwsgi: {why}")

    def next_number(self) -> int:
        self._numbers += 1
        return self._numbers

    def wait(self, cond: Callable[[], object], timeout: float = 10) -> bool:
        """Wait until `cond()` is true; False when it never was within `timeout` seconds."""
        return wait(cond, timeout)

    def give_time(self, seconds: float) -> None:
        """Let time pass, for wrong behaviour to show; more on a busy machine: until what has been begun is done."""
        give_time(seconds)
        end = time.monotonic() + SETTLING
        calm = 0
        while calm < 3 and time.monotonic() < end:
            calm = 0 if any(sessions.busy(i.p.pid, i.mark) for i in self.insts) else calm + 1
            give_time(0.02)

    def path(self, *p: str) -> str:
        return os.path.join(self.work, *p)

    def mkdir(self, *p: str) -> str:
        d = self.path(*p)
        os.makedirs(d, exist_ok=True)
        return d

    def write(self, name: str, text: str) -> str:
        """Write a text file in the scenario's directory; return its path."""
        with open(self.path(name), "w") as f:
            f.write(text)
        return self.path(name)

    def start(self, opts: list[Option], app: str | None, **kw: Any) -> Instance:
        """Start an instance with these options (without dashes), whose app has this source text."""
        i = Instance(self, opts, app, **kw)
        self.insts.append(i)
        return i

    def drop(
        self,
        d: str,
        name: str,
        *,
        vars: Pairs | dict[bytes, bytes] | None = None,
        body: bytes = b"",
        raw: bytes | None = None,
        mtime: float | None = None,
    ) -> str:
        """Put a spool file into directory `d` by hand, whole at once (another name, then rename)."""
        tmp = self.path(f".tmp-{name.replace('/', '_')}-{time.monotonic_ns()}")
        with open(tmp, "wb") as f:
            f.write(packet(vars if vars is not None else {b"n": name.encode()}) + body if raw is None else raw)
        if mtime is not None:
            os.utime(tmp, (mtime, mtime))
        dst = os.path.join(d, name)
        os.makedirs(os.path.dirname(dst), exist_ok=True)
        os.rename(tmp, dst)
        return dst

    def ls(self, d: str) -> list[str]:
        """Return the files under `d`, sorted, generated names made equal; a `.spoolsim` folder is not uWSGI's."""
        out = []
        for root, dirs, files in os.walk(d):
            dirs[:] = [x for x in dirs if x != ".spoolsim"]
            out += [os.path.relpath(os.path.join(root, f), d) for f in files]
        return sorted(NAME_RE.sub("<TASKFILE>", x) for x in out)

    def wait_left(self, d: str, n: int, timeout: float = 3) -> list[str]:
        """Wait until at most `n` files are left under `d`, then return what is left (see `ls`)."""
        wait(lambda: len(self.ls(d)) <= n, timeout)
        return self.ls(d)

    def shape(self, s: str) -> str:
        """Return a log line without what varies from run to run."""
        s = s.replace(self.work, "@W")
        s = re.sub(r"^(?:.*/)?[\w.-]+: (unrecognized|ambiguous|option)", r"uwsgi: \1", s)
        s = NAME_RE.sub("<TASKFILE>", s)
        s = re.sub(r"^\w{3} \w{3} +\d+ \d\d:\d\d:\d\d \d{4} - ", "<DATE> - ", s)
        s = re.sub(r"(pids?:? |with pid |pid: )\d+", r"\1<PID>", s)
        s = re.sub(r"on spooler \d+", "on spooler <PID>", s)
        s = re.sub(r"uWSGI spooler \d+", "uWSGI spooler <PID>", s)
        s = re.sub(r"written \d+ bytes", "written <N> bytes", s)
        s = re.sub(r"after \d+ seconds", "after <N> seconds", s)
        return re.sub(r"\[core/[a-z_]+\.c line \d+\]", "[<SRC>]", s)

    def normal(self, facts: Facts) -> Facts:
        """Return the facts as JSON would give them back, with this run's paths and generated names made equal."""
        text = NAME_RE.sub("<TASKFILE>", json.dumps(facts).replace(self.work, "@W"))
        out: Facts = json.loads(text)
        return out

    def logs(self) -> list[str]:
        """Return command line, exit status and log of every instance, in the order of their start."""
        out = []
        for i in self.insts:
            what = " ".join(i.argv)
            out.append(self.shape(f"$ {what}   -> {'running' if i.alive() else i.p.returncode}") + "\n" + i.log())
        return out

    def close(self) -> None:
        """Stop every instance and remove the directory."""
        try:
            for i in self.insts:
                i.stop()
        finally:
            shutil.rmtree(self.work, ignore_errors=True)


@dataclass
class Run:
    """What came of running a scenario on one side."""

    side: str
    facts: Facts | None = None
    #: Why there are no facts: this uWSGI cannot show it.
    unavailable: str | None = None
    #: Why there are no facts: the scenario's own program failed; a traceback.
    error: str | None = None
    logs: list[str] = field(default_factory=list)
    seconds: float = 0.0
    #: Processes that were alive a second after the master had ended in answer to SIGINT.
    left_after_stop: list[str] = field(default_factory=list)


def run_scenario(scenario: Scenario, launcher: Launcher) -> Run:
    """Run one scenario once. Whatever happens, its processes are ended and its directory removed."""
    run = Run(launcher.side)
    begun = time.monotonic()
    bench = Bench(launcher, scenario.need)
    try:
        if bench.real and scenario.need != "2.0":
            raise Unavailable(f"uWSGI {scenario.need} is not released")
        run.facts = bench.normal(scenario.run(bench))
    except Unavailable as e:
        run.unavailable = str(e)
    except Aborted:
        run.error = "the test run was broken off"
    except Exception:
        run.error = traceback.format_exc()
    finally:
        run.logs = bench.logs()
        bench.close()
    run.left_after_stop = [x for i in bench.insts for x in i.left_after_stop]
    run.seconds = time.monotonic() - begun
    return run
