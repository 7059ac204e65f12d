"""Where the processes of one instance find what they share."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from spoolsim.emulate import place


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """One that serves no directory: what it shares is in the temporary place."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(place, "_made", {})
    return SimpleNamespace(directories=[])


def test_without_a_directory_it_is_in_the_temporary_place(app: Any, tmp_path: Path) -> None:
    """Of this user alone."""
    path = Path(place.shared(app, "db"))
    assert path.is_relative_to(tmp_path / f"spoolsim-{os.getuid()}")
    assert path.parent.stat().st_mode & 0o077 == 0


def test_a_link_that_somebody_laid_out_there_is_refused(app: Any, tmp_path: Path) -> None:
    """It leads where they want it to, even if that is a directory of ours."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f"spoolsim-{os.getuid()}").symlink_to("elsewhere")
    with pytest.raises(PermissionError, match="not a directory of ours"):
        place.shared(app, "db")
    assert not any((tmp_path / "elsewhere").iterdir())
