"""spoolsim in one process: tasks put and run by the worker's own cycle, as the testing engine does it."""

from __future__ import annotations

import os

from timing import main, timed

from spoolsim.log import Log
from spoolsim.options import Options
from spoolsim.spool.directory import SpoolDir
from spoolsim.work.app import App
from spoolsim.work.installed import install
from spoolsim.work.worker import Worker


def measure(directory: str, count: int) -> float:
    spool = SpoolDir.resolve(os.path.join(directory, "spool"), start=directory)
    options = Options()
    options.quiet = True
    app = install(App(options, [(spool, 0)], Log()))
    app.prepare()
    app.module().spooler = lambda env: -2
    worker = Worker(app, spool, in_process=True)

    def run() -> None:
        for n in range(count):
            app.producer.spool({b"n": b"%d" % n})
        worker.cycle()

    taken = timed(run)
    if os.listdir(spool.path) not in ([], [".spoolsim"]):
        raise SystemExit("not all tasks were run")
    return taken


main(measure)
