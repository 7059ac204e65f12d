"""An app for uWSGI's spooler, unchanged: three tasks are enqueued while it is imported, and run by the spooler."""

import uwsgi
from uwsgidecorators import spool, spoolraw


@spool
def greet(arguments):
    print(f"  hello {arguments['name']}, from process {uwsgi.spooler_pid()}'s spooler", flush=True)


@spoolraw
def count(arguments):
    print(f"  a body of {len(arguments['body'])} characters", flush=True)
    return uwsgi.SPOOL_OK


greet(name="world")
count(body="x" * 100_000)
greet(name="urgent", priority="1")
