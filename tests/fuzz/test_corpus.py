"""The kept corpus is replayed; and the targets see what they look for."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest

from spoolsim.spool import settle
from tests.fuzz import SHARES, targets
from tests.fuzz.__main__ import CORPUS
from tests.oracle.packets import packet

INPUTS = [(target, path) for target in SHARES for path in sorted((CORPUS / target).iterdir())]


@pytest.fixture(scope="module")
def directory() -> Iterator[targets.Directory]:
    """One for all inputs; what it put into this process goes with it."""
    environ, path, cwd = dict(os.environ), list(sys.path), os.getcwd()
    target = targets.Directory()
    yield target
    target.close()
    os.environ.clear()
    os.environ.update(environ)
    sys.path[:] = path
    os.chdir(cwd)
    sys.modules.pop("uwsgi", None)


@pytest.mark.parametrize(("target", "path"), INPUTS, ids=[f"{target}-{path.name[:12]}" for target, path in INPUTS])
def test_an_input_of_the_corpus(target: str, path: os.PathLike[str], directory: targets.Directory) -> None:
    """No kept input fails any more."""
    with open(path, "rb") as file:
        data = file.read()
    {"packet": targets.packet, "names": targets.names, "directory": directory}[target](data)


def test_a_lost_task_is_seen(directory: targets.Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were a broken file unlinked, the target would fail."""
    data = b"\0\x07\x01a" + b"\x05\0" + b"\x11\xff\0\0x"
    directory(data)
    monkeypatch.setattr(settle, "_set_aside", lambda claim, home, reason: os.unlink(claim.path) or claim.path)
    with pytest.raises(AssertionError, match="is broken, and gone"):
        directory(data)


def test_a_task_that_is_run_is_seen(directory: targets.Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were a task removed unrun, the target would fail."""
    task = packet({b"k": b"v"})
    data = b"\0\x07\x01a" + len(task).to_bytes(2, "little") + task
    directory(data)
    monkeypatch.setattr(
        directory._bench, "scan", lambda *, ordered: os.unlink(directory._spool / "uwsgi_spoolfile_on_a")
    )
    with pytest.raises(AssertionError, match="is lost"):
        directory(data)
