"""`run --inline`: one process, in the foreground; draining, exit statuses, bad input."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pexpect
import pytest

from spoolsim.spool.names import PREFIX
from tests.conftest import Spawn, Spawned, poll_until
from tests.oracle.packets import packet
from tests.oracle.sessions import sleeps

RUN = [sys.executable, "-m", "spoolsim", "run", "--inline"]

#: a task runs its variable `code` and returns what that leaves in `result`
APP = """
import os, sys, time
import uwsgi

def note(*words):
    fd = os.open(os.environ["NOTES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(fd, (" ".join(map(str, words)) + "\\n").encode())
    os.close(fd)

def spooler(env):
    names = {"env": env, "result": uwsgi.SPOOL_OK}
    code = env.get(b"code", b"note(env['spooler_task_name'].decode())")
    exec(compile(code, "<task>", "exec"), globals(), names)  # exec of a text marks a KeyboardInterrupt as unhandled
    return names["result"]

uwsgi.spooler = spooler
"""


class Place:
    """A directory with an app and a spool, in which spoolsim is run."""

    def __init__(self, path: Path, spawn: Spawn) -> None:
        self.path = path
        self.spool = path / "spool"
        self._spawn = spawn
        self.spool.mkdir()
        (path / "app.py").write_text(APP)

    def task(self, name: str, code: str = "", *, mtime: float | None = None) -> Path:
        """A task that runs this code; its file."""
        pairs = {b"code": textwrap.dedent(code).encode()} if code else {}
        return self.file(name, packet(pairs), mtime=mtime)

    def file(self, name: str, data: bytes, *, mtime: float | None = None) -> Path:
        path = self.spool / (PREFIX + name)
        path.write_bytes(data)
        if mtime is not None:
            os.utime(path, (mtime, mtime))
        return path

    def start(
        self,
        *options: str,
        wrap: list[str] | None = None,
        cwd: Path | None = None,
        inline: bool = True,
        **env: str,
    ) -> Spawned:
        """`run --inline`, or `run` alone, with options of its own alone."""
        environ = {**os.environ, "NOTES": str(self.path / "notes"), **env}
        run = RUN if inline else RUN[:-1]
        return self._spawn([*(wrap or []), *run, *options], cwd=cwd or self.path, env=environ)

    def serve(self, *options: str, **how: object) -> Spawned:
        """`run --inline` of this place's spool and app."""
        return self.start("--spooler", "spool", "--import", "app", *options, **how)

    def drain(self, *options: str, **how: object) -> tuple[int, str]:
        """Drain it: exit status and output."""
        process = self.serve("--drain", *options, **how)
        status = process.wait_exit(30)
        return status, process.output()

    def unread(self, *options: str, **env: str) -> str:
        """Run it with a standard output that nobody reads; what went to standard error."""
        reader, writer = os.pipe()
        os.close(reader)
        environ = {**os.environ, "NOTES": str(self.path / "notes"), **env}
        try:
            done = subprocess.run(
                [*RUN, *options],
                check=False,
                cwd=self.path,
                env=environ,
                stdout=writer,
                stderr=subprocess.PIPE,
                timeout=300,
            )
        finally:
            os.close(writer)
        return done.stderr.decode()

    def notes(self) -> list[str]:
        path = self.path / "notes"
        return path.read_text().splitlines() if path.exists() else []

    def left(self) -> list[str]:
        return sorted(name.removeprefix(PREFIX) for name in os.listdir(self.spool) if name.startswith(PREFIX))

    def broken(self, name: str) -> tuple[bytes, list[str]]:
        """A file that was set aside, and the lines of its reason."""
        path = self.spool / ".spoolsim" / "broken" / (PREFIX + name)
        return path.read_bytes(), Path(f"{path}.why").read_text().splitlines()


@pytest.fixture
def place(tmp_path: Path, spawn: Spawn) -> Place:
    return Place(tmp_path.resolve(), spawn)


def one_line(output: str, *words: str) -> str:
    """The one line that has all of these words."""
    found = [line for line in output.splitlines() if all(word in line for word in words)]
    assert len(found) == 1, (words, output)
    return found[0]


# ---- draining --------------------------------------------------------------------------------------------------------


def test_a_drained_spool_ends_with_0(place: Place):
    """When every due task is done the status is 0, and nothing is left."""
    names = [place.task(str(number)).name for number in range(5)]
    status, output = place.drain()
    assert (status, place.left(), sorted(place.notes())) == (0, [], sorted(names)), output
    one_line(output, "drained: 0 due left, 0 for later")


def test_what_is_left_is_listed_with_its_reason_and_ends_with_1(place: Place):
    """Tasks that will come back are listed, each with what its handler did; the status is 1."""
    place.task("none", "result = None")
    place.task("true", "result = True")
    place.task("zero", "result = 0")
    place.task("retry", "result = uwsgi.SPOOL_RETRY")
    place.task("error", "raise ValueError('no such user')")
    place.task("exit", "sys.exit(3)")
    place.file("empty", b"")
    place.task("good")
    status, output = place.drain()
    assert status == 1, output
    assert place.notes() == [f"{PREFIX}good"]
    assert place.left() == ["empty", "error", "exit", "none", "retry", "true", "zero"]
    for name, reason in {
        "none": "returned None",
        "true": "returned True",
        "zero": "returned SPOOL_IGNORE (0)",
        "retry": "asked to be retried",
        "error": "raised ValueError: no such user",
        "exit": "called sys.exit(3)",
        "empty": "0 bytes",
    }.items():
        assert reason in one_line(output, "left: ", PREFIX + name)
    one_line(output, "drained: 7 due left, 0 for later")


def test_future_tasks_are_listed_and_do_not_count(place: Place):
    """A task for later is listed with its time, is not run, and leaves the status 0."""
    later = time.time() + 3600
    place.task("later", mtime=later)
    place.task("now")
    status, output = place.drain()
    assert (status, place.left(), place.notes()) == (0, ["later"], [f"{PREFIX}now"])
    seconds = re.search(r"due in (\d+) s", one_line(output, "future: ", f"{PREFIX}later"))
    assert seconds and 3600 - 60 <= int(seconds[1]) <= 3600


def test_drain_goes_on_while_tasks_finish(place: Place):
    """What a task enqueues still runs, also where that task fails; and a task that fails is tried once."""
    child = "uwsgi.spool({b'code': b\"note('%s'); result = uwsgi.SPOOL_OK\"}); "
    place.task("chain", child % "child")
    place.task("fails", child % "orphan" + "note('try'); result = None")
    status, output = place.drain()
    assert (status, place.left()) == (1, ["fails"]), output
    assert sorted(place.notes()) == ["child", "orphan", "try"]


def test_burst_is_the_same_as_drain(place: Place):
    """`--burst` ends by itself too, with the same statuses."""
    place.task("good")
    process = place.serve("--burst")
    assert process.wait_exit(30) == 0
    assert place.left() == []


def test_priorities_without_ordered_are_listed_as_unreached(place: Place):
    """Without spooler-ordered a priority task is never run; it is listed with the reason, and counts as left."""
    (place.spool / "3").mkdir()
    (place.spool / "3" / f"{PREFIX}deep").write_bytes(packet())
    status, output = place.drain()
    assert (status, place.notes()) == (1, [])
    assert "spooler-ordered" in one_line(output, "left: ", f"3/{PREFIX}deep")
    status, output = place.drain("--spooler-ordered")
    assert (status, place.notes()) == (0, [f"{PREFIX}deep"]), output


@pytest.mark.parametrize("options", [[], ["--spooler-ordered"]])
def test_a_priority_that_is_no_number_is_said_and_left(place: Place, options: list[str]):
    """No spooler ever enters `high/`: enqueue says so, and a drain lists the task with the reason and ends with 1."""
    enqueue = [sys.executable, "-m", "spoolsim", "enqueue", "--spooler", "spool", "--priority", "high", "a=1"]
    made = subprocess.run(enqueue, cwd=place.path, check=True, capture_output=True, text=True, timeout=300)
    assert "b'high'" in one_line(made.stderr, "(priority-not-number)")
    status, output = place.drain(*options)
    assert (status, place.notes()) == (1, []), output
    assert "not all digits" in one_line(output, "left: ", f"high/{Path(made.stdout).name.strip()}")


@pytest.mark.parametrize("inline", [True, False], ids=["inline", "processes"])
@pytest.mark.parametrize("more", [[], ["--faithful"]])
def test_lazy_apps_loads_nothing_before_the_fork(place: Place, inline: bool, more: list[str]):
    """With lazy-apps the spooler has no function, as in uWSGI, inline too; from shared-import it has."""
    task = place.task("waits")
    process = place.start("--drain", "--spooler", "spool", "--import", "app", "--lazy-apps", *more, inline=inline)
    assert process.wait_exit(30) == 1
    assert "unable to find the spooler function" in process.output()
    assert place.left() == ["waits"]
    shared = ("--drain", "--spooler", "spool", "--shared-import", "app", "--lazy-apps", *more)
    assert place.start(*shared, inline=inline).wait_exit(30) == 0
    assert place.notes() == [task.name]


@pytest.mark.parametrize("mount", ["/=app.py", "/shop=app:spooler"])
def test_a_mounted_app_is_loaded(place: Place, mount: str):
    """As uWSGI does, with or without a socket: its handler runs; a mount that names no app for Python is said."""
    task = place.task("runs")
    with (place.path / "app.py").open("a") as app:
        app.write("application = spooler\n")
    process = place.start("--drain", "--spooler", "spool", "--mount", mount, "--mount", "/other=place")
    assert process.wait_exit(30) == 0, process.output()
    assert place.notes() == [task.name]
    one_line(process.output(), "not run here: mount = /other=place (command line)")


def test_every_directory_is_drained(place: Place):
    """Two spoolers in one process: both are drained, and both are in the list of what is left."""
    place.task("one")
    other = place.path / "other"
    other.mkdir()
    (other / f"{PREFIX}two").write_bytes(packet())
    (other / f"{PREFIX}three").write_bytes(packet({b"code": b"result = None"}))
    status, output = place.drain("--spooler", "other")
    assert (status, place.left(), sorted(place.notes())) == (1, [], [f"{PREFIX}one", f"{PREFIX}two"])
    one_line(output, "left: ", str(other / f"{PREFIX}three"))


def test_a_faithful_drain_ends_when_its_directory_goes(place: Place):
    """uWSGI would come back forever; --drain is ours, and ends with 1 and the directory's name."""
    place.task("goes", f"import shutil; shutil.rmtree({str(place.spool)!r})")
    process = place.start("--drain", "--faithful", "--spooler", "spool", "--import", "app", inline=False)
    assert process.wait_exit(30) == 1, process.output()
    assert "cannot be read" in one_line(process.output(), "left: ", f" {place.spool}: ")
    assert "Traceback" not in process.output()


# ---- usage and configuration -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--spooler-orderd"], ["--spooler-orderd", "--spooler-ordered"]),
        (["--ini", "absent.ini"], ["absent.ini"]),
        (["--spooler"], ["--spooler"]),
        (["--silence", "busy-weight"], ["busy-weight", "busy-wait"]),
        (["--env", "=x"], ["env", "=x"]),
        (["--max-attempts", "x"], ["max-attempts", "'x'"]),
        (["--max-body", "-1"], ["max-body", "'-1'"]),
    ],
)
def test_what_is_not_understood_ends_with_2(place: Place, options: list[str], words: list[str]):
    """An unknown option, a bad value or a missing file is one line that names it; nothing runs."""
    place.task("waits")
    status, output = place.drain(*options)
    assert status == 2, output
    one_line(output, *words)
    assert len(output.splitlines()) == 1
    assert place.left() == ["waits"]


@pytest.mark.parametrize("inline", [True, False], ids=["inline", "processes"])
@pytest.mark.parametrize(
    ("options", "words"),
    [([], ["no spooler option"]), (["--spooler-external", "spool"], ["spooler-external"])],
)
def test_nothing_to_serve_is_said(place: Place, options: list[str], words: list[str], inline: bool):
    """Without a directory to serve a drain ends with 2 in one line; a run says the same, and waits."""
    (place.path / "only.ini").write_text("[uwsgi]\nimport = app\n")
    (place.path / "uwsgi.ini").write_text("[uwsgi]\nspooler = spool\n")  # not looked for: a file was named
    process = place.start("only.ini", "--drain", *options, inline=inline)
    assert process.wait_exit(30) == 2
    (line,) = process.output().splitlines()
    assert one_line(line, "nothing to serve", *words)
    waits = place.start("only.ini", *options, inline=inline)
    waits.wait_output("nothing to serve")
    poll_until(lambda: "spawned uWSGI master" in waits.output() or "inline-cwd" in waits.output(), 20, "the start")
    assert waits.stop() == (130 if inline else 0)


@pytest.mark.parametrize("options", [[], ["--faithful"]])
def test_an_empty_spooler_is_not_this_directory(place: Place, options: list[str]):
    """`spooler =` ends with 1 in one line, as in uWSGI; a task in the working directory stays."""
    (place.path / f"{PREFIX}here").write_bytes(packet())
    process = place.start("--drain", "--spooler=", "--import", "app", *options)
    assert process.wait_exit(30) == 1
    (line,) = process.output().splitlines()
    assert "[spooler directory] access(): No such file or directory" in line if options else "its name is empty" in line
    assert (place.path / f"{PREFIX}here").exists()


def test_env_sets_and_unsets(place: Place):
    """KEY=VALUE sets a variable, with more = in it too; KEY alone takes it out, as uWSGI does."""
    place.task("looks", "note([os.environ.get(name) for name in ('SET', 'EMPTY', 'GONE')])")
    options = [word for pair in ("SET=a=b", "EMPTY=", "GONE", "NEVER_THERE") for word in ("--env", pair)]
    status, output = place.drain(*options, GONE="there")
    assert (status, place.notes()) == (0, ["['a=b', '', None]"]), output


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_is_printed_and_may_be_cut_off(place: Place, option: str):
    """`run -h` is the help, as uWSGI's is; `| head -1` ends it without a traceback."""
    process = place.start(option)
    assert process.wait_exit(30) == 0
    assert process.output().startswith("Usage: spoolsim run")
    assert "--spooler-frequency" in process.output()
    assert "Traceback" not in place.unread(option)


def test_output_that_nobody_reads_is_no_traceback(place: Place):
    """What the tasks printed cannot be written at the end: they are done all the same."""
    place.task("prints", "print('to nobody')")
    output = place.unread("--drain", "--spooler", "spool", "--import", "app", PYTHONUNBUFFERED="")
    assert "drained: 0 due left" in output
    assert "Traceback" not in output and "Exception ignored" not in output
    assert place.left() == []


@pytest.mark.parametrize("inline", [True, False], ids=["inline", "processes"])
def test_a_drain_on_a_terminal_shows_how_far_it_is(place: Place, inline: bool):
    """A bar with the tasks that are done; inline no thread draws it, and the cursor is left for a debugger."""
    for number in range(3):
        place.task(str(number), "import threading; note(threading.active_count())")
    run = RUN if inline else RUN[:-1]
    environ = {**os.environ, "NOTES": str(place.path / "notes"), "TERM": "xterm"}
    environ.pop("NO_COLOR", None)
    argv = [*run[1:], "--drain", "--spooler", "spool", "--import", "app"]
    child = pexpect.spawn(run[0], argv, cwd=place.path, env=environ, encoding="utf-8", timeout=300)
    child.expect("0/3")
    assert not inline or child.expect(re.escape("\x1b[?25h")) == 0
    child.expect("3/3")
    child.expect("drained: 0 due left")
    child.expect(pexpect.EOF)
    child.close()
    assert (child.exitstatus, place.notes()) == (0, ["1"] * 3)


def test_what_is_not_run_here_is_named_with_its_places(place: Place):
    """By the name that the file uses, each name once with all its lines; what has no effect is not named."""
    lines = ["cron = 1 -1 -1 -1 -1 date", "http = :8080", "mule = m.py", "cron = 2 -1 -1 -1 -1 @(exec://touch no)"]
    (place.path / "uwsgi.ini").write_text("[uwsgi]\nspooler = spool\nimport = app\n" + "\n".join(lines) + "\n")
    process = place.start("--drain", "uwsgi.ini", "--attach-daemon", "sleep 9", "--http-timeout", "3")
    assert process.wait_exit(30) == 0, process.output()
    line = one_line(process.output(), "not run here: ")
    assert line.endswith("attach-daemon (command line), cron (uwsgi.ini:4, 7), mule (uwsgi.ini:6)"), line
    assert not (place.path / "no").exists()


def test_a_condition_that_is_none_is_said(place: Place):
    """uWSGI has if-dir, if-not-dir and if-directory, but no if-not-directory: what it should guard always counts."""
    (place.path / "uwsgi.ini").write_text(
        f"[uwsgi]\nspooler = spool\nimport = app\nif-not-directory = {place.spool}\nspooler-quiet = true\nendif =\n"
    )
    process = place.start("--drain", "uwsgi.ini")
    assert process.wait_exit(30) == 0, process.output()
    one_line(process.output(), "if-not-directory (uwsgi.ini:4)", "the lines up to endif always count")


def test_configuration_is_looked_for_in_order(place: Place):
    """pyproject.toml with our table comes before spoolsim.ini, that before uwsgi.ini; which one is said."""
    for name in ("a", "b", "c"):
        (place.path / name).mkdir()
        (place.path / name / f"{PREFIX}{name}").write_bytes(packet())
    toml = place.path / "pyproject.toml"
    toml.write_text('[tool.spoolsim]\nspooler = "a"\nimport = "app"\n')
    (place.path / "spoolsim.ini").write_text("[uwsgi]\nspooler = b\nimport = app\n")
    (place.path / "uwsgi.ini").write_text("[uwsgi]\nspooler = c\nimport = app\n")
    for file, name in (("pyproject.toml", "a"), ("spoolsim.ini", "b"), ("uwsgi.ini", "c")):
        process = place.start("--drain")
        assert process.wait_exit(30) == 0, process.output()
        assert file in one_line(process.output(), "[spoolsim] configuration: ")
        assert place.notes()[-1] == f"{PREFIX}{name}"
        if file == "pyproject.toml":
            toml.write_text("[tool.other]\nkey = 1\n")  # there, but not for us
        else:
            (place.path / file).unlink()
    assert [name for name in "abc" if (place.path / name / f"{PREFIX}{name}").exists()] == []


def test_with_no_configuration_a_working_one_is_shown(place: Place):
    """With nothing to run the status is 2, and the three lines that are printed work as they are."""
    empty = place.path / "empty"
    empty.mkdir()
    process = place.start("--drain", cwd=empty)
    assert process.wait_exit(30) == 2
    assert all(name in process.output() for name in ("pyproject.toml", "spoolsim.ini", "uwsgi.ini"))
    ini = [line.strip() for line in process.output().splitlines() if line.startswith("    ")]
    assert ini[0] == "[uwsgi]"
    assert len(ini) == 3
    (empty / "uwsgi.ini").write_text("\n".join(ini) + "\n")
    module = next(line.split("=")[1].strip() for line in ini if line.startswith("import"))
    (empty / f"{module}.py").write_text(APP)
    spool = next(line.split("=")[1].strip() for line in ini if line.startswith("spooler"))
    (empty / spool).mkdir()
    (empty / spool / f"{PREFIX}task").write_bytes(packet())
    process = place.start("--drain", cwd=empty)
    assert process.wait_exit(30) == 0, process.output()
    assert place.notes() == [f"{PREFIX}task"]


# ---- the process -----------------------------------------------------------------------------------------------------


def test_a_keyboard_interrupt_of_the_handlers_own_is_an_outcome(place: Place):
    """A handler that raises KeyboardInterrupt itself is retried, the tasks behind it run, and the status is not 130."""
    place.task("raises", "raise KeyboardInterrupt")
    place.task("good")
    status, output = place.drain()
    assert (status, place.left(), place.notes()) == (1, ["raises"], [f"{PREFIX}good"])
    assert "KeyboardInterrupt" in one_line(output, "left: ", f"{PREFIX}raises")


@pytest.mark.parametrize(
    "code",
    [
        "time.sleep(60)",
        "import asyncio; asyncio.run(asyncio.sleep(60))",
        "import subprocess; subprocess.run(['sleep', '60'])",
        """
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            pass  # a handler that would not be stopped
        """,
    ],
    ids=["sleep", "asyncio", "subprocess", "caught"],
)
def test_ctrl_c_during_a_task_stops(place: Place, code: str):
    """A real SIGINT ends the run with 130, whatever the handler was doing, and the next task is not begun."""
    for name in ("one", "two"):
        place.task(name, "note('began')\n" + textwrap.dedent(code))
    process = place.serve("--drain")
    poll_until(place.notes, 20, "the first task")
    poll_until(lambda: sleeps(process.pid), 20, "the task to wait")
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait_exit(20) == 130, process.output()
    assert place.notes() == ["began"]
    assert len(place.left()) >= 1
    process.assert_nothing_left()


def test_ctrl_c_while_idle_stops(place: Place):
    """Waiting for tasks, a SIGINT ends the run with 130, without a traceback."""
    process = place.serve()
    place.task("first")
    poll_until(place.notes, 20, "the first task")
    process.stop(signal.SIGINT)
    assert process.wait_exit() == 130
    assert "Traceback" not in process.output()


def test_a_task_that_comes_while_idle_runs_at_once(place: Place):
    """Waiting with a poll of ten minutes, a task dropped into the directory and one by enqueue run without it."""
    process = place.serve("--spooler-frequency", "600")
    process.wait_output("spawned the uWSGI spooler")
    for number in range(3):
        place.task(f"drop{number}")
        poll_until(lambda number=number: f"{PREFIX}drop{number}" in place.notes(), 20, "the dropped task")
    enqueue = [sys.executable, "-m", "spoolsim", "enqueue", "--spooler", str(place.spool), "k=v", "--priority", "3"]
    subprocess.run(enqueue, check=True, capture_output=True, timeout=300)
    assert process.stop() == 130
    assert [path.parent.name for path in place.spool.rglob(f"{PREFIX}*")] == ["3"]


def test_the_process_is_left_as_it_is(place: Place):
    """stdin, nice, umask, working directory and signal handlers are those that the process was started with."""
    place.task(
        "looks",
        """
        import signal
        umask = os.umask(0); os.umask(umask)
        note(os.getcwd()); note(os.nice(0)); note(umask); note(sys.stdin.readline().strip())
        for s in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP):
            note(signal.getsignal(s) in (signal.SIG_DFL, signal.default_int_handler))
        """,
    )
    (place.path / "stdin").write_text("typed\n")
    shell = 'umask 0027; exec nice -n 3 "$@" < stdin'
    status, output = place.drain(wrap=["sh", "-c", shell, "sh"])
    assert status == 0, output
    assert place.notes() == [str(place.path), str(os.nice(0) + 3), str(0o027), "typed", *["True"] * 4]
    one_line(output, "inline-cwd")


@pytest.mark.parametrize("inline", [True, False], ids=["inline", "processes"])
@pytest.mark.parametrize("flag", ["", "-E", "-I"])
def test_children_of_a_task_find_uwsgi(place: Place, flag: str, inline: bool):
    """A spawned multiprocessing child and a plain Python subprocess of a task can import uwsgi and spool.

    Also where Python runs us isolated: what `-I` and `-E` keep out of our own process its children are given.
    """
    place.task(
        "parent",
        """
        import multiprocessing, subprocess
        import children
        child = multiprocessing.get_context('spawn').Process(target=children.spool, args=('spawned',))
        child.start(); child.join(300)
        note('status', child.exitcode)
        subprocess.run([sys.executable, '-c', 'import children; children.spool("run")'], check=True)
        """,
    )
    (place.path / "children.py").write_text(
        "def spool(name):\n"
        "    import uwsgi\n"
        "    assert uwsgi.spooler_jobs() is not None\n"
        "    uwsgi.spool({b'code': f\"note('child {name}')\".encode()})\n"
    )
    argv = [sys.executable, *([flag] if flag else []), "-m", "spoolsim", "run", *(["--inline"] if inline else [])]
    argv += ["--drain", "--spooler", "spool", "--import", "app", "--pythonpath", str(place.path)]
    environ = {**os.environ, "NOTES": str(place.path / "notes"), "PYTHONPATH": str(place.path)}
    done = subprocess.run(argv, check=False, cwd=place.path, env=environ, capture_output=True, text=True, timeout=300)
    assert (done.returncode, place.left()) == (0, []), done.stderr
    assert sorted(place.notes()) == ["child run", "child spawned", "status 0"]


def test_a_uwsgi_py_of_the_apps_own_is_named_and_not_imported(place: Place):
    """An app directory with its own uwsgi.py: the real module's stand-in is imported, and the file is named."""
    own = place.path / "uwsgi.py"
    own.write_text("raise RuntimeError('the wrong module')\n")
    place.task("good")
    status, output = place.drain()
    assert (status, place.notes()) == (0, [f"{PREFIX}good"]), output
    assert "rename the file" in one_line(output, str(own))


# ---- bad input -------------------------------------------------------------------------------------------------------


def test_malformed_files_are_set_aside_or_left_and_the_rest_runs(place: Place):
    """Whatever lies in the spool is named in one line, kept, and does not stop the good tasks around it."""
    place.task("a")
    place.file("empty", b"")
    place.file("short", b"\x11\x00\x00")
    place.file("truncated", b"\x11\xff\x00\x00\x01\x00k")
    place.file("garbage", b"\x11\x08\x00\x00" + b"\xff" * 8 + b"body")
    place.file("modifier", packet(modifier1=5, modifier2=9))
    place.file("wide", b"")
    os.truncate(place.spool / f"{PREFIX}wide", 1 << 43)  # more than any memory
    os.symlink("/etc/hostname", place.spool / f"{PREFIX}link")
    os.symlink("nowhere", place.spool / f"{PREFIX}dangling")
    (place.spool / f"{PREFIX}directory").mkdir()
    os.mkfifo(place.spool / f"{PREFIX}fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        fd = os.open(place.spool, os.O_RDONLY | os.O_DIRECTORY)
        listener.bind(f"/proc/self/fd/{fd}/{PREFIX}socket")  # a path of any length
        os.close(fd)
    place.task("z")
    status, output = place.drain()
    assert status == 1
    assert sorted(place.notes()) == [f"{PREFIX}a", f"{PREFIX}modifier", f"{PREFIX}z"], output
    assert place.left() == ["dangling", "directory", "empty", "fifo", "link", "short", "socket"]
    for name in ("link", "dangling", "directory", "fifo", "socket"):
        one_line(output, str(place.spool / f"{PREFIX}{name} "), "never runs")
    for name in ("empty", "short"):
        one_line(output, "left: ", PREFIX + name)
    for name, data, reason in (
        ("truncated", b"\x11\xff\x00\x00\x01\x00k", "announces 255 bytes"),
        ("garbage", b"\x11\x08\x00\x00" + b"\xff" * 8 + b"body", "key at byte 4"),
    ):
        kept, why = place.broken(name)
        assert (kept, why[0]) == (data, str(place.spool / f"{PREFIX}{name}"))
        assert reason in why[1]
        assert reason in one_line(output, "[production]", f"{PREFIX}{name}:")
    one_line(output, "[production]", f"{PREFIX}wide:")
    assert (place.spool / ".spoolsim" / "broken" / f"{PREFIX}wide").stat().st_size == 1 << 43


#: starts a program as a root whom permissions bind, too (or as whoever runs the tests)
NO_OVERRIDE = [
    sys.executable,
    "-c",
    "import ctypes, os, sys; [ctypes.CDLL(None).prctl(24, cap) for cap in (1, 2)]; os.execv(sys.argv[1], sys.argv[1:])",
]


def test_an_unreadable_file_is_named_and_kept(place: Place):
    """A task that this user cannot read, or not write, is named in one line and kept; the others run."""
    place.task("secret").chmod(0o000)
    place.task("readonly").chmod(0o400)
    place.task("good")
    status, output = place.drain(wrap=NO_OVERRIDE)
    assert (status, place.notes(), place.left()) == (1, [f"{PREFIX}good"], ["readonly", "secret"]), output
    one_line(output, str(place.spool / f"{PREFIX}secret "), "unreadable")
    one_line(output, str(place.spool / f"{PREFIX}readonly "), "unreadable")


@pytest.mark.parametrize("kind", ["no parent", "a file", "unwritable", "dangling link"])
def test_a_spool_directory_that_cannot_be_used_is_named(place: Place, kind: str):
    """A directory that cannot be made, read or written ends the run with 1 and one line that names it."""
    path = place.path / "bad"
    if kind == "no parent":
        path = path / "below"
    elif kind == "a file":
        path.write_text("")
    elif kind == "unwritable":
        path.mkdir(0o500)
    else:
        path.symlink_to("nowhere/at/all")
    process = place.start("--drain", "--spooler", str(path), "--import", "app", wrap=NO_OVERRIDE)
    assert process.wait_exit(30) == 1
    (line,) = process.output().splitlines()
    assert f"spooler directory {path}" in line


def test_a_missing_spool_directory_is_made(place: Place):
    """A missing directory whose parent is there is made with mode 0750, less the umask."""
    path = place.path / "new"
    process = place.start(
        "--drain", "--spooler", "new", "--import", "app", wrap=["sh", "-c", 'umask 0002; exec "$@"', "sh"]
    )
    assert process.wait_exit(30) == 0, process.output()
    assert path.stat().st_mode & 0o777 == 0o750


GOES = {
    "removed": "os.path.exists(spool) and shutil.rmtree(spool)",
    "renamed": "os.path.exists(spool) and os.rename(spool, spool + '-away')",
    "a file": "os.path.isdir(spool) and (shutil.rmtree(spool), open(spool, 'w').close())",
    "unreadable": "os.chmod(spool, 0)",
}


@pytest.mark.parametrize("inline", [True, False], ids=["inline", "processes"])
@pytest.mark.parametrize("how", list(GOES))
def test_a_directory_that_goes_while_draining_is_named(place: Place, how: str, inline: bool):
    """When its spool directory goes the drain ends with 1 and the directory's name: nobody knows what was left."""
    for name in ("one", "two", "three"):
        place.task(name, f"note('ran'); import shutil; spool = {str(place.spool)!r}\n" + GOES[how])
    process = place.start("--drain", "--spooler", "spool", "--import", "app", wrap=NO_OVERRIDE, inline=inline)
    status = process.wait_exit(30)
    place.spool.chmod(0o700) if place.spool.exists() else None
    assert place.notes()[0] == "ran"
    assert "spoolsim/" not in process.output().replace(str(place.path), ""), process.output()
    assert status == 1, process.output()
    assert "cannot be read" in one_line(process.output(), "left: ", f" {place.spool}: ")
    one_line(process.output(), "directory-gone")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import nowhere_to_be_found\n", ["ModuleNotFoundError", "nowhere_to_be_found"]),
        ("raise RuntimeError('not today')\n", ["RuntimeError", "not today"]),
        ("def broken(:\n", ["SyntaxError"]),
        ("import sys; sys.exit(4)\n", ["sys.exit(4)"]),
    ],
    ids=["missing", "raises", "syntax", "exits"],
)
def test_an_app_that_fails_to_import_is_named_and_nothing_is_lost(place: Place, text: str, words: list[str]):
    """An import that fails ends the run with 1 and one line that names option and error; the tasks stay."""
    place.task("waits")
    (place.path / "app.py").write_text(text)
    status, output = place.drain()
    assert status == 1, output
    one_line(output, "[spoolsim]", "import = app", *words)
    assert "if the module calls sys.exit, uWSGI exits" in one_line(output, "(import-failed)")
    assert place.left() == ["waits"]


def test_a_handlers_traceback_has_no_frames_of_ours(place: Place):
    """What a handler raises is printed as Python prints it, from the handler's own frame on."""
    place.task("raises", "raise LookupError('gone')")
    status, output = place.drain()
    assert status == 1
    trace = output[output.index("Traceback") :]
    files = re.findall(r'File "([^"]+)"', trace)
    assert files == [str(place.path / "app.py"), "<task>"]


def test_a_missing_handler_is_said_once(place: Place):
    """An app that sets no uwsgi.spooler: its tasks stay, each with the reason, and uWSGI's own line is there."""
    (place.path / "app.py").write_text("import uwsgi\n")
    place.task("waits")
    status, output = place.drain()
    assert (status, place.left()) == (1, ["waits"])
    assert "uwsgi.spooler was never set" in one_line(output, "left: ", f"{PREFIX}waits")
    assert output.count("unable to find the spooler function") == 1


def test_many_open_files_do_not_pile_up(place: Place):
    """Draining 300 tasks, kept, done and broken, works with a limit of 40 open files."""
    for number in range(100):
        place.task(f"done{number}", "result = uwsgi.SPOOL_OK")
        place.task(f"kept{number}", "result = None")
        place.file(f"bad{number}", b"\x11\x09\x00\x00")
    process = place.serve("--drain", "--spooler-quiet", wrap=["sh", "-c", 'ulimit -n 40; exec "$@"', "sh"])
    assert process.wait_exit(60) == 1
    assert "Too many open files" not in process.output()
    assert len(place.left()) == 100


# ---- harakiri --------------------------------------------------------------------------------------------------------

HARAKIRI = "*** HARAKIRI ON THE SPOOLER (pid: {}) ***"
BY = {"option": ("--spooler-harakiri", "1"), "user": ()}


@pytest.mark.parametrize("by", list(BY))
def test_a_task_that_outlives_its_harakiri_is_done_and_said_once(place: Place, by: str):
    """Nobody strikes: a debugger takes its time; one note names the first task that uWSGI would have killed."""
    arm, disarm = ("uwsgi.set_user_harakiri(1); ", "; uwsgi.set_user_harakiri(0)") if by == "user" else ("", "")
    for name in ("slow", "slower"):
        place.task(name, f"{arm}time.sleep(1.1); note(env['spooler_task_name'].decode()){disarm}")
    status, output = place.drain(*BY[by])
    assert (status, place.left()) == (0, []), output
    line = one_line(output, "(inline-harakiri)")
    assert f"{place.notes()[0]} after 1 s: uWSGI would have killed this process" in line
    assert "HARAKIRI ON THE SPOOLER" not in output


def test_a_task_within_its_harakiri_is_not_said(place: Place):
    """Neither one that is quick enough, nor one that disarms in time."""
    place.task("quick", "uwsgi.set_user_harakiri(1); uwsgi.set_user_harakiri(0); time.sleep(1.1)")
    status, output = place.drain("--spooler-harakiri", "60")
    assert (status, "harakiri" in output) == (0, False), output


@pytest.mark.parametrize("by", list(BY))
@pytest.mark.parametrize("stuck", ["time.sleep(600)", "import ctypes; ctypes.PyDLL(None).sleep(600)"], ids=["py", "c"])
def test_harakiri_kills_where_it_is_asked_for(place: Place, by: str, stuck: str):
    """--inline-harakiri: uWSGI's line, then SIGKILL, also of what holds the GIL; the task stays, for the next run."""
    arm = "uwsgi.set_user_harakiri(1); " if by == "user" else ""
    place.task("stuck", f"{arm}note('begun')\nif len(open(os.environ['NOTES']).readlines()) == 1: {stuck}")
    process = place.serve("--drain", "--inline-harakiri", *BY[by])
    assert process.wait_exit(30) == -signal.SIGKILL, process.output()
    one_line(process.output(), HARAKIRI.format(process.pid))
    assert (place.notes(), place.left()) == (["begun"], ["stuck"])
    assert place.drain("--inline-harakiri", "--silence", "user-harakiri-armed", *BY[by])[0] == 0


def test_the_process_is_as_it_was_with_harakiri_too(place: Place):
    """Handlers of signals, threads, children: there is nothing for the app to meet; and nothing outlives the run."""
    place.task(
        "looks",
        """
        import signal, threading
        note(signal.getsignal(signal.SIGALRM), signal.getsignal(signal.SIGCHLD), signal.getitimer(signal.ITIMER_REAL))
        note(threading.active_count(), len(os.listdir('/proc/self/task')))
        try:
            os.wait()
        except ChildProcessError:
            note('childless')
        """,
    )
    process = place.serve("--drain", "--inline-harakiri", "--spooler-harakiri", "60")
    assert process.wait_exit(30) == 0, process.output()
    default = str(signal.SIG_DFL)
    assert place.notes() == [f"{default} {default} (0.0, 0.0)", "1 1", "childless"]


@pytest.mark.parametrize(("end", "status"), [("pass", 0), ("os._exit(3)", 3), ("os.kill(os.getpid(), 9)", -9)])
def test_the_process_beside_goes_with_the_run(place: Place, end: str, status: int):
    """However the run ends, and though a child of a handler, which has all its descriptors, lives on."""
    place.task("ends", f"child = os.fork()\nif not child: time.sleep(600)\nnote(child)\n{end}")
    process = place.serve("--drain", "--inline-harakiri", "--spooler-harakiri", "60")
    assert process.wait_exit(30) == status, process.output()
    (child,) = map(int, place.notes())
    poll_until(lambda: process.members() == [child], 20, "the end of the process beside")
    os.kill(child, signal.SIGKILL)


def test_ctrl_c_and_the_end_of_the_process_beside(place: Place):
    """A terminal's Ctrl-C reaches all of its processes: the one beside strikes nobody, and leaves with the run."""
    process = place.serve("--inline-harakiri", "--spooler-harakiri", "60")
    process.wait_output("inline-cwd")
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait_exit() == 130, process.output()
    process.assert_nothing_left()


def test_a_signal_where_no_directory_is_served(place: Place):
    """Another instance serves the only directory: a signal for the spooler runs no handler, and ends nothing."""
    raises = "import threading\ndef rings():\n    [uwsgi.signal(5) for _ in range(3)]\n    print('rung', flush=True)\n"
    raises += "uwsgi.register_signal(5, 'spooler', print)\nthreading.Timer(0.5, rings).start()\n"
    (place.path / "app.py").write_text(APP + raises)
    process = place.start("--spooler-external", "spool", "--import", "app")
    process.wait_output("rung")
    assert process.stop() == 130, process.output()
    assert "Error" not in process.output()


def test_its_harakiri_without_it_is_said(place: Place) -> None:
    """--inline-harakiri is of --inline alone."""
    command = [sys.executable, "-m", "spoolsim", "run", "--spooler", "spool", "--import", "app", "--drain"]
    done = subprocess.run(
        [*command, "--inline-harakiri"], cwd=place.path, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0
    assert "--inline-harakiri does nothing without --inline" in done.stdout + done.stderr


def test_options_that_need_a_master_are_named(place: Place):
    """One process reloads nothing, serves no statistics, and fires no timer: one line says which were asked for."""
    (place.path / "app.py").write_text(APP + "uwsgi.add_timer(1, 1)\n")
    place.task("a")
    status, output = place.drain("--stats", "s", "--watch", ".", "--touch-spoolers-reload", "tf")
    assert (status, place.left()) == (0, [])
    line = one_line(output, "--inline runs without a master")
    assert line.endswith("no effect: stats, watch, touch-spoolers-reload, the app's timers, crons and file monitors")
    (place.path / "app.py").write_text(APP)
    assert "--inline runs without" not in place.drain()[1]
