"""What a worker leaves of its attempts: gathered, written, and never a reason for a task to fail."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator

import pytest

from spoolsim.log import Log
from spoolsim.options import Options
from spoolsim.spool.claim import Claim
from spoolsim.spool.directory import SpoolDir
from spoolsim.spool.history import MOST, Record, read, records
from spoolsim.spool.scan import Level
from spoolsim.work import outcome as outcomes
from spoolsim.work import recorder, trace
from spoolsim.work.app import App
from spoolsim.work.capture import Capture, leave_streams
from spoolsim.work.recorder import Box, Recorder, bury, died, open_box
from tests.oracle.packets import packet

TASK = "uwsgi_spoolfile_on_a_1_1_1_1_1"


@pytest.fixture
def spool(tmp_path: object) -> SpoolDir:
    """An empty spool directory."""
    path = f"{tmp_path}/spool"
    os.mkdir(path)
    return SpoolDir(path)


class Streams:
    """Standard output and standard error, and what is behind them; put in by the test, as pytest puts in its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.patch = monkeypatch
        self.out, self.err = io.BytesIO(), io.BytesIO()

    def put(self) -> None:
        """From now on."""
        self.patch.setattr(sys, "stdout", io.TextIOWrapper(self.out, "utf-8", write_through=True))
        self.patch.setattr(sys, "stderr", io.TextIOWrapper(self.err, "utf-8", write_through=True))
        self.patch.setattr(sys, "__stderr__", sys.stderr)


@pytest.fixture
def streams(monkeypatch: pytest.MonkeyPatch) -> Iterator[Streams]:
    """Streams of Python's own, which are left as they were."""
    yield Streams(monkeypatch)
    leave_streams()


def app_of(**options: object) -> App:
    """An app with these options."""
    return App(Options(**options), [], Log())


def claim_of(spool: SpoolDir, data: bytes, name: str = TASK) -> Claim:
    """A claimed task with this file."""
    return Claim(Level(spool, spool.path, -1), name, -1, data, 5.25, 1, False)


def found(spool: SpoolDir) -> list[Record]:
    """All that is written."""
    return [record for part in read(spool) for record in records(part)]


def test_a_line_says_all_of_an_attempt(spool: SpoolDir, streams: Streams) -> None:
    """Of one that failed: reason, traceback, names of local variables, output, file."""
    capture = Capture()
    written = Recorder(app_of(), spool, Box(capture))
    streams.put()
    capture.attend()
    print("to\tone", end="\n")
    sys.stderr.write("to\\other")
    capture.wrote("logged")
    raise_in(capture, _error("bad"))
    data = packet({b"k": b"v\n\\"}) + b"body"
    written.kept(claim_of(spool, data), outcomes.Outcome("retry", "raised ValueError: bad"), 3, 2_500_000, 9_000_000)
    written.done(claim_of(spool, data), 1000, 9_000_001)
    written.flush()
    first, last = found(spool)
    assert (first.outcome, first.attempt, first.why, first.task) == ("retry", 3, "raised ValueError: bad", TASK)
    assert (first.at, first.took, first.due, first.pid) == (9_000_000, 2_500, 5_250_000, os.getpid())
    assert first.output == "to\tone\nto\\otherlogged\n"
    assert first.data == data
    assert first.traceback.startswith("Traceback (most recent call last):\n")
    assert first.traceback.endswith("ValueError: bad\n")
    assert first.names.endswith("_error: text, secret")
    assert (last.outcome, last.traceback, last.names, last.output, last.data) == ("done", "", "", "", data)


def raise_in(capture: Capture, error: BaseException) -> None:
    """A task raises it, and it is printed."""
    app = app_of()
    app.capture = capture
    try:
        raise error
    except BaseException:
        trace.show(app, "a task")


def _error(text: str) -> ValueError:
    secret = [text]
    try:
        raise ValueError(secret[0])
    except ValueError as error:
        return error


def test_values_only_where_they_are_asked_for(spool: SpoolDir, streams: Streams) -> None:
    """--history-locals; an object whose repr() fails is shown by its class."""
    capture = Capture(values=True)
    raise_in(capture, _error("bad"))
    assert capture.take_error()[1].endswith(b"_error: text='bad', secret=['bad']")
    assert capture.take_error() == (b"", b"")


def test_of_much_that_is_printed_begin_and_end_are_kept(streams: Streams) -> None:
    """Half of 64 KiB each; all of it is passed on."""
    capture = Capture()
    streams.put()
    capture.attend()
    lines = [f"line {number}\n" for number in range(20_000)]
    for line in lines:
        sys.stdout.write(line)
    text = "".join(lines).encode()
    taken = capture.take()
    assert streams.out.getvalue() == text
    gap = b"\n... %d bytes ...\n" % (len(text) - MOST)
    assert taken == text[: MOST // 2] + gap + text[-MOST // 2 :]
    sys.stdout.write("x" * 3 * MOST)
    assert len(capture.take()) == MOST + len(b"\n... 131072 bytes ...\n")
    sys.stdout.write("x" * (MOST // 2) + "y")
    assert capture.take() == b"x" * (MOST // 2) + b"y"
    assert capture.take() == b""


def test_streams_of_the_app_are_seen_once(streams: Streams, monkeypatch: pytest.MonkeyPatch):
    """One that passes on to the stream before it; one that does not; one that takes no attribute."""

    class Tee:
        def __init__(self, before: io.TextIOWrapper | None) -> None:
            self.before = before

        def write(self, text: str) -> int:
            return self.before.write(text) if self.before else len(text)

    class Fixed(Tee):
        __slots__ = ()
        write = property(lambda self: len)  # type: ignore[assignment]

    capture = Capture()
    streams.put()
    capture.attend()
    monkeypatch.setattr(sys, "stdout", Tee(sys.stdout))  # type: ignore[arg-type]
    monkeypatch.setattr(sys, "stderr", Tee(None))
    capture.attend()
    capture.attend()
    print("one")
    print("two", file=sys.stderr)
    monkeypatch.setattr(sys, "stderr", Fixed(None))
    capture.attend()
    print("unseen", file=sys.stderr)
    assert capture.take() == b"one\ntwo\n"


def test_streams_are_left_as_they_were(streams: Streams) -> None:
    """In a child that a task forks, too."""
    capture = Capture()
    streams.put()
    capture.attend()
    assert "write" in vars(sys.stdout)
    read_end, write_end = os.pipe()
    pid = os.fork()
    if not pid:
        os.write(write_end, b"%d" % ("write" in vars(sys.stdout)))
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(read_end, 9) == b"0"
    leave_streams()
    assert "write" not in vars(sys.stdout)
    print("x")
    assert capture.take() == b""


def test_a_wrong_argument_is_refused_as_before(streams: Streams) -> None:
    """And nothing is kept of it; text that is no UTF-8 is kept escaped, where the stream takes it."""
    capture = Capture()
    streams.put()
    capture.attend()
    with pytest.raises(TypeError, match="must be str"):
        sys.stdout.write(5)  # type: ignore[arg-type]
    with pytest.raises(UnicodeEncodeError):
        sys.stdout.write("\udcff")
    assert capture.take() == b""


def test_lines_are_written_together(spool: SpoolDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many at a time, in few writes; those that are longer than all that is gathered at once."""
    sizes: list[int] = []
    monkeypatch.setattr(recorder, "append", lambda spool, lines, limit: sizes.append(len(lines)))
    written = Recorder(app_of(), spool, Box(Capture()))
    for number in range(10_000):
        written.done(claim_of(spool, packet({b"n": b"%d" % number})), 1, 1_000_000 + number)
    assert len(sizes) < 30
    assert max(sizes) <= 65_536
    sizes.clear()
    written.done(claim_of(spool, packet({b"n": b"1"}) + b"x" * 100_000), 1, 1_010_000)
    assert len(sizes) == 2
    assert sizes[1] > 65_536


def test_a_slow_task_is_written_at_once(spool: SpoolDir) -> None:
    """The line is there before the next task ends."""
    written = Recorder(app_of(), spool, Box(Capture()))
    for number in range(3):
        written.done(claim_of(spool, packet({b"n": b"1"})), 1, 1_000_000 + number * 200_000)
        assert len(found(spool)) == number + 1


def test_a_body_is_kept_up_to_its_limit(spool: SpoolDir) -> None:
    """All variables, and 64 KiB of the body."""
    data = packet({b"k": b"v" * 60_000}) + b"b" * 200_000
    written = Recorder(app_of(), spool, Box(Capture()))
    written.done(claim_of(spool, data), 1, 1_000_000)
    (record,) = found(spool)
    assert record.data == data[: 60_009 + MOST]
    assert record.size == len(data)


def test_a_full_disk_costs_the_lines_alone(spool: SpoolDir) -> None:
    """Nothing is raised, and what comes when there is room again is written."""
    full = [True]
    real = os.write

    def write(fd: int, data: bytes) -> int:
        if full[0]:
            raise OSError(28, "No space left on device")
        return real(fd, data)

    written = Recorder(app_of(), spool, Box(Capture()))
    with pytest.MonkeyPatch.context() as broken:
        broken.setattr("spoolsim.spool.history.os.write", write)
        written.done(claim_of(spool, packet({b"n": b"1"})), 1, 1_000_000)
        full[0] = False
        written.done(claim_of(spool, packet({b"n": b"2"})), 1, 2_000_000)
    assert [record.at for record in found(spool)] == [2_000_000]


def test_a_directory_that_is_gone_costs_the_lines_alone(tmp_path: object) -> None:
    """Nothing is raised."""
    spool = SpoolDir(f"{tmp_path}/gone")
    written = Recorder(app_of(), spool, Box(Capture()))
    written.done(claim_of(spool, packet({b"n": b"1"})), 1, 1_000_000)
    written.flush()


def test_an_error_that_cannot_be_shown_is_none_of_ours(streams: Streams) -> None:
    """Its own methods raise whatever they like."""

    class Bad(Exception):
        def __str__(self) -> str:
            raise SystemExit(3)

    capture = Capture(values=True)
    try:
        raise Bad
    except Bad as error:
        raise_in(capture, error)
    assert b"Bad" in capture.take_error()[0]


def test_what_a_dead_worker_has_left_is_written(spool: SpoolDir) -> None:
    """Its lines, and what its last task had printed, from memory that a forked process has filled."""
    app = app_of()
    box = open_box(app.options)
    assert box is not None
    pid = os.fork()
    if not pid:
        with contextlib.suppress(BaseException):
            written = Recorder(app, spool, box)
            written._at = 2_000_000  # nothing is old enough to be written
            written.done(claim_of(spool, packet({b"n": b"1"}), "first"), 1, 2_000_000)
            box.capture.wrote("last words")
            os._exit(0)
        os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0
    line = died(app, box, TASK, "was killed", took=5000, attempt=2, pid=pid, at=3_000_000, file=(b"d" * 9000, 1.5))
    bury(app.options, spool, box, line)
    first, last = found(spool)
    assert (first.task, first.outcome) == ("first", "done")
    assert (last.task, last.outcome, last.attempt, last.pid) == (TASK, "died", 2, pid)
    assert (last.output, last.size, last.data) == ("last words\n", 9000, b"d" * 4096)


@pytest.mark.parametrize(
    "options", [{"history_size": 0}, {"history_size": -1}, {"faithful": True}, {"no_journal": True}]
)
def test_it_can_be_off(options: dict[str, object]) -> None:
    """By its option, and under --faithful."""
    assert open_box(Options(**options)) is None


def test_text_that_is_no_utf8_is_kept_escaped(streams: Streams, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the stream takes it, as standard error does; an error of a handler of signals is never taken for ours."""
    capture = Capture()
    streams.put()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(streams.err, "utf-8", "backslashreplace", write_through=True))
    capture.attend()
    sys.stderr.write("a\udcffb\n")
    assert capture.take() == b"a\\udcffb\n" == streams.err.getvalue()
    with pytest.raises(ValueError, match="of the app"):
        capture._not_put("x", ValueError("of the app"))


def test_a_text_of_a_class_of_the_apps_own(streams: Streams) -> None:
    """Its methods, which may do anything, are not called."""

    class Odd(str):
        def __len__(self) -> int:
            raise RuntimeError

        def __getitem__(self, key: object) -> str:
            raise RuntimeError

    capture = Capture()
    streams.put()
    capture.attend()
    sys.stdout.write(Odd("odd"))
    assert capture.left() == b"odd"
