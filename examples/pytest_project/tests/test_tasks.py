"""Running jobs in the test's own process, and asserting what was spooled."""

import os
from pathlib import Path

import pytest
import uwsgi
from shop import bank, tasks

from spoolsim.testing import Ran, RetriedForever, SpoolerHarness, Task, TaskTimeout


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
    ran = spooler.run_one(timeout=5)
    assert isinstance(ran, Ran)
    assert (ran.function, ran.task.variables[b"to"]) == ("mail", b"ann")
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
    assert spooler.spooled(tasks.mail, to="bob") == []


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
    with pytest.raises(RetriedForever, match=r"reserve\(item='lamp'\).*retried forever"):
        spooler.drain()
    tasks.stock.append("lamp")
    assert [ran.state for ran in spooler.drain()] == ["done"]


def test_a_job_that_has_three_tries(spooler):
    tasks.reserve(item="lamp")
    with pytest.raises(RetriedForever):
        spooler.drain(retries=3)
    assert [(ran.state, ran.why) for ran in spooler.outcomes] == [("retry", "asked to be retried (SPOOL_RETRY)")] * 3


@pytest.mark.spoolsim(timeout=0.5)
def test_a_job_that_takes_too_long_is_interrupted(spooler):
    tasks.hang()
    with pytest.raises(TaskTimeout, match="hang"):
        spooler.drain()


def test_a_time_limit_for_one_drain(spooler):
    tasks.hang()
    with pytest.raises(TaskTimeout, match="hang"):
        spooler.drain(timeout=0.5)


def test_what_a_failed_test_shows(spooler):
    tasks.mail(to="ann")
    spooler.drain()
    tasks.mail(to="bob")
    report = spooler.report()
    assert "mail(to='ann') done" in report
    assert "left in the spool: 1\n  mail(to='bob') waiting" in report
    assert any("managing request" in line for line in spooler.log.lines)


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
    (ran,) = spooler.drain()
    assert ran.handler is handler
    assert tasks.sent == ["as uWSGI has it"]


@pytest.mark.spoolsim(config="mail.ini")
def test_the_instance_that_only_mails(spooler):
    assert len(uwsgi.spoolers) == 1
    tasks.mail(to="later")
    tasks.mail(to="sooner", priority="1")
    spooler.drain()
    assert tasks.sent == ["sooner: ", "later: "]


def test_all_of_a_task(spooler):
    path = os.fsdecode(tasks.mail(to="ann", body="hello", at="4102444800"))  # 2100-01-01
    (task,) = spooler.tasks()
    assert isinstance(task, Task)
    assert (task.path, task.name) == (path, Path(path).name)
    assert task.data == Path(path).read_bytes()
    assert (task.function, task.body, task.at, task.priority) == ("mail", b"hello", 4102444800, "")
    assert (task.state, task.why) == ("future", "")
    assert task.holds({"to": "ann", "body": "hello"}) and task.exists


def test_the_arguments_of_a_task(spooler):
    tasks.ship(7, express=True)
    (task,) = spooler.assert_spooled(tasks.ship, order_id=7, express=True)
    assert task.arguments == ((7,), {"express": True})


def test_a_spooler_of_ones_own(tmp_path):
    before = uwsgi.spoolers
    spooler = SpoolerHarness(
        "shop.bank", {"spooler_quiet": True}, directory=tmp_path / "own", errors="collect", timeout=5
    )
    bank.charge(order="7", amount="ten")
    (ran,) = spooler.drain(max_tasks=1)
    assert (ran.state, type(ran.error)) == ("retry", ValueError)
    assert uwsgi.spoolers == (os.fsencode(tmp_path / "own"),)
    spooler.close()
    assert uwsgi.spoolers == before


def test_where_the_spool_is(spooler, spool_dir):
    path = tasks.mail(to="ann").decode()
    assert path.startswith(str(spool_dir))
    assert spooler.directory == str(spool_dir)
