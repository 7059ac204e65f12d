"""Which files run, in which order."""
import fcntl
import os
import time

from ..harness import scenario
from ..packets import PREFIX

REC = """
import uwsgi
from oracleobs import *
def h(env):
    n = env['spooler_task_name'].decode()
    obs('task', n=n, cwd=os.path.relpath(os.getcwd(), os.environ['ORACLE_WORK']))
    return -2
uwsgi.spooler = h
"""


def go(h, names, opts=(), n=None, app=REC, settle=1.3, prep=None):
    d = h.mkdir("sp")
    for x in names:
        h.drop(d, x)
    if prep:
        prep(d)
    i = h.start([("spooler", d), ("spooler-frequency", 1)] + list(opts), app)
    i.wait_obs("task", len(names) if n is None else n, 6)
    h.give_time(settle)
    return i, d


@scenario()
def order_versionsort_names(h):
    P = PREFIX
    names = [P + x for x in "h_9_1 h_10_1 h_1_2 h_1_10 h_1_1 a B b A h_01_1 h_001_1 h_1 h-1 h.1 h H_1 z 2 10 1 h_1a h_1_ 00 0 01".split()]
    i, d = go(h, names, ["spooler-ordered"])
    return {"order": [t["n"][len(P):] for t in i.obs("task")]}


@scenario()
def order_numeric_without_ordered(h):
    P = PREFIX
    i, d = go(h, ["1/" + P + "in", P + "top", "5", "ztask"], n=1)
    return {"ran": [t["n"] for t in i.obs("task")], "left": h.ls(d)}


@scenario()
def order_spool_then_run(h):
    """fifteen uwsgi.spool() calls in a row from one process under spooler-ordered"""
    i, d = go(h, [], ["spooler-ordered"], n=15, app="""
import uwsgi
from oracleobs import *
def h(env):
    obs('task', n=env[b'n'].decode()); return -2
uwsgi.spooler = h
for k in range(15): uwsgi.spool({b'n': str(k).encode()})
""")
    return {"order": [t["n"] for t in i.obs("task")]}


@scenario()
def files_kinds(h):
    P = PREFIX
    def prep(d):
        h.drop(h.mkdir("other"), "target", vars=[(b"k", b"v")])
        os.symlink(h.path("other", "target"), os.path.join(d, P + "symlink"))
        os.symlink(h.mkdir("otherdir"), os.path.join(d, "3"))
        h.drop(h.path("otherdir"), P + "via-symlinked-dir")
        os.mkdir(os.path.join(d, P + "dir"))
        h.drop(os.path.join(d, P + "dir"), P + "inside")
        os.mkfifo(os.path.join(d, P + "fifo"))
        h.drop(d, "." + P + "hidden")
        h.drop(d, "uwsgi_spoolfile_other")
        h.drop(d, P)
        h.drop(d, "UWSGI_SPOOLFILE_ON_upper")
    i, d = go(h, [P + "plain"], ["spooler-ordered"], n=2, prep=prep)
    left = sorted(os.listdir(d))
    return {"ran": [t["n"] for t in i.obs("task")], "left": left}


def lockcase(h, take, wait_after):
    d = h.mkdir("sp")
    p = h.drop(d, PREFIX + "x")
    f = open(p, "r+b")
    take(f)
    i = h.start([("spooler", d), ("spooler-frequency", 1)], REC)
    i.wait_log("spawned the uWSGI spooler"); h.give_time(2.3)
    before = len(i.obs("task"))
    f.close()
    i.wait_obs("task", 1, 3)
    return {"ran_while_locked": before > 0, "ran_after_release": len(i.obs("task")) > 0, "log": i.shapes("lock", "unable")[:0] if before else i.shapes("uwsgi_fcntl", "locked")}


@scenario()
def lock_fcntl_exclusive(h):
    return lockcase(h, lambda f: fcntl.lockf(f, fcntl.LOCK_EX), 1)


@scenario()
def lock_flock(h):
    return lockcase(h, lambda f: fcntl.flock(f, fcntl.LOCK_EX), 1)


@scenario()
def lock_held_while_running(h):
    """seen from outside while the task runs: is the file locked, by whom, which kind"""
    d = h.mkdir("sp")
    p = h.drop(d, PREFIX + "x")
    i = h.start([("spooler", d)], """
import uwsgi, time
from oracleobs import *
def h(env):
    obs('task'); busy(2); return -2
uwsgi.spooler = h
""")
    i.wait_obs("task")
    out = {}
    with open(p, "r+b") as f:
        for label, how in (("fcntl_ex", lambda: fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB)), ("flock_ex", lambda: fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB))):
            try:
                how(); out[label] = "free"
            except OSError:
                out[label] = "held"
    return out


@scenario()
def future_mtime(h):
    d = h.mkdir("sp")
    now = int(time.time())
    h.drop(d, PREFIX + "past", mtime=5)
    h.drop(d, PREFIX + "soon", mtime=now + 4)
    h.drop(d, PREFIX + "far", mtime=now + 500)
    os.makedirs(os.path.join(d, "1")); h.drop(d, "1/" + PREFIX + "in", mtime=now - 9); os.utime(os.path.join(d, "1"), (now + 500, now + 500))
    i = h.start([("spooler", d), ("spooler-frequency", 1), "spooler-ordered"], REC)
    i.wait_obs("task", 2, 6); h.give_time(1.3)
    soon = [t["t"] for t in i.obs("task") if "soon" in t["n"]]
    return {"order": [t["n"] for t in i.obs("task")], "soon_not_before_its_second": bool(soon) and soon[0] >= now + 4, "left": h.ls(d)}


@scenario()
def stops_at_first_scan_new_files(h):
    """a task adds a numbered file during an ordered scan: it is not seen in the same scan"""
    d = h.mkdir("sp")
    h.drop(d, PREFIX + "1")
    h.drop(d, PREFIX + "3")
    i = h.start([("spooler", d), ("spooler-frequency", 2), "spooler-ordered"], """
import uwsgi, shutil
from oracleobs import *
def h(env):
    n = tname(env)
    obs('task', n=n)
    if n == '1': shutil.copy('uwsgi_spoolfile_on_1', 'uwsgi_spoolfile_on_2')
    return -2
uwsgi.spooler = h
""")
    i.wait_obs("task", 3, 8)
    t = i.obs("task")
    return {"order": [x["n"] for x in t], "second_waits_for_next_poll": t[-1]["t"] - t[0]["t"] > 1.5}
