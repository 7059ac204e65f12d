"""uwsgi.cache_*(): values, numbers, time and room, between processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from typing import Any

import pytest
from freezegun import freeze_time

from spoolsim.emulate import cache
from spoolsim.emulate.store import store
from spoolsim.errors import NotEmulated

ONE = {"cache2": "name=one,items=100,blocksize=64"}


def test_an_item_is_set_once_updated_often_and_removed(instance: Any):
    """cache_set refuses a key that is there, cache_update replaces it, cache_del removes it; texts are UTF-8."""
    instance(**ONE)
    assert cache.cache_get("k") is None
    assert cache.cache_set("k", "é") is True
    assert cache.cache_set(b"k", b"other") is None
    assert cache.cache_get(b"k") == "é".encode()
    assert cache.cache_update("k", b"new") is True
    assert (cache.cache_get("k"), cache.cache_exists("k")) == (b"new", True)
    assert (cache.cache_del("k"), cache.cache_del("k")) == (True, None)
    assert cache.cache_exists("k") is None


def test_numbers_are_eight_bytes_and_wrap(instance: Any):
    """cache_inc and the others work on 8 little-endian bytes, from 0, and wrap at 64 bits; a short value is padded."""
    instance(**ONE)
    for change, by, expected in (
        (cache.cache_inc, 6, 6),
        (cache.cache_dec, 2, 4),
        (cache.cache_mul, 3, 12),
        (cache.cache_div, 5, 2),
        (cache.cache_div, 0, 2),
        (cache.cache_inc, 2**63 - 1, -(2**63) + 1),
        (cache.cache_div, 2, -(2**62) + 1),
    ):
        assert change("n", by) is True
        assert cache.cache_num("n") == expected
    assert cache.cache_set("s", b"abc") is True
    assert cache.cache_num("s") == 0
    assert cache.cache_inc("s") is True
    assert cache.cache_get("s") == b"bbc\0\0\0\0\0"
    with pytest.raises(OverflowError):
        cache.cache_inc("n", 2**63)


def test_an_item_ends_when_its_time_has_come(instance: Any):
    """An item with `expires` is gone after so many seconds; an update without drops the end, an increment keeps it."""
    instance(**ONE)
    with freeze_time("2026-01-01") as clock:
        cache.cache_set("short", b"v", 2)
        cache.cache_set("updated", b"v", 2)
        cache.cache_update("updated", b"w")
        cache.cache_inc("counted", 1, 2)
        cache.cache_inc("counted", 1)
        cache.cache_inc("plain")
        cache.cache_inc("plain", 1, 2)
        clock.tick(1)
        assert cache.cache_get("short") == b"v"
        clock.tick(1)
        assert cache.cache_get("short") is None
        assert cache.cache_num("counted") == 0
        assert sorted(cache.cache_keys()) == [b"plain", b"updated"]
        assert cache.cache_set("short", b"again") is True


def test_room_is_what_the_option_says(instance: Any):
    """A cache of N items holds N-1; a value over blocksize, a key over 2048 bytes, an empty key or value: None."""
    instance(cache2="name=small,items=3,blocksize=4")
    assert [cache.cache_set(key, b"v") for key in "abc"] == [True, True, None]
    assert cache.cache_update("d", b"v") is None
    assert instance.log.read_text() == '*** DANGER cache "small" is FULL !!! ***\n' * 2
    assert cache.cache_update("a", b"full") is True
    cache.cache_clear()
    assert cache.cache_set("k", b"12345") is None
    assert cache.cache_set("k" * 2049, b"v") is None
    assert cache.cache_set("k" * 2048, b"v") is True
    assert cache.cache_set("", b"v") is None
    assert cache.cache_set("e", b"") is None


def test_caches_are_found_by_name_and_the_first_without(instance: Any):
    """No name means the first cache configured; an unknown one is None, and ValueError for cache_keys."""
    instance(cache2=["name=first,items=9", "name=second,items=9"])
    assert cache.cache_set("k", b"1") is True
    assert cache.cache_set("k", b"2", 0, "second") is True
    assert (cache.cache_get("k", "first"), cache.cache_get("k", "second")) == (b"1", b"2")
    assert cache.cache_get("k", "default") is None
    assert cache.cache_clear("second") is True
    assert (cache.cache_keys(""), cache.cache_keys("second")) == ([b"k"], [])
    with pytest.raises(ValueError, match="no local uWSGI cache available"):
        cache.cache_keys("third")


def test_without_a_cache_there_is_one_with_a_note(instance: Any):
    """No cache option: it works all the same, and says once that uWSGI would have returned None."""
    instance()
    assert cache.cache_set("k", b"v") is True
    assert cache.cache_get("k") == b"v"
    assert instance.log.read_text().count("(no-cache)") == 1


def test_without_a_cache_faithful_does_nothing(instance: Any):
    """Under --faithful without a cache option every call is None, cache_num 0, and cache_keys ValueError."""
    instance("faithful")
    assert [cache.cache_set("k", b"v"), cache.cache_get("k"), cache.cache_inc("n"), cache.cache_clear()] == [None] * 4
    assert cache.cache_num("n") == 0
    with pytest.raises(ValueError, match="no local uWSGI cache available"):
        cache.cache_keys()


@pytest.mark.parametrize("bad", [5, None, bytearray(b"k"), ["k"]], ids=repr)
def test_keys_and_values_are_text_or_bytes(instance: Any, bad: Any):
    """Any other key or value is a TypeError."""
    instance(**ONE)
    with pytest.raises(TypeError):
        cache.cache_set(bad, b"v")
    with pytest.raises(TypeError):
        cache.cache_set("k", bad)


def _count(times: int) -> None:
    for _ in range(times):
        cache.cache_inc("n")


@pytest.mark.parametrize("method", ["fork"])
def test_processes_share_the_cache_and_lose_nothing(instance: Any, method: str):
    """Four forked processes that count at once reach the exact sum, though the parent had the cache open before."""
    instance(**ONE)
    cache.cache_set("before", b"v")
    context = multiprocessing.get_context(method)
    children = [context.Process(target=_count, args=(50,)) for _ in range(4)]
    for child in children:
        child.start()
    _count(50)
    for child in children:
        child.join(60)
        assert child.exitcode == 0
    assert cache.cache_num("n") == 250
    assert cache.cache_get("before") == b"v"


def _count_for_ever() -> int:
    """The pid of a child that has begun to count in the cache, and does nothing else."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(writer, b"!")
            while True:
                cache.cache_inc("n")
                cache.cache_inc("twice", 2)
        finally:
            os._exit(1)
    os.read(reader, 1)
    os.close(reader)
    os.close(writer)
    return child


def _kill(child: int) -> None:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def test_a_killed_process_leaves_the_cache_whole(instance: Any):
    """Processes that are killed while they count leave the cache usable; no count is half done."""
    instance(**ONE)
    cache.cache_set("before", b"v")
    for _ in range(10):
        child = _count_for_ever()
        seen = cache.cache_num("n")
        while cache.cache_num("n") < seen + 3:
            pass
        _kill(child)
        assert 0 <= 2 * cache.cache_num("n") - cache.cache_num("twice") <= 2
        cache.cache_update("twice", (2 * cache.cache_num("n")).to_bytes(8, "little"))
    assert cache.cache_get("before") == b"v"


def test_every_process_gets_its_turn_beside_busy_neighbours(instance: Any):
    """Three processes that do nothing but count keep a fourth waiting for a moment only, not for minutes."""
    instance(**ONE)
    children = [_count_for_ever() for _ in range(3)]
    try:
        for _ in range(300):
            cache.cache_inc("mine")
    finally:
        for child in children:
            _kill(child)
    assert cache.cache_num("mine") == 300


def test_the_file_of_a_dead_instance_is_removed(instance: Any, tmp_path: Any):
    """An instance that starts removes the files of those whose process is gone, and no others."""
    app = instance(**ONE)
    shared = app.directories[0][0].make_state_dir("shared")
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    dead, alive = f"{shared}/{child}-1.db", f"{shared}/{os.getppid()}-1.db"
    for path in (dead, alive):
        open(path, "w").close()
    cache.cache_set("k", b"v")
    assert not os.path.exists(dead)
    assert os.path.exists(alive)
    assert os.path.dirname(store().path) == shared
    assert time.time() - os.path.getmtime(store().path) < 60


REMOTE = "name@127.0.0.1:3031"


@pytest.mark.parametrize("options", [{}, {"cache2": "name=a,items=9"}], ids=["no cache", "a cache"])
def test_the_cache_of_another_server_is_not_emulated(instance: Any, options: dict[str, str]):
    """A call with NAME@HOST:PORT raises NotEmulated and stores nothing here; cache_keys() is local in uWSGI, too."""
    instance(**options)
    for function, arguments in (
        *((function, ("k",)) for function in (cache.cache_get, cache.cache_exists, cache.cache_del, cache.cache_num)),
        *((function, ("k", b"v", 0)) for function in (cache.cache_set, cache.cache_update)),
        *((getattr(cache, f"cache_{verb}"), ("k", 1, 0)) for verb in ("inc", "dec", "mul", "div")),
        (cache.cache_clear, ()),
    ):
        with pytest.raises(NotEmulated, match=f"uwsgi.{function.__name__}\\(\\) is not emulated.*{REMOTE}"):
            function(*arguments, REMOTE)
    with pytest.raises(ValueError, match="no local uWSGI cache available"):
        cache.cache_keys(REMOTE)
