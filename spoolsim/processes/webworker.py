"""The process that stands in for web worker 1 (`--stand-in-worker`)."""

from __future__ import annotations

import os
import signal

from spoolsim.processes.forked import FAILED, OK, exit_status, leave, name_process, take_signals
from spoolsim.processes.lifeline import DieWithParent
from spoolsim.processes.loop import monotonic
from spoolsim.processes.network import Network, bind, who_runs_code
from spoolsim.work.app import WORKER
from spoolsim.work.installed import print_error
from spoolsim.work.loading import IN_WORKERS
from spoolsim.work.wait import LIFELINE, SIGNAL, Wait

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from spoolsim.work.app import App


def stand_in(app: App, lifeline: int, *, again: bool) -> NoReturn:
    """The process that stands in for web worker 1: it has the app, its hook, and the signals for workers.

    again: it takes the place of one that died.
    """
    status = FAILED
    try:
        take_signals(app.policy)
        app.become(WORKER, worker_id=1)
        app.signals.in_master, app.signals.up, app.signals.worker_id = False, True, 1
        if again:
            app.log.line(f"Respawned uWSGI worker 1 (new pid: {os.getpid()})")
        else:
            app.log.line(f"spawned uWSGI worker 1 (pid: {os.getpid()}, cores: 1)")
        name_process(app, "uWSGI worker 1")
        with DieWithParent(lifeline):
            app.post_fork()
            if app.options.lazy_apps:
                app.loader.load(IN_WORKERS)
            if app.options.pyrun:
                _run_script(app)
        wait = Wait(app, [], lifeline=lifeline)
        pipe = app.signals.workers
        if pipe is not None:
            wait.listen(pipe.reader)
        for line in filter(None, map(who_runs_code, app.options.sockets)):
            if not again and app.policy.explains:
                app.log.say(line)
        servers = [bind(address) for address in app.options.sockets]
        network = Network(servers, app, poll=wait.also, forget=wait.no_more, now=monotonic)
        while True:
            deadline = network.next_deadline()
            why = wait.wait(limit=3600 if deadline is None else max(deadline - monotonic(), 0))
            if why == LIFELINE:
                break
            if why == SIGNAL and pipe is not None and (number := pipe.receive()) >= 0:
                app.signals.run(number, "worker 1", print_error)
            network.turn()
        status = OK
    except SystemExit as end:
        status = exit_status(end)
    except BaseException:
        print_error()
    leave(status)


def _run_script(app: App) -> None:
    """--pyrun: the script is what the instance is for; when it has ended, the master is told to stop."""
    try:
        app.loader.run_script()
    except SystemExit as end:
        exit_status(end)
    # with die-on-term uWSGI's master takes SIGQUIT as a reload
    os.kill(app.master_pid, signal.SIGTERM if app.options.die_on_term else signal.SIGQUIT)
