"""Workers of an ordered directory tell each other what they try."""

from __future__ import annotations

import random

from spoolsim.work.attempt_ring import SIZE, AttemptRing, share


def test_a_task_is_tried_by_the_first_who_comes_to_it() -> None:
    """Both walk the same names; each tries what the other has not tried."""
    words = share(2)
    one, other = AttemptRing(words, 0), AttemptRing(words, 1)
    for ring in (one, other):
        ring.begin()
    assert not one.by_another("", "a")
    assert other.by_another("", "a")
    assert not other.by_another("", "b")
    assert not other.by_another("", "c")
    assert [one.by_another("", name) for name in "bcd"] == [True, True, False]


def test_a_name_is_one_of_its_directory() -> None:
    """The same name at two priorities is two tasks."""
    words = share(2)
    one, other = AttemptRing(words, 0), AttemptRing(words, 1)
    other.begin()
    assert not one.by_another("5/", "a")
    assert not other.by_another("7/", "a")
    assert not other.by_another("", "a")
    assert other.by_another("5/", "a")


def test_what_was_tried_before_a_scan_is_tried_again_in_it() -> None:
    """A task that stays is one of the next scan, whoever tried it; also one that was passed over."""
    words = share(2)
    one, other = AttemptRing(words, 0), AttemptRing(words, 1)
    other.begin()
    assert not one.by_another("", "kept")
    assert not one.by_another("", "left")
    assert other.by_another("", "kept")
    other.begin()
    assert not other.by_another("", "kept")
    assert not other.by_another("", "left")


def test_a_process_that_takes_a_place_over_knows_nothing_of_before() -> None:
    """Its ring goes on where that of the process before it ended."""
    words = share(2)
    one = AttemptRing(words, 0)
    assert not one.by_another("", "a")
    successor, other = AttemptRing(words, 0), AttemptRing(words, 1)
    other.begin()
    assert not successor.by_another("", "a")
    assert other.by_another("", "a")


def test_what_could_not_be_had_puts_what_was_passed_over_in_doubt() -> None:
    """Until the next scan begins."""
    words = share(2)
    one, other = AttemptRing(words, 0), AttemptRing(words, 1)
    other.begin()
    assert not one.by_another("", "a")
    assert other.by_another("", "a")
    assert other.to_recheck() == []
    one.failed()
    assert one.to_recheck() == []
    assert other.to_recheck() == ["a"]
    other.begin()
    assert other.to_recheck() == []


def test_who_reads_too_late_tries_for_itself() -> None:
    """The ring has the last ones; those before them are tried, and nothing worse."""
    words = share(2)
    one, other = AttemptRing(words, 0), AttemptRing(words, 1)
    other.begin()
    names = [str(number) for number in range(SIZE + 10)]
    assert not any(one.by_another("", name) for name in names)
    assert [other.by_another("", name) for name in names] == [False] * 10 + [True] * SIZE


def test_together_they_try_each_task_once() -> None:
    """Whatever the turns that several workers take at the same names."""
    for seed in range(50):
        draw = random.Random(seed)
        count = draw.randint(2, 5)
        words = share(count)
        names = [str(number) for number in range(draw.randint(1, 300))]
        done: list[str] = []
        workers = [AttemptRing(words, index) for index in range(count)]
        walks = [iter(names) for _ in range(count)]
        for tried in workers:
            tried.begin()
        left = list(range(count))
        while left:
            index = draw.choice(left)
            for _ in range(draw.randint(1, 40)):
                name = next(walks[index], None)
                if name is None:
                    left.remove(index)
                    break
                if not workers[index].by_another("", name):
                    done.append(name)
        assert sorted(done) == sorted(names), f"seed {seed}"
