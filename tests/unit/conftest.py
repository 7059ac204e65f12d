"""Where unit tests work, and what one must not leave to the next."""

from __future__ import annotations

from pathlib import Path

import pytest

from spoolsim.work import installed


@pytest.fixture(autouse=True)
def no_instance_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test begins without an instance, and leaves none: an instance remembers what it has printed.

    One that a test elsewhere installed in this process counts as well.
    """
    monkeypatch.setattr(installed, "current", None)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
