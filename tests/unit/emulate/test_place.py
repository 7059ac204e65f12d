"""Where the processes of one instance find what they share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from spoolsim.emulate import place
from spoolsim.log import Log
from spoolsim.options import Options
from spoolsim.work import program
from spoolsim.work.app import App


def test_without_a_spool_directory_it_is_in_the_temporary_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a directory of this user's own, which is made."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.delenv(program.VARIABLE, raising=False)
    path = App(Options(), (), Log()).part(place.Place).file("db")
    assert Path(path).parent == tmp_path / f"spoolsim-{os.getuid()}" / ".spoolsim" / place.SHARED
    assert Path(path).parent.is_dir()
