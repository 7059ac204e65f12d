"""has_work and touched against the plainest statement of what they mean."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from spoolsim.processes.cheap import has_work
from spoolsim.processes.touch import touched
from spoolsim.spool.directory import SpoolDir
from spoolsim.spool.names import PREFIX
from tests.property import examples

NOW = 1_700_000_000.25
SEEN = st.none() | st.tuples(st.integers(0, 5_000_000_000), st.integers(1, 3))

FILES = st.lists(
    st.tuples(
        st.sampled_from(["", "5/", f"{PREFIX}dir/", "5/7/", "-1/", "high/"]),
        st.sampled_from([f"{PREFIX}a", f"{PREFIX}b", "7", "007", "x", ".y"]),
        st.integers(-20, 20),
        st.sampled_from([b"", b"\x11", b"\x11\0\0\0", b"\x11\0\0\0body"]),
    ),
    max_size=6,
    unique_by=lambda row: row[:2],
)


@given(before=SEEN, now=SEEN, every=st.booleans())
def test_touched(before: tuple[int, int] | None, now: tuple[int, int] | None, every: bool) -> None:
    """No change is never a touch; what uWSGI takes for one, we do too."""
    assert not touched(before, before, every=every)
    if touched(before, now, every=False):
        assert touched(before, now, every=True)
    assert touched(before, now, every=True) is (before != now)


def runs(where: str, name: str, ordered: bool) -> bool:
    """Would a spooler look at this file?"""
    parts = [part for part in where.split("/") if part]
    enters = all(ordered and (part.isdigit() or part.startswith(PREFIX)) for part in parts)
    return enters and (name.startswith(PREFIX) or (ordered and name.isdigit()))


@settings(max_examples=examples(60), deadline=None)
@given(files=FILES, ordered=st.booleans())
def test_has_work(files: list[tuple[str, str, int, bytes]], ordered: bool) -> None:
    """Work is just a whole file that a scan would look at and whose second has come; else the first one's second."""
    with tempfile.TemporaryDirectory() as place:
        ours = []
        for where, name, offset, content in files:
            path = Path(place) / where / name
            if path.is_dir() or any(parent.is_file() for parent in path.parents):
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            os.utime(path, (NOW + offset, NOW + offset))
            if len(content) >= 4 and runs(where, name, ordered):
                ours.append(int(NOW + offset))
        # a future directory is another matter: a scan skips it; ours are of now
        found, later = has_work(SpoolDir(place), ordered=ordered, now=NOW)
    due = any(second <= int(NOW) for second in ours)
    assert found is due
    being_written = any(len(content) < 4 and abs(offset) < 1 for _, _, offset, content in files)
    if not due and not being_written:
        assert later == min(ours, default=None)
