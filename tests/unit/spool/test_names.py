"""The names of spool files: how they are made, which count, their order, and what a whole directory of them costs."""

from __future__ import annotations

import itertools

import pytest

from spoolsim.spool import names
from spoolsim.spool.names import PREFIX, counts, due, is_number, task_name, version_key


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Nothing is remembered of the names that other tests had."""
    heads: dict[str, str] = {}
    monkeypatch.setattr(names, "_HEADS", heads)
    return heads


def test_a_task_is_named_as_uwsgi_names_it():
    """Host, pid, counter, random number, seconds and microseconds, as they are."""
    assert task_name("box_1", 71, 3, 0, 1700000000, 42) == "uwsgi_spoolfile_on_box_1_71_3_0_1700000000_42"


@pytest.mark.parametrize(
    ("name", "number", "unordered", "ordered"),
    [
        (PREFIX, False, True, True),
        (f"{PREFIX}x", False, True, True),
        (PREFIX[:-1], False, False, False),
        ("0", True, False, True),
        ("007", True, False, True),
        ("1a", False, False, False),
        ("-1", False, False, False),
        ("٣", False, False, False),
        ("²", False, False, False),
        ("", False, False, False),
        (".spoolsim", False, False, False),
    ],
)
def test_which_names_count(name: str, number: bool, unordered: bool, ordered: bool):
    """The prefix always; a name of ASCII digits alone under spooler-ordered; nothing else."""
    assert (is_number(name), counts(name, False), counts(name, True)) == (number, unordered, ordered)


@pytest.mark.parametrize(
    ("mtime", "now", "is_due"),
    [(100.0, 100.0, True), (100.9, 100.1, True), (101.0, 100.9, False), (99.9, 100.0, True), (0.0, 1e9, True)],
)
def test_a_task_is_due_in_the_second_of_its_mtime(mtime: float, now: float, is_due: bool):
    """Fractions of a second do not matter."""
    assert due(mtime, now) is is_due


@pytest.mark.parametrize(
    "order",
    [
        ["000", "00", "01", "010", "09", "0", "1", "9", "10"],
        ["a00", "a0", "a1", "a2", "a10", "ab"],
        ["x/", "x0", "x:"],
        ["1.", "1:", "1a", "10"],
        ["2", "10", "100", "1000000000000", "9000000000000"],
        [
            task_name("a", *numbers)
            for numbers in ((9, 1, 1, 1, 1), (10, 1, 0, 1, 1), (10, 1, 1, 1, 9), (10, 1, 1, 1, 10))
        ],
        [task_name("a_1", 1, 1, 1, 1, 1), task_name("a_2", 1, 1, 1, 1, 1), task_name("a_10", 1, 1, 1, 1, 1)],
        [task_name("é", 1, 1, 1, 1, 9), task_name("é", 1, 1, 1, 1, 10)],
    ],
    ids=lambda order: order[0],
)
def test_the_order_of_names(order: list[str]):
    """Whichever is first asked for, and asked for again, each has the place that strverscmp gives it."""
    for asked in (order, order[::-1], order):
        keys = {name: version_key(name) for name in asked}
        assert sorted(order, key=keys.__getitem__) == order
        assert len(set(keys.values())) == len(order)


_ENDS = ["", "0", "00", "5", "05", "50", "é", "٣", "x", "5x", "9" * 200]


@pytest.mark.parametrize("head", ["", "uwsgi_spoolfile_on_h", "on_7", "on_07", "é", "\udcff"])
def test_a_name_has_the_same_key_whether_its_head_is_known_or_not(head: str, forgotten: dict[str, str]):
    """What is remembered of a name's head never changes the key of a name."""
    tails = ["_".join(numbers) for numbers in itertools.product(["1", "0", "x"], ["12"], _ENDS, ["3", ""], _ENDS)]
    unknown = []
    for tail in tails:
        forgotten.clear()
        unknown.append(version_key(f"{head}_{tail}"))
    assert [version_key(f"{head}_{tail}") for tail in tails] == unknown


@pytest.mark.parametrize("host", ["box", "box_1", "a-b.example.org", "box7"])
def test_only_the_first_name_of_a_host_is_looked_at_byte_by_byte(host: str, monkeypatch: pytest.MonkeyPatch):
    """A scan of a large directory depends on it."""
    version_key(task_name(host, 1, 1, 1, 1, 1))

    def slow(name: str) -> bytes:
        raise AssertionError(f"the slow way, for {name}")

    monkeypatch.setattr(names, "_slow_key", slow)
    keys = [version_key(task_name(host, 71, counter, 12345, 1700000000, 42)) for counter in (2, 9, 10)]
    assert keys == sorted(keys)


def test_what_is_remembered_of_names_is_bounded(forgotten: dict[str, str]):
    """However many hosts put tasks into a directory, memory stays flat, and the order is right."""
    order = [task_name(f"host{number}", 1, 1, 1, 1, 1) for number in range(3000)]
    backwards = order[::-1]
    assert sorted(backwards, key=version_key) == order
    assert 500 < len(forgotten) < 1500


def test_only_a_name_that_is_built_like_a_task_is_remembered(forgotten: dict[str, str]):
    """The names of priority directories and of foreign files are not kept."""
    for name in ("7", "a_b_c", "1_2_3_4_5", f"{PREFIX}x"):
        version_key(name)
    assert forgotten == {}


def test_the_longest_name_has_a_key():
    """255 bytes, as many as a file system takes: a number may be nearly as long."""
    small, large = ("_1_1_1_1_" + digit * 246 for digit in "12")
    assert version_key(small) < version_key(large)
    assert version_key(small) < version_key(large)  # its head is known now
