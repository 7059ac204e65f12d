"""What a drain has tried: each task is tried once, by whichever process, also after a death."""

from __future__ import annotations

from spoolsim.work.attempted import _WIDTH, SIZE, Attempted, share


def test_a_task_is_tried_by_one_of_two():
    """While it runs, when it stays, and by the process that takes the place of a dead one."""
    words = share(2)
    first, second = Attempted(words, 0), Attempted(words, 1)
    assert first.begin("a", 1)
    assert not second.begin("a", 1)
    assert first.begin("b", 2)
    assert not second.begin("a", 1)
    assert not second.begin("b", 2)
    assert not first.begin("a", 1)
    reborn = Attempted(words, 0)
    assert not reborn.begin("a", 1)
    assert not reborn.begin("b", 2)
    assert not second.begin("b", 2)


def test_what_is_gone_takes_no_room():
    """A task that is done leaves no mark; another file under its name is another task."""
    words = share(1)
    one = Attempted(words, 0)
    for number in range(10):
        assert one.begin("a", number)
        one.gone()
    assert one.begin("a", 3)
    assert words[0] == 0
    assert one.begin("a", 4)
    assert words[0] == 1


def test_a_full_ring_still_ends_a_drain():
    """Beyond its size the others do not learn of it, but the process itself tries each task once."""
    words = memoryview(bytearray(8 * 2 * _WIDTH)).cast("Q")
    words[0] = SIZE
    full, other = Attempted(words, 0), Attempted(words, 1)
    assert full.begin("a", 1)
    assert full.begin("b", 1)
    assert not full.begin("a", 1)
    assert words[0] == SIZE
    assert other.begin("a", 1)
