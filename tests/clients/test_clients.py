"""Packages from PyPI that use the spooler, unmodified, with real spool directories and worker processes."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clients.conftest import CLIENTS, Client, Environment
from tests.conftest import Spawn, poll_until

pytestmark = [pytest.mark.clients]

Make = Callable[[str], Client]


def test_uwsgi_tasks(client: Make):
    """uwsgi-tasks: plain tasks, a body over 64 KiB, `at`, a priority, three tries of one that asks for a retry."""
    one = client("uwsgi-tasks")
    one.run("--import", "with_uwsgi_tasks", "--spooler-ordered", "--spooler-frequency", "1")
    one.execute(
        "from datetime import timedelta\nfrom with_uwsgi_tasks import *\n"
        "plain('ab', times=2)\nlarge('xyz' * 50000)\nurgent('now')\nflaky()\n"
        "task = plain.get_task(('later',), {}); task.add_setup(at=timedelta(seconds=1)); task.execute_async()\n"
    )
    one.wait_notes(
        *("plain abab home", "plain later home", "large 150000 xyz", "urgent now", "flaky", "flaky", "flaky")
    )


UWSGICONF = """
from with_uwsgiconf import *
attempt("spool", plain, "word", times=2)
attempt("spool with priority", with_priority, "x")
"""


def test_uwsgiconf_runtime(client: Make):
    """uwsgiconf's Spooler: a task is enqueued and runs; where it fails, it is for its own reasons (see the oracle)."""
    one = client("uwsgiconf")
    running = one.run("--import", "with_uwsgiconf")
    one.execute(UWSGICONF)
    poll_until(lambda: running.output().count("done with task") >= 1, 20, "a task")
    assert "plain wordword" in one.notes()


@pytest.mark.oracle
def test_uwsgiconf_has_the_same_faults_under_uwsgi(client: Make, uwsgi_binary: str, spawn: Spawn, tmp_path: Path):
    """The same app of uwsgiconf, enqueuing at import time, notes the same lines under the real uWSGI and under ours."""
    one = client("uwsgiconf")
    (one.home / "asks.py").write_text(UWSGICONF)
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    found = subprocess.run([one.environment.python, "-c", code], capture_output=True, text=True, check=True)
    notes = {}
    one.running = None
    ours = [str(one.environment.python), "-m", "spoolsim", "run", "--faithful"]
    for side, start in (("uwsgi", [uwsgi_binary]), ("spoolsim", ours)):
        options = ["--master", "--spooler", "sp", "--pythonpath", found.stdout.strip(), "--pythonpath", str(one.home)]
        process = spawn([*start, *options, "--import", "asks"], cwd=one.home)
        process.wait_output("done with task", timeout=20)
        process.stop()
        notes[side] = one.notes()
        (one.home / "notes").unlink()
    assert notes["spoolsim"] == notes["uwsgi"]
    assert notes["uwsgi"][0] == "spoolers [] None"  # it asks uwsgi.opt for b'spooler', where the key is 'spooler'


@pytest.fixture
def project(client: Make) -> Callable[[str], Client]:
    """`project(name)`: the client in a Django project whose database is made."""

    def make(name: str) -> Client:
        one = client(name)
        one.execute(
            "import with_django; from django.core.management import call_command; call_command('migrate', verbosity=0)"
        )
        return one

    return make


def test_django_uwsgi_taskmanager(project: Make):
    """django-uwsgi-taskmanager: a management command, launched as a task, runs in the spooler and leaves its report."""
    one = project("django-uwsgi-taskmanager")
    running = one.run("--import", "with_django", "--import", "taskmanager.tasks")
    one.execute(
        "import with_django\nfrom taskmanager.models import *\n"
        "command = AppCommand.objects.create(name='test_command', app_name='taskmanager')\n"
        "task = Task.objects.create(name='t', command=command, arguments='one,two')\ntask.launch()\n"
        "print(task.status)\n"
    )
    running.wait_output("done with task", timeout=300)
    report = one.execute(
        "import with_django\nfrom taskmanager.models import *\n"
        "print(Task.objects.get().status, Report.objects.get().invocation_result, Report.objects.get().log)"
    )
    assert report.startswith("idle ok Started: test_command one,two")


def test_djcall(project: Make):
    """djcall: a call is enqueued when the transaction commits, runs in the spooler, and its success is recorded."""
    one = project("djcall")
    one.run("--import", "with_django", "--import", "djcall.models")
    one.execute(
        "import with_django\nfrom django.db import transaction\nfrom djcall.models import *\n"
        "with transaction.atomic():\n    Caller(callback='called.back', kwargs={'word': 'x'}).spool('sp')\n"
    )
    one.wait_notes("called x")
    status = "import with_django\nfrom djcall.models import *\nprint(Caller.objects.get(callback='called.back').status)"
    poll_until(lambda: one.execute(status) == "3\n", 20, "the status success")


def test_django_uwsgi_mail_needs_python_2(client: Make):
    """django-uwsgi-mail imports a module of Python 2, `Pickle`, so that it cannot work on any Python 3."""
    one = client("django-uwsgi-mail")
    said = one.execute("import with_django\ntry: import uwsgi_mail.uwsgi\nexcept ImportError as error: print(error)")
    assert said == "No module named 'Pickle'\n"


MAIL = "from django.core.mail import send_mail\nsend_mail('subject', 'text', 'a@x.org', ['b@x.org'])\n"


def test_django_uwsgi_ng(project: Make):
    """django-uwsgi-ng: the status page shows the jobs, the cache is cleared, a line is logged, a signal is delivered.

    Its mail fails on Python 3, under uWSGI too: see the next test.
    """
    one = project("django-uwsgi-ng")
    one.execute("import with_django_uwsgi; with_django_uwsgi.noted.spool(word='x')")
    running = one.run("--import", "with_django_uwsgi")
    one.wait_notes("ng x")
    shown = one.execute(
        "import with_django\nfrom django.test import Client\nfrom django.contrib.auth.models import User\n"
        "import uwsgi\n"
        "User.objects.create_superuser('root', 'r@x.org', 'pw')\n"
        "client = Client(); client.login(username='root', password='pw')\n" + MAIL + "uwsgi.cache_set('k', 'v')\n"
        "page = client.get('/uwsgi/')\n"
        "print(page.status_code, b'uwsgi_spoolfile_on_' in page.content)\n"
        "print(client.get('/uwsgi/cache_clear/').status_code, uwsgi.cache_get('k'))\n"
        "print(client.post('/uwsgi/log/', {'log_message': 'from a view'}).status_code)\n"
        "print(client.post('/uwsgi/signal/', {'signal_number': '5'}).status_code)\n"
    )
    assert shown == "200 True\n302 None\n302\n302\n"
    one.wait_notes("ng x", "signal 5")
    running.wait_output("UnicodeDecodeError", timeout=300)


@pytest.mark.oracle
def test_the_mail_of_django_uwsgi_ng_fails_under_uwsgi_too(
    project: Make, uwsgi_binary: str, spawn: Spawn, tmp_path: Path
):
    """The task of its mail backend is never done under the real uWSGI: its decorators decode a pickle as UTF-8."""
    one = project("django-uwsgi-ng")
    one.execute("import with_django\n" + MAIL)
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    found = subprocess.run([one.environment.python, "-c", code], capture_output=True, text=True, check=True)
    options = ["--master", "--spooler", "sp", "--pythonpath", found.stdout.strip(), "--pythonpath", str(one.home)]
    command = [uwsgi_binary, *options, "--import", "with_django_uwsgi"]
    process = spawn(command, cwd=one.home, env=one.environ())
    process.wait_output("UnicodeDecodeError", timeout=20)
    process.stop()
    assert "done with task" not in process.output()
    assert len(list((one.home / "sp").glob("uwsgi_spoolfile_on_*"))) == 1
    one.running = None


def test_what_is_not_installed_is_said(environment: Environment):
    """Every client is either there with a version, or has a reason."""
    for name in CLIENTS:
        assert environment.missing.get(name) or environment.versions[name]
