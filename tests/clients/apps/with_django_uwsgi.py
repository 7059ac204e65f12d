"""A task by the decorators of django-uwsgi-ng, and its mail."""

import uwsgi
import with_django  # noqa: F401 - sets Django up
from django_uwsgi.decorators import spool
from django_uwsgi.tasks import send_mail  # noqa: F401 - registers its task
from notes import note


@spool
def noted(arguments):
    note("ng", arguments["word"])


uwsgi.register_signal(5, "spooler", lambda number: note("signal", number))
