"""The soak's short form, and that it would see what it looks for."""

from __future__ import annotations

import os
import random
from pathlib import Path

from spoolsim.work.scoreboard import LEAVE, PID, WIDTH
from tests.soak import look
from tests.soak.flat import LIMITS, judge
from tests.soak.ledger import Ledger, add
from tests.soak.run import Report, Soak


def test_two_thousand_tasks(tmp_path: Path) -> None:
    """Recycling, reloads, harakiri, retries and poison: each task is done once, and nothing is left or held."""
    soak = Soak(tmp_path, seconds=4, tasks=2000, seed=int.from_bytes(os.urandom(3)), every=0.3, reload=1.5)
    report = soak.run()
    print(f"seed {report.seed}, {report.phases}, {dict(report.events)}")
    assert report.wrong == []
    assert report.acknowledged == report.done == 2000
    for event in (
        "recycled spoolers",
        "touch reloads",
        "harakiris",
        "tasks moved to failed/",
        "broken files set aside",
    ):
        assert report.events[event], f"no {event}: {dict(report.events)}"
    assert report.events["poison tasks brought back"] == report.events["tasks moved to failed/"]
    assert report.samples


def series(leak: float, noise: float, peaks: int = 0) -> tuple[list[float], list[float]]:
    """Half an hour of looks at something of about 1000 that grows by `leak` all in all."""
    draw = random.Random(1)
    times = [2.0 * index for index in range(900)]
    values = [1000 + leak * time / 1800 + draw.uniform(-noise, noise) for time in times]
    for _ in range(peaks):
        values[draw.randrange(900)] += 5000
    return times, values


def test_a_leak_is_seen() -> None:
    """One descriptor more in half an hour is too much; so are 3 MB of the master."""
    assert not judge("fds_master", *series(1, 0)).flat
    assert not judge("rss_master", *series(3000, 200)).flat


def test_noise_and_peaks_are_no_leak() -> None:
    """A series that goes up and down, with peaks at its end too, is flat."""
    assert judge("rss_master", *series(0, 300, peaks=40)).flat
    assert judge("fds_spooler", *series(0, 2)).flat


def test_warm_up_is_not_judged() -> None:
    """What grows in the beginning and then stays is flat."""
    times, values = series(0, 1)
    values[:100] = [value - 900 + 9 * index for index, value in enumerate(values[:100])]
    assert judge("rss_master", times, values).flat


def test_a_scoreboard_that_is_wrong_is_seen() -> None:
    """A seat of a process that is gone, a process without a seat, one with two, more serving than there are slots."""

    def seat(pid: int, leave: int = 0) -> list[int]:
        words = [0] * WIDTH
        words[PID], words[LEAVE] = pid, leave
        return words

    assert look.scoreboard_fault([seat(5), seat(0), seat(6)], [6, 5], 2) == ""
    assert look.scoreboard_fault([seat(5), seat(6, 1), seat(7)], [5, 6, 7], 2) == ""
    assert "alive" in look.scoreboard_fault([seat(5), seat(6)], [5], 2)
    assert "alive" in look.scoreboard_fault([seat(5)], [5, 6], 2)
    assert "two seats" in look.scoreboard_fault([seat(5), seat(5)], [5], 2)
    assert "serve 2 slots" in look.scoreboard_fault([seat(5), seat(6), seat(7)], [5, 6, 7], 2)


def test_a_leak_that_reloads_hide_is_seen(tmp_path: Path) -> None:
    """More descriptors than a busy process needs, at any time, in a process that is then replaced."""
    soak = Soak(tmp_path, seconds=1, tasks=1, seed=1, every=1, reload=1)
    for most in (14.0, 40.0):
        values = {"fds_master": 11.0, "fds_forkserver": most, "fds_spooler": 12.0}
        soak.report.samples.append(look.Sample(most, values))
        soak._ceilings({"master": [11], "forkserver": [14], "spooler": [12, 12]})
    assert soak.report.wrong == ["the forkserver had 40 descriptors, at rest 14"]


def test_what_is_lost_or_done_again_is_seen(tmp_path: Path) -> None:
    """A task that was never done, and one done twice with and without a dead spooler, in the accounts."""
    soak = Soak(tmp_path, seconds=1, tasks=4, seed=1, every=1, reload=1)
    for number in range(4):
        add(soak.ledger.acknowledged, number)
    for number in (0, 1, 1, 2, 2):
        add(soak.ledger.done, number)
    (tmp_path / "ledger.again").write_text("1 uwsgi_spoolfile_on_a\n2 uwsgi_spoolfile_on_b\n")
    died = "[spoolsim] the spooler of task 3/uwsgi_spoolfile_on_a was killed by SIGKILL while it ran (1x)"
    (tmp_path / "log").write_text(f"{died}; the task stays\n")
    soak._settle_accounts()
    assert soak.report.wrong == [
        "lost: 1 tasks, such as [3]",
        "task 2 was done twice, and no spooler died with uwsgi_spoolfile_on_b",
    ]


def test_the_report_has_every_series() -> None:
    """What is judged can be read from the file, by name."""
    report = Report(1, 1)
    report.samples = [look.Sample(float(at), dict.fromkeys(LIMITS, 1.0)) for at in range(2000)]
    report.judged = [judge(name, [0.0, 1.0], [1.0, 1.0]) for name in LIMITS]
    made = report.to_json()
    assert list(made["series"]) == list(LIMITS)
    assert all(one["flat"] for one in made["series"].values())
    assert len(made["samples"]["pss_tree"]) == len(made["seconds_of_samples"]) <= 300


def test_ledger_is_one_for_all_processes(tmp_path: Path) -> None:
    """Two processes that map it see the same counts."""
    mine, other = (Ledger(str(tmp_path / "ledger"), 3) for _ in range(2))
    assert add(mine.done, 1) == 1
    mine.gate = 7
    assert (other.count(other.done), list(other.done), other.gate) == (1, [0, 1, 0], 7)
