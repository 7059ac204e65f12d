"""A debugger in a handler: `spoolsim run --inline` and `pytest --pdb` hand it the terminal."""

from __future__ import annotations

import sys
from pathlib import Path

import pexpect

from tests.conftest import poll_until
from tests.oracle.sessions import sleeps

APP = """
import uwsgi

def charge(env):
    amount = int(env[b"amount"])
    breakpoint()
    print("charged", amount, flush=True)
    return uwsgi.SPOOL_OK

uwsgi.spooler = charge
uwsgi.spool({b"amount": b"42"})
"""

TEST = """
def handler(env):
    secret = 6 * 7
    raise ValueError("in the handler")

import pytest

@pytest.mark.spoolsim(app=handler, timeout=0.3)
def test_charge(spooler):
    spooler.spool({"n": "1"})
    spooler.drain()
"""

STEPS = """
import pytest

@pytest.mark.spoolsim(timeout=0.3)
def test_charge(spooler):
    import uwsgi
    def handler(env):
        amount = 42
        breakpoint()
        return -2
    uwsgi.spooler = handler
    spooler.spool({"n": "1"})
    assert [ran.state for ran in spooler.drain()] == ["done"]
"""


def _spawn(arguments: list[str], cwd: Path) -> pexpect.spawn:
    child = pexpect.spawn(sys.executable, arguments, cwd=str(cwd), timeout=300, encoding="utf-8", dimensions=(24, 200))
    child.logfile_read = None
    return child


def test_pdb_in_a_handler_of_run_inline(tmp_path: Path) -> None:
    """breakpoint() in a handler of `run --inline` gives a prompt that sees its variables; then the task is done."""
    (tmp_path / "app.py").write_text(APP)
    child = _spawn(
        [
            "-m",
            "spoolsim",
            "run",
            "--inline",
            "--drain",
            "--spooler",
            "spool",
            "--import",
            "app",
            "--spooler-harakiri",
            "1",
        ],
        tmp_path,
    )
    child.expect_exact("(Pdb) ")
    child.sendline("p amount + 1")
    child.expect_exact("43")
    child.expect_exact("(Pdb) ")
    child.sendline("where")
    child.expect_exact("charge(")
    child.expect_exact("(Pdb) ")
    child.sendline("amount = 7")
    child.expect_exact("(Pdb) ")
    child.sendline("continue")
    child.expect_exact("charged 7")
    child.expect(r"done .*spooler\(amount='42'\)")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert not list((tmp_path / "spool").glob("uwsgi_spoolfile*"))


def test_ctrl_c_after_a_breakpoint_ends_run_inline(tmp_path: Path) -> None:
    """Continued, pdb keeps SIGINT to itself; when the task is over Ctrl-C ends the run, and does not debug it."""
    (tmp_path / "app.py").write_text(APP)
    words = ["-m", "spoolsim", "run", "--inline", "--spooler", "spool", "--import", "app"]
    child = _spawn(words, tmp_path)
    child.expect_exact("(Pdb) ")
    child.sendline("continue")
    child.expect(r"done .*spooler\(amount='42'\)")
    poll_until(lambda: sleeps(child.pid), 30, "the spooler to wait")
    child.sendintr()
    child.expect(pexpect.EOF)
    child.close()
    assert (child.exitstatus, "Program interrupted" in child.before) == (130, False)


def test_pytest_pdb_ends_up_in_the_handler(tmp_path: Path) -> None:
    """`pytest --pdb` on a failing task stops in the handler's own frame."""
    (tmp_path / "test_it.py").write_text(TEST)
    child = _spawn(["-m", "pytest", "-p", "no:cacheprovider", "--pdb", "-q", "test_it.py"], tmp_path)
    child.expect_exact("(Pdb) ")
    child.sendline("p secret")
    child.expect_exact("42")
    child.expect_exact("(Pdb) ")
    child.sendline("q")
    child.expect(pexpect.EOF)
    child.close()


def test_the_time_limit_waits_for_a_debugger(tmp_path: Path) -> None:
    """Somebody at a debugger's prompt inside a task is not interrupted by the time limit of the drain."""
    (tmp_path / "test_it.py").write_text(STEPS)
    child = _spawn(["-m", "pytest", "-p", "no:cacheprovider", "-q", "test_it.py"], tmp_path)
    child.expect_exact("(Pdb) ")
    child.sendline("import threading; print('waited', threading.Event().wait(1.0))")  # three times the limit
    child.expect_exact("waited False")
    child.expect_exact("(Pdb) ")
    child.sendline("continue")
    child.expect_exact("1 passed")
    child.expect(pexpect.EOF)
    child.close()
