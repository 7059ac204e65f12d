"""Kinds of handlers, what they raise, and when and where they are set."""
from ..harness import scenario
from ..packets import PREFIX
from ._common import clean
from .s_ret import death

KINDS = {
    "lambda": "uwsgi.spooler = lambda env: (obs('task', n=tname(env)), -2)[1]",
    "callable object": "class C:\n    def __call__(self, env): obs('task', n=tname(env)); return -2\nuwsgi.spooler = C()",
    "bound method": "class C:\n    def m(self, env): obs('task', n=tname(env)); return -2\nuwsgi.spooler = C().m",
    "class": "class C:\n    def __init__(self, env): obs('task', n=tname(env))\nuwsgi.spooler = C",
    "int class": "class C(int):\n    def __new__(cls, env): obs('task', n=tname(env)); return int.__new__(cls, -2)\nuwsgi.spooler = C",
    "partial": "import functools\ndef f(x, env): obs('task', n=tname(env)); return -2\nuwsgi.spooler = functools.partial(f, 1)",
    "default argument": "def f(env, x=1): obs('task', n=tname(env)); return -2\nuwsgi.spooler = f",
    "star arguments": "def f(*a, **kw): obs('task', n=tname(a[0]), len=len(a), kw=kw); return -2\nuwsgi.spooler = f",
    "no argument": "def f(): obs('task', n='x'); return -2\nuwsgi.spooler = f",
    "two arguments": "def f(a, b): obs('task', n='x'); return -2\nuwsgi.spooler = f",
    "generator": "def f(env):\n    obs('task', n=tname(env)); yield -2\nuwsgi.spooler = f",
    "builtin": "uwsgi.spooler = len",
    "None": "uwsgi.spooler = None",
    "text": "uwsgi.spooler = 'h'",
    "deleted": "uwsgi.spooler = lambda env: -2\ndel uwsgi.spooler",
}


@scenario(seconds=8)
def handler_kinds(h):
    """which objects can be the handler, and what becomes of the task"""
    out = {}
    kinds = list(KINDS.items())
    for part in (kinds[:5], kinds[5:10], kinds[10:]):
        runs = {}
        for label, code in part:
            d = h.mkdir("sp-" + label.replace(" ", "")); h.drop(d, PREFIX + "x")
            runs[label] = d, h.start([("spooler", d), ("spooler-frequency", 60)], "import uwsgi\nfrom oracleobs import *\n" + code + "\n")
        for _, i in runs.values():
            i.wait_log("spawned the uWSGI spooler"); i.wait(lambda i=i: i.obs("task") or "managing request" in i.log(), 5)
        h.give_time(.5)
        for label, (d, i) in runs.items():
            out[label] = {"calls": [clean(t) for t in i.obs("task")], "left": len(h.ls(d)), "log": i.shapes("TypeError", "unable to find", "done with", "Warning", "OOOPS")}
            i.stop()
    return out


@scenario()
def handler_replaced(h):
    """the handler assigned within a task, deleted, assigned again: looked up for each task"""
    d = h.mkdir("sp")
    for n in "12345":
        h.drop(d, PREFIX + n)
    i = h.start([("spooler", d), ("spooler-frequency", 60), "spooler-ordered"], """
import uwsgi
from oracleobs import *
def second(env):
    obs('task', n=tname(env), by='second')
    if tname(env) == '3': uwsgi.spooler = None
    return -2
def h(env):
    obs('task', n=tname(env), by='first')
    if tname(env) == '2': uwsgi.spooler = second
    return -2
uwsgi.spooler = h
""")
    i.wait_obs("task", 3); i.wait_log("managing request", 5, 3); h.give_time(.3)
    return {"tasks": [[t["n"], t["by"]] for t in i.obs("task")], "left": h.ls(d), "log": i.shapes("unable to find", "TypeError")}


@scenario()
def handler_set_in_post_fork_hook(h):
    d = h.mkdir("sp"); h.drop(d, PREFIX + "x")
    i = h.start([("spooler", d)], """
import uwsgi
from oracleobs import *
def pf():
    def h(env): obs('task', n=tname(env)); return -2
    uwsgi.spooler = h
uwsgi.post_fork_hook = pf
""")
    i.wait_obs("task")
    return {"ran": [t["n"] for t in i.obs("task")], "left": h.wait_left(d, 0)}


@scenario()
def handler_set_by_spooler_import(h):
    """a spooler-import replaces the handler that the app set in the master; workers keep theirs"""
    d = h.mkdir("sp"); h.drop(d, PREFIX + "x")
    h.write("later.py", "import uwsgi\nfrom oracleobs import *\ndef h(env): obs('task', by='later'); return -2\nuwsgi.spooler = h\n")
    i = h.start([("spooler", d), ("spooler-import", "later")], "import uwsgi\nfrom oracleobs import *\ndef h(env): obs('task', by='app'); return -2\nuwsgi.spooler = h\n")
    i.wait_obs("task")
    return {"by": [t["by"] for t in i.obs("task")], "left": h.wait_left(d, 0)}


def raising(h, body, runs=2):
    d = h.mkdir("sp"); h.drop(d, PREFIX + "a-bad"); h.drop(d, PREFIX + "b-good")
    i = h.start([("spooler", d), ("spooler-frequency", 1), "spooler-ordered"], """
import uwsgi, sys
from oracleobs import *
def inner(env):
    %s
def h(env):
    obs('task', n=tname(env))
    if 'bad' in tname(env): inner(env)
    return -2
uwsgi.spooler = h
""" % body.replace("\n", "\n    "))
    i.wait(lambda: sum(t["n"] == "a-bad" for t in i.obs("task")) >= runs, 8); h.give_time(.2)
    return i, {"good_ran": "b-good" in [t["n"] for t in i.obs("task")], "one_process": len({t["pid"] for t in i.obs("task")}) == 1, "left": h.ls(d)}


@scenario()
def handler_keyboard_interrupt(h):
    i, r = raising(h, "raise KeyboardInterrupt('typed')")
    return r | {"log": i.shapes("KeyboardInterrupt", "Traceback", "OOOPS")}


@scenario()
def handler_base_exceptions(h):
    """GeneratorExit and a BaseException of the app's own"""
    i, r = raising(h, "class Own(BaseException): pass\nraise (GeneratorExit if int(time.time()) % 2 else Own)('x')", 3)
    return r | {"process_died": "OOOPS" in i.log()}


@scenario()
def handler_traceback(h):
    """how the traceback of a failing task looks: a cause, a context, a note"""
    i, r = raising(h, "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    x = ValueError('bad value')\n    x.add_note('a note about it')\n    raise x from e")
    lines = i.log().splitlines()
    begin = next(n for n, line in enumerate(lines) if line.startswith("Traceback"))
    end = next(n for n, line in enumerate(lines) if n > begin and line.startswith("a note"))
    return r | {"printed": [h.shape(line) for line in lines[begin:end + 1] if not set(line.strip()) <= set("^~")]}


@scenario()
def handler_syntax_error(h):
    """a task that compiles broken text; a recursion without end (what is printed depends on the Python release)"""
    i, r = raising(h, "def deeper(): deeper()\nexec('a b') if count('task') % 2 else deeper()", 3)
    i.wait_log("RecursionError: ", 1, 5)
    return r | {"printed": {x: x in i.log() for x in ("SyntaxError: invalid syntax", "RecursionError: ", "OOOPS")}}


@scenario()
def handler_system_exit_text(h):
    """sys.exit with a text: is it printed, does the process end"""
    i, r = death(h, "sys.exit('the reason')")
    return r | {"text_printed": "the reason" in i.log()}


@scenario()
def handler_system_exit_from_thread(h):
    """sys.exit in a thread of the task ends only the thread"""
    i, r = raising(h, "import threading\nt = threading.Thread(target=sys.exit, args=(3,)); t.start(); t.join()\nobs('joined')", 1)
    return r | {"joined": len(i.obs("joined")), "log": i.shapes("OOOPS", "Exception in thread")}


@scenario()
def handler_segfault(h):
    """the process is killed by SIGSEGV"""
    return death(h, "os.kill(os.getpid(), signal.SIGSEGV)")[1]


@scenario()
def handler_prints(h):
    """what a task prints on stdout and stderr, and what uwsgi.log() and logging write, comes out, in this order"""
    d = h.mkdir("sp"); h.drop(d, PREFIX + "x")
    i = h.start([("spooler", d), ("spooler-frequency", 60)], """
import uwsgi, sys, logging
from oracleobs import *
def h(env):
    print('one to stdout', flush=True); print('two to stderr', file=sys.stderr, flush=True); uwsgi.log('three by log'); logging.warning('four by logging'); os.write(1, b'five by write\\n')
    obs('task', out=sys.stdout.fileno(), err=sys.stderr.fileno(), tty=sys.stdout.isatty()); return -2
uwsgi.spooler = h
""")
    i.wait_obs("task"); h.wait_left(d, 0)
    return clean(i.obs("task")[0]) | {"printed": [x for x in i.log().splitlines() if x.split()[-1:] and any(w in x for w in ("one to", "two to", "three by", "four by", "five by"))]}


@scenario()
def handler_reads_stdin(h):
    """the standard input of a task is empty, also when the instance has one"""
    d = h.mkdir("sp"); h.drop(d, PREFIX + "x")
    with open(h.write("input", "typed by somebody\n"), "rb") as stdin:
        i = h.start([("spooler", d), ("spooler-frequency", 60)], """
import uwsgi, sys
from oracleobs import *
def h(env):
    obs('task', read=os.read(0, 100), link=os.readlink('/proc/self/fd/0')); return -2
uwsgi.spooler = h
""", stdin=stdin)
        i.wait_obs("task")
    return clean(i.obs("task")[0])


@scenario()
def ret_numbers_more(h):
    """objects that are nearly numbers"""
    d = h.mkdir("sp")
    names = ["index", "intmethod", "intenum", "decimal", "complex", "minus2p32", "minus32m2", "bytesnum", "tuple", "longmax", "longmin"]
    for n in names:
        h.drop(d, PREFIX + n)
    i = h.start([("spooler", d), ("spooler-frequency", 1)], """
import uwsgi, enum, decimal
from oracleobs import *
class Index:
    def __index__(self): return -2
class IntMethod:
    def __int__(self): return -2
class E(enum.IntEnum): OK = -2
V = {'index': Index(), 'intmethod': IntMethod(), 'intenum': E.OK, 'decimal': decimal.Decimal(-2), 'complex': -2+0j, 'minus2p32': -2 - 2**32, 'minus32m2': -2**32, 'bytesnum': b'-2', 'tuple': (-2,), 'longmax': 2**63 - 1, 'longmin': -2**63}
def h(env):
    n = tname(env); obs('task', n=n); return V[n]
uwsgi.spooler = h
""")
    i.wait(lambda: sum(t["n"] == "tuple" for t in i.obs("task")) >= 3, 8); h.give_time(.2)
    left = h.ls(d)
    runs = [t["n"] for t in i.obs("task")]
    return {"kept": {n: PREFIX + n in left for n in names}, "again": {n: runs.count(n) > 1 for n in names}, "log": i.shapes("Error", "unable to find")}
