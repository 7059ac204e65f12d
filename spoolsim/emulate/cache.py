"""uwsgi.cache_*(): the cache, shared by all processes of one instance.

Which caches there are is what the options `cache` and `cache2` say; the first is meant where none is named. Where none
is configured uWSGI does nothing; so does spoolsim under --faithful, else there is one without limits, and a note.
A number in the cache is 8 bytes, little-endian. Keys have at most 2048 bytes, values at most `blocksize`; both at least
one. A cache of N items holds N-1: the first is uWSGI's own.
"""

from __future__ import annotations

import time

from spoolsim.emulate import stand_ins
from spoolsim.emulate.arguments import long, quotient, text_or_bytes, wrapped
from spoolsim.emulate.store import Store, store
from spoolsim.work import program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from spoolsim.options import Options

MAX_KEY = 2048
BLOCKSIZE = 65536
NO_CACHE = "no local uWSGI cache available"
_NUMBER = 8


class Cache:
    """What is known of one cache. items: how many it holds, blocksize: bytes of a value; 0 is no limit."""

    __slots__ = ("blocksize", "items", "name")

    def __init__(self, name: str, items: int = 0, blocksize: int = 0) -> None:
        self.name = name
        self.items = items
        self.blocksize = blocksize


def configured(options: Options) -> list[Cache]:
    """The caches that the options make, in order."""
    found = []
    if options.cache_items:
        found.append(Cache("default", options.cache_items - 1, options.cache_blocksize))
    for spec in options.caches:
        pairs = dict(pair.partition("=")[::2] for pair in spec.split(","))
        items, size = pairs.get("items") or pairs.get("maxitems"), pairs.get("blocksize") or pairs.get("bsize")
        found.append(Cache(pairs.get("name", ""), _number(items) - 1, _number(size, BLOCKSIZE)))
    return found


def _number(text: str | None, default: int = 0) -> int:
    return int(text) if text and text.isdigit() else default


def _cache(function: str, name: str) -> Cache | None:
    """The cache of that name; the first one for ''. NotEmulated for one of another server, NAME@HOST:PORT."""
    if not isinstance(name, str):
        raise TypeError(f"{function}() argument must be str, not {type(name).__name__}")
    app = program.in_this_process()
    if "@" in name and function != "cache_keys":  # which uWSGI asks no other server for
        stand_ins.refuse(function, f"any process, which asks the cache server {name!r}; spoolsim asks no other node")
        return None
    found = configured(app.options)
    if not found and "@" not in name:
        if not app.policy.caches_unconfigured:
            return None
        stand_ins.note("no-cache", "cache_*")
        return Cache(name or "default")
    if not name:
        return found[0]
    return next((cache for cache in found if cache.name == name), None)


def cache_get(key: str | bytes, cache: str = "", /) -> bytes | None:
    """The value of a key, or None."""
    wanted, place = text_or_bytes(key), _cache("cache_get", cache)
    if place is None:
        return None
    with store() as shared:
        return _get(shared, place, wanted)


def cache_exists(key: str | bytes, cache: str = "", /) -> bool | None:
    """True for a key that is there, else None."""
    wanted, place = text_or_bytes(key), _cache("cache_exists", cache)
    if place is None:
        return None
    with store() as shared:
        return None if _get(shared, place, wanted) is None else True


def cache_set(key: str | bytes, value: str | bytes, expires: int = 0, cache: str = "", /) -> bool | None:
    """Put a new key in, for `expires` seconds, 0 forever; None when it is there already or there is no room."""
    return _put("cache_set", key, value, expires, cache, replace=False)


def cache_update(key: str | bytes, value: str | bytes, expires: int = 0, cache: str = "", /) -> bool | None:
    """Put a key in, whether or not it is there; None when there is no room."""
    return _put("cache_update", key, value, expires, cache, replace=True)


def cache_del(key: str | bytes, cache: str = "", /) -> bool | None:
    """Remove a key; None when it was not there."""
    wanted, place = text_or_bytes(key), _cache("cache_del", cache)
    if place is None:
        return None
    with store() as shared:
        _expire(shared)
        return True if shared.run("delete from item where cache = ? and key = ?", place.name, wanted) else None


def cache_clear(cache: str = "", /) -> bool | None:
    """Remove all keys."""
    place = _cache("cache_clear", cache)
    if place is None:
        return None
    with store() as shared:
        shared.run("delete from item where cache = ?", place.name)
    return True


def cache_keys(cache: str = "", /) -> list[bytes]:
    """All keys. Raises ValueError when there is no such cache."""
    place = _cache("cache_keys", cache)
    if place is None:
        raise ValueError(NO_CACHE)
    with store() as shared:
        _expire(shared)
        return [key for (key,) in shared.rows("select key from item where cache = ?", place.name)]


def cache_num(key: str | bytes, cache: str = "", /) -> int:
    """The number under a key; 0 when there is none."""
    wanted, place = text_or_bytes(key), _cache("cache_num", cache)
    if place is None:
        return 0
    with store() as shared:
        value = _get(shared, place, wanted)
    return int.from_bytes(value, "little", signed=True) if value is not None and len(value) == _NUMBER else 0


def cache_inc(key: str | bytes, amount: int = 1, expires: int = 0, cache: str = "", /) -> bool | None:
    """Add to a number; a new one begins at 0."""
    return _change("cache_inc", key, amount, expires, cache, lambda number, by: wrapped(number + by))


def cache_dec(key: str | bytes, amount: int = 1, expires: int = 0, cache: str = "", /) -> bool | None:
    """Subtract from a number; a new one begins at 0."""
    return _change("cache_dec", key, amount, expires, cache, lambda number, by: wrapped(number - by))


def cache_mul(key: str | bytes, factor: int = 2, expires: int = 0, cache: str = "", /) -> bool | None:
    """Multiply a number; a new one begins at 0."""
    return _change("cache_mul", key, factor, expires, cache, lambda number, by: wrapped(number * by))


def cache_div(key: str | bytes, divisor: int = 2, expires: int = 0, cache: str = "", /) -> bool | None:
    """Divide a number, towards zero; a new one begins at 0, and by 0 nothing changes."""
    return _change("cache_div", key, divisor, expires, cache, lambda number, by: quotient(number, by) if by else number)


def _get(shared: Store, place: Cache, key: bytes) -> bytes | None:
    row = shared.one(
        "select value from item where cache = ? and key = ? and (expires = 0 or expires > ?)",
        place.name,
        key,
        int(time.time()),
    )
    return row[0] if row else None


def _expire(shared: Store) -> None:
    shared.run("delete from item where expires != 0 and expires <= ?", int(time.time()))


def _put(
    function: str, key: str | bytes, value: str | bytes, expires: int, cache: str, *, replace: bool
) -> bool | None:
    wanted, data, seconds, place = text_or_bytes(key), text_or_bytes(value), long(expires), _cache(function, cache)
    if place is None or not data:
        return None
    with store() as shared:
        _expire(shared)
        if not replace and _get(shared, place, wanted) is not None:
            return None
        return _write(shared, place, wanted, data, int(time.time()) + seconds if seconds > 0 else 0)


def _write(shared: Store, place: Cache, key: bytes, data: bytes, expires: int) -> bool | None:
    if not 0 < len(key) <= MAX_KEY or (place.blocksize and len(data) > place.blocksize):
        return None
    if place.items and _get(shared, place, key) is None:
        count = shared.one("select count(*) from item where cache = ?", place.name)
        if count and count[0] >= place.items:
            program.in_this_process().log.line(f'*** DANGER cache "{place.name}" is FULL !!! ***')
            return None
    shared.run("insert or replace into item values (?, ?, ?, ?)", place.name, key, data, expires)
    return True


def _change(
    function: str, key: str | bytes, amount: int, expires: int, cache: str, change: Callable[[int, int], int]
) -> bool | None:
    wanted, by, seconds, place = text_or_bytes(key), long(amount), long(expires), _cache(function, cache)
    if place is None:
        return None
    with store() as shared:
        _expire(shared)
        row = shared.one("select value, expires from item where cache = ? and key = ?", place.name, wanted)
        old, until = row if row else (b"", int(time.time()) + seconds if seconds > 0 else 0)
        padded = old[:_NUMBER].ljust(_NUMBER, b"\0")
        number = change(int.from_bytes(padded, "little", signed=True), by)
        data = number.to_bytes(_NUMBER, "little", signed=True) + old[_NUMBER:]
        return _write(shared, place, wanted, data, until)
