"""Spool directories: how they are named and made, what is entered, what happens when they go."""
import os
import shutil

from ..harness import scenario
from ..packets import PREFIX
from ._common import RECORD, clean

P = PREFIX
PLACE = RECORD.replace("obs('task', n=tname(env), env=env)", "obs('task', n=env['spooler_task_name'].decode(), cwd=os.path.relpath(os.getcwd(), os.environ['ORACLE_WORK']))")

TREE = [P + "top", "5", "007", "-1", "+3", "1a", "1.5", " 2", "0x1", "1/" + P + "a", "1/7", "1/2/" + P + "deep", "1/2/3/4/" + P + "deeper", "10/" + P + "b", "2/" + P + "c", "00/" + P + "d", "high/" + P + "e",
        "-2/" + P + "f", P + "dir/" + P + "g", P + "dir/9/" + P + "h", "3/high/" + P + "i", "1a2/" + P + "j", ".7/" + P + "k", "4/plain", "\u0663/" + P + "l", ".spoolsim/" + P + "m", ".spoolsim/1/" + P + "n"]


def tree(h, opts, n):
    d = h.mkdir("sp")
    for name in TREE:
        h.drop(d, name)
    i = h.start([("spooler", d), ("spooler-frequency", 1), *opts], PLACE)
    i.wait_obs("task", n, 6); h.give_time(1.2)
    return i, d


@scenario()
def dirs_ordered_tree(h):
    """with spooler-ordered: which names are entered, to any depth, and in which order everything runs"""
    i, d = tree(h, ["spooler-ordered"], 12)
    return {"ran": [[t["cwd"], t["n"]] for t in i.obs("task")], "left": h.ls(d)}


@scenario()
def dirs_unordered_tree(h):
    """without it: the top level's tasks alone"""
    i, d = tree(h, [], 1)
    return {"ran": sorted([t["cwd"], t["n"]] for t in i.obs("task")), "left": h.ls(d)}


@scenario()
def dirs_priorities_by_spool(h):
    """priorities through spool(): the order they run in, and the directories that stay"""
    d = h.mkdir("sp")
    i = h.start([("spooler", d), ("spooler-frequency", 60), "spooler-ordered"], PLACE.replace("n=env['spooler_task_name'].decode()", "n=env.get(b'priority', b'none').decode()") + "for p in (b'10', b'2', b'', b'0', b'1', b'01', b'high'): uwsgi.spool({b'priority': p} if p else {b'a': b'1'})\n")
    i.wait_obs("task", 6); h.give_time(.4)
    return {"ran": [[t["n"], t["cwd"]] for t in i.obs("task")], "left": h.ls(d), "directories": sorted(x for x in os.listdir(d) if x != ".spoolsim")}


@scenario()
def dirs_symlinked(h):
    """a spooler given through a symlink: its name is the resolved path, in the log and in a task too"""
    h.mkdir("real"); os.symlink("real", h.path("lnk"))
    i = h.start([("spooler", h.path("lnk")), ("spooler-frequency", 60)], PLACE + "obs('m', s=uwsgi.spoolers, o=uwsgi.opt['spooler'])\nobs('r', r=os.path.dirname(uwsgi.spool({b'a': b'1'})))\n")
    i.wait_obs("task"); h.wait_left(h.path("real"), 0)
    i.wait_log("done with task")
    return {"m": clean(i.obs("m")[0]), "spooled_to": i.obs("r")[0]["r"], "cwd": i.obs("task")[0]["cwd"], "log": i.shapes("on dir", "managing", "done with", "written")}


@scenario()
def dirs_relative_to_the_start(h):
    """relative paths, with dots and slashes, are resolved against the directory uWSGI was started in, not chdir="""
    h.mkdir("start"); h.mkdir("elsewhere")
    i = h.start([("chdir", h.path("elsewhere")), ("spooler", "one"), ("spooler", "./two/"), ("spooler", "../three"), ("spooler-external", "four")], "import uwsgi\nfrom oracleobs import *\nobs('m', s=uwsgi.spoolers, o=uwsgi.opt['spooler'], cwd=os.getcwd())\n", cwd=h.path("start"))
    i.wait(lambda: i.obs("m") or not i.alive(), 5)
    return {"m": clean(i.obs("m")[0]) if i.obs("m") else None, "exit": i.p.poll(), "made": sorted(x for x in os.listdir(h.path("start"))) + sorted(x for x in os.listdir(h.work) if not x.startswith(("obs", "log", "oracleapp"))), "log": i.shapes("spooler directory")}


@scenario()
def dirs_made_modes(h):
    """the mode of a directory that is made, under several umasks; an existing one keeps its own"""
    out = {}
    for umask in (0o000, 0o022, 0o027, 0o077):
        name = f"new{umask:o}"
        i = h.start([("spooler", name), ("spooler-external", "ext" + name)], "import uwsgi\nfrom oracleobs import *\nobs('m')\n", umask=umask)
        i.wait(lambda i=i: i.obs("m") or not i.alive(), 5)
        out[f"{umask:03o}"] = {x: oct(os.stat(h.path(x)).st_mode & 0o7777) for x in (name, "ext" + name) if os.path.isdir(h.path(x))} | {"log": i.shapes("spooler directory"), "exit": i.p.poll()}
        i.stop()
    os.mkdir(h.path("old")); os.chmod(h.path("old"), 0o2770)
    i = h.start([("spooler", "old")], "import uwsgi\nfrom oracleobs import *\nobs('m')\n")
    i.wait_obs("m")
    return out | {"existing": oct(os.stat(h.path("old")).st_mode & 0o7777)}


@scenario()
def dirs_removed_while_running(h):
    """the directory goes: the process ends and is respawned until it is back; then tasks run again"""
    d = h.mkdir("sp")
    i = h.start([("spooler", d), ("spooler-frequency", 1)], PLACE)
    i.wait_log("spawned the uWSGI spooler"); h.give_time(.3)
    shutil.rmtree(d)
    i.wait_log("OOOPS", 2, 8)
    alive = i.alive()
    h.mkdir("sp"); h.drop(d, P + "x")
    return {"ran_when_back": i.wait_obs("task", 1, 8), "master_alive": [alive, i.alive()], "log": i.shapes("chdir", "OOOPS", "opendir", "scandir")}


@scenario()
def dirs_bad_paths(h):
    """a spooler that is a file, in a missing parent, a dangling symlink, empty: what is said, the exit status"""
    h.write("file", ""); os.symlink("nowhere", h.path("dangling")); os.symlink("loop", h.path("loop"))
    runs = {x: h.start([(opt, x)], "import uwsgi\nfrom oracleobs import *\nobs('m', s=uwsgi.spoolers)\n") for opt, x in (("spooler", "file"), ("spooler", "no/such"), ("spooler", "file/below"), ("spooler", "dangling"), ("spooler", "loop"), ("spooler", "x" * 300), ("spooler-external", "no/such/external"))}
    for i in runs.values():
        i.wait(lambda i=i: i.obs("m") or not i.alive(), 5)
    h.give_time(.2)
    return {x if len(x) < 300 else "long": {"exit": i.p.poll(), "loaded": [m["s"] for m in i.obs("m")], "log": [y.replace("x" * 300, "<300 x>") for y in i.shapes("spooler directory", "realpath", "access", "mkdir")]} for x, i in runs.items()}


@scenario()
def dirs_names_with_odd_characters(h):
    """spaces, percent, equal sign, comma, non-ASCII in the directory's name"""
    names = ["with space", "comma,here", "equal=sign", "caf\u00e9", "[brackets]", "semi;colon"]
    for n in names:
        h.drop(h.mkdir(n), P + "x")
    i = h.start([("spooler", n) for n in names] + [("spooler-frequency", 60)], PLACE + "obs('m', s=uwsgi.spoolers)\n")
    i.wait_obs("task", len(names))
    return {"spoolers": i.obs("m")[0]["s"], "cwd": sorted(t["cwd"] for t in i.obs("task"))}


@scenario()
def dirs_file_names_with_odd_characters(h):
    """spool files whose names hold spaces, newlines, percent signs, bytes that are no UTF-8"""
    d = h.mkdir("sp")
    for n in ("a b", "a\nb", "100%s", "caf\u00e9", "x" * 200, "quote'\"", "\udcff\udcfe"):
        h.drop(d, P + n, vars=[(b"k", b"v")])
    i = h.start([("spooler", d), ("spooler-frequency", 60), "spooler-ordered"], RECORD.replace("n=tname(env), env=env", "n=env['spooler_task_name']"))
    i.wait_obs("task", 7, 6); left = h.wait_left(d, 0)
    return {"ran": [t["n"] for t in i.obs("task")], "left": left}


@scenario()
def dirs_spooler_chdir_more(h):
    """spooler-chdir given twice, relative with dots, a file; and where a task's relative file lands"""
    out = {}
    h.write("file", "")
    for label, values in (("twice", [h.mkdir("one"), h.mkdir("two")]), ("dots", [".."]), ("file", [h.path("file")])):
        d = h.mkdir("sp-" + label); h.drop(d, P + "x")
        i = h.start([("spooler", d), ("spooler-frequency", 60)] + [("spooler-chdir", v) for v in values], PLACE)
        i.wait_obs("task"); left = h.wait_left(d, 0)
        out[label] = {"cwd": [t["cwd"] for t in i.obs("task")], "left": left, "log": i.shapes("chdir()")}
        i.stop()
    return out
