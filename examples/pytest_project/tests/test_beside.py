"""Beside other plugins, and the directory on its own."""

import asyncio

from shop import tasks


async def test_in_a_coroutine(spooler):
    tasks.mail(to="ann")
    await asyncio.sleep(0)
    spooler.drain()
    assert tasks.sent == ["ann: "]


async def test_in_a_thread_of_a_coroutine(spooler):
    tasks.mail(to="ann")
    await asyncio.to_thread(spooler.drain)
    assert tasks.sent == ["ann: "]


def test_the_directory_alone(spool_dir):
    assert spool_dir.is_dir()
    assert list(spool_dir.iterdir()) == []
