"""Several processes and directories, recycling, deaths, locks between processes."""
import fcntl
import os
import shutil
import time

from ..harness import scenario
from ..packets import PREFIX

REC = """
import uwsgi
from oracleobs import *
def h(env):
    obs('task', n=tname(env), dir=os.path.basename(os.getcwd())); %s
uwsgi.spooler = h
"""


@scenario()
def procs_same_directory_twice(h):
    """the same directory given twice: two processes, each task once"""
    d = h.mkdir("sp")
    for n in range(6):
        h.drop(d, PREFIX + str(n))
    i = h.start([("spooler", d), ("spooler", d), ("spooler-frequency", 1)], REC % "busy(.5); return -2")
    i.wait_obs("task", 6, 10)
    left = h.wait_left(d, 0)
    return {"tasks": sorted(t["n"] for t in i.obs("task")), "processes": len({t["pid"] for t in i.obs("task")}), "left": left, "spawned": i.log().count("spawned the uWSGI spooler"), "log": i.shapes("horrible", "unlink", "OOOPS")}


@scenario()
def procs_two_directories(h):
    """two spoolers: each runs its own tasks in its own directory, at the same time; pids in option order"""
    a, b = h.mkdir("a"), h.mkdir("ab")
    for d in (a, b):
        h.drop(d, PREFIX + "x" + os.path.basename(d))
    i = h.start([("spooler", b), ("spooler", a), ("spooler-frequency", 60)], """
import uwsgi
from oracleobs import *
def h(env):
    obs('task', n=tname(env), dir=os.path.basename(os.getcwd()), index=uwsgi.spooler_pids().index(os.getpid()), first=uwsgi.spooler_pid() == os.getpid(), n_pids=len(uwsgi.spooler_pids())); busy(1.5); obs('done'); return -2
uwsgi.spooler = h
""")
    i.wait_obs("done", 2)
    return {"tasks": sorted([t["n"], t["dir"], t["index"], t["first"], t["n_pids"]] for t in i.obs("task")), "overlap": [r["kind"] for r in i.obs()][:2], "left": h.wait_left(a, 0) + h.wait_left(b, 0)}


@scenario()
def procs_pids_after_respawn(h):
    """spooler_pid() follows a respawn, in the spooler itself and in a worker"""
    d = h.mkdir("sp")
    i = h.start([("spooler", d), ("spooler-frequency", 60), ("socket", h.path("s.sock"))], """
import uwsgi
from oracleobs import *
def h(env): obs('task', mine=uwsgi.spooler_pid() == os.getpid(), pids=uwsgi.spooler_pids() == [os.getpid()]); os._exit(0) if count('task') == 1 else None; return -2
uwsgi.spooler = h
def pf():
    if uwsgi.worker_id() == 1:
        first = uwsgi.spooler_pid()
        uwsgi.spool({b'a': b'1'})
        end = time.time() + 8
        while count('task') < 2 and time.time() < end: busy(.1)
        obs('worker', known=first > 0, changed=uwsgi.spooler_pid() != first, number=len(uwsgi.spooler_pids()))
uwsgi.post_fork_hook = pf
""")
    i.wait_obs("worker")
    w = i.obs("worker")[0]
    return {"tasks": [[t["mine"], t["pids"]] for t in i.obs("task")], "worker": [w["known"], w["changed"], w["number"]]}


def recycling(h, names, n, handler, runs, raw=None, freq=60, settle=1.0):
    d = h.mkdir("sp")
    for name in names:
        h.drop(d, PREFIX + name, raw=(raw or {}).get(name))
    i = h.start([("spooler", d), ("spooler-frequency", freq), "spooler-ordered", ("spooler-max-tasks", n)], REC % handler)
    i.wait(lambda: len(i.obs("task")) >= runs or not i.alive(), 8); h.give_time(settle)
    rows = i.obs("task")[:runs]
    pids = list(dict.fromkeys(t["pid"] for t in rows))
    return i, {"runs": [[t["n"], pids.index(t["pid"])] for t in rows], "left": h.ls(d)}


@scenario()
def max_tasks_ignored_not_counted(h):
    """ignored (0) is no task: only the others count"""
    i, r = recycling(h, ["a0", "b", "c0", "d", "e0", "f"], 2, "return 0 if '0' in tname(env) else -2", 8)
    return r | {"recycled": i.log().count("recycling")}


@scenario()
def max_tasks_retry_counted(h):
    """a task that always asks for a retry recycles the process without any wait"""
    i, r = recycling(h, ["a"], 1, "return -1", 4, settle=0)
    return r | {"log": i.shapes("recycling", "OOOPS")}


@scenario()
def max_tasks_exception_counted(h):
    i, r = recycling(h, ["a", "b", "c"], 2, "raise ValueError('x')", 6, settle=0)
    return r


@scenario()
def max_tasks_broken_counted(h):
    """which broken files count: those under 4 bytes, those with variables cut short, those with bad variables"""
    out = {}
    for label, raw in (("empty", b""), ("short", b"\x11\x05"), ("cut", b"\x11\xff\x00\x00abc"), ("bad variables", b"\x11\x04\x00\x00\x50\x00ab")):
        i, r = recycling(h, ["a", "b"], 2, "return -2", 1, raw={"a": raw}, settle=.5)
        out[label] = r | {"recycled": i.log().count("recycling")}
        i.stop()
        shutil.rmtree(h.path("sp"))
    return out


@scenario()
def max_tasks_zero_and_text(h):
    """0 and text: no limit; negative"""
    out = {}
    for label in ("0", "many", "-1"):
        i, r = recycling(h, list("abc"), label, "return -2", 3, settle=.4)
        out[label] = r | {"recycled": "recycling" in i.log(), "exit": i.p.poll(), "log": i.shapes("invalid value")}
        i.stop()
    return out


@scenario()
def max_tasks_two_processes(h):
    """each process counts for itself"""
    d = h.mkdir("sp")
    for n in range(8):
        h.drop(d, PREFIX + str(n))
    i = h.start([("spooler-processes", 2), ("spooler", d), ("spooler-frequency", 1), ("spooler-max-tasks", 2)], REC % "busy(.2); return -2")
    i.wait_obs("task", 8, 12); left = h.wait_left(d, 0); i.wait_log("recycling", 4, 2); h.give_time(.3)
    pids = [t["pid"] for t in i.obs("task")]
    return {"tasks": sorted(t["n"] for t in i.obs("task")), "at_most_two_each": all(pids.count(p) <= 2 for p in pids), "left": left}


@scenario()
def lock_fcntl_shared(h):
    """a shared record lock held by somebody else"""
    d = h.mkdir("sp"); p = h.drop(d, PREFIX + "x")
    i, before = None, None
    with open(p, "r+b") as f:
        fcntl.lockf(f, fcntl.LOCK_SH)
        i = h.start([("spooler", d), ("spooler-frequency", 1)], REC % "return -2")
        i.wait_log("spawned the uWSGI spooler"); h.give_time(1.5)
        before = len(i.obs("task"))
    i.wait_obs("task", 1, 4)
    return {"ran_while_locked": before, "ran_afterwards": len(i.obs("task"))}


@scenario()
def lock_fcntl_one_byte(h):
    """a record lock on one byte far behind the end"""
    d = h.mkdir("sp"); p = h.drop(d, PREFIX + "x")
    with open(p, "r+b") as f:
        fcntl.lockf(f, fcntl.LOCK_EX, 1, 10_000)
        i = h.start([("spooler", d), ("spooler-frequency", 1)], REC % "return -2")
        i.wait_log("spawned the uWSGI spooler"); h.give_time(1.5)
        before = len(i.obs("task"))
    i.wait_obs("task", 1, 4)
    return {"ran_while_locked": before, "ran_afterwards": len(i.obs("task"))}


@scenario()
def lock_released_is_no_wake(h):
    """a lock that is released wakes nobody: the task waits for the next poll"""
    d = h.mkdir("sp"); p = h.drop(d, PREFIX + "x")
    with open(p, "r+b") as f:
        fcntl.lockf(f, fcntl.LOCK_EX)
        i = h.start([("spooler", d), ("spooler-frequency", 5)], REC % "return -2")
        i.wait_log("spawned the uWSGI spooler"); h.give_time(1)
    released = time.time()
    i.wait_obs("task", 1, 8)
    return {"waited": i.obs("task")[0]["t"] - released > 2}


@scenario()
def lock_lost_by_opening_the_own_file(h):
    """a task that opens and closes its own file loses the lock: a second process runs it at the same time"""
    d = h.mkdir("sp"); h.drop(d, PREFIX + "x")
    i = h.start([("spooler-processes", 2), ("spooler", d), ("spooler-frequency", 1)], """
import uwsgi
from oracleobs import *
def h(env):
    first = alone('first')
    if first:
        with open(env['spooler_task_name'], 'rb') as f: f.read()
    obs('task'); busy(3 if first else 1); obs('done', first=first); return -2
uwsgi.spooler = h
""")
    i.wait_obs("done", 2, 8); i.wait_log("OOOPS", 1, 3)
    return {"runs": len(i.obs("task")), "order_of_ends": [x["first"] for x in i.obs("done")], "log": i.shapes("unlink", "horrible", "OOOPS"), "left": h.ls(d)}


@scenario()
def lock_lost_by_get_task(h):
    """the same through uwsgi.spooler_get_task() on the own file"""
    d = h.mkdir("sp"); h.drop(d, PREFIX + "x")
    i = h.start([("spooler-processes", 2), ("spooler", d), ("spooler-frequency", 1)], """
import uwsgi
from oracleobs import *
def h(env):
    first = alone('first')
    got = uwsgi.spooler_get_task(env['spooler_task_name'].decode()) is not None if first else None
    obs('task', got=got); busy(2.5 if first else 1); obs('done', first=first); return -1
uwsgi.spooler = h
""")
    i.wait_obs("done", 2, 8)
    rows = i.obs()
    return {"got": next(r["got"] for r in i.obs("task") if r["got"] is not None), "second_began_while_the_first_ran": [r["kind"] for r in rows][:2] == ["task", "task"]}


@scenario()
def die_abruptly_amid_tasks_of_others(h):
    """one process of two dies with its task: the other goes on, the task is run again"""
    d = h.mkdir("sp")
    for n in ("die", "live"):
        h.drop(d, PREFIX + n)
    i = h.start([("spooler-processes", 2), ("spooler", d), ("spooler-frequency", 60)], """
import uwsgi
from oracleobs import *
def h(env):
    n = tname(env); obs('task', n=n)
    if n == 'die' and alone('died'): busy(.6); os._exit(7)
    busy(1.5); obs('done', n=n); return -2
uwsgi.spooler = h
""")
    i.wait_obs("done", 2, 8)
    return {"done": sorted(x["n"] for x in i.obs("done")), "die_ran": sum(t["n"] == "die" for t in i.obs("task")), "live_ran": sum(t["n"] == "live" for t in i.obs("task")), "log": i.shapes("OOOPS"), "left": h.wait_left(d, 0)}


@scenario()
def harakiri_user_disarmed(h):
    """set_user_harakiri(0) disarms; a second call sets a new time"""
    d = h.mkdir("sp"); h.drop(d, PREFIX + "a"); h.drop(d, PREFIX + "b")
    i = h.start([("spooler", d), ("spooler-frequency", 60), "spooler-ordered"], """
import uwsgi
from oracleobs import *
def h(env):
    obs('task', n=tname(env))
    uwsgi.set_user_harakiri(1)
    if tname(env) == 'a': uwsgi.set_user_harakiri(0)
    else: uwsgi.set_user_harakiri(30)
    busy(3.2); obs('done', n=tname(env)); return -2
uwsgi.spooler = h
""")
    i.wait_obs("done", 2, 12)
    return {"done": [x["n"] for x in i.obs("done")], "harakiri": "HARAKIRI" in i.log(), "left": h.wait_left(d, 0)}


@scenario()
def harakiri_user_left_armed(h):
    """left armed, it kills the idle spooler after its task is done"""
    d = h.mkdir("sp"); h.drop(d, PREFIX + "a")
    i = h.start([("spooler", d), ("spooler-frequency", 60)], "import uwsgi\nfrom oracleobs import *\nuwsgi.post_fork_hook = lambda: obs('pf')\ndef h(e):\n    obs('task'); uwsgi.set_user_harakiri(1); return -2\nuwsgi.spooler = h\n")
    i.wait_obs("pf", 2, 8)
    return {"killed_when_idle": len(i.obs("pf")) > 1, "left": h.ls(d), "log": i.shapes("HARAKIRI", "OOOPS")}


@scenario()
def harakiri_not_before(h):
    """a task that ends before its time is not killed, and each task has its own time"""
    d = h.mkdir("sp")
    for n in "abc":
        h.drop(d, PREFIX + n)
    i = h.start([("spooler", d), ("spooler-harakiri", 2), ("spooler-frequency", 60), "spooler-ordered"], REC % "busy(1.5); return -2")
    i.wait_obs("task", 3, 12)
    left = h.wait_left(d, 0)
    return {"ran": [t["n"] for t in i.obs("task")], "left": left, "harakiri": "HARAKIRI" in i.log()}
