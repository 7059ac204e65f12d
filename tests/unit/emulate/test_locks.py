"""uwsgi.lock(), unlock(), is_locked()."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

import pytest

from spoolsim.emulate import locks
from spoolsim.work import app as apps


def test_a_lock_is_taken_and_given(instance: Any):
    """lock, is_locked, unlock; an unlock too many does nothing; numbers beyond the option are refused."""
    instance(locks="2")
    assert locks.is_locked() is False
    locks.lock(2)
    assert (locks.is_locked(2), locks.is_locked(1), locks.is_locked()) == (True, False, False)
    locks.unlock(2)
    locks.unlock(2)
    assert locks.is_locked(2) is False
    for number in (3, -1):
        with pytest.raises(ValueError, match="Invalid lock number"):
            locks.lock(number)
    with pytest.raises(TypeError):
        locks.is_locked("1")


def test_a_spooler_has_no_locks(instance: Any):
    """In a spooler each of the three raises uWSGI's sentence, whatever the argument."""
    instance(role=apps.SPOOLER)
    for function in (locks.lock, locks.unlock, locks.is_locked):
        with pytest.raises(ValueError, match=r"^The spooler cannot lock/unlock resources$"):
            function(99)


def test_another_process_waits_and_death_frees(instance: Any, wait_for: Any):
    """A lock that a child holds is seen here, and is free when the child is killed."""
    instance()
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        locks.lock()
        os.write(writer, b"!")
        signal.pause()
    try:
        os.read(reader, 1)
        assert locks.is_locked() is True
        taken = threading.Event()
        waiter = threading.Thread(target=lambda: (locks.lock(), taken.set()))
        waiter.start()
        assert not taken.wait(0.2)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    waiter.join(10)
    assert taken.is_set()
    locks.unlock()
    assert locks.is_locked() is False


def test_threads_of_one_process_exclude_each_other(instance: Any):
    """A second thread waits for the first one's lock."""
    instance()
    locks.lock()
    order: list[str] = []
    other = threading.Thread(target=lambda: (locks.lock(), order.append("other"), locks.unlock()))
    other.start()
    order.append("first")
    locks.unlock()
    other.join(10)
    assert order == ["first", "other"]
