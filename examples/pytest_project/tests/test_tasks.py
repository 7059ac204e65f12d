"""Running jobs in the test's own process, and asserting what was spooled."""

from pathlib import Path

import pytest
import uwsgi
from shop import tasks

from spoolsim.testing import RetriedForever


def test_a_job_is_spooled_and_runs(spooler):
    tasks.mail(to="ann", body="hello")
    spooler.assert_spooled(tasks.mail, times=1, to="ann")
    assert tasks.sent == []
    spooler.drain()
    assert tasks.sent == ["ann: hello"]
    assert [ran.state for ran in spooler.outcomes] == ["done"]


def test_jobs_run_one_at_a_time(spooler):
    tasks.mail(to="ann")
    tasks.mail(to="bob")
    assert spooler.run_one().function == "mail"
    assert tasks.sent == ["ann: "]
    assert [task.variables[b"to"] for task in spooler.tasks()] == [b"bob"]


def test_eager_jobs_run_where_they_are_spooled(spooler):
    with spooler.eager():
        tasks.mail(to="ann")
        assert tasks.sent == ["ann: "]


def test_assertions_by_dict(spooler):
    tasks.mail(to="ann")
    spooler.assert_spooled({"ud_spool_func": "mail", "to": "ann"}, times=1)
    spooler.assert_spooled({"to": "bob"}, times=0)
    assert [task.function for task in spooler.spooled()] == ["mail"]


def test_a_failure_lists_what_was_spooled(spooler):
    tasks.mail(to="ann")
    with pytest.raises(AssertionError, match=r"mail\(to='ann'\)"):
        spooler.assert_spooled(tasks.mail, times=2)


def test_a_jobs_error_is_the_tests_error(spooler):
    tasks.mail(subject="nobody")
    with pytest.raises(KeyError, match="to"):
        spooler.drain()
    assert [task.function for task in spooler.tasks()] == ["mail"]


@pytest.mark.spoolsim(errors="collect")
def test_errors_can_be_collected(spooler):
    tasks.mail(subject="nobody")
    assert [type(ran.error) for ran in spooler.drain(max_tasks=2)] == [KeyError, KeyError]


def test_a_job_that_never_ends_is_named(spooler):
    tasks.reserve(item="lamp")
    with pytest.raises(RetriedForever, match=r"reserve\(item='lamp'\).*retried for ever"):
        spooler.drain()
    tasks.stock.append("lamp")
    assert [ran.state for ran in spooler.drain()] == ["done"]


@pytest.mark.spoolsim(spooler_ordered=True)
def test_priorities(spooler):
    tasks.mail(to="later")
    tasks.mail(to="sooner", priority="1")
    spooler.drain()
    assert tasks.sent == ["sooner: ", "later: "]


def test_the_second_spooler_by_its_production_name(spooler):
    tasks.mail(to="ann", spooler=str(Path(__file__).parents[1] / "mail"))
    assert spooler.tasks()[0].path.startswith(uwsgi.spoolers[-1].decode())
    spooler.drain()
    assert tasks.sent == ["ann: "]


def handler(env):
    tasks.sent.append(env[b"raw"].decode())
    return uwsgi.SPOOL_OK


@pytest.mark.spoolsim(app=handler)
def test_a_bare_handler(spooler):
    spooler.spool({"raw": "as uWSGI has it"})  # uwsgi.spool({b"raw": ...}), but takes text
    spooler.drain()
    assert tasks.sent == ["as uWSGI has it"]


def test_where_the_spool_is(spooler, spool_dir):
    path = tasks.mail(to="ann").decode()
    assert path.startswith(str(spool_dir))
    assert spooler.directory == str(spool_dir)
