"""Small things that several scenario files share."""


def clean(row):
    """An observation without what varies from run to run."""
    return {k: v for k, v in row.items() if k not in ("t", "pid", "kind")}


#: An app whose handler writes down what it was given and is done with it.
RECORD = """
import uwsgi
from oracleobs import *
def h(env):
    obs('task', n=tname(env), env=env)
    return uwsgi.SPOOL_OK
uwsgi.spooler = h
"""
