"""The same app loaded by the real uWSGI and by `run --faithful`: what is imported, what is said, what a task sees."""

from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess
import sys
import time
import venv
from pathlib import Path

import pytest

pytestmark = pytest.mark.oracle

#: seconds for one instance to start and run its task, on a busy machine
DEADLINE = 60.0

TASKS = """
import os, resource, sys, uwsgi

def state(what):
    mask = os.umask(0)
    os.umask(mask)
    limits = [resource.getrlimit(kind) for kind in (resource.RLIMIT_AS, resource.RLIMIT_NOFILE)]
    aliased = getattr(sys.modules.get("aliased"), "__name__", None)
    seen = dict(
        umask=oct(mask), limits=limits, optimize=sys.flags.optimize, argv=sys.argv, aliased=aliased,
        env={name: value for name, value in os.environ.items() if name.startswith("STAGE_")},
        asserts=not __debug__, inside=[os.path.basename(sys.prefix)],
    )
    sys.stderr.write("STATE %s %r\\n" % (what, sorted(seen.items())))

def handler(env):
    state("in the task")
    return uwsgi.SPOOL_OK

uwsgi.spooler = handler
uwsgi.spool({b"a": b"b"})
state("at the import")
"""

APP = """
import sys
sys.stderr.write("LOADED %s\\n" % __name__)
application = lambda environ, start_response: []

def make():
    sys.stderr.write("MADE in %s\\n" % __name__)
    return application

def broken():
    raise ValueError("no app today")

def factory(world, **settings):
    import logging
    logging.getLogger("app").info("LOADED by the factory: %s", sorted(settings.items()))
    sys.stderr.write("MADE of %s %s\\n" % (sorted(set(world) - {"__file__", "here"}), sorted(settings.items())))
    return application

number = 3
"""

#: read by PasteDeploy, and by uWSGI as its own configuration, too
PASTE = """
[uwsgi]
umask = 027

[DEFAULT]
common = 1

[app:main]
paste.app_factory = a:factory
color = red

[app:other]
paste.app_factory = b:factory

[app:broken]
paste.app_factory = a:nothere

[loggers]
keys = root
[handlers]
keys = console
[formatters]
keys = plain
[logger_root]
level = INFO
handlers = console
[handler_console]
class = StreamHandler
args = (sys.stderr,)
formatter = plain
[formatter_plain]
format = %%(message)s
"""

#: what both have to say, in order
SHOWN = re.compile(
    r"LOADED|MADE|STATE|Loading paste |unable to |mountpoint |\"application\" must|you must define|"
    r"\*\*\* no app loaded. GAME|invalid pymodule-alias|mapped virtual|failed to open python|\w+(Error|Exception): "
)


@pytest.fixture
def cwd(tmp_path: Path) -> Path:
    for name in ("a.py", "b.py", "e.wsgi", "deep.er/c.py", "package/__init__.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(APP)
    (tmp_path / "tasks.py").write_text(TASKS)
    (tmp_path / "paste.ini").write_text(PASTE)
    (tmp_path / "spool").mkdir()
    (tmp_path / "vars").mkdir()
    (tmp_path / "vars" / "STAGE_FILE").write_text("from a file \n\n")
    (tmp_path / "vars" / "STAGE_GONE").write_text("")
    (tmp_path / "vars" / ".STAGE_HIDDEN").write_text("no")
    (tmp_path / "script.py").write_text("import sys\nsys.stderr.write('LOADED %s %s\\n' % (__name__, sys.argv))\n")
    return tmp_path


def loaded(
    command: list[str], cwd: Path, environ: dict[str, str] | None = None, until: bytes = b"done with task"
) -> tuple[list[str], int | None, str]:
    """(the lines that both have to say, exit status if it ended by itself, the whole log).

    until: the instance is ended when it has printed what this pattern matches.
    """
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("UWSGI_", "SPOOLSIM"))}
    process = subprocess.Popen(
        command,
        cwd=cwd,
        env=clean | {"STAGE_GONE": "1", "STAGE_OUT": "1"} | (environ or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None
    text = b""
    end = time.monotonic() + DEADLINE
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while not re.search(until, text) and time.monotonic() < end:
            if selector.select(1.0):
                piece = os.read(process.stdout.fileno(), 65536)
                text += piece
                if not piece:
                    break
    status: int | None = None
    if re.search(until, text) or time.monotonic() >= end:
        # not SIGINT: while the real one is still starting its workers, one may be lost, and it goes on
        os.killpg(process.pid, signal.SIGKILL)
        text += process.communicate(timeout=DEADLINE)[0]
    else:
        text += process.communicate(timeout=DEADLINE)[0]
        status = process.returncode
    log = text.decode("utf-8", "replace")
    return [line for line in log.splitlines() if SHOWN.match(line)], status, log


def clear(spool: Path) -> None:
    """Remove the tasks of an instance that was killed: perhaps it had not removed its last one yet."""
    for left in spool.iterdir():
        if left.is_file():
            left.unlink()


def both(uwsgi_binary: str, cwd: Path, words: list[str]) -> tuple[list[str], list[str], str]:
    """What the real one and `run --faithful` have to say, and both logs."""
    words = ["--master", "--spooler", "spool", *words]
    clear(cwd / "spool")
    real, real_status, real_log = loaded([uwsgi_binary, *words], cwd)
    clear(cwd / "spool")
    ours, status, log = loaded([sys.executable, "-m", "spoolsim", "run", "--faithful", *words], cwd)
    log = f"--- uWSGI ---\n{real_log}\n--- spoolsim ---\n{log}"
    assert (status is None) == (real_status is None), log
    assert status == real_status, log
    return real, ours, log


LOADS: list[list[str]] = [
    ["--module", "a"],
    ["--module", "a", "--wsgi-file", "b.py"],
    ["--module", "a:nothere", "--wsgi-file", "b.py"],
    ["--module", "a", "--callable", "make"],
    ["--module", "a", "--callable", "number"],
    ["--module", "a", "--callable", "nothere"],
    ["--module", "a:make()"],
    ["--module", "a:nothere()"],
    ["--module", "a:broken()"],
    ["--module", "a", "--callable", "make()"],
    ["--module", "missing"],
    ["--wsgi-file", "b.py", "--callable", "nothere"],
    ["--wsgi-file", "b.py", "--callable", "number"],
    ["--wsgi-file", "b.py", "--callable", "make()"],
    ["--wsgi-file", "missing.py"],
    ["--file", "e.wsgi"],
    ["--wsgi-file", "package/"],
    [
        "--single-interpreter",
        "--module",
        "a",
        "--mount",
        "/=b:make()",
        "--mount",
        "/x=deep.er/c.py",
        "--mount",
        "/x=a:make",
    ],
    ["--single-interpreter", "--mount", "/x=b:nothere", "--mount", "/y=e.wsgi", "--worker-mount", "/z=b:application"],
    ["--mount", "/x=b.py", "--callable", "nothere"],
    ["--mount", "/x=b"],
    ["--eval", "application = print"],
    ["--eval", "application = 1"],
    ["--eval", "import sys; sys.stderr.write('LOADED %s\\n' % __name__)"],
    ["--eval", "raise ValueError('broken')"],
    ["--eval", "this is no Python"],
    ["--paste", "config:/nowhere.ini"],
    ["--paste", "config:paste.ini"],
    ["--paste", "config:HERE/paste.ini"],
    ["--paste", "config:HERE/paste.ini#other", "--paste-logger"],
    ["--paste", "config:HERE/paste.ini", "--paste-logger"],
    ["--paste", "config:HERE/paste.ini#broken"],
    ["--paste", "egg:nothere"],
    ["--ini-paste", "paste.ini"],
    ["--ini-paste-logged", "paste.ini"],
    ["--import", "deep.er/c.py", "--shared-import", "./b.py", "--py-import", "a"],
    ["--need-app"],
    ["--need-app", "--socket", "s.sock", "--module", "a:nothere"],
    ["--need-app", "--socket", "s.sock", "--module", "a"],
    ["--pymodule-alias", "aliased=json", "--module", "a"],
    ["--pymodule-alias", "aliased=deep.er/c.py"],
    ["--pymodule-alias", "aliased=missing"],
    ["--pymodule-alias", "aliased"],
    ["--post-pymodule-alias", "aliased=b", "--module", "a", "--import", "tasks"],
    ["--post-pymodule-alias", "aliased=missing"],
    ["--pyargv", "one  two\tthree"],
    ["--umask", "027"],
    ["--umask", "0077"],
    ["--limit-as", "4096"],
    ["--max-fd", "512"],
    ["--optimize", "1"],
    ["--optimize", "2"],
    ["--env", "STAGE_A=1", "--env", "STAGE_B=2", "--unenv", "STAGE_B", "--unenv", "STAGE_OUT", "--env", "STAGE_C="],
    ["--envdir", "vars", "--env", "STAGE_FILE=option"],
    ["--early-envdir", "vars", "--env", "STAGE_FILE=option"],
    ["--chdir", "deep.er", "--pythonpath", "..", "--import", "c"],
]


@pytest.mark.parametrize("words", LOADS, ids=" ".join)
def test_both_load_the_same(uwsgi_binary: str, cwd: Path, words: list[str]):
    """Modules in the same order, by the same names; uWSGI's own lines; the same state in the task, or the same end."""
    words = [word.replace("HERE", str(cwd)) for word in words]
    real, ours, log = both(uwsgi_binary, cwd, ["--import", "tasks", *words])
    assert real, log
    assert ours == real, log


def test_a_virtual_environment_gives_its_packages(uwsgi_binary: str, cwd: Path):
    """Under each of the option's four names; what only spoolsim's own environment has is not there."""
    venv.create(cwd / "env")
    (place,) = (cwd / "env" / "lib").glob("python*/site-packages")
    (place / "only_there.py").write_text("VALUE = 7\n")
    probe = "import sys, os\nimport tasks\n"
    for module in ("only_there", "uwsgi", "pytest"):
        probe += f"try:\n    import {module}\n    found = True\nexcept ImportError:\n    found = False\n"
        probe += f"sys.stderr.write('LOADED {module} %s\\n' % found)\n"
    (cwd / "probe.py").write_text(probe)
    for name in ("virtualenv", "home", "venv", "pyhome"):
        real, ours, log = both(uwsgi_binary, cwd, [f"--{name}", "env", "--import", "probe"])
        assert ours == real, log
        assert "LOADED only_there True" in ours and "LOADED pytest False" in ours
        assert any("'inside', ['env']" in line for line in ours), log


def test_a_projects_own_decorators_are_imported(uwsgi_binary: str, cwd: Path):
    """As sys.path says; without one, the packaged module of uWSGI and ours do the same."""
    (cwd / "uwsgidecorators.py").write_text("import sys\nsys.stderr.write('LOADED %s\\n' % __file__)\n")
    (cwd / "late.py").write_text("import tasks\nimport uwsgidecorators\n")
    real, ours, log = both(uwsgi_binary, cwd, ["--import", "late"])
    assert ours == real, log
    assert [line for line in ours if line.endswith("/uwsgidecorators.py")], log


@pytest.mark.parametrize("words", [[], ["--pyargv", "x y"]], ids=["plain", "arguments"])
def test_pyrun_runs_a_script_and_ends(uwsgi_binary: str, cwd: Path, words: list[str]):
    """In a worker, as the main program, with its arguments; the instance ends with it."""
    command = ["--master", "--spooler", "spool", "--pyrun", "script.py", *words]
    real, real_status, real_log = loaded([uwsgi_binary, *command], cwd)
    ours, status, log = loaded([sys.executable, "-m", "spoolsim", "run", "--faithful", *command], cwd)
    assert ours == real and len(ours) == 1, f"{real_log}\n---\n{log}"
    assert status == real_status, f"{real_log}\n---\n{log}"


def test_uid_runs_tasks_as_another_user(uwsgi_binary: str, cwd: Path):
    """What the note other-user says of uWSGI started as root; ours stays who it is."""
    if os.getuid():
        pytest.skip("uWSGI changes the user only when root starts it")
    import pwd

    (cwd / "who.py").write_text(
        "import os, sys, uwsgi\n"
        "def handler(env):\n    sys.stderr.write('STATE task %d\\n' % os.getuid())\n    return -2\n"
        "uwsgi.spooler = handler\nuwsgi.spool({b'a': b'b'})\n"
    )
    nobody = pwd.getpwnam("nobody")
    os.chown(cwd / "spool", nobody.pw_uid, nobody.pw_gid)
    for path in cwd.parents:  # made by pytest for root alone
        if path.stat().st_mode & 0o005 != 0o005:
            path.chmod(path.stat().st_mode | 0o055)
    # the user is changed after the app is loaded: this Python may be in a home that is closed to nobody
    words = ["--master", "--spooler", "spool", "--uid", "nobody", "--import", "who"]
    real, _, log = loaded([uwsgi_binary, "--drop-after-apps", *words], cwd, until=b"done with task|Permission denied")
    assert f"STATE task {nobody.pw_uid}" in real or "Permission denied" in log, log
    assert "STATE task 0" not in real, log
    clear(cwd / "spool")
    ours, _, log = loaded([sys.executable, "-m", "spoolsim", "run", *words], cwd)
    assert ours == ["STATE task 0"], log
    assert "uid = nobody (command line): uWSGI, started as root, would run the app" in log and "(other-user)" in log


def test_touch_reload_imports_anew(uwsgi_binary: str, cwd: Path):
    """Both import the app again when the file of touch-reload is touched, and say whose touch it was."""
    (cwd / "touched").write_text("")
    (cwd / "again.py").write_text("import sys\nsys.stderr.write('LOADED again\\n')\n")
    words = ["--master", "--spooler", "spool", "--touch-reload", "touched", "--import", "again"]
    ours = [sys.executable, "-m", "spoolsim", "run"]
    for command in ([uwsgi_binary], ours, [*ours, "--faithful"]):
        process = subprocess.Popen(
            [*command, *words], cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        try:
            log = _touch(process, cwd / "touched")
        finally:
            process.kill()
            process.communicate()
        assert log.count("LOADED again") >= 2, log
        assert "*** touched has been touched... grace them all !!! ***" in log, log


def _touch(process: subprocess.Popen[bytes], path: Path) -> str:
    """Touch a file until the app was loaded twice; the log up to then."""
    assert process.stdout is not None
    log = b""
    end = time.monotonic() + DEADLINE
    stamp = time.time()
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while log.count(b"LOADED again") < 2 and time.monotonic() < end:
            if b"spawned the uWSGI spooler" in log:  # uWSGI looks at whole seconds, once a second
                stamp += 2
                os.utime(path, (stamp, stamp))
            if selector.select(1.5):
                log += os.read(process.stdout.fileno(), 65536)
    return log.decode("utf-8", "replace")
