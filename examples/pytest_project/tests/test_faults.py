"""Faults on demand: is a job safe to run twice, and what does the shop do on a full disk?"""

import pytest
from shop import bank, tasks

from spoolsim.testing import Explored, ScheduleBroken


def test_a_failure_is_retried(spooler):
    spooler.fail_next(ConnectionError("mail server"))
    tasks.mail(to="ann")
    assert [ran.state for ran in spooler.drain()] == ["retry", "done"]
    assert tasks.sent == ["ann: "]


def test_three_failures_in_a_row(spooler):
    spooler.fail_next(ConnectionError, times=3)
    tasks.mail(to="ann")
    assert [ran.state for ran in spooler.drain()] == ["retry"] * 3 + ["done"]


@pytest.mark.parametrize(("when", "sent"), [("before", 1), (1, 1), ("after", 2)])
def test_a_killed_spooler_runs_the_job_again(spooler, when, sent):
    spooler.kill_next(when)
    tasks.mail(to="ann")
    killed, done = spooler.drain()
    assert (killed.state, done.state) == ("killed", "done")
    assert killed.fault.startswith("killed before line" if when == 1 else f"killed {when}")
    assert killed.name == done.name
    assert tasks.sent == ["ann: "] * sent


def test_a_job_that_is_delivered_twice(spooler):
    tasks.mail(to="ann")
    spooler.run_twice(spooler.tasks()[0])
    assert tasks.sent == ["ann: ", "ann: "]


def test_a_full_disk(spooler):
    with spooler.full_disk(), pytest.raises(ValueError, match="unable to spool job"):
        tasks.mail(to="ann")
    assert spooler.tasks() == []


@pytest.mark.parametrize("how", ["garbage", "cut"])
def test_a_damaged_file_is_set_aside(spooler, how):
    tasks.mail(to="ann")
    spooler.corrupt(spooler.tasks()[0], how=how)
    (ran,) = spooler.drain()
    assert (ran.state, ran.function) == ("broken", "mail")
    assert tasks.sent == []


def test_an_emptied_file_stays_for_ever(spooler):
    tasks.mail(to="ann")
    spooler.corrupt(spooler.tasks()[0], how="empty")
    assert spooler.drain() == []
    assert [task.state for task in spooler.tasks()] == ["unfinished"]


def scenario(charge):
    def pay(spooler):
        bank.bank.__init__()
        bank.receipts.clear()
        for order in ("7", "8"):
            charge(order=order, amount="10")
        spooler.drain()
        assert sorted(bank.bank.charges) == [("7", 10), ("8", 10)]

    return pay


def test_explore_finds_the_double_charge(spooler):
    with pytest.raises(ScheduleBroken) as found:
        spooler.explore(scenario(bank.charge), outside=[bank.Bank])
    story = str(found.value)
    assert "killed before line bank.py:" in story
    assert "charge(order='7', amount='10') is run again, by a new spooler, and done" in story


def test_explore_passes_the_idempotent_one(spooler):
    explored = spooler.explore(scenario(bank.charge_once), outside=[bank.Bank])
    assert isinstance(explored, Explored)
    assert explored.points >= 10
    assert explored.runs > explored.schedules >= explored.points
    assert explored.complete


def test_explore_orders_and_pairs_of_faults(spooler):
    explored = spooler.explore(
        scenario(bank.charge_once), faults=2, kills=False, orders=True, max_runs=50, outside=[bank.Bank]
    )
    assert explored.points == 0 and explored.complete
