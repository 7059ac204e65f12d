"""What the scenario apps use to write down what they see (JSON lines), to work for a while, and to wait for a cue."""

import json
import os
import time


def show(v):
    if isinstance(v, dict):
        return {show(k) if not isinstance(k, str) else "str:" + k: show(x) for k, x in sorted(v.items(), key=repr)}
    if isinstance(v, (list, tuple)):
        return [show(x) for x in v]
    if isinstance(v, bytes):
        return "b:" + v.decode("latin-1")
    return v


def obs(kind, **kw):
    """Write one observation; a single appending write, so several processes may do it at once."""
    kw = {k: show(v) for k, v in kw.items()}
    kw.update(kind=kind, t=time.time(), pid=os.getpid())
    fd = os.open(os.environ["ORACLE_OBS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.write(fd, (json.dumps(kw) + "\n").encode())
    os.close(fd)


def count(kind):
    """How many observations of this kind are written."""
    try:
        with open(os.environ["ORACLE_OBS"]) as f:
            return sum(json.loads(line)["kind"] == kind for line in f if line.endswith("\n"))
    except FileNotFoundError:
        return 0


def busy(seconds):
    """Be busy for that long, by the wall clock: the task's own work."""
    end = time.time() + seconds
    while (left := end - time.time()) > 0:
        time.sleep(min(left, 0.1))


def await_cue(name, timeout=30):
    """Wait until the scenario gives the cue of that name (`Instance.cue`); False when it never came."""
    end = time.time() + timeout
    while time.time() < end:
        if os.path.exists(os.path.join(os.environ["ORACLE_WORK"], "cue." + name)):
            return True
        time.sleep(0.02)
    return False


def alone(name):
    """True for the one process, among several, that asks first."""
    try:
        os.close(os.open(os.path.join(os.environ["ORACLE_WORK"], "alone." + name), os.O_CREAT | os.O_EXCL))
        return True
    except FileExistsError:
        return False


def answer(kind, label, f):
    """Call f and write down what it returned or raised."""
    try:
        obs(kind, label=label, r=repr(f()))
    except Exception as e:
        obs(kind, label=label, r=repr(e))


def tname(env):
    n = env["spooler_task_name"]
    n = n.decode() if isinstance(n, bytes) else n
    return n.replace("uwsgi_spoolfile_on_", "")
