"""Return codes, deaths, retries."""
from ..harness import scenario
from ..packets import PREFIX

BY_NAME = """
import uwsgi, sys, os, signal
from oracleobs import *
class I(int): pass
def boom(): raise RuntimeError('boom')
VALUES = {'ok': lambda: -2, 'retry': lambda: -1, 'zero': lambda: 0, 'one': lambda: 1, 'minus3': lambda: -3, 'true': lambda: True, 'false': lambda: False,
 'none': lambda: None, 'str': lambda: '-2', 'float': lambda: -2.0, 'intsub': lambda: I(-2), 'bytes': lambda: b'-2', 'exc': boom,
 'big32': lambda: 2**32, 'big32m2': lambda: 2**32 - 2, 'big70': lambda: 2**70}
def h(env):
    n = tname(env)
    obs('task', n=n)
    return VALUES[n]()
uwsgi.spooler = h
"""


@scenario()
def ret_values(h):
    """per returned value: ran again at the next scans? file kept?"""
    d = h.mkdir("sp")
    names = "ok retry zero one minus3 true false none str float intsub bytes exc big32 big32m2 big70".split()
    for n in names:
        h.drop(d, PREFIX + n)
    i = h.start([("spooler", d), ("spooler-frequency", 1)], BY_NAME)
    i.wait(lambda: sum(t["n"] == "retry" for t in i.obs("task")) >= 3, 10)
    h.give_time(.3)
    left = h.ls(d)
    runs = [t["n"] for t in i.obs("task")]
    return {"file_kept": {n: PREFIX + n in left for n in names}, "ran_more_than_once": {n: runs.count(n) > 1 for n in names},
            "processes": len({t["pid"] for t in i.obs("task")}), "log": i.shapes("unable to find", "Error", "Traceback"),
            "unable_lines_seen": i.log().count("unable to find the spooler function") > 0}


def death(h, body, drops=("die",), runs=3, opts=()):
    d = h.mkdir("sp")
    for n in drops:
        h.drop(d, PREFIX + n)
    i = h.start([("spooler", d), ("spooler-frequency", 1), "spooler-ordered"] + list(opts), """
import uwsgi, sys, os, signal, time
from oracleobs import *
def h(env):
    n = tname(env)
    obs('task', n=n)
    if n == 'die':
        %s
    return uwsgi.SPOOL_OK
uwsgi.spooler = h
""" % body)
    i.wait_obs("task", runs)
    h.give_time(.2)
    seen = i.obs("task")
    return i, {"died": len({t["pid"] for t in seen if t["n"] == "die"}) > 1, "retried": sum(t["n"] == "die" for t in seen) > 1, "left": h.wait_left(d, len(drops) if runs > 2 else 0), "master_alive": i.alive(),
               "order": [t["n"] for t in seen][:runs], "log": i.shapes("OOOPS", "annihilated", "horrible", "unlink", "SystemExit", "KeyboardInterrupt", "Traceback", "chdir")}


@scenario()
def die_sys_exit(h):
    return death(h, "sys.exit(0)")[1]


@scenario()
def die_system_exit_none_then_other(h):
    return death(h, "raise SystemExit", drops=("die", "z-after"))[1]


@scenario()
def die_os_exit(h):
    return death(h, "os._exit(0)")[1]


@scenario()
def die_sigkill(h):
    return death(h, "os.kill(os.getpid(), signal.SIGKILL)")[1]


@scenario()
def retry_waits_for_poll(h):
    d = h.mkdir("sp")
    h.drop(d, PREFIX + "x")
    i = h.start([("spooler", d), ("spooler-frequency", 3)], """
import uwsgi
from oracleobs import *
def h(env):
    obs('task'); return uwsgi.SPOOL_RETRY
uwsgi.spooler = h
""")
    i.wait_obs("task", 3, 12)
    t = [x["t"] for x in i.obs("task")]
    return {"gaps_of_the_frequency_at_least": [b - a > 2.5 for a, b in zip(t, t[1:])][:2]}


@scenario()
def handler_missing(h):
    d = h.mkdir("sp")
    h.drop(d, PREFIX + "x")
    i = h.start([("spooler", d), ("spooler-frequency", 1)], "import uwsgi\n")
    i.wait_log("unable to find", 2)
    return {"left": h.ls(d), "log": i.shapes("unable to find", "managing", "done with"), "repeats": i.log().count("unable to find") > 1}


@scenario()
def handler_not_callable(h):
    d = h.mkdir("sp")
    h.drop(d, PREFIX + "x")
    i = h.start([("spooler", d), ("spooler-frequency", 1)], "import uwsgi\nuwsgi.spooler = 42\n")
    i.wait_log("TypeError", 2, 5)
    return {"left": h.ls(d), "alive": i.alive(), "respawned": "OOOPS" in i.log(), "log": i.shapes("TypeError", "callable", "unable to find", "done with")}


@scenario()
def handler_removes_own_file(h):
    i, r = death(h, "os.unlink(env['spooler_task_name'])", drops=("die", "z-after"), runs=2)
    return r


@scenario()
def handler_removes_next_file(h):
    i, r = death(h, "os.unlink('uwsgi_spoolfile_on_e-next')", drops=("die", "e-next", "z-after"), runs=2)
    return r


@scenario()
def max_tasks_basic(h):
    d = h.mkdir("sp")
    for n in range(5):
        h.drop(d, PREFIX + "t%d" % n)
    i = h.start([("spooler", d), ("spooler-frequency", 1), "spooler-ordered", ("spooler-max-tasks", 2)], """
import uwsgi
from oracleobs import *
def h(env):
    obs('task', n=tname(env)); return -2
uwsgi.spooler = h
""")
    i.wait_obs("task", 5, 12); h.give_time(.3)
    runs = i.obs("task")
    pids = []
    for t in runs:
        if t["pid"] not in pids:
            pids.append(t["pid"])
    return {"tasks_per_process": [sum(t["pid"] == p for t in runs) for p in pids], "order": [t["n"] for t in runs], "log": i.shapes("recycling", "OOOPS")}


@scenario()
def max_tasks_one_frequency_60(h):
    """recycling with a long frequency: the rest of the queue goes on with the respawned process, at once"""
    d = h.mkdir("sp")
    for n in range(3):
        h.drop(d, PREFIX + "t%d" % n)
    i = h.start([("spooler", d), ("spooler-frequency", 60), ("spooler-max-tasks", 1)], "import uwsgi\nfrom oracleobs import *\ndef h(env):\n    obs('task'); return -2\nuwsgi.spooler = h\n")
    ok = i.wait_obs("task", 3, 15)
    return {"all_ran": ok, "processes": len({t["pid"] for t in i.obs("task")}), "left": h.wait_left(d, 0)}
