"""Starting: imports and their failures, hooks, paths, options as the app sees them."""
import os

from ..harness import scenario
from ..packets import PREFIX
from ._common import clean

HANDLER = """
import uwsgi
from oracleobs import *
def h(env):
    obs('task', n=tname(env)); return -2
uwsgi.spooler = h
"""


def module(h, name, text):
    return h.write(name, "import uwsgi\nfrom oracleobs import *\n" + text)


@scenario()
def start_order(h):
    """in a spooler: the hook, then the spooler-imports in option order under all their names, then the first scan"""
    d = h.mkdir("sp"); h.drop(d, PREFIX + "x")
    for n in "bdaec":
        module(h, f"imp_{n}.py", f"obs('step', s='{n}', sp=uwsgi.i_am_the_spooler(), name=__name__.replace(os.environ['ORACLE_WORK'].replace('/', '_'), '@W'))\n")
    i = h.start([("spooler-import", "imp_b"), ("spooler-python-import", "imp_d"), ("spooler", d), ("spooler-py-import", "imp_a"), ("spooler-pyimport", "imp_e"), ("spooler-import", h.path("imp_c.py"))], """
import uwsgi
from oracleobs import *
obs('step', s='app', sp=uwsgi.i_am_the_spooler(), name=__name__)
def pf(): obs('step', s='hook', sp=uwsgi.i_am_the_spooler(), name='')
uwsgi.post_fork_hook = pf
def h(env): obs('step', s='task', sp=uwsgi.i_am_the_spooler(), name=''); obs('end'); return -2
uwsgi.spooler = h
""")
    i.wait_obs("end")
    return {"steps": [[s["s"], s["sp"], s["name"]] for s in i.obs("step")]}


@scenario()
def start_order_in_the_master(h):
    """several imports and shared-imports: order, process, names"""
    d = h.mkdir("sp")
    for n in ("one", "two", "three", "four"):
        module(h, f"imp_{n}.py", f"obs('step', s='{n}', master=os.getpid() == uwsgi.masterpid(), cwd=os.getcwd(), name=__name__.replace(os.environ['ORACLE_WORK'].replace('/', '_'), '@W'))\n")
    i = h.start([("spooler", d), ("import", "imp_one"), ("shared-import", "imp_two"), ("import", h.path("imp_three.py")), ("shared-import", "imp_four")], "import uwsgi\nfrom oracleobs import *\nobs('step', s='app', master=os.getpid() == uwsgi.masterpid(), cwd=os.getcwd(), name=__name__)\nuwsgi.post_fork_hook = lambda: obs('end')\n")
    i.wait_obs("end")
    return {"steps": [[s["s"], s["master"], s["cwd"], s["name"]] for s in i.obs("step")]}


@scenario()
def start_failing_import(h):
    """an import that raises, one that is missing: the traceback is printed, the others are loaded, tasks run"""
    d = h.mkdir("sp"); h.drop(d, PREFIX + "x")
    module(h, "bad.py", "obs('bad')\nraise RuntimeError('at import')\n")
    i = h.start([("spooler", d), ("import", "bad"), ("import", "no_such_module"), ("import", h.path("no_such_file.py"))], HANDLER)
    i.wait(lambda: i.obs("task") or not i.alive(), 6)
    return {"exit": i.p.poll(), "ran": [t["n"] for t in i.obs("task")], "bad": len(i.obs("bad")), "log": i.shapes("RuntimeError", "No module", "ModuleNotFound", "FileNotFound", "no_such", "failed")}


@scenario()
def start_failing_spooler_import(h):
    """the same for spooler-import"""
    d = h.mkdir("sp"); h.drop(d, PREFIX + "x")
    module(h, "bad.py", "obs('bad')\nraise RuntimeError('at import')\n"); module(h, "good.py", "obs('good')\n")
    i = h.start([("spooler", d), ("spooler-import", "bad"), ("spooler-import", "no_such_module"), ("spooler-import", "good")], HANDLER)
    i.wait(lambda: i.obs("task") or not i.alive(), 6)
    return {"ran": [t["n"] for t in i.obs("task")], "bad": len(i.obs("bad")), "good": len(i.obs("good")), "respawned": "OOOPS" in i.log(), "log": i.shapes("RuntimeError", "No module", "failed")}


@scenario()
def start_import_calls_sys_exit(h):
    """sys.exit at import, in the master and in a spooler-import"""
    out = {}
    for label, opt in (("import", "import"), ("shared-import", "shared-import")):
        d = h.mkdir("sp-" + label); h.drop(d, PREFIX + "x")
        module(h, "leaves.py", "import sys\nsys.exit(3)\n")
        i = h.start([("spooler", d), (opt, "leaves")], HANDLER)
        i.wait(lambda i=i: i.obs("task") or not i.alive(), 5); h.give_time(.2)
        out[label] = {"exit": i.p.poll(), "ran": [t["n"] for t in i.obs("task")]}
        i.stop()
    return out


@scenario()
def start_syntax_error(h):
    d = h.mkdir("sp"); h.drop(d, PREFIX + "x")
    i = h.start([("spooler", d), ("spooler-frequency", 1)], "import uwsgi\ndef h(:\n    pass\n")
    i.wait_log("unable to find", 1, 6)
    return {"alive": i.alive(), "left": h.ls(d), "log": i.shapes("SyntaxError", "unable to find")}


@scenario()
def start_failing_hook(h):
    """post_fork_hook raises: printed, the spooler goes on"""
    d = h.mkdir("sp"); h.drop(d, PREFIX + "x")
    i = h.start([("spooler", d)], HANDLER + "def pf(): 1 / 0\nuwsgi.post_fork_hook = pf\n")
    i.wait(lambda: i.obs("task"), 5); h.give_time(.2)
    return {"ran": [t["n"] for t in i.obs("task")], "log": i.shapes("ZeroDivisionError", "OOOPS", "Traceback")}


@scenario()
def start_module_and_wsgi_file(h):
    """an app given as module or file, with a web worker: loaded once, before the forks; its handler serves the spooler"""
    h.write("webapp.py", HANDLER + "obs('load', worker=uwsgi.worker_id(), sp=uwsgi.i_am_the_spooler(), master=os.getpid() == uwsgi.masterpid())\ndef application(e, s): pass\nother = application\n")
    runs = {}
    for opt, value in (("module", "webapp"), ("module", "webapp:other"), ("wsgi", "webapp"), ("wsgi-file", h.path("webapp.py"))):
        label = f"{opt} {os.path.basename(value)}"
        d = h.mkdir("sp-" + label); h.drop(d, PREFIX + "x")
        runs[label] = h.start([("spooler", d), ("socket", h.path(f"{len(runs)}.sock")), (opt, value)], None)
    out = {}
    for label, i in runs.items():
        i.wait_obs("task", 1, 6)
        out[label] = {"ran": [t["n"] for t in i.obs("task")], "loads": [clean(x) for x in i.obs("load")]}
    return out


@scenario()
def start_mounted(h):
    """an app at a mountpoint, without a socket: a file or MODULE:CALLABLE is loaded before the forks, each of them; a plain module is not"""
    h.write("webapp.py", HANDLER + "obs('load', name=__name__, worker=uwsgi.worker_id(), master=os.getpid() == uwsgi.masterpid())\ndef application(e, s): pass\nother = application\n")
    h.write("second.py", "from oracleobs import *\nobs('load', name=__name__)\ndef application(e, s): pass\n")
    webapp = h.path("webapp.py")
    runs = {}
    for label, mounts in (("file", [f"/={webapp}"]), ("callable", ["/=webapp:other"]), ("two", ["/a=second:application", f"/b={webapp}"]), ("plain", ["/=webapp"])):
        d = h.mkdir("sp-" + label); h.drop(d, PREFIX + "x")
        runs[label] = h.start([("spooler", d), *(("mount", m) for m in mounts)], None)
    out = {}
    for label, i in runs.items():
        if label == "plain":
            i.wait_log("unable to find", 1, 6)
        else:
            i.wait_obs("task", 1, 6)
        loads = [clean(x) for x in i.obs("load")]
        for load in loads:
            load["name"] = load["name"].rpartition("_")[2]
        out[label] = {"ran": [t["n"] for t in i.obs("task")], "loads": loads, "log": i.shapes("unable to find")}
    return out


@scenario()
def start_argv_and_main(h):
    """what sys and __main__ look like to the app and to a task"""
    h.not_with_pyuwsgi("its __main__ is the console script")
    d = h.mkdir("sp"); h.drop(d, PREFIX + "x")
    i = h.start([("spooler", d)], """
import uwsgi, sys
from oracleobs import *
def look(where):
    m = sys.modules.get('__main__')
    obs('look', where=where, argv=sys.argv, main_file=getattr(m, '__file__', None), main=m is not None, name=__name__, mine='oracleapp1' in sys.modules, uwsgi_main=hasattr(m, 'main'), flags=[sys.flags.optimize, sys.flags.interactive], tracebacklimit=getattr(sys, 'tracebacklimit', None))
look('import')
def h(env): look('task'); return -2
uwsgi.spooler = h
""")
    i.wait_obs("look", 2)
    return {x["where"]: {k: v for k, v in clean(x).items() if k != "where"} for x in i.obs("look")}


@scenario()
def start_pythonpath(h):
    """where modules come from: pythonpath options first, then the directory of the task itself"""
    for n in ("one", "two"):
        h.mkdir(n); module(h, n + "/which.py", f"V = '{n}'\n")
    d = h.mkdir("sp"); h.drop(d, PREFIX + "x"); module(h, "sp/only_here.py", "V = 'spool directory'\n"); module(h, "sp/which.py", "V = 'spool directory'\n")
    i = h.start([("spooler", d), ("pythonpath", h.path("one")), ("pp", h.path("two"))], """
import uwsgi, sys
from oracleobs import *
W = os.environ['ORACLE_WORK']
obs('path', p=[x.replace(W, '@W') for x in sys.path if x in ('', '.') or x.startswith((W + '/one', W + '/two'))])
def h(env):
    import which
    try:
        import only_here; here = only_here.V
    except ImportError: here = None
    obs('task', which=which.V, here=here); return -2
uwsgi.spooler = h
""")
    i.wait_obs("task")
    return {"path": i.obs("path")[0]["p"], "task": clean(i.obs("task")[0])}


@scenario()
def start_chdir(h):
    """chdir: where the app is imported, where a relative spooler path lands, what uwsgi.opt shows"""
    h.mkdir("elsewhere"); module(h, "elsewhere/there.py", "obs('there')\n")
    i = h.start([("chdir", h.path("elsewhere")), ("spooler", "sp"), ("import", "there")], """
import uwsgi
from oracleobs import *
obs('m', cwd=os.getcwd(), s=uwsgi.spoolers, o=uwsgi.opt.get('spooler'), made=os.path.isdir(os.environ['ORACLE_WORK'] + '/sp'))
uwsgi.post_fork_hook = lambda: obs('pf', cwd=os.getcwd())
def h(env): obs('task', cwd=os.getcwd()); return -2
uwsgi.spooler = h
uwsgi.spool({b'a': b'1'})
""")
    i.wait_obs("task"); i.wait_obs("pf")
    return {"import": clean(i.obs("m")[0]), "there": len(i.obs("there")), "hook": i.obs("pf")[0]["cwd"], "task": i.obs("task")[0]["cwd"]}


@scenario()
def start_opt(h):
    """uwsgi.opt of a command line with flags, repeats, values with equal signs and placeholders; env in os.environ"""
    h.not_with_pyuwsgi("os.environ was read before the option `env` is")
    h.mkdir("a")
    i = h.start([("spooler", "a"), "spooler-ordered", ("spooler-frequency", "07"), ("env", "OX=1=2"), ("env", "OY=two"), "die-on-term", ("set-placeholder", "here=there"), ("spooler-chdir", "%(here)"), ("harakiri", "30"), "spooler-quiet"], """
import uwsgi
from oracleobs import *
obs('o', o={k: v for k, v in uwsgi.opt.items() if k not in ('import',)}, order=[k for k in uwsgi.opt if k.startswith('spooler')], env=[os.environ.get('OX'), os.environ.get('OY')], type=type(uwsgi.opt).__name__, same=uwsgi.opt is uwsgi.opt)
""")
    i.wait_obs("o")
    return clean(i.obs("o")[0])


@scenario()
def start_opt_ini(h):
    """uwsgi.opt of an ini file: placeholders, a repeated key, a flag without a value, the ini option itself"""
    h.mkdir("a"); h.mkdir("b")
    h.write("c.ini", "[uwsgi]\nbase = a\nmaster = yes\nspooler = %(base)\nspooler = b\nspooler-ordered =\nspooler-quiet = false\nsomething-unknown = kept\nspooler-frequency = 5\n")
    i = h.start([("ini", "c.ini")], "import uwsgi\nfrom oracleobs import *\nobs('o', o=uwsgi.opt, s=uwsgi.spoolers)\n", master=False)
    i.wait_obs("o")
    return clean(i.obs("o")[0])


@scenario()
def start_versions(h):
    """types and shapes of version, version_info, hostname, and the small functions, in the master and in a task"""
    d = h.mkdir("sp"); h.drop(d, PREFIX + "x")
    i = h.start([("spooler", d)], """
import uwsgi, socket
from oracleobs import *
def look(where):
    obs('v', where=where, version=[type(uwsgi.version).__name__, uwsgi.version[:4]], info=[type(uwsgi.version_info).__name__, [type(x).__name__ for x in uwsgi.version_info], list(uwsgi.version_info[:2])],
        hostname=[type(uwsgi.hostname).__name__, uwsgi.hostname.decode() == socket.gethostname()], masterpid=uwsgi.masterpid() == (os.getpid() if where == 'import' else os.getppid()), worker=uwsgi.worker_id(), mule=uwsgi.mule_id(),
        spooler=uwsgi.i_am_the_spooler(), constants=[uwsgi.SPOOL_OK, uwsgi.SPOOL_RETRY, uwsgi.SPOOL_IGNORE], spoolers=type(uwsgi.spoolers).__name__, numproc=uwsgi.numproc, cores=uwsgi.cores, reload=uwsgi.is_a_reload, sockets=uwsgi.sockets, buffer=uwsgi.buffer_size,
        micros=type(uwsgi.micros()).__name__, requests=uwsgi.total_requests(), request_id=uwsgi.request_id(), started=abs(uwsgi.started_on - time.time()) < 60, loop=uwsgi.loop, apps=uwsgi.applications)
look('import')
def h(env): look('task'); return -2
uwsgi.spooler = h
""")
    i.wait_obs("v", 2)
    return {x["where"]: {k: v for k, v in clean(x).items() if k != "where"} for x in i.obs("v")}


@scenario()
def start_log_function(h):
    """uwsgi.log: what it returns, takes and writes"""
    h.mkdir("sp")
    i = h.start([("spooler", "sp")], """
import uwsgi
from oracleobs import *
for label, a in (('str', ('LOGGED str',)), ('unicode', ('LOGGED \\u00e9',)), ('empty', ('',)), ('newline', ('LOGGED with newline\\n',)), ('bytes', (b'LOGGED bytes',)), ('None', (None,)), ('int', (5,)), ('none', ()), ('two', ('a', 'b')), ('percent', ('LOGGED %s %d',)), ('nul', ('LOGGED nul\\0x',))):
    answer('log', label, lambda: uwsgi.log(*a))
obs('end')
""")
    i.wait_obs("end"); h.give_time(.2)
    return {"returns": {x["label"]: x["r"] for x in i.obs("log")}, "log": i.shapes("LOGGED")}


@scenario()
def start_no_app(h):
    """a spooler without any app: it runs, and says so for each task"""
    d = h.mkdir("sp"); h.drop(d, PREFIX + "x")
    i = h.start([("spooler", d), ("spooler-frequency", 1)], None)
    i.wait_log("unable to find", 2, 6)
    return {"alive": i.alive(), "left": h.ls(d), "log": i.shapes("unable to find", "managing", "done with")}


@scenario()
def start_lazy_spooler_import(h):
    """a module both imported in the master and named by spooler-import is not loaded twice"""
    d = h.mkdir("sp"); h.drop(d, PREFIX + "x")
    i = h.start([("spooler", d), ("spooler-import", "oracleapp1")], HANDLER + "obs('load', sp=uwsgi.i_am_the_spooler())\n")
    i.wait_obs("task")
    return {"loads": [x["sp"] for x in i.obs("load")], "ran": [t["n"] for t in i.obs("task")]}


@scenario()
def start_several_directories_in_ini(h):
    """an ini file with a loop over directories and a condition"""
    for n in ("one", "two"):
        h.drop(h.mkdir(n), PREFIX + n)
    h.write("c.ini", "[uwsgi]\nmaster = true\nfor = one two\nspooler = %d%(_)\nendfor =\nif-env = ORACLE_WORK\nspooler-frequency = 60\nendif =\nif-exists = %d/nothing\nspooler-frequency = 1\nendif =\n")
    i = h.start([("ini", "c.ini")], HANDLER + "obs('s', s=uwsgi.spoolers, f=uwsgi.opt.get('spooler-frequency'))\n", master=False)
    i.wait_obs("task", 2)
    return {"spoolers": clean(i.obs("s")[0]), "ran": sorted(t["n"] for t in i.obs("task"))}


@scenario()
def start_twice_on_the_same_directory(h):
    """two instances on one directory at the same time: each task once"""
    d = h.mkdir("sp")
    for n in range(10):
        h.drop(d, PREFIX + str(n))
    app = "import uwsgi\nfrom oracleobs import *\ndef h(e):\n    obs('task', n=tname(e)); busy(.2); return -2\nuwsgi.spooler = h\n"
    both = [h.start([("spooler", d), ("spooler-frequency", 1)], app) for _ in range(2)]
    h.wait(lambda: sum(len(i.obs("task")) for i in both) >= 10, 12)
    left = h.wait_left(d, 0)
    return {"tasks": sorted(t["n"] for i in both for t in i.obs("task")), "left": left, "log": [i.shapes("horrible", "unlink", "OOOPS") for i in both]}


@scenario()
def start_on_leftovers(h):
    """files of a former life, of other hosts and pids, run; what is no task stays"""
    d = h.mkdir("sp")
    names = [PREFIX + "elsewhere_1_1_1_1_1", PREFIX + "host_with_underscores_99999_3_1_1700000000_5", PREFIX + "x"]
    for n in [*names, "notes.txt", ".hidden", "core"]:
        h.drop(d, n)
    os.mkdir(os.path.join(d, "subdir"))
    i = h.start([("spooler", d), ("spooler-frequency", 1)], HANDLER.replace("n=tname(env)", "n=env['spooler_task_name']"))
    i.wait_obs("task", 3); h.give_time(.3)
    return {"ran": sorted(t["n"] for t in i.obs("task")), "left": sorted(os.listdir(d))}
