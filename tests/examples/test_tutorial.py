"""The tutorial, replayed from its own text: files are written, commands run at a terminal, their output compared."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

import spoolsim

PAGE = Path(spoolsim.__file__).parent / "help" / "tutorial.md"
#: a fenced block with its language, and the name of a file in the line above it, if that is all the line has
BLOCK = re.compile(r"(?:^`([^`\n]+)`:\n\n)?^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: what differs from run to run, by what stands for it on the page
VARIES = (
    (r"\d\d:\d\d:\d\d", r"\\d\\d:\\d\\d:\\d\\d"),
    (r"\b3fa1c2\b", r"[0-9a-f]{6,}"),
    (r"1\\\.0\\ ms", r"[0-9.]+ (?:ms|s)"),
)


def steps(text: str) -> Iterator[tuple[str, str, str]]:
    """("file", name, content) and ("command", words, output), in the order of the page."""
    for name, language, rest, content in BLOCK.findall(text):
        if name:
            yield "file", name, content
        elif language == "console" and not rest.strip().startswith("skip:"):
            for part in re.split(r"^\$ ", content, flags=re.MULTILINE)[1:]:
                command, _, output = part.partition("\n")
                yield "command", command, output
        else:
            assert rest.strip().startswith("skip:"), f"a block that nothing runs: {content[:60]!r}"


def pattern(shown: str) -> str:
    """A regular expression for the output that a page shows. Any blanks stand for any blanks."""
    text = re.escape(shown.strip())
    for found, varies in VARIES:
        text = re.sub(found, varies, text)
    text = re.sub(r"(?:\\ |\\\n|\n)+", r"\\s+", text)
    return re.sub(r"(?:\\s\+)?…(?:\\s\+)?", ".*?", text)


class Terminal:
    """Runs the page's commands, each at a terminal of 100 columns, in one place."""

    def __init__(self, home: Path) -> None:
        self.home = home
        bin = os.path.dirname(sys.executable)
        self.environment = {**os.environ, "PATH": f"{bin}:{os.environ['PATH']}", "NO_COLOR": "1"}
        for name in ("COLUMNS", "LINES", "PYTEST_ADDOPTS", "DJANGO_SETTINGS_MODULE"):
            self.environment.pop(name, None)

    def run(self, command: str, output: str) -> None:
        """One command. A line `^C` in its output means that it goes on until Ctrl-C."""
        verb, _, rest = command.partition(" ")
        if verb == "cd":
            self.home = (self.home / rest).resolve()
            return
        if verb == "unset":
            self.environment.pop(rest)
            return
        if verb == "export":
            name, _, value = rest.partition("=")
            self.environment[name] = value
            return
        child = pexpect.spawn(
            "bash",
            ["-c", command],
            cwd=str(self.home),
            env=self.environment,
            encoding="utf-8",
            timeout=120,
            dimensions=(24, 100),
        )
        said = ""
        try:
            for n, part in enumerate(output.split("^C\n")):
                if n:
                    child.sendintr()
                if part.strip():
                    child.expect(pattern(part))
                    said += child.before + child.after
            child.expect(pexpect.EOF)
        except pexpect.ExceptionPexpect:
            pytest.fail(f"$ {command}\nshould print\n{output}\nand printed\n{said}{child.before}")
        finally:
            child.close(force=True)
        if "^C" not in output:
            assert child.exitstatus == 0, f"$ {command}\n{said}{child.before}"


def test_the_tutorial(tmp_path: Path) -> None:
    """Nothing to a tested task, for Django and for Flask."""
    terminal = Terminal(tmp_path)
    commands = 0
    for kind, name, content in steps(PAGE.read_text(encoding="utf-8")):
        if kind == "file":
            (terminal.home / name).write_text(content)
        else:
            terminal.run(name, content)
            commands += 1
    assert commands >= 15
