"""Where uWSGI sends a signal, by its target: as real ones with and without mules and farms did."""

from __future__ import annotations

import pytest

from spoolsim.options import Setting, build
from spoolsim.work.signals import ELSEWHERE, NOWHERE, SPOOLER, WORKER, Crew, route

NO_PIPE = "uwsgi_signal_send(): Bad file descriptor [core/signal.c line 306]"
TO_A_MULE = [NO_PIPE, "could not deliver signal 7 to a mule"]


@pytest.mark.parametrize(
    ("target", "where", "lines"),
    [
        ("spooler", SPOOLER, []),
        ("", WORKER, []),
        ("worker", WORKER, []),
        ("workers", WORKER, []),
        ("active-workers", WORKER, []),
        ("worker0", WORKER, []),
        ("worker2", WORKER, []),
        ("worker2x", WORKER, []),
        ("worker3", NOWHERE, ["invalid signal target: worker3", NO_PIPE, "could not deliver signal 7 to worker 3"]),
        ("workerx", NOWHERE, [NO_PIPE, "could not deliver signal 7 to worker 0"]),
        ("worker-1", NOWHERE, [NO_PIPE, "could not deliver signal 7 to worker -1"]),
        ("mules", NOWHERE, []),
        ("subscribed", NOWHERE, []),
        ("mule", NOWHERE, TO_A_MULE),
        ("mule0", NOWHERE, TO_A_MULE),
        ("mule12", NOWHERE, ["invalid signal target: mule12"]),
        ("farm_", NOWHERE, ["unknown farm: "]),
        ("farm_x", NOWHERE, ["unknown farm: x"]),
        ("farmx", NOWHERE, ["invalid signal target: farmx"]),
        ("spooler1", NOWHERE, ["^^^ UNSUPPORTED SIGNAL TARGET: spooler1 ^^^"]),
        ("subscribedx", NOWHERE, ["^^^ UNSUPPORTED SIGNAL TARGET: subscribedx ^^^"]),
        ("/a/spool", NOWHERE, ["^^^ UNSUPPORTED SIGNAL TARGET: /a/spool ^^^"]),
    ],
)
def test_route(target: str, where: str, lines: list[str]) -> None:
    """With two web workers a target leads there; for a process that does not exist uWSGI logs these lines."""
    assert route(7, target, Crew(2)) == (where, tuple(lines))


@pytest.mark.parametrize(
    ("target", "where", "lines"),
    [
        ("mule", ELSEWHERE, []),
        ("mule1", ELSEWHERE, []),
        ("mule2", ELSEWHERE, []),
        ("mules", ELSEWHERE, []),
        ("mule3", NOWHERE, ["invalid signal target: mule3"]),
        ("farm_f", ELSEWHERE, []),
        ("farm_g", NOWHERE, ["unknown farm: g"]),
    ],
)
def test_route_with_mules(target: str, where: str, lines: list[str]) -> None:
    """With two mules and a farm these targets lead there."""
    assert route(7, target, Crew(1, 2, ("f",))) == (where, tuple(lines))


def test_without_workers_none_of_them_exists() -> None:
    """A uWSGI without a socket has no workers."""
    assert route(7, "worker", Crew(0)) == (WORKER, ())
    assert route(7, "worker1", Crew(0))[0] == NOWHERE


def test_the_crew_of_a_configuration() -> None:
    """`mule` may be given several times, `mules` is a number; there are web workers only where there is a socket."""
    given = [("mule", "a.py"), ("mule", True), ("mules", "3"), ("farm", "f:1,2"), ("farm", "g:3"), ("processes", "4")]
    settings = [Setting(name, value, "uwsgi.ini:2") for name, value in given]
    crew = Crew.of(build(settings))
    assert (crew.workers, crew.web, crew.mules, crew.farms) == (0, False, 5, ("f", "g"))
    crew = Crew.of(build([*settings, Setting("http-socket", ":8080", "uwsgi.ini:3")]))
    assert (crew.workers, crew.web) == (4, True)
    crew = Crew.of(build([*settings, Setting("stand-in-worker", True, "command line")]))
    assert (crew.workers, crew.web) == (4, False)
