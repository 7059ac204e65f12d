"""Signals, timers, harakiri, reloads, stops."""
import contextlib
import os
import signal
import time

from .. import sessions
from ..harness import scenario
from ..packets import PREFIX
from ._common import clean

SIG = """
import uwsgi, time, os
from oracleobs import *
def h(env):
    n = tname(env)
    obs('task', n=n)
    if n == 'long':
        uwsgi.signal(5); busy(1.5)
    obs('done', n=n)
    return -2
uwsgi.spooler = h
def s(num):
    obs('sig', num=num, type=type(num).__name__, sp=uwsgi.i_am_the_spooler(), cwd=os.path.relpath(os.getcwd(), os.environ['ORACLE_WORK']))
"""


@scenario()
def signal_from_worker_and_task(h):
    """deferred while a task runs; which process; the handler's argument; cwd"""
    d = h.mkdir("sp"); h.drop(d, PREFIX + "long"); h.drop(d, PREFIX + "next")
    i = h.start([("spooler", d), ("spooler-frequency", 60), "spooler-ordered", ("socket", h.path("s.sock"))], SIG + """
obs('reg', r=repr(uwsgi.register_signal(5, 'spooler', s)))
def pf():
    if uwsgi.worker_id() == 1:
        await_cue('raise'); obs('ret', r=repr(uwsgi.signal(5)))
uwsgi.post_fork_hook = pf
""")
    i.wait_obs("done", 2, 9); i.wait_obs("sig", 1, 5); h.give_time(.3)
    i.cue("raise")
    i.wait_obs("sig", 2, 9)
    seq = [r["kind"] + ":" + r.get("n", "") for r in i.obs() if r["kind"] in ("task", "done", "sig")]
    return {"register_returns": i.obs("reg")[0]["r"], "signal_returns": [x["r"] for x in i.obs("ret")], "sequence": seq, "seen": clean(i.obs("sig")[0]), "log": i.shapes("uwsgi-signal")}


@scenario()
def signal_several_spoolers(h):
    """the pipe is shared: one raise runs the handler once, in any of the spoolers"""
    h.mkdir("a"); h.mkdir("b")
    i = h.start([("spooler", "a"), ("spooler", "b"), ("socket", h.path("s.sock"))], SIG + """
uwsgi.register_signal(5, 'spooler', s)
def pf():
    if uwsgi.worker_id() == 1:
        busy(1.5)
        for _ in range(6): uwsgi.signal(5); busy(.2)
uwsgi.post_fork_hook = pf
""")
    i.wait_obs("sig", 6, 6); h.give_time(1)
    return {"handler_runs_for_6_raises": len(i.obs("sig"))}


@scenario()
def timers_to_spooler(h):
    d = h.mkdir("sp"); h.write("watched", "")
    i = h.start([("spooler", d), ("spooler-frequency", 60)], SIG + """
for n in (1, 2, 3, 4, 9): uwsgi.register_signal(n, 'spooler', s)
r = [repr(uwsgi.add_timer(1, 1)), repr(uwsgi.add_rb_timer(2, 1, 2)), repr(uwsgi.add_rb_timer(9, 1)), repr(uwsgi.add_file_monitor(3, os.environ['ORACLE_WORK'] + '/watched')), repr(uwsgi.add_cron(4, -1, -1, -1, -1, -1))]
obs('returns', r=r)
""")
    i.wait_obs("sig", 1, 5); h.give_time(1.5)
    h.write("watched", "x")
    h.give_time(3.5)
    c = {k: [x["t"] for x in i.obs("sig") if x["num"] == k] for k in (1, 2, 3, 4, 9)}
    return {"returns": i.obs("returns")[0]["r"], "timer_repeats": len(c[1]) >= 3, "rb_timer_2_iterations_runs": len(c[2]), "rb_timer_forever_repeats": len(c[9]) >= 3, "filemon_fired": len(c[3]) >= 1, "log": i.shapes("uwsgi-signal")}


@scenario(seconds=63)
def cron_every_minute(h):
    """-1 everywhere: when does it first run, and is it once a minute? (waits for a minute to turn)"""
    d = h.mkdir("sp")
    i = h.start([("spooler", d)], SIG + "uwsgi.register_signal(4, 'spooler', s)\nuwsgi.add_cron(4, -1, -1, -1, -1, -1)\nuwsgi.register_signal(5, 'spooler', s)\nuwsgi.add_cron(5, (time.localtime().tm_min + 30) % 60, -1, -1, -1, -1)\nobs('start', sec=time.localtime().tm_sec)\n")
    i.wait_obs("start")
    h.give_time(62)
    t = [x["t"] for x in i.obs("sig") if x["num"] == 4]
    t0 = i.obs("start")[0]["t"]
    return {"first_run_at_start_without_waiting_for_the_minute": bool(t) and t[0] - t0 < 3, "runs_in_62s": len(t), "other_minute_ran": any(x["num"] == 5 for x in i.obs("sig"))}


@scenario()
def harakiri_task(h):
    d = h.mkdir("sp"); h.drop(d, PREFIX + "slow")
    i = h.start([("spooler", d), ("spooler-harakiri", 2), ("spooler-frequency", 60)], """
import uwsgi, time
from oracleobs import *
def h(env):
    obs('task')
    try: busy(20)
    finally: obs('finally')
    return -2
uwsgi.spooler = h
""")
    i.wait_obs("task", 2, 12)
    t = [x["t"] for x in i.obs("task")]
    return {"killed_after_2s": len(t) > 1 and t[1] - t[0] >= 2, "finally_ran": bool(i.obs("finally")), "left": h.ls(d), "log": i.shapes("HARAKIRI", "OOOPS", "managing")}


@scenario()
def harakiri_user(h):
    d = h.mkdir("sp"); h.drop(d, PREFIX + "slow")
    i = h.start([("spooler", d), ("spooler-frequency", 60)], """
import uwsgi, time
from oracleobs import *
def h(env):
    obs('task', r=repr(uwsgi.set_user_harakiri(1)))
    busy(20)
    return -2
uwsgi.spooler = h
""")
    i.wait_obs("task", 2, 12)
    t = [x["t"] for x in i.obs("task")]
    return {"killed_after_1s": len(t) > 1 and t[1] - t[0] >= 1, "returns": i.obs("task")[0]["r"], "log": i.shapes("HARAKIRI")}


@scenario()
def harakiri_signal_handler(h):
    d = h.mkdir("sp")
    i = h.start([("spooler", d), ("spooler-harakiri", 1)], SIG + "def slow(n): busy(20)\nuwsgi.register_signal(5, 'spooler', slow)\nuwsgi.add_timer(5, 1)\n")
    return {"signal_handler_killed": i.wait_log("HARAKIRI ON THE SPOOLER", 1, 9)}


RUNLONG = """
import uwsgi, time
from oracleobs import *
uwsgi.post_fork_hook = lambda: obs('pf')
def h(env):
    obs('task')
    busy(6)
    obs('done')
    return -2
uwsgi.spooler = h
"""


def touchcase(h, prep, act, busy=False, secs=6):
    d = h.mkdir("sp")
    if busy:
        h.drop(d, PREFIX + "x")
    f = h.path("touchme")
    prep(f)
    i = h.start([("spooler", d), ("touch-spoolers-reload", f), ("spooler-frequency", 60)], RUNLONG)
    i.wait_obs("task" if busy else "pf"); h.give_time(2.3)
    act(f)
    ok = i.wait_obs("pf", 2, secs)
    return i, {"reloaded": ok, "finished_task_first": bool(i.obs("done")), "log": i.shapes("touched", "MERCY", "OOOPS", "unable to stat"), "left": h.ls(d), "task_runs_again": i.wait_obs("task", 2, 2) if busy else None}


def touch(f):
    with open(f, "a") as x:
        x.write("x")
    os.utime(f, None)


@scenario()
def touch_reload_idle(h):
    return touchcase(h, touch, touch)[1]


@scenario()
def touch_reload_busy(h):
    return touchcase(h, touch, touch, busy=True)[1]


@scenario()
def touch_reload_directory_entry_added(h):
    return touchcase(h, os.mkdir, lambda f: touch(f + "/new"))[1]


@scenario()
def touch_reload_app_code_is_not_reread(h):
    """the respawned spooler is a fork of the master: code of an app imported in the master stays; a spooler-import is read again"""
    d = h.mkdir("sp"); touch(h.path("touchme"))
    h.write("omod.py", "from oracleobs import *\nobs('mod', v=1)\n")
    i = h.start([("spooler", d), ("touch-spoolers-reload", h.path("touchme")), ("spooler-import", "omod")], "import uwsgi\nfrom oracleobs import *\nobs('app')\n")
    i.wait_obs("mod"); h.give_time(2.2)
    h.write("omod.py", "from oracleobs import *\nobs('mod', v=22)\n")
    touch(h.path("touchme"))
    i.wait_obs("mod", 2, 8)
    return {"app_loads": len(i.obs("app")), "spooler_import_values": [x["v"] for x in i.obs("mod")]}


def stopcase(h, sig, opts=(), who="master", secs=9):
    d = h.mkdir("sp"); h.drop(d, PREFIX + "x")
    i = h.start([("spooler", d), ("spooler-frequency", 60)] + list(opts), RUNLONG)
    i.wait_obs("task"); h.give_time(.3)
    sp = i.obs("task")[0]["pid"]
    t0 = time.time()
    os.kill(i.p.pid if who == "master" else sp, sig)
    if sig == signal.SIGHUP and who == "master":
        i.wait_obs("task", 2)  # the new master starts it again
    i.wait_perhaps(lambda: not i.alive(), 3) if who == "master" else h.give_time(2)
    def spalive():
        return sp in sessions.members(i.p.pid, i.mark)
    h.give_time(.5)
    r = {"master_exited": not i.alive(), "exit_status": i.p.poll(), "spooler_still_there_after_3s": spalive(), "task_started_again": len(i.obs("task")) > 1}
    i.wait(lambda: i.obs("done") or not sessions.members(i.p.pid, i.mark), secs - (time.time() - t0))
    if i.obs("done"):
        h.wait_left(d, 0)
    r.update(task_finished=bool(i.obs("done")), left_at_end=h.ls(d), log=i.shapes("killing", "goodbye", "reload", "OOOPS", "gracefully", "brutally", "annihil", "SIGINT", "stop"))
    with contextlib.suppress(ProcessLookupError):  # it may end in this moment
        if spalive():
            os.kill(sp, signal.SIGKILL)
    return r


for _n, _s, _o in (("sigterm", signal.SIGTERM, ()), ("sigint", signal.SIGINT, ()), ("sigquit", signal.SIGQUIT, ()), ("sighup", signal.SIGHUP, ()), ("sigterm_die_on_term", signal.SIGTERM, ("die-on-term",)),
                   ("sigkill", signal.SIGKILL, ()), ("sigkill_no_orphans", signal.SIGKILL, ("no-orphans",))):
    scenario("stop_master_" + _n)(lambda h, s=_s, o=_o: stopcase(h, s, o))
for _n, _s in (("sigterm", signal.SIGTERM), ("sigint", signal.SIGINT), ("sighup", signal.SIGHUP), ("sigquit", signal.SIGQUIT), ("sigusr1", signal.SIGUSR1)):
    scenario("stop_spooler_" + _n)(lambda h, s=_s: stopcase(h, s, (), "spooler"))


@scenario(need="2.1")
def v21_cheap(h):
    """spooler-cheap: no process until a file is there; it ends after a scan that ran nothing"""
    d = h.mkdir("sp")
    i = h.start([("spooler", d), ("spooler-frequency", 2), "spooler-cheap"], SIG)
    h.give_time(4)
    early = "spawned the uWSGI spooler" in i.log()
    h.drop(d, PREFIX + "a")
    ran = i.wait_obs("done", 1, 8)
    ended = i.wait_log("cheaping spooler", 1, 8)
    i.wait_log(" ended", 1, 3); h.give_time(3)
    n = i.log().count("spawned the uWSGI spooler")
    h.drop(d, PREFIX + "b")
    again = i.wait_obs("done", 2, 8)
    return {"started_without_a_task": early, "ran": ran, "ended_when_idle": ended, "spawns_for_first": n, "second_ran": again, "new_process_for_second": len({t["pid"] for t in i.obs("done")}) == 2,
            "log": i.shapes("cheaping", "ended", "spawned the uWSGI spooler", "OOOPS")}


@scenario(need="2.1")
def v21_cheap_wakeup_and_signal(h):
    """cheap and no process: how long until an enqueued task runs (frequency 6); a raised signal with no process"""
    d = h.mkdir("sp")
    i = h.start([("spooler", d), ("spooler-frequency", 6), "spooler-cheap", ("socket", h.path("s.sock"))], SIG + """
application = lambda e, s: []
uwsgi.register_signal(5, 'spooler', s)
def pf():
    if uwsgi.worker_id() == 1: busy(7); uwsgi.signal(5); obs('enq'); uwsgi.spool({b'a': b'1'})
uwsgi.post_fork_hook = pf
""".replace("def h(env):", "def h(env):"), importopt="wsgi")
    i.wait_obs("task", 1, 20); h.give_time(1)
    return {"ran": bool(i.obs("task")), "waited_for_the_master_cycle": bool(i.obs("task")) and i.obs("task")[0]["t"] - i.obs("enq")[0]["t"] > 1.5, "signal_kept_for_the_later_process": bool(i.obs("sig"))}


@scenario(need="2.1")
def v21_opt_types(h):
    i = h.start([("spooler", "a"), ("spooler", "b"), "spooler-ordered", "spooler-cheap"], "import uwsgi\nfrom oracleobs import *\nobs('o', s=uwsgi.spoolers, o=uwsgi.opt)\n")
    i.wait_obs("o")
    return {"spoolers": i.obs("o")[0]["s"], "opt": {k: v for k, v in i.obs("o")[0]["o"].items() if "spooler" in k}}


@scenario()
def touch_reload_all_spoolers_and_idle_ones(h):
    touch(h.path("touchme")); h.mkdir("a"); h.mkdir("b")
    i = h.start([("spooler", "a"), ("spooler", "b"), ("touch-spoolers-reload", h.path("touchme"))], RUNLONG)
    i.wait_obs("pf", 2); h.give_time(2.2); touch(h.path("touchme")); i.wait_obs("pf", 4, 8); h.give_time(2)
    return {"started_in_all": len(i.obs("pf")), "respawn_lines": i.log().count("OOOPS")}
