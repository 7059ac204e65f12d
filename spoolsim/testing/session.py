"""The `uwsgi` module of a whole test run: what test modules and the apps they import find when they are collected."""

from __future__ import annotations

import shutil
import tempfile

from spoolsim.errors import HarnessError
from spoolsim.spool.enqueue import Producer
from spoolsim.testing import imports, swap
from spoolsim.testing.configured import configure
from spoolsim.testing.record import MemoryLog
from spoolsim.work.app import MASTER, App


class _Refusing(Producer):
    """A producer that there should not be."""

    __slots__ = ()

    def spool(self, job: dict[object, object]) -> bytes:
        raise HarnessError(
            "uwsgi.spool() was called in a test that has no spooler, so the task would never run: add the fixture "
            "`spooler` (or `live_spooler`) to the arguments of the test, or to those of the fixture that enqueues"
        )


class SessionModule:
    """An app with the configured options and a temporary directory in place of the configured ones.

    config: path of a configuration file, or None. What is spooled here, at import time, is never run.
    """

    def __init__(self, config: str | None) -> None:
        self.directory = tempfile.mkdtemp(prefix="spoolsim-")
        try:
            options, places = configure(config, self.directory)
            log = MemoryLog()
            self.app = App(options, places.entries, log, role=MASTER, stamp=True)
            self.app.signals = imports.RecordingSignals(log, self.app.notes, crew=self.app.signals.crew)
            env = [(key, value) for key, _, value in (pair.partition("=") for pair in options.env)]
            swap.enter(self.app, path=options.pythonpath, env=env)
        except BaseException:
            shutil.rmtree(self.directory, ignore_errors=True)
            raise

    def refuse(self) -> None:
        """From now on a spool outside of a fixture is an error: its task would never run, and nobody would notice."""
        self.app.producer.__class__ = _Refusing

    def close(self) -> None:
        """Take it back."""
        swap.leave(self.app)
        self.app.close()
        shutil.rmtree(self.directory, ignore_errors=True)
