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
    close_old_connections()  # a request does this for itself; a task has to: the database may have hung up since
    Order.objects.filter(pk=arguments["order"]).update(state="packed")


# Something that talks to the database at import time, as larger projects do without knowing: this is the connection
# that `forget_connections` keeps out of the spooler.
connections["default"].ensure_connection()
