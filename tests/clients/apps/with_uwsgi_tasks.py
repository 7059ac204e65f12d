"""An app of uwsgi-tasks."""

import os

from notes import note
from uwsgi_tasks import RetryTaskException, TaskExecutor, task


@task(executor=TaskExecutor.SPOOLER)
def plain(word, times=1):
    note("plain", word * times, os.path.basename(os.getcwd()))


@task(executor=TaskExecutor.SPOOLER)
def large(data):
    note("large", len(data), data[:3])


@task(executor=TaskExecutor.SPOOLER, retry_count=3)
def flaky():
    note("flaky")
    raise RetryTaskException(timeout=1)


@task(executor=TaskExecutor.SPOOLER, priority="3")
def urgent(word):
    note("urgent", word)
