"""Where uWSGI sends a signal, by its target: as a real one without mules and farms did."""

from __future__ import annotations

import pytest

from spoolsim.work.signals import ELSEWHERE, NOWHERE, SPOOLER, WORKER, route

NO_PIPE = "uwsgi_signal_send(): Bad file descriptor [core/signal.c line 306]"


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
        ("mules", ELSEWHERE, []),
        ("subscribed", ELSEWHERE, []),
        ("mule", ELSEWHERE, [NO_PIPE, "could not deliver signal 7 to a mule"]),
        ("mule0", ELSEWHERE, [NO_PIPE, "could not deliver signal 7 to a mule"]),
        ("mule12", ELSEWHERE, ["invalid signal target: mule12"]),
        ("farm_", ELSEWHERE, ["unknown farm: "]),
        ("farm_x", ELSEWHERE, ["unknown farm: x"]),
        ("farmx", NOWHERE, ["invalid signal target: farmx"]),
        ("spooler1", NOWHERE, ["^^^ UNSUPPORTED SIGNAL TARGET: spooler1 ^^^"]),
        ("subscribedx", NOWHERE, ["^^^ UNSUPPORTED SIGNAL TARGET: subscribedx ^^^"]),
        ("/a/spool", NOWHERE, ["^^^ UNSUPPORTED SIGNAL TARGET: /a/spool ^^^"]),
    ],
)
def test_route(target: str, where: str, lines: list[str]) -> None:
    """With two web workers a target leads there, and those of no process are said in these words."""
    assert route(7, target, 2) == (where, tuple(lines))


def test_without_workers_none_of_them_is_there() -> None:
    """A uWSGI without a socket has no workers."""
    assert route(7, "worker", 0) == (WORKER, ())
    assert route(7, "worker1", 0)[0] == NOWHERE
