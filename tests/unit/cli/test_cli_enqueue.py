"""`spoolsim enqueue`: which times it takes; `--durable`; and where standard output takes nothing."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from spoolsim.cli.commands import commands
from spoolsim.cli.enqueue import when
from spoolsim.errors import UsageError
from spoolsim.spool import file, packet
from spoolsim.spool.names import PREFIX

ROOT = Path(__file__).resolve().parents[3]
NOW = 1_000_000_000.75


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("1767225600", 1_767_225_600),
        ("253402300799", 253_402_300_799),
        ("+60", 1_000_000_060),
        ("+0.5", 1_000_000_001),
        ("2026-01-01T12:30", int(time.mktime((2026, 1, 1, 12, 30, 0, 0, 0, -1)))),
    ],
)
def test_a_time(text: str, seconds: int):
    """Epoch seconds, seconds from now, or a local date and time."""
    assert when(text, NOW) == seconds


@pytest.mark.parametrize("text", ["", "soon", "12x", "+", "+nan", "+inf", "9999-99-99", "\u0663"])
def test_what_is_no_time_is_refused(text: str):
    """The error says what is accepted."""
    with pytest.raises(UsageError, match="write epoch seconds"):
        when(text, NOW)


@pytest.mark.parametrize("text", ["253402300800", "1767225600000", "99999999999999999999", "+1e12"])
def test_a_time_that_never_comes_is_refused(tmp_path: Path, text: str):
    """Milliseconds, and what 64 bits cannot hold, which uWSGI reads as now: refused, and nothing is written."""
    with pytest.raises(UsageError, match="past the year 9999"):
        when(text, NOW)
    result = CliRunner().invoke(commands, ["enqueue", "--spooler", str(tmp_path), "--at", text, "a=1"])
    assert (result.exit_code, os.listdir(tmp_path)) == (2, [])


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    (tmp_path / "spool").mkdir()
    return tmp_path / "spool"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
@pytest.mark.parametrize("command", ["enqueue", "ls"])
def test_a_standard_output_that_takes_nothing_is_one_line(spool: Path, command: str) -> None:
    """No traceback; a task that was spooled is said to be, so that nobody puts it twice."""
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "spoolsim", command, "--spooler", str(spool)],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    if command == "enqueue":
        (task,) = spool.glob(f"{PREFIX}*")
        assert line == f"[spoolsim] spooled, as {task}; but standard output: No space left on device"
    else:
        assert line == "[spoolsim] standard output: No space left on device"


@pytest.mark.parametrize("durable", [True, False])
def test_durable_is_synced(spool: Path, durable: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only when it is asked for."""
    synced: list[str] = []
    monkeypatch.setattr(file, "sync", synced.append)
    result = CliRunner().invoke(
        commands, ["enqueue", "--spooler", str(spool), *(["--durable"] if durable else []), "a=b"]
    )
    assert result.exit_code == 0
    assert synced == [str(spool)] * durable


APP = """
import uwsgi
from uwsgidecorators import spool, spoolforever, spoolraw

@spool
def send(arguments): ...

@spoolraw
def raw(arguments): return -2

@spoolforever
def always(arguments): ...

@spool(pass_arguments=True)
def resize(path, width=1): ...
"""


@pytest.fixture
def app(tmp_path: Path, spool: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a configuration and an app."""
    (tmp_path / "uwsgi.ini").write_text("[uwsgi]\nspooler = %dspool\nimport = app\n")
    (tmp_path / "app.py").write_text(APP)
    monkeypatch.chdir(tmp_path)
    return spool


def enqueued(spool: Path, *words: str) -> dict[str | bytes, bytes]:
    """The variables of the one task that a command line writes."""
    result = CliRunner().invoke(commands, ["enqueue", *words])
    assert result.exit_code == 0, result.output
    (path,) = spool.glob(f"{PREFIX}*")
    return packet.decode(path.read_bytes())[0]


@pytest.mark.parametrize(("function", "outcome"), [("send", b"-2"), ("raw", None), ("always", b"-1")])
def test_a_function_gets_the_outcome_of_its_decorator(app: Path, function: str, outcome: bytes | None) -> None:
    """@spoolraw leaves it to the function; the directory and the app are those of the configuration found here."""
    variables = enqueued(app, "--function", function, "a=1")
    assert variables.get(b"ud_spool_ret") == outcome
    assert (variables[b"ud_spool_func"], variables[b"a"]) == (function.encode(), b"1")


def test_arguments_are_pickled(app: Path) -> None:
    """As a function with pass_arguments does it; without them there are none."""
    words = ["--function", "resize", "--args", '["a.png"]', "--kwargs", '{"width": 4}']
    variables = enqueued(app, "--config", "uwsgi.ini", *words)
    assert pickle.loads(variables[b"args"]) == ("a.png",)
    assert pickle.loads(variables[b"kwargs"]) == {"width": 4}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--function", "sendd"], "the app has no decorated function sendd(); it has always, raw, resize, send"),
        (["--function", "sendd"], "did you mean send?"),
        (["--function", "resize", "a=1"], "use --args and --kwargs"),
        (["--function", "send", "--args", "[1]"], "write KEY=VALUE"),
        (["--function", "resize", "--args", "{}"], "expected a JSON list"),
        (["--function", "resize", "--kwargs", "[]"], "expected a JSON object"),
        (["--function", "resize", "--args", "a.png"], "not JSON"),
        (["--args", "[1]"], "add --function NAME"),
        (["a"], "expected KEY=VALUE, got 'a'"),
    ],
)
def test_a_call_that_would_fail_is_refused(app: Path, words: list[str], said: str) -> None:
    """Nothing is written."""
    result = CliRunner().invoke(commands, ["enqueue", *words])
    assert result.exit_code == 2
    assert said in result.output
    assert list(app.glob(f"{PREFIX}*")) == []


def test_plain_variables_for_a_decorated_app_are_explained(app: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The task is written all the same: a library may set the handler."""
    enqueued(app, "a=1")
    assert "add --function NAME (the app has always, raw, resize, send)" in capfd.readouterr().err


def test_an_app_with_a_handler_of_its_own_gets_plain_variables(app: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing is said."""
    (app.parent / "app.py").write_text(f"{APP}\nuwsgi.spooler = lambda env: -2\n")
    enqueued(app, "a=1")
    assert "--function" not in capfd.readouterr().err


def test_an_unknown_app(app: Path) -> None:
    """A directory that no configuration here names: the function is taken for one with @spool."""
    (app.parent / "uwsgi.ini").unlink()
    assert enqueued(app, "--spooler", "spool", "--function", "anything")[b"ud_spool_ret"] == b"-2"


@pytest.mark.parametrize("command", ["ls", "log"])
def test_a_directory_that_cannot_be_read_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str):
    """It would look empty (root may read anything, so the answer of the system is replaced)."""
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    result = CliRunner().invoke(commands, [command, "--spooler", str(tmp_path)])
    assert result.exit_code == 1
    assert "Permission denied: this user cannot read it" in result.output
