"""What the task function is given."""
from ..harness import scenario
from ..packets import PREFIX, packet

REC = """
import uwsgi
from oracleobs import *
def h(env):
    obs('task', env=env)
    return uwsgi.SPOOL_OK
uwsgi.spooler = h
"""


def drop_and_record(h, files, opts=(), wait=None, app=REC):
    d = h.mkdir("sp")
    for name, kw in files:
        h.drop(d, name, **kw)
    i = h.start([("spooler", d), ("spooler-frequency", 1), "spooler-ordered"] + list(opts), app)
    i.wait_obs("task", len(files) if wait is None else wait, 6)
    h.give_time(1.5 if wait is not None else .2)
    return i, d


@scenario()
def env_keys_and_types(h):
    """via uwsgi.spool() with every magic key, in a priority directory"""
    d = h.mkdir("sp")
    i = h.start([("spooler", d), ("spooler-frequency", 1), "spooler-ordered"], REC + """
r = uwsgi.spool({b'user': b'v', b'at': b'1000000000', b'priority': b'3', b'spooler': os.environ['ORACLE_WORK'].encode() + b'/sp', b'body': b'BODY'})
obs('ret', r=r)
""")
    i.wait_obs("task")
    e = i.obs("task")[0]["env"]
    return {"env": e, "returned_path": i.obs("ret")[0]["r"]}


@scenario()
def env_no_body(h):
    d = h.mkdir("sp")
    i = h.start([("spooler", d)], REC + "uwsgi.spool({b'body': b'', b'a': b'1'})\nuwsgi.spool({b'a': b'2'})\n")
    i.wait_obs("task", 2)
    return {"envs": sorted((t["env"] for t in i.obs("task")), key=str)}


@scenario()
def env_broken_packets(h):
    """which broken files are dropped, kept, or run"""
    P = PREFIX
    kv = packet([(b"k", b"v")])
    i, d = drop_and_record(h, [
        (P + "01zero", dict(raw=b"")),
        (P + "02shortheader", dict(raw=b"\x11\x05")),
        (P + "03shortpacket", dict(raw=packet([(b"k", b"v")], pktsize=500))),
        (P + "04zerokey", dict(raw=b"\x11\x06\x00\x00" + b"\x00\x00\x00\x00\x00\x00")),
        (P + "05keytoolong", dict(raw=b"\x11\x04\x00\x00" + b"\x50\x00ab")),
        (P + "06novalue", dict(raw=b"\x11\x03\x00\x00" + b"\x01\x00k")),
        (P + "07garbage_in_vars", dict(raw=b"\x11\x08\x00\x00" + kv[4:] + b"zz")),
        (P + "08ok", dict(vars=[(b"k", b"v")])),
    ], wait=1)
    return {"ran": [t["env"].get("str:spooler_task_name") for t in i.obs("task")], "left": h.ls(d),
            "log": i.shapes("read()", "unable to find", "horrible", "done with", "managing")}
