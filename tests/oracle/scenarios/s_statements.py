"""What production notes, `check` and the page of differences say of uWSGI, where no other scenario stages it."""
import os
import signal

from ..harness import scenario
from ..packets import PREFIX
from .s_sig import touch


@scenario(seconds=8)
def reload_of_the_master_reads_code_again(h):
    """SIGHUP and uwsgi.reload() import the app anew; a module that it imports, too"""
    out = {}
    for way in ("SIGHUP", "uwsgi.reload()"):
        d = h.mkdir(way); h.write("helper.py", "V = 1\n")
        i = h.start([("spooler", d), ("spooler-frequency", 1)], """
import uwsgi, helper
from oracleobs import *
obs('app', v=helper.V)
uwsgi.post_fork_hook = lambda: obs('pf')
def h(env): obs('task'); uwsgi.reload(); return -2
uwsgi.spooler = h
""")
        i.wait_obs("pf"); h.write("helper.py", "V = 22\n")
        if way == "SIGHUP": i.kill(signal.SIGHUP)
        else: h.drop(d, PREFIX + "x")
        i.wait_obs("app", 2, 9)
        out[way] = [x["v"] for x in i.obs("app")][:2]; i.stop()
    return out


@scenario(seconds=7)
def postfork_first_descriptor(h):
    """what a post-fork hook, or spooler-import, opens first may be replaced by /dev/null: not each time, and only as number 0"""
    out = {}
    for way in ("hook", "spooler-import"):
        h.write(f"omod_{way[0]}.py", "import uwsgi, socket\nfrom oracleobs import *\ndef opens():\n    global a, b\n    a, b = socket.socketpair()\n" + ("uwsgi.post_fork_hook = opens\n" if way == "hook" else "opens()\n") + """
def null(fd): return os.fstat(fd).st_rdev == os.stat('/dev/null').st_rdev
def h(env): obs('task', fd=a.fileno(), lost=null(a.fileno()), stdin=null(0)); busy(.7); return -2
uwsgi.spooler = h
""")
        seen = []
        for n in range(12):  # starts: in which processes it happens differs, so the first with one that lost its socket is the last
            d = h.mkdir(f"{way}{n}")
            for m in range(3): h.drop(d, f"{PREFIX}{m}")
            i = h.start([("spooler", d), ("spooler-processes", 3), ("spooler-frequency", 1), ("import" if way == "hook" else "spooler-import", f"omod_{way[0]}")], None)
            i.wait_obs("task", 3, 9); seen += i.obs("task"); i.stop()
            if any(x["lost"] for x in seen): break
        out[way] = {"some_are_lost": any(x["lost"] for x in seen), "lost_are_number_0": all(x["fd"] == 0 for x in seen if x["lost"]), "0_is_null": all(x["stdin"] for x in seen)}
    return out


@scenario(seconds=7)
def stop_by_the_app(h):
    """uwsgi.stop() stops; with die-on-term it is a brutal reload, as a SIGQUIT to the master is then"""
    out = {}
    for way in ("plain", "die-on-term", "SIGQUIT with die-on-term"):
        d = h.mkdir(way.replace(" ", ""))
        if "SIGQUIT" not in way: h.drop(d, PREFIX + "x")
        i = h.start([("spooler", d), ("spooler-frequency", 60), *(["die-on-term"] if "die" in way else [])], """
import uwsgi
from oracleobs import *
obs('app')
uwsgi.post_fork_hook = lambda: obs('pf')
def h(env):
    if count('task') < 1: obs('task'); uwsgi.stop(); busy(9)
    obs('again'); return -2
uwsgi.spooler = h
""")
        i.wait_obs("pf")
        if "SIGQUIT" in way: h.give_time(.5); i.kill(signal.SIGQUIT)
        if way == "plain": i.wait_exit(6)
        else: i.wait_obs("app", 2, 9)
        out[way] = {"ended": not i.alive(), "loaded_again": len(i.obs("app")) > 1, "log": i.shapes("brutally", "SIGINT/SIGTERM", "binary reloading")}; i.stop()
    return out


@scenario(seconds=10)
def atexit_of_a_spooler(h):
    """it runs when the process ends itself or is told to by a signal, and not when the instance stops or is touched"""
    app = """
import uwsgi, atexit, sys
from oracleobs import *
def bye():
    if uwsgi.i_am_the_spooler(): obs('bye')
atexit.register(bye)
uwsgi.post_fork_hook = lambda: obs('pf')
def h(env):
    obs('task')
    if b'exit' in env: os.unlink(env['spooler_task_name']); sys.exit(3)
    return -2
uwsgi.spooler = h
"""
    out = {}
    for way in ("SIGINT to the master", "SIGHUP to the master", "touch", "SIGTERM to the spooler", "SIGINT to the spooler", "recycled", "sys.exit"):
        d = h.mkdir(way.replace(" ", "")); touch(h.path("touchme"))
        if way in ("recycled", "sys.exit"): h.drop(d, PREFIX + "x", vars=[(way[-4:].encode(), b"1")])
        opts = [("spooler-max-tasks", 1)] if way == "recycled" else [("touch-spoolers-reload", h.path("touchme"))] if way == "touch" else []
        i = h.start([("spooler", d), ("spooler-frequency", 60), *opts], app)
        i.wait_obs("pf"); h.give_time(2.2 if way == "touch" else .5)
        sp = i.obs("pf")[0]["pid"]
        if way == "touch": touch(h.path("touchme")); i.wait_obs("pf", 2, 8)
        elif way == "SIGHUP to the master": i.kill(signal.SIGHUP); i.wait_obs("pf", 2, 8)
        elif "spooler" in way: os.kill(sp, getattr(signal, way.split()[0])); i.wait_obs("pf", 2, 8)
        elif way == "SIGINT to the master": i.kill(signal.SIGINT); i.wait_exit(6)
        else: i.wait_obs("pf", 2, 8)
        i.wait_perhaps(lambda: i.obs("bye"), .5); out[way] = len([x for x in i.obs("bye") if x["pid"] == sp]); i.stop()
    return out


@scenario()
def late_import_in_a_task(h):
    """an import in a task finds a module beside the start, else one in the spool directory, else a package"""
    d = h.mkdir("sp"); h.drop(d, PREFIX + "x")
    h.write("late_beside.py", "where = 'start'\n"); h.write("sp/late_beside.py", "where = 'spool'\n"); h.write("sp/late_there.py", "where = 'spool'\n"); h.write("sp/wsgiref.py", "where = 'spool'\n")
    i = h.start([("spooler", d), ("spooler-frequency", 60)], """
import uwsgi
from oracleobs import *
def h(env):
    for name in ('late_beside', 'late_there', 'wsgiref'): answer('import', name, lambda: getattr(__import__(name), 'where', 'library'))
    obs('end'); return -2
uwsgi.spooler = h
""")
    i.wait_obs("end")
    return {x["label"]: x["r"] for x in i.obs("import")}


@scenario()
def frequency_zero_spins(h):
    """spooler-frequency 0: a task that is retried runs again without any pause"""
    d = h.mkdir("sp"); h.drop(d, PREFIX + "x")
    i = h.start([("spooler", d), ("spooler-frequency", 0)], "import uwsgi\nfrom oracleobs import *\nn = 0\ndef h(env):\n    global n\n    n += 1\n    if n == 300: obs('many')\n    return -1\nuwsgi.spooler = h\n")
    return {"300_runs_in_10_s": i.wait_obs("many", 1, 10)}


@scenario()
def deco_with_an_external_spooler_only(h):
    """the decorators ask for the option spooler: an external one is not enough"""
    h.mkdir("ext")
    i = h.start([("spooler-external", h.path("ext"))], """
import uwsgi
from oracleobs import *
import uwsgidecorators as d
for name in ('spool', 'spoolraw', 'spoolforever'): answer('r', name, lambda: getattr(d, name)(lambda args: 1))
""", master=True)
    i.wait_obs("r", 3)
    return {x["label"]: x["r"] for x in i.obs("r")}


@scenario()
def handler_own_file_replaced(h):
    """another task is moved to the name of the running one, which is then done: the new file is removed unrun"""
    d = h.mkdir("sp"); h.drop(d, PREFIX + "x", vars=[(b"n", b"first")])
    i = h.start([("spooler", d), ("spooler-frequency", 1)], """
import uwsgi
from oracleobs import *
def h(env):
    obs('task', n=env[b'n']); obs('told')
    if env[b'n'] == b'first': await_cue('moved')
    obs('done'); return -2
uwsgi.spooler = h
""")
    i.wait_obs("task"); h.drop(d, PREFIX + "x", vars=[(b"n", b"second")]); i.cue("moved")
    i.wait_obs("done"); h.give_time(2.5)
    return {"ran": [x["n"] for x in i.obs("task")], "left": h.ls(d)}


@scenario()
def own_uwsgi_file(h):
    """a uwsgi.py of the app's own is never imported"""
    h.mkdir("sp"); h.write("uwsgi.py", "raise SystemExit('imported')\n")
    i = h.start([("spooler", "sp"), ("pythonpath", h.work)], "import uwsgi\nfrom oracleobs import *\nobs('app', module=uwsgi.SPOOL_OK)\n")
    i.wait_obs("app")
    return {"ok": [x["module"] for x in i.obs("app")]}


@scenario()
def lock_taken_twice(h):
    """uwsgi.lock() a second time in one worker: it waits for itself"""
    h.mkdir("sp")
    i = h.start([("spooler", "sp"), ("socket", h.path("s.sock"))], """
import uwsgi
from oracleobs import *
def pf():
    if uwsgi.worker_id() == 1: uwsgi.lock(); obs('once'); uwsgi.lock(); obs('twice')
uwsgi.post_fork_hook = pf
""")
    i.wait_obs("once"); h.give_time(2)
    return {"once": len(i.obs("once")), "twice": len(i.obs("twice"))}


@scenario()
def cache_and_metrics_not_configured(h):
    """their functions do nothing: no error"""
    d = h.mkdir("sp"); h.drop(d, PREFIX + "x")
    i = h.start([("spooler", d)], """
import uwsgi
from oracleobs import *
def h(env):
    answer('r', 'get', lambda: uwsgi.cache_get('a')); answer('r', 'set', lambda: uwsgi.cache_set('a', b'1')); answer('r', 'exists', lambda: uwsgi.cache_exists('a'))
    answer('r', 'metric_inc', lambda: uwsgi.metric_inc('a')); answer('r', 'metric_get', lambda: uwsgi.metric_get('a'))
    obs('end'); return -2
uwsgi.spooler = h
""")
    i.wait_obs("end")
    return {x["label"]: x["r"] for x in i.obs("r")}


@scenario(seconds=6)
def connection_opened_at_import(h):
    """a connection that the app makes while it is imported is one and the same in all spoolers"""
    d = h.mkdir("sp")
    for n in range(2): h.drop(d, f"{PREFIX}{n}")
    i = h.start([("spooler", d), ("spooler-processes", 2), ("spooler-frequency", 1)], """
import uwsgi, socket
from oracleobs import *
server = socket.create_server(('127.0.0.1', 0))
connection = socket.create_connection(server.getsockname())
def h(env): obs('task', inode=os.fstat(connection.fileno()).st_ino); busy(2); return -2
uwsgi.spooler = h
""")
    i.wait_obs("task", 2, 9)
    return {"processes": len({x["pid"] for x in i.obs("task")}), "sockets": len({x["inode"] for x in i.obs("task")})}


@scenario()
def option_of_a_later_release(h):
    """spooler-cheap: refused on the command line, without effect in a file"""
    d = h.mkdir("sp"); h.drop(d, PREFIX + "x")
    app = "import uwsgi\nfrom oracleobs import *\ndef h(env): obs('task'); return -2\nuwsgi.spooler = h\n"
    cli = h.start([("spooler", d), "spooler-cheap"], app); cli.wait_exit(6)
    ini = h.write("c.ini", f"[uwsgi]\nspooler = {d}\nspooler-cheap = true\n")
    i = h.start([("ini", ini)], app); i.wait_obs("task")
    return {"command_line": cli.p.returncode, "file": len(i.obs("task"))}
