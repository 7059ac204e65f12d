"""What only real processes show."""

import pytest
from freezegun import freeze_time
from shop import tasks

from spoolsim.testing import HarnessError, LiveSpooler


def pids(path):
    return [int(line) for line in path.read_text().split()]


@pytest.mark.spoolsim(spooler_harakiri=1, spooler_processes=1)
def test_harakiri(live_spooler):
    tasks.hang()
    live_spooler.wait_log("HARAKIRI ON THE SPOOLER")
    assert [task.function for task in live_spooler.tasks()] == ["hang"]
    live_spooler.wait_log("managing request", times=2, timeout=10)  # by the one that took its place
    assert "HARAKIRI" in live_spooler.report()
    live_spooler.stop(timeout=0.1)  # and kill it, as it hangs again


@pytest.mark.spoolsim(spooler_max_tasks=1, spooler_processes=1)
def test_recycling(live_spooler, tmp_path):
    for _ in range(3):
        tasks.whoami(file=str(tmp_path / "pids"))
    live_spooler.drain()
    assert len(set(pids(tmp_path / "pids"))) == 3


def test_a_killed_process_is_replaced(live_spooler, tmp_path):
    victim = live_spooler.kill_worker(live_spooler.pids[-1])
    live_spooler.wait_done(tasks.whoami(file=str(tmp_path / "pids")), timeout=10)
    assert victim not in pids(tmp_path / "pids")


def test_the_log_and_the_spool(live_spooler):
    assert len(live_spooler.pids) == 2 * live_spooler.processes
    tasks.mail(to="ann")
    (task,) = live_spooler.assert_spooled(tasks.mail, times=1, to="ann")
    assert live_spooler.spooled(tasks.mail, to="ann") == [task]
    line = f"managing request {task.name}"
    assert live_spooler.wait(lambda: line in live_spooler.output, timeout=10, what="the mail")
    live_spooler.drain(timeout=10)
    assert not task.exists
    assert live_spooler.stop() == 0


def test_a_full_disk(live_spooler):
    with live_spooler.full_disk(), pytest.raises(ValueError, match="unable to spool job"):
        live_spooler.spool({"ud_spool_func": "mail", "to": "ann"})


def test_an_instance_of_ones_own(tmp_path):
    live_spooler = LiveSpooler(
        "shop.tasks",
        {"spooler_processes": 1},
        directory=tmp_path / "own",
        databases={},  # none of Django's is reached by it
        timeout=20,
    )
    with live_spooler:
        tasks.whoami(file=str(tmp_path / "pids"))
        live_spooler.drain()
    assert len(pids(tmp_path / "pids")) == 1


def test_new_code(live_spooler, tmp_path):
    before = set(live_spooler.pids)
    live_spooler.reload()
    tasks.whoami(file=str(tmp_path / "pids"))
    live_spooler.drain()
    assert not before.intersection(pids(tmp_path / "pids"))


def test_frozen_time_is_refused(request):
    with freeze_time("2024-05-01"), pytest.raises(HarnessError, match="frozen clock"):
        request.getfixturevalue("live_spooler")
