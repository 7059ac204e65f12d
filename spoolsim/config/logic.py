"""The logic of configurations: for … endfor, if-… endif. One at a time; uWSGI allows none within another."""

from __future__ import annotations

import os

from spoolsim import system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

LOOPS = frozenset(("for", "for-glob", "for-times", "for-readline"))
ENDS = frozenset(("endfor", "end-for", "endif", "end-if"))
# Each stands for one condition only: uWSGI has no if-not-directory.
_ALIASES = {"ifenv": "env", "ifexists": "exists", "ifdir": "dir", "if-directory": "dir", "ifplugin": "plugin"}

# What the PyPI build of uWSGI holds.
_PLUGINS = """
    python gevent nagios rrdtool carbon corerouter fastrouter http ugreen syslog rsyslog logsocket router_uwsgi
    router_redirect router_basicauth zergpool redislog mongodblog router_rewrite router_http logfile router_cache
    rawrouter router_static sslrouter cheaper_busyness transformation_tofile transformation_gzip
    transformation_chunked transformation_offload router_memcached router_redis router_hash router_expires
    router_metrics transformation_template stats_pusher_socket spooler symcall ping signal cache rpc
"""


def is_condition(name: str) -> bool:
    """True for if-env, ifenv, if-not-exists, …"""
    return _condition(name) is not None


def items(loop: str, value: str) -> list[str]:
    """What `%(_)` becomes, in turn, within a loop. A file that for-readline cannot read gives nothing."""
    if loop == "for":
        return [word for word in value.split(" ") if word]
    if loop == "for-times":
        from spoolsim.options import atoi

        return [str(number) for number in range(1, atoi(value) + 1)]
    if loop == "for-glob":
        from glob import glob

        return sorted(glob(value, include_hidden=False)) or [value]
    try:
        lines = system.read_whole(value).decode("utf-8", "surrogateescape").replace("\r\n", "\n").split("\n")
    except OSError:
        return []
    return lines[:-1] if lines[-1] == "" else lines


def test(name: str, value: str, lookup: Callable[[str], str | None]) -> tuple[bool, str | None]:
    """(whether the lines up to endif count, what `%(_)` becomes in them or None to leave it).

    lookup: the first value given so far to an option, or None.
    """
    kind, negated = _condition(name) or ("", False)
    if kind == "reload":
        holds, subject = False, None
    elif kind in ("env", "opt"):
        key, equals, wanted = value.partition("=")
        subject = os.environ.get(key) if kind == "env" else lookup(key)
        holds = subject is not None and (not equals or subject == wanted)
    else:
        subject = value
        if kind == "hostname":
            holds = system.nodename() == value
        elif kind == "hostname-match":
            holds = False  # uWSGI takes its own answer the wrong way round: no pattern that it can read ever matches
        elif kind == "plugin":
            holds = value in _PLUGINS.split()
        elif kind == "file":
            holds = os.path.isfile(value)
        elif kind == "dir":
            holds = os.path.isdir(value)
        else:
            holds = os.path.exists(value)
    return holds != negated, subject


def _condition(name: str) -> tuple[str, bool] | None:
    if name in _ALIASES:
        return _ALIASES[name], False
    if not name.startswith("if-"):
        return None
    kind, negated = name[3:], False
    if kind.startswith("not-"):
        kind, negated = kind[4:], True
    known = ("env", "opt", "exists", "file", "dir", "reload", "hostname", "hostname-match", "plugin")
    return (kind, negated) if kind in known else None
