"""`at` is text, in seconds since the epoch: not before; it runs at the first look after it."""

import time

import uwsgi

uwsgi.spool({b"name": b"last: no priority"})
uwsgi.spool({b"name": b"second", b"priority": b"10"})
uwsgi.spool({b"name": b"first", b"priority": b"2"})
uwsgi.spool({b"name": b"tomorrow", b"at": str(int(time.time()) + 86400).encode()})
