"""How `top` looks at each size, its snapshot and its --json."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from spoolsim.cli.topview import screen, sparkline
from spoolsim.spool.directory import SpoolDir
from spoolsim.spool.journal import Journal
from spoolsim.spool.names import PREFIX
from spoolsim.tasks.describe import HANDLER, Call
from spoolsim.tasks.listing import Row, identify
from spoolsim.tasks.processes import OURS, UWSGI
from spoolsim.tasks.records import SCHEMAS
from spoolsim.tasks.spoolers import IDLES, RUNS, Spooler
from spoolsim.tasks.states import DELAYED, FAILED, QUEUED
from spoolsim.tasks.story import width
from spoolsim.tasks.top import Top
from tests.oracle.packets import packet
from tests.unit.cli.conftest import Run, put

SPOOL = SpoolDir("/srv/spool")
NOW = 1_000_000.5
SIZES = [(80, 24), (120, 40), (200, 50), (40, 10), (20, 3), (1, 1)]
#: what a task or a file's name may hold to command a terminal, or to seem another text
HOSTILE = "\x1b]0;own\x07 日本\u202e\u200d\n[spoolsim] all is well\t" + "x" * 2000


def full(spoolers: int = 20, failures: int = 12) -> Top:
    """Much of everything, hostile where a task decides."""
    rows = [Row(SPOOL, f"/srv/spool/q{n}", f"q{n}", QUEUED, NOW - n) for n in range(9)]
    for number in range(failures):
        call = Call(HANDLER, "", (), (("n", HOSTILE if number % 2 else "1"),))
        name = f"{HOSTILE[:90]}{number}"
        rows.append(Row(SPOOL, f"/srv/spool/{name}", name, FAILED, NOW - 90, why=f"raised X: {HOSTILE}", call=call))
        rows.append(Row(SPOOL, f"/srv/spool/d{number}", f"d{number}", DELAYED, call=call, next_run=NOW + number * 1000))
    identify(rows)
    top = Top()
    running = [Spooler("/srv/spool", 100 + n, OURS, RUNS, "q1" if n % 2 else HOSTILE, n, 20.0) for n in range(spoolers)]
    for at in (NOW, NOW + 3):
        top.feed(
            rows,
            [*running, Spooler("/srv/spool", 99, UWSGI, RUNS, "q2"), Spooler("/srv/spool", 98, OURS, IDLES)],
            [],
            at,
        )
    return top


@pytest.mark.parametrize("size", SIZES)
def test_a_screen_is_never_larger_than_the_terminal(size: tuple[int, int]) -> None:
    """In columns and in lines, wherever the selection is, and with nothing in it that a terminal would obey."""
    top = full()
    for key in ["", "?", "?", *["down"] * 30, "p", *["up"] * 40]:
        top.press(key, lambda row: pytest.fail("not asked for"))
        lines = screen(top, ["/srv/spool", HOSTILE], *size)
        assert len(lines) <= size[1]
        assert all(width(line.plain) <= size[0] for line in lines)
        assert all(line.plain.isprintable() for line in lines)
        if size[1] >= 24 and top.selected and not top.helping:
            assert sum(line.plain.startswith(f"> {top.selected.id}") for line in lines) == 1


def test_a_screen_names_what_matters() -> None:
    """The running spoolers first, how many there is no room for; harakiri; the whole reason; the keys."""
    top = full()
    top.press("down", lambda row: pytest.fail("not asked for"))
    shown = [line.plain for line in screen(top, ["/srv/spool"], 120, 24)]
    text = "\n".join(shown)
    assert len(shown) == 24
    assert shown[0].startswith("spoolsim top  /srv/spool ")
    assert "119  spoolsim  running     19.00 s  [########] of 20 s" not in text  # no room for it
    assert ["uWSGI" in line for line in shown[2:4]] == [True, False]
    assert "       >3 s  not known" in shown[2]
    assert "    100  spoolsim  running     0.0 ms  [        ] of 20 s" in shown[3]
    assert "and 17 more, 16 running" in text
    assert "(uWSGI's own attempts are not recorded)" in text
    assert "WAITING  9 queued, 12 delayed, 12 failed" in text
    assert "9 due, most 9" in text
    assert shown[-1] == "q quit   p pause   up/down select   r retry   ? help"


def test_who_serves() -> None:
    """Nobody; or who does cannot be known."""
    top = Top()
    assert "no process serves this directory" in screen(top, ["/a"], 80, 24)[1].plain
    assert "no process serves these directories" in screen(top, ["/a", "/b"], 80, 24)[1].plain
    top.feed([], None, [], NOW)
    assert "not known: this system has no /proc" in screen(top, ["/a"], 80, 24)[1].plain


def test_a_sparkline() -> None:
    """One column for each number, by the greatest of them; more than nothing is never shown as nothing."""
    assert sparkline([]) == ""
    assert sparkline([0, 0]) == "▁▁"
    assert sparkline([0, 1, 350, 700]) == "▁▂▅█"


def test_a_snapshot_is_plain_text(spool: SpoolDir, run: Run) -> None:
    """With a whole reason, and without an escape sequence, however hostile the task is."""
    put(spool, f"{PREFIX}a", packet({b"ud_spool_func": b"mail", b"to": b"\x1b[31mxeno\x07\n"}) + b"x" * 1_000_000)
    Journal(spool).add(f"{PREFIX}a", "retry", 5, "raised ConnectionError: no route to \x1b[31mhost " + "y" * 200)
    result = run("top")
    assert result.exit_code == 0
    assert result.output == run("top", "--once").output or "AGO" not in result.output
    assert all(line.isprintable() for line in result.output.splitlines())
    assert "WAITING  1 queued" in result.output
    assert r"mail(to='\x1b[31mxeno\x07\n', body=<1000000 bytes>)" in result.output
    assert r"ConnectionError: no route to \x1b[31mhost " + "y" * 200 in result.output


def test_top_as_json(spool: SpoolDir, run: Run) -> None:
    """One object, valid by the schema; all of the view is in it."""
    put(spool, f"{PREFIX}a", packet({b"ud_spool_func": b"mail", b"to": b"ann"}))
    put(spool, f"{PREFIX}b\udcff", packet({b"x": b"y"}), age=-50)
    Journal(spool).add(f"{PREFIX}a", "retry", 5, "raised X: y")
    (line,) = run("top", "--json").stdout.splitlines()
    record = json.loads(line)
    jsonschema.validate(record, json.loads(Path(SCHEMAS, "top.json").read_text()))
    assert record["waiting"]["queued"] == record["waiting"]["delayed"] == 1
    assert record["rates"]["retries"] > 0
    assert [(each["call"], each["state"], each["why"]) for each in record["failed_or_delayed"]] == [
        ("mail(to='ann')", "queued", "raised X: y"),
        ("spooler(x='y')", "delayed", ""),
    ]


def test_the_record_of_every_kind_of_spooler_is_valid() -> None:
    """Also of what is hostile, and where spoolers cannot be known."""
    from spoolsim.tasks.records import top as record

    schema = json.loads(Path(SCHEMAS, "top.json").read_text())
    found = full()
    jsonschema.validate(record(found), schema)
    found.feed([], None, [], NOW + 9)
    jsonschema.validate(record(found), schema)


@pytest.mark.parametrize("words", [["--follow"], ["--json", "--follow", "--once"], ["--interval", "soon"]])
def test_what_top_does_not_understand(run: Run, words: list[str]) -> None:
    """One line, status 2."""
    result = run("top", *words)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
