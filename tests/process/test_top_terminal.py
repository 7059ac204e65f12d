"""`spoolsim top` on a terminal: its screens at three sizes beside a running spooler, its keys, and each of its ends."""

from __future__ import annotations

import os
import re
import signal
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path

import pexpect
import pytest

from spoolsim.spool import file
from tests.conftest import Spawn, poll_until
from tests.oracle import sessions
from tests.oracle.packets import packet
from tests.process.conftest import Start, environment, noted, put

SCREENS = Path(__file__).with_name("screens")
GATED = "note('begun'); gate('open')"
#: what rich sends beside text and its styles: another screen, the cursor away, and each screen from its top
FRAME = "\x1b[H"
ALLOWED = re.compile(r"\x1b\[(\?1049[hl]|\?25[hl]|[\d;]*m|H)")
Terminal = Callable[..., "pexpect.spawn[str]"]


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    """`terminal(spool, *words, size=)`: `spoolsim top` on a pseudo-terminal."""
    started = []
    environ = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}

    def start(spool: Path, *words: str, size: tuple[int, int] = (24, 80)) -> pexpect.spawn[str]:
        with sessions.signals_not_ignored():
            child = pexpect.spawn(
                sys.executable,
                ["-m", "spoolsim", "top", "--spooler", str(spool), "--interval", "0.2", *words],
                env={**environ, "NO_COLOR": "1", "TERM": "xterm"},
                dimensions=size,
                encoding="utf-8",
                timeout=90,
            )
        started.append(child)
        return child

    yield start
    for child in started:
        child.close(force=True)


def last_screen(text: str, size: tuple[int, int]) -> str:
    """The last whole screen of all that was written; nothing but what is allowed commands the terminal."""
    assert "\x1b" not in ALLOWED.sub("", text), ascii(text)
    screens = [ALLOWED.sub("", each).replace("\r", "") for each in text.split(FRAME)]
    whole = [each.split("\n") for each in screens if each.count("\n") == size[0] - 1]
    return "\n".join(line.rstrip() for line in whole[-1]) + "\n"


def plain(text: str, spool: Path) -> str:
    """A screen without what differs from run to run; no column moves."""
    text = text.replace(str(spool), "/home/spool".ljust(len(str(spool))))
    text = re.sub(r"\d\d:\d\d:\d\d", "HH:MM:SS", text)
    text = re.sub(r"^ *\d+  (?=spoolsim)", "  12066  ", text, flags=re.MULTILINE)
    text = re.sub(r"(?<=running) +[\d.]+ (ms|s|min)", lambda found: "1.20 s".rjust(len(found[0])), text)
    text = re.sub(r"(?m)^(.{25})( +\d+) ", lambda found: f"{found[1]}{'2':>{len(found[2])}} ", text)  # attempts
    text = re.sub(r"[▁▂▃▄▅▆▇█]+", "▁▂▃▄▅▆▇█", text)
    text = re.sub(r" +\d+ (ms|s) ago", lambda found: "5 s ago".rjust(len(found[0])), text)
    text = re.sub(r" +in \d+ (min|h|s)  ", lambda found: "in 60 min  ".rjust(len(found[0])), text)
    text = re.sub(r"\d+\.\d/s", "0.2/s", text)
    text = re.sub(r"(?m)^spoolsim top .*", "spoolsim top  /home/spool  HH:MM:SS", text)
    return re.sub(r"(?<=[#\s])[0-9a-f]{6}\b", "3fa1c2", text)


@pytest.mark.parametrize("size", [(24, 80), (40, 120), (50, 200)], ids=["80x24", "120x40", "200x50"])
def test_the_screen(start: Start, terminal: Terminal, size: tuple[int, int]) -> None:
    """A running task against its harakiri, an idle spooler, failures and delayed tasks, hostile and huge values."""
    i = start("--spooler-processes", "2", "--spooler-harakiri", "3600", "--spooler-frequency", "3600")
    i.wait_workers(2)
    hostile = {b"to": "\x1b[31mxeno\x07\n日本\u202e".encode(), b"code": b"raise ConnectionError('no route to host')"}
    name = os.path.basename(file.write(str(i.spool), file.next_name(), packet(hostile) + b"x" * 1_000_000))
    poll_until(lambda: name in _journal(i.spool), what="the failure")
    i.put(GATED)
    i.wait_runs("begun")
    file.write(str(i.spool), file.next_name(), packet({b"user": b"42"}), stamp=4_000_000_000)
    child = terminal(i.spool, size=size)
    child.expect("1 queued, 1 running, 1 delayed")
    text = child.before + child.after
    child.expect("idle")  # the other one has seen that the first task is locked
    text += child.before + child.after
    for keys, pattern in (("j", "> [0-9a-f]{6}"), ("p", "PAUSED"), ("q", pexpect.EOF)):
        child.send(keys)
        child.expect(pattern)
        text += child.before + (child.after if isinstance(child.after, str) else "")
    shown = plain(last_screen(text, size), i.spool)
    kept = SCREENS / f"top-{size[1]}x{size[0]}.txt"
    if os.environ.get("SPOOLSIM_KEEP_SCREENS"):
        kept.write_text(shown)
    assert shown == kept.read_text()
    child.close()
    assert child.exitstatus == 0
    i.open_gate("open")


def _journal(spool: Path) -> str:
    try:
        return (spool / ".spoolsim" / "journal").read_text()
    except FileNotFoundError:
        return ""


def modes(child: pexpect.spawn[str]) -> list[object]:
    """How the terminal is set."""
    return termios.tcgetattr(child.child_fd)


@pytest.mark.parametrize(
    ("end", "status"),
    [("q", 0), ("\x03", 0), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGQUIT, 131)],
    ids=["q", "ctrl-c", "SIGTERM", "SIGHUP", "SIGQUIT"],
)
def test_the_terminal_is_given_back(tmp_path: Path, terminal: Terminal, end: str | int, status: int) -> None:
    """Its modes, its screen and its cursor, at each end."""
    child = terminal(tmp_path)
    child.expect("no process serves")
    assert not modes(child)[3] & (termios.ECHO | termios.ICANON)
    child.send(end) if isinstance(end, str) else child.kill(end)
    child.expect_exact("\x1b[?25h")
    child.expect_exact("\x1b[?1049l")
    child.expect(pexpect.EOF)
    assert modes(child)[3] & (termios.ECHO | termios.ICANON) == termios.ECHO | termios.ICANON
    child.close()
    assert child.exitstatus == status


def test_a_terminal_that_is_gone(tmp_path: Path, terminal: Terminal) -> None:
    """It ends, without a traceback that nobody reads."""
    child = terminal(tmp_path)
    child.expect("no process serves")
    os.close(os.dup(child.child_fd))
    child.close(force=False)
    poll_until(lambda: not child.isalive(), what="its end")
    assert child.exitstatus in (1, 129) or child.signalstatus == signal.SIGHUP


def test_an_error_gives_the_terminal_back(tmp_path: Path, terminal: Terminal) -> None:
    """Here the spool directory goes while it is looked at."""
    spool = tmp_path / "spool"
    spool.mkdir()
    child = terminal(spool)
    child.expect("no process serves")
    spool.rmdir()
    child.expect_exact("\x1b[?1049l")
    child.expect(pexpect.EOF)
    assert "Traceback" not in child.before
    assert modes(child)[3] & termios.ECHO
    child.close()
    assert child.exitstatus == 1


def test_the_keys(tmp_path: Path, terminal: Terminal) -> None:
    """Help, a selection and a retry; Ctrl-Z gives the terminal back until it goes on."""
    path = file.write(str(tmp_path), file.next_name(), packet({b"user": b"42"}), stamp=4_000_000_000)
    child = terminal(tmp_path)
    child.expect("1 delayed")
    child.send("?")
    child.expect("make the selected task due now")
    child.send("?\x1b[B")
    child.expect("> [0-9a-f]{6}")
    child.send("r")
    child.expect("is due now")
    child.expect("1 queued")
    assert os.stat(path).st_mtime < 4_000_000_000
    child.send("\x1a")  # no shell would let it go on here, so the system does not stop it
    child.expect_exact("\x1b[?1049l")
    child.expect_exact("\x1b[?1049h")
    child.expect("1 queued")
    child.send("q")
    child.expect(pexpect.EOF)


@pytest.mark.oracle
def test_a_real_uwsgi(spawn: Spawn, uwsgi_binary: str, home: Path, terminal: Terminal) -> None:
    """Its spooler, and the task that it runs, by the lock that it holds."""
    spool = home / "spool"
    spool.mkdir()
    put(spool, GATED)
    served = [uwsgi_binary, "--master", "--spooler", "spool", "--import", "app", "--spooler-frequency", "1"]
    spawned = spawn(served, cwd=home, env=environment(home))
    poll_until(lambda: "begun" in noted(home), what="the task")
    child = terminal(spool, size=(24, 120))
    child.expect(r"uWSGI     running .* not known .*spooler\(code=")
    child.expect("uWSGI's own attempts are not recorded")
    child.send("q")
    child.expect(pexpect.EOF)
    (home / "gates" / "open").touch()
    spawned.stop(signal.SIGINT)
