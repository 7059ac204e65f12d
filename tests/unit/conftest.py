"""Where unit tests work, and what one must not leave to the next."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from spoolsim.work import app


@pytest.fixture(autouse=True)
def no_instance_is_left() -> Iterator[None]:
    """The instance that a test installs in this process goes with the test: it remembers what it has printed."""
    before = app.current
    yield
    app.current = before


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
