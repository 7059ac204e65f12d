"""Touch: from the touch of a file to the new code answering, the spooler idle.

A task that is always retried waits in the directory: the first scan of the new code runs it.
"""

from __future__ import annotations

import os
import time
from functools import partial

from benchmarks.apps import marks
from benchmarks.contestants.servers import Server
from benchmarks.model import Experiment, Row, Values, at_most
from benchmarks.rooms import MEMORY, Places
from benchmarks.sizes import Sizes

_APP = """\
import marks
import uwsgi

versions = marks.shared("versions", {count})


def handler(env):
    if not versions[{version}]:
        versions[{version}] = marks.now()
    return -1


uwsgi.spooler = handler
"""


def measure(server: Server, places: Places, sizes: Sizes) -> Values:
    """Milliseconds."""
    found = []
    count = sizes.touches + 1
    with places.room(MEMORY) as room:
        app, touched = f"{room.home}/changing.py", f"{room.home}/touched"
        room.fill(1)
        _write(app, count, 0)
        _write(touched, count, 0)
        stamp = int(time.time()) - 1000
        os.utime(touched, (stamp, stamp))
        versions = marks.words(f"{room.marks}/versions", count)
        with server.start(room, app, more=("--touch-spoolers-reload", touched)) as instance:
            instance.wait(lambda: versions[0], "the first code")
            for version in range(1, count):
                time.sleep(1.1)  # both look at the file once a second at least: they have seen it as it is
                _write(app, count, version)
                began = marks.now()
                os.utime(touched, (stamp + version * 10, stamp + version * 10))
                instance.wait(partial(versions.__getitem__, version), f"code {version}", step=0.005)
                found.append((versions[version] - began) / 1e6)
    return {"ms": found}


def _write(path: str, count: int, version: int) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(_APP.format(count=count, version=version))


EXPERIMENTS = (
    Experiment(
        "touch",
        ("uwsgi", "spoolsim"),
        measure,
        (Row("touch to the new code answering, idle", "ms", "ms", at_most(0.1)),),
    ),
)
