"""Every exit status that the code has is a row of `spoolsim help exit-codes`, and every row is a status of the code."""

from __future__ import annotations

import ast
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

import spoolsim
from spoolsim.cli.commands import commands
from spoolsim.cli.install import unrunnable
from spoolsim.cli.manual import HOME
from spoolsim.cli.table import COMMANDS

PACKAGE = Path(spoolsim.__file__).parent
PAGE = Path(HOME, "exit-codes.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (\d\S*) \| ([^|]+) \|", PAGE, re.MULTILINE)
#: what passes on a status of another expression: an error's own, that of a command or of a run, or click's
PASSED = re.compile(r"\w*\.?exit_code|end_of\(error\)|run\(.*\)|Dev\(.*\.run\(\)|subprocess\.call\(.*")
#: ends a task's process or a helper, which no shell sees
INNER = ("processes/", "shim/", "testing/", "cli/foreground.py", "work/run.py")


def statuses() -> Iterator[tuple[str, str]]:
    """(status, place) of each `sys.exit(...)`, `os._exit(...)`, `raise SystemExit(...)` and `exit_code = ...`."""
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if name.startswith(INNER):
            continue
        tree = ast.parse(path.read_text())
        known = dict(constants(tree))
        for node in ast.walk(tree):
            for given in exits(node):
                yield from ((each, f"{name}:{given.lineno}") for each in named(given, known))


def exits(node: ast.AST) -> Iterator[ast.expr]:
    """The expressions that say how a process ends."""
    if isinstance(node, ast.Call) and ast.unparse(node.func) in ("sys.exit", "os._exit", "SystemExit"):
        yield from node.args
    if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).rpartition(".")[2] == "exit_code":
        yield from [node.value.body, node.value.orelse] if isinstance(node.value, ast.IfExp) else [node.value]


def constants(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """The module's names of numbers."""
    for node in tree.body:
        if isinstance(node, ast.Assign):
            values = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
            names = node.targets[0].elts if isinstance(node.targets[0], ast.Tuple) else [node.targets[0]]
            for name, value in zip(names, values, strict=False):
                if isinstance(value, ast.Constant) and isinstance(value.value, int):
                    yield ast.unparse(name), value.value


def named(given: ast.expr, known: dict[str, int]) -> list[str]:
    """How the page writes a status; none for one that is passed on."""
    text = ast.unparse(given)
    if isinstance(given, ast.Constant):
        return [str(given.value)]
    if text.startswith("128 + "):
        return ["128+N"]
    if text in known:
        return [str(known[text])]
    return [] if PASSED.fullmatch(text) or text == "exit_code" else [text]


def test_every_status_is_on_the_page() -> None:
    """And no row is of a status that nothing gives; the statuses of a run are in processes/ending.py."""
    from spoolsim.processes.ending import BY_SIGNAL, FAILED, OK

    run = {str(OK), str(FAILED), f"{BY_SIGNAL}+N"}
    found = {status for status, _ in statuses()} | run
    assert found == {status for status, _ in ROWS}, sorted(statuses())


def test_the_page_names_commands_that_there_are() -> None:
    """Each in backquotes."""
    for status, who in ROWS:
        assert status
        for command in re.findall(r"`(\w+)", who):
            assert command in COMMANDS


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["help"], 0),
        (["ls", "--spooler", "/nowhere"], 1),
        (["ls", "--no-such-option"], 2),
        (["nonsense"], 2),
        (["help", "nonsense"], 2),
        (["show", "--spooler", ".", "abc"], 2),
    ],
)
def test_errors_go_to_standard_error(here: Path, words: list[str], status: int) -> None:
    """One line, with the status of the page; nothing is printed beside it."""
    result = CliRunner().invoke(commands, words)
    assert result.exit_code == status
    if status:
        assert (result.stdout, result.stderr.count("\n")) == ("", 1)


def test_a_command_that_cannot_be_started() -> None:
    """As a shell has it."""
    assert unrunnable("x", FileNotFoundError(2, "none")).exit_code == 127
    assert unrunnable("x", PermissionError(13, "no")).exit_code == 126


def test_the_signals_of_the_page() -> None:
    """Their numbers, wherever it runs."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        assert f"{128 + number} for" in PAGE


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in ("run", "enqueue", "exec", "dev", "help")])
def test_quiet_and_verbose(name: str) -> None:
    """Every command about tasks has both, as the page says."""
    from spoolsim.cli.table import SECTIONS, load

    options = {each for param in load(name).params for each in param.opts}
    tasks = {*SECTIONS["See tasks"], *SECTIONS["Change tasks"]} - {"sweep"}
    assert {"-q", "-v"} <= options or name not in tasks
