"""Giving a task up: removed, kept, postponed, set aside."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from elsewhere import another_could_lock

from spoolsim import system
from spoolsim.spool import claim as claims
from spoolsim.spool import keep, settle
from spoolsim.spool.claim import Claim, take
from spoolsim.spool.directory import BROKEN
from spoolsim.spool.names import PREFIX
from spoolsim.spool.scan import Level
from spoolsim.spool.verdicts import KEEP, REMOVE, Aside, Keep, Postpone, Remove
from tests.oracle.packets import packet

NOW = 2_000_000_000.0
NAME = f"{PREFIX}task"


def claimed(level: Level, name: str = NAME, data: bytes = b"") -> Claim:
    Path(f"{level.path}/{name}").write_bytes(data or packet())
    claim = take(level, name, NOW)
    assert isinstance(claim, Claim)
    return claim


def closed(claim: Claim) -> bool:
    try:
        os.fstat(claim.fd)
    except OSError:
        return True
    return False


def test_done_is_unlinked_then_unlocked(level: Level, monkeypatch: pytest.MonkeyPatch):
    """I2: while the file is being unlinked its lock is still held; afterwards neither file nor descriptor is there."""
    claim = claimed(level)
    unlink = os.unlink
    seen = []

    def watched(name: str, *, dir_fd: int) -> None:
        seen.append(another_could_lock(claim.path))
        unlink(name, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", watched)
    settle.apply(claim, REMOVE)
    assert seen == [False]
    assert not os.path.exists(claim.path)
    assert closed(claim)


def test_a_file_that_the_handler_removed_is_said(level: Level):
    """There was nothing to unlink, which is raised; the claim is still ours, and ends by another verdict."""
    claim = claimed(level)
    os.unlink(claim.path)
    with pytest.raises(FileNotFoundError):
        settle.apply(claim, REMOVE)
    assert not closed(claim)
    settle.apply(claim, KEEP)
    assert closed(claim)


def test_kept_is_unlocked_at_once(level: Level):
    """Released, the file is as it was and free, even while another descriptor of the same lock is open."""
    claim = claimed(level)
    copy = os.dup(claim.fd)  # as a child that keeps it would have
    settle.apply(claim, KEEP)
    assert another_could_lock(claim.path)
    assert Path(claim.path).read_bytes() == packet()
    os.close(copy)


def test_postponed_is_a_future_task(level: Level):
    """A postponed task is free, and due at the time given."""
    claim = claimed(level)
    settle.apply(claim, Postpone(NOW + 60))
    assert os.stat(claim.path).st_mtime == NOW + 60
    assert another_could_lock(claim.path)
    assert take(level, NAME, NOW) == "future"


def test_postponed_beyond_what_the_system_can_hold(level: Level, monkeypatch: pytest.MonkeyPatch):
    """A C library with 32 bits for times refuses one after 2038: an OSError that says so; the task is free, and due."""

    def refuse(*args: object, **how: object) -> None:
        raise OverflowError("timestamp out of range for platform time_t")

    claim = claimed(level)
    with monkeypatch.context() as narrow:
        narrow.setattr(os, "utime", refuse)
        with pytest.raises(OSError, match="time_t") as caught:
            settle.apply(claim, Postpone(2_300_000_000))
    settle.apply(claim, KEEP)
    assert "time_t" in caught.value.strerror
    assert another_could_lock(claim.path)
    assert isinstance(take(level, NAME, NOW), Claim)


def test_a_late_time_is_held_or_refused_by_name(level: Level):
    """Unsimulated, on any system: either the file has the time, or it is an OSError, never another exception."""
    path = f"{level.path}/{NAME}"
    Path(path).write_bytes(packet())
    try:
        settle.make_due(path, 2_300_000_000)
    except OSError as error:
        assert "time_t" in error.strerror
    else:
        assert os.stat(path).st_mtime == 2_300_000_000


def test_set_aside_has_the_file_and_its_reason(level: Level):
    """I4: the file is in .spoolsim/broken as it was, the reason and where it came from beside it."""
    claim = claimed(level, data=b"\x11\xff\x00\x00cut")
    target = settle.apply(claim, Aside(BROKEN, "it is cut"))
    assert target == f"{level.path}/.spoolsim/broken/{NAME}"
    assert Path(target).read_bytes() == b"\x11\xff\x00\x00cut"
    assert Path(f"{target}.why").read_text() == f"{level.path}/{NAME}\nit is cut\n"
    assert not os.path.exists(claim.path)
    assert closed(claim)
    assert Path(f"{level.path}/.spoolsim/.gitignore").read_text() == "*\n"


def test_set_aside_never_writes_over_another(level: Level):
    """Files of one name, and one named like another's reason, are all kept with their reasons."""
    names = [NAME, NAME, f"{NAME}.why", NAME, f"{NAME}.1", f"{NAME}.why", NAME]
    made = [
        settle.apply(claimed(level, name, b"number %d" % number), Aside(BROKEN, f"reason {number}"))
        for number, name in enumerate(names)
    ]
    assert len(set(made)) == len(made)
    for number, target in enumerate(made):
        assert Path(target).read_bytes() == b"number %d" % number
        assert Path(f"{target}.why").read_text().splitlines() == [f"{level.path}/{names[number]}", f"reason {number}"]
    assert len(os.listdir(os.path.dirname(made[0]))) == 2 * len(made)


def test_a_reason_file_of_a_later_name_is_not_written_over(level: Level):
    """A broken task whose name is another's with .why behind it, set aside first, stays as it is."""
    first = settle.apply(claimed(level, f"{NAME}.why", b"the task"), Aside(BROKEN, "first"))
    second = settle.apply(claimed(level, NAME, b"the other"), Aside(BROKEN, "second"))
    assert Path(first).read_bytes() == b"the task"
    assert Path(second).read_bytes() == b"the other"
    assert Path(f"{second}.why").read_text().endswith("second\n")


@pytest.mark.parametrize("fault", ["no room for the file", "no room for the reason", "no state directory"])
def test_what_cannot_be_set_aside_stays(level: Level, fault: str, monkeypatch: pytest.MonkeyPatch):
    """OSError tells; the task is where it was, whole and free, and no reason without a file is left, however often."""
    for _ in range(3):
        claim = claimed(level, data=b"\x11\xff\x00\x00cut")
        with monkeypatch.context() as patch:
            if fault == "no room for the file":
                patch.setattr(os, "rename", _full)
            elif fault == "no room for the reason":
                patch.setattr("builtins.open", _FullWhenWritten)
            else:
                patch.setattr(os, "mkdir", _full)
                patch.setattr(os.path, "isdir", lambda path: False)
            with pytest.raises(OSError, match="No space"):
                settle.apply(claim, Aside(BROKEN, "it is cut"))
        assert not another_could_lock(claim.path)
        settle.apply(claim, KEEP)
        assert closed(claim)
        assert Path(claim.path).read_bytes() == b"\x11\xff\x00\x00cut"
        assert another_could_lock(claim.path)
        assert list(Path(level.path).rglob("*.why")) == []


def _full(*args: object, **how: object) -> None:
    raise OSError(28, "No space left on device")


_open = open


class _FullWhenWritten:
    """A reason file that is made, and then finds no room."""

    def __init__(self, path: str, mode: str, **how: str) -> None:
        _open(path, mode, **how).close()
        self.name = path

    def __enter__(self) -> _FullWhenWritten:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def write(self, text: str) -> None:
        if self.name.endswith(".why"):
            _full()


def test_a_task_in_a_priority_directory_goes_to_the_same_state_directory(level: Level):
    """A broken task of a sub-directory is set aside in the spool directory's own state directory."""
    os.mkdir(f"{level.path}/5")
    fd = os.open(f"{level.path}/5", os.O_RDONLY)
    below = Level(level.spool, f"{level.path}/5", fd)
    target = settle.apply(claimed(below), Aside(BROKEN, "why"))
    os.close(fd)
    assert os.path.dirname(target) == f"{level.path}/.spoolsim/broken"
    assert Path(f"{target}.why").read_text().startswith(f"{level.path}/5/{NAME}\n")


def test_a_file_in_the_place_of_the_task_is_left_alone(level: Level, tmp_path: Path):
    """It is raised that another file has taken the name, and unlinks nothing; as uWSGI would, it does."""
    for record in (False, True):
        Path(f"{level.path}/{NAME}").write_bytes(packet())
        claim = take(level, NAME, NOW, record=record)
        assert isinstance(claim, Claim)
        (tmp_path / "other").write_bytes(b"another task")
        os.rename(tmp_path / "other", claim.path)
        if record:
            settle.apply(claim, REMOVE, settle.UNCHECKED)
        else:
            with pytest.raises(settle.Replaced):
                settle.apply(claim, REMOVE)
            assert Path(claim.path).read_bytes() == b"another task"
            settle.apply(claim, KEEP)
        assert closed(claim)
    assert not os.path.exists(claim.path)


def test_another_file_is_not_set_aside_for_it(level: Level, tmp_path: Path):
    """What has taken the task's name meanwhile is left where it is, and no reason behind."""
    Path(f"{level.path}/{NAME}").write_bytes(packet())
    claim = take(level, NAME, NOW)
    assert isinstance(claim, Claim)
    (tmp_path / "other").write_bytes(b"another task")
    os.rename(tmp_path / "other", claim.path)
    with pytest.raises(settle.Replaced):
        settle.apply(claim, Aside(BROKEN, "as a test"))
    assert Path(claim.path).read_bytes() == b"another task"
    assert os.listdir(level.spool.state_dir("broken")) == []
    settle.apply(claim, KEEP)


def test_a_lock_that_cannot_be_given_up_goes_with_the_descriptor(level: Level, monkeypatch: pytest.MonkeyPatch):
    """An error of a network file system at unlocking does not end the spooler."""

    def failing(fd: int, *, record: bool) -> None:
        raise OSError(5, "Input/output error")

    claim = claimed(level)
    monkeypatch.setattr(settle, "unlock", failing)
    settle.apply(claim, KEEP)
    assert closed(claim)
    assert another_could_lock(claim.path)


@pytest.mark.parametrize("how", ["removed", "set aside"])
def test_without_descriptors_of_directories_it_is_closed_first(level: Level, how: str, monkeypatch: pytest.MonkeyPatch):
    """An open file can be neither removed nor renamed there; it goes by its path, and is closed once."""
    claim = claimed(level)
    fd = claim.fd
    monkeypatch.setattr(system, "AT", False)
    if how == "removed":
        settle.apply(claim, REMOVE)
    else:
        target = settle.apply(claim, Aside(BROKEN, "why"))
        assert Path(target).read_bytes() == packet()
    assert claim.fd == -1
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)
    assert not os.path.exists(claim.path)
    settle.apply(claim, KEEP)


def test_without_descriptors_of_directories_a_refusal_is_said(level: Level, monkeypatch: pytest.MonkeyPatch):
    """There is no other way to try there."""
    claim = claimed(level)
    os.unlink(claim.path)
    monkeypatch.setattr(system, "AT", False)
    with pytest.raises(FileNotFoundError):
        settle.apply(claim, REMOVE)
    settle.apply(claim, KEEP)
    assert closed(claim)


def lost_level(level: Level) -> Level:
    """The same directory, by a descriptor that a handler can close."""
    return Level(level.spool, level.path, os.open(level.path, os.O_RDONLY))


@pytest.mark.parametrize("replaced", [False, True])
def test_a_directory_that_the_handler_closed_is_gone_to_by_path(level: Level, tmp_path: Path, replaced: bool):
    """The task is removed all the same, and that is said; another file in its place is left alone."""
    mine = lost_level(level)
    claim = claimed(mine)
    os.close(mine.fd)
    assert settle.lost(mine)
    if replaced:
        (tmp_path / "other").write_bytes(b"another task")
        os.rename(tmp_path / "other", claim.path)
        with pytest.raises(settle.Replaced):
            settle.apply(claim, REMOVE)
        assert Path(claim.path).read_bytes() == b"another task"
        settle.apply(claim, KEEP)
    else:
        with pytest.raises(settle.Lost):
            settle.apply(claim, REMOVE)
        assert not os.path.exists(claim.path)
    assert closed(claim)


def test_a_kept_task_whose_descriptor_the_handler_closed(level: Level):
    """The claim has ended, and it is raised that the process is of no use any more."""
    claim = claimed(level)
    os.close(claim.fd)
    with pytest.raises(settle.Lost):
        settle.apply(claim, KEEP)
    assert claims.held.fd == -1
    assert another_could_lock(claim.path)


def test_a_descriptor_that_is_another_files_by_now_is_lost(level: Level, tmp_path: Path):
    """Not so while it is the directory, nor where the directory itself was removed."""
    assert not settle.lost(level)
    (tmp_path / "other").touch()
    fd = os.open(tmp_path / "other", os.O_RDONLY)
    assert settle.lost(Level(level.spool, level.path, fd))
    os.close(fd)
    assert not settle.lost(Level(level.spool, f"{level.path}/removed", level.fd))


@pytest.mark.usefixtures("record_locks")
@pytest.mark.parametrize("how", [REMOVE, KEEP, None])
def test_with_record_locks_alone_a_settled_task_is_kept_no_more(level: Level, how: Remove | Keep | None):
    """What this process remembers of it ends with it."""
    claim = claimed(level)
    assert keep._mine[level.spool.path] == {claim.inode}
    if how is None:
        settle.abandon()
    else:
        settle.apply(claim, how)
    assert keep._mine[level.spool.path] == set()
    assert closed(claim)


@pytest.mark.parametrize("refused", [False, True])
def test_an_abandoned_claim_is_free(level: Level, refused: bool, monkeypatch: pytest.MonkeyPatch):
    """Unlocked and closed, also where unlocking fails; the file stays, and a second time there is nothing to do."""

    def failing(fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    claim = claimed(level)
    assert claims.held.fd == claim.fd
    if refused:
        monkeypatch.setattr(settle, "unlock", failing)
    settle.abandon()
    assert claims.held.fd == -1
    assert closed(claim)
    assert another_could_lock(claim.path)
    settle.abandon()


def test_a_long_name_is_cut_when_it_is_set_aside(level: Level):
    """So that its reason has room for its name beside it."""
    name = NAME + "x" * (255 - len(NAME))
    first, second = (settle.apply(claimed(level, name), Aside(BROKEN, "why")) for _ in range(2))
    assert os.path.basename(first) == name[:240]
    assert os.path.basename(second) == f"{name[:240]}.1"
    assert Path(f"{second}.why").read_text() == f"{level.path}/{name}\nwhy\n"
