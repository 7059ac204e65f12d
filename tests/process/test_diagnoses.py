"""What spoolsim says where uWSGI's own words do not help, as a person reads it at the command line."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from spoolsim.spool import file
from tests.oracle.packets import packet

DECORATED = """
import sys
import sysconfig
import uwsgi
from uwsgidecorators import lock, spool


@lock
def locked():
    print('LOCKED RAN')


@spool
def locking(arguments):
    locked()
    print('DONE')


@spool
def importing(arguments):
    import helper_of_the_task
"""
RAISING = """
import uwsgi


def spooler(env):
    raise ValueError('no such user \\ud83d')


uwsgi.spooler = spooler
"""


def spoolsim(cwd: Path, *words: str, status: int = 0) -> str:
    """What a command prints, errors included."""
    command = [sys.executable, "-m", "spoolsim", *words]
    done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False)
    text = done.stdout.decode("utf-8", "backslashreplace")
    assert done.returncode == status, text
    return text


@pytest.mark.parametrize(
    ("option", "code", "words"),
    [
        (
            "",
            "import uwsgi; uwsgi.spool({b'a': b'1'})",
            ("no spooler is configured", "add spooler = DIRECTORY"),
        ),
        (
            "spooler-external = there",
            "import app",
            ("only spooler-external is configured", "add spooler = DIRECTORY, or enqueue with uwsgi.spool({"),
        ),
        ("", "import app", ("no spooler is configured", "add spooler = DIRECTORY")),
        (
            "spooler = there",
            "import uwsgi; uwsgi.spool(data=b'x')",
            ("keyword arguments never work on Python 3", "pass one dictionary: uwsgi.spool({b'data': b'x'})"),
        ),
    ],
    ids=["no spooler", "decorators beside an external spooler", "decorators without a spooler", "keyword arguments"],
)
def test_a_producer_is_told_what_to_write(tmp_path: Path, option: str, code: str, words: tuple[str, ...]) -> None:
    """The last line says what is wrong and what to do, with names that a person can use."""
    (tmp_path / "there").mkdir()
    (tmp_path / "app.py").write_text(DECORATED)
    (tmp_path / "uwsgi.ini").write_text(f"[uwsgi]\nmaster = true\n{option}\n")
    last = spoolsim(tmp_path, "exec", "uwsgi.ini", "--", sys.executable, "-c", code, status=1).splitlines()[-1]
    assert [word for word in words if word not in last] == []
    assert "_spool" not in last.replace("ud_spool_func", "")  # no private name


def drained(home: Path, app: str, *options: str, status: int = 0, **variables: str) -> str:
    """What a drain of one task prints."""
    (home / "app.py").write_text(app)
    (home / "spool").mkdir()
    words = [f"{name}={value}" for name, value in variables.items()]
    spoolsim(home, "enqueue", "--spooler", "spool", *words)
    run = ("run", "--inline", "--drain", "--spooler", "spool", "--import", "app")
    return spoolsim(home, *run, *options, status=status)


def test_a_locked_function_in_a_task(tmp_path: Path) -> None:
    """@lock does not call it there, as in uWSGI, and a note says so."""
    said = drained(tmp_path, DECORATED, ud_spool_func="locking", ud_spool_ret="-2")
    assert "LOCKED RAN" not in said
    assert "DONE" in said
    assert said.count("[production] locked(): in a spooler, uWSGI's @lock returns None") == 1
    assert "(lock-skipped)" in said


@pytest.mark.parametrize("there", [True, False])
def test_a_module_in_the_spool_directory(tmp_path: Path, there: bool) -> None:
    """It is not imported; that uWSGI would have is said, and only where there is one."""
    (tmp_path / "spool").mkdir()
    if there:
        (tmp_path / "spool" / "helper_of_the_task.py").write_text("print('IMPORTED')\n")
    (tmp_path / "app.py").write_text(DECORATED)
    spoolsim(tmp_path, "enqueue", "--spooler", "spool", "ud_spool_func=importing")
    said = spoolsim(tmp_path, "run", "--drain", "--spooler", "spool", "--import", "app", status=1)
    assert "ModuleNotFoundError" in said
    assert "IMPORTED" not in said
    assert said.count("(late-import)") == there
    assert ("import helper_of_the_task: " in said) is there


def test_half_an_emoji_in_an_error_is_valid_json(tmp_path: Path) -> None:
    """Each line of each command that writes JSON can be read as UTF-8 and as JSON, and has the reason."""
    lines = drained(tmp_path, RAISING, "--log-style=json", status=1, user="1").splitlines()
    rows = [json.loads(line) for line in lines if line.startswith("{")]
    assert any("no such user" in row["text"] for row in rows)
    task = json.loads(spoolsim(tmp_path, "ls", "--spooler", "spool", "--json"))["id"]
    for words in (("ls",), ("log",), ("stats",), ("show", task), ("hold", task)):
        text = spoolsim(tmp_path, *words, "--spooler", "spool", "--json")
        found = [json.loads(line) for line in text.splitlines()]
        assert found
        json.dumps(found, ensure_ascii=False).encode()  # no lone surrogate is left in it
        if words[0] in ("ls", "log"):
            assert "no such user" in found[0]["why"]


ALL_DECORATORS = """
import uwsgi
from {module} import spool, spoolforever, spoolraw


@spool
def done(arguments):
    pass


@spoolforever
def again(arguments):
    pass


@spoolraw
def raw(arguments):
    pass
"""


@pytest.mark.parametrize("module", ["uwsgidecorators", "original"])
def test_a_task_by_hand_without_the_outcome(tmp_path: Path, uwsgi_binary: str, module: str) -> None:
    """Each function is called by its own decorator, uWSGI's original one too, with what a task by hand lacks."""
    places = (Path(uwsgi_binary).parent, Path(sysconfig.get_path("purelib")))
    original = next(path for place in places if (path := place / "uwsgidecorators.py").exists())
    (tmp_path / "original.py").write_bytes(original.read_bytes())
    (tmp_path / "app.py").write_text(ALL_DECORATORS.format(module=module))
    (tmp_path / "sp").mkdir()
    for name in ("done", "again", "raw"):
        file.write(str(tmp_path / "sp"), file.next_name(), packet({b"ud_spool_func": name.encode()}))
    said = spoolsim(tmp_path, "run", "--drain", "--spooler", "sp", "--import", "app", status=1)
    assert (
        "done() is decorated with @spool and returned None, and the task has no variable ud_spool_ret, which a call of "
        "the function writes), so it will be retried on every scan; enqueue it by calling done() or with `spoolsim "
        "enqueue --function done`; by hand, put ud_spool_ret=-2 beside ud_spool_func=done" in said
    )
    assert "again() is decorated with @spoolforever and returned None" in said
    assert "by hand, put ud_spool_ret=-1 beside ud_spool_func=again" in said
    assert "raw() is decorated with @spoolraw and returned None), so" in said
    by_hand = ["enqueue", "--spooler", "sp", "ud_spool_func=done", "ud_spool_ret=-2"]
    spoolsim(tmp_path, *by_hand)
    assert spoolsim(tmp_path, "run", "--drain", "--spooler", "sp", "--import", "app", status=1).count("done with") == 1
