"""Properties of a spool directory: what is put comes back once; what a scan gives."""

from __future__ import annotations

import ctypes
import functools
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spoolsim.spool import file, settle
from spoolsim.spool.claim import Claim, take
from spoolsim.spool.directory import SpoolDir
from spoolsim.spool.names import PREFIX
from spoolsim.spool.packet import decode, encode
from spoolsim.spool.scan import scan
from spoolsim.spool.verdicts import REMOVE
from tests.property import examples

LIBC = ctypes.CDLL(None)
NOW = 2_000_000_000.0


@contextmanager
def directory() -> Iterator[SpoolDir]:
    with tempfile.TemporaryDirectory() as path:
        yield SpoolDir(os.path.realpath(path))


PAIRS = st.dictionaries(st.binary(min_size=1, max_size=10), st.binary(max_size=200), max_size=4)
TASKS = st.lists(st.tuples(PAIRS, st.binary(max_size=6000), st.sampled_from((0, 0, 5))), max_size=5)


@settings(max_examples=examples(60), deadline=None)
@given(TASKS)
def test_every_task_put_is_claimed_whole_and_once(tasks: list[tuple[dict[bytes, bytes], bytes, int]]):
    """Tasks of any variables and body, with and without `at`, come back as they were, and are gone when removed."""
    with directory() as spool:
        paths = [
            file.write(spool.path, file.next_name(), encode(variables.items()), body, at)
            for variables, body, at in tasks
        ]
        found = []
        for level, name in scan(spool, now=lambda: NOW):
            claim = take(level, name, NOW)
            assert isinstance(claim, Claim)
            found.append((claim.path, *decode(claim.data)))
            settle.apply(claim, REMOVE)
        expected = [(path, variables, body) for path, (variables, body, _) in zip(paths, tasks, strict=True)]
        assert sorted(found) == sorted(expected)
        assert os.listdir(spool.path) == []


_PLAIN = st.builds(lambda end: PREFIX.encode() + end, st.text("0123_azé", max_size=6).map(str.encode))
_ANY = st.one_of(
    _PLAIN, st.text("01239", min_size=1, max_size=4).map(str.encode), st.sampled_from((b"t1", b"-1", b"1a"))
)
#: name -> None for a file, or the directory's own entries
TREES = st.recursive(
    st.dictionaries(_ANY, st.none(), max_size=5),
    lambda below: st.dictionaries(_ANY, st.none() | below, max_size=5),
    max_leaves=20,
)


def build(path: bytes, tree: dict[bytes, object]) -> None:
    for name, below in tree.items():
        if isinstance(below, dict):
            os.mkdir(path + b"/" + name)
            build(path + b"/" + name, below)
        else:
            os.close(os.open(path + b"/" + name, os.O_CREAT | os.O_WRONLY, 0o600))


def walk(path: bytes, tree: dict[bytes, object]) -> Iterator[bytes]:
    """The order of uWSGI with spooler-ordered: each level by version, directories where they sort."""
    for name in sorted(tree, key=functools.cmp_to_key(LIBC.strverscmp)):
        if not (name.startswith(PREFIX.encode()) or name.isdigit()):
            continue
        below = tree[name]
        if isinstance(below, dict):
            yield from walk(path + b"/" + name, below)
        else:
            yield path + b"/" + name


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="versionsort is glibc's")
@settings(max_examples=examples(80), deadline=None)
@given(TREES)
def test_an_ordered_scan_walks_any_tree_in_uwsgis_order(tree: dict[bytes, object]):
    """Files and directories of any names and depth come in the order of an independent walk by strverscmp."""
    with directory() as spool:
        build(spool.bpath, tree)
        names = [os.fsencode(f"{level.path}/{name}") for level, name in scan(spool, ordered=True, now=lambda: NOW)]
        assert names == list(walk(spool.bpath, tree))


@settings(max_examples=examples(80), deadline=None)
@given(TREES, st.integers(1, 4))
def test_an_unordered_scan_gives_each_worker_every_task_once(tree: dict[bytes, object], count: int):
    """Whichever its share, each worker meets all files with the prefix of the top level once, its own share first."""
    with directory() as spool:
        build(spool.bpath, tree)
        expected = sorted(name for name, below in tree.items() if below is None and name.startswith(PREFIX.encode()))
        for index in range(count):
            names = [name for _, name in scan(spool, share=(index, count), now=lambda: NOW)]
            assert sorted(map(os.fsencode, names)) == expected
            own = [hash(name) % count == index for name in names]
            assert own == sorted(own, reverse=True)
