"""What a unit test must not leave to the next one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from spoolsim.work import app


@pytest.fixture(autouse=True)
def no_instance_is_left() -> Iterator[None]:
    """The instance that a test installs in this process goes with the test: it remembers what it has printed."""
    before = app.current
    yield
    app.current = before
