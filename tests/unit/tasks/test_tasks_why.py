"""`why` in staged situations: real files, locks and journals; the first reason is what keeps the task now."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from spoolsim.spool.directory import SpoolDir
from spoolsim.spool.journal import Journal
from spoolsim.spool.names import PREFIX
from spoolsim.tasks import actions, select
from spoolsim.tasks.facts import Setting, gather
from spoolsim.tasks.listing import survey
from spoolsim.tasks.processes import Process
from spoolsim.tasks.spans import span
from spoolsim.tasks.where import Where
from spoolsim.tasks.why import Reason, explain
from tests.needs import need
from tests.oracle.packets import packet

NOW = time.time()
TASK = packet({b"user": b"42"})
NAME = f"{PREFIX}host_1_1_1_{int(NOW) - 90}_5"
MAIL = packet({b"ud_spool_func": b"mial", b"to": b"xeno"})
APP = "from uwsgidecorators import spool\n\n@spool\ndef mail(args): ...\n\n@spool\ndef report(args): ...\n"
OURS = Process(1, "spoolsim", 0)


class Stage:
    """A spool directory that a test sets up, and what `why` says of its one task."""

    def __init__(self, home: Path) -> None:
        self.home = home
        (home / "spool").mkdir()
        self.spool = SpoolDir.resolve("spool", start=str(home))
        self.setting = Setting()
        #: spoolers that are there; None: as /proc has them
        self.servers: list[Process] | None = [OURS]
        self.name = NAME

    def put(self, data: bytes = TASK, name: str = NAME, age: float = 90) -> str:
        self.name = name
        path = f"{self.spool.path}/{name}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        Path(path).write_bytes(data)
        os.utime(path, (time.time() - age,) * 2)
        return path

    def tried(self, outcome: str, why: str, times: int = 1) -> None:
        journal = Journal(self.spool)
        for _ in range(times):
            journal.add(self.name, outcome, 1000, why)
        journal.flush()

    def app(self, text: str = APP) -> None:
        (self.home / "jobs.py").write_text(text)
        os.utime(self.home / "jobs.py", (time.time() - 500,) * 2)
        self.setting = Setting(self.setting.ordered, ("jobs",), (str(self.home),))

    def why(self) -> list[Reason]:
        now = time.time()
        rows = survey([self.spool], ordered=self.setting.ordered, now=now, finished=True)
        (row,) = select.named(rows, Where((self.spool,), self.setting), [self.name])
        facts = gather(row, self.setting, now)
        if self.servers is not None:
            facts.servers = self.servers
        return explain(facts)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


Setup = Callable[[Stage], object]


def held(stage: Stage) -> None:
    stage.put()
    (row,) = survey([stage.spool], ordered=False, now=time.time())
    assert actions.hold(row).well


def removed(stage: Stage) -> None:
    stage.put()
    (row,) = survey([stage.spool], ordered=False, now=time.time())
    assert actions.remove(row, time.time()).well


def aside(stage: Stage, home: str, why: str) -> None:
    stage.put()
    state = stage.spool.make_state_dir(home)
    os.rename(f"{stage.spool.path}/{NAME}", f"{state}/{NAME}")
    Path(f"{state}/{NAME}.why").write_text(f"{stage.spool.path}/{NAME}\n{why}\n")


def unserved(stage: Stage, external: bool = False) -> None:
    stage.put()
    stage.servers = []
    stage.spool.external = external


def link(stage: Stage) -> None:
    target = stage.put(name="elsewhere")
    stage.name = NAME
    os.symlink(target, f"{stage.spool.path}/{NAME}")


def future_directory(stage: Stage) -> None:
    stage.setting = Setting(ordered=True)
    path = stage.put(name=f"5/{NAME}")
    os.utime(os.path.dirname(path), (time.time() + 7000,) * 2)


def done(stage: Stage) -> None:
    journal = Journal(stage.spool)
    journal.done(NAME, 2_000_000)
    journal.flush()


def function_missing(stage: Stage, tried: bool) -> None:
    stage.put(MAIL)
    if tried:
        stage.tried("retry", "raised KeyError: 'mial'")
    stage.app()


def changed(stage: Stage) -> None:
    stage.put()
    stage.app()
    stage.tried("retry", "raised ValueError: no")
    os.utime(stage.home / "jobs.py", (time.time() + 5,) * 2)


def delayed_after(stage: Stage, outcome: str, why: str, times: int) -> None:
    stage.put(age=-100)
    stage.tried(outcome, why, times)


#: situation -> (how it is set up, the codes of the reasons, what the first says and advises)
SITUATIONS: dict[str, tuple[Setup, list[str], list[str]]] = {
    "it is due": (lambda s: s.put(), ["due"], ["runs at the next scan", "one spooler serves"]),
    "nobody serves": (unserved, ["unserved"], ["No process serves", "Start `spoolsim run`"]),
    "another serves": (lambda s: unserved(s, True), ["external"], ["spooler-external", "Start that instance"]),
    "at": (lambda s: s.put(age=-3000), ["at"], ["due in 50 min", "`spoolsim retry` makes it due now"]),
    "at in milliseconds": (lambda s: s.put(age=-(10**12)), ["at-far"], ["given in milliseconds"]),
    "at is a word": (
        lambda s: s.put(packet({b"at": b"soon"})), ["at-not-a-number"], ["b'soon'", "uWSGI reads it as 73992"]
    ),
    "priority unordered": (
        lambda s: s.put(name=f"5/{NAME}"), ["priority-unordered"], ["has priority 5", "spooler-ordered = true"]
    ),
    "priority high": (
        lambda s: s.put(name=f"high/{NAME}"), ["priority-not-number"], ["'high' is not a number", "--priority N"]
    ),
    "priority high, ordered": (
        lambda s: (setattr(s, "setting", Setting(ordered=True)), s.put(name=f"high/{NAME}")),
        ["priority-not-number"],
        ["'high' is not a number"],
    ),
    "a number as name": (lambda s: s.put(name="17"), ["number-unordered"], ["Its name is a number"]),
    "another name": (lambda s: s.put(name="task1"), ["name"], ["'task1', does not begin with uwsgi_spoolfile_on_"]),
    "a link": (link, ["not-a-file"], ["a symbolic link", "Move the file itself here"]),
    "a directory": (lambda s: os.mkdir(f"{s.spool.path}/{NAME}"), ["not-a-file"], ["It is a directory"]),
    "a priority directory of the future": (future_directory, ["directory-future"], ["mtime 117 min ahead", "touch"]),
    "empty": (lambda s: s.put(b""), ["unfinished"], ["0 bytes", "spoolsim sweep --yes"]),
    "broken, not yet met": (lambda s: s.put(b"\x11\xff\xff\x00ab"), ["broken"], ["announces", "uWSGI deletes it"]),
    "returned None": (
        lambda s: (s.put(), s.tried("retry", "returned None instead of an int", 14)),
        ["returned"],
        ["returned None instead of an int, 14 times", "Return uwsgi.SPOOL_OK (-2)"],
    ),
    "asked for a retry": (
        lambda s: (s.put(), s.tried("retry", "", 2)), ["asked-retry"], ["asked for a retry, SPOOL_RETRY, twice"]
    ),
    "raised": (
        lambda s: (s.put(), s.tried("retry", "raised OSError: no route", 3)),
        ["raised"],
        ["raised OSError: no route (3 times)"],
    ),
    "ignored": (
        lambda s: (s.put(), s.tried("ignored", "returned SPOOL_IGNORE (0)")),
        ["ignored"],
        ["returned SPOOL_IGNORE (0), once"],
    ),
    "no handler": (
        lambda s: (s.put(), s.app(), s.tried("ignored", "has no handler: uwsgi.spooler was never set in this process")),
        ["no-handler"],
        ["uwsgi.spooler was never set", "The app's code has: mail, report"],
    ),
    "function missing, tried": (
        lambda s: function_missing(s, True), ["function-missing"], ["function mial", "report. The closest is mail"]
    ),
    "function missing, not tried": (
        lambda s: function_missing(s, False), ["function-missing"], ["mial", "The closest is mail", "edit --set"]
    ),
    "retry delay": (
        lambda s: delayed_after(s, "retry", "raised X", 2), ["retry-delay", "raised"], ["tried twice", "100 s more"]
    ),
    "poison": (
        lambda s: (s.put(), s.tried("died", "its spooler exited with status 9", 2)),
        ["poison"],
        ["kills the spooler", "its spooler exited with status 9, twice so far"],
    ),
    "poison, waiting": (
        lambda s: delayed_after(s, "died", "its spooler was killed by SIGKILL", 3),
        ["poison-delay", "poison"],
        ["killed its spooler 3 times"],
    ),
    "dead-lettered": (
        lambda s: aside(s, "failed", "raised X; tried 3 times"), ["dead-lettered"], ["3 times", "`spoolsim retry`"]
    ),
    "quarantined": (
        lambda s: aside(s, "broken", "an empty key at byte 4"), ["quarantined"], ["an empty key", "spoolsim rm"]
    ),
    "held": (held, ["held"], ["It is held", "`spoolsim release` brings it back"]),
    "removed": (removed, ["removed"], ["It was removed", "`spoolsim undo` brings it back"]),
    "done": (done, ["done"], ["It ran and is done", "Nothing to do"]),
    "the app changed": (changed, ["raised", "app-changed"], ["raised ValueError: no (once)"]),
}  # fmt: skip


@pytest.mark.parametrize("situation", SITUATIONS)
def test_why(stage: Stage, situation: str) -> None:
    """Each situation has its reasons, in their order, and what to do."""
    if situation == "at in milliseconds":
        need("late-times")
    set_up, codes, told = SITUATIONS[situation]
    stage.name = NAME
    set_up(stage)
    found = stage.why()
    assert [reason.code for reason in found] == codes, [reason.line() for reason in found]
    for text in told:
        assert text in found[0].line()
    assert all(reason.line().endswith(".") and "\n" not in reason.line() for reason in found)


def test_the_app_that_changed_is_named(stage: Stage) -> None:
    """The file, and what to do."""
    changed(stage)
    assert "jobs.py" in stage.why()[1].text
    assert "`spoolsim retry`" in stage.why()[1].advice


def test_max_attempts_are_told(stage: Stage) -> None:
    """Where a limit is set, what comes of it."""
    stage.put()
    stage.tried("retry", "raised X", 2)
    stage.setting = Setting(max_attempts=5)
    assert "at 5 attempts it goes to .spoolsim/failed/" in stage.why()[0].text


HOLD = "import fcntl, sys; f = open(sys.argv[1], 'r+b'); fcntl.lockf(f, fcntl.LOCK_EX); print(flush=True); input()"


@pytest.fixture
def holder(stage: Stage) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """`holder(code)`: another process that has opened the task, and locked it by `code`."""
    started: list[subprocess.Popen[str]] = []

    def start(path: str) -> subprocess.Popen[str]:
        code = (
            "import fcntl, sys; f = open(sys.argv[1], 'r+b'); fcntl.lockf(f, fcntl.LOCK_EX); print(flush=True); input()"
        )
        command = [sys.executable, "-c", code, path]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        process.stdout.readline()
        return process

    yield start
    for process in started:
        process.communicate("")


def test_another_process_has_it_locked(stage: Stage, holder: Callable[[str], subprocess.Popen[str]]) -> None:
    """It is named, and that it is not a spooler."""
    process = holder(stage.put())
    (reason,) = stage.why()
    assert reason.code == "locked"
    assert f"Process {process.pid} (python" in reason.text
    assert "not a spooler" in reason.text


def test_a_producer_that_writes_is_named(stage: Stage, holder: Callable[[str], subprocess.Popen[str]]) -> None:
    """An empty file that is locked is being written."""
    process = holder(stage.put(b""))
    assert [(reason.code, reason.text.split()[1]) for reason in stage.why()] == [("being-written", str(process.pid))]


def test_a_file_that_a_spooler_may_not_write_to(stage: Stage) -> None:
    """The spooler runs as another user than the one the file belongs to."""
    path = stage.put()
    os.chmod(path, 0o600)
    stage.servers = None
    now = time.time()
    (row,) = survey([stage.spool], ordered=False, now=now)
    from spoolsim.tasks import facts as gathering

    other = Process(4711, "spoolsim", os.getuid() + 1)
    assert gathering._refuses(path, other)
    facts = gather(row, Setting(), now)
    facts.servers, facts.refused = [other], [other]
    (reason,) = explain(facts)
    assert reason.code == "other-user"
    assert f"belongs to user {os.getuid()}; spooler 4711 runs as user {os.getuid() + 1}" in reason.text
    os.chmod(path, 0o666)
    assert not gathering._refuses(path, other)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.012, "12 ms"),
        (5, "5 s"),
        (119, "119 s"),
        (600, "10 min"),
        (9000, "2 h"),
        (200_000, "2 days"),
        (1e9, "32 years"),
    ],
)
def test_spans(seconds: float, text: str) -> None:
    """A span of time for people."""
    assert span(seconds) == text
