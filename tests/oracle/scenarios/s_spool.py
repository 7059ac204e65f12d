"""What uwsgi.spool() takes, makes and raises."""
from ..harness import scenario
from ..packets import unpack

TRY = """
import uwsgi, os
from oracleobs import *
uwsgi.spooler = lambda env: 0
def attempt(label, *a, **kw):
    try:
        r = uwsgi.spool(*a, **kw)
        path = r if isinstance(r, str) else os.fsdecode(r)
        st = os.stat(path)
        data = open(path, 'rb').read()
        obs('try', label=label, ok=True, rtype=type(r).__name__, path=path, mode=oct(st.st_mode & 0o777), mtime=st.st_mtime, size=len(data), data=data[:200])
        os.unlink(path)
    except BaseException as e:
        c = e.__cause__ or e.__context__
        obs('try', label=label, ok=False, exc=type(e).__name__, msg=str(e), cause=type(c).__name__ if c else None)
"""


def tries(h, code, opts=None, **kw):
    d = h.mkdir("sp")
    i = h.start([("spooler", d)] if opts is None else opts, TRY + code + "\nobs('end')\n", **kw)
    i.wait_obs("end")
    out = {}
    for t in i.obs("try"):
        if t["ok"]:
            head, vars, body = unpack(t["data"][2:].encode("latin-1")[:200]) if t["size"] <= 200 else ((t["data"][2:].encode("latin-1")[0], None, None), None, None)
            out[t["label"]] = {"type": t["rtype"], "head": list(head), "vars": None if vars is None else [[k.decode("latin-1"), v.decode("latin-1")] for k, v in vars],
                               "body": None if body is None else body.decode("latin-1"), "size": t["size"]}
        else:
            out[t["label"]] = {"exc": t["exc"], "msg": t["msg"], "cause": t["cause"]}
    return i, out


@scenario()
def spool_input_types(h):
    i, out = tries(h, """
attempt('bytes', {b'a': b'1'})
attempt('str key', {'a': b'1'})
attempt('str value', {b'a': '1'})
attempt('int value', {b'a': 1})
attempt('at int', {b'at': 5})
attempt('float value', {b'a': 1.5})
attempt('None value', {b'a': None})
attempt('True value', {b'a': True})
attempt('bytearray value', {b'a': bytearray(b'xy')})
attempt('memoryview value', {b'a': memoryview(b'xy')})
attempt('list of ints value', {b'a': [65, 66]})
attempt('tuple of ints value', {b'a': (65, 66)})
attempt('list of str value', {b'a': ['x']})
attempt('empty list value', {b'a': []})
attempt('dict value', {b'a': {b'x': b'y'}})
attempt('dict of ints value', {b'a': {65: 1}})
class WithBytes:
    def __bytes__(self): return b'made'
attempt('object with __bytes__', {b'a': WithBytes()})
attempt('int key', {1: b'1'})
attempt('empty key', {b'': b'1'})
attempt('empty dict', {})
attempt('empty value', {b'a': b''})
attempt('no argument')
try: obs('try', label='bare call', ok=False, exc='', msg=repr(uwsgi.spool()), cause=None)
except Exception as e: obs('try', label='bare call', ok=False, exc=type(e).__name__, msg=str(e), cause=None)
attempt('None', None)
attempt('string', 'x')
attempt('list of pairs', [(b'a', b'b')])
attempt('kwargs', a=b'1')
attempt('kwargs body only', body=b'B')
attempt('dict and kwargs', {b'a': b'1'}, b=b'2')
attempt('two dicts', {b'a': b'1'}, {b'b': b'2'})
class D(dict): pass
attempt('dict subclass', D({b'a': b'1'}))
import collections
attempt('OrderedDict', collections.OrderedDict([(b'z', b'1'), (b'a', b'2')]))
attempt('order kept', {b'z': b'1', b'a': b'2', b'm': b'3'})
""")
    return out


@scenario()
def spool_body(h):
    i, out = tries(h, """
attempt('bytes key bytes body', {b'a': b'1', b'body': b'B'})
attempt('str key bytes body', {b'a': b'1', 'body': b'B'})
attempt('bytes key str body', {b'a': b'1', b'body': 'B'})
attempt('str key str body', {b'a': b'1', 'body': 'B'})
attempt('both keys', {b'a': b'1', b'body': b'B1', 'body': b'B2'})
attempt('int body', {b'a': b'1', b'body': 3})
attempt('None body', {b'a': b'1', b'body': None})
attempt('empty body', {b'a': b'1', b'body': b''})
attempt('bytearray body', {b'a': b'1', b'body': bytearray(b'BA')})
attempt('body only', {b'body': b'B'})
attempt('body 200000', {b'a': b'1', b'body': b'x' * 200000})
d = {b'a': b'1', b'body': b'B'}; attempt('mut1', d); obs('mut', which='ok', left=d)
d = {b'a': 'bad', b'body': b'B'}; attempt('mut2', d); obs('mut', which='failing', left=d)
d = {b'a': b'1', b'body': 'B'}; attempt('mut3', d); obs('mut', which='str body', left=d)
""")
    out["caller_dict_after"] = {m["which"]: m["left"] for m in i.obs("mut")}
    return out


@scenario()
def spool_file_meta(h):
    i, _ = tries(h, """
import re
r = uwsgi.spool({b'a': b'1'}); r2 = uwsgi.spool({b'a': b'1'})
n, n2 = os.fsdecode(os.path.basename(r)), os.fsdecode(os.path.basename(r2))
host = os.uname().nodename
m = re.fullmatch(r'uwsgi_spoolfile_on_(.*)_(\\d+)_(\\d+)_(\\d+)_(\\d+)_(\\d+)', n)
m2 = re.fullmatch(r'uwsgi_spoolfile_on_(.*)_(\\d+)_(\\d+)_(\\d+)_(\\d+)_(\\d+)', n2)
obs('name', matches=bool(m), host=m.group(1) == host, pid=int(m.group(2)) == os.getpid(), first_counter=int(m.group(3)), second_counter=int(m2.group(3)),
    sec=abs(int(m.group(5)) - time.time()) < 5, type=type(r).__name__, mode=oct(os.stat(r).st_mode & 0o7777))
try: uwsgi.spool({b'spooler': b'/nonexistent'})
except ValueError: pass
try: uwsgi.spool({'bad': b''})
except Exception as e: obs('bad', e=type(e).__name__)
m3 = re.fullmatch(r'uwsgi_spoolfile_on_(.*)_(\\d+)_(\\d+)_(\\d+)_(\\d+)_(\\d+)', os.fsdecode(os.path.basename(uwsgi.spool({b'a': b'3'}))))
obs('counter_after_failures', n=int(m3.group(3)))
""", umask=0)
    n = i.obs("name")[0]
    for k in ("t", "pid", "kind"):
        n.pop(k) if k != "pid" else None
    n.pop("pid")
    return {"name": n, "third_counter": i.obs("counter_after_failures")[0]["n"]}


@scenario()
def spool_priority(h):
    i, _ = tries(h, """
base = os.environ['ORACLE_WORK'] + '/sp'
for label, v in [('one', b'1'), ('empty', b''), ('word', b'high'), ('zeros', b'007'), ('negative', b'-1'), ('nested missing', b'8/9'), ('dots', b'../out'), ('mixed', b'1a')]:
    try:
        r = uwsgi.spool({b'priority': v})
        obs('p', label=label, r=os.fsdecode(r)[len(base):].rsplit('/', 1)[0] or '/')
    except Exception as e:
        obs('p', label=label, r=repr(e))
obs('dirmode', m=oct(os.stat(base + '/1').st_mode & 0o7777))
""", umask=0o022)
    return {"where": {t["label"]: t["r"] for t in i.obs("p")}, "dirmode_umask022": i.obs("dirmode")[0]["m"], "log": i.shapes("open", "priority")}


@scenario()
def spool_without_spooler(h):
    i = h.start([("socket", h.path("s.sock"))], """
import uwsgi
from oracleobs import *
obs('has', spool=hasattr(uwsgi, 'spool'), send_to_spooler=hasattr(uwsgi, 'send_to_spooler'), spoolers=hasattr(uwsgi, 'spoolers'), jobs=hasattr(uwsgi, 'spooler_jobs'),
    SPOOL_OK=uwsgi.SPOOL_OK, SPOOL_RETRY=uwsgi.SPOOL_RETRY, SPOOL_IGNORE=uwsgi.SPOOL_IGNORE, i_am=uwsgi.i_am_the_spooler(), pid_fn=hasattr(uwsgi, 'spooler_pid'))
try:
    from uwsgidecorators import spool
    @spool
    def f(a): pass
except Exception as e:
    obs('deco', e=repr(e))
try:
    from uwsgidecorators import spoolforever
    @spoolforever
    def f(a): pass
except Exception as e:
    obs('deco', e=repr(e))
""")
    i.wait_obs("deco", 2)
    r = i.obs("has")[0]
    return {"has": {k: v for k, v in r.items() if k not in ("t", "pid", "kind")}, "decorator_errors": [x["e"] for x in i.obs("deco")]}
