"""The test database, in process and in real processes."""

import os

import pytest
from shop import tasks
from shop.models import Order


@pytest.mark.django_db
def test_in_process(spooler):
    order = Order.objects.create(customer="ann")
    tasks.ship(order.id, express=True)
    spooler.assert_spooled(tasks.ship, express=True)
    spooler.drain()
    order.refresh_from_db()
    assert order.shipped
    assert order.pid == os.getpid()
    assert tasks.sent == ["ann: express"]


def test_in_real_processes(live_spooler):
    order = Order.objects.create(customer="ann")
    tasks.ship(order.id)
    live_spooler.drain()
    order.refresh_from_db()
    assert order.shipped
    assert order.pid != os.getpid()
