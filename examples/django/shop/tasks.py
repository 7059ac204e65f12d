"""What the spooler does. In production and under spoolsim this module is imported once, before the fork."""

from __future__ import annotations

from django.db import close_old_connections, connections
from uwsgidecorators import postfork, spool

import shop.wsgi  # noqa: F401 - sets Django up
from shop.models import Order


@postfork
def forget_connections() -> None:
    """A connection that was opened before the fork is shared with the parent and all its children: never use it."""
    connections.close_all()


@spool
def pack(arguments: dict[str, str]) -> None:
    """Pack an order."""
    # A request does this for itself; a task has to: the database may have hung up since. In a test of pytest-django it
    # leaves the connection alone, as that is in the test's transaction; with transaction=True the next query opens
    # another one. So no test has to replace it.
    close_old_connections()
    Order.objects.filter(pk=arguments["order"]).update(state="packed")


# Something that talks to the database at import time, as larger projects do without knowing: this is the connection
# that `forget_connections` keeps out of the spooler.
connections["default"].ensure_connection()
