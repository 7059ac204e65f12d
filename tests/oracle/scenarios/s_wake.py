"""More of when a scan happens: SIGUSR1, tasks in the future, retries, the frequency at run time."""
import os
import signal
import time

from ..harness import scenario
from ..packets import PREFIX

ALWAYS = """
import uwsgi
from oracleobs import *
uwsgi.post_fork_hook = lambda: obs('pf')
def h(env):
    obs('task', n=tname(env) if b'n' not in env else env[b'n'].decode()); return -2
uwsgi.spooler = h
"""


@scenario()
def wake_sigusr1_from_outside(h):
    """a file dropped by hand and one SIGUSR1 to the idle spooler: it scans, and goes on living"""
    d = h.mkdir("sp")
    i = h.start([("spooler", d), ("spooler-frequency", 60)], ALWAYS)
    i.wait_obs("pf"); h.give_time(1)
    out = []
    for n in ("first", "second"):
        h.drop(d, PREFIX + n, vars=[(b"n", n.encode())])
        h.give_time(.5)
        before = len(i.obs("task"))
        os.kill(i.obs("pf")[0]["pid"], signal.SIGUSR1)
        out.append([before, i.wait_obs("task", before + 1, 4)])
    return {"waited_then_ran": out, "processes": len({t["pid"] for t in i.obs("task")}), "respawned": "OOOPS" in i.log()}


@scenario()
def wake_sigusr1_amid_a_task(h):
    """a SIGUSR1 from outside that comes during a task is not lost: a new scan follows at once"""
    d = h.mkdir("sp"); h.drop(d, PREFIX + "long")
    i = h.start([("spooler", d), ("spooler-frequency", 6), "spooler-ordered"], """
import uwsgi
from oracleobs import *
def h(env):
    obs('task', n=tname(env))
    if tname(env) == 'long': busy(2)
    obs('done', n=tname(env)); return -2
uwsgi.spooler = h
""")
    i.wait_obs("task"); h.drop(d, PREFIX + "dropped")
    os.kill(i.obs("task")[0]["pid"], signal.SIGUSR1)
    i.wait_obs("done", 2, 12)
    end, late = i.obs("done")[0]["t"], i.obs("task")[1]["t"]
    return {"ran": [t["n"] for t in i.obs("done")], "waited_for_the_poll": late - end > 3}


@scenario()
def at_future_by_spool(h):
    """a task spooled for a later second runs not before it, at a poll after it"""
    d = h.mkdir("sp")
    i = h.start([("spooler", d), ("spooler-frequency", 1)], ALWAYS + """
t = int(time.time()) + 3
obs('due', t=t)
uwsgi.spool({b'n': b'later', b'at': str(t).encode()}); uwsgi.spool({b'n': b'now'}); uwsgi.spool({b'n': b'long ago', b'at': b'5'})
""".replace("obs('due', t=t)", "obs('due', at=t)"))
    i.wait_obs("task", 3, 10)
    late = [t["t"] for t in i.obs("task") if t["n"] == "later"]
    return {"first_two": sorted(t["n"] for t in i.obs("task")[:2]), "not_before": bool(late) and late[0] >= i.obs("due")[0]["at"], "within_3s_after": bool(late) and late[0] < i.obs("due")[0]["at"] + 3, "left": h.wait_left(d, 0)}


@scenario()
def at_future_waits_for_the_poll(h):
    """with a long frequency nothing wakes the spooler when a task becomes due; a SIGUSR1 then does"""
    d = h.mkdir("sp")
    i = h.start([("spooler", d), ("spooler-frequency", 60)], ALWAYS + "uwsgi.spool({b'n': b'x', b'at': str(int(time.time()) + 2).encode()})\n")
    i.wait_obs("pf"); h.give_time(4)
    before = len(i.obs("task"))
    os.kill(i.obs("pf")[0]["pid"], signal.SIGUSR1)
    return {"ran_by_itself": before, "ran_after_the_wake": i.wait_obs("task", 1, 4)}


@scenario()
def retry_on_any_scan(h):
    """a retried and an ignored task are tried again when another task's enqueue wakes the spooler"""
    d = h.mkdir("sp"); h.drop(d, PREFIX + "retry"); h.drop(d, PREFIX + "ignored")
    i = h.start([("spooler", d), ("spooler-frequency", 60), ("socket", h.path("s.sock"))], """
import uwsgi
from oracleobs import *
def h(env):
    n = tname(env)
    obs('task', n=n if n in ('retry', 'ignored') else 'other')
    return {'retry': -1, 'ignored': 0}.get(n, -2)
uwsgi.spooler = h
def pf():
    if uwsgi.worker_id() == 1: await_cue('enqueue'); uwsgi.spool({b'a': b'1'})
uwsgi.post_fork_hook = pf
""")
    i.wait_obs("task", 2); h.give_time(.8); i.cue("enqueue")
    i.wait_obs("task", 5, 6); h.give_time(.3)
    runs = [t["n"] for t in i.obs("task")]
    return {n: runs.count(n) for n in ("retry", "ignored", "other")} | {"left": h.ls(d)}


@scenario()
def wake_all_processes(h):
    """three idle processes of one directory, three tasks of one second enqueued together: they overlap"""
    d = h.mkdir("sp")
    i = h.start([("spooler-processes", 3), ("spooler", d), ("spooler-frequency", 60), ("socket", h.path("s.sock"))], """
import uwsgi
from oracleobs import *
def h(env):
    obs('task'); busy(1.5); obs('done'); return -2
uwsgi.spooler = h
def pf():
    if uwsgi.worker_id() == 1:
        await_cue('enqueue')
        for n in range(3): uwsgi.spool({b'a': b'1'}); busy(.1)
uwsgi.post_fork_hook = pf
""")
    i.wait_log("spawned the uWSGI spooler", 3); h.give_time(1); i.cue("enqueue")
    i.wait_obs("done", 3, 10)
    rows = i.obs()
    return {"started_before_the_first_ended": [r["kind"] for r in rows][:3], "processes": len({t["pid"] for t in i.obs("task")}), "left": h.wait_left(d, 0)}


@scenario()
def api_frequency_arguments(h):
    """set_spooler_frequency with other types, at import and in a task"""
    d = h.mkdir("sp"); h.drop(d, PREFIX + "x")
    i = h.start([("spooler", d), ("spooler-frequency", 60)], """
import uwsgi
from oracleobs import *
def tries(where):
    for label, a in (('int', (5,)), ('str', ('5',)), ('float', (1.5,)), ('None', (None,)), ('none', ()), ('two', (1, 2)), ('bool', (True,)), ('bytes', (b'5',)), ('huge', (2**40,)), ('zero', (0,))):
        answer(where, label, lambda: uwsgi.set_spooler_frequency(*a))
tries('import')
def h(env): tries('task'); obs('end'); return -2
uwsgi.spooler = h
""")
    i.wait_obs("end")
    return {k: {x["label"]: x["r"] for x in i.obs(k)} for k in ("import", "task")}


@scenario()
def api_frequency_zero_goes_back(h):
    """0 goes back to the option's value: after a while at 1 second, a long wait again"""
    d = h.mkdir("sp"); h.drop(d, PREFIX + "x")
    i = h.start([("spooler", d), ("spooler-frequency", 60)], """
import uwsgi
from oracleobs import *
def h(env):
    obs('t'); uwsgi.set_spooler_frequency(1 if count('t') < 3 else 0); return -1
uwsgi.spooler = h
""")
    i.wait_obs("t", 3, 8); h.give_time(2.5)
    return {"runs": len(i.obs("t"))}


@scenario()
def config_frequency_values(h):
    """the gap between two polls, in whole seconds, for odd values of the option"""
    runs = {}
    for label in ("2", "1.9", "02", "2s", "freq"):
        d = h.mkdir("sp" + label); h.drop(d, PREFIX + "x")
        runs[label] = h.start([("spooler", d), ("spooler-freq" if label == "freq" else "spooler-frequency", "2" if label == "freq" else label)], "import uwsgi\nfrom oracleobs import *\ndef h(e):\n    obs('t'); return -1\nuwsgi.spooler = h\n")
    out = {}
    for label, i in runs.items():
        i.wait_obs("t", 4, 9)
        t = [x["t"] for x in i.obs("t")]
        out[label] = round((t[3] - t[0]) / 3) if len(t) > 3 else None
    return out


@scenario()
def wake_while_stopped(h):
    """tasks that come while the spooler is being killed and respawned are found by its first scan"""
    d = h.mkdir("sp")
    i = h.start([("spooler", d), ("spooler-frequency", 60)], ALWAYS)
    i.wait_obs("pf"); h.give_time(.5)
    h.drop(d, PREFIX + "x", vars=[(b"n", b"x")])
    os.kill(i.obs("pf")[0]["pid"], signal.SIGKILL)
    ran = i.wait_obs("task", 1, 6)
    return {"ran": ran, "forks": len(i.obs("pf")), "log": i.shapes("OOOPS"), "left": h.wait_left(d, 0)}


@scenario()
def files_mtime_edges(h):
    """mtimes in this second, with a fraction, in the far past and future"""
    d = h.mkdir("sp")
    now = time.time()
    h.drop(d, PREFIX + "epoch", mtime=0); h.drop(d, PREFIX + "this_second", mtime=int(now) + .999); h.drop(d, PREFIX + "negative", mtime=-1000.5); h.drop(d, PREFIX + "year2030", mtime=1_900_000_000)
    i = h.start([("spooler", d), ("spooler-frequency", 60), "spooler-ordered"], ALWAYS.replace("tname(env) if b'n' not in env else env[b'n'].decode()", "tname(env)"))
    i.wait_obs("task", 3); h.give_time(.3)
    return {"ran": [t["n"] for t in i.obs("task")], "left": h.ls(d)}
