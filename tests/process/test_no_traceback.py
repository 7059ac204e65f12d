"""No traceback of ours reaches a command line: what the system refuses is one line, and a status."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

COMMANDS = {
    "run": "run --drain --spooler {spool}",
    "ls": "ls --spooler {spool}",
    "enqueue": "enqueue --spooler {spool} a=b",
    "exec": "exec --spooler {spool} -- true",
    "config": "config --spooler {spool}",
    "check": "check --spooler {spool}",
}


def shell(text: str, home: Path) -> subprocess.CompletedProcess[bytes]:
    """What a shell's command printed; `S` is ours."""
    env = {**os.environ, "PYTHON": sys.executable}
    text = 'S() { "$PYTHON" -m spoolsim "$@"; }; ' + text  # a function: the path of a clone may have spaces
    return subprocess.run(["bash", "-c", text], cwd=home, env=env, capture_output=True, timeout=120, check=False)


def ended_well(done: subprocess.CompletedProcess[bytes], *statuses: int) -> None:
    """One of these statuses, a line where it is not 0, and no traceback."""
    text = done.stdout + done.stderr
    assert b"Traceback (most" not in text, text.decode()
    assert b"Exception ignored" not in text, text.decode()
    assert done.returncode in statuses, text.decode()
    assert not done.returncode or b"[spoolsim] " in text


@pytest.mark.parametrize("name", COMMANDS)
def test_a_working_directory_that_is_gone(tmp_path: Path, name: str) -> None:
    """It is said, or the command does without."""
    (tmp_path / "spool").mkdir()
    command = COMMANDS[name].format(spool=shlex.quote(str(tmp_path / "spool")))
    ended_well(shell(f"mkdir d; cd d; rmdir ../d; S {command}", tmp_path), 0, 1, 2)


@pytest.mark.parametrize("command", ["config --spooler s", "check --spooler s", "help options", "--version", "--help"])
def test_a_standard_output_without_room(tmp_path: Path, command: str) -> None:
    """It is said, with status 1."""
    (tmp_path / "s").mkdir()
    ended_well(shell(f"S {command} > /dev/full", tmp_path), 1)


@pytest.mark.parametrize(
    "command", ["enqueue --spooler s --body-file /dev/zero a=b", "run --ini /dev/zero", "config --ini /dev/zero"]
)
def test_a_file_without_an_end(tmp_path: Path, command: str) -> None:
    """It is not read for ever: it is said to be a device, with status 1 or 2."""
    (tmp_path / "s").mkdir()
    done = shell(f"ulimit -v 4000000; S {command}", tmp_path)
    ended_well(done, 1, 2)
    assert b"a device, whose bytes have no end; name a file" in done.stderr


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("name", ["run", "ls", "enqueue", "exec", "config"])
def test_standard_streams_that_are_closed(tmp_path: Path, name: str, closed: str) -> None:
    """The command does its work, and no file of ours takes their place."""
    (tmp_path / "spool").mkdir()
    command = COMMANDS[name].format(spool=shlex.quote(str(tmp_path / "spool")))
    done = shell(f"S {command} {closed}", tmp_path)
    ended_well(done, 0)
    assert len(list((tmp_path / "spool").glob("uwsgi_*"))) == (name == "enqueue")


def test_a_task_that_prints_where_all_is_closed(tmp_path: Path) -> None:
    """What it writes to descriptors 1 and 2 gets into no file."""
    (tmp_path / "spool").mkdir()
    (tmp_path / "app.py").write_text(
        "import os, uwsgi\ndef spooler(env):\n    os.write(1, b'stray'), os.write(2, b'stray')\n    return -1\n"
        "uwsgi.spooler = spooler\n"
    )
    assert shell("S enqueue --spooler spool a=b", tmp_path).returncode == 0
    for how in ("", "--inline"):
        assert shell(f"S run --drain --spooler spool --import app {how} <&- >&- 2>&-", tmp_path).returncode == 1
    assert shell("grep -rl stray spool", tmp_path).stdout == b""
    assert shell("S log --spooler spool", tmp_path).stdout.count(b" retry ") == 2


@pytest.mark.parametrize("limit", ["-n 10", "-f 0"], ids=["descriptors", "file sizes"])
def test_limits_that_leave_nothing(tmp_path: Path, limit: str) -> None:
    """A run that cannot start says why."""
    (tmp_path / "spool").mkdir()
    (tmp_path / "app.py").write_text("import uwsgi\nuwsgi.spooler = lambda env: -2\n")
    run = "S run --drain --spooler spool --import app 2>&1 | cat; exit $PIPESTATUS"
    ended_well(shell(f"ulimit {limit}; {run}", tmp_path), 0, 1)


@pytest.mark.parametrize(
    ("option", "inline"),
    [
        *((option, "") for option in ("limit-as 1", "limit-as 12", "max-fd 3", "max-fd 12", "max-fd 17")),
        *((option, "--inline ") for option in ("limit-as 1", "max-fd 8")),
    ],
)
def test_a_limit_of_ours_that_leaves_nothing(tmp_path: Path, option: str, inline: str) -> None:
    """One line names the option and what to do, and the task stays."""
    (tmp_path / "spool").mkdir()
    (tmp_path / "app.py").write_text("import uwsgi\nuwsgi.spooler = lambda env: -2\n")
    assert shell("S enqueue --spooler spool a=b", tmp_path).returncode == 0
    done = shell(f"S run {inline}--drain --spooler spool --import app --{option} 2>&1", tmp_path)
    ended_well(done, 1, 2)
    name, value = option.split()
    said = [line for line in done.stdout.decode().splitlines() if f"{name} = {value}: " in line]
    assert len(said) == 1, done.stdout.decode()
    assert said[0].endswith("; raise the limit or leave the option out")
    assert len(list((tmp_path / "spool").glob("uwsgi_*"))) == 1


@pytest.mark.parametrize("option", ["limit-as 0", "max-fd 0"])
def test_a_limit_of_zero_is_none(tmp_path: Path, option: str) -> None:
    """As under uWSGI."""
    (tmp_path / "spool").mkdir()
    assert shell(f"S run --drain --spooler spool --{option}", tmp_path).returncode == 0


def test_an_empty_name_of_a_program(tmp_path: Path) -> None:
    """It is not understood."""
    ended_well(shell("S exec --spooler spool -- ''", tmp_path), 2)


def test_a_description_that_is_not_ours(tmp_path: Path) -> None:
    """A program whose environment has something else under our name runs without a spooler, and says so."""
    from spoolsim.work.app import SHIM

    code = "import uwsgi; print(uwsgi.version)"
    for value in ("1", "zz", "e900000000"):
        env = {**os.environ, "PYTHONPATH": SHIM, "SPOOLSIM": value}
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stderr.count(b"the environment variable SPOOLSIM is not what") == 1


def test_ctrl_c_while_a_command_is_loaded(tmp_path: Path) -> None:
    """At any moment of the start of our own code it ends in silence."""
    (tmp_path / "spool").mkdir()
    words = [sys.executable, "-X", "importtime", "-m", "spoolsim", "ls", "--spooler", "spool", "--watch"]
    for module in ("spoolsim.cli.commands", "click.core", "spoolsim.cli.spools", "spoolsim.tasks.listing"):
        process = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        assert process.stderr is not None
        seen = b""
        end = time.monotonic() + 60
        while module.encode() not in seen and time.monotonic() < end:
            seen += process.stderr.readline()
        assert module.encode() in seen, seen.decode()
        process.send_signal(signal.SIGINT)
        seen += process.communicate(timeout=300)[1]
        assert b"Traceback" not in seen, seen.decode()[-2000:]
        assert process.returncode in (0, -signal.SIGINT, 128 + signal.SIGINT, 1)
