"""More of uwsgi signals, reload triggers and decorators."""
import os
import signal
from pathlib import Path

from ..harness import scenario
from ..packets import PREFIX
from ._common import clean
from .s_deco import deco
from .s_sig import SIG, touch


@scenario()
def signal_registration(h):
    """what register_signal, signal_registered, add_timer and add_cron take and return, at import"""
    h.mkdir("sp")
    i = h.start([("spooler", "sp")], """
import uwsgi
from oracleobs import *
f = lambda n: None
def t(label, f): answer('a', label, f)
t('plain', lambda: uwsgi.register_signal(5, 'spooler', f)); t('again', lambda: uwsgi.register_signal(5, 'spooler', f)); t('not callable', lambda: uwsgi.register_signal(6, 'spooler', 42)); t('empty target', lambda: uwsgi.register_signal(7, '', f))
t('64 characters', lambda: uwsgi.register_signal(8, 'x' * 64, f)); t('63 characters', lambda: uwsgi.register_signal(9, 'y' * 63, f)); t('bytes target', lambda: uwsgi.register_signal(10, b'spooler', f)); t('int target', lambda: uwsgi.register_signal(11, 3, f))
t('256', lambda: uwsgi.register_signal(256, 'spooler', f)); t('-1', lambda: uwsgi.register_signal(-1, 'spooler', f)); t('str number', lambda: uwsgi.register_signal('5', 'spooler', f)); t('float', lambda: uwsgi.register_signal(12.5, 'spooler', f))
t('two arguments', lambda: uwsgi.register_signal(13, 'spooler')); t('spooler1', lambda: uwsgi.register_signal(14, 'spooler1', f)); t('nonsense', lambda: uwsgi.register_signal(15, 'nonsense', f))
for n in (0, 5, 6, 7, 255, 99): t('registered %d' % n, lambda: uwsgi.signal_registered(n))
t('timer', lambda: uwsgi.add_timer(5, 1000)); t('timer unregistered', lambda: uwsgi.add_timer(77, 1000)); t('timer float', lambda: uwsgi.add_timer(5, 1.5)); t('timer zero', lambda: uwsgi.add_timer(5, 100000))
t('rb', lambda: uwsgi.add_rb_timer(5, 1000)); t('rb iterations', lambda: uwsgi.add_rb_timer(5, 1000, 3)); t('cron', lambda: uwsgi.add_cron(5, 0, 0, 31, 2, -1)); t('cron few', lambda: uwsgi.add_cron(5, 0, 0)); t('monitor missing file', lambda: uwsgi.add_file_monitor(5, '/nonexistent-file'))
t('signal at import', lambda: uwsgi.signal(5)); t('signal number', lambda: uwsgi.signal('5'))
obs('end')
""")
    i.wait_obs("end")
    return {"answers": {x["label"]: x["r"] for x in i.obs("a")}, "log": i.shapes("uwsgi-signal", "uwsgi_signal_send")}


@scenario()
def signal_handler_exception(h):
    """a signal handler that raises: said, the process lives; one that exits"""
    d = h.mkdir("sp")
    i = h.start([("spooler", d), ("spooler-frequency", 60), ("socket", h.path("s.sock"))], SIG + """
def bad(n): obs('bad', pid=os.getpid()); 1 / 0
uwsgi.register_signal(5, 'spooler', bad)
uwsgi.register_signal(6, 'spooler', s)
def pf():
    if uwsgi.worker_id() == 1: await_cue('go'); uwsgi.signal(5); uwsgi.signal(5); uwsgi.signal(6)
uwsgi.post_fork_hook = pf
""")
    i.wait_log("spawned the uWSGI spooler"); h.give_time(.7); i.cue("go")
    i.wait_obs("sig", 1, 6)
    return {"bad": len(i.obs("bad")), "one_process": len({x["pid"] for x in i.obs()}) == 1, "good": len(i.obs("sig")), "log": i.shapes("error managing", "ZeroDivisionError", "OOOPS")}


@scenario()
def signal_not_merged(h):
    """five raises before the spooler is idle: five runs, after the running scan, one scan after each"""
    d = h.mkdir("sp"); h.drop(d, PREFIX + "a"); h.drop(d, PREFIX + "b"); h.drop(d, PREFIX + "c0")
    i = h.start([("spooler", d), ("spooler-frequency", 60), "spooler-ordered"], """
import uwsgi
from oracleobs import *
def h(env):
    n = tname(env); obs('step', s=n)
    if n == 'a':
        for _ in range(3): uwsgi.signal(5)
        busy(.5)
    return 0 if n == 'c0' else -2
uwsgi.spooler = h
uwsgi.register_signal(5, 'spooler', lambda n: obs('step', s='signal'))
""")
    i.wait(lambda: [r["s"] for r in i.obs("step")].count("c0") >= 4, 6); h.give_time(.3)
    return {"steps": [r["s"] for r in i.obs("step")]}


@scenario()
def signal_spools_a_task(h):
    """a signal handler that spools: the task runs in the scan that follows"""
    d = h.mkdir("sp"); h.drop(d, PREFIX + "first")
    i = h.start([("spooler", d), ("spooler-frequency", 60)], """
import uwsgi
from oracleobs import *
def h(env):
    obs('task', n='first' if tname(env) == 'first' else 'spooled'); uwsgi.signal(5) if tname(env) == 'first' else None; return -2
uwsgi.spooler = h
uwsgi.register_signal(5, 'spooler', lambda n: obs('sig', r=type(uwsgi.spool({b'a': b'1'})).__name__))
""")
    i.wait_obs("task", 2, 6)
    return {"steps": [r["kind"] for r in i.obs()], "tasks": [t["n"] for t in i.obs("task")], "left": h.wait_left(d, 0)}


@scenario()
def signal_unregistered_and_wrapped(h):
    """raising a number nobody registered, and numbers outside 0..255"""
    d = h.mkdir("sp"); h.drop(d, PREFIX + "x")
    i = h.start([("spooler", d), ("spooler-frequency", 60)], SIG + """
uwsgi.register_signal(1, 'spooler', s)
def h(env):
    for label, n in (('unregistered', 99), ('257', 257), ('-255', -255)): answer('a', label, lambda: uwsgi.signal(n))
    return -2
uwsgi.spooler = h
""")
    i.wait_obs("sig", 2, 6); h.give_time(.3)
    return {"answers": {x["label"]: x["r"] for x in i.obs("a")}, "handled": [x["num"] for x in i.obs("sig")], "log": i.shapes("error managing", "UNSUPPORTED", "OOOPS")}


@scenario()
def touch_reload_created_and_deleted(h):
    """the watched file appears: reload; it goes: reload; its time goes backwards: none"""
    for label in ("created", "deleted", "backwards"):
        h.mkdir(label)
    runs = {}
    app = "import uwsgi\nfrom oracleobs import *\nuwsgi.post_fork_hook = lambda: obs('pf')\n"
    for label in ("created", "deleted", "backwards"):
        if label != "created":
            touch(h.path("f-" + label))
        runs[label] = h.start([("spooler", label), ("touch-spoolers-reload", h.path("f-" + label))], app)
    for i in runs.values():
        i.wait_obs("pf")
    h.give_time(2.3)
    touch(h.path("f-created")); os.unlink(h.path("f-deleted")); os.utime(h.path("f-backwards"), (5, 5))
    runs["created"].wait_obs("pf", 2, 6); runs["deleted"].wait_obs("pf", 2, 6); h.give_time(1)
    return {k: {"starts": len(i.obs("pf")), "log": i.shapes("touched", "unable to stat", "MERCY")} for k, i in runs.items()}


@scenario()
def touch_reload_two_files(h):
    """the option given twice: each file counts"""
    touch(h.path("one")); touch(h.path("two")); h.mkdir("sp")
    i = h.start([("spooler", "sp"), ("touch-spoolers-reload", h.path("one")), ("touch-spoolers-reload", h.path("two"))], "import uwsgi\nfrom oracleobs import *\nuwsgi.post_fork_hook = lambda: obs('pf')\n")
    i.wait_obs("pf"); h.give_time(2.3)
    for n, f in enumerate(("two", "one")):
        touch(h.path(f)); i.wait_obs("pf", n + 2, 6); h.give_time(1.5)
    return {"starts": len(i.obs("pf")), "log": i.shapes("touched")}


@scenario()
def deco_spoolforever(h):
    i, d = deco(h, """
@spoolforever
def f(args): seen('task', a=args['x']); return uwsgi.SPOOL_OK
f(x='1')
""", 3)
    return {"repeats": len(i.obs("task")) >= 3, "left": len(h.ls(d)), "args": i.obs("task")[0]["a"]}


@scenario()
def deco_same_name(h):
    """two functions of one name: the later one gets the tasks of both"""
    i, d = deco(h, """
@spool
def f(args): seen('task', by='first')
first = f
@spool
def f(args): seen('task', by='second')
first(x='1'); f(x='2')
""", 2)
    return {"by": [t["by"] for t in i.obs("task")], "left": h.ls(d)}


@scenario()
def deco_not_utf8(h):
    """a body or a value that is no UTF-8: retried for ever"""
    i, d = deco(h, """
@spool
def f(args): seen('task')
f({'x': b'\\xff'}); f(body=b'\\xfe'); f(x='\\u00e9', body='caf\\u00e9')
""", 1, settle=1.5)
    return {"ran": len(i.obs("task")), "left": len(h.ls(d)), "log": sorted(i.shapes("UnicodeDecodeError"))}


@scenario()
def deco_return_override(h):
    """ud_spool_ret in the task overrides the result; ud_spool_func picks the function"""
    i, d = deco(h, """
@spool
def f(args): seen('task', by='f', keys=sorted(args))
@spool
def g(args): seen('task', by='g', keys=sorted(args))
f(ud_spool_func='g'); f(ud_spool_ret='-1', x='again')
""", 3, settle=1.3)
    runs = [[t["by"], t["keys"]] for t in i.obs("task")]
    return {"functions": sorted({r[0] for r in runs}), "keys": sorted({tuple(r[1]) for r in runs}), "left": len(h.ls(d))}


@scenario()
def deco_methods_and_nested(h):
    """lambdas, methods, partial objects and renamed functions under @spool"""
    i, d = deco(h, """
import functools
l = spool(lambda args: seen('task', by='lambda'))
class C:
    @staticmethod
    @spool
    def static(args): seen('task', by='static')
def outer(args): seen('task', by='outer')
outer.__name__ = 'renamed'
r = spool(outer)
def tryit(label, f):
    try: f(); obs('r', label=label, r='ok')
    except Exception as e: obs('r', label=label, r=type(e).__name__)
tryit('lambda', lambda: l(x='1')); tryit('static', lambda: C.static(x='1')); tryit('renamed', lambda: r(x='1')); tryit('partial', lambda: spool(functools.partial(outer, 1))); tryit('bracket', lambda: spool()(outer)); tryit('direct', lambda: r.f({'a': 'b'}))
""", 3)
    return {"by": sorted(t["by"] for t in i.obs("task")), "calls": {x["label"]: x["r"] for x in i.obs("r")}, "left": len(h.ls(d))}


@scenario()
def deco_from_a_task(h):
    """a decorated function that enqueues another from within a task, and itself with at"""
    i, d = deco(h, """
@spool
def child(args): seen('task', by='child', of=args['of'])
@spool
def parent(args):
    seen('task', by='parent', of=''); child(of='parent', at=str(int(time.time()) - 3), priority='2'); child.spool(of='again')
parent(x='1')
""", 3, opts=["spooler-ordered"])
    return {"tasks": sorted([t["by"], t["of"], t["sp"]] for t in i.obs("task")), "left": h.ls(d)}


@scenario()
def timer_while_busy(h):
    """a timer that comes due during a long task is handled after it, as often as it came due"""
    d = h.mkdir("sp"); h.drop(d, PREFIX + "long")
    i = h.start([("spooler", d), ("spooler-frequency", 60)], """
import uwsgi
from oracleobs import *
def h(env): obs('task'); busy(3.6); obs('done'); return -2
uwsgi.spooler = h
uwsgi.register_signal(5, 'spooler', lambda n: obs('sig'))
uwsgi.add_timer(5, 1)
""")
    i.wait_obs("done"); i.wait_obs("sig", 2, 4)
    rows = [r["kind"] for r in i.obs()]
    done = i.obs("done")[0]["t"]
    return {"none_during_the_task": rows.index("done") < rows.index("sig"), "two_at_once_after_it": i.obs("sig")[1]["t"] - done < .7}


@scenario()
def signal_queue_overflow(h):
    """a task raises more than the queue holds: how many are handled, what is said of the rest"""
    d = h.mkdir("sp"); h.drop(d, PREFIX + "x")
    i = h.start([("spooler", d), ("spooler-frequency", 60)], """
import uwsgi
from oracleobs import *
count = 0
def s(num):
    global count
    count += 1
def last(num): obs('handled', count=count)
def h(env):
    r = [uwsgi.signal(5) for _ in range(1000)]
    obs('raised', returns=sorted({repr(x) for x in r}))
    return -2
uwsgi.spooler = h
uwsgi.register_signal(5, 'spooler', s)
uwsgi.register_signal(6, 'spooler', last)
uwsgi.add_timer(6, 1)
""")
    i.wait_obs("raised"); i.wait(lambda: any(x["count"] >= 250 for x in i.obs("handled")), 9)
    handled = max(x["count"] for x in i.obs("handled"))
    # how many exactly depends on how fast the master empties the task's pipe into the spoolers'
    return {"some_were_handled": handled >= 250, "some_were_lost": handled < 1000, "returns": i.obs("raised")[0]["returns"], "said": i.shapes("SIGNAL QUEUE")}


@scenario()
def signal_wait_in_a_worker(h):
    """signal_wait() in worker 1: its result, whose handler runs, what signal_received() says; with a number and without"""
    d = h.mkdir("sp"); h.drop(d, PREFIX + "x")
    i = h.start([("spooler", d), ("spooler-frequency", 60), ("socket", h.path("s.sock"))], SIG + """
for n in (5, 6, 7): uwsgi.register_signal(n, 'worker', s)
def pf():
    if uwsgi.worker_id() == 1:
        obs('waits')
        obs('any', r=repr(uwsgi.signal_wait()), got=uwsgi.signal_received())
        obs('seven', r=repr(uwsgi.signal_wait(7)), got=uwsgi.signal_received())
uwsgi.post_fork_hook = pf
def h(env):
    await_cue('go')
    for n in (5, 6, 7): uwsgi.signal(n)
    obs('done'); return -2
uwsgi.spooler = h
""")
    i.wait_obs("waits"); i.cue("go"); i.wait_obs("seven", 1, 9)
    return {"any": clean(i.obs("any")[0]), "seven": [clean(x) for x in i.obs("seven")], "handled": [x["num"] for x in i.obs("sig")]}


@scenario()
def rb_timer_without_a_period(h):
    """add_rb_timer(n, 0) and add_timer(n, 0): does it fire, spin, or rest?"""
    d = h.mkdir("sp")
    i = h.start([("spooler", d), ("spooler-frequency", 60)], SIG + """
for n in (1, 2, 3): uwsgi.register_signal(n, 'spooler', s)
obs('r', r=[repr(uwsgi.add_rb_timer(1, 0, 3)), repr(uwsgi.add_timer(2, 0)), repr(uwsgi.add_rb_timer(3, 1, 3))])
""")
    i.wait(lambda: sum(x["num"] == 3 for x in i.obs("sig")) >= 3, 12); h.give_time(1.2)
    runs = {n: sum(x["num"] == n for x in i.obs("sig")) for n in (1, 2, 3)}
    return {"returns": i.obs("r")[0]["r"], "rb_timer_0_runs": runs[1], "timer_0_runs": runs[2], "rb_timer_1_runs": runs[3]}


HUP_APP = SIG + """
for n in (1, 2, 3): uwsgi.register_signal(n, 'spooler', s)
uwsgi.add_cron(1, -1, -1, -1, -1, -1); uwsgi.add_rb_timer(2, 1, 2); uwsgi.add_timer(3, 6)
obs('loaded')
"""


@scenario(seconds=14)
def reload_of_the_master_timers(h):
    """SIGHUP: crons and rb timers fire anew, a timer's beat begins anew"""
    h.mkdir("sp")
    i = h.start([("spooler", "sp"), ("spooler-frequency", 60)], HUP_APP)
    def seen(*numbers):
        return [x for x in i.obs("sig") if x["num"] in numbers]
    i.wait(lambda: len(seen(1)) == 1 and len(seen(2)) == 2, 9); i.wait(lambda: seen(3), 9); h.give_time(2)
    before = {"cron": len(seen(1)), "rb_timer": len(seen(2)), "timer": len(seen(3))}
    i.kill(signal.SIGHUP)
    i.wait_obs("loaded", 2, 9); i.wait(lambda: len(seen(3)) > 1, 12)
    beats = [x["t"] for x in seen(3)]
    return {"before": before, "after": {"cron": len(seen(1)) - 1, "rb_timer": len(seen(2)) - 2}, "timer_begins_anew": beats[1] - beats[0] > 7}


@scenario(seconds=8)
def reload_of_the_master_queued_signals_and_frequency(h):
    """SIGHUP: signals that wait are lost, and so is what set_spooler_frequency said"""
    d = h.mkdir("sp"); h.drop(d, PREFIX + "a")
    i = h.start([("spooler", d), ("spooler-frequency", 60)], """
import uwsgi
from oracleobs import *
obs('loaded')
def h(env):
    obs('run', reloaded=count('loaded') > 1)
    if count('run') < 3: uwsgi.set_spooler_frequency(1)
    if count('run') == 3: [uwsgi.signal(5) for _ in range(3)]; await_cue('never')
    return -1
uwsgi.spooler = h
uwsgi.register_signal(5, 'spooler', lambda n: obs('sig'))
""")
    i.wait_obs("run", 3, 9); h.give_time(.5)
    i.kill(signal.SIGHUP)
    i.wait_obs("run", 4, 9); h.give_time(3)
    return {"tries_after": len([x for x in i.obs("run") if x["reloaded"]]), "signals": len(i.obs("sig"))}


TARGETS = ("nonsense", "spooler1", "Worker", "active-worker", "worker0", "workerx", "worker1", "worker1x", "worker2", "worker-1", "workers", "active-workers", "mule", "mules", "mule0", "mule1", "mules1", "mulex", "farm", "farmx", "farm_", "farm_x", "subscribed", "subscribedx", "y" * 63, "")


def targets(h, *opts):
    d = h.mkdir("sp"); h.drop(d, PREFIX + "x")
    i = h.start([("spooler", d), ("spooler-frequency", 60), *opts], f"""
import uwsgi
from oracleobs import *
TARGETS = {TARGETS!r}
for n, target in enumerate(TARGETS): uwsgi.register_signal(n, target, lambda n: obs('sig', n=TARGETS[n], who=uwsgi.worker_id()))
uwsgi.register_signal(99, 'spooler', lambda n: obs('end'))
def h(env):
    for n in (*range(len(TARGETS)), 99): uwsgi.signal(n); busy(.05)
    return -2
uwsgi.spooler = h
""")
    i.wait_obs("end", 1, 9); h.give_time(.5)
    said = [line for line in i.log().splitlines() if any(w in line for w in ("UNSUPPORTED", "invalid signal", "unknown farm", "could not deliver", "signal_send"))]
    return {"handled": sorted([x["n"], x["who"]] for x in i.obs("sig")), "said": [h.shape(line) for line in said]}


@scenario()
def signal_targets(h):
    """targets that nobody knows, and those of a web server, without one"""
    return targets(h)


@scenario()
def signal_targets_with_a_worker(h):
    """the same where there is one worker"""
    return targets(h, ("socket", h.path("s.sock")))


@scenario()
def signal_wait_in_a_spooler(h):
    """a task takes signals of the spoolers out of their queue and runs the handlers itself"""
    d = h.mkdir("sp"); h.drop(d, PREFIX + "x")
    i = h.start([("spooler", d), ("spooler-frequency", 60)], SIG + """
for n in (5, 6, 7): uwsgi.register_signal(n, 'spooler', s)
def h(env):
    for n in (5, 6, 7): uwsgi.signal(n); busy(.05)
    obs('any', r=repr(uwsgi.signal_wait()), got=uwsgi.signal_received(), handled=count('sig'))
    obs('seven', r=repr(uwsgi.signal_wait(7)), got=uwsgi.signal_received(), handled=count('sig'))
    answer('misuse', 'two', lambda: uwsgi.signal_wait(1, 2)); answer('misuse', 'text', lambda: uwsgi.signal_wait('1'))
    obs('done'); return -2
uwsgi.spooler = h
""")
    i.wait_obs("done", 1, 9); h.give_time(.3)
    return {"any": clean(i.obs("any")[0]), "seven": clean(i.obs("seven")[0]), "misuse": [clean(x) for x in i.obs("misuse")], "seen": [clean(x) for x in i.obs("sig")]}


@scenario(seconds=14)
def file_monitors(h):
    """what happens to a monitored file, to a directory, and to a file that was not there at the start"""
    h.mkdir("sp"); h.mkdir("d"); h.write("f", ""); h.write("d/a", "")
    i = h.start([("spooler", "sp"), ("spooler-frequency", 60)], SIG + """
for n, path in ((1, 'f'), (2, 'd'), (3, 'gone')): uwsgi.register_signal(n, 'spooler', s); uwsgi.add_file_monitor(n, os.environ['ORACLE_WORK'] + '/' + path)
obs('added')
""")
    i.wait_log("spawned the uWSGI spooler"); h.give_time(1.2)
    out = {}
    def step(name, do):
        before = len(i.obs("sig")); do(); h.give_time(.7)
        out[name] = [x["num"] for x in i.obs("sig")][before:]
    def append(path):
        fd = os.open(h.path(path), os.O_WRONLY | os.O_APPEND); os.write(fd, b"x"); os.close(fd)
    step("written", lambda: append("f")); step("times", lambda: os.utime(h.path("f"))); step("mode", lambda: os.chmod(h.path("f"), 0o600))
    step("read", lambda: Path(h.path("f")).read_text())
    step("entry written", lambda: append("d/a")); step("entry removed", lambda: os.unlink(h.path("d/a"))); step("entry made", lambda: os.mkdir(h.path("d/s")))
    step("times of the directory", lambda: os.utime(h.path("d")))
    step("made that was missing", lambda: h.write("gone", "x"))
    h.write("other", "")
    step("renamed over", lambda: os.rename(h.path("other"), h.path("f"))); step("written after", lambda: append("f")); step("removed after", lambda: os.unlink(h.path("f")))
    return out
