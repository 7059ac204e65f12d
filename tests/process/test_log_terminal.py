"""The log for people on a terminal: its screens at three sizes, and what others give it to print."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pytest

from spoolsim.spool import file
from tests.oracle.packets import packet

SCREENS = Path(__file__).with_name("screens")
APP = """\
import os, time
import uwsgi
from uwsgidecorators import spool

@spool
def mail(arguments):
    print("sending to", ascii(arguments["to"])[:40])
    print("half a", end=" ", flush=True)
    print("line")

@spool
def report(arguments):
    raise ConnectionError("\\x1b]0;own\\x07 no route to \\u202e" + arguments["host"])

@spool
def crash(arguments):
    os.kill(os.getpid(), 9)

@spool
def big(arguments):
    pass
"""
#: (function, variables, what the log says in the end)
TASKS = [
    ("mail", {b"to": b"ann"}, r"done .*mail\([^\r]*\r\n"),
    ("mail", {b"to": "日本語のとても長い宛名の人、日本語のとても長い宛名の人".encode()}, r"done .*mail\([^\r]*\r\n"),
    ("mail", {b"to": b"\x1b[31mxeno\x07\n[spoolsim] all is well \xe2\x80\xae"}, r"done .*mail\([^\r]*\r\n"),
    ("report", {b"host": b"db.example.org"}, r"failed .*brings it back\r\n"),
    ("crash", {b"n": b"1"}, r"killed .*brings it back\r\n"),
    ("big", {b"data": b"x" * 60_000}, r"done .*big\([^\r]*\r\n"),
]
Terminal = Callable[..., "pexpect.spawn[str]"]


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """`terminal(*words, size=, **environment)`: `spoolsim` with these words on a pseudo-terminal, in its own home."""
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "spool").mkdir()
    started = []

    def start(*words: str, size: tuple[int, int] = (24, 80), **environment: str) -> pexpect.spawn[str]:
        child = pexpect.spawn(
            sys.executable,
            ["-m", "spoolsim", *words],
            cwd=str(tmp_path),
            env={**os.environ, **environment},
            dimensions=size,
            encoding="utf-8",
            timeout=60,
        )
        started.append(child)
        return child

    yield start
    for child in started:
        child.close(force=True)


def put(home: Path, function: str, variables: dict[bytes, bytes]) -> None:
    """Enqueue a task."""
    name = file.next_name()
    file.write(
        str(home / "spool"), name, packet({b"ud_spool_func": function.encode(), b"ud_spool_ret": b"-2", **variables})
    )


def plain(text: str) -> str:
    """A screen without what differs from run to run."""
    text = re.sub(r"\d\d:\d\d:\d\d", "HH:MM:SS", text.replace("\r", ""))
    text = re.sub(r" *\d+\.\d+ (ms|s)(?=  #)", lambda found: "0.0 ms".rjust(len(found[0])), text)
    text = re.sub(r"/[^ ]*/app\.py", "/home/app.py", text)
    text = re.sub(r"uwsgi_spoolfile_on_\w+", "uwsgi_spoolfile_on_host", text)
    text = re.sub(r"/[^ ]*/spool/", "/home/spool/", text)
    return re.sub(r"\b[0-9a-f]{6}\b", "3fa1c2", text)


@pytest.mark.parametrize("size", [(24, 80), (40, 120), (50, 200)], ids=["80x24", "120x40", "200x50"])
def test_the_screen_of_a_run(terminal: Terminal, tmp_path: Path, size: tuple[int, int]) -> None:
    """Each outcome, prints, folded errors, a summary; wide, hostile and huge values: as kept for each size."""
    child = terminal(
        *("run", "--spooler", "spool", "--import", "app", "--max-attempts", "2", "--spooler-frequency", "1"),
        *("--silence", "poison-task,busy-wait"),
        size=size,
        NO_COLOR="1",
    )
    text = ""
    for pattern in ["Ctrl-C stops", *(pattern for *_, pattern in TASKS)]:
        if text:
            function, variables, _ = TASKS[text.count("\0")]
            put(tmp_path, function, variables)
            text += "\0"
        child.expect(pattern)
        text += child.before + child.after
    child.sendintr()
    child.expect(pexpect.EOF)
    shown = plain((text + child.before).replace("\0", ""))
    assert not {"\x1b", "\x07", "\u202e"} & set(shown), ascii(shown)
    kept = SCREENS / f"log-{size[1]}x{size[0]}.txt"
    if os.environ.get("SPOOLSIM_KEEP_SCREENS"):
        kept.write_text(shown)
    assert shown == kept.read_text()


def test_the_styles(terminal: Terminal, tmp_path: Path) -> None:
    """On a terminal, too, uWSGI's own lines or JSON can be asked for; --faithful gives the first."""
    run = ("run", "--spooler", "spool", "--import", "app")
    for words, pattern in (
        (["--log-style=uwsgi"], "managing request uwsgi_spoolfile"),
        (["--log-style=json"], '"kind": "done"'),
        (["--faithful"], "managing request uwsgi_spoolfile"),
        (["--log-style=pretty", "--faithful"], r"done .*mail\("),
    ):
        put(tmp_path, "mail", {b"to": b"ann"})
        child = terminal(*run, *words)
        child.expect(pattern)
        child.sendintr()
        child.expect(pexpect.EOF)


def test_dev_gives_both_programs_what_its_names_leave(terminal: Terminal, tmp_path: Path) -> None:
    """What the command enqueues and what the spooler does are told in the same columns; no line is too wide."""
    (tmp_path / "web.py").write_text(
        "import app, signal\napp.mail(to='ann' * 100)\nprint('up', flush=True)\nsignal.pause()\n"
    )
    words = ("dev", "--spooler", "spool", "--import", "app", "--", sys.executable, "web.py")
    child = terminal(*words, size=(24, 100), NO_COLOR="1")
    child.expect(r"done .*mail\([^\r\n]*\r\n")
    text = child.before + child.after
    child.sendintr()
    child.expect(pexpect.EOF)
    lines = re.findall(r"[^\r\n]* \| \d\d:\d\d:\d\d[^\r\n]*", text)
    assert {re.findall(r"\d  (\w+) ", line)[0] for line in lines} == {"queued", "running", "done"}
    assert {len(line) for line in lines} == {99}
