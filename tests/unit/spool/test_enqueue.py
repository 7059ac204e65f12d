"""uwsgi.spool(): what is taken, what is refused and with which words, what is written where."""

from __future__ import annotations

import array
import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from spoolsim.spool.directory import SpoolDir
from spoolsim.spool.enqueue import NOT_BYTES, UNABLE, Producer, number
from tests.oracle.packets import unpack


class Bytes:
    def __init__(self, made: object) -> None:
        self.made = made

    def __repr__(self) -> str:
        return f"Bytes({self.made!r})"

    def __bytes__(self) -> bytes:
        if isinstance(self.made, Exception):
            raise self.made
        return self.made


class Text(str):
    def __bytes__(self) -> bytes:
        return b"of a str"


class Sequence:
    def __getitem__(self, index: int) -> int:
        return [104, 105][index]


def read(path: bytes) -> tuple[list[tuple[bytes, bytes]], bytes]:
    _, variables, body = unpack(Path(os.fsdecode(path)).read_bytes())
    return variables, body


def files(spool: SpoolDir) -> list[Path]:
    return [path for path in Path(spool.path).rglob("*") if path.is_file()]


def refused(producer: object, job: dict[object, object], sentence: str) -> str:
    """The note of the error that a job is refused with; the error is as bare as uWSGI's."""
    with pytest.raises(ValueError) as caught:
        producer.spool(job)
    error = caught.value
    assert type(error) is ValueError
    assert error.args == (sentence,)
    assert error.__cause__ is None
    assert error.__context__ is None
    (note,) = error.__notes__
    return note


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (b"plain", b"plain"),
        (b"", b""),
        (bytes(range(256)), bytes(range(256))),
        (bytearray(b"array"), b"array"),
        (memoryview(b"0123456789")[::3], b"0369"),
        (array.array("H", [1, 258]), array.array("H", [1, 258]).tobytes()),
        (Bytes(b"made"), b"made"),
        (Text("text"), b"of a str"),
        ([104, 105], b"hi"),
        ((104, 105), b"hi"),
        ({104: "x", 105: None}, b"hi"),
        (range(97, 100), b"abc"),
        (iter([104, 105]), b"hi"),
        (Sequence(), b"hi"),
        ([], b""),
        ({}, b""),
        ([True, False], b"\x01\x00"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_that_are_taken(make: Callable[..., tuple], value: object, written: bytes):
    """Bytes, buffers, objects with __bytes__ and iterables of small ints are written as the C call makes them."""
    producer, _ = make()
    assert read(producer.spool({b"k": value})) == ([(b"k", written)], b"")


@pytest.mark.parametrize(
    "value",
    [
        "text", "", 5, 0, -1, True, 1.5, None, ["a"], [256], [-1], [1.0], ("a",), {"a": 1}, ..., int, 2j,
        Bytes("no bytes"), Bytes(None), Bytes(RuntimeError("x")), Bytes(bytearray(b"x")),
    ],
    ids=repr,
)  # fmt: skip
def test_values_that_are_refused(make: Callable[..., tuple], spool: SpoolDir, value: object):
    """Anything else is uWSGI's one sentence; the note names key and type; nothing is written."""
    producer, _ = make()
    note = refused(producer, {b"good": b"v", b"the key": value}, NOT_BYTES)
    assert "b'the key'" in note
    assert type(value).__name__ in note
    assert files(spool) == []


@pytest.mark.parametrize("key", ["text", 1, None, ("b",), bytearray, 1.5], ids=repr)
def test_keys_that_are_refused(make: Callable[..., tuple], spool: SpoolDir, key: object):
    """A key that is not bytes is the same sentence, and the note shows it."""
    producer, _ = make()
    assert repr(key) in refused(producer, {b"good": b"v", key: b"v"}, NOT_BYTES)
    assert files(spool) == []


def test_a_str_body_is_a_str_key(make: Callable[..., tuple]):
    """`body` as text is refused, as every text key is."""
    producer, _ = make()
    assert "'body'" in refused(producer, {"body": b"data"}, NOT_BYTES)


def test_the_order_of_the_dict_is_kept(make: Callable[..., tuple]):
    """Variables are in the file in the order they were put into the dictionary."""
    producer, _ = make()
    pairs = [(b"z", b"1"), (b"a", b"2"), (b"m", b"3")]
    assert read(producer.spool(dict(pairs))) == (pairs, b"")


def test_a_subclass_of_dict_is_read_as_a_dict(make: Callable[..., tuple]):
    """Methods that a subclass overrides are not asked, as in C."""

    class Odd(dict[object, object]):
        def items(self):
            raise AssertionError

        def get(self, *args):
            raise AssertionError

    producer, _ = make()
    assert read(producer.spool(Odd({b"k": b"v", b"body": b"b"}))) == ([(b"k", b"v")], b"b")


def test_a_bytes_body_follows_the_variables_and_leaves_the_dict(make: Callable[..., tuple]):
    """The body is removed from the caller's own dictionary; the second call of the same one says so."""
    producer, said = make()
    job: dict[object, object] = {b"k": b"v", b"body": b"B" * 70_000}
    assert read(producer.spool(job)) == ([(b"k", b"v")], b"B" * 70_000)
    assert job == {b"k": b"v"}
    assert said.codes == []
    assert read(producer.spool(job)) == ([(b"k", b"v")], b"")
    assert said.codes == ["body-removed"]


def test_the_body_is_gone_even_when_the_call_fails(make: Callable[..., tuple]):
    """A call that is refused has removed the body all the same."""
    producer, _ = make()
    job: dict[object, object] = {b"k": 1, b"body": b"B"}
    refused(producer, job, NOT_BYTES)
    assert job == {b"k": 1}


@pytest.mark.parametrize(("body", "written"), [(bytearray(b"array"), b"array"), ([104], b"h")])
def test_a_body_of_another_type_is_a_variable(make: Callable[..., tuple], body: object, written: bytes):
    """Only bytes are a body; what else can be made bytes is a variable named body, and stays in the dictionary."""
    producer, _ = make()
    job = {b"body": body}
    assert read(producer.spool(job)) == ([(b"body", written)], b"")
    assert job == {b"body": body}


def test_an_empty_body_is_none(make: Callable[..., tuple]):
    """An empty body leaves the dictionary and writes nothing."""
    producer, _ = make()
    job: dict[object, object] = {b"body": b""}
    path = producer.spool(job)
    assert Path(os.fsdecode(path)).read_bytes() == b"\x11\x00\x00\x00"
    assert job == {}


@pytest.mark.parametrize("size", [65_536, 65_546, 102_400, 131_072])
@pytest.mark.parametrize("of", ["key", "value"])
def test_64_kib_are_refused_or_cut(make: Callable[..., tuple], spool: SpoolDir, size: int, of: str):
    """A key or value of 64 KiB or more is refused with a note and said; under faithful it is cut, in silence."""
    job: dict[object, object] = {b"k" * size: b"v"} if of == "key" else {b"k": b"v" * size}
    producer, said = make()
    assert str(size) in refused(producer, job, UNABLE)
    assert said.codes == ["value-cut"]
    assert files(spool) == []
    producer, said = make(faithful=True)
    rest = size % 65_536
    if rest + 5 > 65_535:
        refused(producer, job, UNABLE)
    else:
        expected = (b"k" * rest, b"v") if of == "key" else (b"k", b"v" * rest)
        assert read(producer.spool(job)) == ([expected], b"")
    assert said.codes == []


def test_all_variables_together_are_limited(make: Callable[..., tuple], spool: SpoolDir):
    """65,535 encoded bytes are taken; one more is uWSGI's line in the log and its error."""
    producer, said = make(quiet=True)
    assert read(producer.spool({b"k": b"v" * 65_530}))[0] == [(b"k", b"v" * 65_530)]
    os.unlink(files(spool)[0])
    assert "65536 bytes together" in refused(producer, {b"k": b"v" * 65_531}, UNABLE)
    assert said.lines == ["[uwsgi-spooler] args buffer is limited to 64k, use the 'body' for bigger values"]
    assert files(spool) == []


@pytest.mark.parametrize(
    ("text", "read_as"),
    [
        (b"", 0), (b"0", 0), (b"7", 7), (b"1234567890", 1234567890), (b"007", 7), (b"12x", 192), (b"1e9", 639),
        (b"10,5", 965), (b"soon", 73992), (b"-5", -25), (b"+5", -45), (b" 5", -155), (b"9" * 30, 0),
        (b"\xff", -49), (b"99999\x80", 999_814), (b"99999\xff9", 9_999_419),
    ],
)  # fmt: skip
def test_a_number_is_read_as_uwsgi_reads_it(text: bytes, read_as: int):
    """Each byte minus 48 by its decimal place, whatever the byte is; the values are those seen in uWSGI."""
    assert number(text) == read_as


@pytest.mark.parametrize(
    ("at", "mtime", "noted"),
    [
        (b"1000000000", 1_000_000_000, False),
        (b"1000000000.9", 1_000_000_000, False),
        (b"1000000000.9.8", 1_000_000_000, False),
        (b"00000000001000000000", 1_000_000_000, False),
        (b"0" * 30, None, False),
        (b"99999999999999999999", None, True),
        (b"9" * 5000, None, True),
        (b"12x", 192, True),
        (b"soon", 73_992, True),
        (b"", None, False),
        (b"0", None, False),
        (b".5", None, False),
        (b"-5", None, True),
        (b"+5", None, True),
        (b"\xff\xff", None, True),
        (b" 5", None, True),
    ],
)
def test_at_sets_the_times_of_the_file(make: Callable[..., tuple], at: bytes, mtime: int | None, noted: bool):
    """`at` up to its first dot is atime and mtime; nothing, zero and less are now; what is no number is said."""
    producer, said = make()
    path = producer.spool({b"at": at})
    status = os.stat(path)
    if mtime is None:
        assert abs(status.st_mtime - status.st_ctime) < 60
    else:
        assert (status.st_mtime, status.st_atime) == (mtime, mtime)
    assert (said.codes == ["at-not-a-number"]) == noted
    assert read(path)[0] == [(b"at", at)]


def test_priority_is_a_sub_directory(make: Callable[..., tuple], spool: SpoolDir):
    """The task goes to a directory of that name, made with the umask's mode; the path that comes back says so."""
    producer, said = make(ordered=True)
    umask = os.umask(0o027)
    try:
        path = os.fsdecode(producer.spool({b"priority": b"7"}))
    finally:
        os.umask(umask)
    assert os.path.dirname(path) == f"{spool.path}/7"
    assert stat.S_IMODE(os.stat(f"{spool.path}/7").st_mode) == 0o750
    assert said.codes == []
    os.chmod(f"{spool.path}/7", 0o700)
    producer.spool({b"priority": b"7"})
    assert len(files(spool)) == 2


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("priority", [b"high", b"1.5", b"-1"])
def test_a_priority_that_is_never_entered_is_said(make: Callable[..., tuple], priority: bytes, ordered: bool):
    """A name that is not all digits is written to, as uWSGI does, and said, spooler-ordered or not."""
    producer, said = make(ordered=ordered)
    assert os.path.basename(os.path.dirname(producer.spool({b"priority": priority}))) == priority
    assert said.codes == ["priority-not-number"]


@pytest.mark.parametrize("priority", [b"7", b"uwsgi_spoolfile_on_me"])
def test_a_priority_without_ordered_is_said(make: Callable[..., tuple], priority: bytes):
    """A directory that only spooler-ordered enters is written to, and said."""
    producer, said = make(ordered=False)
    producer.spool({b"priority": priority})
    assert said.codes == ["priority-unordered"]


ESCAPES = [
    b"../out",
    b"..",
    b".",
    b"/etc",
    b"a/b",
    b"8/9",
    b"5/../../out",
    b"5\0",
    b"\0",
    b".hidden",
    b".spoolsim",
    b"/",
]


@pytest.mark.parametrize("priority", ESCAPES)
def test_a_priority_never_leads_out(make: Callable[..., tuple], spool: SpoolDir, priority: bytes):
    """I5: separators, NUL and names that begin with a dot are refused, with a note, and nothing is made anywhere."""
    parent = Path(spool.path).parent
    before = sorted(parent.rglob("*"))
    producer, said = make(ordered=True)
    assert repr(priority) in refused(producer, {b"priority": priority}, UNABLE)
    assert said.codes == ["priority-path"]
    after = sorted(parent.rglob("*"))
    assert [path for path in after if not path.name.startswith("log")] == before


def test_under_faithful_a_priority_escapes_as_in_uwsgi(make: Callable[..., tuple], spool: SpoolDir):
    """uWSGI follows `../out`, and cuts at NUL; where a parent is missing it fails with its own error."""
    producer, said = make(ordered=True, faithful=True)
    out = os.fsencode(os.path.dirname(spool.path))
    assert os.path.realpath(os.path.dirname(producer.spool({b"priority": b"../out"}))) == out + b"/out"
    assert os.path.dirname(producer.spool({b"priority": b"5\0x"})) == spool.bpath + b"/5"
    refused(producer, {b"priority": b"8/9"}, UNABLE)
    assert said.codes == []


def test_the_spooler_is_named_by_its_exact_path(make: Callable[..., tuple], tmp_path: Path):
    """Without a name the first directory, external or not; else the resolved path, byte for byte."""
    paths = [tmp_path.resolve() / name for name in ("first", "second")]
    for path in paths:
        path.mkdir()
    directories = [SpoolDir(str(paths[0]), external=True), SpoolDir(str(paths[1]))]
    producer, said = make(directories=directories, quiet=True)
    second = os.fsencode(paths[1])
    assert os.path.dirname(producer.spool({})) == os.fsencode(paths[0])
    assert os.path.dirname(producer.spool({b"spooler": b""})) == os.fsencode(paths[0])
    assert os.path.dirname(producer.spool({b"spooler": second})) == second
    for wrong in (b"second", second + b"/", second + b"/.", b"1", second + b"\0", b"/", b"../second", second[:-1]):
        note = refused(producer, {b"spooler": wrong}, UNABLE)
        assert repr(second) in note
        assert repr(wrong) in note
        assert said.lines[-1] == f'[uwsgi-spooler] unable to find spooler "{os.fsdecode(wrong)}"'
    assert len(list(paths[1].iterdir())) == 1


def test_under_faithful_the_name_of_a_spooler_is_shown_up_to_its_nul(make: Callable[..., tuple]):
    """uWSGI prints a C string."""
    producer, said = make(faithful=True)
    refused(producer, {b"spooler": b"/a\0b"}, UNABLE)
    assert said.lines[-1] == '[uwsgi-spooler] unable to find spooler "/a"'


def test_without_a_directory_there_is_uwsgis_line(make: Callable[..., tuple]):
    """No spooler at all: uWSGI's line and error."""
    producer, said = make(directories=[])
    assert "--spooler" in refused(producer, {}, UNABLE)
    assert said.lines == ["[uwsgi-spooler] no spooler available"]


def test_a_directory_that_is_gone_is_named(make: Callable[..., tuple], spool: SpoolDir):
    """A put into a removed directory is uWSGI's error; the note has the directory and the reason."""
    os.rmdir(spool.path)
    producer, said = make()
    note = refused(producer, {b"k": b"v"}, UNABLE)
    assert spool.path in note
    assert os.strerror(2) in note
    (line,) = said.lines
    assert line.startswith(f'open("{spool.path}/uwsgi_spoolfile_on_')


def test_the_file_is_written_with_mode_0600_and_its_line(make: Callable[..., tuple]):
    """Whatever the umask the mode is 0600; uWSGI's line tells bytes and path; quiet leaves it out."""
    umask = os.umask(0)
    try:
        producer, said = make()
        path = os.fsdecode(producer.spool({b"k": b"v", b"body": b"12345"}))
        large = producer.spool({b"k": b"v", b"body": b"1" * 9000})
    finally:
        os.umask(umask)
    assert [stat.S_IMODE(os.stat(name).st_mode) for name in (path, large)] == [0o600, 0o600]
    assert said.lines[0] == f"[spooler] written 15 bytes to file {path}"
    producer, said = make(quiet=True)
    producer.spool({})
    assert said.lines == []


def test_an_empty_key_is_taken_and_said(make: Callable[..., tuple]):
    """uWSGI writes an empty key, and will drop the task on reading it: so do we, with a note."""
    producer, said = make()
    producer.spool({b"": b"v"})
    assert said.codes == ["empty-key"]


def test_packets_from_the_network_are_written_as_they_are(make: Callable[..., tuple], spool: SpoolDir):
    """Variables, broken ones too, become a task; `at` and `priority` of whole ones steer."""
    producer, _ = make(ordered=True)
    steering = b"\x02\x00at\x0a\x001000000000" + b"\x08\x00priority\x01\x004"
    path = os.fsdecode(producer.packet(steering))
    assert os.path.dirname(path) == f"{spool.path}/4"
    assert os.stat(path).st_mtime == 1_000_000_000
    assert Path(path).read_bytes() == b"\x11" + len(steering).to_bytes(2, "little") + b"\0" + steering
    broken = os.fsdecode(producer.packet(b"\xff\xff"))
    assert Path(broken).read_bytes() == b"\x11\x02\x00\x00\xff\xff"


@pytest.mark.parametrize("there", [False, True], ids=["new", "there"])
def test_a_durable_priority_directory_is_on_the_disk(
    make: Callable[..., tuple], spool: SpoolDir, there: bool, monkeypatch: pytest.MonkeyPatch
):
    """Its name in the spool directory is synced, too, whoever made it; a disk that cannot refuses the task."""
    if there:
        os.mkdir(f"{spool.path}/5")
    synced = []
    real = os.fsync

    def fsync(fd: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{fd}"))
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    producer, _ = make(durable=True, ordered=True)
    path = os.fsdecode(producer.spool({b"priority": b"5"}))
    assert synced == [spool.path, path, f"{spool.path}/5"]
    synced.clear()
    os.unlink(producer.spool({}))
    assert len(synced) == 2

    def failing(fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(ValueError, match="unable to spool job"):
        producer.spool({b"priority": b"5"})
    assert os.listdir(f"{spool.path}/5") == [os.path.basename(path)]


def test_a_time_that_the_system_cannot_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A C library with 32 bits for times refuses one after 2038: uWSGI's error, and no file is left."""
    from spoolsim.diagnose import Notes
    from spoolsim.log import Log

    def refuse(*args: object, **how: object) -> None:
        raise OverflowError("timestamp out of range for platform time_t")

    monkeypatch.setattr(os, "utime", refuse)
    log = Log()
    producer = Producer([SpoolDir(str(tmp_path))], log=log, notes=Notes(log.note))
    with pytest.raises(ValueError, match="unable to spool job") as caught:
        producer.spool({b"at": b"2300000000"})
    assert "time_t" in caught.value.__notes__[0]
    assert os.listdir(tmp_path) == []
