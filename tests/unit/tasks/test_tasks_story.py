"""The log for people: its lines, what the app prints below them, and that no task's data commands a terminal."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spoolsim.log import SHOWN, Log
from spoolsim.tasks import people
from spoolsim.tasks.spans import took
from spoolsim.tasks.story import Story, fit, short_id, width
from spoolsim.work.capture import replacement
from tests.oracle.packets import packet

NAME = "uwsgi_spoolfile_on_host_1_1_1_1_1"
MAIL = packet({b"ud_spool_func": b"mail", b"to": b"ann"})
#: they change the direction of writing, or end a line where only some programs see it
TURNING = "\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
#: 14:02:11 wherever the tests run
NOON = time.mktime((2026, 11, 26, 14, 2, 11, 0, 0, -1))


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], str]]:
    """`told()`: what the story of `told.story` has written so far."""
    monkeypatch.setenv(SHOWN, "80")
    path = tmp_path / "log"
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    log = Log(fd, colour=False, style="pretty")
    log.story = Story(log, clock=lambda: NOON)

    def read() -> str:
        return path.read_text()

    read.log = log  # type: ignore[attr-defined]
    read.story = log.story  # type: ignore[attr-defined]
    yield read
    os.close(fd)


def test_a_line_for_each_thing_that_happens(told) -> None:
    """Time, what, call, duration and id stand in columns; why and what to do stand below."""
    story = told.story
    story.queued(NAME, MAIL, b"", 0.0)
    story.begin(NAME, MAIL)
    story.done(0.031, quiet=False)
    story.begin(NAME, MAIL)
    story.kept("retry 2", 1.2, "raised OSError: no route", "handle it")
    story.begin(NAME, MAIL)
    story.kept("retry 3", 1.2, "raised OSError: no route", "")
    story.killed(NAME, MAIL, 150, "its spooler was killed by SIGKILL")
    mark = short_id(NAME)
    assert told().splitlines() == [
        f"14:02:11  queued     mail(to='ann')                                     {mark}",
        f"14:02:11  done       mail(to='ann')                            31.0 ms  {mark}",
        f"14:02:11  retry 2    mail(to='ann')                             1.20 s  {mark}",
        "            raised OSError: no route",
        "            handle it",
        f"14:02:11  retry 3    mail(to='ann')                             1.20 s  {mark}",
        "            same error",
        f"14:02:11  killed     mail(to='ann')                              2 min  {mark}",
        "            its spooler was killed by SIGKILL",
    ]
    assert max(map(len, told().splitlines())) == 79


def test_what_the_app_prints_is_indented_below_its_task(told) -> None:
    """The task is named once, before its first line; a line may come in pieces, and its end is never missing."""
    with open(os.devnull, "w", encoding="utf-8") as standard:
        out = replacement(standard, told.story.printed, told.story.flush)
    print("imported", file=out)
    told.story.begin(NAME, MAIL)
    print("one", "two", file=out)
    print("half", end="", file=out, flush=True)
    assert told().endswith("| half")
    print(" done", file=out)
    print("no end", end="", file=out)
    told.story.done(0.5, quiet=False)
    mark = short_id(NAME)
    assert told().startswith("imported\n")
    assert told().splitlines()[1].split()[1:] == ["running", "mail(to='ann')", mark]
    assert told().splitlines()[2:5] == [f"  {mark} | one two", f"  {mark} | half done", f"  {mark} | no end"]
    assert "done " in told().splitlines()[5]


def test_quiet_tells_what_failed_alone(told) -> None:
    """spooler-quiet: no line for a task that is done; what it prints is shown, under its name."""
    told.story.begin(NAME, MAIL)
    told.story.done(0.5, quiet=True)
    assert told() == ""
    told.story.begin(NAME, MAIL)
    told.story.printed(b"hello\n")
    told.story.done(0.5, quiet=True)
    assert [line.split()[-1] for line in told().splitlines()] == [short_id(NAME), "hello"]


def test_a_task_of_another_time_waits(told) -> None:
    """`at` in the future: in how long."""
    told.story.queued(NAME, MAIL, b"", 300.0)
    assert " in 5 min  #" in told()


@given(
    data=st.dictionaries(st.binary(max_size=30), st.binary(max_size=200), max_size=5),
    why=st.text(max_size=300),
    columns=st.integers(20, 250),
)
def test_no_data_of_a_task_commands_the_terminal(data: dict[bytes, bytes], why: str, columns: int) -> None:
    """Whatever a task holds or raises: no control character, no turned text; from 60 columns on no line is too wide."""
    shown: list[tuple[str, str]] = []

    class Written(Log):
        def columns(self) -> int:
            return columns

        def _emit(self, text: str) -> None:
            shown.extend((line, "") for line in text.removesuffix("\n").split("\n"))

    log = Written(-1, colour=False, style="pretty")
    story = Story(log, clock=lambda: NOON)
    story.begin(NAME, packet(data))
    story.kept("retry 1", 1.0, why, why)
    for line, _ in shown:
        assert not [each for each in line if ord(each) < 32 or 127 <= ord(each) < 160 or each in TURNING], ascii(line)
    if columns >= 60:
        assert width(shown[0][0]) == min(columns - 1, 140)


def test_a_broken_file_has_a_name_all_the_same(told) -> None:
    """What cannot be read is called that."""
    told.story.queued(NAME, b"\x11\xff\xff\x00abc", b"", 0)
    assert "(not readable)" in told()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0.0 ms"),
        (0.0314, "31.4 ms"),
        (0.9994, "999.4 ms"),
        (0.9996, "1.00 s"),
        (119.9, "119.90 s"),
        (125, "2 min"),
        (7201, "2.0 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    """At most 8 characters, in the unit that reads best."""
    assert took(seconds) == text
    assert len(text) <= 8


@given(st.text(max_size=60), st.integers(4, 40))
def test_a_text_fits_into_its_columns(text: str, columns: int) -> None:
    """Wide characters take two, combining ones none."""
    assert width(fit(text, columns)) == columns


def test_a_log_for_programs_has_no_story(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only who writes for people imports what that needs."""
    monkeypatch.delenv(SHOWN, raising=False)
    for style in ("auto", "uwsgi", "json"):
        log = Log(-1, style=style)
        people.tell(log)
        assert log.story is None
    people.tell(log := Log(-1, style="pretty"))
    assert isinstance(log.story, Story)


def test_the_lines_around_a_run(told) -> None:
    """What was found, what is served, and what was done, in the right number."""
    people.found(told.log, [], [])
    people.found(told.log, ["mail", "pay"], ["cron", "timer", "cron"])
    people.found(told.log, [f"f{n}" for n in range(9)], [])
    people.serving(told.log, ["spool", "spool"])
    people.serving(told.log, ["spool"])
    people.stopped(told.log, 1, 0)
    people.stopped(told.log, 2, 1)
    assert told().splitlines() == [
        "[spoolsim] found no spooler function",
        "[spoolsim] found 2 functions (mail, pay), 1 timer, 2 crons",
        "[spoolsim] found 9 functions (f0, f1, f2, f3, f4, f5, f6, f7, …)",
        "[spoolsim] serving spool with 2 processes; Ctrl-C stops",
        "[spoolsim] serving spool with 1 process; Ctrl-C stops",
        "[spoolsim] stopped: 1 task done",
        "[spoolsim] stopped: 2 tasks done, 1 attempt failed or asked to be retried",
    ]
