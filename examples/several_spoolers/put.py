"""`spooler` is the resolved absolute path of a directory, as uwsgi.spoolers has it; without it the first one counts."""

import uwsgi

slow = next(path for path in uwsgi.spoolers if path.endswith(b"/slow"))
uwsgi.spool({b"name": b"film", b"spooler": slow})
uwsgi.spool({b"name": b"photo"})
