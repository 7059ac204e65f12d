"""uwsgidecorators, networked spooling, stats, configuration files, log lines."""
import json
import signal
import socket

from ..harness import Unavailable, scenario
from ..packets import PREFIX, packet
from ._common import clean

DECO = """
import uwsgi, time
from oracleobs import *
from uwsgidecorators import *
def seen(kind, **kw): obs(kind, sp=uwsgi.i_am_the_spooler(), **kw)
"""


def deco(h, code, n=1, kind="task", opts=(), secs=6, settle=.4):
    d = h.mkdir("sp")
    i = h.start([("spooler", d), ("spooler-frequency", 1)] + list(opts), DECO + code)
    i.wait_obs(kind, n, secs)
    h.give_time(settle)
    return i, d


@scenario()
def deco_spool(h):
    i, d = deco(h, """
@spool
def f(args):
    seen('task', args=args); return None
obs('r', type=type(f).__name__, spool=repr(f.f.spool == f.__call__), has_spool=hasattr(f, 'spool'), ret=type(f(a='1', b='2')).__name__)
f({'x': 'y', 'z': b'bytes'})
f({'x': 'y'}, x='kw wins')
f.spool(c='3')
f.f.spool(d='4')
f()
""", 6)
    return {"facts": clean(i.obs("r")[0]), "tasks": sorted((t["args"] for t in i.obs("task")), key=str), "left": h.ls(d)}


@scenario()
def deco_spool_errors(h):
    """@spool and: an exception, a return value, an int argument, an object argument"""
    i, d = deco(h, """
@spool
def boom(args):
    seen('task', n='boom'); 1/0
@spool
def retry(args):
    seen('task', n='retry'); return uwsgi.SPOOL_RETRY
@spool
def target(args): seen('task', n='target')
boom(x='1'); retry(x='1')
for label, f in (('int', lambda: target(a=1)), ('none', lambda: target(a=None)), ('list', lambda: target(a=['q'])), ('positional str', lambda: target('x')), ('two positional', lambda: target({'a': 'b'}, {'c': 'd'}))):
    try: f(); obs('e', label=label, e='accepted')
    except Exception as e: obs('e', label=label, e=repr(e))
""", 4, settle=1.5)
    runs = [t["n"] for t in i.obs("task")]
    return {"boom_repeats": runs.count("boom") > 1, "retry_repeats": runs.count("retry") > 1, "target_runs": runs.count("target"), "errors": {x["label"]: x["e"] for x in i.obs("e")}, "left": h.ls(d)}


@scenario()
def deco_spoolraw(h):
    i, d = deco(h, """
@spoolraw
def ok(args): seen('task', n='ok'); return uwsgi.SPOOL_OK
@spoolraw
def none(args): seen('task', n='none')
@spoolraw
def ign(args): seen('task', n='ign'); return uwsgi.SPOOL_IGNORE
@spoolraw
def rt(args): seen('task', n='rt'); return uwsgi.SPOOL_RETRY
@spoolraw
def text(args): seen('task', n='text'); return '-2'
@spoolraw
def chosen(args): seen('task', n='chosen'); return -1
ok(x='1'); none(x='1'); ign(x='1'); rt(x='1'); text(x='1'); chosen(ud_spool_ret='-2')
""", 14)
    runs = [t["n"] for t in i.obs("task")]
    return {"repeats": {n: runs.count(n) > 1 for n in ("ok", "none", "ign", "rt", "text", "chosen")}, "left": len(h.ls(d)), "log": sorted(i.shapes("TypeError", "unable to find"))}


@scenario()
def deco_pass_arguments(h):
    i, d = deco(h, """
@spool(pass_arguments=True)
def f(*a, **kw):
    seen('task', a=a, kw=kw, types=[type(x).__name__ for x in a])
f(1, 'two', b'three', [4], k={'x': None})
f()
f('prio', priority='4', at=str(int(time.time()) - 5), body='zz')
for label, fn in (('lambda', lambda: f(lambda: 1)), ('at int', lambda: f(1, at=5)), ('at float', lambda: f(1, at=5.0)), ('at bytes', lambda: f('atbytes', at=b'5')), ('big', lambda: f('x' * 70000)), ('message_dict', lambda: f('md', message_dict={'a': 'b'}))):
    try: fn(); obs('e', label=label, e='accepted')
    except Exception as e: obs('e', label=label, e='an exception of pickle' if label == 'lambda' else repr(e)[:150])
@spoolraw(pass_arguments=True)
def raw(x):
    seen('raw', x=x); return uwsgi.SPOOL_OK
raw(5)
""", 4, opts=["spooler-ordered"], settle=1.2)
    return {"tasks": sorted((clean(t) for t in i.obs("task")), key=str), "raw": len(i.obs("raw")), "errors": {x["label"]: x["e"] for x in i.obs("e")}, "left": h.ls(d), "log": i.shapes("TypeError", "uwsgi-spooler", "UnpicklingError")}


@scenario()
def deco_unknown_function(h):
    d = h.mkdir("sp")
    h.drop(d, PREFIX + "nofunc", vars=[(b"ud_spool_func", b"gone"), (b"ud_spool_ret", b"-2")])
    h.drop(d, PREFIX + "nokey", vars=[(b"x", b"y")])
    i = h.start([("spooler", d), ("spooler-frequency", 1)], DECO)
    i.wait_log("KeyError", 4)
    return {"left": h.ls(d), "log": i.shapes("KeyError", "unable to find"), "repeats": i.log().count("KeyError") > 2}


@scenario()
def deco_targets(h):
    """timer, rbtimer, cron, signal, filemon decorators to the spooler; postfork; lock; harakiri"""
    h.write("w", "")
    i, d = deco(h, """
@timer(1, target='spooler')
def t(num): seen('timer', num=num)
@rbtimer(1, target='spooler')
def rb(num): seen('rb', num=num)
@signal(17, target='spooler')
def sg(num): seen('signal', num=num)
@filemon(os.environ['ORACLE_WORK'] + '/w', target='spooler')
def fm(num): seen('filemon', num=num)
@cron(-1, -1, -1, -1, -1, target='spooler')
def cr(num): seen('cron', num=num)
@postfork
def pf(): seen('postfork')
@lock
def locked(): return 'ran'
@harakiri(5)
def hk(x): return x + 1
@spool
def task(args): seen('task', locked=locked(), hk=hk(1)); uwsgi.signal(17)
task(a='1')
obs('names', timer=t.__name__, lock=type(locked).__name__, master_locked=locked())
""", 2, "timer", settle=1)
    h.write("w", "x")
    i.wait_obs("filemon", 1, 5)
    return {k: {"num": i.obs(k)[0].get("num"), "sp": i.obs(k)[0].get("sp")} if i.obs(k) else None for k in ("timer", "rb", "signal", "filemon", "postfork")} | {"task": clean(i.obs("task")[0]), "names": clean(i.obs("names")[0]), "log": i.shapes("uwsgi-signal")}


def ask(path, data, wait=2, half=False):
    out = b""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(wait)
        s.connect(path)
        s.sendall(data)
        if half:
            s.shutdown(socket.SHUT_WR)
        try:
            while b := s.recv(100):
                out += b
        except TimeoutError:
            out += b"<timeout>"
        except OSError as e:
            out += b"<" + type(e).__name__.encode() + b">"
    return list(out) if b"<" not in out else out.decode("latin-1")


@scenario()
def net_spool(h):
    """modifier1 17 packets to a unix socket"""
    d = h.mkdir("sp")
    i = h.start([("spooler", d), ("socket", h.path("s.sock")), ("spooler-frequency", 1)], """
import uwsgi
from oracleobs import *
def h(env): obs('task', env=env); return -2
uwsgi.spooler = h
""")
    i.wait_log("spawned uWSGI worker"); h.give_time(.5)
    s = h.path("s.sock")
    r = {"plain": ask(s, packet([(b"a", b"1")])), "with body bytes after": ask(s, packet([(b"a", b"2")]) + b"BODY"), "body key": ask(s, packet([(b"a", b"3"), (b"body", b"B")])),
         "unknown spooler": ask(s, packet([(b"a", b"4"), (b"spooler", b"/nope")])), "empty": ask(s, packet([])), "modifier2": ask(s, packet([(b"a", b"5")], modifier2=1)),
         "broken vars": ask(s, b"\x11\x04\x00\x00" + b"\x50\x00ab"), "at and priority": ask(s, packet([(b"a", b"6"), (b"at", b"5")])), "over buffer-size": ask(s, packet([(b"a", b"x" * 5000)])),
         "short then closed": ask(s, packet([(b"a", b"7")], pktsize=100), half=True)}
    i.wait_obs("task", 6); h.give_time(1.3)
    return {"answers": r, "tasks": sorted((t["env"] for t in i.obs("task")), key=str), "left": h.ls(d), "log": i.shapes("uwsgi-spooler", "written", "invalid request", "spooler is inactive", "disconnected")}


@scenario()
def net_spool_without_spooler(h):
    i = h.start([("socket", h.path("s.sock"))], "import uwsgi\n")
    i.wait_log("spawned uWSGI worker"); h.give_time(.5)
    return {"answer": ask(h.path("s.sock"), packet([(b"a", b"1")])), "log": i.shapes("inactive")}


def rawstats(h):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(3)
        s.connect(h.path("stats.sock"))
        data = b""
        while b := s.recv(65536):
            data += b
    return data


def statsof(h):
    return json.loads(rawstats(h))


@scenario()
def stats_json(h):
    d = h.mkdir("sp")
    for n in range(3):
        h.drop(d, PREFIX + "t%d" % n)
    i = h.start([("spooler", d), ("spooler-external", h.mkdir("ext")), ("spooler-frequency", 60), ("stats", h.path("stats.sock")), ("socket", h.path("s.sock"))], """
import uwsgi, time
from oracleobs import *
def h(env): obs('task'); busy(0 if count('task') < 3 else 4); return -2
uwsgi.spooler = h
""")
    i.wait_obs("task", 3); i.wait(lambda: statsof(h)["spoolers"][0]["running"] == 1 and statsof(h)["workers"])
    data = rawstats(h)
    j = json.loads(data)
    sp = j["spoolers"]
    pid = sp[0].pop("pid")
    out = {"top_level_keys": sorted(j), "spoolers": sp, "spoolers_key_order": list(json.loads(data)["spoolers"][0]), "pid_is_the_spooler": pid == i.obs("task")[0]["pid"], "worker_keys": sorted(j["workers"][0]), "types": {k: type(v).__name__ for k, v in j.items()},
           "core_keys": sorted(j["workers"][0]["cores"][0]), "lock_names": [list(x)[0] for x in j["locks"]], "raw_http_headers": not data.startswith(b"{")}
    return out


CONFIGS = {
    "ini": "[uwsgi]\n; comment\n# comment\nmaster = true\nspooler = WORK/sp\nspooler-frequency=7\nspooler_max_tasks = 4\n[other]\nspooler = /nope\n",
    "yaml": "uwsgi:\n  master: true\n  spooler: WORK/sp\n  spooler-frequency: 7\n  spooler-max-tasks: 4\n",
    "json": '{"uwsgi": {"master": true, "spooler": ["WORK/sp"], "spooler-frequency": 7, "spooler-max-tasks": "4"}}',
    "xml": "<uwsgi><master/><spooler>WORK/sp</spooler><spooler-frequency>7</spooler-frequency><spooler-max-tasks>4</spooler-max-tasks></uwsgi>",
}


def config_of(h, ext):
    p = h.write("c." + ext, CONFIGS[ext].replace("WORK", h.mkdir("sp")[:-3]))
    i = h.start([(ext, p)], "import uwsgi\nfrom oracleobs import *\nobs('o', o=uwsgi.opt, s=uwsgi.spoolers)\n", master=False)
    i.wait(lambda: i.obs("o") or not i.alive(), 4)
    o = i.obs("o")
    return {"exit": i.p.poll(), "opt": {k: v for k, v in o[0]["o"].items() if "spooler" in k or k == "str:master"} if o else None, "spoolers": o[0]["s"] if o else None, "log": [] if o else i.shapes("unrecognized", "unavailable", "not supported", "invalid", "XML", "unable")}


@scenario()
def config_formats(h):
    return {ext: config_of(h, ext) for ext in ("ini", "yaml", "xml")}


@scenario()
def config_json(h):
    r = config_of(h, "json")
    if h.real and r["exit"]:
        raise Unavailable("this uWSGI was built without a JSON library")
    return r


@scenario()
def config_bad_values(h):
    h.mkdir("a")   # all are started together, and would race to make it
    runs = {}
    for label, opts in (("negative frequency", [("spooler", "a"), ("spooler-frequency", "-1")]), ("text frequency", [("spooler", "a"), ("spooler-frequency", "abc")]), ("zero frequency", [("spooler", "a"), ("spooler-frequency", "0")]),
                        ("unknown option", [("spooler", "a"), ("spooler-nosuch", "1")]), ("underscores", [("spooler", "a"), ("spooler_frequency", "9")]), ("spooler-reload-mercy", [("spooler", "a"), ("spooler-reload-mercy", "1")]),
                        ("spooler-cheap", [("spooler", "a"), "spooler-cheap"]), ("no master given", [("spooler", "a")]), ("file as spooler", [("spooler", h.write("file", ""))])):
        runs[label] = h.start(opts, "import uwsgi\nfrom oracleobs import *\nobs('o', m=uwsgi.masterpid() > 0, f=uwsgi.opt.get('spooler-frequency'))\n", master=label != "no master given")
    for i in runs.values():
        i.wait(lambda i=i: i.obs("o") or not i.alive(), 5)
    h.give_time(.7)
    out = {}
    for label, i in runs.items():
        o = i.obs("o")
        out[label] = {"exit": i.p.poll(), "loaded": bool(o), "masterpid": o[0]["m"] if o else None, "log": i.shapes("invalid value", "unrecognized", "ambiguous", "realpath", "chdir", "opendir", "access")[:3]}
    return out


@scenario()
def log_lines(h):
    """the spooler lines of a plain life: start, enqueue, run, stop; and what spooler-quiet leaves"""
    out = {}
    for label, opts in (("default", []), ("quiet", ["spooler-quiet"])):
        d = h.mkdir("sp-" + label)
        i = h.start([("spooler", d), "die-on-term"] + opts, "import uwsgi\nfrom oracleobs import *\ndef h(e):\n    obs('t'); return -2\nuwsgi.spooler = h\nuwsgi.spool({b'a': b'1'})\n")
        i.wait_obs("t"); i.wait(lambda: not h.ls(d)); h.give_time(.3); i.kill(signal.SIGTERM); i.wait_exit(5)
        lines = i.shapes("spool", "goodbye", "killing", "annihil", "master process")
        out[label] = [line for line in lines if not line.startswith("detected binary path")]  # which may have "spool" in it
    return out


@scenario()
def config_ini_unknown_and_underscores(h):
    """an unknown key, and an option spelled with underscores, in an ini file: error, or silently without effect?"""
    d = h.mkdir("sp"); h.drop(d, "5"); h.drop(d, PREFIX + "x")
    h.write("c.ini", "[uwsgi]\nmaster = 1\nspooler = %s\nspooler_ordered = true\nspooler-nosuch = 1\n" % d)
    out = {}
    for label, extra in (("plain", []), ("strict", ["strict"])):
        i = h.start([("ini", h.path("c.ini"))] + extra, "import uwsgi\nfrom oracleobs import *\ndef h(e):\n    obs('t', n=e['spooler_task_name']); return -1\nuwsgi.spooler = h\n", master=False)
        i.wait(lambda: i.obs("t") or not i.alive(), 4); h.give_time(.3)
        out[label] = {"exit": i.p.poll(), "ran": [t["n"] for t in i.obs("t")], "log": i.shapes("strict", "unknown config")}
        i.stop()
    return out
