"""Which entries of a spool directory a scan gives."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from spoolsim.spool.directory import SpoolDir
from spoolsim.spool.look import look
from spoolsim.spool.names import PREFIX
from spoolsim.spool.scan import _BATCH, _FIRST_BATCH, DEPTH, TOO_DEEP, Level, _batches, scan

NOW = 2_000_000_000.0


def names(spool: SpoolDir, *, ordered: bool, skipped: list[tuple[str, str]] | None = None) -> list[str]:
    """What a scan gives, as paths below the spool directory."""
    said = skipped if skipped is not None else []
    walk = scan(spool, ordered=ordered, now=lambda: NOW, skipped=lambda path, why: said.append((path, why)))
    return [os.path.relpath(f"{level.path}/{name}", spool.path) for level, name in walk]


@pytest.fixture
def kinds(spool: SpoolDir) -> Iterator[SpoolDir]:
    """One entry of every kind, with a name that counts and one that does not."""
    home = Path(spool.path)
    for name in (f"{PREFIX}file", PREFIX, "ztask", "12", "-1", "1a", f".{PREFIX}hidden", f"x{PREFIX}"):
        (home / name).write_bytes(b"")
    (home / f"{PREFIX}link").symlink_to(home / f"{PREFIX}file")
    (home / f"{PREFIX}dangling").symlink_to("nowhere")
    (home / "8").symlink_to(home)
    os.mkfifo(home / f"{PREFIX}fifo")
    for name in (f"{PREFIX}dir", "5", "+3", "1.5", ".spoolsim"):
        (home / name).mkdir()
        (home / name / f"{PREFIX}in").write_bytes(b"")
    (home / "5" / "6" / "7").mkdir(parents=True)
    (home / "5" / "6" / "7" / "9").write_bytes(b"")
    fd = os.open(home, os.O_RDONLY | os.O_DIRECTORY)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"/proc/self/fd/{fd}/{PREFIX}socket")
        os.close(fd)
        yield spool


def test_unordered_only_regular_files_with_the_prefix_count(kinds: SpoolDir):
    """Links, FIFOs, sockets and directories of that name are told of; all other names are passed over in silence."""
    skipped: list[tuple[str, str]] = []
    assert sorted(names(kinds, ordered=False, skipped=skipped)) == [PREFIX, f"{PREFIX}file"]
    assert dict(skipped) == {
        f"{kinds.path}/{PREFIX}{name}": why
        for name, why in {
            "link": "a symbolic link",
            "dangling": "a symbolic link",
            "fifo": "not a regular file",
            "socket": "not a regular file",
            "dir": "a directory",
        }.items()
    }
    assert len(skipped) == 5


def test_ordered_numbers_count_and_directories_are_entered(kinds: SpoolDir):
    """Ordered, digits and the prefix count, as files and as directories, to any depth; links are still not followed."""
    skipped: list[tuple[str, str]] = []
    found = names(kinds, ordered=True, skipped=skipped)
    assert found == [
        "5/6/7/9",
        f"5/{PREFIX}in",
        "12",
        PREFIX,
        f"{PREFIX}dir/{PREFIX}in",
        f"{PREFIX}file",
    ]
    assert sorted(os.path.relpath(path, kinds.path) for path, _ in skipped) == sorted(
        ["8", *(f"{PREFIX}{name}" for name in ("link", "dangling", "fifo", "socket"))]
    )


def test_numeric_directories_come_before_plain_tasks(spool: SpoolDir):
    """Numbers sort as version sort has them: leading zeros first, then by value; the plain tasks come last."""
    for name in ("10", "2", "0", "00", "007", "5"):
        os.mkdir(f"{spool.path}/{name}")
        Path(f"{spool.path}/{name}/{PREFIX}x").write_bytes(b"")
    Path(f"{spool.path}/{PREFIX}a").write_bytes(b"")
    assert [os.path.dirname(name) for name in names(spool, ordered=True)] == ["007", "00", "0", "2", "5", "10", ""]


def test_a_directory_with_a_future_mtime_is_skipped_whole(spool: SpoolDir):
    """A priority directory whose own mtime lies in the future is not entered; at its second it is."""
    os.mkdir(f"{spool.path}/5")
    Path(f"{spool.path}/5/{PREFIX}x").write_bytes(b"")
    os.utime(f"{spool.path}/5", (NOW + 1, NOW + 1))
    assert names(spool, ordered=True) == []
    os.utime(f"{spool.path}/5", (NOW + 0.9, NOW + 0.9))
    assert names(spool, ordered=True) == [f"5/{PREFIX}x"]
    os.utime(spool.path, (NOW + 9, NOW + 9))
    assert names(spool, ordered=True) == [f"5/{PREFIX}x"]


def test_a_file_added_during_an_ordered_scan_waits_for_the_next(spool: SpoolDir):
    """The list of a level is taken beforehand, also of those that vanish: claiming will tell."""
    for name in "ac":
        Path(f"{spool.path}/{PREFIX}{name}").write_bytes(b"")
    walk = scan(spool, ordered=True, now=lambda: NOW)
    assert next(walk)[1] == f"{PREFIX}a"
    Path(f"{spool.path}/{PREFIX}b").write_bytes(b"")
    os.unlink(f"{spool.path}/{PREFIX}c")
    assert [name for _, name in walk] == [f"{PREFIX}c"]


def test_a_priority_directory_that_vanishes_is_passed_over(spool: SpoolDir):
    """A directory removed, or replaced by a link, after the level was read does not disturb the rest."""
    for name in ("1", "2", "3", "4"):
        os.mkdir(f"{spool.path}/{name}")
        Path(f"{spool.path}/{name}/{PREFIX}x").write_bytes(b"")
    walk = scan(spool, ordered=True, now=lambda: NOW)
    assert next(walk)[0].path == f"{spool.path}/1"
    os.rename(f"{spool.path}/2", f"{spool.path}/gone")
    os.rename(f"{spool.path}/3", f"{spool.path}/moved")
    os.symlink("moved", f"{spool.path}/3")
    assert [level.path for level, _ in walk] == [f"{spool.path}/4"]


def nest(spool: SpoolDir, depth: int) -> None:
    """So many directories called 7 inside one another, deeper than a path may be long, with a task in each."""
    fd = os.open(spool.path, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(depth):
        os.mkdir("7", dir_fd=fd)
        below = os.open("7", os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
        os.close(fd)
        fd = below
        os.close(os.open(f"{PREFIX}x", os.O_WRONLY | os.O_CREAT, 0o600, dir_fd=fd))
    os.close(fd)


def test_directories_that_are_too_deep_are_said_and_harm_nothing(spool: SpoolDir) -> None:
    """1500 inside one another: the first 64 are walked, also where nobody listens; the next is told of, once."""
    Path(f"{spool.path}/{PREFIX}top").write_bytes(b"")
    nest(spool, 1500)
    skipped: list[tuple[str, str]] = []
    found = names(spool, ordered=True, skipped=skipped)
    assert found == [*("7/" * depth + f"{PREFIX}x" for depth in range(DEPTH, 0, -1)), f"{PREFIX}top"]
    assert skipped == [(spool.path + "/7" * (DEPTH + 1), TOO_DEEP)]
    assert len(list(scan(spool, ordered=True, now=lambda: NOW))) == DEPTH + 1
    told = {os.path.relpath(task.path, spool.path): task.why for task in look(spool, ordered=True, now=NOW)}
    assert told == {**dict.fromkeys(found, told[f"{PREFIX}top"]), "/".join("7" * (DEPTH + 1)): TOO_DEEP}
    subprocess.run(["rm", "-r", f"{spool.path}/7"], check=True)  # pytest's own sweeping recurses


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("ordered", [False, True])
def test_a_scan_given_up_closes_what_it_opened(spool: SpoolDir, ordered: bool):
    """A walk that is closed in the middle, in a sub-directory, leaves no descriptor behind."""
    os.makedirs(f"{spool.path}/1/2")
    for path in (spool.path, f"{spool.path}/1/2"):
        for name in "ab":
            Path(f"{path}/{PREFIX}{name}").write_bytes(b"")
    before = descriptors()
    walk = scan(spool, ordered=ordered, now=lambda: NOW)
    next(walk)
    assert descriptors() > before
    walk.close()
    assert descriptors() == before


@pytest.mark.parametrize("instead", ["nothing", "a file", "a link that leads nowhere"])
def test_a_spool_directory_that_is_gone_is_said(spool: SpoolDir, instead: str):
    """Gone, or something else in its place, is FileNotFoundError with the path."""
    os.rmdir(spool.path)
    if instead == "a file":
        Path(spool.path).write_bytes(b"")
    elif instead == "a link that leads nowhere":
        Path(spool.path).symlink_to("nowhere")
    with pytest.raises(FileNotFoundError) as caught:
        names(spool, ordered=False)
    assert caught.value.filename == spool.path


def test_a_spool_directory_that_has_become_a_link(spool: SpoolDir):
    """It is walked through the link, as by uWSGI."""
    Path(f"{spool.path}/{PREFIX}a").write_bytes(b"")
    os.rename(spool.path, f"{spool.path}-moved")
    Path(spool.path).symlink_to(f"{spool.path}-moved")
    assert names(spool, ordered=False) == [f"{PREFIX}a"]


@pytest.mark.parametrize("ordered", [False, True])
def test_an_error_of_the_disk_ends_the_walk(spool: SpoolDir, monkeypatch: pytest.MonkeyPatch, ordered: bool) -> None:
    """It is told of where somebody listens, else raised."""

    def scandir(fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("spoolsim.spool.scan.os.scandir", scandir)
    told: list[OSError] = []
    assert list(scan(spool, ordered=ordered, now=lambda: NOW, failed=told.append)) == []
    assert [error.errno for error in told] == [errno.EIO]
    with pytest.raises(OSError, match="Input/output"):
        list(scan(spool, ordered=ordered, now=lambda: NOW))


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EACCES, errno.ENOENT])
def test_a_spool_directory_that_cannot_be_opened(spool: SpoolDir, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """For want of descriptors it is told of where somebody listens; where nobody may enter it is as if it were gone."""

    def refused(*args: object, **how: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "open", refused)
    told: list[OSError] = []
    walk = scan(spool, ordered=False, now=lambda: NOW, failed=told.append)
    if number == errno.EMFILE:
        assert list(walk) == []
        assert [error.errno for error in told] == [number]
        with pytest.raises(OSError, match=os.strerror(number)):
            list(scan(spool, ordered=False, now=lambda: NOW))
    else:
        with pytest.raises(FileNotFoundError):
            list(walk)


def test_each_begins_with_its_own_share(spool: SpoolDir) -> None:
    """Two spoolers have other names first, and the whole directory between them; links are in nobody's share."""
    there = [f"{PREFIX}{number}" for number in range(64)]
    for name in (*there, "other"):
        Path(spool.path, name).write_bytes(b"")
    for number in range(64):
        Path(spool.path, f"{PREFIX}link{number}").symlink_to("other")
    orders = []
    for index in (0, 1):
        walk = scan(spool, ordered=False, share=(index, 2), now=lambda: NOW)
        orders.append([name for _, name in walk])
    shares = [{name for name in there if hash(name) % 2 == index} for index in (0, 1)]
    for order, share in zip(orders, shares, strict=True):
        assert sorted(order) == sorted(there)
        assert set(order[: len(share)]) == share


def test_who_helps_begins_at_the_far_end(spool: SpoolDir) -> None:
    """Whose share they are is coming from the near one: they meet once, and do not try the same files all the way."""
    for number in range(200):
        Path(spool.path, f"{PREFIX}{number}").write_bytes(b"")
    order = [name for name in os.listdir(spool.path) if name.startswith(PREFIX)]
    walk = [name for _, name in scan(spool, share=(0, 2), now=lambda: NOW)]
    own = [name for name in order if hash(name) % 2 == 0]
    assert walk[: len(own)] == own
    at, size, expected = 0, _FIRST_BATCH, list[str]()
    while at < len(order):
        expected += [name for name in reversed(order[at : at + size]) if hash(name) % 2]
        at, size = at + size, 2 * size
    assert walk[len(own) :] == expected


def test_a_name_alone_is_given_without_a_look(spool: SpoolDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that an event told of, there or not; to the worker whose share it is, and only where its name counts."""
    monkeypatch.setattr("spoolsim.spool.scan.os.scandir", None)
    name = f"{PREFIX}new"
    for index in (0, 1):
        found = [found for _, found in scan(spool, alone=name, share=(index, 2), now=lambda: NOW)]
        assert found == ([name] if hash(name) % 2 == index else [])
    assert [found for _, found in scan(spool, alone=name, now=lambda: NOW)] == [name]
    assert list(scan(spool, alone=".hidden", now=lambda: NOW)) == []


def test_a_directory_is_read_in_batches_that_grow(spool: SpoolDir) -> None:
    """The first tasks come before the whole directory is read; later ones many at a time, in the directory's order."""
    count = 3 * _BATCH
    for number in range(count):
        os.mknod(f"{spool.path}/{PREFIX}{number}")
    order = [name for name in os.listdir(spool.path) if name.startswith(PREFIX)]
    fd = os.open(spool.path, os.O_RDONLY)
    batches = list(_batches(Level(spool, spool.path, fd), None, None))
    os.close(fd)
    assert [name for batch in batches for name in batch] == order
    sizes = [len(batch) for batch in batches]
    assert sizes[:3] == [1, 2, 4]
    assert max(sizes) == _BATCH
    assert sizes.count(_BATCH) == 2


def test_a_directory_with_nothing_of_others_is_read_once(spool: SpoolDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all is in one's own share there is nobody to help."""
    for number in range(9):
        Path(spool.path, f"{PREFIX}{number}").write_bytes(b"")
    monkeypatch.setattr("spoolsim.spool.scan.hash", lambda name: 1, raising=False)
    read = []
    real = os.scandir

    def scandir(fd: int) -> object:
        read.append(fd)
        return real(fd)

    monkeypatch.setattr("spoolsim.spool.scan.os.scandir", scandir)
    for index, times in ((1, 1), (0, 2)):
        read.clear()
        assert len(list(scan(spool, ordered=False, share=(index, 2), now=lambda: NOW))) == 9
        assert len(read) == times


@pytest.mark.parametrize("ordered", [False, True])
def test_where_nobody_listens_what_cannot_run_is_passed_over(kinds: SpoolDir, ordered: bool) -> None:
    """Links, FIFOs and sockets, in silence, as uWSGI does."""
    found = [name for _, name in scan(kinds, ordered=ordered, now=lambda: NOW)]
    assert sorted(found) == sorted(os.path.basename(name) for name in names(kinds, ordered=ordered))
