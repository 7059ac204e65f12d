"""The kernel's watch on a directory, and the wake-up file."""

from __future__ import annotations

import os
import select
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from spoolsim.spool import file, settle, wake
from spoolsim.spool.claim import Claim, take
from spoolsim.spool.directory import BROKEN, SpoolDir
from spoolsim.spool.scan import Level
from spoolsim.spool.verdicts import KEEP, REMOVE, Aside
from tests.oracle.packets import packet


def rings(watch: wake.Watch) -> bool:
    """Would the watch end a wait now? What had happened is taken."""
    ready = bool(select.select([watch.fd], [], [], 0)[0])
    assert watch.drain() == ready
    return ready


@pytest.fixture
def watched(spool: SpoolDir) -> Iterator[Callable[..., wake.Watch]]:
    """`watched(wake_file_only=)`: a watch on the spool directory."""
    made: list[wake.Watch] = []

    def watch(**how: bool) -> wake.Watch:
        made.append(wake.Watch(spool, **how))
        if made[-1].fd < 0:
            pytest.skip(f"no file events here: {made[-1].why}")
        return made[-1]

    yield watch
    for one in made:
        one.close()


def test_a_put_is_the_event(spool: SpoolDir, watched: Callable[..., wake.Watch]):
    """A small task, one by rename, and a file dropped or moved in by anyone each end the wait; once."""
    watch = watched()
    assert not rings(watch)
    file.write(spool.path, file.next_name(), packet())
    assert rings(watch)
    assert not rings(watch)
    file.write(spool.path, file.next_name(), packet(), b"x" * 10_000, 1)
    assert rings(watch)
    Path(f"{spool.path}/dropped").touch()
    assert rings(watch)
    outside = Path(spool.path).parent / "outside"
    outside.touch()
    outside.rename(f"{spool.path}/moved")
    assert rings(watch)


def test_the_newest_name_is_known_where_few_events_came(spool: SpoolDir, watched: Callable[..., wake.Watch]):
    """The last one, at any length a name can have; after many, as after none and after the wake-up file, it is not."""
    watch = watched()
    for name in ("short", "é" * 127, "n" * 255):
        Path(spool.path, name).touch()
        assert watch.drain()
        assert watch.newest == name
        Path(spool.path, name).unlink()
    assert not watch.drain()
    assert watch.newest == ""
    for number in range(20):
        Path(spool.path, str(number)).touch()
    assert watch.drain()
    assert watch.newest == ""
    wake.notify(spool)
    assert watch.drain()
    assert watch.newest == ""


def test_more_events_than_one_read_takes(spool: SpoolDir, watched: Callable[..., wake.Watch]):
    """All of them are taken, and no more wake-ups come of them."""
    watch = watched()
    for number in range(2000):
        Path(spool.path, f"{number:0>200}").touch()
    assert rings(watch)
    assert not rings(watch)


def test_every_watch_hears_a_put(spool: SpoolDir, watched: Callable[..., wake.Watch]):
    """All workers of a directory are woken, not one of them."""
    watches = [watched() for _ in range(4)]
    file.write(spool.path, file.next_name(), packet())
    assert [rings(watch) for watch in watches] == [True] * 4


def test_what_a_worker_does_wakes_nobody(spool: SpoolDir, level: Level, watched: Callable[..., wake.Watch]):
    """Claiming, releasing, removing and setting aside are no events: a spooler would wake itself forever."""
    paths = [file.write(spool.path, file.next_name(), packet()) for _ in range(3)]
    spool.make_state_dir("broken")
    watch = watched()
    for path, verdict in zip(paths, (KEEP, REMOVE, Aside(BROKEN, "why")), strict=True):
        claim = take(level, os.path.basename(path), 2e9)
        assert isinstance(claim, Claim)
        settle.apply(claim, verdict)
    assert not rings(watch)


def test_the_wake_file_covers_what_the_watch_does_not_see(spool: SpoolDir, watched: Callable[..., wake.Watch]):
    """A put into a priority directory is no event of the watched one; writing to the wake-up file is one, for all."""
    os.mkdir(f"{spool.path}/5")
    watches = [watched(), watched()]
    file.write(f"{spool.path}/5", file.next_name(), packet())
    assert not rings(watches[0])
    wake.notify(spool)
    assert [rings(watch) for watch in watches] == [True, True]


def test_with_the_wake_file_alone_a_dropped_file_is_no_event(spool: SpoolDir, watched: Callable[..., wake.Watch]):
    """Under faithful only the wake-up file wakes: a file dropped by hand waits for the poll, as in uWSGI."""
    watch = watched(wake_file_only=True)
    file.write(spool.path, file.next_name(), packet())
    assert not rings(watch)
    wake.notify(spool)
    assert rings(watch)


def test_ringing_where_nobody_listens_makes_nothing(spool: SpoolDir):
    """A producer alone leaves nothing of ours in the directory, and does not mind a directory that is gone."""
    wake.notify(spool)
    assert os.listdir(spool.path) == []
    os.rmdir(spool.path)
    wake.notify(spool)


def test_a_wake_file_that_is_a_link_is_not_followed(spool: SpoolDir, tmp_path: Path):
    """I5: a link in the wake-up file's place is not written through."""
    target = tmp_path / "target"
    target.touch()
    spool.make_state_dir()
    os.symlink(target, spool.state_dir(wake.WAKE_FILE))
    wake.notify(spool)
    assert target.read_bytes() == b""


@pytest.mark.parametrize("when", ["gone", "made again", "replaced"])
def test_a_directory_made_again_is_noticed(spool: SpoolDir, watched: Callable[..., wake.Watch], when: str):
    """A watch of a directory that was removed and made again says so, also where the new one has the old number."""
    watch = watched()
    assert not watch.moved()
    if when == "replaced":
        os.rename(spool.path, f"{spool.path}.old")
    else:
        shutil.rmtree(spool.path)
    if when == "gone":
        assert rings(watch)
        assert watch.moved()
        os.mkdir(spool.path)
        assert watch.moved()
    else:
        os.mkdir(spool.path)
        watch.drain()
        assert watch.moved()


@pytest.mark.skipif(sys.platform != "linux", reason="inotify's watches have no descriptors")
def test_a_watch_that_begins_amid_a_removal_is_not_trusted(
    spool: SpoolDir, watched: Callable[..., wake.Watch], monkeypatch: pytest.MonkeyPatch
):
    """The wake-up file went before its watch. The directory may stay, as somebody's working directory."""
    monkeypatch.setattr(wake, "_make_wake_file", lambda spool: spool.state_dir("no-wake-file"))
    watch = watched()
    assert watch.moved()
    assert not watch.why


def test_a_directory_that_cannot_be_watched_is_said(spool: SpoolDir):
    """Where there is no watch to be had the reason is in words, and closing does no harm."""
    os.rmdir(spool.path)
    Path(spool.path).touch()
    watch = wake.Watch(spool)
    assert spool.path in watch.why
    watch.close()
    watch.close()
    assert watch.fd == -1
