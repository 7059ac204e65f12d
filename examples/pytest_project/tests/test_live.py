"""What only real processes show."""

import pytest
from freezegun import freeze_time
from shop import tasks

from spoolsim.testing import HarnessError


def pids(path):
    return [int(line) for line in path.read_text().split()]


@pytest.mark.spoolsim(spooler_harakiri=1, spooler_processes=1)
def test_harakiri(live_spooler):
    tasks.hang()
    live_spooler.wait_log("HARAKIRI ON THE SPOOLER")
    assert [task.function for task in live_spooler.tasks()] == ["hang"]


@pytest.mark.spoolsim(spooler_max_tasks=1, spooler_processes=1)
def test_recycling(live_spooler, tmp_path):
    for _ in range(3):
        tasks.whoami(file=str(tmp_path / "pids"))
    live_spooler.drain()
    assert len(set(pids(tmp_path / "pids"))) == 3


def test_a_killed_process_is_replaced(live_spooler, tmp_path):
    victim = live_spooler.kill_worker()
    tasks.whoami(file=str(tmp_path / "pids"))
    live_spooler.drain()
    assert victim not in pids(tmp_path / "pids")


def test_new_code(live_spooler, tmp_path):
    before = set(live_spooler.pids)
    live_spooler.reload()
    tasks.whoami(file=str(tmp_path / "pids"))
    live_spooler.drain()
    assert not before.intersection(pids(tmp_path / "pids"))


def test_frozen_time_is_refused(request):
    with freeze_time("2024-05-01"), pytest.raises(HarnessError, match="frozen clock"):
        request.getfixturevalue("live_spooler")
