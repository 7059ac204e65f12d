"""More of what a task function is given, and what leaks from one task to the next."""
import os
import time

from ..harness import scenario
from ..packets import PREFIX, packet
from ._common import clean
from .s_env import drop_and_record


@scenario()
def env_edge_packets(h):
    """unusual but whole packets: other modifiers, duplicates, names that collide, empty and binary values"""
    P = PREFIX
    files = [
        (P + "01modifier5", {"raw": packet([(b"k", b"v")], modifier1=5)}),
        (P + "02modifier9", {"raw": packet([(b"k", b"v")], modifier1=9)}),
        (P + "03modifier0", {"raw": packet([(b"k", b"v")], modifier1=0)}),
        (P + "04modifier255", {"raw": packet([(b"k", b"v")], modifier1=255)}),
        (P + "05modifier2", {"raw": packet([(b"k", b"v")], modifier2=77)}),
        (P + "06duplicate", {"vars": [(b"k", b"1"), (b"j", b"2"), (b"k", b"3")]}),
        (P + "07bodyvar", {"vars": [(b"body", b"variable")]}),
        (P + "08bodyvar_and_body", {"vars": [(b"body", b"variable")], "body": b"BODY"}),
        (P + "09namevar", {"vars": [(b"spooler_task_name", b"other")]}),
        (P + "10empty_values", {"vars": [(b"a", b""), (b"b", b"")]}),
        (P + "11binary", {"vars": [(b"\xff\x00\xfe", bytes(range(256)))], "body": bytes(range(256))}),
        (P + "12no_variables", {"vars": []}),
        (P + "13only_body", {"vars": [], "body": b"B"}),
        (P + "14nul_body", {"vars": [], "body": b"\0"}),
        (P + "15cut_body_is_whole", {"vars": [(b"k", b"v")], "body": b"half of a"}),
        (P + "16magic_keys", {"vars": [(b"spooler", b"/nope"), (b"priority", b"3"), (b"at", b"99999999999")]}),
        (P + "17newline_in_body", {"vars": [(b"k", b"a\nb")], "body": b"\r\n\r\n"}),
    ]
    i, d = drop_and_record(h, files)
    return {"envs": [t["env"] for t in i.obs("task")], "left": h.wait_left(d, 0)}


@scenario()
def env_big(h):
    """the biggest packet, and a body of some megabytes"""
    d = h.mkdir("sp")
    h.drop(d, PREFIX + "vars", vars=[(b"a", b"x" * 65530)])
    h.drop(d, PREFIX + "body", vars=[(b"a", b"1")], body=b"ab" * 2_500_000)
    i = h.start([("spooler", d), ("spooler-frequency", 1), "spooler-ordered"], """
import uwsgi, hashlib
from oracleobs import *
def h(env):
    obs('task', n=tname(env), lengths={k: len(v) for k, v in env.items() if k != 'spooler_task_name'}, sums={k: hashlib.md5(v).hexdigest() for k, v in env.items() if k != 'spooler_task_name'}); return -2
uwsgi.spooler = h
""")
    i.wait_obs("task", 2)
    return {"tasks": [clean(t) for t in i.obs("task")], "left": h.wait_left(d, 0)}


@scenario()
def env_broken_more(h):
    """more broken variables: which are dropped, which run, what is said"""
    P = PREFIX
    i, d = drop_and_record(h, [
        (P + "01three_bytes", {"raw": b"\x11\x00\x00"}),
        (P + "02one_stray_byte", {"raw": b"\x11\x01\x00\x00" + b"x"}),
        (P + "03key_fills_all", {"raw": b"\x11\x04\x00\x00" + b"\x02\x00ab"}),
        (P + "04half_length_of_value", {"raw": b"\x11\x05\x00\x00" + b"\x02\x00ab" + b"\x01"}),
        (P + "05value_too_long", {"raw": b"\x11\x07\x00\x00" + b"\x01\x00k" + b"\x09\x00vv"}),
        (P + "06good_then_bad", {"raw": b"\x11\x0c\x00\x00" + b"\x01\x00k\x01\x00v" + b"\x01\x00k\xff\xff\x00"}),
        (P + "07text_file", {"raw": b"hello world, this is no packet at all\n"}),
        (P + "08zero_size_then_text", {"raw": b"\x11\x00\x00\x00" + b"text"}),
        (P + "09empty_key_last", {"raw": b"\x11\x0a\x00\x00" + b"\x01\x00k\x01\x00v" + b"\x00\x00\x00\x00"}),
        (P + "10ok", {"vars": [(b"k", b"v")]}),
    ], wait=2)
    return {"ran": [t["env"] for t in i.obs("task")], "left": h.ls(d), "log": i.shapes("read()", "unable to find", "horrible", "done with", "managing")}


@scenario()
def handler_rewrites_own_file(h):
    """a retried task whose file was rewritten in place is read afresh"""
    d = h.mkdir("sp"); h.drop(d, PREFIX + "x", vars=[(b"n", b"1")], body=b"first")
    i = h.start([("spooler", d), ("spooler-frequency", 1)], """
import uwsgi
from oracleobs import *
def h(env):
    obs('task', env=env)
    if env[b'n'] != b'1': return -2
    fd = os.open(env['spooler_task_name'], os.O_RDWR)
    os.write(fd, b'\\x11\\x07\\x00\\x00' + b'\\x01\\x00n' + b'\\x02\\x0022'); os.ftruncate(fd, 11)
    return -1
uwsgi.spooler = h
""")
    i.wait_obs("task", 2)
    return {"envs": [t["env"] for t in i.obs("task")], "left": h.wait_left(d, 0)}


@scenario()
def handler_moves_own_file_to_the_future(h):
    """a task that sets its own file's mtime ahead and asks for a retry is not run before that time"""
    d = h.mkdir("sp"); h.drop(d, PREFIX + "x")
    i = h.start([("spooler", d), ("spooler-frequency", 1)], """
import uwsgi
from oracleobs import *
def h(env):
    t = int(time.time()) + 3
    obs('task', due=t)
    if count('task') > 1: return -2
    os.utime(env['spooler_task_name'], (t, t)); return -1
uwsgi.spooler = h
""")
    i.wait_obs("task", 2)
    t = i.obs("task")
    return {"runs": len(t), "not_before": t[1]["t"] >= t[0]["due"], "left": h.wait_left(d, 0)}


@scenario()
def env_leaks(h):
    """what one task changes and the next one, or its own retry, sees: the dict, globals, environment, umask, cwd"""
    d = h.mkdir("sp")
    for n in ("1", "2"):
        h.drop(d, PREFIX + n)
    i = h.start([("spooler", d), ("spooler-frequency", 1), "spooler-ordered"], """
import uwsgi, sys
from oracleobs import *
G = []
def h(env):
    um = os.umask(0o11); G.append(1)
    obs('task', n=tname(env), keys=sorted(map(str, env)), globals=len(G), x=os.environ.get('LEAK'), umask=oct(um), cwd_is_spool=os.getcwd() == os.environ['ORACLE_WORK'] + '/sp', argv=sys.argv)
    env['extra'] = 1; env.pop(b'n'); os.environ['LEAK'] = 'yes'; os.chdir('/'); sys.argv.append('more')
    return -1 if count('task') < 3 else -2
uwsgi.spooler = h
""", umask=0o022)
    i.wait_obs("task", 4)
    return {"tasks": [clean(t) for t in i.obs("task")][:4]}


GET = """
import uwsgi
from oracleobs import *
W = os.environ['ORACLE_WORK']; P = 'uwsgi_spoolfile_on_'
def get(label, *a):
    try: obs('get', who=who, label=label, r=uwsgi.spooler_get_task(*a))
    except Exception as e: obs('get', who=who, label=label, r=repr(e))
def all_of_them():
    get('absolute', W + '/sp/' + P + 'good'); get('other place', W + '/else/anything'); get('missing', W + '/sp/nope'); get('directory', W + '/sp')
    get('symlink', W + '/link'); get('empty', W + '/else/empty'); get('short', W + '/else/short'); get('broken', W + '/else/broken'); get('bytes', os.fsencode(W + '/else/anything'))
    get('int', 5); get('nothing'); get('two', W + '/sp/nope', 1); get('none', None)
who = 'import'; all_of_them()
def h(env):
    global who
    who = 'task'
    get('relative', P + 'future'); get('absolute future', W + '/sp/' + P + 'future'); all_of_them()
    obs('end'); return 0
uwsgi.spooler = h
"""


@scenario()
def spooler_get_task(h):
    """every kind of argument, in the master and in a task"""
    d = h.mkdir("sp"); e = h.mkdir("else")
    h.drop(d, PREFIX + "good", vars=[(b"k", b"v"), (b"k2", b"")], body=b"BODY")
    h.drop(d, PREFIX + "future", vars=[(b"f", b"1")], mtime=int(time.time()) + 500)
    h.drop(e, "anything", vars=[(b"x", b"y")])
    h.drop(e, "empty", raw=b""); h.drop(e, "short", raw=b"\x11\x05"); h.drop(e, "broken", raw=b"\x11\x04\x00\x00\x50\x00ab")
    os.symlink(h.path("else", "anything"), h.path("link"))
    i = h.start([("spooler", d)], GET)
    i.wait_obs("end")
    return {who: {g["label"]: g["r"] for g in i.obs("get") if g["who"] == who} for who in ("import", "task")} | {"left": h.ls(d)}


@scenario()
def spooler_jobs(h):
    """which names are listed, of which spooler, as what"""
    a, b = h.mkdir("a"), h.mkdir("b")
    for name in ("plain", "second"):
        h.drop(a, PREFIX + name)
    h.drop(a, PREFIX); h.drop(a, PREFIX + "future", mtime=int(time.time()) + 500); h.drop(a, PREFIX + "empty", raw=b""); h.drop(a, PREFIX + "broken", raw=b"xx")
    h.drop(a, "3/" + PREFIX + "in-priority"); h.drop(a, "5"); h.drop(a, "other"); h.drop(a, "." + PREFIX + "hidden"); h.drop(b, PREFIX + "of-b")
    os.symlink(h.path("b", PREFIX + "of-b"), h.path("a", PREFIX + "symlink")); os.mkdir(h.path("a", PREFIX + "dir"))
    i = h.start([("spooler", a), ("spooler", b), "spooler-ordered"], """
import uwsgi
from oracleobs import *
obs('jobs', who='import', r=sorted(uwsgi.spooler_jobs()), t=type(uwsgi.spooler_jobs()).__name__)
for a in ((1,), ('x',)):
    try: obs('arg', r=len(uwsgi.spooler_jobs(*a)) > 0)
    except Exception as e: obs('arg', r=type(e).__name__)
def h(env):
    if b'/b' in uwsgi.spoolers[1] and os.getcwd().endswith('/b'): obs('jobs', who='task', r=sorted(uwsgi.spooler_jobs()))
    return 0
uwsgi.spooler = h
""")
    i.wait_obs("jobs", 2)
    return {j["who"]: j["r"] for j in i.obs("jobs")} | {"args": [x["r"] for x in i.obs("arg")]}
