"""The shop's jobs, as uWSGI's spooler runs them."""

import os
import time

import uwsgi
from uwsgidecorators import cron, spool, spoolraw, timer

#: what the outside world saw; a real shop has a mail server and a bank
sent: list[str] = []
journal: list[tuple[str, float]] = []


@spool
def mail(arguments):
    sent.append(f"{arguments['to']}: {arguments.get('body', '')}")


@spoolraw
def reserve(arguments):
    """Retries until there is stock."""
    if arguments["item"] in stock:
        stock.remove(arguments["item"])
        return uwsgi.SPOOL_OK
    return uwsgi.SPOOL_RETRY


stock: list[str] = []


@spool(pass_arguments=True)
def ship(order_id, express=False):
    """Ships an order, and mails its customer."""
    from shop.models import Order

    order = Order.objects.get(id=order_id)
    order.shipped = True
    order.pid = os.getpid()
    order.save()
    mail(to=order.customer, body="express" if express else "shipped")


@spool
def note(arguments):
    journal.append((arguments["what"], time.time()))


@spool
def hang(arguments):
    time.sleep(60)


@spool
def whoami(arguments):
    with open(arguments["file"], "a") as file:
        file.write(f"{os.getpid()}\n")


@timer(60, target="spooler")
def beat(number):
    journal.append(("beat", time.time()))


@cron(0, -1, -1, -1, -1, target="spooler")
def hourly(number):
    journal.append(("hourly", time.time()))
