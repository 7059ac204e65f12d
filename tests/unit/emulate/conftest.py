"""An instance without processes, for what is emulated."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from spoolsim.log import Log
from spoolsim.options import Setting, build
from spoolsim.spool.directory import SpoolDir
from spoolsim.work import app as apps
from spoolsim.work import installed, program
from spoolsim.work.app import App


class Instance:
    """`instance(cache2="name=a", locks="2")` makes this process one of an instance with these options."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._tmp_path, self._monkeypatch = tmp_path, monkeypatch
        self.said: list[str] = []
        self.apps: list[App] = []

    def __call__(self, *flags: str, role: str = apps.WORKER, **options: str | list[str]) -> App:
        settings = [Setting(flag, True) for flag in flags]
        for name, values in options.items():
            for value in [values] if isinstance(values, str) else values:
                settings.append(Setting(name.replace("_", "-"), value))
        spool = self._tmp_path / "sp"
        spool.mkdir(exist_ok=True)
        built = build(settings)
        directory = SpoolDir(os.path.realpath(spool), bare=built.faithful)
        app = App(built, [(directory, -1)], Log(self._fd()), role=role)
        self._monkeypatch.setattr(installed, "current", app)
        self.apps.append(app)
        return app

    def _fd(self) -> int:
        self.log = self._tmp_path / "log"
        return os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A factory of instances, each test's own."""
    monkeypatch.delenv(program.VARIABLE, raising=False)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(program, "_own", program.new_instance())
    instances = Instance(tmp_path, monkeypatch)
    yield instances
    for app in instances.apps:
        app.close()
