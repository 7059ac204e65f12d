"""uwsgi.spool(): odd values of `at`, sizes, targets, priorities, and the processes it is called from."""
import os

from ..harness import scenario
from ..packets import PREFIX
from ._common import clean
from .s_spool import tries

BASE = "base = os.environ['ORACLE_WORK']\n"


@scenario()
def spool_at(h):
    """which mtime each text gives: a number, or now"""
    i, _ = tries(h, """
for v in (b'1000000000', b'1000000000.9', b'5', b'00012', b'abc', b'12x', b'1e9', b'10,5', b'soon', b'-5', b'+5', b' 5', b'5 ', b'0', b'', b'.5', b'0x10', b'7\\n', b'2000000000', b'-', b'3.', b'3.x'):
    try:
        p = uwsgi.spool({b'at': v, b'a': b'1'})
    except Exception as e:
        obs('at', v=v, r=repr(e)); continue
    st = os.stat(p)
    now = abs(st.st_mtime - time.time()) < 30
    obs('at', v=v, r='now' if now else st.st_mtime_ns / 1e9, atime='now' if now else st.st_atime_ns / 1e9, whole=None if now else st.st_mtime_ns % 10**9 == 0)
    os.unlink(p)
""")
    return {t["v"][2:]: [t["r"], t.get("atime"), t.get("whole")] for t in i.obs("at")}


@scenario()
def spool_at_types(h):
    """`at` as something else than bytes"""
    i, out = tries(h, """
attempt('str', {b'at': '5'})
attempt('float', {b'at': 5.5})
attempt('negative int', {b'at': -5})
attempt('None', {b'at': None})
attempt('bytearray', {b'at': bytearray(b'5')})
attempt('list of ints', {b'at': [53]})
attempt('str key', {'at': b'5'})
""")
    return out


SIZES = """
def size(label, d):
    try:
        p = uwsgi.spool(d)
    except Exception as e:
        obs('size', label=label, r=repr(e)); return
    data = open(p, 'rb').read(); os.unlink(p)
    pkt = data[1] | data[2] << 8
    lens, rest = [], data[4:4 + pkt]
    while len(rest) > 1:
        n = rest[0] | rest[1] << 8; lens.append(n); rest = rest[2 + n:]
    obs('size', label=label, r={'file': len(data), 'packet': pkt, 'lengths': lens[:4], 'numbers': len(lens), 'body': len(data) - 4 - pkt})
"""


@scenario()
def spool_sizes(h):
    """the 64 KiB limit of all variables together, at its edges"""
    i, _ = tries(h, SIZES + """
size('packet 65535', {b'a': b'x' * 65530})
size('packet 65536', {b'a': b'x' * 65531})
size('two values, 65535', {b'a': b'x' * 30000, b'b': b'x' * 35525})
size('two values, 65536', {b'a': b'x' * 30000, b'b': b'x' * 35526})
size('value 65535', {b'a': b'x' * 65535})
size('many small, 65535', {**{b'%05d' % n: b'' for n in range(7281)}, b'e': b'x'})
size('many small, more', {b'%05d' % n: b'' for n in range(7282)})
size('at the limit with a body', {b'a': b'x' * 65530, b'body': b'B' * 100000})
size('over the limit with a body', {b'a': b'x' * 65531, b'body': b'B' * 100000})
size('long key', {b'k' * 65531: b''})
size('key over', {b'k' * 65532: b''})
size('after errors', {b'a': b'1'})
""")
    return {"sizes": {t["label"]: t["r"] for t in i.obs("size")}, "log": i.shapes("uwsgi-spooler"), "left": h.ls(h.path("sp"))}


@scenario()
def spool_sizes_truncation(h):
    """one value or key of 64 KiB and more is cut to its length modulo 65536"""
    i, _ = tries(h, SIZES + """
size('value 65536', {b'a': b'x' * 65536})
size('value 65537', {b'a': b'x' * 65537})
size('value 65546', {b'a': b'x' * 65546})
size('value 102400', {b'a': b'x' * 102400})
size('value 131071', {b'a': b'x' * 131071})
size('value 131072', {b'a': b'x' * 131072})
size('key 65546', {b'k' * 65546: b'v'})
size('key 65536', {b'k' * 65536: b'v'})
size('both', {b'k' * 65537: b'x' * 65538})
size('two cut ones', {b'a': b'x' * (65536 + 40000), b'b': b'x' * (65536 + 40000)})
size('bytearray 65546', {b'a': bytearray(65546)})
""")
    return {"sizes": {t["label"]: t["r"] for t in i.obs("size")}, "log": i.shapes("uwsgi-spooler")}


TARGET = BASE + """
for label, v in [('absent', None), ('empty', b''), ('exact', base.encode() + b'/sp'), ('second', base.encode() + b'/b'), ('external', base.encode() + b'/ext'), ('relative', b'b'), ('trailing slash', base.encode() + b'/b/'),
                 ('dot', base.encode() + b'/./b'), ('double slash', base.encode() + b'//b'), ('the symlink', base.encode() + b'/lnk'), ('index', b'0'), ('unknown', b'/nope'), ('parent', base.encode()), ('longer name', base.encode() + b'/bb'), ('str', base + '/b'), ('bytearray', bytearray(base.encode() + b'/b'))]:
    d = {b'a': b'1'}
    if v is not None: d[b'spooler'] = v
    try:
        obs('target', label=label, r=os.path.dirname(uwsgi.spool(d).decode()))
    except Exception as e:
        obs('target', label=label, r=repr(e))
"""


@scenario()
def spool_target(h):
    """which texts find a spooler: the resolved absolute path, byte for byte; names with a common prefix; externals"""
    for d in ("sp", "b", "bbb", "ext"):
        h.mkdir(d)
    os.symlink(h.path("sp"), h.path("lnk"))
    out = {}
    for label, opts in (("spooler first", [("spooler", "lnk"), ("spooler", "b"), ("spooler", "bbb"), ("spooler-external", "ext")]),
                        ("external first", [("spooler-external", "ext"), ("spooler", "b")])):
        i, _ = tries(h, "obs('m', s=uwsgi.spoolers)\n" + TARGET, opts=opts)
        out[label] = {"spoolers": i.obs("m")[0]["s"], "lands": {t["label"]: t["r"] for t in i.obs("target")}, "log": i.shapes("uwsgi-spooler")}
    return out


@scenario()
def spool_priority_odd(h):
    """priorities with slashes, into a directory that is there, nested, escaping, absolute; modes under another umask"""
    h.mkdir("sp", "8")
    i, _ = tries(h, BASE + """
for label, v in [('nested', b'8/9'), ('nested again', b'8/9'), ('trailing slash', b'5/'), ('leading slash', b'/6'), ('dot', b'.'), ('dot dot', b'..'), ('escape', b'../out'), ('space', b' 7'), ('newline', b'7\\n'), ('unicode', '\\u00e9'.encode()), ('bytearray', bytearray(b'4')), ('long', b'9' * 300), ('prefix', b'uwsgi_spoolfile_on_x')]:
    try:
        r = os.fsdecode(uwsgi.spool({b'priority': v}))
        obs('p', label=label, r=os.path.dirname(r), same=os.path.exists(r), mode=oct(os.stat(r).st_mode & 0o7777), dirmode=oct(os.stat(os.path.dirname(r)).st_mode & 0o777) if label in ('nested', 'trailing slash', 'escape', 'bytearray') else None)
    except Exception as e:
        obs('p', label=label, r=repr(e))
""", umask=0o007)
    return {"where": {t["label"]: [t["r"], t.get("mode"), t.get("dirmode")] for t in i.obs("p")}, "log": [x.replace("9" * 300, "<300 nines>") for x in i.shapes("open(", "mkdir", "uwsgi-spooler")]}


@scenario()
def spool_nul_bytes(h):
    """NUL bytes: in a value and a key they are data; in at, priority and spooler C text ends there"""
    i, out = tries(h, """
attempt('value', {b'a': b'x\\0y'})
attempt('key', {b'a\\0b': b'1'})
attempt('body', {b'a': b'1', b'body': b'\\0\\0'})
def where(label, **kw):
    try:
        r = uwsgi.spool({k.encode(): v for k, v in kw.items()})
        st = os.stat(r)
        obs('w', label=label, r=os.path.dirname(r.decode()), at=st.st_mtime if st.st_mtime < 10**6 else 'now')
        os.unlink(r)
    except Exception as e: obs('w', label=label, r=repr(e), at=None)
where('at', at=b'5\\x003')
where('priority', priority=b'3\\0x')
where('spooler', spooler=os.environ['ORACLE_WORK'].encode() + b'/sp\\0x')
where('nul priority', priority=b'\\0')
""")
    return out | {"where": {t["label"]: [t["r"], t["at"]] for t in i.obs("w")}}


@scenario()
def spool_from_everywhere(h):
    """spool() at import, in the hook of a spooler and of a worker, in a task: whose pid and which counter are in the name"""
    d = h.mkdir("sp")
    i = h.start([("spooler", d), ("socket", h.path("s.sock")), ("spooler-frequency", 1)], """
import uwsgi
from oracleobs import *
def put(origin):
    parts = uwsgi.spool({b'from': origin.encode()}).decode().rsplit('_', 5)
    obs('put', origin=origin, mine=int(parts[1]) == os.getpid(), counter=int(parts[2]))
def h(env):
    obs('task', n=env[b'from'])
    if env[b'from'] == b'import': put('task'); put('task')
    return -2
uwsgi.spooler = h
def pf():
    if uwsgi.i_am_the_spooler(): put('spooler hook')
    elif uwsgi.worker_id() == 1: put('worker hook')
uwsgi.post_fork_hook = pf
put('import')
""")
    i.wait_obs("task", 5)
    return {"puts": sorted([p["origin"], p["mine"], p["counter"]] for p in i.obs("put")), "tasks": sorted(t["n"] for t in i.obs("task")), "left": h.wait_left(d, 0)}


@scenario()
def spool_from_children(h):
    """a child forked in a task, and a thread of it, spool: pid and counter of the name; the tasks run"""
    d = h.mkdir("sp"); h.drop(d, PREFIX + "first", vars=[(b"n", b"first")])
    i = h.start([("spooler", d), ("spooler-frequency", 1), "enable-threads"], """
import uwsgi, threading
from oracleobs import *
def put(origin):
    parts = uwsgi.spool({b'n': origin.encode()}).decode().rsplit('_', 5)
    obs('put', origin=origin, mine=int(parts[1]) == os.getpid(), counter=int(parts[2]))
def h(env):
    obs('task', n=env[b'n'])
    if env[b'n'] == b'first':
        pid = os.fork()
        if not pid:
            try: put('child')
            finally: os._exit(0)
        os.waitpid(pid, 0)
        t = threading.Thread(target=put, args=('thread',)); t.start(); t.join()
        put('task')
    return -2
uwsgi.spooler = h
""")
    i.wait_obs("task", 4)
    return {"puts": [[p["origin"], p["mine"], p["counter"]] for p in i.obs("put")], "tasks": sorted(t["n"] for t in i.obs("task")), "left": h.wait_left(d, 0)}


@scenario()
def spool_dir_gone(h):
    """the directory of an external spooler is removed: what spool() says; and back again"""
    h.mkdir("ext"); h.mkdir("sp")
    i, _ = tries(h, BASE + """
def put(label):
    try: obs('p', label=label, r=os.path.dirname(uwsgi.spool({b'a': b'1', b'spooler': base.encode() + b'/ext'}).decode()))
    except Exception as e: obs('p', label=label, r=repr(e))
os.rmdir(base + '/ext'); put('gone'); os.mkdir(base + '/ext'); put('back')
obs('counter', n=int(uwsgi.spool({b'a': b'1'}).decode().rsplit('_', 5)[2]))
""", opts=[("spooler", "sp"), ("spooler-external", "ext")])
    return {"puts": {t["label"]: t["r"] for t in i.obs("p")}, "log": i.shapes("open(", "uwsgi-spooler", "No such"), "counter_after": i.obs("counter")[0]["n"]}


@scenario()
def spool_misuse(h):
    """calls with more, fewer and other arguments"""
    i, out = tries(h, """
attempt('None and kwargs', None, a=b'1')
attempt('empty dict and kwargs', {}, a=b'1')
attempt('empty dict and body keyword', {}, body=b'B')
attempt('keyword dict', **{'a': b'1'})
attempt('dict then int', {b'a': b'1'}, 5)
attempt('tuple', ((b'a', b'1'),))
attempt('int', 5)
attempt('bytes', b'x')
class Mapping:
    def keys(self): return [b'a']
    def __getitem__(self, k): return b'1'
attempt('mapping object', Mapping())
import types
attempt('mapping proxy', types.MappingProxyType({b'a': b'1'}))
class Items(dict):
    def items(self): return [(b'z', b'9')]
attempt('dict subclass with items', Items({b'a': b'1'}))
class B(bytes): pass
attempt('bytes subclasses', {B(b'a'): B(b'1')})
attempt('second key bad', {b'a': b'1', 'b': b'2'})
attempt('generator value', {b'a': (n for n in (65, 66))})
attempt('range value', {b'a': range(65, 68)})
attempt('int over 255 in list', {b'a': [256]})
attempt('set of ints', {b'a': {65}})
attempt('str subclass', {b'a': type('S', (str,), {})('x')})
""")
    return out


@scenario()
def spool_send_to_spooler(h):
    """the other name does the same"""
    i, _ = tries(h, """
r = uwsgi.send_to_spooler({b'a': b'1'})
obs('r', type=type(r).__name__, there=os.path.exists(r), counter=int(r.decode().rsplit('_', 5)[2]))
r = uwsgi.spool({b'a': b'1'})
obs('r', type=type(r).__name__, there=os.path.exists(r), counter=int(r.decode().rsplit('_', 5)[2]))
try: uwsgi.send_to_spooler(a='b')
except Exception as e: obs('e', e=repr(e))
""")
    return {"r": [clean(r) for r in i.obs("r")], "e": i.obs("e")[0]["e"]}
