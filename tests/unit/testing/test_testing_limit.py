"""The time limit ends every task: also one that swallows whatever is raised in it."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import pytest

from spoolsim.errors import TaskTimeout
from spoolsim.testing import SpoolerHarness


def passes(env: Any) -> None:
    while True:
        try:
            time.sleep(0.01)
        except BaseException:
            pass


def blocks(env: Any) -> None:
    while True:
        try:
            time.sleep(600)
        except BaseException:
            pass


def spins(env: Any) -> None:
    while True:
        try:
            sum(range(100))
        except BaseException:
            continue


def nested(env: Any) -> None:
    while True:
        try:
            blocks(env)
        except BaseException:
            pass
        finally:
            time.sleep(0.01)


def step(env: Any) -> bool:
    try:
        time.sleep(600)
    except BaseException:
        return False
    return True


def retries(env: Any) -> None:
    while not step(env):
        pass


def stores(env: Any) -> None:
    errors = []
    while True:
        try:
            sum(range(100))
        except BaseException as error:
            errors.append(error)


def returns(env: Any) -> int:
    try:
        time.sleep(600)
    except BaseException:
        pass
    return -2


class Deleted:
    """Its deletion is one of the places where Python ignores an exception, and reports it."""

    def __del__(self) -> None:
        time.sleep(600)


def deletes(env: Any) -> None:
    while True:
        Deleted()


@pytest.mark.parametrize("handler", [passes, blocks, spins, nested, retries, stores, returns, deletes])
def test_a_task_that_swallows_everything_is_ended_and_named(tmp_path: Path, handler: Any) -> None:
    """In a loop, in loops around it, blocked, spinning, or keeping what it caught."""
    with SpoolerHarness(handler, directory=tmp_path) as spooler:
        spooler.spool({"n": "greedy"})
        with pytest.raises(TaskTimeout, match=r"task\(n='greedy'\) was still running after 0.1 s"):
            spooler.drain(timeout=0.1)


def test_cleanup_is_left_alone(tmp_path: Path) -> None:
    """A `finally`, and an `except` that raises again, run to their end, longer than it takes to strike again."""
    cleaned = []

    def handler(env: Any) -> None:
        try:
            try:
                time.sleep(600)
            except BaseException:
                time.sleep(0.2)
                cleaned.append("except")
                raise
        finally:
            time.sleep(0.2)
            cleaned.append("finally")

    with SpoolerHarness(handler, directory=tmp_path) as spooler:
        spooler.spool({"n": "careful"})
        with pytest.raises(TaskTimeout):
            spooler.drain(timeout=0.1)
    assert cleaned == ["except", "finally"]


def test_only_interrupts_go_unreported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Python ignores an exception it reports it: the task's own, not our interrupt; afterwards all of them."""
    reported: list[object] = []

    def report(ignored: Any) -> None:
        reported.append(ignored.exc_type)

    class Careless:
        def __del__(self) -> None:
            raise ValueError

    def handler(env: Any) -> None:
        try:
            Deleted()
            time.sleep(600)
        finally:
            Careless()

    monkeypatch.setattr("sys.unraisablehook", report)
    with SpoolerHarness(handler, directory=tmp_path) as spooler:
        spooler.spool({"n": "careless"})
        with pytest.raises(TaskTimeout):
            spooler.drain(timeout=1)
    assert reported == [ValueError]
    assert sys.unraisablehook is report
