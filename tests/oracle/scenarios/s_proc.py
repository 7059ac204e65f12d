"""The spooler process, the API seen from it, several spoolers, wake-ups."""
import os
import time

from ..harness import scenario
from ..packets import PREFIX
from ._common import clean


PROC = """
import uwsgi, os, sys, signal
from oracleobs import *
M = os.getpid()
def dispositions():
    st = dict(l.split(':', 1) for l in open('/proc/self/status'))
    ign, cgt = int(st['SigIgn'], 16), int(st['SigCgt'], 16)
    return {s: 'ignored' if ign >> (getattr(signal, s) - 1) & 1 else 'caught' if cgt >> (getattr(signal, s) - 1) & 1 else 'default'
            for s in ('SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGALRM', 'SIGUSR1', 'SIGUSR2', 'SIGPIPE', 'SIGTSTP', 'SIGCHLD')}
def h(env):
    W = os.environ['ORACLE_WORK']
    um = os.umask(0); os.umask(um)
    obs('task', n=tname(env), cwd=os.path.relpath(os.getcwd(), W), umask=oct(um), nice=os.nice(0), stdin=os.readlink('/proc/self/fd/0'), argv_kept=sys.argv[:1], ppid_is_master=os.getppid() == uwsgi.masterpid(),
        same_module=M == uwsgi.masterpid(), env=os.environ.get('ORACLE_X'),
        signals=dispositions())
    return -2
uwsgi.spooler = h
"""


@scenario()
def proc_environment(h):
    d = h.mkdir("sp")
    h.drop(d, PREFIX + "a"); h.drop(d, "1/" + PREFIX + "b")
    i = h.start([("spooler", d), "spooler-ordered"], PROC, env={"ORACLE_X": "x"}, umask=0o027)
    i.wait_obs("task", 2)
    return {"tasks": [clean(t) for t in i.obs("task")]}


@scenario()
def proc_chdir_option(h):
    out = {}
    for label, v in (("absolute", h.mkdir("cd")), ("relative to spool dir", "sub"), ("missing", "/nonexistent-dir")):
        d = h.mkdir("sp-" + label.replace(" ", "")); os.makedirs(os.path.join(d, "sub"))
        h.drop(d, PREFIX + "a"); h.drop(d, "1/" + PREFIX + "b")
        i = h.start([("spooler", d), "spooler-ordered", ("spooler-chdir", v), ("spooler-frequency", 1)], PROC)
        i.wait_obs("task", 2, 4)
        h.give_time(.2)
        out[label] = {"cwd": [[t["n"], t["cwd"]] for t in i.obs("task")], "left": h.ls(d), "log": i.shapes("chdir", "horrible")}
    return out


@scenario()
def proc_spooler_dir_parent_missing(h):
    i = h.start([("spooler", h.path("no/such"))], "import uwsgi\n")
    i.wait_exit(4)
    return {"exit": i.p.poll(), "log": i.shapes("spooler")}


COUNT = """
import uwsgi
from oracleobs import *
obs('m', spoolers=uwsgi.spoolers, opt=uwsgi.opt.get('spooler'), optkeys=sorted(k for k in uwsgi.opt if 'spool' in k), b=uwsgi.opt.get(b'spooler'), pids_at_import=uwsgi.spooler_pids(), pid_at_import=uwsgi.spooler_pid(), optvals={k: v for k, v in uwsgi.opt.items() if 'spool' in k})
def pf():
    if uwsgi.i_am_the_spooler(): obs('pf')
uwsgi.post_fork_hook = pf
"""


@scenario()
def procs_numbers(h):
    """spooler-processes x spooler, in both orders, and what the module shows"""
    h.mkdir("a"); h.mkdir("b")   # all are started together, and would race to make them
    runs = {}
    for label, opts in (("one", [("spooler", "a")]), ("two dirs", [("spooler", "a"), ("spooler", "b")]),
                        ("processes first", [("spooler-processes", 2), ("spooler", "a"), ("spooler", "b")]),
                        ("processes last", [("spooler", "a"), ("spooler", "b"), ("spooler-processes", 2)]),
                        ("twice the same", [("spooler", "a"), ("spooler", "a")]), ("external", [("spooler", "a"), ("spooler-external", "b")]),
                        ("external first", [("spooler-external", "b"), ("spooler", "a")]), ("only external", [("spooler-external", "b")]),
                        ("zero", [("spooler-processes", 0), ("spooler", "a")]),
                        ("flags", [("spooler", "a"), "spooler-ordered", ("spooler-frequency", "5"), "spooler-quiet", ("spooler-max-tasks", 3)])):
        runs[label] = h.start(opts, COUNT)
    for i in runs.values():
        i.wait_obs("m")
        i.wait_perhaps(lambda i=i: i.log().count("spawned the uWSGI spooler") == len(i.obs("pf")) > 0, 3)
    h.give_time(.5)
    out = {}
    for label, i in runs.items():
        m = clean(i.obs("m")[0])
        m["started"] = len(i.obs("pf"))
        m["alive"] = i.alive()
        out[label] = m
    return out


@scenario()
def api_in_spooler(h):
    d = h.mkdir("sp"); h.drop(d, PREFIX + "a")
    i = h.start([("spooler", d), ("socket", h.path("s.sock")), ("processes", 2)], """
import uwsgi, os
from oracleobs import *
def look():
    r = dict(spooler=uwsgi.i_am_the_spooler(), worker=uwsgi.worker_id(), mule=uwsgi.mule_id(), master=uwsgi.masterpid() > 0, pid_is_mine=uwsgi.spooler_pid() == os.getpid(), pids=len(uwsgi.spooler_pids()),
             numproc=uwsgi.numproc, workers=len(uwsgi.workers()), in_farm=uwsgi.in_farm() if hasattr(uwsgi, 'in_farm') else None, ready=uwsgi.ready() if hasattr(uwsgi, 'ready') else None, cores=uwsgi.cores)
    for f in ('lock', 'unlock', 'is_locked'):
        try: r[f] = repr(getattr(uwsgi, f)())
        except Exception as e: r[f] = repr(e)
    return r
def h(env):
    r = look()
    for label, f in (('register_signal', lambda: uwsgi.register_signal(7, '', h)), ('add_timer', lambda: uwsgi.add_timer(7, 100)), ('reload', None), ('log', lambda: uwsgi.log('hello from task')), ('signal unregistered', lambda: uwsgi.signal(99)),
                     ('signal_registered', lambda: uwsgi.signal_registered(99)), ('set_user_harakiri', lambda: uwsgi.set_user_harakiri(0)), ('mule_msg', lambda: uwsgi.mule_msg('x')), ('cache_get', lambda: uwsgi.cache_get('x')),
                     ('cache_set', lambda: uwsgi.cache_set('x', b'y')), ('total_requests', lambda: uwsgi.total_requests()), ('setprocname', lambda: uwsgi.setprocname('my spooler')), ('mem', lambda: type(uwsgi.mem()).__name__)):
        if f is None: continue
        try: r['call ' + label] = repr(f())
        except Exception as e: r['call ' + label] = repr(e)
    obs('spooler', **r)
    return -2
uwsgi.spooler = h
def pf():
    if uwsgi.worker_id() == 1: obs('worker', **look())
uwsgi.post_fork_hook = pf
obs('master', **look())
""")
    i.wait_obs("spooler"); i.wait_obs("worker")
    return {k: clean(i.obs(k)[0]) for k in ("master", "worker", "spooler")}


@scenario()
def api_frequency_at_run_time(h):
    d = h.mkdir("sp"); h.drop(d, PREFIX + "a")
    i = h.start([("spooler", d), ("spooler-frequency", 60)], """
import uwsgi
from oracleobs import *
def h(env):
    obs('t'); uwsgi.set_spooler_frequency(1); return -1
uwsgi.spooler = h
""")
    return {"shorter_poll_applies_after_the_scan": i.wait_obs("t", 3, 6)}


ENQ = """
import uwsgi, time
from oracleobs import *
def h(env):
    n = env[b'n'].decode()
    obs('task', n=n)
    if n == 'long': busy(2)
    if n == 'parent': uwsgi.spool({b'n': b'child'})
    obs('done', n=n)
    return -2
uwsgi.spooler = h
def pf():
    if uwsgi.worker_id() == 1: work()
uwsgi.post_fork_hook = pf
"""


@scenario()
def wake_idle(h):
    d = h.mkdir("sp")
    i = h.start([("spooler", d), ("spooler-frequency", 60), ("socket", h.path("s.sock"))], ENQ + "def work():\n    obs('ready'); await_cue('enqueue'); obs('enq'); uwsgi.spool({b'n': b'x'})\n")
    i.wait_obs("ready"); i.wait_log("spawned the uWSGI spooler"); h.give_time(1)
    i.cue("enqueue")
    ok = i.wait_obs("task", 1, 6)
    return {"ran": ok, "within_1s": ok and i.obs("task")[0]["t"] - i.obs("enq")[0]["t"] < 1}


@scenario(seconds=12)
def wake_while_busy(h):
    """enqueued during a long task: at once after it, or at the next poll (frequency 7)?"""
    runs = {}
    for label, opts in (("unordered", []), ("ordered", ["spooler-ordered"])):
        d = h.mkdir("sp-" + label)
        runs[label] = h.start([("spooler", d), ("spooler-frequency", 6), ("socket", h.path(label + ".sock")), *opts],
                              ENQ + "def work():\n    obs('ready'); await_cue('enqueue'); uwsgi.spool({b'n': b'long'}); busy(1); uwsgi.spool({b'n': b'late'})\n")
    for i in runs.values():
        i.wait_obs("ready"); i.wait_log("spawned the uWSGI spooler")
    h.give_time(1)
    runs["ordered"].cue("enqueue")   # both wait for the same one
    out = {}
    for label, i in runs.items():
        i.wait_obs("done", 2, 20)
        end = [t["t"] for t in i.obs("done") if t["n"] == "long"][0]
        late = [t["t"] for t in i.obs("task") if t["n"] == "late"]
        out[label] = ("not run" if not late else "at once" if late[0] - end < 2 else "at the next poll")
    return out


@scenario()
def wake_spool_from_task(h):
    d = h.mkdir("sp"); h.drop(d, PREFIX + "p", vars=[(b"n", b"parent")])
    i = h.start([("spooler", d), ("spooler-frequency", 5), "spooler-ordered"], ENQ + "work = lambda: 0\n")
    i.wait_obs("done", 2, 12)
    t = {x["n"]: x["t"] for x in i.obs("task")}
    return {"child_ran": "child" in t, "child_waits_for_poll": t.get("child", 0) - t["parent"] > 2.5}


@scenario()
def wake_external_drop(h):
    d = h.mkdir("sp")
    i = h.start([("spooler", d), ("spooler-frequency", 6)], ENQ + "work = lambda: 0\n")
    i.wait_log("spawned the uWSGI spooler"); h.give_time(1)
    t0 = time.time(); h.drop(d, PREFIX + "x", vars=[(b"n", b"x")])
    i.wait_obs("task", 1, 12)
    return {"waits_for_poll": i.obs("task")[0]["t"] - t0 > 3}


@scenario()
def procs_share_directory(h):
    """3 processes, 12 tasks: each exactly once, work spread"""
    d = h.mkdir("sp")
    for n in range(12):
        h.drop(d, PREFIX + "%d" % n, vars=[(b"n", b"%d" % n)])
    i = h.start([("spooler-processes", 3), ("spooler", d), ("spooler-frequency", 1)], """
import uwsgi, time
from oracleobs import *
def h(env):
    obs('task', n=env[b'n'].decode()); busy(.2); return -2
uwsgi.spooler = h
""")
    i.wait_obs("task", 12, 10); h.give_time(1)
    return {"each_once": sorted(int(t["n"]) for t in i.obs("task")) == list(range(12)), "more_than_one_process": len({t["pid"] for t in i.obs("task")}) > 1, "log": i.shapes("horrible", "unlink")}


@scenario()
def lazy_apps(h):
    """lazy-apps: an app imported by the workers is not loaded in the spooler"""
    runs = {}
    for opt in ("import", "shared-import", "spooler-import"):
        d = h.mkdir("sp-" + opt); h.drop(d, PREFIX + "a")
        runs[opt] = h.start([("spooler", d), "lazy-apps", ("spooler-frequency", 1), ("socket", h.path(opt + ".sock"))], "import uwsgi\nfrom oracleobs import *\nobs('load', sp=uwsgi.i_am_the_spooler(), w=uwsgi.worker_id())\ndef h(e):\n    obs('task'); return -1\nuwsgi.spooler = h\n", importopt=opt)
    out = {}
    for opt, i in runs.items():
        i.wait_obs("load"); i.wait(lambda i=i: i.obs("task") or "unable to find" in i.log(), 5)
    h.give_time(1)
    for opt, i in runs.items():
        out[opt] = {"loaded": sorted({"spooler" if x["sp"] else "worker" if x["w"] else "master" for x in i.obs("load")}), "task_ran": bool(i.obs("task")), "unable": "unable to find the spooler function" in i.log()}
    return out
