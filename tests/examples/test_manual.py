"""The manual, replayed from its own text: files are written, commands run at a terminal, their output compared.

A page is a page of `spoolsim help`, the README, or that of an example. A block of it begins with its language and, of
those words that a reader does not see:

    in:NAME          the page goes on in a new copy of examples/NAME
    until:REGEX      a command that shows no output goes on until it prints this, and gets Ctrl-C; nothing is compared
    status:N         the exit status of the last command in the block; without it that of each is 0
    skip: REASON     nothing runs it; SKIPPED names each of these

A block below a line that is a file's name in backquotes is written to that file. Where the name begins with examples/,
the file is there already and holds just this text.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pexpect
import pytest

import spoolsim

ROOT = Path(__file__).parents[2]
HELP = Path(spoolsim.__file__).parent / "help"
PAGES = {
    **{page.stem: page for page in sorted(HELP.glob("*.md"))},
    "README": ROOT / "README.md",
    **{f"examples/{page.parent.name}": page for page in sorted((ROOT / "examples").glob("**/README.md"))},
}
#: page -> the beginning of each block that nothing runs
SKIPPED: dict[str, list[str]] = {
    "performance": [
        "$ pip install -e '.[test,bench]' uwsgi==2.0.31",
        "$ python -m benchmarks.syscalls          # system calls of o",
        "$ pytest benchmarks --benchmark-json=old.json",
    ],
    "recipes": ["$ docker compose up"],
    "tasks": ['eval "$(spoolsim completion bash)"       # zsh: spoolsim com'],
    "testing": ["$ pip install -e '/path/to/spoolsim[pytest]'"],
    "tutorial": ["$ python -m venv .venv && . .venv/bin/activate"],
    "README": [
        "python3 -m venv .venv && .venv/bin/pip install -q -e . && (c",
        "python3 -m venv .venv && .venv/bin/pip install -q -e '.[test",
        "$ spoolsim dev uwsgi.ini -- python manage.py runserver",
        "$ spoolsim dev uwsgi.ini -- flask --app shop run",
        "def test_a_welcome_is_sent(spooler):",
        "$ spoolsim ls                   # state, age, function and a",
        "14:02:11  queued     welcome(name='ann')                    ",
        "[spoolsim] task uwsgi_spoolfile_on_box_71_3_… (function send",
    ],
    "examples/pytest_project": ["$ pip install -e '../..[pytest]' freezegun time-machine djan"],
}
#: a fenced block with its language and its words, and the name of a file in the line above it
BLOCK = re.compile(r"(?:^`([^`\n]+)`:\n\n)?^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: where the commands of a page run, as the page says it
HOME = "/home/ann"
#: before a regular expression that stands where an output would stand
UNTIL = "until:"
#: what differs from run to run, on a page and in its place in the output
VARIES = {
    "any": (r"…", r".*?"),
    "home": (re.escape(HOME), ""),
    "time": (r"\d\d:\d\d:\d\d", r"\d\d:\d\d:\d\d"),
    "date": (r"\d{4}-\d\d-\d\d", r"\d{4}-\d\d-\d\d"),
    "epoch": (r"\b1[78]\d{8}\b", r"\d{10}"),
    "file": (r"uwsgi_spoolfile_on_[\w-]+", r"uwsgi_spoolfile_on_[\w.-]+"),
    "id": (r"\b(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{6}\b", ""),
    "pid": (r"(?<=pid )\d+|(?<=pid: )\d+|(?<=process )\d+", r"\d+"),
    "span": (r"\b\d[\d.]* ?(?:ms|s|min|h)\b", r"[\d.]+ ?(?:us|ms|s|min|h)"),
    "blanks": (r"\s+", r"\s+"),
}
TOKEN = re.compile("|".join(f"(?P<{name}>{shown})" for name, (shown, _) in VARIES.items()))


@dataclass(frozen=True)
class Block:
    """A fenced block. file: '' where it is none. words: those behind the language."""

    file: str
    language: str
    words: str
    text: str

    @property
    def skipped(self) -> bool:
        """Whether nothing runs it."""
        return self.words.startswith("skip: ")

    def word(self, name: str) -> str:
        """What stands behind `name:`; '' where it is not there."""
        return dict(word.split(":", 1) for word in self.words.split()).get(name, "") if not self.skipped else ""

    def commands(self) -> Iterator[tuple[str, str, int]]:
        """(command, output, exit status)."""
        parts = re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]
        for number, part in enumerate(parts, 1):
            command, _, output = part.partition("\n")
            if (until := self.word("until")) and not output.strip():
                output = f"{UNTIL}{until}\n^C\n…\n"
            yield command, output, int(self.word("status") or 0) if number == len(parts) else 0


def blocks(page: str) -> list[Block]:
    """All of a page."""
    found = BLOCK.findall(PAGES[page].read_text(encoding="utf-8"))
    return [Block(file, language, words.strip(), text) for file, language, words, text in found]


class Terminal:
    """Runs the commands of a page, each at a terminal of 100 columns, in one place.

    ids: of a task, as the page has it, and the real one; a page's own ids mean the same task wherever they stand.
    """

    def __init__(self, home: Path) -> None:
        self.home = self.at = home
        self.ids: dict[str, str] = {}
        path = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
        ours = ("PYTEST", "PYTHON", "SPOOLSIM", "UWSGI", "DJANGO")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        self.environment = {**kept, "PATH": path, "HOME": str(home), "NO_COLOR": "1", "TERM": "dumb"}
        self.environment["PYTHONWARNINGS"] = "ignore"  # of pytest plugins that nobody has but these tests
        for name in ("COLUMNS", "LINES"):
            self.environment.pop(name, None)

    def replay(self, block: Block) -> None:
        """Write its file, or run its commands."""
        if name := block.word("in"):
            self.at = self.home / name
            ignored = shutil.ignore_patterns("__pycache__", "spool", "*.db", "done.txt")
            shutil.copytree(ROOT / "examples" / name, self.at, ignore=ignored)
        if block.file.startswith("examples/"):
            assert block.text == (ROOT / block.file).read_text(encoding="utf-8"), f"{block.file} is another one"
        elif block.file:
            (self.at / block.file).parent.mkdir(parents=True, exist_ok=True)
            (self.at / block.file).write_text(block.text.replace(HOME, str(self.home)), encoding="utf-8")
        else:
            for command, output, status in block.commands():
                self.run(command, output, status)

    def pattern(self, shown: str) -> str:
        """A regular expression for the output that a page shows."""
        if shown.startswith(UNTIL):
            return f".*?{shown.removeprefix(UNTIL).strip()}"
        known = dict(self.ids)

        def varying(found: re.Match[str]) -> str:
            kind, text = str(found.lastgroup), found[0]
            if kind == "home":
                return re.escape(str(self.home))
            if kind != "id":
                return VARIES[kind][1]
            if text not in known:
                known[text] = ""
                return f"(?P<id_{text}>[0-9a-f]{{6,}})"
            return known[text] or f"(?P=id_{text})"

        parts, end = [], 0
        shown = shown.strip()
        for found in TOKEN.finditer(shown):
            parts += [re.escape(shown[end : found.start()]), varying(found)]
            end = found.end()
        text = "".join([*parts, re.escape(shown[end:])])
        return re.sub(r"(?:\\s\+)?\.\*\?(?:\\s\+)?", ".*?", text)

    def real(self, command: str) -> str:
        """A command with the real ids, of which it may have the beginning alone."""

        def known(found: re.Match[str]) -> str:
            real = {real for shown, real in self.ids.items() if shown.startswith(found[0])}
            return real.pop() if len(real) == 1 else found[0]

        return re.sub(r"(?<=[ /])[0-9a-f]{3,6}\b", known, command.replace(HOME, str(self.home)))

    def run(self, command: str, output: str, status: int = 0) -> None:
        """One command. A line `^C` in its output means that it goes on until Ctrl-C."""
        verb, _, rest = command.partition(" ")
        if verb == "cd":
            self.at = (self.at / rest).resolve()
        elif verb == "unset":
            self.environment.pop(rest)
        elif verb == "export":
            name, _, value = rest.partition("=")
            self.environment[name] = value
        else:
            self._spawn(command, output, status)

    def _spawn(self, command: str, output: str, status: int) -> None:
        child = pexpect.spawn(
            "bash",
            ["-c", self.real(command)],
            cwd=str(self.at),
            env=self.environment,
            encoding="utf-8",
            timeout=120,
            dimensions=(24, 100),
        )
        printed, extra, loose = "", [], False
        try:
            for number, part in enumerate(re.split(r"^\^C\n", output, flags=re.MULTILINE)):
                if number:
                    child.sendintr()
                if part.strip():
                    child.expect(re.compile(self.pattern(part), re.DOTALL))
                    printed += child.before + child.after
                    extra.append("" if loose else child.before)
                    loose = part.rstrip().endswith("…")
                    self.ids |= {name[3:]: found for name, found in child.match.groupdict().items()}
            child.expect(pexpect.EOF)
            extra.append("" if loose else child.before)
        except pexpect.ExceptionPexpect:
            pytest.fail(f"$ {command}\nshould print\n{output}\nand printed\n{printed}{child.before}")
        finally:
            child.close(force=True)
        more = [text for text in extra if text.strip() not in ("", "^C")]
        assert not more, f"$ {command}\nshould print\n{output}\nand printed more\n{printed}{child.before}"
        if "^C\n" not in output:
            assert child.exitstatus == status, f"$ {command}\n{printed}{child.before}"


@pytest.mark.parametrize("page", PAGES)
def test_a_page_prints_what_it_shows(page: str, tmp_path: Path) -> None:
    """Each command of its console blocks, one after the other."""
    terminal = Terminal(tmp_path)
    for block in blocks(page):
        if not block.skipped:
            assert block.file or block.language == "console", f"nothing runs this block: {block.text[:60]!r}"
            terminal.replay(block)


def test_what_nothing_runs_is_named_here() -> None:
    """No block is left out silently."""
    skipped = {page: [block.text.partition("\n")[0][:60] for block in blocks(page) if block.skipped] for page in PAGES}
    assert {page: lines for page, lines in skipped.items() if lines} == SKIPPED


@pytest.mark.parametrize("page", PAGES)
def test_each_block_has_a_fence(page: str) -> None:
    """An indented one would be seen by nobody here."""
    text = BLOCK.sub("", PAGES[page].read_text(encoding="utf-8"))
    assert "```" not in text
    assert re.findall(r"^ {4,}[^ ].*$|^~~~.*$", text, re.MULTILINE) == []
