"""What the command line answers to somebody who does not know it yet: one line that says what to do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from spoolsim.cli.commands import COMMANDS, SECTIONS, commands
from spoolsim.cli.manual import topics
from spoolsim.diagnose import BY_CODE
from spoolsim.spool.directory import SpoolDir
from spoolsim.spool.names import PREFIX


def call(*words: str) -> Result:
    """`spoolsim` with these words."""
    return CliRunner().invoke(commands, words, prog_name="spoolsim", catch_exceptions=False)


def test_each_command_is_listed_once() -> None:
    """Under one of the headings, in the order of the table."""
    listed = [name for names in SECTIONS.values() for name in names]
    assert sorted(listed) == sorted(COMMANDS)
    said = call("--help").stdout
    assert [heading for heading in SECTIONS if f"\n{heading}:\n" in said] == list(SECTIONS)
    assert "spoolsim help tutorial" in said
    assert max(map(len, said.splitlines())) <= 80


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["rn"], "no command 'rn'; did you mean run?"),
        (["frobnicate"], "no command 'frobnicate'; see `spoolsim --help`"),
        (["--nope"], "no option --nope; see `spoolsim --help`"),
        (["ls", "--stat", "failed"], "ls: no option --stat; did you mean --state?"),
        (["enqueue", "--zzz"], "enqueue: no option --zzz; see `spoolsim enqueue --help`"),
        (["mv"], "mv: missing argument 'DIR'; see `spoolsim mv --help`"),
        (["help", "tutoral"], "no page and no command 'tutoral'; did you mean tutorial?"),
        (["help", "zzz"], "no page and no command 'zzz'; see `spoolsim help`"),
        (["exec"], "exec: which program? write it behind `--`, as in: spoolsim exec uwsgi.ini -- python app.py"),
    ],
)
def test_a_usage_error_is_one_line(words: list[str], line: str) -> None:
    """It names the command and the nearest right word, or where to look; exit status 2."""
    result = call(*words)
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", f"[spoolsim] {line}\n")


@pytest.mark.parametrize("command", ["exec", "dev"])
def test_an_example_names_the_command_that_was_typed(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no configuration is found."""
    monkeypatch.chdir(tmp_path)
    assert f"    spoolsim {command} --spooler spool -- python app.py\n" in call(command, "--", "true").stderr


def test_help_lists_the_pages_in_the_order_to_read_them() -> None:
    """The tutorial first, and each with its title."""
    lines = call("help").stdout.splitlines()[1:]
    assert [line.split()[0] for line in lines] == topics()
    assert lines[0].split(maxsplit=1) == ["tutorial", "Tutorial: from nothing to a tested task"]


def test_help_of_a_command_is_its_usage() -> None:
    """As with --help."""
    assert call("help", "ls").stdout == call("ls", "--help").stdout
    assert call("help", "run").stdout == call("run").stdout


def test_help_of_a_code_in_the_log() -> None:
    """`[production] ... (busy-wait)` is looked up by its code."""
    said = call("help", "busy-wait").stdout
    assert said.startswith("The production note busy-wait: spoolsim does something safer here.\n")
    assert BY_CODE["busy-wait"].advice in said
    assert "spoolsim does the same here, and warns." in call("help", "empty-key").stdout


@pytest.mark.parametrize("words", [["retry"], ["hold", "--all"], ["rm", "--all", "--yes"]])
def test_a_command_that_finds_no_task_says_so(words: list[str], spool: SpoolDir) -> None:
    """Silence would look like success."""
    result = call(*words, "--spooler", spool.path)
    said = f"[spoolsim] no task to {words[0]}; `spoolsim ls` lists what there is\n"
    assert (result.exit_code, result.stderr) == (0, said)
    assert call(*words, "-q", "--spooler", spool.path).stderr == ""


def test_a_command_without_all_does_not_advise_it(spool: SpoolDir) -> None:
    """`why` and `show` take ids only."""
    (line,) = call("why", "--spooler", spool.path).stderr.splitlines()
    assert line == "[spoolsim] which task? name it by its id, which `spoolsim ls` shows"
    assert "or say --all" in call("hold", "--spooler", spool.path).stderr


def test_stats_of_an_empty_directory(spool: SpoolDir) -> None:
    """A sentence, and no table without rows."""
    assert call("stats", "--spooler", spool.path).stdout == "no task waits, and no attempt is recorded\n"


@pytest.mark.parametrize("command", ["ls", "log", "show 1"])
def test_what_another_user_keeps_secret_is_not_there_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], command: str
):
    """Past attempts and tasks set aside (root may read anything, so the answer of the system is replaced)."""
    (tmp_path / ".spoolsim").mkdir(mode=0o700)
    (tmp_path / f"{PREFIX}1").write_bytes(b"\x11\0\0\0")
    monkeypatch.setattr(os, "access", lambda path, mode: not path.endswith(".spoolsim"))
    words = command.replace("1", f"{PREFIX}1").split()
    assert CliRunner().invoke(commands, [*words, "--spooler", str(tmp_path)]).exit_code == 0
    error = capfd.readouterr().err
    assert f"[spoolsim] this user cannot read {tmp_path}/.spoolsim: past attempts" in error
    assert error.endswith("are missing here; run the command as its owner\n")
