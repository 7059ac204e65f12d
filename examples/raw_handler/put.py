"""Keys and values are bytes: a text is refused, as in production."""

import uwsgi

uwsgi.spool({b"kind": b"mail", b"to": b"a@example.org"})
uwsgi.spool({b"kind": b"later"})
try:
    uwsgi.spool({"kind": "mail"})
except ValueError as error:
    print(error)
