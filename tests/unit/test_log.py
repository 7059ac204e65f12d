"""The log: uWSGI's lines as they are, colours on a terminal alone, one JSON object a line."""

from __future__ import annotations

import json
import os
import pty
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from spoolsim.log import Log


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., bytes]:
    """`written(use, **options)`: the bytes that a log writes to a file."""

    def write(use: Callable[[Log], object], **options: Any) -> bytes:
        path = tmp_path / "log"
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        use(Log(fd, **options))
        os.close(fd)
        return path.read_bytes()

    return write


def on_terminal(use: Callable[[Log], object], **options: Any) -> bytes:
    """The bytes that a log writes to a terminal."""
    ours, theirs = pty.openpty()
    use(Log(theirs, **options))
    os.write(theirs, b"\0")
    data = b""
    while not data.endswith(b"\0"):
        data += os.read(ours, 4096)
    os.close(ours)
    os.close(theirs)
    return data[:-1]


def test_a_pipe_gets_plain_lines(written: Callable[..., bytes]):
    """Each kind of line has its own beginning, and no colour."""
    assert written(lambda log: log.line("uWSGI's", "done")) == b"uWSGI's\n"
    assert written(lambda log: log.say("ours")) == b"[spoolsim] ours\n"
    assert written(lambda log: log.say("ours", error=True)) == b"[spoolsim] ours\n"
    assert written(lambda log: log.note("a-code", "a note")) == b"[production] a note (a-code)\n"
    assert written(lambda log: log.raw("as it is")) == b"as it is"


def test_a_dated_line_has_the_date_of_ctime(written: Callable[..., bytes]):
    """The date is C's, in front of ` - `."""
    date, _, text = written(lambda log: log.dated("text")).decode().partition(" - ")
    assert text == "text\n"
    assert abs(time.mktime(time.strptime(date)) - time.time()) < 60


def test_a_terminal_gets_colours(monkeypatch: pytest.MonkeyPatch):
    """On a terminal a note, a diagnosis and an error are coloured and set back; uWSGI's plain lines are not.

    An empty NO_COLOR is none.
    """
    monkeypatch.setenv("NO_COLOR", "")
    for use in (lambda log: log.note("code", "x"), lambda log: log.say("x"), lambda log: log.say("x", error=True)):
        data = on_terminal(use)
        assert data.startswith(b"\x1b[")
        assert data.rstrip(b"\r\n").endswith(b"\x1b[0m")
    assert on_terminal(lambda log: log.line("plain")) == b"plain\r\n"


@pytest.mark.parametrize("value", ["1", "0"])
def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch, value: str):
    """With NO_COLOR in the environment, whatever it says, a terminal gets plain text, too."""
    monkeypatch.setenv("NO_COLOR", value)
    assert on_terminal(lambda log: log.say("x")) == b"[spoolsim] x\r\n"


def test_json_is_one_object_a_line(written: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch):
    """Time, process, kind, code and text, on a terminal too without a colour."""

    def use(log: Log) -> None:
        log.note("a-code", "two\nlines")
        log.line("uWSGI's")
        log.say("ours")

    for data in (written(use, style="json"), on_terminal(use, style="json")):
        rows = [json.loads(line) for line in data.decode().splitlines()]
        assert [(row["kind"], row["code"]) for row in rows] == [("note", "a-code"), ("uwsgi", None), ("say", None)]
        assert "two\nlines" in rows[0]["text"]
        for row in rows:
            assert row["pid"] == os.getpid()
            assert abs(row["time"] - time.time()) < 60


@pytest.mark.parametrize(
    ("text", "data"),
    [("é\udcff", b"\xc3\xa9\xff"), ("\ud800", b"\\ud800"), ("a\udcff\ud800", b"a\\udcff\\ud800")],
    ids=ascii,
)
def test_any_text_can_be_written(written: Callable[..., bytes], text: str, data: bytes):
    """Bytes of a file's name come out as they were; a surrogate that is none of them does not end the process."""
    assert written(lambda log: log.line(text)) == data + b"\n"


def test_a_reader_that_left_is_no_error():
    """Writing to a pipe that nobody reads any more does nothing."""
    reader, writer = os.pipe()
    os.close(reader)
    Log(writer).line("lost")
    os.close(writer)
    Log(writer).line("closed")


def test_a_name_cannot_write_lines_of_its_own(written: Callable[..., bytes]):
    """Control characters in our diagnoses are shown, not sent: a file's name may hold any."""
    name = "a\n[spoolsim] all is well\x1b[2J\x7f\x85\t"
    shown = rb"a\x0a[spoolsim] all is well\x1b[2J\x7f\x85\x09"
    assert written(lambda log: log.say(name)) == b"[spoolsim] " + shown + b"\n"
    assert written(lambda log: log.note("code", name)) == b"[production] " + shown + b" (code)\n"
