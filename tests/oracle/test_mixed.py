"""One directory, served by the real uWSGI and by spoolsim at the same time."""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path

import pytest

from spoolsim.spool import file
from tests import size
from tests.conftest import Spawn, Spawned, WaitFor

from .packets import PREFIX, packet

BEFORE = size(5000, 1000)
EACH = size(1000, 300)
PROCESSES = 2

#: notes each task in a file outside of the spool; the first one in each process waits until all have one
APP = """\
import os, time
import uwsgi

SIDE = os.environ["SIDE"]
FD = os.open(os.environ["RUNS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
arrived = False

def spooler(env):
    global arrived
    if not arrived:
        arrived = True
        here = os.environ["GATES"]
        open(os.path.join(here, "%s-%d" % (SIDE, os.getpid())), "w").close()
        end = time.monotonic() + 300
        while len(os.listdir(here)) < 2 * 2 and time.monotonic() < end:
            time.sleep(0.005)
    os.write(FD, ("%s %d %s\\n" % (SIDE, os.getpid(), env[b"n"].decode())).encode())
    return uwsgi.SPOOL_OK

uwsgi.spooler = spooler
"""

#: enqueues from within its master or fork server, while the others serve
PRODUCER = """\
import os, time
import uwsgi

SIDE = os.environ["SIDE"]
end = time.monotonic() + 300
while len(os.listdir(os.environ["GATES"])) < 2 * 2 and time.monotonic() < end:
    time.sleep(0.005)
for n in range(int(os.environ["EACH"])):
    job = {b"n": ("%s-%d" % (SIDE, n)).encode(), b"spooler": os.environb[b"TARGET"]}
    if n % 10 == 0:
        job[b"body"] = b"x" * (n * 20)
    uwsgi.spool(job)
open(os.environ["RUNS"] + "-" + SIDE, "w").close()
"""


@pytest.mark.oracle
def test_each_task_runs_once_whoever_serves_it(
    spawn: Spawn, tmp_path: Path, uwsgi_binary: str, wait_for: WaitFor
) -> None:
    """5,000 tasks there, 1,000 more from each side meanwhile (fewer without --full), two spoolers each: every one runs
    once, all take part.
    """
    spool, gates = tmp_path / "spool", tmp_path / "gates"
    for place in (spool, gates, tmp_path / "own-uwsgi", tmp_path / "own-spoolsim"):
        place.mkdir()
    (tmp_path / "served.py").write_text(APP)
    (tmp_path / "producing.py").write_text(PRODUCER)
    for n in range(BEFORE):
        file.write(str(spool), file.next_name(), packet({b"n": f"before-{n}".encode()}), b"body" * (n % 3))
    environment = {
        **os.environ,
        "RUNS": str(tmp_path / "runs"),
        "GATES": str(gates),
        "EACH": str(EACH),
        "TARGET": str(spool.resolve()),
    }

    def begin(side: str, *options: str) -> Spawned:
        command = [uwsgi_binary] if side == "uwsgi" else [sys.executable, "-m", "spoolsim", "run"]
        argv = [*command, "--spooler-quiet", "--spooler-frequency", "1", "--pythonpath", str(tmp_path), *options]
        return spawn(argv, cwd=tmp_path, env={**environment, "SIDE": side})

    sides = ("uwsgi", "spoolsim")
    serving = ["--spooler", str(spool), "--spooler-processes", str(PROCESSES), "--import", "served"]
    started = [begin(side, *serving) for side in sides]
    started += [
        begin(side, "--spooler-external", str(spool), "--spooler", f"own-{side}", "--import", "producing")
        for side in sides
    ]

    def through() -> bool:
        return all((tmp_path / f"runs-{side}").exists() for side in sides) and not list(spool.glob(f"{PREFIX}*"))

    try:
        wait_for(through, 300, "the end of all tasks")
    except pytest.fail.Exception as error:
        left = len(list(spool.glob(f"{PREFIX}*")))
        pytest.fail(f"{error}: {left} left\n" + "\n".join(s.output()[-1500:] for s in started))
    rows = [line.split() for line in (tmp_path / "runs").read_text().splitlines()]
    runs = Counter(name for _, _, name in rows)
    expected = {f"before-{n}" for n in range(BEFORE)} | {f"{side}-{n}" for side in sides for n in range(EACH)}
    assert set(runs) == expected
    assert [name for name, count in runs.items() if count > 1] == []
    workers = Counter((side, pid) for side, pid, _ in rows)
    assert Counter(side for side, _ in workers) == dict.fromkeys(sides, PROCESSES)
    # uWSGI goes first: a reload is what it makes of SIGTERM, and SIGINT ends it
    for instance in started:
        assert instance.stop() == 0
    assert not (spool / ".spoolsim" / "broken").exists()
    print({side: sum(count for (s, _), count in workers.items() if s == side) for side in sides})
