"""Section and Spooler: what is refused, what is chained, and Python configuration files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import spoolsim
from spoolsim import Section, Spooler
from spoolsim.config.readers import gather, read
from spoolsim.errors import ConfigError, OptionError
from spoolsim.options import build


def test_the_package_exports_the_api_without_importing_it():
    """`import spoolsim` loads nothing of the wing; the names come when they are asked for."""
    code = "import sys, spoolsim; print('spoolsim.section' in sys.modules, spoolsim.Spooler.__name__)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.split() == ["False", "Spooler"]
    with pytest.raises(AttributeError, match="has no attribute 'Spoler'"):
        spoolsim.Spoler


def test_calls_chain_and_give_uwsgis_lines():
    """The section of a Spooler without one, in the order of the first mention of each option."""
    section = Spooler(poll_interval=5).add("spool").spooler.add(["b", "c"], external=True).spooler(quiet=True)
    assert isinstance(section, Section)
    assert section.as_ini() == (
        "[uwsgi]\nspooler-frequency = 5\nspooler = spool\n"
        "spooler-external = b\nspooler-external = c\nspooler-quiet = true\n"
    )
    options = build(section.settings())
    assert options.spoolers == (("spool", False), ("b", True), ("c", True))
    assert (options.frequency, options.quiet) == (5, True)


def test_placeholders_and_base_dir():
    """base_dir goes before relative names given later; placeholders are the section's."""
    section = Section(project_name="app", runtime_dir="/run/me", params_spooler={"base_dir": "/srv"})
    section.spooler.add(["a", "/abs", "{project_runtime_dir}/spool/"])
    section.spooler(base_dir="/new").spooler.add("{project_name}")
    assert [s.value for s in section.settings()] == ["/srv/a", "/abs", "/srv//run/me/app/spool/", "/new/app"]
    section.project_name, section.runtime_dir = "other", "/r"
    assert section.replace_placeholders("{project_runtime_dir}") == "/r/other"


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"poll_interval": "5"}, "poll_interval (spooler-frequency): '5': expected a whole number, 0 or more"),
        ({"poll_interval": 0.5}, "poll_interval (spooler-frequency): 0.5: expected a whole number, 0 or more"),
        ({"process_count": True}, "process_count (spooler-processes): True: expected a whole number, 0 or more"),
        ({"max_tasks": -1}, "max_tasks (spooler-max-tasks): -1: expected a whole number, 0 or more"),
        ({"harakiri": 1 << 31}, "harakiri (spooler-harakiri): 2147483648: expected a whole number, 0 or more"),
        ({"quiet": "no"}, "quiet (spooler-quiet): 'no': expected True or False"),
        ({"quiet": 1}, "quiet (spooler-quiet): 1: expected True or False"),
        ({"order_tasks": "1"}, "order_tasks (spooler-ordered): '1': expected True or False"),
        ({"cheap": 0}, "cheap (spooler-cheap): 0: expected True or False"),
        ({"change_dir": b"x"}, "change_dir (spooler-chdir): b'x': expected text of one line, not empty"),
        ({"change_dir": ""}, "change_dir (spooler-chdir): '': expected text of one line, not empty"),
        ({"touch_reload": ["a", 5]}, "touch_reload (touch-spoolers-reload): 5: expected text of one line, not empty"),
        ({"touch_reload": ("a",)}, "touch_reload (touch-spoolers-reload): ('a',): expected text of one line"),
        ({"touch_reload": "a\nb = c"}, "touch_reload (touch-spoolers-reload): 'a\\nb = c': expected text of one line"),
        ({"base_dir": 5}, "base_dir (spooler): 5: expected text of one line"),
    ],
)
def test_a_wrong_value_names_parameter_and_option_and_changes_nothing(kwargs: dict[str, Any], message: str):
    """A deliberate difference: uwsgiconf takes any value."""
    section = Section(params_spooler={"max_tasks": 3})
    before = section.as_ini()
    with pytest.raises(OptionError) as caught:
        section.spooler(touch_reload="first", **kwargs) if "touch_reload" not in kwargs else section.spooler(**kwargs)
    assert message in str(caught.value)
    assert section.as_ini() == before


def test_a_wrong_directory_or_parameter_is_refused():
    """`add` names work_dir or external; an unknown parameter or group is a TypeError as in any Python call."""
    with pytest.raises(OptionError, match=r"^work_dir \(spooler\): 5: expected text"):
        Spooler().add(5)
    with pytest.raises(OptionError, match=r"^work_dir \(spooler-external\): '': expected text"):
        Spooler().add(["a", ""], external=True)
    with pytest.raises(OptionError, match=r"^external \(spooler-external\): 'x': expected True or False"):
        Spooler().add("a", external="x")
    with pytest.raises(OptionError, match=r"^strict_config \(strict\)"):
        Section(strict_config="yes")
    with pytest.raises(TypeError, match="pol_interval"):
        Spooler(pol_interval=5)
    with pytest.raises(TypeError, match="params_workers"):
        Section(params_workers={"count": 2})


def test_run_hands_the_settings_to_the_command(monkeypatch: pytest.MonkeyPatch):
    """section.run() is `spoolsim run` with the section's settings and the given words behind them."""
    import spoolsim.processes.start

    given = []
    monkeypatch.setattr(spoolsim.processes.start, "run", lambda settings: given.append(settings) or 7)
    assert Spooler(poll_interval=5).add("spool").run("--import", "tasks", "--drain") == 7
    assert [(s.name, s.value, s.source) for s in given[0]] == [
        ("spooler-frequency", "5", "section [uwsgi]"),
        ("spooler", "spool", "section [uwsgi]"),
        ("import", "tasks", "command line"),
        ("drain", True, "command line"),
    ]


def test_run_reads_the_section_as_a_file_is_read(here: Path):
    """The environment counts, placeholders are replaced, letters tell about the script; under --faithful as well."""
    (here / "app.py").write_text(
        "import os\nfrom spoolsim import Section\nimport spoolsim.processes.start\n"
        "from spoolsim.options import build\n"
        "spoolsim.processes.start.run = lambda settings: print(build(settings)) or 0\n"
        "section = Section(project_name='x').spooler(base_dir='$(PLACE)', change_dir='%n:%(dir)')\n"
        "section.spooler.add('s').spooler.add(['%d', '%%%c', '@(word)'], external=True)\n"
        "section.run('--set-placeholder', 'dir=d', *os.environ.get('MORE', '').split())\n"
    )
    (here / "word").write_text("said\n")
    for more in ("", "--faithful"):
        environ = {**os.environ, "PLACE": "/p", "UWSGI_SPOOLER_HARAKIRI": "7", "MORE": more}
        argv = [sys.executable, "app.py"]
        done = subprocess.run(argv, env=environ, capture_output=True, text=True, timeout=300, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        place = os.path.realpath(here)
        names = [("/p/s", False), (f"/p/{place}/", True), (f"/p/%{here.name}", True), ("/p/said", True)]
        assert f"spoolers={tuple(names)!r}" in done.stdout
        assert "chdir_task='app:d'" in done.stdout and "harakiri=7" in done.stdout


@pytest.mark.parametrize(
    "text",
    [
        "from spoolsim import Section\nconfiguration = Section(params_spooler={'max_tasks': 3}).spooler.add('a')\n",
        "from spoolsim import Spooler\nanything = Spooler(max_tasks=3).add('a')\n",
        "import spoolsim\nconfiguration = [spoolsim.Spooler(max_tasks=3).add('a')]\n",
    ],
)
def test_a_python_file_is_a_configuration(here: Path, text: str):
    """`configuration`, a list of one, or the only section of the file."""
    (here / "conf.py").write_text(text)
    options = build(gather(["conf.py"], {}))
    assert options.max_tasks == 3 and options.spoolers == (("a", False),)
    assert list(options.opt) == ["spooler-max-tasks", "spooler"]


def test_a_module_written_for_uwsgiconf_is_read_unchanged(here: Path):
    """Its options, includes of other sections and magic variables, without the banner; other modules beside it."""
    (here / "names.py").write_text("SPOOL = 'spool'\n")
    (here / "uwsgicfg.py").write_text(
        "from uwsgiconf.config import Configuration, Section, configure_uwsgi\n"
        "from names import SPOOL\n"
        "def get_configurations():\n"
        "    base = Section(name='base').spooler.add('%n-' + SPOOL)\n"
        "    section = Section(project_name='app', runtime_dir='/r')\n"
        "    section.workers.set_basic_params(count=2)\n"
        "    section.spooler(poll_interval=7, quiet=True).spooler.add('{project_runtime_dir}/s')\n"
        "    section.set_placeholder('x', '5').include(base)\n"
        "    return Configuration([section, base])\n"
        "configuration = configure_uwsgi(get_configurations)\n"
    )
    settings = gather(["uwsgicfg.py"], {})
    options = build(settings)
    assert options.spoolers == (("/r/app/s", False), ("uwsgicfg-spool", False))
    assert (options.frequency, options.quiet, options.web_processes) == (7, True, 2)
    assert {setting.source for setting in settings} == {"uwsgicfg.py"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n", "conf.py: expected it to define `configuration`"),
        ("import uwsgi\n", "conf.py: expected it to define `configuration`"),
        (
            "from uwsgidecorators import spool\n",
            (
                "conf.py: expected it to define `configuration`, a Section of spoolsim or of uwsgiconf; "
                "if it is a module of tasks: spoolsim run --spooler spool --import conf"
            ),
        ),
        ("configuration = 5\n", "conf.py: expected it to define `configuration`"),
        ("def f(:\n", "conf.py:1:7: expected Python: "),
        ("import no_such_module_at_all\n", "conf.py:1: No module named 'no_such_module_at_all'; install it"),
        ("\0", "conf.py"),
        ("\nimport sys\nsys.exit(3)\n", "conf.py:3: ends with sys.exit(3); expected it to define `configuration`"),
        ("def f():\n    raise ValueError('x')\n\nf()\n", "conf.py:2: ValueError: x"),
        ("import broken\n", "{here}/broken.py:2:5: expected Python: "),
        (
            "import spoolsim\nspoolsim.Spooler(quiet=5)\n",
            "conf.py:2: quiet (spooler-quiet): 5: expected True or False",
        ),
    ],
)
def test_a_python_file_that_configures_nothing_is_refused(here: Path, text: str, message: str):
    """The error names the file and what it should define."""
    (here / "conf.py").write_text(text)
    (here / "broken.py").write_text("\ndef (\n")
    with pytest.raises(ConfigError) as caught:
        read("conf.py")
    assert str(caught.value).startswith(message.replace("{here}", str(here)))
    assert "None" not in str(caught.value)
    with pytest.raises(ConfigError, match=r"^no.py: cannot be read"):
        read("no.py")


APP = (
    "import uwsgi\n\ndef handler(env):\n    print('ran', env[b'n'].decode())\n    return -2\n\n"
    "uwsgi.spooler = handler\n"
)


@pytest.mark.parametrize("kind", ["uwsgiconf", "section"])
def test_a_configuration_in_python_runs(here: Path, kind: str):
    """`spoolsim run uwsgicfg.py` as written for uwsgiconf, and a script that calls run(), drain a directory."""
    (here / "tasks.py").write_text(APP + "uwsgi.spool({b'n': b'one'})\n")
    if kind == "uwsgiconf":
        (here / "uwsgicfg.py").write_text(
            "from uwsgiconf.config import Section, configure_uwsgi\n"
            "def get_configurations():\n"
            "    section = Section().spooler.add('spool')\n"
            "    section.python.import_module('tasks')\n"
            "    return section\n"
            "configuration = configure_uwsgi(get_configurations)\n"
        )
        argv = [sys.executable, "-m", "spoolsim", "run", "uwsgicfg.py", "--inline", "--drain"]
    else:
        (here / "script.py").write_text(
            "from spoolsim import Spooler\n"
            "section = Spooler(poll_interval=5).add('spool')\n"
            "raise SystemExit(section.run('--import', 'tasks', '--inline', '--drain'))\n"
        )
        argv = [sys.executable, "script.py"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stdout) == (0, "ran one\n"), done.stderr
    assert [path.name for path in (here / "spool").iterdir() if path.name.startswith("uwsgi")] == []
