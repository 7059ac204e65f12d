"""A spool directory: how an option's value becomes one, and our state directory in it."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from spoolsim.errors import SpoolDirError
from spoolsim.spool.directory import SpoolDir


@pytest.fixture
def no_umask() -> Iterator[None]:
    """Modes are what was asked for, as under uWSGI's `umask = 000`."""
    umask = os.umask(0)
    yield
    os.umask(umask)


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SpoolDir:
    """A spool directory under faithful; the temporary directory is tmp/ beside it."""
    (tmp_path / "tmp").mkdir()
    (tmp_path / "spool").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    return SpoolDir(str(tmp_path / "spool"), bare=True)


def mode(path: str | Path) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


def pretend_owners(owners: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """What has one of these names belongs to that user, as far as can be seen."""
    real = os.lstat

    def lstat(path: str) -> os.stat_result:
        status = real(path)
        owner = owners.get(os.path.basename(path), status.st_uid)
        return os.stat_result([*status[:4], owner, *status[5:]])

    monkeypatch.setattr(os, "lstat", lstat)


@pytest.mark.usefixtures("no_umask")
def test_a_missing_directory_is_made(tmp_path: Path):
    """One level, with mode 0750 (less the umask)."""
    spool = SpoolDir.resolve("new", start=str(tmp_path))
    assert spool.path == os.path.realpath(tmp_path / "new")
    assert mode(spool.path) == 0o750


@pytest.mark.parametrize("flags", [{}, {"external": True}, {"bare": True}])
def test_a_directory_is_ours_to_serve_unless_it_is_said(tmp_path: Path, flags: dict[str, bool]):
    """Neither external nor bare, but where the option says so."""
    expected = (flags.get("external", False), flags.get("bare", False))
    for spool in (SpoolDir(str(tmp_path), **flags), SpoolDir.resolve(".", start=str(tmp_path), **flags)):
        assert (spool.external, spool.bare) == expected


def test_a_directory_that_goes_at_once_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Somebody removed it between making and looking."""
    monkeypatch.setattr(os, "mkdir", lambda path, mode: None)
    with pytest.raises(SpoolDirError, match="spooler directory new: there is no such directory") as caught:
        SpoolDir.resolve("new", start=str(tmp_path))
    assert isinstance(caught.value.__cause__, FileNotFoundError)


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
@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("a file", "this is a file, and a directory is needed; name another one, or move the file away"),
        ("no/such", "no is missing, and only the last directory of a path is made; mkdir -p "),
        ("my app/spool", "my app is missing, and only the last directory of a path is made; mkdir -p '"),
    ],
)
def test_a_refusal_says_what_to_do(tmp_path: Path, path: str, said: str, make: bool):
    """In one line, with a command that can be pasted, whether or not the directory would be made."""
    (tmp_path / "a file").touch()
    with pytest.raises(SpoolDirError) as caught:
        SpoolDir.resolve(path, start=str(tmp_path), make=make)
    text = str(caught.value).replace(f"{tmp_path}/", "", 1)
    assert text.startswith(f"spooler directory {path}: {said}")
    assert "\n" not in text


def test_a_path_that_only_production_has_gets_a_hint(tmp_path: Path):
    """Named from the root, as in production's configuration; a relative one is ours."""
    with pytest.raises(SpoolDirError, match=f"--map {tmp_path}/srv=DIR$"):
        SpoolDir.resolve(f"{tmp_path}/srv/spool", start="/")
    with pytest.raises(SpoolDirError, match=f"mkdir -p {tmp_path}/srv$"):
        SpoolDir.resolve("srv/spool", start=str(tmp_path))


@pytest.mark.parametrize("make", [True, False])
def test_an_empty_name_is_refused(tmp_path: Path, make: bool):
    """It is not the directory we were started in; the cause is the error that uWSGI reports."""
    with pytest.raises(SpoolDirError, match="name is empty") as caught:
        SpoolDir.resolve("", start=str(tmp_path), make=make)
    assert isinstance(caught.value.__cause__, FileNotFoundError)
    assert caught.value.__cause__.strerror == "No such file or directory"


def test_without_making_a_missing_directory_is_an_error(tmp_path: Path):
    """A command that only looks makes nothing."""
    with pytest.raises(SpoolDirError, match="there is no such directory; spoolsim run makes it, or: mkdir") as caught:
        SpoolDir.resolve("new", start=str(tmp_path), make=False)
    assert isinstance(caught.value.__cause__, FileNotFoundError)
    assert caught.value.__cause__.errno == errno.ENOENT
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("no_umask")
def test_the_state_directory_is_made_when_it_is_needed(spool: SpoolDir):
    """Naming a place in the state directory makes nothing; making it is for the owner alone, and git ignores it."""
    assert spool.state_dir("broken") == f"{spool.path}/.spoolsim/broken"
    assert os.listdir(spool.path) == []
    path = spool.make_state_dir("broken")
    assert path == spool.state_dir("broken")
    assert [mode(name) for name in (path, os.path.dirname(path))] == [0o700, 0o700]
    assert (sorted(os.listdir(spool.state_dir())), os.listdir(path)) == ([".gitignore", "broken"], [])
    assert Path(spool.state_dir(".gitignore")).read_text() == "*\n"


def test_a_state_directory_is_made_once(spool: SpoolDir):
    """What a user changed in it stays."""
    spool.make_state_dir("broken")
    Path(spool.state_dir(".gitignore")).write_text("!broken\n")
    assert spool.make_state_dir("broken") == spool.state_dir("broken")
    assert Path(spool.state_dir(".gitignore")).read_text() == "!broken\n"


def test_a_spool_directory_that_went_is_not_made_again(spool: SpoolDir):
    """Somebody removed it, and a state directory alone would look like it."""
    os.rmdir(spool.path)
    with pytest.raises(FileNotFoundError):
        spool.make_state_dir("broken")
    assert not os.path.exists(spool.path)


@pytest.mark.usefixtures("no_umask")
def test_a_bare_directory_has_its_state_directory_elsewhere(bare: SpoolDir, tmp_path: Path):
    """Under faithful nothing of ours is in the spool directory; every process finds the same other place.

    All that is made of it is for its owner alone: the temporary directory is everybody's.
    """
    path = bare.make_state_dir("run")
    assert path == SpoolDir(bare.path, bare=True).state_dir("run")
    assert os.listdir(bare.path) == []
    steps = Path(path).relative_to(tmp_path / "tmp").parts
    assert (len(steps), steps[0], steps[2:]) == (4, f"spoolsim-{os.getuid()}", (".spoolsim", "run"))
    assert list((tmp_path / "tmp").rglob(".gitignore")) == [Path(bare.state_dir(".gitignore"))]
    assert {mode(step) for step in (tmp_path / "tmp").rglob("*") if step.is_dir()} == {0o700}
    assert bare.make_state_dir("run") == path


def test_two_bare_directories_have_two_state_directories(bare: SpoolDir, tmp_path: Path):
    """What is known of one is not mixed with the other's."""
    (tmp_path / "other").mkdir()
    assert SpoolDir(str(tmp_path / "other"), bare=True).state_dir() != bare.state_dir()


def test_without_tmpdir_the_state_directory_is_in_tmp(bare: SpoolDir, monkeypatch: pytest.MonkeyPatch):
    """As it is for other programs."""
    monkeypatch.delenv("TMPDIR")
    assert bare.state_dir().startswith(f"/tmp/spoolsim-{os.getuid()}/")


@pytest.mark.parametrize("which", ["the user's", "the directory's", "the state directory"])
@pytest.mark.parametrize("how", ["a link", "another user's"])
def test_a_place_that_somebody_laid_out_in_the_temporary_directory_is_refused(
    bare: SpoolDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str, how: str
):
    """Everybody can make names there before we do; whoever owns a step of the way could turn it elsewhere later.

    Not even root uses such a place.
    """
    step = Path(bare.state_dir())
    for _ in range(["the state directory", "the directory's", "the user's"].index(which)):
        step = step.parent
    (tmp_path / "outside").mkdir()
    step.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if how == "a link":
        step.symlink_to(tmp_path / "outside")
    else:
        step.mkdir()
        pretend_owners({step.name: os.getuid() + 1}, monkeypatch)
    with pytest.raises(PermissionError, match=f"{step} is not a directory of ours"):
        bare.make_state_dir("run")
    assert os.listdir(tmp_path / "outside") == []


@pytest.mark.parametrize("missing", [os.R_OK, os.W_OK, os.X_OK])
def test_a_directory_that_may_not_be_used_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: int):
    """Serving needs reading, writing and entering; a command that only looks does not."""
    (tmp_path / "spool").mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & missing)
    with pytest.raises(SpoolDirError, match="spooler directory spool: Permission denied") as caught:
        SpoolDir.resolve("spool", start=str(tmp_path))
    assert isinstance(caught.value.__cause__, PermissionError)
    assert caught.value.__cause__.errno == errno.EACCES
    assert SpoolDir.resolve("spool", start=str(tmp_path), make=False).path == os.path.realpath(tmp_path / "spool")


def test_a_directory_is_shown_by_its_path(spool: SpoolDir):
    """In a failed test, say."""
    assert repr(spool) == f"SpoolDir({spool.path!r})"


@pytest.mark.parametrize("kind", ["a link", "a dangling link", "a file", "a link in it"])
def test_a_state_directory_that_somebody_else_laid_out_is_refused(spool: SpoolDir, tmp_path: Path, kind: str):
    """A link in the place of our state directory, or of a part of it, would lead out of the spool directory (I5)."""
    outside = tmp_path / "outside"
    outside.mkdir()
    state = Path(spool.path) / ".spoolsim"
    if kind == "a link":
        state.symlink_to(outside)
    elif kind == "a dangling link":
        state.symlink_to(tmp_path / "nowhere")
    elif kind == "a file":
        state.touch()
    else:
        state.mkdir(0o700)
        (state / "broken").symlink_to(outside)
    with pytest.raises(OSError, match=r"not a directory of ours, but a file or a link; move it away$"):
        spool.make_state_dir("broken")
    assert os.listdir(outside) == []
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("name", [".spoolsim", "broken"])
@pytest.mark.parametrize("made", [False, True])
def test_a_state_directory_of_another_user_is_refused(
    spool: SpoolDir, monkeypatch: pytest.MonkeyPatch, name: str, made: bool
):
    """Its owner could put links into it at any time; root alone may use it, who looks after everybody's directories."""
    if made:
        spool.make_state_dir("broken")
    pretend_owners({".spoolsim": 1001, "broken": 1001, name: 1002}, monkeypatch)
    monkeypatch.setattr(os, "getuid", lambda: 1001)
    whose = rf"{name} is not a directory of ours, but of user 1002; run this as that user, or chown -R it$"
    with pytest.raises(PermissionError, match=whose) as caught:
        spool.make_state_dir("broken")
    assert caught.value.errno == errno.EPERM
    monkeypatch.setattr(os, "getuid", lambda: 0)
    assert spool.make_state_dir("broken") == spool.state_dir("broken")
