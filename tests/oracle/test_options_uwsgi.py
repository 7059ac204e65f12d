"""The same command lines, environments and ini files given to the real uWSGI and to our reader."""

from __future__ import annotations

import ast
import os
import subprocess
from pathlib import Path

import pytest

from spoolsim.config.readers import gather
from spoolsim.errors import UsageError
from spoolsim.options import build

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
