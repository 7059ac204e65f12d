"""`spoolsim check`: each fault is found, and nothing where there is none."""

from __future__ import annotations

import ast
import json
import os
import pwd
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import spoolsim
from spoolsim.cli.config import check
from spoolsim.config.check import CODES, Finding
from spoolsim.config.check import check as find
from spoolsim.config.code import Code
from spoolsim.config.readers import gather
from spoolsim.errors import SpoolsimError

GOOD = (
    "[uwsgi]\nmaster = true\nspooler = %dspool\nspooler-ordered = true\nspooler-frequency = 10\nimport = tasks\n"
    "die-on-term = true\nstrict = true\n"
)
TASKS = (
    "import uwsgi\nfrom uwsgidecorators import spool\n\n@spool\ndef work(arguments):\n    pass\n\n"
    "def enqueue():\n    work(a='1', priority='5')\n    uwsgi.spool({b'priority': b'3'})\n    other(priority='high')\n"
)


@pytest.fixture
def here(here: Path) -> Path:
    """With a spool directory, tasks and a configuration without findings."""
    (here / "spool").mkdir(mode=0o700)
    (here / "tasks.py").write_text(TASKS)
    (here / "uwsgi.ini").write_text(GOOD)
    return here


def findings(*words: str) -> list[Finding]:
    return find(gather(list(words or ["uwsgi.ini"]), {}), os.getcwd())


def codes(*words: str) -> list[str]:
    return [finding.code for finding in findings(*words)]


def run(*words: str) -> Result:
    return CliRunner().invoke(check, list(words), catch_exceptions=False)


def test_nothing_is_found_where_nothing_is_wrong(here: Path):
    """Not even advice; the app is not imported, and nothing is written."""
    before = sorted(str(path) for path in here.rglob("*"))
    assert findings() == []
    result = run("uwsgi.ini", "--all")
    assert (result.output, result.exit_code) == ("no problem found\n", 0)
    assert "tasks" not in sys.modules
    assert sorted(str(path) for path in here.rglob("*")) == before


def somebody_else() -> str:
    """The name of a user who is neither root nor the one that runs the tests."""
    found = [user.pw_name for user in pwd.getpwall() if user.pw_uid not in (0, os.geteuid())]
    if not found:
        pytest.skip("there is no other user here: add one")
    return "nobody" if "nobody" in found else found[0]


EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("*/uwsgi.ini"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_no_fault_is_found_in_the_examples(path: Path, monkeypatch: pytest.MonkeyPatch):
    """Advice for production may be given; errors and warnings would be false alarms."""
    monkeypatch.chdir(path.parent)
    assert [f.to_plain() for f in findings("uwsgi.ini") if f.severity != "info"] == []


@pytest.mark.parametrize(
    ("change", "code", "severity", "line"),
    [
        ("spooler = %dno/such", "directory-missing", "error", 9),
        ("spooler = %dnew", "directory-missing", "info", 9),
        ("spooler = %dtasks.py", "directory-not-a-directory", "error", 9),
        ("spooler = %dopen", "directory-world-writable", "warning", 9),
        ("spooler = spool", "directory-relative", "warning", 9),
        ("chdir = .\nspooler = spool", "directory-relative", "warning", 10),
        ("spooler = %dlink", "directory-symlink", "warning", 9),
        ("spooler = %dlink/below", "directory-symlink", "warning", 9),
        ("uid = nobody", "directory-not-writable", "error", 3),
        ("spooler-ordered = false", "priority-unordered", "error", None),
        ("spooler_quiet = true\nstrict = false", "option-name", "error", 9),
        ("spooler-quite = true\nstrict = false", "unknown-option", "warning", 9),
        ("if-not-directory = spool\nspooler-quiet = true\nendif =\nstrict = false", "unknown-option", "warning", 9),
        ("my-own-variable = 1\nstrict = false", None, "", None),
        ("my-own-variable = 1", "unknown-option", "error", 9),
        ("set-placeholder = my-own-variable=1", None, "", None),
        ("spooler-frequency = 0", "frequency-zero", "error", 9),
        ("spooler-frequency = 0.5", "frequency-zero", "error", 9),
        ("spooler-frequency = soon", "frequency-zero", "error", 9),
        ("spooler-frequency = 1.5", "frequency-fraction", "warning", 9),
        ("spooler-frequency = -3", "option-refused", "error", 9),
        ("spooler-processes = 5000", "option-refused", "error", 9),
        ("stop-grace = soon\nstrict = false", "option-refused", "error", 9),
        ("spooler-max-tasks = 5k", "option-value", "warning", 9),
        ("spooler-quiet = none", "option-value", "warning", 9),
        ("die-on-term = false", "sigterm", "warning", 9),
        ("spooler-cheap = true", "version-2.1", "error", 9),
        ("spooler-cheap = true\nstrict = false", "version-2.1", "warning", 9),
        ("spooler-cheap = true\nuwsgi = 2.1\nstrict = false", None, "", None),
        ("inline = true", "own-option", "error", 9),
        ("master = false", "master-off", "error", 9),
        ("lazy-apps = true", "handler-not-imported", "error", None),
        ("spooler-external = %dexternal", "external-unserved", "warning", 9),
        ("spooler-external = %dserved", None, "", None),
    ],
)
def test_each_fault_is_found(here: Path, change: str, code: str | None, severity: str, line: int | None):
    """With its code, severity and line; one sentence why and one what to do; and nothing else is found."""
    (here / "open").mkdir()
    (here / "open").chmod(0o777)
    for name in ("external", "served"):
        (here / name).mkdir(mode=0o700)
    (here / "link").symlink_to("spool")
    (here / "spool" / "below").mkdir(mode=0o700)
    (here / "other.ini").write_text("[uwsgi]\nspooler = %dserved\n")
    if change == "uid = nobody":
        change = f"uid = {somebody_else()}"
    (here / "uwsgi.ini").write_text(f"{GOOD}{change}\n")
    found = findings()
    if code is None:
        assert [f.to_plain() for f in found] == []
        return
    assert {(f.code, f.severity) for f in found} == {(code, severity)}
    assert found[0].why and found[0].advice
    if line is not None:
        assert found[0].place == f"uwsgi.ini:{line}"


def test_an_unwritable_directory_is_found(here: Path, monkeypatch: pytest.MonkeyPatch):
    """For the user that runs the check, too (root may write anywhere, so the answer of the system is replaced)."""
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert codes() == ["directory-not-writable"]


CODE = """\
import uwsgi as u
import uwsgidecorators
from uwsgi import send_to_spooler as put

@uwsgidecorators.spoolraw
def raw(arguments): ...

raw.spool(priority='high')
u.spool(priority=b'-1')
put({'priority': b'007', b'x': b'y'})
raw(priority=computed)
elsewhere.call(priority='high')
"""


def test_priorities_are_found_in_the_code(here: Path):
    """In every way to enqueue; constants that are not digits; other functions' priorities are left alone."""
    (here / "tasks.py").write_text(CODE)
    found = findings()
    assert [(f.code, f.place) for f in found] == [
        ("priority-not-number", "tasks.py:8"),
        ("priority-not-number", "tasks.py:9"),
    ]
    (here / "uwsgi.ini").write_text(GOOD + "spooler-ordered = no\n")
    unordered = [f.place for f in findings() if f.code == "priority-unordered"]
    assert unordered == ["tasks.py:8", "tasks.py:9", "tasks.py:10", "tasks.py:11"]


IN_DICTIONARIES = """\
import uwsgi
from uwsgidecorators import spool

@spool
def work(arguments): ...

@spool(pass_arguments=True)
def passed(arguments): ...

work.spool({'priority': 'a'})
work({b'priority': b'b'}, x='1')
once = {'priority': 'c'}
uwsgi.spool(once)
uwsgi.spool(**{'priority': 'd'})
uwsgi.spool(dict(priority='e'))
work({**once, 'x': 'y'})
uwsgi.spool(dict(once, priority='f'))
work({'priority': 'g'}, priority='1')
twice = {'priority': 'h'}
twice = {}
work(twice)
passed({'priority': 'i'})
passed('x', priority='j')
elsewhere({'priority': 'k'})
uwsgi.spool({computed: 'l', 'x': {'priority': 'm'}})
"""


def test_priorities_are_found_in_dictionaries(here: Path):
    """Literal, unpacked, made by dict(), behind a name that is bound once; not where a dictionary is an argument."""
    (here / "tasks.py").write_text(IN_DICTIONARIES)
    found = [(f.code, f.why.split()[1]) for f in findings()]
    assert found == [("priority-not-number", f"'{letter}'") for letter in "abcdecfj"]


@pytest.mark.parametrize(("mode", "more"), [(0o777, " and remove those of others"), (0o1777, "")])
def test_a_world_writable_directory_is_found_with_a_sticky_bit_too(here: Path, mode: int, more: str):
    """The bit keeps others from removing tasks, not from making them."""
    (here / "spool").chmod(mode)
    assert [(f.code, f.why.partition(" and so ")[2]) for f in findings()] == [
        ("directory-world-writable", f"run tasks with whatever arguments{more}")
    ]


def test_a_handler_that_nobody_imports_is_found(here: Path):
    """Through packages and relative imports; tests and hidden directories are not looked at."""
    (here / "tasks.py").write_text("from app import mail\n")
    for directory in ("app", "tests", ".hidden"):
        (here / directory).mkdir()
    (here / "app" / "__init__.py").write_text("")
    (here / "app" / "mail.py").write_text("from . import images\nfrom .more import x\n" + TASKS)
    (here / "app" / "images.py").write_text(TASKS)
    (here / "app" / "more.py").write_text(TASKS)
    (here / "app" / "lost.py").write_text("import uwsgi\n\ndef handler(e): ...\n\nuwsgi.spooler = handler\n")
    (here / "tests" / "test_app.py").write_text(TASKS)
    (here / ".hidden" / "x.py").write_text(TASKS)
    (here / "broken.py").write_text("def (\n")
    found = findings()
    assert [(f.code, f.place) for f in found] == [("handler-not-imported", "app/lost.py:5")]
    assert found[0].advice == "add spooler-import = app.lost"
    (here / "uwsgi.ini").write_text(GOOD + "spooler-import = app/lost.py\n")
    assert findings() == []


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("import = jobs.mail", ""),
        ("import = app", "from jobs import mail\n"),
        ("import = app", "import jobs.mail as m\n"),
        ("import = app", "from .jobs.mail import work\n"),
        ("import = app", "import importlib\nimportlib.import_module('jobs.mail')\n"),
        ("import = app", "from importlib import import_module\nimport_module('.mail', 'jobs')\n"),
        ("import = app", "__import__('jobs.mail')\n"),
        ("mount = /=jobs/mail.py", ""),
        ("mount = /a=app.py\nmount = /b=jobs.mail:application", ""),
        ("pythonpath = lib\nimport = jobs.mail", ""),
    ],
)
def test_what_is_imported_is_followed(here: Path, option: str, text: str):
    """Packages without an __init__.py, in several places at once; constant names given to importlib; mounted apps."""
    (here / "tasks.py").unlink()
    for place in ("jobs", "lib/jobs"):
        (here / place).mkdir(parents=True)
    (here / "jobs" / "mail.py").write_text(TASKS)
    (here / "lib" / "jobs" / "other.py").write_text("")
    (here / "app.py").write_text(text)
    (here / "uwsgi.ini").write_text(GOOD.replace("import = tasks", option))
    assert [f.to_plain() for f in findings()] == []


def test_a_spooler_without_any_import_is_found(here: Path):
    """No function would be there to run a task."""
    assert "nothing-imported" in codes("--spooler", str(here / "spool"), "--die-on-term")


def test_the_command_prints_sorts_and_exits(here: Path):
    """Errors first; advice on demand; JSON holds everything; status 1 for errors alone."""
    (here / "uwsgi.ini").write_text(GOOD + "spooler-frequency = 1.5\nspooler = %dnew\nspooler = %dno/such\n")
    result = run("uwsgi.ini")
    lines = result.output.splitlines()
    assert result.exit_code == 1
    assert lines[0].startswith("uwsgi.ini:11: error: ") and lines[0].endswith("[directory-missing]")
    assert lines[1].startswith("uwsgi.ini:9: warning: ")
    assert lines[2] == "1 error, 1 warning; 1 piece of advice for production: --all"
    plain = json.loads(run("uwsgi.ini", "--json").output)
    assert [row["severity"] for row in plain] == ["error", "warning", "info"]
    assert set(plain[0]) == {"code", "severity", "place", "why", "advice"}
    (here / "uwsgi.ini").write_text(GOOD + "spooler-frequency = 1.5\n")
    assert run("uwsgi.ini").exit_code == 0


def test_one_file_with_every_fault(here: Path):
    """All of them are found at once."""
    for name, mode in (("open", 0o777), ("external", 0o700), ("closed", 0o000)):
        (here / name).mkdir()
        (here / name).chmod(mode)
    (here / "link").symlink_to("spool")
    (here / "tasks.py").write_text(CODE)
    (here / "lost.py").write_text(TASKS)
    (here / "uwsgi.ini").write_text(
        "[uwsgi]\nspooler = spool\nspooler = %dlink\nspooler = %dopen\nspooler = %dclosed\nspooler = %dno/such\n"
        "spooler-external = %dexternal\nspooler_ordered = true\nspooler-frequency = 0\nimport = tasks\n"
        "spooler-cheap = true\nspooler-max-tasks = 1.5\nuid = nobody\nspooler-harakiri = -1\n"
    )
    found = {finding["code"] for finding in json.loads(run("--json").output)}
    assert found == {
        "directory-missing",
        "directory-not-writable",
        "directory-relative",
        "directory-symlink",
        "directory-world-writable",
        "external-unserved",
        "frequency-zero",
        "handler-not-imported",
        "option-name",
        "option-refused",
        "option-value",
        "priority-not-number",
        "priority-unordered",
        "sigterm",
        "version-2.1",
    }


def write(home: Path, files: dict[str, str]) -> None:
    """Files below `home`, with their directories."""
    for name, text in files.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)


SPOOLED = "from uwsgidecorators import spool\n\n@spool\ndef work(arguments): ...\n"
TIMED = "from uwsgidecorators import spool, timer\n\n@timer(60, target='spooler')\ndef tick(n): ...\n" + SPOOLED


@pytest.mark.parametrize(
    ("option", "why"),
    [
        ("import = nosuchmodule", "no module nosuchmodule"),
        ("spooler-import = nosuchmodule", "the spooler goes on without it"),
        ("module = nosuchmodule:application", "no module nosuchmodule"),
        ("import = package.absent", "no module package.absent"),
        ("import = email.absent", "no module email.absent"),
        ("spooler-import = %dtasks", "takes this for a file"),
        ("spooler-import = /srv/no-such-app/tasks", "takes this for a file"),
        ("import = absent/tasks.py", "takes this for a file"),
        ("wsgi-file = absent.py", "takes this for a file"),
        ("mount = /=absent.py", "takes this for a file"),
        ("mount = /=absent:application", "no module absent"),
    ],
)
def test_an_import_that_cannot_be_found_is_an_error(here: Path, option: str, why: str):
    """Modules and files, of every option that imports; what to write is said where it is near."""
    write(here, {"package/__init__.py": "", "uwsgi.ini": f"{GOOD}{option}\n"})
    (found,) = findings()
    assert (found.code, found.severity, found.place) == ("import-missing", "error", "uwsgi.ini:9")
    assert why in found.why
    if option == "spooler-import = %dtasks":
        assert found.advice == f"write {here}/tasks.py"


@pytest.mark.parametrize(
    "module", ["sys", "json", "email.mime.text", "click", "package", "package.inner", "space.inner"]
)
def test_what_can_be_imported_is_not_missed(here: Path, module: str):
    """From this project, a package without __init__.py, the standard library and what is installed."""
    files = {"package/__init__.py": "", "package/inner.py": "", "space/inner.py": ""}
    write(here, {**files, "uwsgi.ini": f"{GOOD}import = {module}\n"})
    assert findings() == []


def test_modules_of_the_configured_virtual_environment_are_found(here: Path):
    """Those that are not installed beside spoolsim."""
    packages = "env/lib/python3.99/site-packages"
    write(here, {f"{packages}/only_there.py": "", "env/pyvenv.cfg": ""})
    (here / "uwsgi.ini").write_text(f"{GOOD}virtualenv = %denv\nimport = only_there\n")
    assert findings() == []


def test_modules_in_a_directory_of_production_are_advice(here: Path):
    """What cannot be looked at is no error; --production makes it one."""
    (here / "uwsgi.ini").write_text(f"{GOOD}pythonpath = /srv/no-such-app/lib\nimport = only_there\n")
    assert [(f.code, f.severity) for f in findings()] == [("chdir-missing", "info"), ("import-missing", "info")]
    assert run("uwsgi.ini").exit_code == 0
    assert run("uwsgi.ini", "--production").exit_code == 1


def test_paths_of_production_are_advice(here: Path):
    """The code is looked for here; what lies in the project is an error all the same."""
    (here / "uwsgi.ini").write_text(
        GOOD.replace("%dspool", "/srv/no-such-app/spool") + "chdir = /srv/no-such-app\nstrict = false\n"
    )
    assert {(f.code, f.severity) for f in findings()} == {("directory-missing", "info"), ("chdir-missing", "info")}
    in_production = find(gather(["uwsgi.ini"], {}), os.getcwd(), production=True)
    assert {(f.code, f.severity) for f in in_production} == {("directory-missing", "error"), ("chdir-missing", "error")}
    (here / "uwsgi.ini").write_text(f"{GOOD}spooler-import = /srv/no-such-app/tasks.py\n")
    assert [(f.code, f.severity) for f in findings()] == [("import-missing", "info")]
    (here / "uwsgi.ini").write_text(f"{GOOD}chdir = %dabsent\n")
    assert [(f.code, f.severity) for f in findings()] == [("chdir-missing", "error")]


@pytest.mark.parametrize(
    ("config", "place", "severity"),
    [
        ("spooler-processes = 3\nspooler-import = tasks\n", "tasks.py:5", "error"),
        ("spooler-external = %dspool\nimport = tasks\n", "tasks.py:5", "error"),
        ("spooler-processes = 3\nimport = plain\n", "uwsgi.ini:2", "error"),
        ("spoler = %dspool\nimport = plain\n", "uwsgi.ini:2", "error"),
        ("spool-dir = %dspool\nimport = tasks\n", "uwsgi.ini:2", "error"),
        ("http = :8000\nimport = plain\n", "uwsgi.ini:2", "info"),
    ],
)
def test_a_configuration_without_a_spooler_is_found(here: Path, config: str, place: str, severity: str):
    """An error where something needs one: a decorator, a spooler's option, a misspelled one."""
    write(here, {"plain.py": "", "uwsgi.ini": f"[uwsgi]\n{config}"})
    found = [f for f in findings() if f.code == "no-spooler"]
    assert [(f.place, f.severity) for f in found] == [(place, severity)]
    assert run("uwsgi.ini").exit_code == (severity == "error")


def test_a_signal_registered_in_a_spooler_is_found(here: Path):
    """uWSGI refuses it there, and with it the module; so spooler-import is no advice for such a module."""
    write(here, {"tasks.py": "", "timed.py": TIMED, "app.py": "import timed\n"})
    (here / "uwsgi.ini").write_text(f"{GOOD}spooler-import = timed\n")
    (found,) = findings()
    assert (found.code, found.severity, found.place) == ("registers-in-spooler", "error", "timed.py:3")
    assert found.advice == "use shared-import = timed in the place of spooler-import"
    (here / "uwsgi.ini").write_text(f"{GOOD}lazy-apps = true\nmodule = app\nshared-import = tasks\n")
    (found,) = findings()
    assert (found.code, found.advice) == ("handler-not-imported", "add shared-import = timed")
    for good in ("shared-import = timed", "import = timed\nspooler-import = timed"):
        (here / "uwsgi.ini").write_text(f"{GOOD}{good}\n")
        assert findings() == []


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import uwsgi\nuwsgi.add_timer(1, 10)\n", ["timed.py:2"]),
        ("import uwsgi\nif True:\n    uwsgi.register_signal(1, '', print)\n", ["timed.py:3"]),
        ("from uwsgidecorators import *\n@cron(0, 0, -1, -1, -1)\ndef f(n): ...\n", ["timed.py:2"]),
        ("import uwsgi\ndef later():\n    uwsgi.add_timer(1, 10)\n", []),
    ],
)
def test_every_way_to_register_a_signal_is_seen(here: Path, code: str, found: list[str]):
    """Decorators and calls that run while the module is imported; not those inside functions."""
    write(here, {"timed.py": code, "uwsgi.ini": f"{GOOD}spooler-import = timed\n"})
    assert [f.place for f in findings()] == found


def test_functions_of_mules_are_found(here: Path):
    """Without a mule uWSGI never runs them; with one, spoolsim says that it does not."""
    (here / "tasks.py").write_text(SPOOLED + "\nfrom uwsgidecorators import mule\n@mule(1)\ndef producer(): ...\n")
    (found,) = findings()
    assert (found.code, found.severity, found.place) == ("mule-missing", "warning", "tasks.py:8")
    (here / "uwsgi.ini").write_text(f"{GOOD}mule = true\n")
    (found,) = findings()
    assert (found.code, found.severity) == ("mule-not-run-here", "info")
    assert "producer" in found.why


@pytest.mark.parametrize(
    ("line", "code", "severity"),
    [
        ("spooler = %dspool  # where the tasks are", "comment-in-value", "error"),
        ("spooler-import = tasks  # (the package with the handlers)", "comment-in-value", "error"),
        ("spooler-quiet   ; no comment here", "comment-in-value", "error"),
        ("spooler-quiet = false ; (not now)", "comment-in-value", "error"),
        ("spooler-quiet = true   ; stop it (default is loud)", "option-value", "warning"),
        ("spooler-frequency = 5 # seconds (default 30)", "option-value", "warning"),
        ("spooler-max-tasks = 5k (each (of them))", "option-value", "warning"),
    ],
)
def test_a_comment_behind_a_value_is_found(here: Path, line: str, code: str, severity: str):
    """At its own file and line, whatever the value holds; nothing else follows from it."""
    (here / "uwsgi.ini").write_text(f"{GOOD}strict = false\n{line}\n")
    (found,) = findings()
    assert (found.code, found.severity, found.place) == (code, severity, "uwsgi.ini:10")
    assert found.advice.startswith("write" if "max-tasks" in line else "put the comment on a line of its own")
    assert line.replace("%d", f"{here}/").split()[-1] in found.why


def test_handlers_of_another_service_are_no_fault(here: Path):
    """Those that another configuration of the tree loads; what nobody loads is a warning, as it may be elsewhere."""
    write(
        here,
        {
            "tasks.py": TASKS,
            "mail/uwsgi.ini": "[uwsgi]\nspooler = /srv/mail\nimport = jobs\n",
            "mail/jobs.py": SPOOLED,
            "films.yaml": "uwsgi:\n  spooler: /srv/films\n  import: films.jobs\n",
            "films/jobs.py": SPOOLED,
        },
    )
    assert findings() == []
    (here / "mail" / "other.py").write_text(SPOOLED)
    (found,) = findings()
    assert (found.code, found.severity, found.place) == ("handler-not-imported", "warning", "mail/other.py:4")
    assert run("uwsgi.ini").exit_code == 0


def test_findings_are_silenced_by_their_codes(here: Path):
    """On the command line and in a configuration; a code that there is not is refused, with the nearest one."""
    (here / "uwsgi.ini").write_text(f"{GOOD}spooler-frequency = 1.5\nspooler = spool\n")
    assert sorted(codes()) == ["directory-relative", "frequency-fraction"]
    result = run("uwsgi.ini", "--silence", "directory-relative,frequency-fraction")
    assert (result.output, result.exit_code) == ("no problem found\n", 0)
    assert codes("uwsgi.ini", "--silence", "directory-relative") == ["frequency-fraction"]
    assert codes("uwsgi.ini", "--silence", "busy-wait,directory-relative") == ["frequency-fraction"]
    with pytest.raises(SpoolsimError, match="did you mean directory-relative"):
        run("uwsgi.ini", "--silence", "directory-relativ")


def test_every_code_is_known():
    """What can be found can be silenced, and nothing else can."""
    files = (Path(spoolsim.__file__).parent / "config" / "check").glob("*.py")
    tree = ast.Module([node for file in files for node in ast.parse(file.read_text()).body], [])
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "Finding"]
    added = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and getattr(n.func, "id", "") == "add"]
    named = {n.args[0].value for n in calls + added if isinstance(n.args[0], ast.Constant)}
    assert named | {"option-value", "frequency-fraction"} == CODES - {"info"}


IMPORTS = """\
import one, two.three as t  # comment, here
from four import five, six as s
from . import seven
from ..eight import (
    nine,  # a comment, with a comma
    ten as x,
)
from eleven import \\
    twelve
def f():
    import thirteen; x = 1
import_module("fourteen")
importlib.import_module('.fifteen', 'sixteen')
__import__( "seventeen" )
"""


def test_imports_are_read_without_ast_as_with_it(tmp_path: Path):
    """A file that does not name uWSGI is read by its lines, for speed: the same modules are found."""
    write(tmp_path, {"plain.py": IMPORTS, "parsed.py": IMPORTS + "uwsgi = 1\n"})
    code = Code()
    plain, parsed = code.parse(str(tmp_path / "plain.py")), code.parse(str(tmp_path / "parsed.py"))
    assert plain is not None and parsed is not None
    assert set(plain.imports) == set(parsed.imports)
    assert (0, "two.three") in plain.imports and (2, "eight.ten") in plain.imports


def test_a_thousand_files_take_less_than_a_second_of_cpu(here: Path):
    """Files of ordinary size, all of them imported; the files are counted for who waits."""
    body = "".join(f"import os\n\ndef function_{n}(a, b):\n    return [a for _ in range(b)]\n" for n in range(60))
    names = [f"module_{n}" for n in range(1000)]
    write(here, {f"app/{name}.py": f"from app import {names[n - 1]}\n{body}" for n, name in enumerate(names)})
    (here / "tasks.py").write_text(TASKS + "import app.module_999\n")
    seen: list[int] = []
    before = time.process_time()
    assert find(gather(["uwsgi.ini"], {}), os.getcwd(), progress=seen.append) == []
    assert time.process_time() - before < 1
    assert seen[-1] >= 1000
