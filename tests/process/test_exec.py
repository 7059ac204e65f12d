"""`spoolsim exec` and `spoolsim dev`: programs of all kinds find `uwsgi`, and end as they should."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest

from spoolsim.cli.exec import isolation
from spoolsim.spool.packet import decode
from spoolsim.work.app import SHIM
from tests.process.conftest import children, state

SPOOLSIM = [sys.executable, "-m", "spoolsim"]
PUT = "import uwsgi; uwsgi.spool({b'by': b'%s'})"


def execute(cwd: Path, *command: str, options: tuple[str, ...] = ("--spooler", "sp")) -> Any:
    """`spoolsim exec OPTIONS -- COMMAND`, to its end."""
    words = [*SPOOLSIM, "exec", *options, "--", *command]
    return subprocess.run(words, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)


def producers(spool: Path) -> list[str]:
    """Who put the tasks into a spool directory, by their variable `by`."""
    files = spool.glob("uwsgi_spoolfile_on_*")
    return sorted(decode(file.read_bytes())[0][b"by"].decode() for file in files)


def test_a_python_program(tmp_path: Path):
    """`exec -- python -c` finds our uwsgi and uwsgidecorators, writes its task, and keeps its status."""
    done = execute(
        tmp_path,
        sys.executable,
        "-c",
        "import uwsgi, uwsgidecorators, sys; print(uwsgi.__file__, uwsgidecorators.__file__)\n"
        "print(uwsgi.spoolers, uwsgi.opt['spooler'], uwsgi.masterpid() > 0)\n" + PUT % "python" + "; sys.exit(7)",
    )
    assert done.returncode == 7
    assert done.stdout.splitlines() == [
        f"{SHIM}/uwsgi.py {SHIM}/uwsgidecorators.py",
        f"({os.fsencode(tmp_path / 'sp')!r},) b'sp' True",
    ]
    assert producers(tmp_path / "sp") == ["python"]


DRAINED = """
import sys, time, uwsgi

def handler(env):
    if env.get(b"more"):
        uwsgi.spool({b"more": str(int(env[b"more"]) - 1 or "").encode()})
    print("ran", env.get(b"more"), flush=True)
    return uwsgi.SPOOL_RETRY if env.get(b"fails") else uwsgi.SPOOL_OK

uwsgi.spooler = handler
"""


@pytest.mark.parametrize(
    ("program", "status", "left"),
    [
        ("uwsgi.spool({b'more': b'3'})", 0, 0),
        ("uwsgi.spool({b'more': b'3'}); uwsgi.spool({b'fails': b'1'})", 1, 1),
        ("uwsgi.spool({b'a': b'b'}); raise SystemExit(3)", 3, None),
    ],
    ids=["all run", "one stays", "the command fails"],
)
def test_dev_drains_what_the_command_enqueued(spawn: Any, tmp_path: Path, program: str, status: int, left: int | None):
    """With --drain it ends when the queue is empty, with the tasks' status; with the command's, when that failed."""
    (tmp_path / "tasks.py").write_text(DRAINED)
    words = ["dev", "--drain", "--spooler", "sp", "--spooler-frequency", "600", "--import", "tasks"]
    process = spawn([*SPOOLSIM, *words, "--", sys.executable, "-c", f"import uwsgi; {program}"], cwd=tmp_path)
    assert process.wait_exit(60) == status, process.output()
    process.assert_nothing_left()
    files = list((tmp_path / "sp").glob("uwsgi_spoolfile_on_*"))
    assert left is None or len(files) == left, process.output()
    assert ("draining what it enqueued" in process.output()) == (left is not None)


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
def test_multiprocessing_children(tmp_path: Path, method: str):
    """A child of each start method finds the module too."""
    (tmp_path / "app.py").write_text(
        "import multiprocessing, sys\n"
        "def put(name):\n    import uwsgi\n    uwsgi.spool({b'by': name})\n"
        "if __name__ == '__main__':\n"
        "    child = multiprocessing.get_context(sys.argv[1]).Process(target=put, args=(sys.argv[1].encode(),))\n"
        "    child.start(); child.join(); sys.exit(child.exitcode)\n"
    )
    done = execute(tmp_path, sys.executable, "app.py", method)
    assert done.returncode == 0, done.stderr
    assert producers(tmp_path / "sp") == [method]


def test_a_shell_pipeline(tmp_path: Path):
    """Programs in a pipeline of a shell inherit it."""
    line = f'"$PY" -c "{PUT % "first"}" 2>/dev/null | "$PY" -c "{PUT % "second"}" && echo ok'
    done = execute(tmp_path, "env", f"PY={sys.executable}", "sh", "-c", line)
    assert (done.returncode, done.stdout) == (0, "ok\n")
    assert producers(tmp_path / "sp") == ["first", "second"]


def test_pytest(tmp_path: Path):
    """A test suite that imports uwsgi at its top runs under exec."""
    (tmp_path / "test_it.py").write_text(
        "import uwsgi\ndef test_put():\n    assert uwsgi.spool({b'by': b'pytest'}).startswith(b'/')\n"
    )
    done = execute(tmp_path, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert producers(tmp_path / "sp") == ["pytest"]


def test_a_script_of_another_environment_without_spoolsim(tmp_path: Path):
    """A console script of a venv that has no spoolsim finds our module, and nothing else of our environment."""
    home = tmp_path / "other"
    venv.create(home, with_pip=False, symlinks=True)
    python = home / "bin" / "python"
    script = home / "bin" / "script"
    code = "import importlib.util as u\nprint(u.find_spec('spoolsim'), u.find_spec('click'))\n"
    script.write_text(f"#!{python}\n{code}{PUT % 'other'}\nuwsgi.cache_set('k', b'v'); print(uwsgi.cache_get('k'))\n")
    script.chmod(0o755)
    done = execute(tmp_path, str(script))
    assert done.returncode == 0, done.stderr
    assert done.stdout == "None None\nb'v'\n"
    assert producers(tmp_path / "sp") == ["other"]


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        (["python", "-I", "app.py"], "-I"),
        (["python3.11", "-sE", "-m", "flask"], "-E"),
        (["python", "-W", "error", "-X", "dev", "-I", "app.py"], "-I"),
        (["python", "-Werror", "app.py", "-I"], ""),
        (["python", "-c", "print()", "-E"], ""),
        (["python", "app.py"], ""),
        (["env", "x"], ""),
        (["env", "A=1", "-u", "B", "python", "-I", "app.py"], "-I"),
        (["time", "nice", "-n", "5", "python3", "-E", "app.py"], "-E"),
        (["env"], ""),
        (["env", "A=1", "python", "app.py", "-I"], ""),
    ],
    ids=" ".join,
)
def test_an_isolated_python_is_recognised(words: list[str], flag: str):
    """-I and -E among Python's own options are found, and not among the program's."""
    assert isolation(words)[0] == flag


def test_an_isolated_python_is_named(tmp_path: Path):
    """`exec -- python -I`, or a script that begins with it, gives one line that says what is wrong and what to do."""
    done = execute(tmp_path, sys.executable, "-I", "-c", "import uwsgi")
    assert "python -I ignores PYTHONPATH" in done.stderr
    assert "No module named 'uwsgi'" in done.stderr
    python = tmp_path / "python"
    python.symlink_to(sys.executable)  # the first line of a script cannot name a path with a space
    script = tmp_path / "script"
    script.write_text(f"#!{python} -E\nprint('ran')\n")
    script.chmod(0o755)
    done = execute(tmp_path, str(script))
    assert (done.stdout, done.stderr.count("python -E ignores PYTHONPATH")) == ("ran\n", 1)


def test_an_own_uwsgi_py_is_named(tmp_path: Path):
    """A uwsgi.py beside the script, which Python would import before ours, is told of."""
    (tmp_path / "uwsgi.py").touch()
    (tmp_path / "app.py").touch()
    assert "uwsgi.py: uWSGI's own module is built in" in execute(tmp_path, sys.executable, "app.py").stderr


def test_mistakes_in_the_command_line(tmp_path: Path):
    """No `--`, no command, no configuration, an unknown command: one line each, and a shell's exit status."""
    for words, status, text in (
        (["--spooler", "sp"], 2, "which program? write it behind `--`"),
        (["--spooler", "sp", "--"], 2, "no program behind `--`"),
        (["--", "true"], 2, "no configuration: no spooler option"),
        (["--spooler", "sp", "--", "no-such-command"], 127, "no-such-command: No such file or directory"),
        (["--spooler", "sp", "--", "/"], 126, "/: Permission denied"),
        (["--spoler", "sp", "--", "true"], 2, "--spooler"),
    ):
        done = subprocess.run(
            [*SPOOLSIM, "exec", *words], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
        )
        assert (done.returncode, text in done.stderr) == (status, True), done.stderr
        assert "Traceback" not in done.stderr


def test_the_configuration_of_the_directory_is_found(tmp_path: Path):
    """Without options exec reads uwsgi.ini of the working directory and says so; --env and pythonpath are applied."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "mine.py").write_text("NAME = 'mine'\n")
    (tmp_path / "uwsgi.ini").write_text("[uwsgi]\nspooler = sp\nspooler-processes = 2\npythonpath = lib\nenv = A=b\n")
    code = "import os, mine, uwsgi; print(mine.NAME, os.environ['A'], len(uwsgi.spoolers))"
    done = execute(tmp_path, sys.executable, "-c", code, options=())
    assert done.stdout == "mine b 2\n"
    assert "configuration: uwsgi.ini" in done.stderr


@pytest.mark.oracle
def test_a_real_uwsgi_is_left_alone(tmp_path: Path, uwsgi_binary: str):
    """exec and dev before the real uWSGI become it, say so, and pass nothing of ours on."""
    for command in ("exec", "dev"):
        words = [*SPOOLSIM, command, "--spooler", "sp", "--", uwsgi_binary, "--version"]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=True)
        assert done.stdout.startswith("2.0")
        assert "is a real uWSGI, whose own module is built in: spoolsim steps aside" in done.stderr
    assert not (tmp_path / "sp").exists()


@pytest.mark.oracle
def test_install_inside_a_real_uwsgi_steps_aside(tmp_path: Path, uwsgi_binary: str):
    """spoolsim.cli.install.install() in a real uWSGI says so, returns False, and leaves its module in place."""
    root = Path(SHIM).parents[1]
    (tmp_path / "app.py").write_text(
        f"import sys; sys.path.append({str(root)!r})\n"
        "from spoolsim.cli.install import install\nprint('installed:', install(['--spooler', 'sp']))\n"
        "import uwsgi; print('module:', hasattr(uwsgi, '_spoolsim'))\n"
        "sys.stdout.flush()\nimport os; os._exit(0)\n"
    )
    done = subprocess.run(
        [uwsgi_binary, "--master", "--spooler", "sp", "--pythonpath", ".", "--import", "app"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    output = done.stdout + done.stderr
    assert "installed: False" in output
    assert "module: False" in output
    assert "spoolsim.install() steps aside" in output


def test_install_from_code(tmp_path: Path):
    """After install() this process and those that it starts find the module; a second install is refused."""
    code = (
        "from spoolsim.cli.install import install\nimport subprocess, sys\n"
        "print(install(['--spooler', 'sp']))\n" + PUT % "self" + "\n"
        f"subprocess.run([sys.executable, '-c', {PUT % 'child'!r}], check=True)\n"
        "try: install(['--spooler', 'sp'])\nexcept Exception as error: print(type(error).__name__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=True
    )
    assert done.stdout == "True\nAppError\n"
    assert producers(tmp_path / "sp") == ["child", "self"]


# --- dev -----------------------------------------------------------------------------------------------------------

TASKS = """\
import os, time
import uwsgi
def h(env):
    print("task", env[b"by"].decode(), uwsgi.cache_get("from") or b"", flush=True)
    uwsgi.cache_set("done", env[b"by"])
    if env[b"by"] == b"slow":
        time.sleep(60)
    return uwsgi.SPOOL_OK
uwsgi.spooler = h
"""


def dev(spawn: Any, home: Path, code: str, *options: str) -> Any:
    """`spoolsim dev` of TASKS and a Python command."""
    (home / "tasks.py").write_text(TASKS)
    (home / "app.py").write_text(code)
    words = ["dev", "--spooler", "sp", "--import", "tasks", "--cache2", "name=c,items=9", *options]
    return spawn([*SPOOLSIM, *words, "--", sys.executable, "app.py"], cwd=home)


def test_dev_names_the_configuration_once(spawn: Any, tmp_path: Path):
    """Its spooler does; the command that serves nothing of it does not."""
    (tmp_path / "uwsgi.ini").write_text("[uwsgi]\nspooler = sp\n")
    process = spawn([*SPOOLSIM, "dev", "--", "sleep", "100"], cwd=tmp_path)
    process.wait_output("spawned the uWSGI spooler", timeout=20)
    process.stop(signal.SIGINT, 20)
    assert process.output().count("configuration: uwsgi.ini") == 1


def test_dev_runs_both_and_ends_with_the_command(spawn: Any, tmp_path: Path):
    """The command enqueues, the spooler runs it, they share the cache; the command's status counts."""
    process = dev(
        spawn,
        tmp_path,
        "import sys, threading, uwsgi\nuwsgi.cache_set('from', b'web')\nuwsgi.spool({b'by': b'dev'})\n"
        "for _ in range(500):\n    if uwsgi.cache_get('done'): sys.exit(5)\n    threading.Event().wait(0.02)\n",
    )
    assert process.wait_exit(30) == 5
    process.assert_nothing_left()
    name = os.path.basename(sys.executable)
    first, *rest = process.output().splitlines()
    assert first.startswith(f"[spoolsim] reloading the spooler when Python source below {tmp_path.resolve()} changes")
    lines = [[part.strip() for part in line.split("|", 1)] for line in rest]
    assert {line[0] for line in lines} == {"spooler", name}
    assert ["spooler", "task dev b'web'"] in lines
    assert not list((tmp_path / "sp").glob("uwsgi_spoolfile_on_*"))


@pytest.mark.parametrize("options", [[], ["--no-watch"], ["--watch", "tasks.py"]])
def test_dev_reloads_when_source_changes(spawn: Any, tmp_path: Path, options: list[str]):
    """By itself, and says so in one line; --no-watch turns it off, and --watch says what to watch instead."""
    process = dev(spawn, tmp_path, WAITING, *options)
    process.wait_output("spawned the uWSGI spooler")
    assert ("reloading the spooler when Python source" in process.output()) == (not options)
    assert "--no-watch" not in process.output().replace("--no-watch turns this off", "")
    (tmp_path / "tasks.py").write_text(TASKS + "print('new code')\n")
    if options == ["--no-watch"]:
        uwsgi = [*SPOOLSIM, "enqueue", "--spooler", "sp", "by=hand"]
        subprocess.run(uwsgi, cwd=tmp_path, check=True, capture_output=True, timeout=300)
        process.wait_output("done with task")
        assert "new code" not in process.output()
    else:
        process.wait_output("new code")
    process.stop(signal.SIGTERM)


def test_a_program_under_dev_sees_the_spoolers(spawn: Any, tmp_path: Path):
    """spooler_pids() are those of the living spoolers, and set_spooler_frequency() reaches them."""
    process = dev(
        spawn,
        tmp_path,
        "import os, threading, uwsgi\n"
        "for _ in range(500):\n    if all(uwsgi.spooler_pids()): break\n    threading.Event().wait(0.02)\n"
        "for pid in uwsgi.spooler_pids(): os.kill(pid, 0); print('alive', pid)\n"
        "print(len(uwsgi.spoolers), uwsgi.spooler_pid() == uwsgi.spooler_pids()[0], uwsgi.set_spooler_frequency(7))\n",
        "--spooler-processes",
        "2",
    )
    assert process.wait_exit(20) == 0, process.output()
    assert process.output().count("alive") == 2
    assert "2 True True" in process.output()
    assert "nothing changes" not in process.output()


def test_a_program_under_exec_has_no_spoolers(tmp_path: Path):
    """Without a run behind it all pids are 0, and set_spooler_frequency() says that nothing changes."""
    code = "import uwsgi; print(uwsgi.spooler_pids(), uwsgi.set_spooler_frequency(7))"
    done = execute(tmp_path, sys.executable, "-c", code)
    assert done.stdout == "[0] True\n"
    assert done.stderr.count("uwsgi.set_spooler_frequency(): no spooler runs behind this program") == 1


SIGNALLED = """\
import uwsgi
uwsgi.register_signal(7, "spooler", lambda n: print("SIGNAL", n, flush=True))
uwsgi.register_signal(8, "worker", print)
"""
RAISES = """\
import uwsgi
print([uwsgi.signal_registered(n) for n in (6, 7, 8)], [uwsgi.signal(n) for n in (6, 8, 7, 7)], flush=True)
import signal; signal.pause()
"""


def test_a_program_under_dev_raises_signals(spawn: Any, tmp_path: Path):
    """uwsgi.signal() of a web program reaches the handlers of the run; without a handler, or a worker, that is said."""
    (tmp_path / "tasks.py").write_text(SIGNALLED)
    (tmp_path / "app.py").write_text(RAISES)
    words = ["dev", "--spooler", "sp", "--import", "tasks", "--", sys.executable, "app.py"]
    process = spawn([*SPOOLSIM, *words], cwd=tmp_path)
    process.wait_output("SIGNAL 7", 2)
    (fifo,) = (tmp_path / "sp/.spoolsim/run").glob("*.signals")
    assert fifo.stat().st_mode & 0o777 == 0o600
    assert process.stop(signal.SIGTERM) == 128 + signal.SIGTERM
    output = process.output()
    assert "[None, True, True] [None, None, None, None]" in output
    assert "signal 6 came from a program, and nothing imported here has a handler for it" in output
    assert "signal 8: target 'worker': this configuration starts no process that takes this signal" in output
    assert "Bad file descriptor" not in output
    assert not list((tmp_path / "sp/.spoolsim/run").iterdir())


def test_signals_of_a_program_beside_a_run(spawn: Any, tmp_path: Path):
    """A program under exec reaches the run of another terminal; without one the call is NotEmulated and says why."""
    (tmp_path / "tasks.py").write_text(SIGNALLED)
    code = "import uwsgi; print(uwsgi.signal_registered(7), uwsgi.signal(7))"
    done = execute(tmp_path, sys.executable, "-c", code)
    assert "NotEmulated: uwsgi.signal() is not emulated" in done.stderr
    assert "here no master serves the spool directory" in done.stderr
    process = spawn([*SPOOLSIM, "run", "--spooler", "sp", "--import", "tasks"], cwd=tmp_path)
    process.wait_output("spawned the uWSGI spooler")
    assert execute(tmp_path, sys.executable, "-c", code).stdout == "True None\n"
    process.wait_output("SIGNAL 7")
    os.kill(process.pid, signal.SIGKILL)
    process.wait_exit()
    process.assert_nothing_left()
    assert "NotEmulated" in execute(tmp_path, sys.executable, "-c", code).stderr
    again = spawn([*SPOOLSIM, "run", "--spooler", "sp", "--import", "tasks"], cwd=tmp_path)
    again.wait_output("spawned the uWSGI spooler")
    assert {path.name for path in (tmp_path / "sp/.spoolsim/run").iterdir()} == {
        f"{again.pid}{suffix}" for suffix in ("", ".lock", ".signals")
    }
    assert again.stop() == 0


def test_signals_are_taken_after_a_reload_and_a_killed_fork_server(spawn: Any, tmp_path: Path):
    """The FIFO and the table of handlers outlive the fork server."""
    (tmp_path / "tasks.py").write_text(SIGNALLED)
    process = spawn([*SPOOLSIM, "run", "--spooler", "sp", "--import", "tasks"], cwd=tmp_path)
    process.wait_output("spawned the uWSGI spooler")
    code = "import uwsgi; print(uwsgi.signal_registered(7), uwsgi.signal(7))"
    for count, number in enumerate((signal.SIGHUP, signal.SIGKILL), 1):
        os.kill(
            process.pid if number == signal.SIGHUP else max(children(process.pid)), number
        )  # an old one may be leaving
        process.wait_output("spawned the uWSGI spooler", count + 1)
        assert execute(tmp_path, sys.executable, "-c", code).stdout == "True None\n"
        process.wait_output("SIGNAL 7", count)
    assert process.stop() == 0


QUIET = """\
import uwsgi, uwsgidecorators
@uwsgidecorators.timer(60, target="spooler")
def one(number): pass
@uwsgidecorators.cron(0, 0, -1, -1, -1, target="spooler")
def two(number): pass
for _ in range(2):
    uwsgi.add_rb_timer(1, 5)
    uwsgi.add_file_monitor(1, "x")
    uwsgi.set_user_harakiri(1)
uwsgi.set_user_harakiri(0)
print(uwsgi.register_signal(2, "spooler", print))
"""


def test_what_fires_nowhere_in_a_program_is_said(spawn: Any, tmp_path: Path):
    """A program's timers and deadlines are named once each; beside a run that has them nothing is said of timers."""
    (tmp_path / "tasks.py").write_text(QUIET)
    done = execute(tmp_path, sys.executable, "tasks.py")
    assert done.returncode == 0, done.stderr
    for name in ("add_timer", "add_cron", "add_rb_timer", "add_file_monitor"):
        assert done.stderr.count(f"uwsgi.{name}(): nothing fires in this program: `spoolsim run`") == 1
    assert done.stderr.count("uwsgi.set_user_harakiri(): nobody kills this process here") == 1
    words = ["dev", "--spooler", "sp", "--import", "tasks", "--", sys.executable, "tasks.py"]
    process = spawn([*SPOOLSIM, *words], cwd=tmp_path)
    assert process.wait_exit(20) == 0
    assert "nothing fires" not in process.output()


WAITING = """\
import signal, sys
try: print("waiting", flush=True); signal.pause()
except KeyboardInterrupt: print("interrupted", flush=True); sys.exit(3)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_dev_ends_on_a_signal(spawn: Any, tmp_path: Path, number: int):
    """Ctrl-C, or another signal that ends a program, ends the command and the spooler, and nothing is left."""
    process = dev(spawn, tmp_path, WAITING)
    process.wait_output("waiting")
    process.wait_output("spawned the uWSGI spooler")
    assert process.stop(number, 12) == (3 if number == signal.SIGINT else 128 + number)
    assert ("interrupted" in process.output()) is (number == signal.SIGINT)


def test_a_command_that_ends_at_once_ends_a_spooler_that_starts(spawn: Any, tmp_path: Path):
    """Also one that is this one process with its app: it is interrupted as Python starts, and shows no traceback."""
    process = dev(spawn, tmp_path, "import os; os._exit(0)", "--inline")
    assert process.wait_exit(30) == 0, process.output()
    assert "Traceback" not in process.output()


def test_dev_ends_within_the_grace_time(spawn: Any, tmp_path: Path):
    """A task that does not end in time does not keep dev alive beyond its grace; the task stays."""
    process = dev(spawn, tmp_path, "import uwsgi; uwsgi.spool({b'by': b'slow'})\n" + WAITING, "--stop-grace", "0.5")
    process.wait_output("task slow")
    assert process.stop(signal.SIGINT, 12) == 3
    assert len(list((tmp_path / "sp").glob("uwsgi_spoolfile_on_*"))) == 1


def test_dev_at_a_terminal(tmp_path: Path):
    """On a terminal the names have colours, the command can read from it, and one Ctrl-C ends both in good order."""
    (tmp_path / "tasks.py").write_text(TASKS)
    (tmp_path / "app.py").write_text("word = input('word? ')\nprint('read', word, flush=True)\n" + WAITING)
    environment = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    words = ["-m", "spoolsim", "dev", "--spooler", "sp", "--import", "tasks", "--", sys.executable, "app.py"]
    terminal = pexpect.spawn(sys.executable, words, cwd=str(tmp_path), env=environment, timeout=300, encoding="utf-8")
    try:
        terminal.expect("Ctrl-C stops")
        terminal.sendline("hello")
        terminal.expect("\x1b\\[33mpython[^|]*\\| \x1b\\[0m[^\r\n]*read hello")
        terminal.expect("waiting")
        terminal.sendintr()
        terminal.expect("interrupted")
        terminal.expect(pexpect.EOF)
        terminal.wait()
        assert terminal.exitstatus == 3
    finally:
        terminal.close(force=True)
    assert "does not end" not in (terminal.before or "")


def test_dev_at_a_terminal_shows_escapes_of_a_task_as_text(tmp_path: Path):
    """A task's exception under dev commands the terminal no more than it does under run."""
    handler = 'import uwsgi\n\ndef handler(env):\n    raise ValueError("\\x1b]0;own\\x07\\u202e" + "trailer")\n\n'
    (tmp_path / "hostile.py").write_text(handler + "uwsgi.spooler = handler\n")
    (tmp_path / "app.py").write_text("import uwsgi; uwsgi.spool({b'by': b'x'})\n" + WAITING)
    environment = {**os.environ, "NO_COLOR": "1"}
    words = ["-m", "spoolsim", "dev", "--spooler", "sp", "--import", "hostile", "--", sys.executable, "app.py"]
    terminal = pexpect.spawn(sys.executable, words, cwd=str(tmp_path), env=environment, timeout=300, encoding="utf-8")
    try:
        terminal.expect("ValueError: [^\r\n]*trailer")
        shown = terminal.after
        terminal.sendintr()
        terminal.expect(pexpect.EOF)
    finally:
        terminal.close(force=True)
    assert "\\x1b]0;own\\x07" in shown, ascii(shown)
    assert not {"\x1b", "\x07", "\u202e"} & set(shown), ascii(shown)


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Any]:
    """An interactive bash, which gives each job a process group of its own, with a plain prompt."""
    environment = {**os.environ, "PS1": "READY$ ", "NO_COLOR": "1"}
    words = ["--norc", "--noprofile", "-i"]
    terminal = pexpect.spawn("bash", words, cwd=str(tmp_path), env=environment, timeout=300, encoding="utf-8")
    terminal.setecho(False)
    terminal.expect_exact("READY$ ")
    yield terminal
    terminal.close(force=True)


PYTHON = shlex.quote(sys.executable)
DEV = f"{PYTHON} -m spoolsim dev --spooler sp --stop-grace 1 -- "


def grandchild(terminal: Any) -> int:
    """The pid that the command told of."""
    terminal.expect(r"child (\d+)")
    return int(terminal.match.group(1))


def test_nothing_of_the_command_outlives_a_ctrl_c(shell: Any, wait_for: Any):
    """A command that is deaf to Ctrl-C is killed with what it started; the shell has its terminal back."""
    shell.sendline(DEV + "sh -c \"trap '' INT; (echo child \\$(exec sh -c 'echo \\$PPID'); exec sleep 98); echo x\"")
    pid = grandchild(shell)
    shell.expect("Ctrl-C stops")
    shell.sendintr()
    shell.expect("sh does not exit; killed")
    shell.expect_exact("READY$ ")
    wait_for(lambda: state(pid) in ("", "Z"), 10, "the end of the command's child")
    shell.sendline("echo still $((40 + 2))")
    shell.expect("still 42")


def test_nothing_of_the_command_outlives_a_sigterm(shell: Any, wait_for: Any):
    """SIGTERM to dev reaches all that the command started."""
    shell.sendline(DEV + "sh -c 'sh -c \"echo child \\$\\$; exec sleep 98\"; echo x' & echo dev $!")
    shell.expect(r"dev (\d+)")
    dev = int(shell.match.group(1))
    pid = grandchild(shell)
    shell.expect("Ctrl-C stops")
    os.kill(dev, signal.SIGTERM)
    wait_for(lambda: state(pid) in ("", "Z"), 10, "the end of the command's child")
    shell.sendline("wait; echo status $?")
    shell.expect(r"status \d+")


def test_a_second_ctrl_c_ends_a_task_that_runs(shell: Any, tmp_path: Path):
    """The first Ctrl-C lets the task go on for its grace, the second ends it at once."""
    (tmp_path / "tasks.py").write_text(TASKS)
    (tmp_path / "app.py").write_text(
        "import itertools, signal, uwsgi\nuwsgi.spool({b'by': b'slow'})\ncount = itertools.count(1)\n"
        "signal.signal(signal.SIGINT, lambda *a: print('heard', next(count), flush=True))\n"
        "while True: signal.pause()\n"
    )
    options = "--import tasks --stop-grace 60 --spooler"
    shell.sendline(DEV.replace("--stop-grace 1", "").replace("--spooler", options) + f"{PYTHON} app.py")
    shell.expect("task slow")
    shell.sendintr()
    shell.expect("1 running, at most 60 s to finish")
    shell.expect("heard 2")  # dev says it once more to a command that goes on
    shell.sendintr()
    shell.expect("again: ending at once; running tasks stay in the spool")
    shell.sendcontrol("\\")
    shell.expect_exact("READY$ ")


def test_ctrl_z_stops_dev_and_fg_goes_on(shell: Any, wait_for: Any, tmp_path: Path):
    """Ctrl-Z gives the shell its terminal; after fg the command reads from it again."""
    (tmp_path / "app.py").write_text("while (word := input('word? ')) != 'end': print('read', word, flush=True)\n")
    shell.sendline(DEV + f"{PYTHON} app.py")
    shell.expect("Ctrl-C stops")
    shell.sendline("one")
    shell.expect("read one")
    shell.sendcontrol("z")
    shell.expect("Stopped")
    shell.expect_exact("READY$ ")
    shell.sendline("fg")
    shell.expect("spoolsim dev")
    shell.sendline("two")
    shell.expect("read two")
    shell.sendcontrol("z")
    shell.expect("Stopped")
    shell.sendline("bg; echo pid $(jobs -p)")
    shell.expect(r"pid (\d+)")
    dev = int(shell.match.group(1))
    wait_for(lambda: state(dev) == "T", 10, "the stop of dev, whose command reads in the background")
    shell.sendline("fg")
    shell.sendline("three")
    shell.expect("read three")
    shell.sendline("end")
    shell.expect_exact("READY$ ")


def test_a_stop_that_is_told_late_stops_nothing(shell: Any, wait_for: Any, tmp_path: Path):
    """The command read in the background, was stopped, and has the terminal again before dev hears of the stop."""
    (tmp_path / "app.py").write_text("while (word := input('word? ')) != 'end': print('read', word, flush=True)\n")
    shell.sendline(DEV + f"{PYTHON} app.py")
    shell.expect("Ctrl-C stops")
    shell.sendline("one")
    shell.expect("read one")
    (dev,) = children(shell.pid)
    (herald,) = [pid for pid in children(dev) if os.getpgid(pid) == pid and not children(pid)]
    for number in (signal.SIGTTIN, signal.SIGTTOU):
        os.kill(herald, number)
    shell.sendline("two")
    assert shell.expect(["read two", "Stopped"]) == 0
    shell.sendline("end")
    shell.expect_exact("READY$ ")


def test_dev_ends_when_the_spooler_cannot_run(spawn: Any, tmp_path: Path):
    """A spooler that refuses to start ends the command too, with the spooler's status."""
    (tmp_path / "app.py").write_text(WAITING)
    words = ["dev", "--spooler", "sp", "--need-app", "--module", "no.such.module", "--inline"]
    process = spawn([*SPOOLSIM, *words, "--", sys.executable, "app.py"], cwd=tmp_path)
    status = process.wait_exit(20)
    assert status == 1, process.output()
    assert "the spooler has exited; stopping the command" in process.output()
    process.assert_nothing_left()


def test_a_command_that_is_not_there_ends_dev(spawn: Any, tmp_path: Path):
    """dev with an unknown command ends with 127 and leaves no spooler behind."""
    process = spawn([*SPOOLSIM, "dev", "--spooler", "sp", "--", "no-such-command"], cwd=tmp_path)
    assert process.wait_exit(20) == 127
    assert "no-such-command: No such file" in process.output()
    process.assert_nothing_left()


def test_a_task_reloads_and_stops_the_instance(spawn: Any, wait_for: Any, tmp_path: Path):
    """uwsgi.reload() in a task starts the code again, uwsgi.stop() ends the run, as in uWSGI; nothing is left."""
    (tmp_path / "tasks.py").write_text(
        "import uwsgi\nprint('imported', flush=True)\n"
        "def h(env):\n    do = env[b'do'].decode()\n    print(do, getattr(uwsgi, do)(), flush=True)\n    return -2\n"
        "uwsgi.spooler = h\n"
    )
    process = spawn([*SPOOLSIM, "run", "--spooler", "sp", "--import", "tasks"], cwd=tmp_path)
    process.wait_output("spawned the uWSGI spooler")
    put = "import uwsgi; uwsgi.spool({b'do': b'%s'})"
    assert execute(tmp_path, sys.executable, "-c", put % "reload").returncode == 0
    process.wait_output("reload True")
    process.wait_output("imported", 2)
    process.wait_output("spawned the uWSGI spooler", 2)
    assert execute(tmp_path, sys.executable, "-c", put % "stop").returncode == 0
    process.wait_output("stop True")
    assert process.wait_exit(15) == 0
    process.assert_nothing_left()
