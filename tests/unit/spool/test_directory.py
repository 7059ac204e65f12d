"""A spool directory: how an option's value becomes one, and our corner of it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from spoolsim.errors import SpoolDirError
from spoolsim.spool.directory import SpoolDir


def test_a_missing_directory_is_made(tmp_path: Path):
    """One level, with mode 0750 less the umask."""
    umask = os.umask(0o027)
    try:
        spool = SpoolDir.resolve("new", start=str(tmp_path))
    finally:
        os.umask(umask)
    assert spool.path == os.path.realpath(tmp_path / "new")
    assert stat.S_IMODE(os.stat(spool.path).st_mode) == 0o750


def test_a_path_is_resolved_from_the_start(tmp_path: Path):
    """A relative path is taken from where we were started; links, dots and slashes are resolved into the name."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    expected = os.path.realpath(tmp_path / "real")
    for path in ("real", "link", "./real/", "link/../real", str(tmp_path / "link"), f"{tmp_path}//real"):
        spool = SpoolDir.resolve(path, start=str(tmp_path))
        assert (spool.path, spool.bpath) == (expected, os.fsencode(expected))


@pytest.mark.parametrize("kind", ["no parent", "a file", "a dangling link", "a file as parent"])
def test_what_cannot_be_a_spool_directory_is_refused(tmp_path: Path, kind: str):
    """The error names the option's value and what was wrong; nothing is made."""
    path = {"no parent": "a/b", "a file": "file", "a dangling link": "link", "a file as parent": "file/x"}[kind]
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nowhere/at/all")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SpoolDirError, match=f"spooler directory {path}: ") as caught:
        SpoolDir.resolve(path, start=str(tmp_path))
    assert isinstance(caught.value.__cause__, OSError)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("make", [True, False])
def test_an_empty_name_is_refused(tmp_path: Path, make: bool):
    """It is not the directory we were started in; the cause is the error that uWSGI reports."""
    with pytest.raises(SpoolDirError, match="name is empty") as caught:
        SpoolDir.resolve("", start=str(tmp_path), make=make)
    assert isinstance(caught.value.__cause__, FileNotFoundError)
    assert caught.value.__cause__.strerror == "No such file or directory"


def test_without_making_a_missing_directory_is_an_error(tmp_path: Path):
    """A command that only looks makes nothing."""
    with pytest.raises(SpoolDirError, match="No such file"):
        SpoolDir.resolve("new", start=str(tmp_path), make=False)
    assert list(tmp_path.iterdir()) == []


def test_the_corner_is_made_when_it_is_needed(spool: SpoolDir):
    """Naming a place in the corner makes nothing; making it is for the owner alone, and git ignores it."""
    assert spool.corner("broken") == f"{spool.path}/.spoolsim/broken"
    assert os.listdir(spool.path) == []
    path = spool.make_corner("broken")
    assert [stat.S_IMODE(os.stat(name).st_mode) for name in (path, os.path.dirname(path))] == [0o700, 0o700]
    assert Path(f"{spool.path}/.spoolsim/.gitignore").read_text() == "*\n"
    assert spool.make_corner("broken") == path


def test_a_bare_directory_has_its_corner_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Under faithful nothing of ours is in the spool directory; every process finds the same other place."""
    (tmp_path / "tmp").mkdir()
    (tmp_path / "spool").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    spool = SpoolDir(str(tmp_path / "spool"), bare=True)
    path = spool.make_corner("run")
    assert path.startswith(str(tmp_path / "tmp"))
    assert SpoolDir(str(tmp_path / "spool"), bare=True).corner("run") == path
    assert os.listdir(spool.path) == []


def test_a_directory_that_may_not_be_written_to_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Serving needs reading and writing; a command that only looks does not."""
    (tmp_path / "spool").mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(SpoolDirError, match="spooler directory spool: Permission denied") as caught:
        SpoolDir.resolve("spool", start=str(tmp_path))
    assert isinstance(caught.value.__cause__, PermissionError)
    assert SpoolDir.resolve("spool", start=str(tmp_path), make=False).path == os.path.realpath(tmp_path / "spool")


def test_a_corner_of_somebody_elses_is_not_used(spool: SpoolDir, monkeypatch: pytest.MonkeyPatch):
    """In a directory that others can write to, they could have made it first."""
    monkeypatch.setattr(os, "getuid", lambda: os.stat(spool.path).st_uid + 1)
    with pytest.raises(PermissionError, match=r"\.spoolsim is not a directory of ours"):
        spool.make_corner("broken")


def test_a_directory_is_shown_by_its_path(spool: SpoolDir):
    """In a failed test, say."""
    assert repr(spool) == f"SpoolDir({spool.path!r})"


@pytest.mark.parametrize("kind", ["a link", "a dangling link", "a file", "a link in it"])
def test_a_corner_that_somebody_else_laid_out_is_refused(spool: SpoolDir, tmp_path: Path, kind: str):
    """A link in the place of our corner, or of a part of it, would lead out of the spool directory (I5)."""
    outside = tmp_path / "outside"
    outside.mkdir()
    corner = Path(spool.path) / ".spoolsim"
    if kind == "a link":
        corner.symlink_to(outside)
    elif kind == "a dangling link":
        corner.symlink_to(tmp_path / "nowhere")
    elif kind == "a file":
        corner.touch()
    else:
        corner.mkdir(0o700)
        (corner / "broken").symlink_to(outside)
    with pytest.raises(OSError, match=r"not a directory of ours"):
        spool.make_corner("broken")
    assert os.listdir(outside) == []
    assert not (tmp_path / "nowhere").exists()


def test_a_corner_of_another_user_is_refused(spool: SpoolDir, monkeypatch: pytest.MonkeyPatch):
    """Its owner could put links into it at any time; root alone may use it, who looks after everybody's directories."""
    spool.make_corner()
    owner = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)
    with pytest.raises(PermissionError, match="not a directory of ours"):
        spool.make_corner()
    monkeypatch.setattr(os, "getuid", lambda: 0)
    assert spool.make_corner() == spool.corner()
