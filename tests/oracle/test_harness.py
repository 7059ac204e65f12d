"""The oracle's own machinery: it sees differences, and nothing outlives it."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from tests.conftest import Spawn, WaitFor

from . import pool as pools
from . import sessions
from .compare import differences
from .harness import Bench, Facts, Run, Scenario, run_scenario
from .launchers import NoOracle, Option, SpoolsimLauncher, UwsgiLauncher, find_uwsgi
from .packets import packet, unpack


class PythonLauncher(SpoolsimLauncher):
    """Runs `python -c CODE`, the code being the value of the option `code`: a stand-in that needs neither side."""

    def argv(self, opts: list[Option], need: str) -> list[str]:
        """Return the command line for the code given."""
        return [sys.executable, "-c", str(next(o[1] for o in opts if o[0] == "code"))]


FORKS_A_CHILD_THAT_STAYS = """
import os, signal, time
if os.fork() == 0:
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    print('child is there', flush=True)
    while True: signal.pause()
signal.pause()
"""


def test_differences_name_every_key() -> None:
    """Values, types, missing and surplus keys, and list items are each named by their path; equal answers have none."""
    want = {"a": 1, "b": {"c": [1, 2, {"d": True}]}, "gone": 0, "same": [None]}
    got = {"a": 1.0, "b": {"c": [1, 3, {"d": 1}]}, "new": 0, "same": [None]}
    assert [d.split(":")[0] for d in differences(want, got)] == ["a", "b.c[1]", "b.c[2].d", "gone", "new"]
    assert differences([1, 2], [1]) != []
    assert differences(want, want) == []


def test_packet_and_unpack_agree() -> None:
    """What the tests' own encoder writes, their decoder reads back, body and all."""
    pairs = [(b"k", b"v"), (b"", b"\xff" * 300)]
    assert unpack(packet(pairs, modifier1=9, modifier2=3) + b"BODY") == ((9, 310, 3), pairs, b"BODY")


def test_a_failing_program_leaves_no_process() -> None:
    """A scenario that raises gives its traceback, and its processes are gone, also one that left the session."""
    pids: list[int] = []

    def program(h: Bench) -> Facts:
        i = h.start([("code", FORKS_A_CHILD_THAT_STAYS)], None, master=False)
        assert i.wait_log("child is there")
        pids.extend(sessions.members(i.p.pid, i.mark))
        raise LookupError("on purpose")

    run = run_scenario(Scenario("made_up", program, "2.0", 1), PythonLauncher())
    assert run.error is not None and "on purpose" in run.error
    assert len(pids) == 2
    assert not any(os.path.exists(f"/proc/{pid}/exe") for pid in pids)
    assert run.left_after_stop != []


def test_only_the_recording_counts_where_the_real_side_cannot_show_it() -> None:
    """A scenario of another release is not run under the real uWSGI."""

    def program(h: Bench) -> Facts:
        raise AssertionError("must not be run")

    run = run_scenario(Scenario("made_up", program, "2.1", 1), UwsgiLauncher(sys.executable))
    assert (run.error, run.facts) == (None, None)
    assert run.unavailable is not None


def test_a_scenario_runs_once_and_a_wrong_answer_counts() -> None:
    """An answer that differs is a failure; nothing is run again."""
    answers = iter([2, 1])
    scenario = Scenario("made_up", lambda h: {"answer": next(answers)}, "2.0", 1)
    pool = pools.Pool([scenario], PythonLauncher())
    try:
        run = pool.run(scenario, "spoolsim")
    finally:
        pool.close()
    assert "got    2" in pools.problems(run, {"answer": 1})[0]
    assert next(answers) == 1


def test_what_is_left_after_the_stop_is_a_problem_of_ours() -> None:
    """A process that outlives spoolsim's ordered stop fails the scenario whose answer is right."""
    run = Run("spoolsim", {"answer": 1}, left_after_stop=["77: worker"])
    assert pools.problems(run, {"answer": 1}) == ["left alive after the stop: 77: worker"]


def test_a_missing_uwsgi_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the oracle is not, or is something else, one line says what to do."""
    monkeypatch.setenv("ORACLE_UWSGI", "/nonexistent/uwsgi")
    with pytest.raises(NoOracle, match=r"/nonexistent/uwsgi: run `python -m tests`"):
        find_uwsgi()
    monkeypatch.setenv("ORACLE_UWSGI", "/bin/echo")
    with pytest.raises(NoOracle, match=r"/bin/echo is uWSGI .*the recorded answers are of 2\.0"):
        find_uwsgi()


def test_spawn_fails_for_a_child_left_behind(spawn: Spawn) -> None:
    """`assert_nothing_left`, which `stop` calls, fails the test for a descendant that left the session."""
    s = spawn([sys.executable, "-c", FORKS_A_CHILD_THAT_STAYS], orphans_ok=True)
    s.wait_output("child is there")
    assert len(s.members()) == 2
    s.process.send_signal(signal.SIGTERM)
    s.wait_exit()
    with pytest.raises(pytest.fail.Exception, match="left alive after the end"):
        s.assert_nothing_left(timeout=0.2)


def test_spawn_gives_status_and_output(spawn: Spawn, wait_for: WaitFor) -> None:
    """An orderly process: its output, its exit status, nothing left."""
    s = spawn([sys.executable, "-c", "import sys; print('hello'); sys.exit(input() == '')"], stdin=-1)
    assert s.process.stdin is not None
    s.process.stdin.write(b"text\n")
    s.process.stdin.close()
    assert wait_for(lambda: not s.alive(), 10, "its end")
    assert (s.stop(), s.output()) == (0, "hello\n")
