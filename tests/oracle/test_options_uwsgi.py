"""The same command lines, environments and ini files given to the real uWSGI and to our reader."""

from __future__ import annotations

import ast
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from spoolsim import effects
from spoolsim.config.known import KINDS
from spoolsim.config.readers import gather
from spoolsim.errors import UsageError
from spoolsim.options import BY_NAME, build
from tests.needs import uwsgi_features

pytestmark = pytest.mark.oracle

OBSERVE = """
import os, sys, uwsgi
seen = (dict(uwsgi.opt), [os.path.basename(s.decode()) for s in getattr(uwsgi, "spoolers", ())])
sys.stderr.write("SEEN " + repr(seen) + "\\n")
"""


def ask(binary: str, cwd: Path, argv: list[str], environ: dict[str, str]) -> tuple[object, list[str]]:
    """(what uwsgi.opt and uwsgi.spoolers show, or None, and the log) of an instance that does not start to serve."""
    observer = cwd / "observer_of_the_test.py"
    observer.write_text(OBSERVE)
    words = [binary, "--no-server", "--shared-import", str(observer), *argv]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("UWSGI_")}
    done = subprocess.run(
        words,
        cwd=cwd,
        env=clean | environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    lines = done.stdout.splitlines()
    seen = [ast.literal_eval(line[5:]) for line in lines if line.startswith("SEEN ")]
    return (seen[0] if seen else None), [line.replace(binary, "uwsgi") for line in lines]


def ours(cwd: Path, argv: list[str], environ: dict[str, str]) -> object:
    observer = str(cwd / "observer_of_the_test.py")
    words = ["--no-server", "--shared-import", observer, *argv]
    options = build(gather(["--faithful", *words], environ))
    each = options.processes_per_spooler
    return dict(options.opt), [os.path.basename(path) for path, _ in options.spoolers for _ in range(each)]


FILES = {
    "a.ini": "[uwsgi]\nspooler = one\nspooler = two\nspooler-ordered\nmaster = false\nunder_score = 1\n",
    "b.ini": "[uwsgi]\nspooler = b0\nini = a.ini\nspooler = b1\ninclude = c.ini\nspooler-freq = 4\n",
    "c.ini": "; comment\n[x]\nspooler = no\n[uwsgi]\n spooler-quiet =  off \n# c\nkey = a = b ; c\n=x\nvacuum\n",
    "d.ini": "[uwsgi]\nini = :two\nspooler = d\n[two]\nspooler = d2\n[broken\nspooler = no\n",
    "e.ini": "[uwsgi]\r\nspooler = e\r\n\tspooler-max-tasks\t=\t5 \r\nSPOOLER = b\r\nspooler-ord = 1\r\n",
    "f.ini": "spooler = f\n",
    "g.ini": "[uwsgi]\nset-placeholder = dir=g\nset = spooler-quiet=1\nspooler = g\nstrict = true\n",
    "s.ini": "[uwsgi]\nspooler = s\nstrict = true\nspooler_ordered = 1\n",
    "t.ini": "[uwsgi]\nspooler_ordered = 1\nspooler = s\nstrict = true\n",
    "u.ini": "[uwsgi]\nfoo = 1\nspooler = s\nstrict = false\n",
    "v.ini": "[uwsgi]\nspooler = s\nstrict = true\nstrict = off\nfoo = 1\n",
    "n.ini": "[uwsgi]\nspooler = n\nspooler-frequency = -3\n",
}

AGREE: list[tuple[list[str], dict[str, str]]] = [
    (["--spooler", "x"], {}),
    (["-Q", "x", "-M"], {}),
    (["-MQx", "-p", "2"], {}),
    (["--spooler-ord", "--spooler=x", "--spooler", "y"], {}),
    (["--spooler-external", "x", "--spooler", "y", "--spooler-processes", "2"], {}),
    *([["--spooler", "x", "--spooler-processes", n], {}] for n in ("0", "2.5", " +2", "0x2", "abc", "", "4294967298")),
    (["--spooler", "x", "--spooler-frequency", "5", "--spooler-freq", "6"], {}),
    (["--ini", "a.ini", "--spooler", "last"], {}),
    (["--spooler", "last", "--ini=a.ini"], {}),
    (["a.ini", "--spooler", "last", "c.ini"], {}),
    (["--", "b.ini"], {}),
    (["--ini", "b.ini"], {}),
    (["--ini", "d.ini"], {}),
    (["--ini", "d.ini:two"], {}),
    (["--ini", "e.ini"], {}),
    (["--ini", "f.ini"], {}),
    (["--ini", "g.ini"], {}),
    (["--ini", "v.ini"], {}),
    (["--need-app", "a.ini"], {}),
    (["--chmod-socket=666", "--spooler", "x", "--vacuum", "--listen", "5"], {}),
    (["--set", "foo=bar", "--set-ph", "x=y=z", "-S", "spooler-quiet=1", "--spooler", "x"], {}),
    (["--spooler", "x"], {"UWSGI_SPOOLER": "env", "UWSGI_SPOOLER_FREQUENCY": "9", "UWSGI_NOSUCH": "1"}),
    (["a.ini"], {"UWSGI_INI": "c.ini", "UWSGI_Spooler_Harakiri": "4", "UWSGI_RELOADS": "1"}),
]

REFUSED: list[list[str]] = [
    ["--spooler-nosuch", "x"],
    ["--spooler_frequency", "1"],
    ["--spooler-cheap"],
    ["--spooler-signal-as-task"],
    ["--spooler-f", "1"],
    ["--master=1"],
    ["--spooler-quiet="],
    ["--spooler"],
    ["-Z"],
    ["-Q"],
    ["garbage"],
    ["a.ini:two"],
    ["-"],
    ["--spooler", "x", "--spooler-frequency", "-1"],
    ["--spooler", "x", "--spooler-freq", "-1"],
    ["--spooler", "x", "--spooler-processes", "99999999999999999999"],
    ["--ini", "n.ini"],
    ["--ini", "s.ini"],
    ["--ini", "t.ini"],
    ["--strict", "--ini", "u.ini"],
    ["--set", "foo"],
    ["--strict", "--set", "foo=1"],
]


#: what reads files, defines names or makes conditions is not asked for: config_cases have it
UNSEEN = {
    *(
        "xmlconfig",
        "xml",
        "config",
        "ini",
        "yaml",
        "yml",
        "json",
        "js",
        "include",
        "inherit",
        "ini-paste",
        "ini-paste-logged",
    ),
    *("set", "set-placeholder", "set-ph", "declare-option", "declare-option2", "resolve", "get"),
    *("for", "for-glob", "for-times", "for-readline", "if-opt", "if-not-opt", "if-env", "if-not-env", "ifenv"),
    *("if-hostname", "if-not-hostname", "if-exists", "if-not-exists", "ifexists", "if-plugin", "if-not-plugin"),
    *(
        "if-hostname-match",
        "if-not-hostname-match",
        "ifplugin",
        "if-file",
        "if-not-file",
        "if-dir",
        "if-not-dir",
        "ifdir",
        "if-directory",
    ),
}


def names_of(uwsgi_binary: str) -> list[str]:
    """Every long name of the real one's --help, in its order."""
    done = subprocess.run([uwsgi_binary, "--help"], capture_output=True, text=True, timeout=300, check=True)
    return re.findall(r"^    (?:-\S\|)?--(\S+)", done.stdout, re.MULTILINE)


#: what is in the names of the options that only a build with SSL has
OF_SSL = re.compile("legion|https|ssl|sni|suwsgi|subscriptions-sign")


def lacking_of(names: frozenset[str]) -> set[str]:
    """Those of the names that this uWSGI was built without."""
    features = uwsgi_features()
    lacking: set[str] = set()
    if "UWSGI_JSON" not in features:
        lacking |= {"json", "js"}
    if "UWSGI_XML" not in features:
        lacking |= {"xml", "xmlconfig"}
    if not {"UWSGI_PCRE", "UWSGI_PCRE2"} & features:
        lacking |= effects.WITH_PCRE
    if "UWSGI_SSL" not in features:
        lacking |= {name for name in names if OF_SSL.search(name)}
    return lacking


def test_each_option_stands_in_one_of_three_lists(uwsgi_binary: str):
    """Emulated, not run here, or without effect on spoolers: no name of the real one's --help is missing or in two."""
    emulated = {name for name, option in BY_NAME.items() if not option.ours and option.since == "2.0"}
    lists = [emulated | effects.ALWAYS, effects.NOT_RUN, effects.WITHOUT_EFFECT]
    lacking = lacking_of(frozenset[str]().union(*lists))
    names = names_of(uwsgi_binary)
    assert len(names) > 900 and sorted(name for each in lists for name in each - lacking) == sorted(names)


def replaced(uwsgi_binary: str, cwd: Path, name: str) -> bool | None:
    """Does uWSGI replace $(WORD) in the value of this option? None when its value cannot be asked for.

    Each is asked beside a directory `nothing` of its own: `spooler` makes the one that it names, and ends where
    another makes it just before; `envdir` ends where there is none.
    """
    place = cwd / name
    (place / "nothing").mkdir(parents=True)
    done = subprocess.run(
        [uwsgi_binary, f"--{name}=no$(WORD)", "--get", name],
        cwd=place,
        env={**os.environ, "WORD": "thing"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        timeout=60,
        check=False,
    )
    shown = done.stdout.splitlines()[-1:]
    return {"nothing": True, "no$(WORD)": False}.get(shown[0] if shown else "")


def test_immediate_options_are_those_whose_values_are_not_replaced(uwsgi_binary: str, tmp_path: Path):
    """Each option with a value is asked for, by --get, what it holds after uWSGI has replaced placeholders."""
    names = [name for name in names_of(uwsgi_binary) if name not in UNSEEN and KINDS[name] != "none"]
    with ThreadPoolExecutor(4) as pool:
        found = dict(zip(names, pool.map(lambda name: replaced(uwsgi_binary, tmp_path, name), names), strict=True))
    seen = {name for name, answer in found.items() if answer is not None}
    assert {name for name in seen if not found[name]} == effects.IMMEDIATE & seen
    assert {"umask", "listen", "spooler-processes", "plugins-dir", "flock2", "blacklist"} <= effects.IMMEDIATE & seen
    # uWSGI ends with others before it can be asked: of what spoolsim acts on with these alone
    sockets = {"suwsgi-socket", "ssl-socket", "https-socket", "https", "https2"}
    assert (set(names) - seen) & BY_NAME.keys() == {"early-envdir", *sockets} - lacking_of(frozenset(sockets))


@pytest.fixture
def cwd(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, newline="")
    return tmp_path


@pytest.mark.parametrize(("argv", "environ"), AGREE, ids=" ".join)
def test_both_understand_the_same(
    uwsgi_binary: str, cwd: Path, monkeypatch: pytest.MonkeyPatch, argv: list[str], environ: dict[str, str]
):
    """uwsgi.opt, key for key, and uwsgi.spoolers, process for process, are equal."""
    monkeypatch.chdir(cwd)
    seen, log = ask(uwsgi_binary, cwd, argv, environ)
    assert seen is not None, "\n".join(log)
    assert ours(cwd, argv, environ) == seen


@pytest.mark.parametrize("argv", REFUSED, ids=" ".join)
def test_both_refuse_with_the_same_line(uwsgi_binary: str, cwd: Path, monkeypatch: pytest.MonkeyPatch, argv: list[str]):
    """Under --faithful our message is a line that the real one prints, and the exit code is 1."""
    monkeypatch.chdir(cwd)
    # The observer's own options go before, so that a missing argument at the end is seen.
    seen, log = ask(uwsgi_binary, cwd, argv, {})
    with pytest.raises(UsageError) as caught:
        ours(cwd, argv, {})
    assert seen is None
    assert str(caught.value) in log
    assert caught.value.exit_code == 1
